"""Lists of appointments, asked of the sandbox."""

from __future__ import annotations

import itertools
from datetime import UTC, datetime, timedelta

import pytest

from altegio_provider.api import AltegioClient, RetryPolicy
from altegio_provider.api.errors import AltegioAuthError, AltegioResponseError, AltegioValidationError

LOCATION = 77
DAY = (datetime.now(UTC) - timedelta(days=90)).date()
STAFF = {"id": 1, "name": "Ilze"}
ANNA = {"name": "Anna", "surname": "B", "phone": "+37120000001", "email": "anna@example.com", "gender": 2}


@pytest.fixture
def connect(altegio_sandbox):
    clients = []

    def connect(family="locations", timezone="UTC"):
        client = AltegioClient(
            altegio_sandbox.url,
            "sandbox-partner",
            "sandbox-user",
            route_family=family,
            timezone=timezone,
            requests_per_second=0,
            requests_per_minute=0,
            retry=RetryPolicy(sleep=lambda seconds: None),
        )
        clients.append(client)
        return client

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def classes(altegio_sandbox):
    """Three classes of a past day with two, three and one bookings: at 10, 12 and 18 o'clock, an hour each."""
    altegio_sandbox.add_location(LOCATION, staff=[STAFF], services=[{"id": 2}])
    return altegio_sandbox.add_events(
        LOCATION,
        [
            {
                "date": f"{DAY}T{hour}:00:00",
                "length": 3600,
                "capacity": 9,
                "staff_id": 1,
                "service_id": 2,
                "first_records": records,
                "first_seats": records,
            }
            for hour, records in ((10, 2), (12, 3), (18, 1))
        ],
    )


def events_of(rows):
    return sorted(row["activity_id"] for row in rows)


def test_all_of_a_location_come_with_their_clients_joined(connect, classes):
    rows = list(connect().list_appointments(LOCATION, date_from=f"{DAY}", date_to=f"{DAY + timedelta(days=1)}"))
    first, second, third = classes
    assert events_of(rows) == sorted([first] * 2 + [second] * 3 + [third])
    assert all(isinstance(row["id"], int) and row["client"]["name"] for row in rows)
    assert all(row["client"]["id"] == row["client_id"] for row in rows)
    assert "staff" not in rows[0]


def test_what_is_asked_for_is_joined_and_nothing_else(connect, classes):
    (row,) = connect().list_appointments(LOCATION, event_id=classes[2], include=["staff"])
    assert row["staff"] == STAFF
    assert "client" not in row


def test_a_comer_is_joined(connect, classes):
    client = connect()
    client.create_event_appointment(
        LOCATION, classes[2], {"client": ANNA, "clients_count": 1, "comer": {"name": "Zoe"}}
    )
    comers = [row.get("comer") for row in client.event_appointments(LOCATION, classes[2], include=("comer",))]
    assert [comer["name"] for comer in comers if comer] == ["Zoe"]


def test_one_client_is_asked_for_by_number(connect, classes):
    client = connect()
    known = client.create_event_appointment(LOCATION, classes[0], {"client": ANNA, "clients_count": 2})
    rows = list(
        client.list_appointments(LOCATION, client_id=known["client_id"], date_from=f"{DAY}", date_to="2099-01-01")
    )
    assert [(row["id"], row["clients_count"]) for row in rows] == [(known["id"], 2)]


@pytest.mark.parametrize(
    ("begin", "end", "places"),
    [
        ("10:00", "11:00", [0, 0]),
        ("10:59", "12:00", [0, 0]),
        ("11:00", "12:00", []),
        ("11:00", "12:01", [1, 1, 1]),
        ("10:30", "18:01", [0, 0, 1, 1, 1, 2]),
    ],
)
def test_a_range_holds_what_goes_on_in_a_part_of_it(connect, classes, begin, end, places):
    rows = connect().list_appointments(LOCATION, date_from=f"{DAY}T{begin}", date_to=f"{DAY}T{end}")
    assert events_of(rows) == sorted(classes[place] for place in places)


def test_the_range_is_asked_for_on_the_locations_clock(connect, altegio_sandbox):
    altegio_sandbox.add_location(LOCATION, timezone="Asia/Tbilisi", staff=[STAFF], services=[{"id": 2}])
    altegio_sandbox.add_events(
        LOCATION, [{"date": f"{DAY}T10:00:00", "length": 3600, "first_records": 1, "first_seats": 1}]
    )
    client = connect(timezone="Asia/Tbilisi")
    six = datetime(DAY.year, DAY.month, DAY.day, 6, tzinfo=UTC)
    assert len(list(client.list_appointments(LOCATION, date_from=six, date_to=six + timedelta(hours=1)))) == 1
    assert list(client.list_appointments(LOCATION, date_from=six - timedelta(hours=1), date_to=six)) == []


