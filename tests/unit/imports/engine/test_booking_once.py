"""One booking without a ledger, against a sandbox that loses answers: once or not at all, and never twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from altegio_provider.api import AltegioClient, RetryPolicy
from altegio_provider.api.errors import (
    AltegioAuthError,
    AltegioNotFoundError,
    AltegioOutcomeUnknownError,
    AltegioServerError,
    AltegioValidationError,
)
from altegio_provider.imports.engine.booking_once import book_once

LOCATION = 77
NOON = (datetime.now(UTC) + timedelta(days=5)).replace(hour=12, minute=0, second=0, microsecond=0, tzinfo=None)
ANNA = {"client": {"name": "Anna", "phone": "+37120000001"}, "clients_count": 2}
ZOE = {"client": {"name": "Zoe", "phone": "+37120000002"}, "clients_count": 1}


@pytest.fixture(params=["companies", "locations"])
def client(request, altegio_sandbox):
    with AltegioClient(
        altegio_sandbox.url,
        "sandbox-partner",
        "sandbox-user",
        route_family=request.param,
        timezone="Europe/Riga",
        requests_per_second=0,
        requests_per_minute=0,
        retry=RetryPolicy(attempts=2, sleep=lambda seconds: None),
    ) as client:
        yield client


@pytest.fixture
def event_id(altegio_sandbox):
    altegio_sandbox.add_location(LOCATION, timezone="Europe/Riga", staff=[{"id": 1}], services=[{"id": 2}])
    return altegio_sandbox.add_events(LOCATION, [{"date": NOON.isoformat(), "capacity": 5}])[0]


@pytest.fixture
def book(client, event_id, altegio_sandbox):
    def book(appointment=ANNA):
        return book_once(client, LOCATION, event_id, appointment, sleep=altegio_sandbox.advance)

    return book


def booked(sandbox):
    return [(one["id"], one["client"]["name"]) for one in sandbox.truth(LOCATION)["appointments"]]


def test_a_booking_is_made(book, event_id, altegio_sandbox) -> None:
    record = book()
    assert booked(altegio_sandbox) == [(record["id"], "Anna")]
    assert (record["activity_id"], record["clients_count"]) == (event_id, 2)


@pytest.mark.parametrize("effect", ["lose_answer_after", "lose_answer_before", "status_after", "status", "cut_json"])
@pytest.mark.parametrize("times", [1, 2])
def test_a_lost_answer_books_once(book, altegio_sandbox, effect, times) -> None:
    altegio_sandbox.fault(effect, route="create_event_appointment", times=times)
    record = book()
    assert booked(altegio_sandbox) == [(record["id"], "Anna")]


def test_a_booking_that_comes_late_is_waited_for(book, altegio_sandbox) -> None:
    altegio_sandbox.fault("late_effect", route="create_event_appointment", times=1, seconds=12)
    record = book()
    assert booked(altegio_sandbox) == [(record["id"], "Anna")]


def test_a_client_whose_number_comes_late_is_waited_for(book, altegio_sandbox) -> None:
    altegio_sandbox.fault("late_client_id", route="create_event_appointment", seconds=30)
    altegio_sandbox.fault("lose_answer_after", route="create_event_appointment", times=1)
    record = book()
    assert booked(altegio_sandbox) == [(record["id"], "Anna")]


def test_an_older_booking_of_the_same_client_is_not_taken_for_this_one(book, altegio_sandbox) -> None:
    older = book()
    altegio_sandbox.fault("lose_answer_before", route="create_event_appointment", times=1)
    record = book()
    assert record["id"] != older["id"]
    assert booked(altegio_sandbox) == [(older["id"], "Anna"), (record["id"], "Anna")]


def test_a_booking_of_somebody_else_is_not_taken_for_this_one(client, event_id, altegio_sandbox) -> None:
    altegio_sandbox.fault("lose_answer_before", route="create_event_appointment", nth=1)

    def meanwhile(seconds):
        altegio_sandbox.clear_faults()
        client.create_event_appointment(LOCATION, event_id, ZOE)

    record = book_once(client, LOCATION, event_id, ANNA, sleep=meanwhile)
    assert sorted(name for _, name in booked(altegio_sandbox)) == ["Anna", "Zoe"]
    assert (record["id"], "Anna") in booked(altegio_sandbox)


def test_a_booking_that_lost_its_event_is_found_and_said_so(book, altegio_sandbox) -> None:
    altegio_sandbox.fault("record_without_event", route="create_event_appointment")
    altegio_sandbox.fault("lose_answer_after", route="create_event_appointment", times=1)
    record = book()
    assert booked(altegio_sandbox) == [(record["id"], "Anna")]
    assert record["activity_id"] == 0


def test_the_last_seats_taken_by_the_lost_booking_are_no_refusal(
    client, event_id, altegio_sandbox, monkeypatch
) -> None:
    altegio_sandbox.fault("lose_answer_before", route="create_event_appointment", nth=1)
    send, sent = client.create_event_appointment, []

    def send_just_after_the_lost_one_arrives(*arguments):
        sent.append(arguments)
        if len(sent) == 2:
            send(*arguments)
        return send(*arguments)

    monkeypatch.setattr(client, "create_event_appointment", send_just_after_the_lost_one_arrives)
    record = book_once(client, LOCATION, event_id, {**ANNA, "clients_count": 5}, sleep=altegio_sandbox.advance)
    assert booked(altegio_sandbox) == [(record["id"], "Anna")]
    assert len(sent) == 2


def test_a_masked_phone_leaves_it_open_and_nothing_is_sent_again(book, altegio_sandbox) -> None:
    altegio_sandbox.fault("mask_phones", route="list_appointments")
    altegio_sandbox.fault("lose_answer_after", route="create_event_appointment", times=1)
    with pytest.raises(AltegioOutcomeUnknownError, match="masked"):
        book()
    assert len(booked(altegio_sandbox)) == 1


def test_without_a_right_to_look_a_lost_answer_stays_lost(book, altegio_sandbox) -> None:
    altegio_sandbox.fault("status", status=403, route="list_appointments")
    record = book()
    altegio_sandbox.fault("lose_answer_after", route="create_event_appointment", times=1)
    with pytest.raises(AltegioOutcomeUnknownError, match="cannot be listed"):
        book(ZOE)
    assert booked(altegio_sandbox)[0] == (record["id"], "Anna")
    assert len(booked(altegio_sandbox)) == 2


def test_a_server_that_fails_before_anything_is_sent_is_no_doubt(book, altegio_sandbox) -> None:
    altegio_sandbox.fault("status", status=503, route="list_appointments")
    with pytest.raises(AltegioServerError) as caught:
        book()
    assert not isinstance(caught.value, AltegioOutcomeUnknownError)
    assert booked(altegio_sandbox) == []


def test_a_server_that_fails_while_it_is_looked_for_leaves_it_open(client, event_id, altegio_sandbox) -> None:
    altegio_sandbox.fault("lose_answer_before", route="create_event_appointment", times=1)

    def fall_ill(seconds):
        altegio_sandbox.fault("status", status=503, route="list_appointments")

    with pytest.raises(AltegioOutcomeUnknownError, match="the search failed"):
        book_once(client, LOCATION, event_id, ANNA, sleep=fall_ill)
    assert booked(altegio_sandbox) == []


def test_what_never_comes_through_is_given_up(book, altegio_sandbox) -> None:
    altegio_sandbox.fault("lose_answer_before", route="create_event_appointment")
    with pytest.raises(AltegioOutcomeUnknownError):
        book()
    assert booked(altegio_sandbox) == []


def test_a_faulty_booking_is_refused_before_the_first_request(book, altegio_sandbox) -> None:
    with pytest.raises(AltegioValidationError) as caught:
        book({"client": {"name": "Anna", "phone": "20000001"}, "clients_count": 0})
    assert set(caught.value.errors) == {"client.phone", "clients_count"}
    assert altegio_sandbox.stats()["requests"] == 0


def test_a_full_class_is_refused_in_the_apis_words(book, altegio_sandbox) -> None:
    with pytest.raises(AltegioValidationError) as caught:
        book({**ANNA, "clients_count": 6})
    assert "clients_count" in caught.value.errors


def test_an_event_that_is_not_there_is_not_found(client, event_id, altegio_sandbox) -> None:
    with pytest.raises(AltegioNotFoundError):
        book_once(client, LOCATION, 5, ANNA)


def test_a_location_without_a_right_is_named_as_such(client, altegio_sandbox) -> None:
    altegio_sandbox.add_location(78, forbidden=True)
    with pytest.raises(AltegioAuthError):
        book_once(client, 78, 5, ANNA)


@pytest.mark.parametrize("other", [None, ZOE])
@pytest.mark.parametrize(
    "switches", [{"bracket_include": "refused", "bare_include": "last"}, {"bracket_include": "ignored"}]
)
def test_a_server_that_does_not_show_the_client_leaves_a_lost_booking_in_doubt(
    book, client, event_id, altegio_sandbox, switches, other
) -> None:
    if other is not None:
        client.create_event_appointment(LOCATION, event_id, other)
    altegio_sandbox.switch(**switches)
    altegio_sandbox.fault("lose_answer_after", route="create_event_appointment", times=1)
    before = altegio_sandbox.stats()["requests"]
    with pytest.raises(AltegioOutcomeUnknownError, match="masked or hidden"):
        book()
    assert altegio_sandbox.stats()["requests"] - before <= 10, "it is looked for once"
    assert len(booked(altegio_sandbox)) == 1 + (other is not None)
