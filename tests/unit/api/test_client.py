"""The client's operations on events as they go over the wire, and what it refuses before anything goes."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from altegio_provider.api import AltegioClient
from altegio_provider.api.errors import (
    AltegioNotFoundError,
    AltegioPastNotListedError,
    AltegioServerError,
    AltegioValidationError,
)
from tests.unit.api.scripted import answer, ok, page

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
EVENT = {"staff_id": 1, "service_id": 2, "date": "2026-11-22 18:00:00", "length": 3600, "capacity": 5}
FULL_FILTER = {"staff_ids": [5, 10], "service_ids": (3,), "capacity": 2}


@pytest.fixture
def connect(server, new_client):
    def connect(family: str = "companies", **options) -> AltegioClient:
        return new_client(server.url, route_family=family, now=lambda: NOW, **options)

    server.otherwise = ok([])
    return connect


def first_query(server) -> list[tuple[str, str]]:
    return server.requests[0].query


def test_the_companies_family_is_asked_with_joined_ids_an_offset_and_a_search(connect, server) -> None:
    rows = connect().list_activities(7, "2026-11-22", "2026-11-23", **FULL_FILTER, search="yoga & more", page_size=50)
    assert list(rows) == []
    assert server.requests[0].target == (
        "/api/v2/companies/7/activities"
        "?filter%5Bfrom%5D=2026-11-22+00%3A00%3A00&filter%5Bto%5D=2026-11-23+00%3A00%3A00"
        "&filter%5Bmaster_ids%5D%5B%5D=5%2C10&filter%5Bservice_ids%5D%5B%5D=3&filter%5Bcapacity%5D=2"
        "&search=yoga+%26+more&limit=50&offset=0"
    )


def test_the_locations_family_is_asked_with_repeated_ids_includes_and_a_page(connect, server) -> None:
    rows = connect("locations").list_activities(7, "2026-11-22", "2026-11-23", **FULL_FILTER)
    assert list(rows) == []
    assert server.requests[0].path == "/api/v2/locations/7/events"
    assert first_query(server) == [
        ("filter[from]", "2026-11-22 00:00:00"),
        ("filter[to]", "2026-11-23 00:00:00"),
        ("filter[master_ids][]", "5"),
        ("filter[master_ids][]", "10"),
        ("filter[service_ids][]", "3"),
        ("filter[capacity]", "2"),
        ("limit", "250"),
        ("page", "1"),
        ("filter[include_deleted]", "1"),
        ("include[]", "staff"),
        ("include[]", "service"),
        ("include[]", "labels"),
        ("include[]", "resource_instances"),
    ]


def test_without_filters_only_the_range_and_the_page_are_asked_for(connect, server) -> None:
    list(connect().list_activities(7, "2026-11-22", "2026-11-23", staff_ids=[], service_ids=None, search=""))
    assert [name for name, _ in first_query(server)] == ["filter[from]", "filter[to]", "limit", "offset"]
    assert ("limit", "300") in first_query(server)


@pytest.mark.parametrize(
    ("date_from", "date_to"),
    [
        ("2026-11-22T00:00:00+00:00", "2026-11-23T00:00:00Z"),
        ("2026-11-22 02:00:00", "2026-11-23T02:00"),
        ("2026-11-22T02:00:00.000+0200", "2026-11-23 02:00:00.000000"),
        (datetime(2026, 11, 22, tzinfo=UTC), datetime(2026, 11, 23, tzinfo=UTC)),
        (datetime(2026, 11, 22, 2), datetime(2026, 11, 23, 2)),  # noqa: DTZ001 - on the location's wall clock
        (datetime(2026, 11, 21, 19, tzinfo=ZoneInfo("America/New_York")), datetime(2026, 11, 23, tzinfo=UTC)),
        (datetime(2026, 11, 22, 5, tzinfo=timezone(timedelta(hours=5))), "2026-11-23T05:00:00+05:00"),
    ],
)
@pytest.mark.parametrize("family", ["companies", "locations"])
def test_the_range_is_asked_for_on_the_locations_clock_however_it_is_given(
    connect, server, family, date_from, date_to
) -> None:
    list(connect(family, timezone="Europe/Riga").list_activities(7, date_from, date_to))
    assert first_query(server)[:2] == [("filter[from]", "2026-11-22 02:00:00"), ("filter[to]", "2026-11-23 02:00:00")]


def test_a_zone_of_the_call_wins_over_the_clients(connect, server) -> None:
    client = connect(timezone="Europe/Riga")
    list(client.list_activities(7, "2026-11-22T00:00Z", "2026-11-23T00:00Z", timezone="Asia/Tbilisi"))
    assert first_query(server)[0] == ("filter[from]", "2026-11-22 04:00:00")


def test_the_ends_of_the_range_are_half_open_whatever_the_server_thinks(connect, server) -> None:
    times = ["2026-11-21 23:59:59", "2026-11-22 00:00:00", "2026-11-22 23:59:59", "2026-11-23 00:00:00"]
    server.otherwise = ok([{"id": number, "date": time} for number, time in enumerate(times)])
    rows = list(connect().list_activities(7, "2026-11-22", "2026-11-23"))
    assert [row["date"] for row in rows] == times[1:3]


def test_rows_of_the_locations_family_come_flat(connect, server) -> None:
    server.otherwise = ok(
        [
            {
                "type": "activity",
                "id": "12",
                "attributes": {"date": "2026-11-22T14:00:00+0200", "staff_id": 5, "clients_count": 3},
                "relationships": {"staff": {"data": {"type": "staff", "id": "5"}}},
            }
        ],
        included=[{"type": "staff", "id": "5", "attributes": {"name": "Ilze"}}],
    )
    (row,) = connect("locations").list_activities(7, "2026-11-22", "2026-11-23")
    assert row == {
        "id": 12,
        "date": "2026-11-22T14:00:00+0200",
        "staff_id": 5,
        "clients_count": 3,
        "staff": {"id": 5, "name": "Ilze"},
    }


def test_the_list_is_asked_for_row_by_row_and_no_further(connect, server) -> None:
    def rows_without_end(conversation) -> None:
        start = int(dict(conversation.request.query)["offset"])
        ok([{"id": start + number, "date": "2026-11-22 10:00:00"} for number in range(10)])(conversation)

    server.otherwise = rows_without_end
    rows = connect().list_activities(7, "2026-11-22", "2026-11-23", page_size=10, concurrency=1)
    assert server.requests == []
    assert [next(rows)["id"] for _ in range(25)] == list(range(25))
    rows.close()
    assert len(server.requests) <= 6


def test_an_error_in_the_middle_of_a_list_reaches_the_reader(connect, server) -> None:
    server.script(ok([{"id": number, "date": "2026-11-22 10:00:00"} for number in range(10)]))
    server.otherwise = page(502)
    rows = connect(retry={"attempts": 2}).list_activities(7, "2026-11-22", "2026-11-23", page_size=10, concurrency=1)
    assert [next(rows)["id"] for _ in range(10)] == list(range(10))
    with pytest.raises(AltegioServerError):
        next(rows)


@pytest.mark.parametrize(
    ("call", "method", "companies", "locations"),
    [
        (lambda client: client.get_event(7, 5), "GET", "companies/7/activities/5", "locations/7/events/5"),
        (lambda client: client.create_event(7, EVENT), "POST", "companies/7/activities", "locations/7/events"),
        (lambda client: client.update_event(7, 5, EVENT), "PUT", "companies/7/activities/5", "locations/7/events/5"),
        (lambda client: client.delete_event(7, 5), "DELETE", "companies/7/activities/5", "locations/7/events/5"),
    ],
    ids=["get", "create", "update", "delete"],
)
def test_each_operation_goes_to_its_route(connect, server, call, method, companies, locations) -> None:
    server.otherwise = ok({"type": "activity", "id": "5", "attributes": {"capacity": 9}})
    for family, path in (("companies", companies), ("locations", locations)):
        row = call(connect(family))
        assert server.seen[-1] == f"{method} /api/v2/{path}"
        assert row == (None if method == "DELETE" else {"id": 5, "capacity": 9})
    assert len(server.requests) == 2


def test_the_body_of_an_event_is_what_was_given_on_the_locations_clock(connect, server) -> None:
    server.otherwise = ok({"id": 5})
    client = connect(timezone="Europe/Riga")
    client.create_event(7, {**EVENT, "date": "2026-11-22T16:00:00Z", "label_ids": [4], "force": True})
    assert server.requests[0].json == {
        **EVENT,
        "date": "2026-11-22 18:00:00",
        "label_ids": [4],
        "resource_instance_ids": [],
        "force": True,
    }


def test_ids_may_come_as_digits(connect, server) -> None:
    server.otherwise = ok({"id": 5})
    connect().get_event("7", " 5 ")
    assert server.seen == ["GET /api/v2/companies/7/activities/5"]


def test_what_is_not_there_is_said_with_its_path(connect, server) -> None:
    server.otherwise = answer(404, {"success": False, "meta": {"message": "no"}})
    with pytest.raises(AltegioNotFoundError, match="GET /companies/7/activities/5: not found"):
        connect().get_event(7, 5)


BAD_IDS = [0, -1, None, True, 1.0, 1.5, "", "five", "7/../8", "٥", "+5", [5], b"5"]
RANGE = ("2026-11-22", "2026-11-23")


@pytest.mark.parametrize("family", ["companies", "locations"])
@pytest.mark.parametrize("bad", BAD_IDS, ids=repr)
def test_a_bad_id_is_refused_by_name_before_anything_is_sent(connect, server, family, bad) -> None:
    client = connect(family)
    calls = [
        ("location_id", lambda: client.list_activities(bad, *RANGE)),
        ("location_id", lambda: client.get_event(bad, 5)),
        ("event_id", lambda: client.get_event(7, bad)),
        ("location_id", lambda: client.create_event(bad, EVENT)),
        ("event_id", lambda: client.update_event(7, bad, EVENT)),
        ("event_id", lambda: client.delete_event(7, bad)),
        ("staff_ids", lambda: client.list_activities(7, *RANGE, staff_ids=[5, bad])),
        ("service_ids", lambda: client.list_activities(7, *RANGE, service_ids=[bad])),
    ]
    for name, call in calls:
        with pytest.raises(AltegioValidationError, match=name) as caught:
            call()
        assert list(caught.value.errors) == [name]
    assert server.requests == []


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("staff_ids", ["5,10", 5, {5: 1}, b"5"]),
        ("service_ids", ["5", 5, 0]),
        ("capacity", [0, -1, "many", 1.5, True]),
        ("page_size", [0, -1, "all", 1.5]),
        ("concurrency", [0, -1, "all", 1.5]),
        ("search", [5, ["yoga"], True]),
    ],
)
def test_a_bad_filter_is_refused_by_name_before_anything_is_sent(connect, server, name, values) -> None:
    for value in values:
        with pytest.raises(AltegioValidationError, match=name) as caught:
            connect().list_activities(7, *RANGE, **{name: value})
        assert list(caught.value.errors) == [name]
    assert server.requests == []


def test_the_locations_family_takes_no_larger_page_than_the_api(connect, server) -> None:
    with pytest.raises(AltegioValidationError, match="page_size must be at most 250, not 251"):
        connect("locations").list_activities(7, *RANGE, page_size=251)
    assert server.requests == []
    list(connect("locations").list_activities(7, *RANGE, page_size=250))
    list(connect("companies").list_activities(7, *RANGE, page_size=1000))
    assert [dict(request.query)["limit"] for request in server.requests[::2]] == ["250", "1000"]


def test_the_locations_family_cannot_search(connect, server) -> None:
    with pytest.raises(AltegioValidationError, match=r"search does not exist.*'companies'") as caught:
        connect("locations").list_activities(7, *RANGE, search="yoga")
    assert list(caught.value.errors) == ["search"]
    assert server.requests == []


@pytest.mark.parametrize("family", ["companies", "locations"])
@pytest.mark.parametrize(
    ("date_from", "date_to", "named"),
    [
        ("2026-11-23", "2026-11-22", "reversed"),
        ("2026-11-22", "2026-11-22", "empty"),
        ("2026-11-22T00:00:00+02:00", "2026-11-21T22:00:00Z", "empty"),
        ("tomorrow", "2026-11-23", "date_from"),
        ("2026-11-22", "2026-13-01", "date_to"),
        ("", "2026-11-23", "date_from"),
        (None, "2026-11-23", "date_from"),
        (1795251600, "2026-11-23", "date_from"),
        (date(2026, 11, 22), "2026-11-23", "date_from"),
        ("2026-11-22", "9999-12-31T23:59:59-12:00", "date_to"),
        ("0001-01-01T00:00:00+12:00", "2026-11-23", "date_from"),
        ("0001-01-01", "2026-11-23", "date_from"),
        ("2026-11-22", "9999-12-31T23:59:59", "date_to"),
    ],
)
def test_a_range_that_is_none_is_refused_before_anything_is_sent(
    connect, server, family, date_from, date_to, named
) -> None:
    for zone in ("UTC", "America/New_York", "Pacific/Auckland"):
        with pytest.raises(AltegioValidationError, match=named):
            connect(family, timezone=zone).list_activities(7, date_from, date_to)
    assert server.requests == []


DELETED = ("filter[include_deleted]", "1")


def refusal(*fields: str):
    return answer(422, {"success": False, "meta": {"message": "no", "errors": {field: ["no"] for field in fields}}})


def test_the_locations_family_lists_the_past_with_deleted_events_and_leaves_them_out(connect, server) -> None:
    rows = [
        {"type": "activity", "id": str(number), "attributes": {"date": "2020-01-01T10:00:00+0000", "deleted": deleted}}
        for number, deleted in enumerate((False, True, False), 1)
    ]
    server.otherwise = ok(rows)
    asked = ("2020-01-01", "2020-01-02")
    assert [row["id"] for row in connect("locations").list_activities(7, *asked)] == [1, 3]
    assert first_query(server)[0] == ("filter[from]", "2020-01-01 00:00:00")
    assert DELETED in first_query(server)
    everything = connect("locations").list_activities(7, *asked, include_deleted=True)
    assert [(row["id"], row["deleted"]) for row in everything] == [(1, False), (2, True), (3, False)]


@pytest.mark.parametrize("fields", [("filter[include_deleted]",), ("filter[from]",), ()])
@pytest.mark.parametrize("began", [timedelta(minutes=6), timedelta(days=1)])
def test_a_server_that_refuses_the_past_is_told_apart(connect, server, began, fields) -> None:
    server.otherwise = refusal(*fields)
    client = connect("locations")
    assert client.lists_the_past
    for _ in range(2):
        with pytest.raises(AltegioPastNotListedError, match=r"future events only.*'companies'") as caught:
            list(client.list_activities(7, NOW - began, NOW + timedelta(days=1)))
        assert list(caught.value.errors) == ["date_from"]
    if fields:
        assert len(server.requests) == 1
        assert not client.lists_the_past
        with pytest.raises(AltegioValidationError, match="ends in the past"):
            client.list_activities(7, NOW - timedelta(minutes=1), NOW)


@pytest.mark.parametrize("field", ["filter[include_deleted]", "filter[from]"])
def test_such_a_server_is_asked_from_a_moment_after_now_on(connect, server, caplog, field) -> None:
    server.script(refusal(field))
    client = connect("locations")
    for _ in range(2):
        list(client.list_activities(7, NOW - timedelta(minutes=4), NOW + timedelta(days=1)))
    assert server.requests[1].query[:2] == [
        ("filter[from]", "2026-11-21 09:00:02"),
        ("filter[to]", "2026-11-22 09:00:00"),
    ]
    assert [DELETED in request.query for request in server.requests] == [True] + [False] * (len(server.requests) - 1)
    assert sum("neither past nor deleted" in text for text in caplog.messages) == 1


def test_rooms_weekdays_and_an_order_are_asked_for_under_locations_alone(connect, server) -> None:
    rows = [
        {
            "id": number,
            "date": f"2026-11-{22 + number} 10:00:00",
            "resource_instances": [{"id": room, "resource_id": 5}],
        }
        for number, room in ((1, 4), (2, 4), (3, 6), (4, 5))
    ]
    server.otherwise = ok(rows)
    options = {"resource_ids": [4], "weekdays": [1, 2], "sort": "desc"}
    found = connect("locations").list_activities(7, "2026-11-22", "2026-11-29", **options)
    # An older server ignores the filters: the 23rd is a Monday, and row 3 is in another room of another kind.
    assert [row["id"] for row in found] == [1, 2]
    for wanted in (
        ("filter[resource_ids][]", "4"),
        ("filter[weekdays][]", "1"),
        ("filter[weekdays][]", "2"),
        ("filter[sort]", "desc"),
    ):
        assert wanted in first_query(server)
    assert [row["id"] for row in connect("locations").list_activities(7, "2026-11-22", "2026-11-29", resource_ids=[5])]
    before = len(server.requests)
    for name, value in {**options, "include_deleted": True}.items():
        with pytest.raises(AltegioValidationError, match="'locations'") as caught:
            connect("companies").list_activities(7, "2026-11-22", "2026-11-23", **{name: value})
        assert name in caught.value.errors
    for name, value in {"weekdays": [0], "sort": "up", "resource_ids": "4", "include_deleted": "perhaps"}.items():
        with pytest.raises(AltegioValidationError) as caught:
            connect("locations").list_activities(7, "2026-11-22", "2026-11-23", **{name: value})
        assert name in caught.value.errors
    assert len(server.requests) == before


def test_the_companies_family_lists_the_past(connect, server) -> None:
    list(connect("companies").list_activities(7, "2020-01-01", "2020-02-01"))
    assert first_query(server)[0] == ("filter[from]", "2020-01-01 00:00:00")


@pytest.mark.parametrize("name", ["", "Riga", "Europe", "../etc/passwd", "UTC+2", None, 5])
def test_an_unknown_time_zone_is_refused(new_client, server, name) -> None:
    with pytest.raises(AltegioValidationError, match="timezone"):
        new_client(server.url, timezone=name)
    if name:
        with pytest.raises(AltegioValidationError, match="timezone"):
            new_client(server.url).list_activities(7, *RANGE, timezone=name)
    assert server.requests == []


@pytest.mark.parametrize("limit", [-1, 2.5, "many", True])
@pytest.mark.parametrize("name", ["requests_per_second", "requests_per_minute"])
def test_a_limit_that_is_no_whole_number_is_refused(new_client, server, name, limit) -> None:
    with pytest.raises(AltegioValidationError, match=name):
        new_client(server.url, **{name: limit})


def test_numbers_and_flags_may_be_text(new_client, server) -> None:
    client = new_client(
        server.url, timeout="30", requests_per_second="5", requests_per_minute=" 200 ", allow_http="True"
    )
    client.get_event("7", "5")
    assert len(server.requests) == 1


@pytest.mark.parametrize("url", ["http://localhost", "nonsense", "redis://host:port/0", 5])
def test_a_rate_limit_url_that_is_none_of_redis_is_refused(new_client, server, url) -> None:
    with pytest.raises(AltegioValidationError, match="rate_limit_url"):
        new_client(server.url, rate_limit_url=url)


def test_a_bad_event_is_refused_before_anything_is_sent(connect, server) -> None:
    for call in (lambda client: client.create_event(7, {}), lambda client: client.update_event(7, 5, {"capacity": 0})):
        with pytest.raises(AltegioValidationError, match="Nothing was sent"):
            call(connect())
    assert server.requests == []


def test_the_client_tells_its_family_and_counts_what_it_does(connect, server) -> None:
    server.otherwise = ok({"id": 5})
    server.script(page(502), answer(429, ""))
    with connect("locations") as client:
        client.get_event(7, 5)
        assert client.route_family == "locations"
        assert (client.stats.requests, client.stats.retries, client.stats.rate_limited) == (3, 2, 1)
        assert client.stats.bytes_received > 10
