"""Deleted and past events of `locations`, and the filters and the order of autumn 2026."""

from __future__ import annotations

import pytest

from tests.sandbox.wire import between, booking_body, event_body

LIST = "/locations/1001/events"
DAY = between("2040-05-01 00:00:00", "2040-05-02 00:00:00")
PAST = between("2026-03-02 00:00:00", "2026-03-03 00:00:00")
DELETED = ("filter[include_deleted]", 1)


def ids(answer):
    assert answer.status == 200, answer.content
    return [int(row["id"]) for row in answer.json["data"]]


@pytest.fixture
def two(altegio_sandbox):
    """A class, and a deleted one after it."""
    rows = [{"date": "2040-05-01 10:00:00"}, {"date": "2040-05-01 11:00:00"}]
    here, gone = altegio_sandbox.add_events(1001, rows)
    altegio_sandbox.delete_event(1001, gone)
    return here, gone


def test_deleted_events_come_when_they_are_asked_for_and_say_so(call, two):
    assert ids(call("GET", LIST, query=DAY)) == [two[0]]
    assert ids(call("GET", LIST, query=[*DAY, ("filter[include_deleted]", 0)])) == [two[0]]
    answer = call("GET", LIST, query=[*DAY, DELETED])
    assert ids(answer) == list(two)
    assert [row["attributes"]["deleted"] for row in answer.json["data"]] == [False, True]


def test_the_past_answers_with_them_and_has_the_classes_that_companies_has(call):
    assert call("GET", LIST, query=PAST).status == 422
    flat = call("GET", "/companies/1001/activities", query=PAST).json["data"]
    assert ids(call("GET", LIST, query=[*PAST, DELETED])) == [row["id"] for row in flat] != []


def test_pages_with_deleted_events_hold_each_once(call, altegio_sandbox):
    rows = [{"date": f"2040-05-01 {hour:02}:00:00"} for hour in range(6, 19)]
    made = altegio_sandbox.add_events(1001, rows)
    for number in made[::3]:
        altegio_sandbox.delete_event(1001, number)
    found = []
    for page in range(1, 5):
        found += ids(call("GET", LIST, query=[*DAY, DELETED, ("limit", 5), ("page", page)]))
    assert found == made


@pytest.mark.parametrize("form", ["refused", "ignored"])
def test_an_older_server_refuses_the_key_or_the_past(call, two, altegio_sandbox, form):
    altegio_sandbox.switch(include_deleted=form)
    past = call("GET", LIST, query=[*PAST, DELETED])
    assert past.status == 422
    assert set(past.errors) == {"filter[include_deleted]" if form == "refused" else "filter[from]"}
    ahead = call("GET", LIST, query=[*DAY, DELETED])
    assert ahead.status == (422 if form == "refused" else 200)
    if form == "ignored":
        assert ids(ahead) == [two[0]]


def test_an_older_server_does_not_say_deleted(call, two, altegio_sandbox):
    altegio_sandbox.switch(deleted_field=False)
    assert "deleted" not in call("GET", LIST, query=DAY).json["data"][0]["attributes"]
    altegio_sandbox.switch(deleted_field=True)
    assert call("GET", LIST, query=DAY).json["data"][0]["attributes"]["deleted"] is False


@pytest.fixture
def week(altegio_sandbox):
    """A class each day from Monday on, the last two together; each second one in another room."""
    rows = [{"date": f"2040-05-{7 + day:02} 10:00:00", "resource_ids": [1201 + day % 2]} for day in range(7)]
    return altegio_sandbox.add_events(1001, [*rows, {"date": "2040-05-13 10:00:00"}])


WEEK = between("2040-05-07 00:00:00", "2040-05-14 00:00:00")


def test_events_of_some_weekdays(call, week):
    query = [*WEEK, ("filter[weekdays][]", 1), ("filter[weekdays][]", 7)]
    assert ids(call("GET", LIST, query=query)) == [week[0], week[6], week[7]]


def test_events_of_a_room_and_of_what_it_is_an_instance_of(call, week):
    assert ids(call("GET", LIST, query=[*WEEK, ("filter[resource_ids][]", 1202)])) == week[1:7:2]
    assert ids(call("GET", LIST, query=[*WEEK, ("filter[resource_ids][]", 1301)])) == week[:7]


@pytest.mark.parametrize("order", ["id", "newest", "descending", "unstable"])
def test_the_order_that_is_asked_for_is_kept_whatever_the_usual_one_is(call, week, altegio_sandbox, order):
    altegio_sandbox.fault("order", by=order)
    up = ids(call("GET", LIST, query=[*WEEK, ("filter[sort]", "asc")]))
    down = ids(call("GET", LIST, query=[*WEEK, ("filter[sort]", "desc")]))
    assert (up[:6], set(up[6:])) == (week[:6], set(week[6:]))
    assert (down[2:], set(down[:2])) == (week[5::-1], set(week[6:]))


