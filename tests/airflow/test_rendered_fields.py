"""What Airflow's database keeps of a task: nothing of the people in its rows and bodies, and templates work."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from altegio_provider.api import AltegioClient
from altegio_provider.compat import ObjectStoragePath
from altegio_provider.operators.appointments import AltegioCreateAppointmentsOperator, AltegioUpdateAppointmentOperator
from altegio_provider.operators.events import AltegioCreateEventAppointmentOperator, AltegioCreateEventOperator
from altegio_provider.operators.personal import Personal

LOCATION = 87
START = (datetime.now(UTC) + timedelta(days=20)).replace(hour=15, minute=0, second=0, microsecond=0, tzinfo=None)
PEOPLE = ("Vsevolod", "Quillfeather", "37120009911", "20009911", "quillfeather@example.com", "Svetozar", "Bogdana")
DAG = """
import json
import os
from datetime import datetime

from airflow.sdk import dag, task

from altegio_provider.operators.appointments import AltegioCreateAppointmentsOperator
from altegio_provider.operators.events import AltegioCreateEventAppointmentOperator, AltegioCreateEventOperator

GIVEN = json.loads(os.environ["PEOPLE"])
LEDGER = {"ledger_url": os.environ["LEDGER"], "settle_seconds": 0.05}


@dag(schedule=None, start_date=datetime(2026, 1, 1), params={"event": 501, "seats": 2}, catchup=False)
def people():
    rows = AltegioCreateAppointmentsOperator(task_id="rows", source=GIVEN["rows"], **LEDGER)
    one = AltegioCreateEventAppointmentOperator(task_id="one", event_id=501, appointment=GIVEN["appointment"])


    @task
    def read():
        return GIVEN["mapped"]

    mapped = AltegioCreateEventAppointmentOperator.partial(task_id="mapped", event_id=501).expand(appointment=read())
    event = AltegioCreateEventOperator(task_id="event", event=GIVEN["event"])
    rows >> one >> mapped >> event


