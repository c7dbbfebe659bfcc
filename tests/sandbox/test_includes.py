"""What comes beside rows, and the forms in which servers take the wish for it."""

from __future__ import annotations

import pytest

from altegio_provider.sandbox.operations.includes import APPOINTMENT_INCLUDES, EVENT_INCLUDES
from tests.sandbox.wire import between, booking_body

EVENTS = "/locations/1001/events"
BOOKINGS = "/locations/1001/appointments"
DAY = between("2040-05-01 00:00:00", "2040-05-02 00:00:00")


@pytest.fixture
def event_id(call, altegio_sandbox):
    """A class with a label, a room, and a booking that has a tag."""
    row = {"date": "2040-05-01 10:00:00", "label_ids": [1401], "resource_ids": [1201]}
    (number,) = altegio_sandbox.add_events(1001, [row])
    call("POST", f"/companies/1001/activities/{number}/records", booking_body("companies") | {"labels": [1402]})
    return number


def relationships(answer):
    assert answer.status == 200, answer.content
    return set(answer.json["data"][0].get("relationships", {}))


def bracketed(name):
    return "include[]", name


@pytest.mark.parametrize(
    ("switches", "keys", "seen"),
    [
        ({}, "include[]", {"staff", "labels"}),
        ({}, "include", {"staff", "labels"}),
        ({"bare_include": "last"}, "include", {"labels"}),
        ({"bare_include": "last"}, "include[]", {"staff", "labels"}),
        ({"bare_include": "ignored"}, "include", set()),
        ({"bracket_include": "ignored"}, "include[]", set()),
    ],
)
@pytest.mark.parametrize("path", [EVENTS, BOOKINGS])
def test_which_names_count(call, event_id, altegio_sandbox, path, switches, keys, seen):
    altegio_sandbox.switch(**switches)
    answer = call("GET", path, query=[*DAY, ("filter[activity_id]", event_id), (keys, "staff"), (keys, "labels")])
    assert relationships(answer) == seen


@pytest.mark.parametrize(("switch", "key"), [("bare_include", "include"), ("bracket_include", "include[]")])
def test_a_form_can_be_refused(call, event_id, altegio_sandbox, switch, key):
    altegio_sandbox.switch(**{switch: "refused"})
    for path in (EVENTS, BOOKINGS, f"{EVENTS}/{event_id}"):
        answer = call("GET", path, query=[*DAY, (key, "staff")])
        assert (answer.status, set(answer.errors)) == (422, {key})


@pytest.mark.parametrize(("path", "names"), [(EVENTS, EVENT_INCLUDES), (BOOKINGS, APPOINTMENT_INCLUDES)])
def test_every_relationship_that_is_asked_for_is_in_the_rows_and_leads_somewhere(call, event_id, path, names):
    answer = call("GET", path, query=[*DAY, ("filter[activity_id]", event_id), *map(bracketed, sorted(names))]).json
    (row,) = answer["data"]
    assert set(row["relationships"]) == {name for name in names if "." not in name}
    there = {(one["type"], one["id"]) for one in answer["included"]}
    for linked in row["relationships"].values():
        for one in linked["data"] if isinstance(linked["data"], list) else [linked["data"]]:
            assert one is None or (one["type"], one["id"]) in there


def test_a_booking_has_its_tags_services_and_price_line_beside_it(call, event_id):
    names = ("labels", "services", "attendance_service_items", "comer")
    answer = call("GET", BOOKINGS, query=[("filter[activity_id]", event_id), *map(bracketed, names)]).json
    of_type = {one["type"]: one for one in answer["included"]}
    assert set(of_type) == {"label", "service", "attendance_service_item"}
    assert of_type["label"]["id"] == "1402"
    price = of_type["attendance_service_item"]["attributes"]
    assert price["cost_per_unit"] == price["manual_cost"] == 12
    assert price["discount_percent"] == 0
    assert answer["data"][0]["relationships"]["comer"] == {"data": None}


def test_side_loads_without_a_type(call, altegio_sandbox):
    """A label has the number of a team member: only the relationship tells them apart."""
    altegio_sandbox.add_location(
        77,
        timezone="Europe/Riga",
        staff=[{"id": 5, "name": "Anna"}],
        services=[{"id": 5, "title": "Yoga"}],
        labels=[{"id": 5, "title": "new"}],
    )
    altegio_sandbox.add_events(77, [{"date": "2040-05-01 10:00:00", "label_ids": [5]}])
    altegio_sandbox.switch(untyped=["staff", "labels"])
    query = [*DAY, *map(bracketed, ("staff", "service", "labels"))]
    answer = call("GET", "/locations/77/events", query=query).json
    links = answer["data"][0]["relationships"]
    assert links["staff"]["data"] == {"type": None, "id": "5"}
    assert links["labels"]["data"] == [{"type": None, "id": "5"}]
    assert links["service"]["data"] == {"type": "service", "id": "5"}
    assert [(one["type"], one["id"], *one["attributes"].values()) for one in answer["included"]] == [
        (None, "5", "Anna"),
        ("service", "5", "Yoga"),
        (None, "5", "new"),
    ]