@pytest.mark.parametrize(
    "query",
    [
        ("filter[weekdays][]", 0),
        ("filter[weekdays][]", 8),
        ("filter[weekdays][]", "Monday"),
        ("filter[resource_ids][]", "x"),
        ("filter[sort]", "date"),
        ("filter[include_deleted]", "yes"),
    ],
)
def test_a_wrong_filter_is_422(call, query):
    assert call("GET", LIST, query=[*DAY, query]).status == 422


@pytest.mark.parametrize("form", ["refused", "ignored"])
@pytest.mark.parametrize("query", [("filter[weekdays][]", 1), ("filter[resource_ids][]", 1), ("filter[sort]", "desc")])
def test_an_older_server_has_no_such_filters(call, week, altegio_sandbox, form, query):
    altegio_sandbox.switch(event_filters=form)
    answer = call("GET", LIST, query=[*WEEK, query])
    if form == "refused":
        assert (answer.status, set(answer.errors)) == (422, {query[0]})
    else:
        assert ids(answer) == week


def test_a_deletion_cancels_the_bookings_and_tells_the_clients(call, family, two, altegio_sandbox):
    booked = call("POST", family.bookings(two[0]), booking_body(family.name, 2)).json["data"]["id"]
    call("DELETE", family.event(two[0]))
    truth = altegio_sandbox.truth(1001)
    assert truth["appointments"] == []
    assert [str(one["id"]) for one in truth["cancelled"]] == [booked]
    assert truth["messages"] == [{"appointment_id": int(booked), "reason": "the event was deleted"}]
    query = {"filter[activity_id]": two[0]}
    assert call("GET", "/locations/1001/appointments", query=query).json["data"] == []
    assert call("GET", f"{LIST}/{two[0]}").json["data"]["attributes"]["clients_count"] == 0


def test_a_deletion_cancels_what_a_made_class_begins_with(call):
    path = "/locations/1001/appointments"
    day = {"filter[date_intersect_from]": "2026-11-10T00:00:00", "filter[date_intersect_to]": "2026-11-11T00:00:00"}
    number = call("GET", path, query=day).json["data"][0]["attributes"]["activity_id"]
    assert call("DELETE", f"{LIST}/{number}").status == 204
    assert call("GET", path, query={"filter[activity_id]": number}).json["data"] == []
    assert number not in {row["attributes"]["activity_id"] for row in call("GET", path, query=day).json["data"]}


def test_the_room_of_a_deleted_event_is_free(call, family):
    body = event_body(resource_instance_ids=[1201])
    number = call("POST", family.events(), body).json["data"]["id"]
    assert call("POST", family.events(), body).status == 409
    call("DELETE", family.event(number))
    assert call("POST", family.events(), body).status == family.created


def test_a_server_that_keeps_the_bookings_of_a_deleted_event(call, two, altegio_sandbox):
    altegio_sandbox.switch(delete_cancels=False)
    call("POST", f"{LIST}/{two[0]}/appointments", booking_body("locations"))
    call("DELETE", f"{LIST}/{two[0]}")
    assert len(altegio_sandbox.truth(1001)["appointments"]) == 1


def test_a_replacement_keeps_the_seats_that_are_booked(call, family, two, altegio_sandbox):
    call("POST", family.bookings(two[0]), booking_body(family.name, 2))
    answer = call("PUT", family.event(two[0]), event_body(capacity=1))
    assert (answer.status, set(answer.errors)) == (422, {"capacity"})
    assert call("PUT", family.event(two[0]), event_body(capacity=2)).status == 200
    altegio_sandbox.switch(capacity_rule=False)
    assert call("PUT", family.event(two[0]), event_body(capacity=1)).status == 200


def test_a_replacement_wipes_what_is_not_sent(call, family):
    full = event_body(label_ids=[1401], resource_instance_ids=[1201], comment="c", instructions="i", stream_link="s")
    path = family.event(call("POST", family.events(), full).json["data"]["id"])
    call("PUT", path, event_body())
    flat = call("GET", path.replace("locations", "companies").replace("events", "activities")).json["data"]
    assert (flat["labels"], flat["resource_instances"]) == ([], [])
    assert (flat["comment"], flat["instructions"], flat["stream_link"]) == ("", "", "")


@pytest.mark.parametrize("field", ["comment", "instructions", "stream_link", "color"])
def test_empty_text_is_invalid(call, family, altegio_sandbox, field):
    number = call("POST", family.events(), event_body()).json["data"]["id"]
    for answer in (
        call("POST", family.events(), event_body(**{field: ""})),
        call("PUT", family.event(number), event_body(**{field: ""})),
    ):
        assert (answer.status, set(answer.errors)) == (422, {field})
