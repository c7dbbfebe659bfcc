"""Which ledger an import uses, what Airflow stores of it, and ledgers and reports that tell nobody who was booked."""

from __future__ import annotations

import csv
import json
import socket
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa

from altegio_provider.compat import AirflowFailException
from altegio_provider.imports.ledger.ledger import Ledger, LedgerError
from altegio_provider.operators.appointments import AltegioCreateAppointmentsOperator
from altegio_provider.operators.events import AltegioCreateEventsOperator
from altegio_provider.operators.ledger_url import ledger_url_of
from altegio_provider.operators.passwords import without_password
from altegio_provider.operators.shared_ledger import check_ledger_is_shared
from tests.integration.old_ledger import everything_in, old_key, write_old_ledger
from tests.services import LEDGERS, empty_database

LOCATION = 77
START = (datetime.now(UTC) + timedelta(days=20)).replace(hour=15, minute=0, second=0, microsecond=0, tzinfo=None)
ROWS = [
    {"event_id": 501, "name": "Anna", "surname": "Ozols", "phone": f"+3712000000{number}", "email": ""}
    for number in range(3)
]
OPTIONS = {"source": ROWS, "location_id": LOCATION, "defaults": {"email": ""}, "settle_seconds": 0.05}
DAG = f"""
import os
from airflow.sdk import dag
from altegio_provider.operators.appointments import AltegioCreateAppointmentsOperator as Book

options = {OPTIONS!r}

@dag(schedule=None)
def ledgers():
    mapped = Book.partial(task_id="mapped", ledger_conn_id="ledger", **options).expand(delimiter=[";"])
    (
        Book(task_id="literal", ledger_url=os.environ["LEDGER_URL"], **options)
        >> Book(task_id="templated", ledger_url="{{{{ var.value.where }}}}", **options)
        >> Book(task_id="connection", ledger_conn_id="{{{{ 'led' ~ 'ger' }}}}", **options)
        >> Book(task_id="default", **options)
        >> mapped
    )

ledgers()
"""


