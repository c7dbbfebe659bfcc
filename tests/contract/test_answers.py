"""Every operation of both families: what it answers when all is well, and that it did what it says."""

from __future__ import annotations

from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from tests.contract.contract import each_operation


def resource(answer):
    """The resource of an answer, flat, whichever form it has."""
    assert answer.ok, answer.text
    data = answer.json()["data"]
    return {**data, **data.get("attributes", {}), "id": int(data["id"])}


def rows(answer):
    """The resources of a list."""
    assert answer.ok, answer.text
    return [{**row, **row.get("attributes", {}), "id": int(row["id"])} for row in answer.json()["data"]]


def listed(requester, **query):
    """The ids of the day on which events are made."""
    return [row["id"] for row in rows(requester.send("list_activities", query=[*requester.ahead(), *query.items()]))]


@each_operation
def test_a_good_request_is_answered_as_documented(requester, operation):
    answer = requester.send_good(operation)
    good = {status for status in operation.statuses if status.startswith("2")}
    assert {str(answer.status_code), f"{answer.status_code // 100}XX"} & good, answer.text


@each_operation
def test_a_deletion_that_is_only_accepted_is_in_the_document(requester, operation, sandbox):
    if operation.method == "DELETE":
        sandbox.fault("accepted", route=operation.name)
        assert requester.send_good(operation).status_code == 202
    else:
        assert "202" not in operation.statuses


@pytest.mark.usefixtures("memory")
def test_what_is_created_is_read_and_listed(requester):
    body = requester.event_body(capacity=7, comment="of the contract", color="#9c27b0", technical_break_duration=300)
    created = resource(requester.send_good(requester.operation("create_event"), body=body))
    read = resource(requester.send("get_event", event_id=created["id"]))
    for name in ("staff_id", "service_id", "length", "capacity", "comment", "color"):
        assert created[name] == read[name] == body[name], name
    assert read["date"].replace("T", " ").startswith(body["date"])
    assert created["id"] in listed(requester)


@pytest.mark.usefixtures("memory")
def test_a_replacement_replaces(requester):
    event_id = requester.event(comment="before", capacity=3)
    body = requester.event_body(capacity=5, comment=None, instructions="bring a mat")
    assert resource(requester.send("update_event", body, event_id=event_id))["capacity"] == 5
    read = resource(requester.send("get_event", event_id=event_id))
    assert (read["capacity"], read["instructions"]) == (5, "bring a mat")
    assert not read["comment"]


@pytest.mark.usefixtures("memory")
def test_a_deleted_event_is_read_and_no_longer_listed(requester):
    event_id = requester.event()
    assert requester.send("delete_event", event_id=event_id).ok
    assert resource(requester.send("get_event", event_id=event_id))["id"] == event_id
    assert event_id not in listed(requester)


@pytest.mark.usefixtures("memory")
def test_pages_hold_each_event_once(requester):
    made = {requester.event() for _ in range(5)}
    found: list[int] = []
    for number in range(4):
        page = {"companies": ("offset", 2 * number), "locations": ("page", 1 + number)}[requester.family]
        found += listed(requester, **{"limit": 2, page[0]: page[1]})
    assert made <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.usefixtures("memory")
def test_filters_leave_out_what_is_not_meant(requester):
    event_id = requester.event()
    staff_id, service_id = requester.catalogue()
    for name, number in (("master_ids", staff_id), ("service_ids", service_id)):
        assert event_id in listed(requester, **{f"filter[{name}][]": number})
        assert event_id not in listed(requester, **{f"filter[{name}][]": number + 987_654_321})


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("family", ["locations"], indirect=True)
def test_what_is_included_is_tied_to_the_event(requester):
    event_id = requester.event()
    query = [*requester.ahead(), ("include[]", "staff"), ("include[]", "service")]
    page = requester.send("list_activities", query=query).json()
    (event,) = (row for row in page["data"] if row["id"] == str(event_id))
    there = {(one["type"], one["id"]) for one in page["included"]}
    for name in ("staff", "service"):
        reference = event["relationships"][name]["data"]
        assert (reference["type"], reference["id"]) in there


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("family", ["companies"], indirect=True)
def test_companies_lists_the_past(requester):
    long_ago = requester.target.day - timedelta(days=700)
    query = [("filter[from]", f"{long_ago} 00:00:00"), ("filter[to]", f"{long_ago + timedelta(days=30)} 00:00:00")]
    assert requester.send("list_activities", query=query).ok


