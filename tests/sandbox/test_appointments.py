"""Bookings of both families, and the appointment calls of `locations`."""

from __future__ import annotations

import pytest

from tests.sandbox.wire import booking_body

LIST = "/locations/1001/appointments"


@pytest.fixture
def event_id(altegio_sandbox) -> int:
    """A class with three seats."""
    return altegio_sandbox.add_events(1001, [{"date": "2040-05-01 10:00:00", "capacity": 3}])[0]


@pytest.fixture
def booked(call, event_id) -> str:
    """The path of an appointment in that class."""
    path = f"/locations/1001/events/{event_id}/appointments"
    return f"{path}/{call('POST', path, booking_body('locations')).json['data']['id']}"


def seats(altegio_sandbox, event_id: int) -> int:
    return next(one["seats"] for one in altegio_sandbox.truth(1001)["events"] if one["id"] == event_id)


CHANGE = {"attendance_service_item": {"cost_per_unit": 10, "discount_percent": 0, "manual_cost": 10}}


def test_a_booking(call, family, event_id, altegio_sandbox):
    answer = call("POST", family.bookings(event_id), booking_body(family.name, 2))
    assert answer.status == family.created
    record = answer.json["data"]
    assert record["type"] == "record"
    attributes = record["attributes"]
    assert (attributes["activity_id"], attributes["clients_count"]) == (event_id, 2)
    assert (attributes["date"], attributes["attendance_status_slug"]) == ("2040-05-01T10:00:00", "waiting")
    (known,) = altegio_sandbox.truth(1001)["appointments"]
    assert (str(known["id"]), known["event_id"]) == (record["id"], event_id)


def test_sent_twice_it_books_twice_until_the_class_is_full(call, family, event_id, altegio_sandbox):
    body = booking_body(family.name)
    for _ in range(3):
        assert call("POST", family.bookings(event_id), body).status == family.created
    full = call("POST", family.bookings(event_id), body)
    assert (full.status, set(full.errors)) == (422, {"clients_count"})
    assert len(altegio_sandbox.truth(1001)["appointments"]) == seats(altegio_sandbox, event_id) == 3


def test_a_class_that_is_not_there_or_deleted_takes_nobody(call, family, event_id):
    assert call("POST", family.bookings(777_777_777), booking_body(family.name)).status == 404
    call("DELETE", family.event(event_id))
    assert call("POST", family.bookings(event_id), booking_body(family.name)).status == 404


@pytest.mark.parametrize("field", ["name", "phone", "email", "surname", "gender"])
def test_the_fields_of_a_client_are_demanded(call, family, event_id, field):
    body = booking_body(family.name)
    del body["client"][field]
    answer = call("POST", family.bookings(event_id), body)
    assert (answer.status, set(answer.errors)) == (422, {f"client.{field}"})


@pytest.mark.parametrize("field", ["id", "patronymic", "birthday", "custom_field_values", "agreements"])
def test_locations_demands_more_keys(call, event_id, field):
    body = booking_body("locations")
    del body["client"][field]
    answer = call("POST", f"/locations/1001/events/{event_id}/appointments", body)
    assert (answer.status, set(answer.errors)) == (422, {f"client.{field}"})


@pytest.mark.parametrize(
    ("name", "phone", "taken"),
    [
        ("companies", "+37120000001", True),
        ("companies", "37120000001", False),
        ("companies", "", False),
        ("companies", None, False),
        ("locations", "37120000001", True),
        ("locations", "+37120000001", False),
        ("locations", "", True),
        ("locations", None, True),
        ("locations", "12345678", False),
        ("locations", "1" * 16, False),
    ],
)
def test_each_family_writes_phones_its_own_way(call, event_id, name, phone, taken):
    path = f"/companies/1001/activities/{event_id}/records"
    if name == "locations":
        path = f"/locations/1001/events/{event_id}/appointments"
    answer = call("POST", path, booking_body(name, phone=phone))
    assert (answer.status in (200, 201)) is taken


@pytest.mark.parametrize(
    ("field", "value"), [("gender", 3), ("gender", "1"), ("email", "no address"), ("birthday", "31.12.1990")]
)
def test_a_wrong_field_of_a_client_is_named(call, family, event_id, field, value):
    answer = call("POST", family.bookings(event_id), booking_body(family.name, **{field: value}))
    assert (answer.status, set(answer.errors)) == (422, {f"client.{field}"})


