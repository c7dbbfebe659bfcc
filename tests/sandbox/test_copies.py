"""Copies of an event on other dates."""

from __future__ import annotations

import pytest

from tests.sandbox.wire import between, booking_body, event_body

LIST = "/companies/1001/activities"
MAY = between("2040-05-01 00:00:00", "2040-06-01 00:00:00")


@pytest.fixture
def path(call):
    """The path of copies of an event."""
    body = event_body(label_ids=[1401], resource_instance_ids=[1201], capacity=7, comment="c", instructions="i")
    number = call("POST", "/locations/1001/events", body).json["data"]["id"]
    return f"/locations/1001/events/{number}/duplicate"


def copies(*dates, content_type=1, **more):
    return {"dates": list(dates), "content_type": content_type, **more}


def test_a_copy_is_the_event_at_another_time(call, path):
    answer = call("POST", path, copies("2040-05-08T10:00:00", "2040-05-15T12:30:00"))
    assert answer.status == 200
    assert [(row["date"], row["records_count"]) for row in answer.json["data"]] == [
        ("2040-05-08 10:00:00", 0),
        ("2040-05-15 12:30:00", 0),
    ]
    first, *others = call("GET", LIST, query=MAY).json["data"]
    own = {"id", "date", "datetime", "timestamp", "created_at"}
    assert len(others) == 2
    for other in others:
        assert {name for name in first if first[name] != other[name]} <= own
    assert [row["id"] for row in answer.json["data"]] == [row["id"] for row in others]


def test_an_offset_is_put_on_the_clock_of_the_location(call, path):
    answer = call("POST", path, copies("2040-05-08T10:00:00Z", "2040-05-08T16:00:00+03:00"))
    assert [row["date"] for row in answer.json["data"]] == ["2040-05-08 13:00:00", "2040-05-08 16:00:00"]


@pytest.mark.parametrize("bad", ["2040-05-08 10:00:00", "2040-05-08", "2040-02-30T10:00:00", "soon", ""])
def test_one_bad_date_refuses_all(call, path, bad):
    answer = call("POST", path, copies("2040-05-15T10:00:00", bad))
    assert (answer.status, set(answer.errors)) == (422, {"dates.1"})
    assert len(call("GET", LIST, query=MAY).json["data"]) == 1


def test_one_busy_date_refuses_all_unless_forced(call, path):
    for dates in (["2040-05-15T10:00:00", "2040-05-01T10:30:00"], ["2040-05-15T10:00:00", "2040-05-15T10:30:00"]):
        assert call("POST", path, copies(*dates)).status == 409
    assert len(call("GET", LIST, query=MAY).json["data"]) == 1
    assert call("POST", path, copies("2040-05-15T10:00:00", "2040-05-01T10:30:00", force=True)).status == 200
    assert len(call("GET", LIST, query=MAY).json["data"]) == 3


def test_bookings_are_copied_where_that_is_wanted(call, path, altegio_sandbox):
    call("POST", path.replace("duplicate", "appointments"), booking_body("locations", 2))
    alone = call("POST", path, copies("2040-05-08T10:00:00")).json["data"][0]
    with_bookings = call("POST", path, copies("2040-05-15T10:00:00", content_type=2)).json["data"][0]
    assert (alone["records_count"], with_bookings["records_count"]) == (0, 1)
    seats = {one["id"]: one["seats"] for one in altegio_sandbox.truth(1001)["events"]}
    assert (seats[alone["id"]], seats[with_bookings["id"]]) == (0, 2)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (copies(), "dates"),
        (copies(*["2040-05-08T10:00:00"] * 101), "dates"),
        ({"dates": ["2040-05-08T10:00:00"]}, "content_type"),
        (copies("2040-05-08T10:00:00", content_type=3), "content_type"),
        (copies("2040-05-08T10:00:00", content_type=True), "content_type"),
        (copies("2040-05-08T10:00:00", force=1), "force"),
        (copies("2040-05-08T10:00:00", capacity=1), "capacity"),
    ],
)
def test_a_wrong_body_is_422(call, path, body, field):
    answer = call("POST", path, body)
    assert (answer.status, set(answer.errors)) == (422, {field})


def test_a_hundred_dates(call, path):
    dates = [f"2040-{month:02}-{day:02}T08:00:00" for month in (6, 7, 8, 9) for day in range(1, 26)]
    assert len(call("POST", path, copies(*dates)).json["data"]) == 100


def test_a_deleted_event_is_not_copied(call, path):
    call("DELETE", path.removesuffix("/duplicate"))
    assert call("POST", path, copies("2040-05-08T10:00:00")).status == 404


def test_a_server_without_the_route(call, path, altegio_sandbox):
    altegio_sandbox.switch(missing_routes={"duplicate_event": 405})
    assert call("POST", path, copies("2040-05-08T10:00:00")).status == 405