@pytest.mark.usefixtures("memory")
def test_a_booking_takes_seats_and_is_not_idempotent(requester):
    event_id = requester.event(capacity=4)
    body = requester.booking(2)
    first, second = (resource(requester.send("create_event_appointment", body, event_id=event_id)) for _ in range(2))
    assert first["id"] != second["id"]
    assert (first["clients_count"], first["activity_id"]) == (2, event_id)
    event = resource(requester.send("get_event", event_id=event_id))
    assert event.get("clients_count", 4) == 4  # the flat form counts records and not seats
    assert event.get("records_count", 2) == 2


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("family", ["locations"], indirect=True)
def test_a_life_of_an_appointment(requester):
    here, there = requester.event(), requester.event()
    ids = {"event_id": here, "record_id": requester.appointment(here)}

    def appointments_of(event_id):
        query = [("filter[activity_id]", event_id), ("include[]", "client")]
        return [row["id"] for row in rows(requester.send("list_appointments", query=query))]

    assert appointments_of(here) == [ids["record_id"]]
    changed = requester.send("update_event_appointment", requester.change(comment="changed", clients_count=2), **ids)
    assert (resource(changed)["comment"], resource(changed)["clients_count"]) == ("changed", 2)
    moved = requester.send("reschedule_event_appointment", {"reschedule_activity_id": there, "clients_count": 1}, **ids)
    assert (resource(moved)["activity_id"], resource(moved)["clients_count"]) == (there, 1)
    assert (appointments_of(here), appointments_of(there)) == ([], [ids["record_id"]])
    assert requester.send("delete_appointment", appointment_id=ids["record_id"]).status_code == 204
    assert appointments_of(there) == []


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("family", ["locations"], indirect=True)
def test_appointments_are_listed_by_the_time_at_which_they_go_on(requester):
    hour = requester.event_body()["date"].replace(" ", "T")
    event_id = requester.event(date=hour.replace("T", " "))
    record_id = requester.appointment(event_id)

    def found(start, end):
        query = [("filter[date_intersect_from]", start), ("filter[date_intersect_to]", end)]
        return record_id in [row["id"] for row in rows(requester.send("list_appointments", query=query))]

    assert found(hour, hour.replace(":00:00", ":10:00"))
    assert not found(hour.replace(":00:00", ":45:00"), hour.replace(":00:00", ":55:00"))


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("family", ["locations"], indirect=True)
def test_locations_lists_the_past_and_deleted_events_where_they_are_asked_for(requester):
    here, gone = requester.event(), requester.event()
    requester.send("delete_event", event_id=gone)
    with_deleted = ("filter[include_deleted]", 1)
    there = {
        row["id"]: row["deleted"]
        for row in rows(requester.send("list_activities", query=[*requester.ahead(), with_deleted]))
    }
    assert (there[here], there[gone]) == (False, True)
    long_ago = requester.target.day - timedelta(days=5_500)
    past = [("filter[from]", f"{long_ago} 00:00:00"), ("filter[to]", f"{long_ago + timedelta(days=30)} 00:00:00")]
    assert requester.send("list_activities", query=past).status_code == 422
    assert requester.send("list_activities", query=[*past, with_deleted]).ok


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("family", ["locations"], indirect=True)
def test_events_come_in_the_order_that_is_asked_for(requester):
    made = [requester.event() for _ in range(4)]

    def order(direction):
        return [number for number in listed(requester, **{"filter[sort]": direction}) if number in made]

    assert (order("asc"), order("desc")) == (made, made[::-1])


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("family", ["locations"], indirect=True)
def test_events_of_a_weekday(requester):
    event_id, weekday = requester.event(), requester.target.day.isoweekday()
    assert event_id in listed(requester, **{"filter[weekdays][]": weekday})
    assert event_id not in listed(requester, **{"filter[weekdays][]": weekday % 7 + 1})