def test_what_lies_beside_the_hour_that_comes_twice_is_left_out(connect, altegio_sandbox):
    altegio_sandbox.add_location(LOCATION, timezone="Europe/Riga", staff=[STAFF], services=[{"id": 2}])
    booked = {"first_records": 1, "first_seats": 1}
    before, within = altegio_sandbox.add_events(
        LOCATION, [{"date": f"2025-10-26T{time}:00", "length": 1800, **booked} for time in ("02:15", "03:30")]
    )
    # 02:59:59 in summer is a second before midnight UTC; the hour from 3 comes a second time after 4.
    first = datetime(2025, 10, 26, tzinfo=UTC)
    client = connect(timezone="Europe/Riga")
    assert events_of(client.list_appointments(LOCATION, date_from=first, date_to=first + timedelta(hours=1))) == [
        within
    ]
    earlier = first - timedelta(hours=1)
    assert events_of(client.list_appointments(LOCATION, date_from=earlier, date_to=first)) == [before]


def test_the_companies_family_is_told_which_setting_brings_the_list(connect, altegio_sandbox, classes):
    with pytest.raises(AltegioValidationError, match="'locations'") as caught:
        connect("companies").list_appointments(LOCATION)
    assert "route_family" in caught.value.errors
    assert altegio_sandbox.stats()["requests"] == 0


@pytest.mark.parametrize("family", ["companies", "locations"])
def test_an_events_appointments_are_found_under_either_family(connect, classes, family):
    client = connect(family)
    assert events_of(client.event_appointments(LOCATION, classes[1])) == [classes[1]] * 3
    rows = client.client_appointments_between(LOCATION, f"{DAY}T09:00", f"{DAY}T13:00")
    assert events_of(rows) == sorted([classes[0]] * 2 + [classes[1]] * 3)


def test_a_record_that_lost_its_event_is_found_by_its_time_alone(connect, classes, altegio_sandbox):
    altegio_sandbox.fault("record_without_event", route="create_event_appointment")
    client = connect("companies")
    record = client.create_event_appointment(LOCATION, classes[2], {"client": ANNA, "clients_count": 1})
    by_event = [row["id"] for row in client.event_appointments(LOCATION, classes[2])]
    by_time = [row["id"] for row in client.client_appointments_between(LOCATION, f"{DAY}T18:00", f"{DAY}T19:00")]
    assert record["id"] not in by_event
    assert record["id"] in by_time


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"event_id": 0}, "event_id"),
        ({"client_id": "Anna"}, "client_id"),
        ({"date_from": "2026-01-01"}, "date_to"),
        ({"date_to": "2026-01-01"}, "date_from"),
        ({"date_from": "2026-01-02", "date_to": "2026-01-01"}, "date_from"),
        ({"include": "client"}, "include"),
        ({"include": [3]}, "include"),
        ({"page_size": 251}, "page_size"),
        ({"concurrency": 0}, "concurrency"),
    ],
)
def test_a_wrong_argument_is_named_at_the_call(connect, altegio_sandbox, arguments, field):
    with pytest.raises(AltegioValidationError) as caught:
        connect().list_appointments(LOCATION, **arguments)
    assert field in caught.value.errors
    assert altegio_sandbox.stats()["requests"] == 0


def test_what_cannot_be_included_is_refused_in_the_apis_words(connect, classes):
    with pytest.raises(AltegioValidationError) as caught:
        list(connect().list_appointments(LOCATION, include=["shoe size"]))
    assert "include" in caught.value.errors


def test_a_location_without_a_right_is_named_as_such(connect, altegio_sandbox):
    altegio_sandbox.add_location(78, forbidden=True)
    with pytest.raises(AltegioAuthError):
        list(connect().event_appointments(78, 1))


def test_an_answer_that_is_no_list_is_no_empty_list(connect, classes, altegio_sandbox):
    altegio_sandbox.fault("html", route="list_appointments")
    with pytest.raises(AltegioResponseError):
        list(connect().event_appointments(LOCATION, classes[0]))


@pytest.mark.parametrize(("place", "most"), [(0, 4), (1, 2), (2, 3)])
def test_a_class_of_a_few_costs_few_requests(connect, classes, altegio_sandbox, place, most):
    list(connect().event_appointments(LOCATION, classes[place]))
    assert altegio_sandbox.stats()["requests"] <= most


