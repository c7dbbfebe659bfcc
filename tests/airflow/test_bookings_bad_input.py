"""What cannot be imported gets one clear error, before anything is sent, and without a word of anybody in the file."""

from __future__ import annotations

import csv
import sqlite3
import traceback
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from altegio_provider.compat import AirflowFailException
from altegio_provider.imports.ledger.ledger import Ledger, LedgerError
from altegio_provider.operators.appointments import AltegioCreateAppointmentsOperator

LOCATION = 77
START = (datetime.now(UTC) + timedelta(days=20)).replace(hour=15, minute=0, second=0, microsecond=0, tzinfo=None)
PERSON = {
    "event_id": 501,
    "name": "Sofija",
    "surname": "Kalnozola",
    "phone": "+37120001234",
    "email": "sofija.k@example.com",
}
PERSONAL = ("Sofija", "Kalnozola", "20001234", "sofija.k", "sandbox-user", "sandbox-partner")


@pytest.fixture(autouse=True)
def connection(altegio_sandbox, monkeypatch):
    for number, is_forbidden in ((LOCATION, False), (78, True)):
        altegio_sandbox.add_location(
            number, timezone="Europe/Riga", staff=[{"id": 1, "name": "Anna"}], forbidden=is_forbidden
        )
    altegio_sandbox.add_events(LOCATION, [{"id": 501, "date": START.isoformat(), "staff_id": 1, "capacity": 9}])
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", altegio_sandbox.airflow_connection(timezone="Europe/Riga"))


def refusal(tmp_path, source, **options):
    """The text of the error that the import ends with, no retry following it."""
    given = {
        "source": str(source) if isinstance(source, Path) else source,
        "location_id": LOCATION,
        "report_path": str(tmp_path / "report"),
        "ledger_url": f"sqlite:///{tmp_path / 'ledger.db'}",
        **options,
    }
    operator = AltegioCreateAppointmentsOperator(task_id="book", **given)
    with pytest.raises(AirflowFailException) as failure:
        operator.execute({})
    told = "".join(traceback.format_exception_only(failure.value))
    assert not [word for word in PERSONAL if word in told]
    return told


def posts(sandbox):
    return sum(one["times"] for one in sandbox.stats()["answers"] if one["route"] == "create_event_appointment")


@pytest.fixture(autouse=True)
def _nothing_is_sent(altegio_sandbox):
    yield
    assert posts(altegio_sandbox) == 0
    assert altegio_sandbox.truth(LOCATION)["appointments"] == []


def table(path, rows=(PERSON,), headings=None, encoding="utf-8", delimiter=","):
    with path.open("w", newline="", encoding=encoding) as file:
        writer = csv.DictWriter(file, headings or list(rows[0]), delimiter=delimiter)
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_file_that_is_not_there(tmp_path):
    assert "does not exist" in refusal(tmp_path, tmp_path / "nobody.csv")


def test_a_folder_in_place_of_a_file(tmp_path):
    (tmp_path / "clients.csv").mkdir()
    assert "is a folder" in refusal(tmp_path, tmp_path / "clients.csv")


def test_an_empty_file(tmp_path):
    (tmp_path / "clients.csv").write_bytes(b"")
    assert "is empty" in refusal(tmp_path, tmp_path / "clients.csv")


def test_an_empty_list(tmp_path):
    assert "is empty" in refusal(tmp_path, [])


def test_a_file_without_a_heading(tmp_path):
    (tmp_path / "clients.csv").write_text("501,Sofija,Kalnozola,+37120001234,sofija.k@example.com\n")
    assert "begin with data" in refusal(tmp_path, tmp_path / "clients.csv")


def test_unknown_columns_are_named_with_the_nearest_known_one(tmp_path):
    person = {**PERSON, "phnoe": PERSON["phone"], "shoe size": 38}
    told = refusal(tmp_path, table(tmp_path / "clients.csv", [person]))
    assert "phnoe" in told
    assert "did you mean phone?" in told
    assert "shoe size" in told


def test_a_column_mapped_twice(tmp_path):
    source = table(tmp_path / "clients.csv", [{**PERSON, "mobile": PERSON["phone"]}])
    assert "both map to phone" in refusal(tmp_path, source, column_mapping={"mobile": "phone"})


def test_a_mapping_of_a_column_that_is_not_there(tmp_path):
    assert "mobil" in refusal(tmp_path, table(tmp_path / "clients.csv"), column_mapping={"mobil": "phone"})


def test_the_wrong_encoding(tmp_path):
    source = table(tmp_path / "clients.csv", [{**PERSON, "name": "София"}], encoding="cp1251")
    assert "utf-8" in refusal(tmp_path, source, encoding="utf-8").lower()


def test_an_encoding_that_is_none(tmp_path):
    assert "klingon" in refusal(tmp_path, table(tmp_path / "clients.csv"), encoding="klingon")


def test_the_wrong_delimiter(tmp_path):
    source = table(tmp_path / "clients.csv", delimiter=";")
    assert "semicolon" in refusal(tmp_path, source, delimiter=",")


def test_two_hundred_columns(tmp_path):
    person = PERSON | {f"extra{number}": number for number in range(200)}
    assert "205 columns" in refusal(tmp_path, table(tmp_path / "clients.csv", [person]))


def test_a_cell_of_ten_megabytes(tmp_path):
    source = table(tmp_path / "clients.csv", [PERSON, {**PERSON, "name": "Sofija" * 1_700_000}])
    assert "line 3" in refusal(tmp_path, source)


