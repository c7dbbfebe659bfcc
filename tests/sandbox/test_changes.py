"""The change and the move of an appointment: what is lost with it, and what forbids it."""

from __future__ import annotations

import pytest

from tests.sandbox.wire import booking_body

PRICE = {"cost_per_unit": 10, "discount_percent": 50, "manual_cost": 5}
GOOD = {
    "id": None,
    "good_id": 31,
    "unit_id": 1,
    "storage_id": 2,
    "staff_id": 1001,
    "operation_unit_type": "sale",
    "number": None,
    "quantity": 2,
    "cost_per_unit": 3,
    "manual_cost": 6,
    "discount_percent": 0,
    "marks": [],
    "planned_activation_date": None,
}


@pytest.fixture
def event_id(altegio_sandbox):
    return altegio_sandbox.add_events(1001, [{"date": "2040-05-01 10:00:00", "capacity": 9}])[0]


@pytest.fixture
def booked(altegio_sandbox, event_id):
    """The path of a booking with a tag, a product and a comment."""
    rows = [{"event_id": event_id, "label_ids": [1401], "goods": [GOOD], "comment": "by the window"}]
    (number,) = altegio_sandbox.add_appointments(1001, rows)
    return f"/locations/1001/events/{event_id}/appointments/{number}"


@pytest.fixture
def truth(altegio_sandbox, booked):
    """What is really known of that booking."""
    number = int(booked.rsplit("/", 1)[1])
    return lambda: next(one for one in altegio_sandbox.truth(1001)["appointments"] if one["id"] == number)


def change(call, booked, **changes):
    answer = call("PUT", booked, {"attendance_service_item": PRICE, **changes})
    assert answer.status == 200, answer.content


def test_what_is_not_sent_is_lost(call, booked, truth):
    assert truth()["label_ids"] == [1401]
    assert len(truth()["goods"]) == 1
    change(call, booked)
    assert (truth()["label_ids"], truth()["goods"]) == ([], [])
    assert truth()["price"] == {**PRICE, "is_trial": False}
    assert truth()["comment"] == "by the window"


def test_what_is_sent_stays(call, booked, truth):
    kept = truth()["goods"][0]
    new = {**GOOD, "good_id": 32}
    change(call, booked, label_ids=[1401, 1402], attendance_good_items=[kept, new])
    assert truth()["label_ids"] == [1401, 1402]
    assert [(good["id"] == kept["id"], good["good_id"]) for good in truth()["goods"]] == [(True, 31), (False, 32)]


def test_null_clears(call, booked, truth):
    change(call, booked, comment=None, label_ids=None, color=None, clients_count=None)
    assert (truth()["comment"], truth()["label_ids"], truth()["clients_count"]) == (None, [], 1)


def test_a_product_of_another_booking_is_refused(call, booked, truth):
    body = {"attendance_service_item": PRICE, "attendance_good_items": [{**GOOD, "id": 1}]}
    answer = call("PUT", booked, body)
    assert (answer.status, set(answer.errors)) == (422, {"attendance_good_items.0.id"})
    assert len(truth()["goods"]) == 1


@pytest.mark.parametrize("name", GOOD)
def test_every_field_of_a_product_is_demanded(call, booked, name):
    good = {key: value for key, value in GOOD.items() if key != name}
    answer = call("PUT", booked, {"attendance_service_item": PRICE, "attendance_good_items": [good]})
    assert (answer.status, set(answer.errors)) == (422, {f"attendance_good_items.0.{name}"})


def test_a_server_that_keeps_what_is_not_sent(call, booked, truth, altegio_sandbox):
    altegio_sandbox.switch(change_wipes=False)
    change(call, booked)
    assert truth()["label_ids"] == [1401]
    assert len(truth()["goods"]) == 1
    change(call, booked, label_ids=[], attendance_good_items=[])
    assert (truth()["label_ids"], truth()["goods"]) == ([], [])


def test_products_are_included(call, booked, event_id):
    query = {"filter[activity_id]": event_id, "include[]": "attendance_good_items"}
    answer = call("GET", "/locations/1001/appointments", query=query).json
    (good,) = answer["included"]
    assert good["type"] == "attendance_good_item"
    assert (good["attributes"]["good_id"], good["attributes"]["quantity"], good["attributes"]["cost"]) == (31, 2, 6)


def test_three_columns_are_numbers(call, event_id, altegio_sandbox):
    row = {"event_id": event_id, "source": 3, "is_mobile": 2, "prepaid_status": 1, "paid_full": 2}
    altegio_sandbox.add_appointments(1001, [row])

    def columns():
        query = {"filter[activity_id]": event_id}
        attributes = call("GET", "/locations/1001/appointments", query=query).json["data"][0]["attributes"]
        return [attributes[name] for name in ("source", "is_mobile", "prepaid_status", "paid_full", "is_overpaid")]

    assert columns() == [3, 2, 1, 2, True]
    altegio_sandbox.switch(number_columns=False)
    assert columns() == ["", True, "forbidden", 2, True]


def test_a_booking_by_the_api_says_so(call, event_id):
    call("POST", f"/locations/1001/events/{event_id}/appointments", booking_body("locations"))
    (row,) = call("GET", "/locations/1001/appointments", query={"filter[activity_id]": event_id}).json["data"]
    assert row["attributes"]["record_from"] == "API"


@pytest.fixture
def target(altegio_sandbox):
    return altegio_sandbox.add_events(1001, [{"date": "2040-05-08 10:00:00"}])[0]


@pytest.mark.parametrize(
    ("booking", "field"),
    [({"attendance": 1}, "attendance"), ({"attendance": 2}, "attendance"), ({"paid_full": 1}, "paid_full")],
)
def test_only_waiting_and_unpaid_bookings_are_moved(call, event_id, target, altegio_sandbox, booking, field):
    (number,) = altegio_sandbox.add_appointments(1001, [{"event_id": event_id, **booking}])
    path = f"/locations/1001/events/{event_id}/appointments/{number}"
    answer = call("PATCH", path, {"reschedule_activity_id": target})
    assert (answer.status, set(answer.errors)) == (422, {field})
    altegio_sandbox.switch(move_rules=False)
    assert call("PATCH", path, {"reschedule_activity_id": target}).status == 200


def test_nothing_moves_out_of_what_is_over_or_into_the_past(call, booked, event_id, target, altegio_sandbox):
    (past,) = altegio_sandbox.add_events(1001, [{"date": "2020-05-01 10:00:00"}])
    answer = call("PATCH", booked, {"reschedule_activity_id": past})
    assert (answer.status, set(answer.errors)) == (422, {"reschedule_activity_id"})
    (number,) = altegio_sandbox.add_appointments(1001, [{"event_id": past, "paid_full": 1}])
    over = f"/locations/1001/events/{past}/appointments/{number}"
    answer = call("PATCH", over, {"reschedule_activity_id": target})
    assert (answer.status, set(answer.errors)) == (422, {"activity_id", "paid_full"})


def test_nobody_moves_to_where_they_are(call, booked, target, truth, altegio_sandbox):
    altegio_sandbox.add_appointments(1001, [{"event_id": target, "client": truth()["client"]}])
    answer = call("PATCH", booked, {"reschedule_activity_id": target})
    assert (answer.status, set(answer.errors)) == (422, {"reschedule_activity_id"})


def test_a_comment_goes_along(call, booked, target, truth):
    assert call("PATCH", booked, {"reschedule_activity_id": target, "comment": "moved"}).status == 200
    assert (truth()["event_id"], truth()["comment"]) == (target, "moved")