def test_unknown_keys_only_locations_minds(call, family, event_id):
    body = booking_body(family.name, shoe_size=43)
    body["note"] = "x"
    answer = call("POST", family.bookings(event_id), body)
    if family.name == "companies":
        assert answer.status == family.created
    else:
        assert (answer.status, set(answer.errors)) == (422, {"client.shoe_size", "note"})


def test_labels_only_companies_takes(call, family, event_id):
    body = booking_body(family.name) | {"labels": [1401]}
    assert (call("POST", family.bookings(event_id), body).status == 422) is (family.name == "locations")


def test_agreements_are_a_list_here_and_an_object_there(call, family, event_id):
    one = {"is_newsletter_allowed": True, "is_personal_data_processing_allowed": True}
    for agreements in ([one], one):
        answer = call("POST", family.bookings(event_id), booking_body(family.name, agreements=agreements))
        fits = isinstance(agreements, list) is (family.name == "companies")
        assert (answer.status == family.created) is fits


def test_appointments_are_listed_by_page_event_and_client(call, event_id, booked, altegio_sandbox):
    other = altegio_sandbox.add_events(1001, [{"date": "2040-05-02 10:00:00"}])[0]
    call("POST", f"/locations/1001/events/{other}/appointments", booking_body("locations", phone="37120000002"))
    everything = call("GET", LIST, query={"limit": 1, "page": 2}).json
    assert everything["meta"]["pagination"] == {"page": 2, "offset": 1, "limit": 1}
    assert len(everything["data"]) == 1
    (record,) = call("GET", LIST, query={"filter[activity_id]": event_id}).json["data"]
    assert record["id"] == booked.rsplit("/", 1)[1]
    query = {"filter[client_id]": record["attributes"]["client_id"], "include": "client"}
    answer = call("GET", LIST, query=query).json
    assert [one["id"] for one in answer["data"]] == [record["id"]]
    assert answer["included"][0]["attributes"]["phone"] == "37120000001"


@pytest.mark.parametrize(
    "query",
    [
        {"filter[date_intersect_from]": "2020-01-01T00:00:00"},
        {"filter[date_intersect_from]": "2020-01-02T00:00:00", "filter[date_intersect_to]": "2020-01-01T00:00:00"},
        {"filter[date_intersect_from]": "2020-01-01", "filter[date_intersect_to]": "2020-01-02"},
        {"limit": 251},
        {"page": 0},
    ],
)
def test_a_wrong_filter_of_appointments_is_422(call, query):
    assert call("GET", LIST, query=query).status == 422


def test_an_appointment_is_changed(call, booked, event_id, altegio_sandbox):
    answer = call("PUT", booked, CHANGE | {"clients_count": 3, "comment": "with friends", "color": "9c27b0"})
    assert answer.status == 200
    assert answer.json["data"]["attributes"]["comment"] == "with friends"
    assert seats(altegio_sandbox, event_id) == 3
    assert call("PUT", booked, CHANGE | {"clients_count": 4}).status == 422
    assert set(call("PUT", booked, {}).errors) == {"attendance_service_item"}


def test_an_appointment_is_moved_to_another_class(call, booked, event_id, altegio_sandbox):
    later, full = altegio_sandbox.add_events(
        1001, [{"date": "2040-05-03 10:00:00"}, {"date": "2040-05-04 10:00:00", "capacity": 2, "first_seats": 2}]
    )
    assert call("PATCH", booked, {"reschedule_activity_id": full}).status == 422
    assert call("PATCH", booked, {"reschedule_activity_id": 777_777_777}).status == 404
    moved = call("PATCH", booked, {"reschedule_activity_id": later, "with_comer": True, "clients_count": 1})
    assert moved.json["data"]["attributes"]["activity_id"] == later
    assert (seats(altegio_sandbox, event_id), seats(altegio_sandbox, later)) == (0, 1)


def test_a_deleted_appointment_gives_its_seat_back(call, booked, event_id, altegio_sandbox):
    path = f"{LIST}/{booked.rsplit('/', 1)[1]}"
    assert (call("DELETE", path).status, seats(altegio_sandbox, event_id)) == (204, 0)
    assert call("DELETE", path).status == 404
    assert call("GET", LIST, query={"filter[activity_id]": event_id}).json["data"] == []


def test_companies_has_no_appointment_calls(call, event_id):
    assert call("GET", "/companies/1001/appointments").status == 404
    assert call("PUT", f"/companies/1001/activities/{event_id}/records/1", CHANGE).status == 404
