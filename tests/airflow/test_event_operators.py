"""Single calls on events, in both families, against the sandbox."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from altegio_provider import compat
from altegio_provider.api import AltegioClient, RetryPolicy
from altegio_provider.api.errors import (
    AltegioConflictError,
    AltegioNotFoundError,
    AltegioOutcomeUnknownError,
    AltegioValidationError,
)
from altegio_provider.api.writes.create_once import create_event_once
from altegio_provider.operators.events import (
    AltegioCreateEventAppointmentOperator,
    AltegioCreateEventOperator,
    AltegioDeleteEventOperator,
    AltegioGetEventOperator,
    AltegioUpdateEventOperator,
)

LOCATION = 77
START = (datetime.now(UTC) + timedelta(days=20)).replace(hour=15, minute=0, second=0, microsecond=0)
EVENT = {
    "staff_id": 1,
    "service_id": 2,
    "date": START,
    "length": 3600,
    "capacity": 10,
    "comment": "Bring a towel",
    "color": "#9C27B0",
}


@pytest.fixture(params=["companies", "locations"])
def family(request, altegio_sandbox, monkeypatch):
    altegio_sandbox.add_location(
        LOCATION, timezone="Europe/Riga", staff=[{"id": 1, "name": "A"}, {"id": 3, "name": "B"}], services=[{"id": 2}]
    )
    connection = altegio_sandbox.airflow_connection(
        timezone="Europe/Riga", route_family=request.param, location_id=LOCATION
    )
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", connection)
    return request.param


@pytest.fixture
def client(family, altegio_sandbox):
    with AltegioClient(
        altegio_sandbox.url,
        "sandbox-partner",
        "sandbox-user",
        route_family=family,
        timezone="Europe/Riga",
        requests_per_second=0,
        requests_per_minute=0,
        retry=RetryPolicy(sleep=lambda seconds: None),
    ) as client:
        yield client


def run(kind, **arguments):
    return kind(task_id="call", **arguments).execute({})


def live_events(sandbox):
    return [event for event in sandbox.truth(LOCATION)["events"] if not event["deleted"]]


def test_an_event_lives_from_creation_to_deletion(family, altegio_sandbox) -> None:
    created = run(AltegioCreateEventOperator, event=EVENT)
    (event,) = live_events(altegio_sandbox)
    assert event["timestamp"] == START.timestamp()
    assert run(AltegioGetEventOperator, event_id=str(created["id"]))["capacity"] == 10
    run(AltegioUpdateEventOperator, event_id=created["id"], changes={"capacity": 12})
    (event,) = live_events(altegio_sandbox)
    assert (event["capacity"], event["staff_id"], event["timestamp"]) == (12, 1, START.timestamp())
    assert run(AltegioDeleteEventOperator, event_id=created["id"]) == {"id": created["id"], "deleted": True}
    assert live_events(altegio_sandbox) == []
    assert run(AltegioDeleteEventOperator, event_id=created["id"]) == {"id": created["id"], "deleted": False}
    with pytest.raises(AltegioNotFoundError):
        run(AltegioDeleteEventOperator, event_id=created["id"], missing_ok=False)


def test_a_naive_date_is_the_locations_wall_clock(family, altegio_sandbox) -> None:
    run(AltegioCreateEventOperator, event=EVENT, date=f"{START:%Y-%m-%d} 18:00")
    (event,) = live_events(altegio_sandbox)
    assert event["date"].endswith("18:00:00")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("staff_id", 0),
        ("service_id", "yoga"),
        ("date", "soon"),
        ("length", None),
        ("capacity", 0),
        ("technical_break_duration", 100),
        ("technical_break_duration", 3600),
        ("comment", "x" * 256),
        ("instructions", "x" * 501),
        ("color", "red"),
        ("label_ids", [0]),
        ("force", "yes"),
        ("colour", "#ffffff"),
    ],
)
def test_a_wrong_field_is_named_before_anything_is_sent(family, altegio_sandbox, field, value) -> None:
    with pytest.raises(AltegioValidationError) as caught:
        run(AltegioCreateEventOperator, event={**EVENT, field: value})
    assert field in caught.value.errors
    assert altegio_sandbox.stats()["requests"] == 0


def test_every_wrong_field_is_named_at_once(family) -> None:
    with pytest.raises(AltegioValidationError) as caught:
        run(AltegioCreateEventOperator, event={"comment": 5})
    assert {"staff_id", "service_id", "date", "length", "capacity", "comment"} <= set(caught.value.errors)


def test_a_busy_teacher_is_a_conflict_that_names_force(family, altegio_sandbox) -> None:
    run(AltegioCreateEventOperator, event=EVENT)
    with pytest.raises(AltegioConflictError, match="force"):
        run(AltegioCreateEventOperator, event=EVENT)
    run(AltegioCreateEventOperator, event=EVENT, force=True)
    assert len(live_events(altegio_sandbox)) == 2


@pytest.mark.parametrize("force", [False, True])
@pytest.mark.parametrize("effect", ["lose_answer_after", "lose_answer_before", "status_after", "cut_json", "html"])
def test_a_lost_answer_makes_one_event_and_not_two(client, altegio_sandbox, effect, force) -> None:
    altegio_sandbox.fault(effect, route="create_event", times=1)
    row = create_event_once(client, LOCATION, {**EVENT, "force": force}, sleep=lambda seconds: None)
    (event,) = live_events(altegio_sandbox)
    assert row["id"] == event["id"]


def test_an_event_that_comes_late_is_not_made_twice(client, altegio_sandbox) -> None:
    altegio_sandbox.fault("lose_answer_before", route="create_event", times=1)

    def somebody_else_makes_it(seconds: float) -> None:
        altegio_sandbox.add_events(
            LOCATION, [{"date": f"{START.astimezone().replace(tzinfo=None):%Y-%m-%d %H:%M:%S}", "staff_id": 3}]
        )

    create_event_once(client, LOCATION, EVENT, sleep=somebody_else_makes_it)
    assert len([event for event in live_events(altegio_sandbox) if event["staff_id"] == 1]) == 1


@pytest.mark.parametrize("is_lost", [False, True])
def test_an_event_that_no_list_shows_is_made_and_never_made_twice(client, family, altegio_sandbox, is_lost) -> None:
    if family == "companies":
        pytest.skip("its list shows the past")
    altegio_sandbox.switch(include_deleted="refused")
    past = {**EVENT, "date": START - timedelta(days=400), "force": True}
    if not is_lost:
        assert create_event_once(client, LOCATION, past)["id"] == live_events(altegio_sandbox)[0]["id"]
        return
    altegio_sandbox.fault("lose_answer_after", route="create_event", times=1)
    with pytest.raises(AltegioOutcomeUnknownError):
        create_event_once(client, LOCATION, past, sleep=lambda seconds: None)
    assert len(live_events(altegio_sandbox)) == 1


def test_a_server_that_fails_while_the_event_is_looked_for_leaves_it_unknown(client, altegio_sandbox) -> None:
    altegio_sandbox.fault("lose_answer_after", route="create_event", times=1)

    def fall_ill(seconds: float) -> None:
        altegio_sandbox.fault("status", status=503, route="list_activities")

    with pytest.raises(AltegioOutcomeUnknownError):
        create_event_once(client, LOCATION, EVENT, sleep=fall_ill)
    assert len(live_events(altegio_sandbox)) == 1


def test_a_creation_of_unknown_outcome_is_not_tried_again_by_airflow(family, altegio_sandbox, monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    created = run(AltegioCreateEventOperator, event=EVENT)
    altegio_sandbox.fault("lose_answer_before", route="create_event")
    altegio_sandbox.fault("lose_answer_before", route="create_event_appointment")
    with pytest.raises(compat.AirflowFailException):
        run(AltegioCreateEventOperator, event={**EVENT, "staff_id": 3})
    booking = {"client": {"name": "Test", "phone": "+37120000001"}, "clients_count": 1}
    with pytest.raises(compat.AirflowFailException):
        run(AltegioCreateEventAppointmentOperator, event_id=created["id"], appointment=booking)


@pytest.mark.parametrize("effect", ["lose_answer_after", "lose_answer_before", "status_after", "status", "html"])
def test_a_lost_answer_to_an_update_or_a_deletion_changes_nothing_of_the_outcome(
    family, altegio_sandbox, monkeypatch, effect
) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    created = run(AltegioCreateEventOperator, event=EVENT)
    changes = {"capacity": 12, "label_ids": [], "resource_instance_ids": []}
    altegio_sandbox.fault(effect, route="update_event", times=1)
    assert run(AltegioUpdateEventOperator, event_id=created["id"], changes=changes)["capacity"] == 12
    altegio_sandbox.fault(effect, route="delete_event", times=1)
    deleted = run(AltegioDeleteEventOperator, event_id=created["id"], missing_ok=False)
    assert deleted == {"id": created["id"], "deleted": True}
    assert live_events(altegio_sandbox) == []


def test_what_was_not_found_is_told_apart(family, altegio_sandbox) -> None:
    with pytest.raises(AltegioNotFoundError, match=r"Location 78 does not answer under route_family='"):
        run(AltegioDeleteEventOperator, event_id=5, location_id=78)
    with pytest.raises(AltegioNotFoundError, match="has no event 5"):
        run(AltegioGetEventOperator, event_id=5)
    with pytest.raises(AltegioNotFoundError, match="Location 77 exists, so staff_id or service_id"):
        run(AltegioCreateEventOperator, event={**EVENT, "staff_id": 99})


def test_what_cannot_be_found_out_stays_unknown(client, altegio_sandbox) -> None:
    altegio_sandbox.fault("lose_answer_before", route="create_event")
    with pytest.raises(AltegioOutcomeUnknownError):
        create_event_once(client, LOCATION, EVENT, sleep=lambda seconds: None)


def test_an_update_keeps_the_labels(client, family) -> None:
    if family == "companies":
        pytest.skip("its answers show only labels that the sandbox's locations are made with")
    created = run(AltegioCreateEventOperator, event={**EVENT, "label_ids": [1401]})
    run(AltegioUpdateEventOperator, event_id=created["id"], changes={"capacity": 5})
    event = client.get_event(LOCATION, created["id"], joined=True)
    assert (event["capacity"], [label["id"] for label in event["labels"]]) == (5, [1401])


def test_none_clears_a_text_of_an_event_and_empty_texts_are_kept(client, family, altegio_sandbox) -> None:
    created = run(AltegioCreateEventOperator, event=EVENT)
    changes = {"comment": None, "label_ids": [], "resource_instance_ids": []}
    run(AltegioUpdateEventOperator, event_id=created["id"], changes={**changes, "instructions": ""})
    event = client.get_event(LOCATION, created["id"])
    assert [event[name] or "" for name in ("comment", "instructions")] == ["", ""]
    assert event["color"].lower() == "#9c27b0"


def booked_event(sandbox, seats):
    created = run(AltegioCreateEventOperator, event=EVENT)
    if seats:
        client = {"name": "Test", "phone": "+37120000001", "email": "t@example.com", "surname": "T"}
        booking = {"client": client, "clients_count": seats}
        run(AltegioCreateEventAppointmentOperator, event_id=created["id"], appointment=booking)
    return created["id"]


def updates(sandbox):
    return sum(one["times"] for one in sandbox.stats()["answers"] if one["route"].endswith("update_event"))


def test_a_capacity_below_the_seats_booked_is_refused_before_it_is_sent(family, altegio_sandbox) -> None:
    event_id = booked_event(altegio_sandbox, 2)
    changes = {"label_ids": [], "resource_instance_ids": []}
    with pytest.raises(AltegioValidationError, match="capacity") as caught:
        run(AltegioUpdateEventOperator, event_id=event_id, changes={**changes, "capacity": 1})
    assert set(caught.value.errors) == {"capacity"}
    # The events of companies tell how many appointments they have, and not how many seats: there the API refuses it.
    assert updates(altegio_sandbox) == (1 if family == "companies" else 0)
    run(AltegioUpdateEventOperator, event_id=event_id, changes={**changes, "capacity": 2})
    assert live_events(altegio_sandbox)[0]["capacity"] == 2


def test_an_event_with_bookings_is_deleted_only_where_that_is_said(family, altegio_sandbox, caplog) -> None:
    event_id = booked_event(altegio_sandbox, 2)
    with pytest.raises(AltegioValidationError, match="cancels all of them") as caught:
        run(AltegioDeleteEventOperator, event_id=event_id)
    assert set(caught.value.errors) == {"only_if_empty"}
    assert len(live_events(altegio_sandbox)) == 1
    deleted = run(AltegioDeleteEventOperator, event_id=str(event_id), only_if_empty=False)
    assert deleted == {"id": event_id, "deleted": True}
    assert live_events(altegio_sandbox) == altegio_sandbox.truth(LOCATION)["appointments"] == []
    assert run(AltegioDeleteEventOperator, event_id=event_id) == {"id": event_id, "deleted": False}


@pytest.mark.parametrize(("only_if_empty", "told"), [(True, "is not deleted"), (False, "bookings are cancelled")])
def test_a_dry_run_says_what_a_deletion_does(family, altegio_sandbox, capfd, caplog, only_if_empty, told) -> None:
    AltegioDeleteEventOperator(task_id="call", event_id="5", only_if_empty=only_if_empty).dry_run()
    out, err = capfd.readouterr()
    assert told in out + err + caplog.text
    assert altegio_sandbox.stats()["requests"] == 0


def test_one_client_is_booked(family, altegio_sandbox) -> None:
    created = run(AltegioCreateEventOperator, event=EVENT)
    client = {"name": "Test", "phone": "+37120000001", "email": "t@example.com", "surname": "T"}
    record = run(
        AltegioCreateEventAppointmentOperator,
        event_id=created["id"],
        appointment={"client": client, "clients_count": 2},
    )
    (appointment,) = altegio_sandbox.truth(LOCATION)["appointments"]
    assert record == {"id": appointment["id"], "event_id": created["id"], "clients_count": 2}
