"""Waiting for an event: here, or in the triggerer; in both families, against the sandbox."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from altegio_provider.api import AltegioClient, RetryPolicy
from altegio_provider.api.errors import (
    AltegioAuthError,
    AltegioNotFoundError,
    AltegioResponseError,
    AltegioServerError,
    AltegioValidationError,
)
from altegio_provider.compat import AirflowSkipException, TaskDeferred
from altegio_provider.sensors.events import AltegioEventSensor
from altegio_provider.triggers.conditions import ConditionRequest, check_event

LOCATION = 78
RIGA = ZoneInfo("Europe/Riga")
NOW = datetime.now(UTC)
START = (NOW + timedelta(days=20)).replace(hour=15, minute=0, second=0, microsecond=0)
CLIENT = {"name": "Test", "phone": "+37120000001", "email": "t@example.com", "surname": "T"}


@pytest.fixture(params=["companies", "locations"])
def family(request, altegio_sandbox, monkeypatch):
    altegio_sandbox.add_location(LOCATION, timezone="Europe/Riga", services=[{"id": 2}])
    connection = altegio_sandbox.airflow_connection(
        timezone="Europe/Riga", route_family=request.param, location_id=LOCATION
    )
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", connection)
    return request.param


@pytest.fixture
def companies(altegio_sandbox, monkeypatch):
    altegio_sandbox.add_location(LOCATION, timezone="Europe/Riga")
    connection = altegio_sandbox.airflow_connection(timezone="Europe/Riga", location_id=LOCATION)
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", connection)


@pytest.fixture
def client_of(altegio_sandbox):
    clients = []

    def make(family="companies", **options):
        client = AltegioClient(
            altegio_sandbox.url,
            "sandbox-partner",
            "sandbox-user",
            route_family=family,
            timezone="Europe/Riga",
            requests_per_second=0,
            requests_per_minute=0,
            retry=RetryPolicy(sleep=lambda seconds: None),
            **options,
        )
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close()


def add_event(sandbox, start=START, **fields):
    (event_id,) = sandbox.add_events(
        LOCATION, [{"date": f"{start.astimezone(RIGA):%Y-%m-%d %H:%M:%S}", "capacity": 3, "service_id": 2, **fields}]
    )
    return event_id


def sensor(event_id, condition="exists", **arguments):
    return AltegioEventSensor(
        task_id="wait", event_id=event_id, condition=condition, **{"deferrable": False, "poke_interval": 0, **arguments}
    )


def book(client, event_id, seats):
    client.create_event_appointment(LOCATION, event_id, {"client": CLIENT, "clients_count": seats})


def deferred(task):
    with pytest.raises(TaskDeferred) as caught:
        task.execute({})
    return caught.value


def payload_of(trigger):
    async def first():
        return [event.payload async for event in trigger.run()]

    (payload,) = asyncio.run(asyncio.wait_for(first(), 20))
    return json.loads(json.dumps(payload))


def test_seats_are_counted_and_not_records(family, altegio_sandbox, client_of) -> None:
    event_id = add_event(altegio_sandbox)
    assert sensor(event_id, "has_free_seats", min_free_seats=3).poke({})
    book(client_of(family), event_id, 2)
    assert sensor(event_id, "has_free_seats").poke({})
    assert not sensor(event_id, "has_free_seats", min_free_seats="2").poke({})
    assert not sensor(event_id, "full").poke({})
    book(client_of(family), event_id, 1)
    result = sensor(str(event_id), "full").execute({})
    assert (result["capacity"], result["booked_seats"], result["free_seats"]) == (3, 3, 0)
    assert result["starts_at"] == START.isoformat().replace("+00:00", "Z")
    assert not sensor(event_id, "has_free_seats").poke({})


def test_an_overbooked_event_is_full(family, altegio_sandbox) -> None:
    event_id = add_event(altegio_sandbox, first_records=2, first_seats=5)
    assert sensor(event_id, "full").execute({})["free_seats"] == -2


def test_an_event_has_started_by_its_start_and_not_by_a_wrong_offset(family, altegio_sandbox) -> None:
    altegio_sandbox.fault("wrong_offset", offset="+0900")
    moment = datetime.now(UTC).replace(microsecond=0)
    begun = add_event(altegio_sandbox, moment - timedelta(seconds=30))
    coming = add_event(altegio_sandbox, moment + timedelta(hours=1))
    assert sensor(begun, "started").poke({})
    assert not sensor(coming, "started").poke({})


def test_the_connections_time_zone_may_be_another_one(altegio_sandbox, monkeypatch) -> None:
    altegio_sandbox.add_location(LOCATION, timezone="Europe/Riga")
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", altegio_sandbox.airflow_connection(location_id=LOCATION))
    event_id = add_event(altegio_sandbox, datetime.now(UTC) - timedelta(seconds=30))
    assert sensor(event_id, "started", timezone="Europe/Riga").poke({})


def test_what_is_not_there_yet_is_waited_for(family, altegio_sandbox) -> None:
    assert not sensor(5_000_001, "exists").poke({})
    add_event(altegio_sandbox, id=5_000_001)
    assert sensor(5_000_001, "exists").poke({})


@pytest.mark.parametrize("condition", ["has_free_seats", "full", "started"])
def test_an_event_that_is_not_there_has_no_seats_and_no_start(family, condition) -> None:
    with pytest.raises(AltegioNotFoundError, match="event 5000001 of location 78 does not exist"):
        sensor(5_000_001, condition).poke({})


def test_a_location_that_is_not_there_is_not_waited_for(family) -> None:
    with pytest.raises(AltegioNotFoundError, match="location 4242"):
        sensor(1, "exists", location_id=4242).poke({})


@pytest.mark.parametrize("condition", ["exists", "has_free_seats", "full", "started"])
def test_a_deleted_event_ends_the_wait(family, altegio_sandbox, condition) -> None:
    event_id = add_event(altegio_sandbox)
    altegio_sandbox.delete_event(LOCATION, event_id)
    with pytest.raises(AltegioNotFoundError, match="deleted"):
        sensor(event_id, condition).poke({})


def test_an_event_is_followed_to_its_new_time(family, altegio_sandbox, client_of) -> None:
    event_id = add_event(altegio_sandbox)
    wish = ConditionRequest(LOCATION, event_id, "started")
    client = client_of(family)
    assert not check_event(client, wish, START - timedelta(days=3)).is_met
    row = {"staff_id": 1, "service_id": 2, "length": 3600, "capacity": 3, "date": START - timedelta(days=4)}
    client.update_event(LOCATION, event_id, {**row, "label_ids": [], "resource_instance_ids": []})
    sight = check_event(client, wish, START - timedelta(days=3))
    assert sight.is_met
    assert sight.starts_at == START - timedelta(days=4)


def test_an_event_moved_between_two_requests_is_not_taken_for_deleted(companies, altegio_sandbox, client_of) -> None:
    event_id = add_event(altegio_sandbox)
    client = client_of()
    read = client.get_event
    answers = iter([{**read(LOCATION, event_id), "date": "2026-01-05 10:00:00", "timestamp": None}])
    client.get_event = lambda *ids: next(answers, None) or read(*ids)
    assert check_event(client, ConditionRequest(LOCATION, event_id, "exists"), NOW).starts_at == START


def test_a_list_that_does_not_answer_is_no_deletion(family, altegio_sandbox) -> None:
    event_id = add_event(altegio_sandbox)
    altegio_sandbox.fault("status", status=405, route="list_activities")
    assert sensor(event_id, "exists").poke({})


def test_without_the_right_to_see_appointments_no_seats_are_made_up(companies, altegio_sandbox) -> None:
    event_id = add_event(altegio_sandbox, first_records=3, first_seats=3)
    altegio_sandbox.fault("status", status=403, route="list_appointments")
    with pytest.raises(AltegioAuthError, match="right to see appointments"):
        sensor(event_id, "full").poke({})


@pytest.mark.parametrize(("condition", "field"), [("full", "capacity"), ("started", "date")])
def test_an_answer_that_does_not_say_is_an_error(companies, altegio_sandbox, condition, field) -> None:
    patch = dict.fromkeys(["date", "datetime", "timestamp"] if field == "date" else [field], "__missing__")
    event_id = add_event(altegio_sandbox, patch=patch)
    with pytest.raises(AltegioResponseError):
        sensor(event_id, condition).poke({})


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"condition": "empty"}, "condition"),
        ({"event_id": "yoga"}, "event_id"),
        ({"event_id": 0}, "event_id"),
        ({"min_free_seats": 0}, "min_free_seats"),
        ({"location_id": "riga"}, "location_id"),
        ({"timezone": "Riga"}, "timezone"),
    ],
)
def test_a_wrong_argument_is_named(companies, altegio_sandbox, arguments, name) -> None:
    event_id = add_event(altegio_sandbox)
    with pytest.raises(AltegioValidationError, match=name):
        sensor(**{"event_id": event_id, **arguments}).poke({})


def test_the_trigger_goes_on_where_the_first_look_ended(family, altegio_sandbox, client_of) -> None:
    event_id = add_event(altegio_sandbox)
    task = sensor(event_id, "full", deferrable=True, poke_interval=0.01, timeout=3600)
    waiting = deferred(task)
    assert waiting.timeout == timedelta(hours=1)
    book(client_of(family), event_id, 3)
    payload = payload_of(waiting.trigger)
    assert task.execute_complete({}, payload)["booked_seats"] == 3


def test_what_is_so_already_is_not_deferred(family, altegio_sandbox) -> None:
    event_id = add_event(altegio_sandbox)
    assert sensor(event_id, "exists", deferrable=True).execute({})["event_id"] == event_id


def test_deferring_is_airflows_setting_by_default(monkeypatch) -> None:
    assert AltegioEventSensor(task_id="a", event_id=1).deferrable is False
    monkeypatch.setenv("AIRFLOW__OPERATORS__DEFAULT_DEFERRABLE", "true")
    assert AltegioEventSensor(task_id="b", event_id=1).deferrable is True
    assert AltegioEventSensor(task_id="c", event_id=1, deferrable=False).deferrable is False


def test_short_failures_are_survived_and_the_request_is_not_hurried(family, altegio_sandbox) -> None:
    event_id = add_event(altegio_sandbox)
    waiting = deferred(sensor(event_id, "started", deferrable=True, poke_interval=0.01))
    altegio_sandbox.fault("status", status=502, body="html", route="get_event", times=4)
    before = altegio_sandbox.stats()["requests"]
    altegio_sandbox.delete_event(LOCATION, event_id)
    payload = payload_of(waiting.trigger)
    assert (payload["status"], payload["error"]) == ("error", "AltegioNotFoundError")
    assert altegio_sandbox.stats()["requests"] - before >= 5


def test_so_many_failures_in_a_row_fail_the_task_with_the_same_error(family, altegio_sandbox) -> None:
    event_id = add_event(altegio_sandbox)
    task = sensor(event_id, "full", deferrable=True, poke_interval=0.01, max_failures=3)
    waiting = deferred(task)
    altegio_sandbox.fault("status", status=503, route="get_event")
    before = altegio_sandbox.stats()["requests"]
    payload = payload_of(waiting.trigger)
    assert altegio_sandbox.stats()["requests"] - before == 3
    with pytest.raises(AltegioServerError, match="3 consecutive checks failed"):
        task.execute_complete({}, payload)
    skipping = sensor(event_id, "full", deferrable=True, never_fail=True)
    with pytest.raises(AirflowSkipException):
        skipping.execute_complete({}, payload)


def test_what_no_further_look_can_mend_fails_at_once(family, altegio_sandbox) -> None:
    event_id = add_event(altegio_sandbox)
    task = sensor(event_id, "full", deferrable=True, poke_interval=0.01)
    waiting = deferred(task)
    altegio_sandbox.fault("status", status=401)
    payload = payload_of(waiting.trigger)
    assert payload["failures"] == 1
    with pytest.raises(AltegioAuthError):
        task.execute_complete({}, payload)


@pytest.mark.parametrize(
    "payload",
    [None, True, {}, {"status": "success"}, {"status": "success", "event": {"event_id": 1}}, {"status": "error"}],
)
def test_what_the_trigger_does_not_send_is_refused(payload) -> None:
    with pytest.raises(ValueError, match="validation error"):
        sensor(1, deferrable=True).execute_complete({}, payload)
