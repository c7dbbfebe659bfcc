"""Odd input gets an answer of the API: never a 500, never a thing half done."""

from __future__ import annotations

import pytest

from tests.sandbox.wire import between, booking_body, event_body

COMPANIES = "/companies/1001/activities"


@pytest.mark.parametrize(
    "moment",
    ["2026-1-1 1:1:1", "2026-01-01  1:00:00", "0001-01-01 00:00:00", "9999-12-31 00:00:00", "2026-01-01 24:00:00"],
)
def test_a_time_is_written_exactly_as_the_api_says(call, family, moment):
    for query in (between(moment, "2040-01-01 00:00:00"), between("2040-01-01 00:00:00", moment)):
        assert call("GET", family.events(), query=query).status == 422
    answer = call("POST", family.events(), event_body(date=moment))
    assert (answer.status, set(answer.errors)) == (422, {"date"})


@pytest.mark.parametrize("number", ["²", "-1", "1.5", "٣", "9" * 5000])
@pytest.mark.parametrize("name", ["limit", "offset", "filter[capacity]", "filter[master_ids][]"])
def test_a_number_in_a_query_is_digits(call, name, number):
    day = between("2040-01-01 00:00:00", "2040-01-02 00:00:00")
    assert call("GET", COMPANIES, query=[*day, (name, number)]).status == 422


def test_a_number_nobody_has_is_404(call, family):
    assert call("GET", family.event(int("9" * 4000))).status == 404
    assert call("GET", family.events(int("9" * 4000)), query=between(*["2040-01-01 00:00:00"] * 2)).status == 404


def test_a_length_no_clock_can_add(call, family):
    answer = call("POST", family.events(), event_body(length=10**15))
    assert (answer.status, set(answer.errors)) == (422, {"length"})


def test_a_405_says_what_is_allowed(call):
    assert call("PATCH", COMPANIES).headers["allow"]


def test_a_break_is_part_of_the_length(call, family):
    body = event_body(length=300, technical_break_duration=600)
    answer = call("POST", family.events(), body)
    assert (answer.status, set(answer.errors)) == (422, {"technical_break_duration"})


@pytest.mark.parametrize("field", ["label_ids", "resource_instance_ids"])
def test_a_label_or_room_that_is_not_there(call, family, field):
    answer = call("POST", family.events(), event_body(**{field: [77]}))
    assert (answer.status, set(answer.errors)) == (422, {field})


@pytest.mark.parametrize(
    ("field", "value"),
    [("phone", "٣٧١٢٠٠٠٠٠٠١"), ("birthday", "20000101"), ("birthday", "2000-W01-1"), ("birthday", "")],
)
def test_what_python_reads_but_the_api_does_not(call, family, altegio_sandbox, field, value):
    event_id = altegio_sandbox.add_events(1001, [{"date": "2040-05-01 10:00:00"}])[0]
    if field == "phone" and family.name == "companies":
        value = "+" + value
    answer = call("POST", family.bookings(event_id), booking_body(family.name, **{field: value}))
    assert (answer.status, set(answer.errors)) == (422, {f"client.{field}"})


@pytest.mark.parametrize("agreements", [{}, {"is_newsletter_allowed": True}, {"is_newsletter_allowed": 1}])
def test_both_agreements_are_demanded(call, family, altegio_sandbox, agreements):
    event_id = altegio_sandbox.add_events(1001, [{"date": "2040-05-01 10:00:00"}])[0]
    given = [agreements] if family.name == "companies" else agreements
    answer = call("POST", family.bookings(event_id), booking_body(family.name, agreements=given))
    assert (answer.status, set(answer.errors)) == (422, {"client.agreements"})


def test_moving_a_booking_into_its_own_class_takes_no_seat_that_is_not_there(call, altegio_sandbox):
    altegio_sandbox.switch(move_rules=False)
    event_id = altegio_sandbox.add_events(1001, [{"date": "2040-05-01 10:00:00", "capacity": 3}])[0]
    path = f"/locations/1001/events/{event_id}/appointments"
    record = call("POST", path, booking_body("locations")).json["data"]["id"]
    for wanted, status in ((4, 422), (3, 200)):
        body = {"reschedule_activity_id": event_id, "clients_count": wanted}
        assert call("PATCH", f"{path}/{record}", body).status == status


@pytest.mark.parametrize(
    ("start", "end", "there"),
    [("09:00", "10:00", 0), ("09:00", "10:01", 1), ("10:30", "10:40", 1), ("10:59", "12:00", 1), ("11:00", "12:00", 0)],
)
def test_appointments_that_take_place_in_a_part_of_the_time(call, altegio_sandbox, start, end, there):
    event_id = altegio_sandbox.add_events(1001, [{"date": "2040-05-01 10:00:00", "length": 3600}])[0]
    call("POST", f"/locations/1001/events/{event_id}/appointments", booking_body("locations"))
    bounds = {"from": f"2040-05-01T{start}:00", "to": f"2040-05-01T{end}:00"}
    query = {f"filter[date_intersect_{name}]": value for name, value in bounds.items()}
    assert len(call("GET", "/locations/1001/appointments", query=query).json["data"]) == there


def test_what_cannot_be_included(call, altegio_sandbox):
    event_id = altegio_sandbox.add_events(1001, [{"date": "2040-05-01 10:00:00"}])[0]
    day = between("2040-05-01 00:00:00", "2040-05-02 00:00:00")
    assert call("GET", f"/locations/1001/events/{event_id}", query={"include": "weather"}).status == 422
    assert call("GET", "/locations/1001/events", query=[*day, ("include", "weather")]).status == 422


@pytest.mark.parametrize(
    "change",
    [
        {"comment": 1},
        {"color": "#9c27b0"},
        {"label_ids": [0]},
        {"clients_count": 0},
        {"attendance_good_items": None},
        {"attendance_good_items": [1]},
    ],
)
def test_a_wrong_field_of_a_change_is_named(call, altegio_sandbox, change):
    event_id = altegio_sandbox.add_events(1001, [{"date": "2040-05-01 10:00:00"}])[0]
    path = f"/locations/1001/events/{event_id}/appointments"
    record = call("POST", path, booking_body("locations")).json["data"]["id"]
    price = {"cost_per_unit": 1, "discount_percent": 0, "manual_cost": 1}
    answer = call("PUT", f"{path}/{record}", {"attendance_service_item": price, **change})
    assert (answer.status, set(answer.errors)) == (422, set(change))