people()
"""


def client(name: str, number: int) -> dict[str, Any]:
    return {
        "name": name,
        "surname": "Quillfeather",
        "phone": f"+3712000991{number}",
        "email": "quillfeather@example.com",
    }


def test_the_database_keeps_nobody_and_templates_work(airflow, airflow_db, altegio_sandbox, tmp_path) -> None:
    altegio_sandbox.add_location(
        LOCATION, timezone="Europe/Riga", staff=[{"id": 1, "name": "Anna"}], services=[{"id": 2, "title": "Yoga"}]
    )
    event = {"staff_id": 1, "service_id": 2, "capacity": 30}
    altegio_sandbox.add_events(LOCATION, [{"id": 501, "date": START.isoformat(), **event}])
    later = (START + timedelta(days=1)).strftime("%Y-%m-%d %H:%M:%S")
    given = {
        "rows": [{"event_id": "{{ params.event }}", **client("Vsevolod", 1), "clients_count": "{{ params.seats }}"}],
        "appointment": {"client": client("Svetozar", 2), "clients_count": 1},
        # What comes from another task is no template, whatever is in it.
        "mapped": [{"client": client("Bogdana {{ params.event }}", 3), "clients_count": 1}],
        "event": {**event, "date": later, "length": 3600, "comment": "For {{ params.event }}, ask Svetozar"},
    }
    (tmp_path / "dags").mkdir()
    (tmp_path / "dags" / "people.py").write_text(DAG)
    airflow(
        *("dags", "test", "people"),
        AIRFLOW__CORE__DAGS_FOLDER=str(tmp_path / "dags"),
        AIRFLOW_CONN_ALTEGIO_DEFAULT=altegio_sandbox.airflow_connection(timezone="Europe/Riga", location_id=LOCATION),
        PEOPLE=json.dumps(given),
        LEDGER=f"sqlite:///{tmp_path / 'ledger.db'}",
    )
    truth = altegio_sandbox.truth(LOCATION)
    booked = {one["client"]["name"]: one["clients_count"] for one in truth["appointments"]}
    assert booked == {"Vsevolod": 2, "Svetozar": 1, "Bogdana {{ params.event }}": 1}
    with AltegioClient(altegio_sandbox.url, "sandbox-partner", "sandbox-user") as client_of_sandbox:
        created = next(one["id"] for one in truth["events"] if one["id"] != 501)
        assert client_of_sandbox.get_event(LOCATION, created)["comment"] == "For 501, ask Svetozar"
    kept = everything_in(airflow_db / "airflow.db")
    assert any("'***'" in text or '"***"' in text for _, text in kept)
    for table, text in kept:
        for person in PEOPLE:
            assert person not in text, f"{person} is in {table}: {text[:300]}"


def everything_in(database: Any) -> list[tuple[str, str]]:
    """Every value of Airflow's database but those of XCom, which keeps what tasks return, as text, with its table."""
    found = []
    with closing(sqlite3.connect(database)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert {"rendered_task_instance_fields", "serialized_dag"} <= set(tables)
        for table in (name for name in tables if name != "xcom"):
            found += [(table, str(value)) for row in connection.execute(f'SELECT * FROM "{table}"') for value in row]
    return found


def test_a_template_that_fails_shows_nobody(caplog) -> None:
    rows = [{"name": "Vsevolod", "phone": "+37120009911", "event_id": "{{ nothing.of.the.kind }}"}]
    operator = AltegioCreateAppointmentsOperator(task_id="book", source=rows)
    with pytest.raises(Exception, match="nothing"):
        operator.render_template_fields({})
    assert "'source'" in caplog.text
    assert "Vsevolod" not in caplog.text


def shown(operator: Any, field: str) -> Any:
    from airflow.serialization.helpers import serialize_template_field

    return serialize_template_field(getattr(operator, field), field)


@pytest.mark.parametrize(
    "source",
    [[{"name": "Vsevolod"}], ({"name": "Vsevolod"},), pd.DataFrame({"name": ["Vsevolod"]}), {"name": "Vsevolod"}],
)
def test_rows_of_any_kind_are_not_shown(source) -> None:
    text = json.dumps(shown(AltegioCreateAppointmentsOperator(task_id="book", source=source), "source"))
    assert "***" in text
    assert "Vsevolod" not in text


@pytest.mark.parametrize("source", ["/data/clients.csv", "s3://crm@bucket/clients.csv", "{{ params.file }}", None])
def test_a_path_is_shown(source) -> None:
    assert shown(AltegioCreateAppointmentsOperator(task_id="book", source=source), "source") == source


def test_a_path_object_is_a_path() -> None:
    path = ObjectStoragePath("file:///data/clients.csv")
    assert AltegioCreateAppointmentsOperator(task_id="book", source=path).source == path


def test_of_a_body_what_tells_of_nobody_is_shown() -> None:
    changes = {
        "attendance_service_item": {"cost_per_unit": 5},
        "comment": "Ask Svetozar",
        "clients_count": "{{ 1 + 1 }}",
    }
    operator = AltegioUpdateAppointmentOperator(task_id="change", event_id=1, record_id=2, changes=changes)
    operator.render_template_fields({})
    assert operator.changes == {**changes, "clients_count": "2"}
    assert shown(operator, "changes") == {**changes, "comment": "***", "clients_count": "2"}
    event = {
        "staff_id": 1,
        "date": "2026-11-20 18:00:00",
        "instructions": "Ask Svetozar",
        "stream_link": "https://x/?pwd=1",
    }
    operator = AltegioCreateEventOperator(task_id="create", event=event)
    assert shown(operator, "event") == {**event, "instructions": "***", "stream_link": "***"}
    operator = AltegioCreateEventAppointmentOperator(
        task_id="book", event_id=1, appointment={"client": {"name": "Vsevolod"}, "clients_count": 1, "labels": [5]}
    )
    assert shown(operator, "appointment") == {"client": "***", "clients_count": 1, "labels": [5]}


def test_a_whole_body_may_be_a_template(monkeypatch) -> None:
    from airflow.sdk import DAG

    with DAG("native", schedule=None, render_template_as_native_obj=True):
        operator = AltegioUpdateAppointmentOperator(
            task_id="change", event_id=1, record_id=2, changes="{{ {'comment': 'Ask ' ~ name} }}"
        )
    assert shown(operator, "changes") == "{{ {'comment': 'Ask ' ~ name} }}"
    operator.render_template_fields({"name": "Svetozar"})
    assert operator.changes == {"comment": "Ask Svetozar"}
    assert shown(operator, "changes") == {"comment": "***"}


def test_what_another_task_returns_is_still_a_dependency_and_is_not_shown_either() -> None:
    from airflow.sdk import DAG

    with DAG("of_two", schedule=None):
        first = AltegioCreateAppointmentsOperator(task_id="first", source="x.csv")
        for number, source in enumerate((first.output, [{"name": first.output["name"]}])):
            second = AltegioCreateAppointmentsOperator(task_id=f"second_{number}", source=source)
            assert second.upstream_task_ids == {"first"}
            second.source = [{"name": "Vsevolod"}]  # as Airflow sets what it rendered
            assert "Vsevolod" not in str(shown(second, "source"))


def test_a_personal_value_is_blind_and_equal_to_what_it_holds() -> None:
    personal = Personal(["Vsevolod"])
    assert (repr(personal), str(personal)) == ("***", "***")
    assert personal == ["Vsevolod"] == personal.value
    assert personal == Personal(["Vsevolod"]) != Personal([])
