"""Tasks and hooks that fail: no token and nobody of the data hangs on the exception that Airflow gets to see."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from altegio_provider.hooks.altegio import AltegioHook
from altegio_provider.operators.appointments import (
    AltegioCreateAppointmentsOperator,
    AltegioListAppointmentsOperator,
    AltegioUpdateAppointmentOperator,
)
from altegio_provider.operators.events import (
    AltegioCreateEventAppointmentOperator,
    AltegioCreateEventOperator,
    AltegioCreateEventsOperator,
    AltegioUpdateEventOperator,
)
from altegio_provider.sensors.events import AltegioEventSensor
from altegio_provider.transfers.altegio_to_parquet import (
    AltegioActivitiesToParquetOperator,
    AltegioAppointmentsToParquetOperator,
)
from tests.exception_graph import assert_holds_none
from tests.unit.api.scripted import Action, Conversation, ScriptedServer, answer, hang_up, ok

PARTNER, USER, KEY = "partner-0123456789", "user-9876543210", "key-of-the-hashes-0123"
SECRETS = (PARTNER, USER, KEY, "Vera", "Quill", "12025550143", "5550143", "vera.quill@example.com", "Ines")
CLIENT = {"name": "Vera", "surname": "Quill", "phone": "+12025550143", "email": "vera.quill@example.com"}
BOOKING = {"client": CLIENT, "clients_count": 1}
COMMENT = "Her sister Ines pays"
START = (datetime.now(UTC) + timedelta(days=20)).strftime("%Y-%m-%d 15:00:00")
EVENT = {"staff_id": 1, "service_id": 2, "date": START, "length": 3600, "capacity": 5, "comment": COMMENT}
PRICE = {"cost_per_unit": 1, "discount_percent": 0, "manual_cost": 1}
DAY = {"date_from": "2099-11-20", "date_to": "2099-11-21"}


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    yield server
    server.close()


@pytest.fixture(autouse=True)
def connections(server, monkeypatch) -> None:
    extra = {"user_token": USER, "location_id": 7, "requests_per_second": 0, "requests_per_minute": 0, "timeout": 0.2}
    extra["route_family"] = "locations"
    connection = {"conn_type": "altegio", "host": server.url, "password": PARTNER, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", json.dumps(connection))
    monkeypatch.setenv("AIRFLOW_CONN_HASH_KEY", json.dumps({"conn_type": "generic", "password": KEY}))
    monkeypatch.setenv("AIRFLOW_CONN_SHORT_KEY", json.dumps({"conn_type": "generic", "password": "Quill"}))


def echo(conversation: Conversation) -> None:
    """Refuse in the words of the request."""
    request = conversation.request
    said = f"{request.headers['authorization']} {request.content.decode()} {json.loads(request.content or b'null')}"
    answer(422, {"success": False, "meta": {"message": said, "errors": {"comment": [said], said: [said]}}})(
        conversation
    )


def a_booking(conversation: Conversation) -> None:
    """Show somebody's booking."""
    attributes = {"client_id": 1, "comment": COMMENT, "date": START, "client": CLIENT}
    ok([{"type": "record", "id": "5", "attributes": attributes}])(conversation)


FAULTS: dict[str, tuple[Action, ...]] = {
    "echo": (echo,),
    "lost later": (a_booking, hang_up),
    "lost": (hang_up,),
    "HTML": (answer(200, "<html>"),),
}


def operators(folder: Any) -> dict[str, Callable[[], Any]]:
    def task(kind: Any, **given: Any) -> Callable[[], Any]:
        return lambda: kind(task_id="task", **given).execute({})

    ledger = {"ledger_url": f"sqlite:///{folder / 'ledger.db'}", "settle_seconds": 0.01}
    dataset = {"output_path": str(folder / "data"), **DAY}
    change = {"attendance_service_item": PRICE, "attendance_good_items": [], "comment": COMMENT}
    row = {**CLIENT, "event_id": 1}
    hook = AltegioHook()
    return {
        "book": task(AltegioCreateEventAppointmentOperator, event_id=1, appointment=BOOKING),
        "book wrongly": task(AltegioCreateEventAppointmentOperator, event_id=1, appointment={"client": CLIENT}),
        "change": task(AltegioUpdateAppointmentOperator, event_id=1, record_id=5, changes=change),
        "create event": task(AltegioCreateEventOperator, event=EVENT),
        "update event": task(AltegioUpdateEventOperator, event_id=1, changes=EVENT, replace=True),
        "list": task(AltegioListAppointmentsOperator, event_id=1, include_personal_data=True),
        "import": task(AltegioCreateAppointmentsOperator, source=[row], **ledger),
        "import without a phone": task(AltegioCreateAppointmentsOperator, source=[{**row, "phone": "Vera"}], **ledger),
        "wrong defaults": task(AltegioCreateAppointmentsOperator, source=[row], defaults={"gender": "Quill"}, **ledger),
        "timetable": task(AltegioCreateEventsOperator, source=[EVENT], **ledger),
        "activities": task(AltegioActivitiesToParquetOperator, **dataset),
        "appointments": task(
            AltegioAppointmentsToParquetOperator, include_personal_data=True, hash_key_conn_id="hash_key", **dataset
        ),
        "a short key": task(AltegioAppointmentsToParquetOperator, hash_key_conn_id="short_key", **dataset),
        "sensor": task(AltegioEventSensor, event_id=1, condition="exists", deferrable=True, timeout=1),
        "hook: book": lambda: hook.create_event_appointment(None, 1, BOOKING),
        "hook: change": lambda: hook.update_event_appointment(None, 1, 5, change),
        "hook: create event": lambda: hook.create_event(None, EVENT),
        "hook: get event": lambda: hook.get_event(None, 1),
        "hook: frame": lambda: hook.get_activities_df(None, DAY["date_from"], DAY["date_to"]),
        "hook: list": lambda: list(hook.list_appointments(event_id=1)),
    }


@pytest.mark.parametrize("fault", FAULTS)
def test_tasks_and_hooks_that_fail(server, tmp_path, monkeypatch, fault) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    *first, last = FAULTS[fault]
    server.otherwise = last
    for run in operators(tmp_path).values():
        server.script(*first)
        with pytest.raises(Exception) as caught:  # noqa: PT011 - whatever it is
            run()
        assert_holds_none(caught.value, SECRETS)
        server.unscript()


FIELDS = ["location_id", "route_family", "timezone", "requests_per_second", "requests_per_minute", "timeout", "verify"]


@pytest.mark.parametrize(
    "field",
    ["location_id", "route_family", "timezone", "requests_per_second", "requests_per_minute", "timeout", "verify"],
)
def test_a_token_in_the_wrong_field_of_the_form_is_not_repeated(monkeypatch, server, field) -> None:
    extra = {"user_token": USER, "location_id": 7, field: USER}
    connection = {"conn_type": "altegio", "host": server.url, "password": PARTNER, "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", json.dumps(connection))
    good, text = AltegioHook().test_connection()
    assert not good
    assert field in text
    assert USER not in text
    with pytest.raises(Exception) as caught:  # noqa: PT011
        AltegioHook().get_event(7, 1)
    assert_holds_none(caught.value, SECRETS)