@pytest.fixture(autouse=True)
def location(altegio_sandbox, monkeypatch):
    altegio_sandbox.add_location(LOCATION, timezone="Europe/Riga", staff=[{"id": 1, "name": "Anna"}])
    altegio_sandbox.add_events(LOCATION, [{"id": 501, "date": START.isoformat(), "staff_id": 1, "capacity": 99}])
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", altegio_sandbox.airflow_connection(timezone="Europe/Riga"))


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An ``AIRFLOW_HOME`` with nothing in it, and an environment that names no ledger."""
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("ALTEGIO_LEDGER", raising=False)
    return tmp_path / "home"


def book(**options):
    return AltegioCreateAppointmentsOperator(task_id="book", **{**OPTIONS, **options}).execute({})


def booked(sandbox):
    return len(sandbox.truth(LOCATION)["appointments"])


# Where the ledger is


@pytest.mark.parametrize(
    "executor",
    [
        "CeleryExecutor",
        "KubernetesExecutor",
        "LocalExecutor,CeleryExecutor",
        "LocalExecutor, airflow.providers.edge3.executors.EdgeExecutor",
        "LocalExecutor,fast:airflow.providers.amazon.aws.executors.ecs.ecs_executor.AwsEcsExecutor",
        "LocalExecutor;team1=CeleryExecutor",
        "airflow.providers.amazon.aws.executors.batch.batch_executor.AwsBatchExecutor",
        "my_company.executors.OurExecutor",
    ],
)
def test_without_a_ledger_nothing_is_sent_where_tasks_may_run_on_several_hosts(
    home, executor, monkeypatch, altegio_sandbox
):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    with pytest.raises(AirflowFailException, match="has no ledger that all workers share") as failure:
        book()
    for way_out in ("ledger_conn_id=", "ledger_url=", "ALTEGIO_LEDGER"):
        assert way_out in str(failure.value)
    assert executor.replace(":", "=").rpartition("=")[2].rpartition(",")[2].strip() in str(failure.value)
    assert booked(altegio_sandbox) == 0
    assert not home.exists()


@pytest.mark.parametrize("mark", ["AIRFLOW_IS_K8S_EXECUTOR_POD", "AIRFLOW_IS_EXECUTOR_CONTAINER"])
def test_without_a_ledger_nothing_is_sent_from_a_container_of_a_tasks_own(home, mark, monkeypatch, altegio_sandbox):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "LocalExecutor")
    monkeypatch.setenv(mark, "True")
    with pytest.raises(AirflowFailException, match=mark):
        book()
    assert booked(altegio_sandbox) == 0


def test_timetables_need_one_too(home, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    row = {"staff_id": 1, "service_id": 2, "date": START.isoformat(), "length": 3600, "capacity": 9}
    with pytest.raises(AirflowFailException, match="ALTEGIO_LEDGER"):
        AltegioCreateEventsOperator(task_id="publish", source=[row], location_id=LOCATION).execute({})


def test_the_environment_names_the_ledger_of_all_workers(home, tmp_path, monkeypatch, altegio_sandbox):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
    monkeypatch.setenv("ALTEGIO_LEDGER", f"sqlite:///{tmp_path / 'shared.db'}")
    assert book()["created"] == len(ROWS)
    monkeypatch.setenv("AIRFLOW_HOME", str(tmp_path / "another"))
    monkeypatch.setenv("ALTEGIO_LEDGER", "the_ledger")
    monkeypatch.setenv(
        "AIRFLOW_CONN_THE_LEDGER", json.dumps({"conn_type": "sqlite", "host": str(tmp_path / "shared.db")})
    )
    assert book()["already_created"] == len(ROWS)
    assert booked(altegio_sandbox) == len(ROWS)


@pytest.mark.parametrize(
    "executor", ["LocalExecutor", "airflow.executors.local_executor.LocalExecutor", "x:LocalExecutor"]
)
def test_on_one_host_the_ledger_is_a_file(home, executor, monkeypatch):
    monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", executor)
    assert book()["created"] == len(ROWS)
    assert (home / "altegio_ledger.db").exists()
    assert book()["already_created"] == len(ROWS)


class Log:
    def __init__(self):
        self.warnings = []

    def warning(self, text, *values):
        self.warnings.append(text % values)


@pytest.mark.parametrize(
    ("host", "is_mine", "told"),
    [("here", True, None), ("here", False, "another ledger on this host"), ("elsewhere", False, LedgerError)],
)
def test_a_file_that_others_do_not_share_is_seen(tmp_path, monkeypatch, host, is_mine, told):
    log = Log()
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", LOCATION, "booking") as ledger:
        known = {
            "host": socket.gethostname() if host == "here" else host,
            "id": ledger.identity if is_mine else "2:of another one",
        }
        monkeypatch.setenv("AIRFLOW_VAR_ALTEGIO_LEDGER", json.dumps(known))
        if told is LedgerError:
            with pytest.raises(LedgerError, match="used one on elsewhere") as failure:
                check_ledger_is_shared(ledger, log)
            assert "ledger_conn_id=" in str(failure.value)
            assert "ALTEGIO_LEDGER" in str(failure.value)
            return
        check_ledger_is_shared(ledger, log)
    assert any(told in warning for warning in log.warnings) if told else log.warnings == []


# What Airflow keeps of it


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://u:pa/s:s@w@host:5432/db", "postgresql://u:***@host:5432/db"),
        ("mysql+pymysql://u:p@host/db?charset=utf8&ssl_key_password=x&b=1",
         "mysql+pymysql://u:***@host/db?charset=utf8&ssl_key_password=***&b=1"),
        ("postgresql://u@host/db?password=p", "postgresql://u@host/db?password=***"),
        ("postgresql://u:{{ var.value.p }}@host/db", "postgresql://u:{{ var.value.p }}@host/db"),
        ("postgresql://u:p{{ var.value.p }}@host/db", "postgresql://u:***@host/db"),
        ("{{ var.value.url }}", "{{ var.value.url }}"),
        ("postgresql://u@host/db", "postgresql://u@host/db"),
        ("sqlite:////home/a@b/ledger.db", "sqlite:////home/a@b/ledger.db"),
        ("my_connection", "my_connection"),
        (None, None),
    ],
)  # fmt: skip
def test_a_url_is_shown_without_its_password(url, shown):
    assert without_password(url) == shown
    assert AltegioCreateAppointmentsOperator(task_id="book", ledger_url=url, source=[]).ledger_url == shown


def test_airflow_stores_and_logs_no_password_of_a_ledger(tmp_path, airflow_db, airflow, altegio_sandbox, monkeypatch):
    """All ways to give one, in a DAG that Airflow runs; its database is a file, which is read afterwards."""
    (tmp_path / "ledgers.py").write_text(DAG)
    with empty_database("postgresql+psycopg", tmp_path) as url:
        parsed = sa.make_url(url).set(drivername="postgresql", password="hunter2")
        connection = {
            "conn_type": "postgres",
            "login": parsed.username,
            "password": "hunter2",
            "host": parsed.host,
            "port": parsed.port,
            "schema": parsed.database,
            "extra": {"sslmode": "prefer", "aws_conn_id": "of Airflow's hook alone"},
        }
        said = airflow(
            "dags",
            "test",
            "ledgers",
            AIRFLOW__CORE__DAGS_FOLDER=str(tmp_path),
            LEDGER_URL=parsed.render_as_string(hide_password=False),
            AIRFLOW_VAR_WHERE=parsed.render_as_string(hide_password=False),
            AIRFLOW_CONN_LEDGER=json.dumps(connection),
            # The default is a file; the connection above must not be it.
            AIRFLOW_HOME=str(airflow_db),
        )
        assert "hunter2" not in said
    # The three that share the database book each row once, and so does the one with a file of its own.
    assert booked(altegio_sandbox) == 2 * len(ROWS)
    database = sqlite3.connect(airflow_db / "airflow.db")
    fields = dict(database.execute("SELECT task_id, rendered_fields FROM rendered_task_instance_fields").fetchall())
    variables = [key for (key,) in database.execute("SELECT key FROM variable")]
    database.close()
    for path in airflow_db.rglob("*"):
        if path.is_file():
            assert b"hunter2" not in path.read_bytes(), path
    assert json.loads(fields["literal"])["ledger_url"].startswith("postgresql://postgres:***@")
    assert json.loads(fields["templated"])["ledger_url"].startswith("postgresql://postgres:***@")
    assert json.loads(fields["connection"])["ledger_conn_id"] == "ledger"
    assert "altegio_ledger" in variables
    (airflow_db / "altegio_ledger.db").unlink()


def test_a_password_that_mapping_has_stored_is_refused():
    with pytest.raises(AirflowFailException, match="ledger_conn_id="):
        AltegioCreateAppointmentsOperator(
            task_id="book", ledger_url="postgresql://u:hunter2@h/d", source=[], _airflow_from_mapped=True
        )


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://somebody:hunter2@127.0.0.1:9/ledger",
        "postgresql://somebody:hunter2@127.0.0.1:port/ledger",
        "postgresql://somebody:hun/ter2@127.0.0.1/ledger",
        "mysql://somebody:hunter2@127.0.0.1:9/ledger",
        "postgresql+nothing://somebody:hunter2@127.0.0.1/ledger",
        "nothing://somebody:hunter2@127.0.0.1/ledger",
        "postgresql://127.0.0.1:9/ledger?password=hunter2",
    ],
)
def test_no_error_shows_the_password(url, caplog):
    with pytest.raises((AirflowFailException, LedgerError)) as failure:
        book(ledger_url=url)
    error = failure.value
    while error is not None:
        assert "hunter2" not in str(error)
        assert "ter2" not in str(error)
        error = error.__cause__ or error.__context__
    assert "hunter2" not in caplog.text


def test_a_connection_that_cannot_be_a_ledger(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_WEB", json.dumps({"conn_type": "http", "host": "h", "password": "hunter2"}))
    for conn_id, told in (("web", "type http"), ("nowhere", "Airflow connection 'nowhere' does not exist")):
        with pytest.raises(AirflowFailException, match=told) as failure:
            book(ledger_conn_id=conn_id)
        assert "hunter2" not in str(failure.value)
    with pytest.raises(AirflowFailException, match="give one of them"):
        book(ledger_conn_id="web", ledger_url="sqlite:////data/x.db")


@pytest.mark.parametrize(
    ("connection", "url"),
    [
        (
            {"conn_type": "postgres", "login": "u", "password": "p@/", "host": "h", "port": 5433, "schema": "d"},
            "postgresql://u:p%40%2F@h:5433/d",
        ),
        (
            {"conn_type": "mysql", "host": "h", "extra": {"ssl": {"ca": "/ca.pem"}, "charset": "utf8mb4"}},
            "mysql://h?charset=utf8mb4&ssl_ca=%2Fca.pem",
        ),
        ({"conn_type": "sqlite", "host": "/data/x.db"}, "sqlite:////data/x.db"),
    ],
)
def test_a_connection_becomes_a_url(monkeypatch, connection, url):
    monkeypatch.setenv("AIRFLOW_CONN_A_LEDGER", json.dumps(connection))
    assert ledger_url_of(ledger_conn_id="a_ledger") == url
    assert ledger_url_of("a_ledger") == url


@pytest.mark.parametrize("kind", LEDGERS[1:])
def test_a_ledger_by_connection_id_is_the_same_on_every_worker(kind, tmp_path, monkeypatch, altegio_sandbox):
    with empty_database(kind, tmp_path) as url:
        parsed = sa.make_url(url)
        fields = {"login": parsed.username, "host": parsed.host, "port": parsed.port, "schema": parsed.database}
        connection = {"conn_type": parsed.get_backend_name().replace("postgresql", "postgres"), **fields}
        monkeypatch.setenv("AIRFLOW_CONN_LEDGER", json.dumps(connection))
        monkeypatch.setenv("AIRFLOW__CORE__EXECUTOR", "CeleryExecutor")
        assert book(ledger_conn_id="ledger")["created"] == len(ROWS)
        assert book(ledger_conn_id="ledger")["already_created"] == len(ROWS)


# What ledger and reports tell


def test_who_tries_all_phones_finds_none_in_ledger_and_reports(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    wrong = {**ROWS[0], "phone": "1"}
    summary = book(ledger_url=url, report_path=str(tmp_path / "report"), source=[*ROWS, wrong], max_rejected=1)
    assert summary["created"] == len(ROWS)
    guesses = [old_key(LOCATION, 501, ["phone", row["phone"]], 1) for row in ROWS]
    text = " ".join(everything_in(url)) + (tmp_path / "report" / "report.csv").read_text()
    assert not any(guess in text for guess in guesses)
    with (tmp_path / "report" / "report.csv").open(encoding="utf-8-sig") as file:
        assert next(csv.reader(file)) == ["line", "status", "event_id", "record_id", "reasons"]


def test_who_was_booked_by_the_first_release_is_not_booked_again(tmp_path, altegio_sandbox):
    keys = [old_key(LOCATION, 501, ["phone", row["phone"]], 1) for row in ROWS[:2]]
    of_its_own = old_key(LOCATION, "external_id", "A-3")
    entries = [(keys[0], keys[0], 9001), (keys[1], keys[1], 9002)]
    entries.append((of_its_own, old_key(LOCATION, 501, ["phone", ROWS[2]["phone"]], 1), 9003))
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    write_old_ledger(
        url,
        [
            {"kind": "booking", "location_id": LOCATION, "key": key, "content": content, "record_id": record,
             "state": "created", "lane": 501, "owner": ""}
            for key, content, record in entries
        ],
    )  # fmt: skip
    rows = [ROWS[0], ROWS[1], {**ROWS[2], "external_id": "A-3"}]
    assert book(ledger_url=url, source=rows)["already_created"] == len(rows)
    assert booked(altegio_sandbox) == 0
    other = {**ROWS[0], "external_id": "A-3"}
    summary = book(ledger_url=url, source=[other], max_rejected=1)
    assert summary["rejected"] == 1