@pytest.mark.usefixtures("memory")
def test_a_replacement_has_the_seats_that_are_booked(requester):
    event_id = requester.event(capacity=3)
    requester.appointment(event_id, 2)
    body = requester.event_body()
    assert requester.send("update_event", {**body, "capacity": 1}, event_id=event_id).status_code == 422
    assert requester.send("update_event", {**body, "capacity": 2}, event_id=event_id).ok


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("family", ["locations"], indirect=True)
def test_a_deletion_cancels_the_bookings(requester):
    event_id = requester.event()
    ids = {"event_id": event_id, "record_id": requester.appointment(event_id)}
    requester.send("delete_event", event_id=event_id)
    assert requester.send("list_appointments", query=[("filter[activity_id]", event_id)]).json()["data"] == []
    assert requester.send("update_event_appointment", requester.change(), **ids).status_code == 404


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("family", ["locations"], indirect=True)
def test_null_clears_the_comment_of_an_appointment(requester):
    event_id = requester.event()
    ids = {"event_id": event_id, "record_id": requester.appointment(event_id)}
    for comment in ("changed", None):
        answer = requester.send("update_event_appointment", requester.change(comment=comment), **ids)
        assert resource(answer)["comment"] == (comment or "")


@pytest.mark.parametrize("family", ["locations"], indirect=True)
def test_a_change_drops_the_tags_that_are_not_sent(requester, sandbox):
    event_id = requester.event()
    (record_id,) = sandbox.add_appointments(1001, [{"event_id": event_id, "label_ids": [1401, 1402]}])
    ids = {"event_id": event_id, "record_id": record_id}

    def tags():
        query = [("filter[activity_id]", event_id), ("include[]", "labels")]
        (row,) = requester.send("list_appointments", query=query).json()["data"]
        return [int(one["id"]) for one in row["relationships"]["labels"]["data"]]

    assert tags() == [1401, 1402]
    requester.send("update_event_appointment", requester.change(label_ids=[1402]), **ids)
    assert tags() == [1402]
    requester.send("update_event_appointment", requester.change(), **ids)
    assert tags() == []


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("family", ["locations"], indirect=True)
def test_a_bulk_booking_books_who_fits_and_names_the_others(requester):
    event_id = requester.event(capacity=2)
    answer = requester.send("bulk_create_event_appointments", requester.bulk(3), event_id=event_id)
    assert answer.status_code == 201
    assert [row["activity_id"] for row in rows(answer)] == [event_id] * 2
    assert [one["index"] for one in answer.json()["meta"]["errors"]] == [2]
    assert resource(requester.send("get_event", event_id=event_id))["clients_count"] == 2


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("family", ["locations"], indirect=True)
def test_copies_are_events_of_their_own(requester):
    event_id = requester.event(capacity=7)
    operation = requester.operation("duplicate_event")
    made = rows(requester.send_good(operation, body=requester.copies(2), event_id=event_id))
    assert len({event_id, *(row["id"] for row in made)}) == 3
    assert {row["capacity"] for row in made} == {7}
    assert {row["id"] for row in made} <= set(listed(requester))


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("family", ["v1"], indirect=True)
def test_a_location_tells_its_time_zone(requester):
    location = resource(requester.send("get_location"))
    assert location["id"] == requester.target.location_id
    assert ZoneInfo(location["timezone_name"])
    assert location in rows(requester.send("list_locations"))