def test_a_list_whose_order_is_not_stable_is_read_to_the_end(connect, altegio_sandbox, monkeypatch):
    altegio_sandbox.add_location(LOCATION, staff=[STAFF], services=[{"id": 2}])
    crowded = {"date": f"{DAY}T10:00:00", "capacity": 99, "first_records": 60, "first_seats": 60}
    altegio_sandbox.add_events(LOCATION, [crowded])
    client = connect()
    request, turn = client._transport.request, itertools.count()

    def answer_in_another_order(*arguments, **options):
        document = request(*arguments, **options)
        document["data"].sort(key=lambda row: (int(row["id"]) * next(turn)) % 61)
        return document

    monkeypatch.setattr(client._transport, "request", answer_in_another_order)
    day = {"date_from": f"{DAY}", "date_to": f"{DAY + timedelta(days=1)}"}
    assert len(list(client.list_appointments(LOCATION, **day, page_size=25))) == 60
    assert altegio_sandbox.stats()["requests"] < 40


@pytest.mark.parametrize("family", ["companies", "locations"])
@pytest.mark.parametrize(
    ("begin", "end", "places"),
    [("10:00", "12:00", [0, 0]), ("10:00:01", "12:00", []), ("10:30", "12:00:01", [1, 1, 1]), ("18:00", "19:00", [2])],
)
def test_what_starts_in_a_range_is_listed_in_either_family(connect, classes, family, begin, end, places):
    rows = connect(family).appointments_starting_between(LOCATION, f"{DAY}T{begin}", f"{DAY}T{end}")
    assert events_of(rows) == sorted(classes[place] for place in places)


def test_neighbouring_ranges_share_nothing_and_miss_nothing(connect, altegio_sandbox):
    """Half-hourly classes of an hour and of no time at all, on the day of 25 hours."""
    altegio_sandbox.add_location(LOCATION, timezone="Europe/Riga", staff=[STAFF], services=[{"id": 2}])
    midnight = datetime(2025, 10, 26)  # noqa: DTZ001 - a wall clock
    starts = [midnight + timedelta(minutes=30 * number) for number in range(48)]
    altegio_sandbox.add_events(
        LOCATION,
        [
            {"date": start.isoformat(), "length": length, "first_records": 1, "first_seats": 1}
            for start in starts
            for length in (0, 3600)
        ],
    )
    client = connect(timezone="Europe/Riga")
    cuts = [datetime(2025, 10, 25, 21, tzinfo=UTC) + timedelta(minutes=50 * number) for number in range(31)]
    parts = [
        [row["id"] for row in client.appointments_starting_between(LOCATION, *pair, include=())]
        for pair in itertools.pairwise(cuts)
    ]
    read = [number for part in parts for number in part]
    assert len(read) == len(set(read)) == 96


def test_a_time_zone_may_be_given(connect, classes):
    rows = connect().appointments_starting_between(
        LOCATION, f"{DAY}T12:00", f"{DAY}T12:30", include=(), timezone="Etc/GMT-2"
    )
    # The location is on UTC in truth: its wall clock is believed, in the zone given.
    assert events_of(rows) == [classes[1]] * 3


def test_starts_are_listed_only_of_a_range_that_is_one(connect, classes):
    with pytest.raises(AltegioValidationError, match="reversed"):
        connect().appointments_starting_between(LOCATION, "2026-01-02", "2026-01-01")


def test_a_small_window_costs_one_request(connect, classes, altegio_sandbox):
    client = connect()
    for window in (DAY, DAY + timedelta(days=200)):
        before = altegio_sandbox.stats()["requests"]
        list(client.list_appointments(LOCATION, date_from=f"{window}", date_to=f"{window + timedelta(days=1)}"))
        assert altegio_sandbox.stats()["requests"] == before + 1


@pytest.mark.parametrize(
    ("limit", "over", "fault", "most"),
    [
        (0, "cap", None, 4),
        (300, "cap", None, 4),
        (100, "cap", None, 11),
        (100, "refuse", None, 12),
        (100, "cap", "asked", 12),
        (100, "cap", "absent", 12),
    ],
)
def test_large_pages_under_companies_follow_what_the_server_does(connect, altegio_sandbox, limit, over, fault, most):
    altegio_sandbox.add_location(LOCATION, staff=[STAFF], services=[{"id": 2}])
    start = datetime(DAY.year, DAY.month, DAY.day)  # noqa: DTZ001 - on the location's clock
    moments = [start + timedelta(minutes=number) for number in range(1000)]
    altegio_sandbox.add_events(LOCATION, [{"date": moment.isoformat(), "length": 300} for moment in moments])
    altegio_sandbox.switch(companies_limit=limit, over_limit=over)
    if fault:
        altegio_sandbox.fault("meta", form=fault)
    client = connect("companies")
    rows = list(client.list_activities(LOCATION, f"{DAY}", f"{DAY + timedelta(days=1)}", concurrency=1))
    assert len({row["id"] for row in rows}) == len(rows) == 1000
    assert altegio_sandbox.stats()["requests"] <= most
