"""Fifty bookings by one request."""

from __future__ import annotations

from http.client import RemoteDisconnected

import pytest


@pytest.fixture
def event_id(altegio_sandbox):
    return altegio_sandbox.add_events(1001, [{"date": "2040-05-01 10:00:00", "capacity": 60}])[0]


@pytest.fixture
def path(event_id):
    return f"/locations/1001/events/{event_id}/appointments/bulk"


def rows(count, **fields):
    return {
        "records": [{"name": f"N{n}", "phone": f"371200000{n:02}", "clients_count": 1, **fields} for n in range(count)]
    }


def booked(altegio_sandbox):
    return [one["client"]["name"] for one in altegio_sandbox.truth(1001)["appointments"]]


def test_fifty_are_booked_in_their_order(call, path, event_id, altegio_sandbox):
    answer = call("POST", path, rows(50))
    assert answer.status == 201
    assert booked(altegio_sandbox) == [f"N{n}" for n in range(50)]
    attributes = [one["attributes"] for one in answer.json["data"]]
    assert len(attributes) == 50
    assert {one["activity_id"] for one in attributes} == {event_id}
    assert answer.json["meta"] == []


def test_sent_twice_it_books_twice(call, path, altegio_sandbox):
    for _ in range(2):
        assert call("POST", path, rows(2)).status == 201
    assert sorted(booked(altegio_sandbox)) == ["N0", "N0", "N1", "N1"]


def test_the_places_run_out_in_the_order_of_the_rows_and_the_rest_is_named(call, altegio_sandbox):
    (number,) = altegio_sandbox.add_events(1001, [{"date": "2040-05-01 12:00:00", "capacity": 3}])
    body = rows(4)
    body["records"][1]["clients_count"] = 3
    body["records"][2]["phone"] = "+371"
    answer = call("POST", f"/locations/1001/events/{number}/appointments/bulk", body)
    assert (answer.status, len(answer.json["data"])) == (201, 2)
    assert booked(altegio_sandbox) == ["N0", "N3"]
    refused = answer.json["meta"]["errors"]
    assert [(one["index"], one["name"], one["phone"]) for one in refused] == [
        (1, "N1", "37120000001"),
        (2, "N2", "+371"),
    ]
    assert all(one["error"] for one in refused)


def test_201_also_when_all_are_refused(call, altegio_sandbox):
    (number,) = altegio_sandbox.add_events(1001, [{"date": "2040-05-01 12:00:00", "capacity": 1, "first_seats": 1}])
    answer = call("POST", f"/locations/1001/events/{number}/appointments/bulk", rows(2))
    assert (answer.status, answer.json["data"]) == (201, [])
    assert [one["index"] for one in answer.json["meta"]["errors"]] == [0, 1]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "records"),
        ({"records": []}, "records"),
        (rows(51), "records"),
        ({"records": [{"clients_count": 1}]}, "records.0.name"),
        ({"records": [{"name": "N"}]}, "records.0.clients_count"),
        (rows(1, surname="S"), "records.0.surname"),
        (rows(1, send_sms_now=2), "records.0.send_sms_now"),
        (rows(1, send_sms_now=True), "records.0.send_sms_now"),
        ({"records": [1]}, "records.0"),
        ({**rows(1), "force": True}, "force"),
    ],
)
def test_a_body_that_cannot_be_right_books_nobody(call, path, altegio_sandbox, body, field):
    answer = call("POST", path, body)
    assert (answer.status, set(answer.errors)) == (422, {field})
    assert booked(altegio_sandbox) == []


def test_a_client_who_is_known_needs_no_name(call, path, altegio_sandbox):
    assert call("POST", path, {"records": [{"client_id": 4711, "clients_count": 2}]}).status == 201
    (one,) = altegio_sandbox.truth(1001)["appointments"]
    assert (one["client"]["id"], one["clients_count"]) == (4711, 2)


def test_messages_are_sent_to_those_who_shall_have_one(call, path, altegio_sandbox):
    body = rows(2)
    body["records"][1]["send_sms_now"] = 1
    made = call("POST", path, body).json["data"]
    messages = [{"appointment_id": int(made[1]["id"]), "reason": "send_sms_now"}]
    assert altegio_sandbox.truth(1001)["messages"] == messages


def test_a_class_that_is_not_there_or_deleted_takes_nobody(call, path, event_id):
    assert call("POST", path.replace(str(event_id), "777777777"), rows(1)).status == 404
    call("DELETE", f"/locations/1001/events/{event_id}")
    assert call("POST", path, rows(1)).status == 404


@pytest.mark.parametrize("status", [403, 404, 405])
def test_a_server_without_the_route(call, path, altegio_sandbox, status):
    altegio_sandbox.switch(missing_routes={"bulk_create_event_appointments": status})
    answer = call("POST", path, rows(1))
    assert (answer.status, answer.json["success"]) == (status, False)
    assert booked(altegio_sandbox) == []


@pytest.mark.parametrize(
    ("params", "there"),
    [({}, ["N0", "N1"]), ({"rows": 3}, ["N0", "N1", "N2"]), ({"rows": [1, 3]}, ["N1", "N3"]), ({"rows": 0}, [])],
)
def test_some_rows_take_effect_and_the_answer_is_lost(call, path, altegio_sandbox, params, there):
    altegio_sandbox.fault("partial_effect", route="bulk_create_event_appointments", **params)
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        call("POST", path, rows(4))
    assert booked(altegio_sandbox) == there


def test_some_rows_take_effect_and_the_answer_tells_only_of_them(call, path, altegio_sandbox):
    altegio_sandbox.fault("partial_effect", answer="short", rows=[2])
    answer = call("POST", path, rows(4))
    assert (answer.status, len(answer.json["data"]), answer.json["meta"]) == (201, 1, [])
    assert booked(altegio_sandbox) == ["N2"]


@pytest.mark.parametrize(("effect", "there"), [("lose_answer_before", 0), ("lose_answer_after", 4)])
def test_a_lost_answer(call, path, altegio_sandbox, effect, there):
    altegio_sandbox.fault(effect, route="bulk_create_event_appointments")
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        call("POST", path, rows(4))
    assert len(booked(altegio_sandbox)) == there


def test_the_other_rows_take_effect_later(call, path, altegio_sandbox):
    altegio_sandbox.fault("partial_effect", rows=[2, 3], rest_seconds=30, times=1)
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        call("POST", path, rows(4))
    assert booked(altegio_sandbox) == ["N2", "N3"]
    altegio_sandbox.advance(31)
    assert booked(altegio_sandbox) == ["N2", "N3", "N0", "N1"]