@pytest.mark.parametrize("column", ["name", "phone", "email", "event_id", "clients_count"])
def test_a_cell_of_a_hundred_kilobytes(tmp_path, column):
    source = table(tmp_path / "clients.csv", [{**PERSON, "clients_count": 1, column: "Sofija" * 20_000}])
    assert "1 of 1 rows are rejected" in refusal(tmp_path, source)
    assert (tmp_path / "report" / "report.csv").stat().st_size < 2_000


@pytest.mark.parametrize(
    ("column", "value"),
    [("event_id", 10**30), ("event_id", "-1"), ("client_id", 10**30), ("clients_count", 2**40), ("comer_id", 10**19)],
)
def test_a_number_beyond_all_bounds(tmp_path, column, value):
    source = table(tmp_path / "clients.csv", [{**PERSON, column: value}])
    assert "1 of 1 rows are rejected" in refusal(tmp_path, source)


def test_half_a_character(tmp_path):
    refusal(tmp_path, [{**PERSON, "name": "Sofija\ud83d"}])
    (tmp_path / "clients.jsonl").write_text('{"event_id": 501, "name": "Sofija\\ud83d", "surname": "K"}\n')
    assert "line 1" in refusal(tmp_path, tmp_path / "clients.jsonl")


def test_a_file_that_says_it_is_another_kind(tmp_path):
    pq.write_table(pa.table({"name": ["Sofija"]}), tmp_path / "clients.csv")
    assert "is a Parquet file" in refusal(tmp_path, tmp_path / "clients.csv")
    (tmp_path / "clients.parquet").write_text("name\nSofija\n")
    assert "the content is not parquet" in refusal(tmp_path, tmp_path / "clients.parquet")


def test_no_source_at_all(tmp_path):
    assert "the source is missing" in refusal(tmp_path, None)


def test_no_right_to_the_location(tmp_path):
    assert "403" in refusal(tmp_path, table(tmp_path / "clients.csv"), location_id=78)


def test_a_location_that_is_not_there(tmp_path):
    told = refusal(tmp_path, table(tmp_path / "clients.csv"), location_id=12345)
    assert "404" in told or "event 501 does not exist" in (tmp_path / "report" / "report.csv").read_text()


def test_events_named_by_their_start_in_a_location_that_is_not_there(tmp_path):
    person = {name: value for name, value in PERSON.items() if name != "event_id"}
    source = table(tmp_path / "clients.csv", [{**person, "event_date": START.isoformat(), "service_title": "Yoga"}])
    assert "404" in refusal(tmp_path, source, location_id=12345)


def test_wrong_tokens(tmp_path, altegio_sandbox, monkeypatch):
    connection = altegio_sandbox.airflow_connection(user_token="of-somebody-else")
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", connection)
    assert "401" in refusal(tmp_path, table(tmp_path / "clients.csv"))


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("max_rejected", "a few"),
        ("max_rejected", -1),
        ("max_rejected", 1.5),
        ("max_rejected", float("nan")),
        ("dry_run", "ture"),
        ("resend_in_doubt", "perhaps"),
        ("on_duplicate", "twice"),
        ("event_id", "five hundred"),
        ("default_region", "Latvia"),
        ("timezone", "Europe/Atlantis"),
    ],
)
def test_an_argument_that_cannot_be(tmp_path, argument, value):
    assert argument in refusal(tmp_path, table(tmp_path / "clients.csv"), **{argument: value})


def a_folder(path):
    path.mkdir()


def a_text(path):
    path.write_text("this is no database, though it is long enough to be taken for one at first sight" * 40)


def of_a_newer_release(path):
    with Ledger(f"sqlite:///{path}", LOCATION, "booking"):
        pass
    with sqlite3.connect(path) as database:
        database.execute("UPDATE altegio_ledger_version SET version = 2")
    database.close()


@pytest.mark.parametrize(
    ("make", "told"),
    [(a_folder, "cannot be opened"), (a_text, "cannot be opened"), (of_a_newer_release, "newer release")],
)
def test_a_ledger_that_cannot_be_used(tmp_path, make, told):
    make(tmp_path / "ledger.db")
    assert told in refusal(tmp_path, table(tmp_path / "clients.csv"))
    assert not (tmp_path / "report").exists()


@pytest.mark.parametrize(
    ("url", "told"),
    [
        ("nonsense://nowhere", "not a database URL"),
        ("sqlite://", "four slashes"),
        ("sqlite:///:memory:", "four slashes"),
        ("sqlite:///ledger.db", "four slashes"),
        ("sqlite:////no/such/folder/ledger.db", "cannot be opened"),
        ("oracle+cx_oracle://scott:tiger@127.0.0.1/db", "driver"),
        ("://", "not a database URL"),
    ],
)
def test_a_ledger_url_that_cannot_be(tmp_path, url, told):
    complaint = refusal(tmp_path, table(tmp_path / "clients.csv"), ledger_url=url)
    assert told in complaint
    assert "tiger" not in complaint


def test_a_ledger_whose_server_is_down_may_be_tried_again(tmp_path):
    pytest.importorskip("psycopg")
    operator = AltegioCreateAppointmentsOperator(
        task_id="book",
        source=[PERSON],
        location_id=LOCATION,
        ledger_url="postgresql+psycopg://somebody:secret@127.0.0.1:9/ledger",
    )
    with pytest.raises(LedgerError, match="cannot be opened") as failure:
        operator.execute({})
    assert "secret" not in str(failure.value)


def test_a_line_that_breaks_off_in_the_middle_of_the_file(tmp_path):
    rows = [{**PERSON, "phone": f"+3712000{number:04}"} for number in range(50)]
    source = table(tmp_path / "clients.csv", rows)
    with source.open("a") as file:
        file.write('501,"Sofija')
    assert "line 52" in refusal(tmp_path, source)
