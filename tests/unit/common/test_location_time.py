"""Dates as the API writes them, and the days on which a location's clock is changed."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest

from altegio_provider.common.location_time import (
    EventStart,
    LocationClock,
    as_instant,
    load_zone,
    parse_datetime,
    wall_range,
    wall_text,
)

SECOND_US = 1_000_000
LORD_HOWE = ZoneInfo("Australia/Lord_Howe")
APIA = ZoneInfo("Pacific/Apia")
NEW_YORK = ZoneInfo("America/New_York")
LONDON = ZoneInfo("Europe/London")
RIGA = ZoneInfo("Europe/Riga")
#: On this wall clock without a zone.
WALL = datetime(2026, 8, 1, 14, 0, 0)  # noqa: DTZ001


def count_us(moment: datetime) -> int:
    """Microseconds since the epoch."""
    return int(moment.timestamp() * SECOND_US)


@pytest.mark.parametrize("fraction", ["", ".5", ".000", ".123", ".123456", ".123456789"])
@pytest.mark.parametrize("separator", ["T", " "])
@pytest.mark.parametrize(
    ("offset", "zone"),
    [
        ("", None),
        ("Z", UTC),
        ("+00:00", UTC),
        ("+0300", timezone(timedelta(hours=3))),
        ("+03:00", timezone(timedelta(hours=3))),
        ("-0930", timezone(-timedelta(hours=9, minutes=30))),
        ("+03", timezone(timedelta(hours=3))),
    ],
)
def test_every_notation_that_the_api_is_seen_to_use_is_read(fraction, separator, offset, zone) -> None:
    read = parse_datetime(f"2026-08-01{separator}14:00:00{fraction}{offset}")
    microsecond = int(fraction[1:7].ljust(6, "0")) if fraction else 0
    assert read.replace(tzinfo=None) == WALL.replace(microsecond=microsecond)
    assert read.utcoffset() == (zone.utcoffset(None) if zone else None)


@pytest.mark.parametrize("text", ["2026-08-01T14:00", " 2026-08-01 14:00:00\n", "20260801T140000", "2026-08-01 14"])
def test_shorter_notations_and_blanks_around_are_read(text) -> None:
    assert parse_datetime(text) == WALL


def test_a_date_alone_is_its_midnight() -> None:
    assert parse_datetime("2026-08-01") == datetime(2026, 8, 1)  # noqa: DTZ001


@pytest.mark.parametrize(
    "text",
    [
        "",
        "tomorrow",
        "2026-13-01",
        "2026-02-30T10:00:00",
        "2026-08-01T25:00:00",
        "14:00",
        "01.08.2026",
        "1785582000",
        "null",
    ],
)
def test_what_is_no_date_is_refused_with_the_arguments_name(text) -> None:
    with pytest.raises(ValueError, match=r"Invalid|day|month|hour|year"):
        parse_datetime(text)
    with pytest.raises(ValueError, match=r"date_from .* is not an ISO 8601"):
        as_instant(text, RIGA, "date_from")


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2026-08-01T14:00:00", "2026-08-01T11:00:00+00:00"),
        ("2026-08-01T14:00:00+0100", "2026-08-01T13:00:00+00:00"),
        ("2026-08-01T14:00:00.250Z", "2026-08-01T14:00:00.250+00:00"),
        (WALL, "2026-08-01T11:00:00+00:00"),
        (WALL.replace(tzinfo=NEW_YORK), "2026-08-01T18:00:00+00:00"),
        ("2026-01-01", "2025-12-31T22:00:00+00:00"),
        # Where the clock is turned back, the first of two; where it is put forward, as if it had not been yet.
        ("2026-10-25T03:30:00", "2026-10-25T00:30:00+00:00"),
        ("2026-03-29T03:30:00", "2026-03-29T01:30:00+00:00"),
    ],
)
def test_what_a_user_gives_becomes_an_instant(value, instant) -> None:
    made = as_instant(value, RIGA)
    assert made == datetime.fromisoformat(instant)
    assert made.tzinfo is UTC


@pytest.mark.parametrize("value", [None, 5, 1.5, WALL.date(), WALL.time(), b"2026-08-01", ["2026-08-01"]])
def test_what_is_no_datetime_is_refused_by_its_type(value) -> None:
    with pytest.raises(ValueError, match=f"date_to must be .*{type(value).__name__}"):
        as_instant(value, RIGA, "date_to")


@pytest.mark.parametrize(
    "value",
    [
        "0001-01-01",
        "0999-12-31",
        "9999-12-31T23:59:59",
        "9999-12-31T23:59:59-12:00",
        datetime.max,  # noqa: DTZ901 - a wall clock has no zone
        datetime.min.replace(tzinfo=timezone(timedelta(hours=14))),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_a_date_that_no_clock_can_show_is_refused(value, zone) -> None:
    with pytest.raises(ValueError, match=r"date_to .* is out of range"):
        as_instant(value, ZoneInfo(zone), "date_to")


@pytest.mark.parametrize("zone", ["UTC", "Etc/GMT+12", "Pacific/Kiritimati"])
def test_the_farthest_dates_that_are_taken_can_be_asked_for(zone) -> None:
    start, end = as_instant("1000-01-02T00:00Z", RIGA), as_instant("9999-12-31T00:00Z", RIGA)
    first, last = wall_range(start, end, ZoneInfo(zone))
    assert len(first) == len(last) == len("YYYY-MM-DD HH:MM:SS")


@pytest.mark.parametrize(
    "name", ["", "Riga", "Europe", "../../etc/passwd", "UTC+2", None, 5, "a" * 5000, "Europe/Riga\0"]
)
def test_a_name_that_is_no_zone_is_refused_with_the_arguments_name(name) -> None:
    with pytest.raises(ValueError, match=r"timezone .* is not an IANA time zone name"):
        load_zone(name)


def test_an_instant_is_written_on_the_locations_clock_without_an_offset() -> None:
    assert wall_text(datetime(2026, 8, 1, 11, 0, 0, 999_999, tzinfo=UTC), RIGA) == "2026-08-01 14:00:00"


@pytest.mark.parametrize(
    ("zone", "start", "end", "expected"),
    [
        # An ordinary day, and the day on which the clock is put forward: nothing is widened.
        (RIGA, "2026-08-01T00:00+03:00", "2026-08-02T00:00+03:00", ("2026-08-01 00:00:00", "2026-08-02 00:00:00")),
        (RIGA, "2026-03-29T00:00+02:00", "2026-03-30T00:00+03:00", ("2026-03-29 00:00:00", "2026-03-30 00:00:00")),
        # The whole day on which it is turned back: its ends are far enough away.
        (RIGA, "2026-10-25T00:00+03:00", "2026-10-26T00:00+02:00", ("2026-10-25 00:00:00", "2026-10-26 00:00:00")),
        # The second of the repeated hours (03:00 to 04:00 is there twice), and the first.
        (RIGA, "2026-10-25T03:00+02:00", "2026-10-25T04:00+02:00", ("2026-10-25 03:00:00", "2026-10-25 05:00:00")),
        (RIGA, "2026-10-25T03:00+03:00", "2026-10-25T03:00+02:00", ("2026-10-25 02:00:00", "2026-10-25 04:00:00")),
        # Half an hour.
        (
            LORD_HOWE,
            "2026-04-05T01:30+10:30",
            "2026-04-05T02:00+10:30",
            ("2026-04-05 01:30:00", "2026-04-05 02:30:00"),
        ),
        # A day that was left out.
        (APIA, "2011-12-29T12:00-10:00", "2011-12-31T12:00+14:00", ("2011-12-29 12:00:00", "2011-12-31 12:00:00")),
    ],
)
def test_the_range_to_ask_for_is_widened_where_the_clock_is_turned_back_and_only_there(
    zone, start, end, expected
) -> None:
    assert wall_range(datetime.fromisoformat(start), datetime.fromisoformat(end), zone) == expected


def test_a_part_of_a_second_at_the_end_is_covered() -> None:
    start = datetime(2026, 8, 1, 11, tzinfo=UTC)
    assert wall_range(start, start + timedelta(microseconds=1), RIGA)[1] == "2026-08-01 14:00:01"


@pytest.mark.parametrize(
    ("zone", "row", "start", "disagreements"),
    [
        # The naive date is right whatever the offset beside it says; `timestamp` agrees.
        (RIGA, {"date": "2026-08-01T14:00:00+0000", "timestamp": 1785582000}, "2026-08-01T14:00+03:00", 0),
        (RIGA, {"date": "2026-08-01 14:00:00"}, "2026-08-01T14:00+03:00", 0),
        (RIGA, {"datetime": "2026-08-01T14:00:00.000Z"}, "2026-08-01T14:00+03:00", 0),
        (RIGA, {"date": "soon", "datetime": "2026-08-01T14:00:00+03:00"}, "2026-08-01T14:00+03:00", 0),
        (RIGA, {"date": "2026-08-01 14:00:00", "timestamp": "1785582000"}, "2026-08-01T14:00+03:00", 0),
        # Written in UTC: `Z` says so, and `timestamp` agrees.
        (RIGA, {"date": "2026-08-01T11:00:00Z", "timestamp": 1785582000}, "2026-08-01T14:00+03:00", 0),
        (RIGA, {"datetime": "2026-08-01T11:00:00.250Z", "timestamp": 1785582000}, "2026-08-01T14:00+03:00", 0),
        (RIGA, {"date": "2026-08-01T14:00:00Z", "timestamp": 1785582000}, "2026-08-01T14:00+03:00", 0),
        (LONDON, {"date": "2026-10-25T00:30:00Z", "timestamp": 1792888200}, "2026-10-25T01:30+01:00", 0),
        # A `timestamp` that is not the moment of the date loses, and is counted.
        (RIGA, {"date": "2026-08-01 14:00:00", "timestamp": 1785592800}, "2026-08-01T14:00+03:00", 1),
        # It is believed where there is nothing else.
        (RIGA, {"timestamp": 1785582000}, "2026-08-01T14:00+03:00", 0),
        (RIGA, {"date": None, "datetime": "", "timestamp": 1785582000.0}, "2026-08-01T14:00+03:00", 0),
        # The repeated hour: `timestamp` tells which one, else the offset does, else it is the first.
        (LONDON, {"date": "2026-10-25 01:30:00", "timestamp": 1792891800}, "2026-10-25T01:30+00:00", 0),
        (LONDON, {"date": "2026-10-25 01:30:00", "timestamp": 1792888200}, "2026-10-25T01:30+01:00", 0),
        (LONDON, {"date": "2026-10-25 01:30:00", "timestamp": 1792880000}, "2026-10-25T01:30+01:00", 1),
        (LONDON, {"date": "2026-10-25T01:30:00+0000"}, "2026-10-25T01:30+00:00", 0),
        (LONDON, {"date": "2026-10-25T01:30:00+0100"}, "2026-10-25T01:30+01:00", 0),
        (LONDON, {"date": "2026-10-25T01:30:00+0500"}, "2026-10-25T01:30+01:00", 0),
        (LONDON, {"date": "2026-10-25 01:30:00"}, "2026-10-25T01:30+01:00", 0),
        (LONDON, {"date": "2026-10-25 12:00:00"}, "2026-10-25T12:00+00:00", 0),
        (NEW_YORK, {"date": "2026-11-01T01:30:00-0500"}, "2026-11-01T01:30-05:00", 0),
        (LORD_HOWE, {"date": "2026-04-05T01:45:00+1030"}, "2026-04-05T01:45+10:30", 0),
        (LORD_HOWE, {"date": "2026-04-05T01:45:00+1100"}, "2026-04-05T01:45+11:00", 0),
        # A time that was skipped is read as if the clock had not been put forward yet.
        (NEW_YORK, {"date": "2026-03-08 02:30:00"}, "2026-03-08T02:30-05:00", 0),
        (APIA, {"date": "2011-12-30 10:00:00"}, "2011-12-30T10:00-10:00", 0),
        (APIA, {"date": "2011-12-31 00:30:00"}, "2011-12-31T00:30+14:00", 0),
        (APIA, {"date": "2011-12-29 23:30:00"}, "2011-12-29T23:30-10:00", 0),
    ],
)
def test_a_row_starts_when_its_naive_date_says_on_the_locations_clock(zone, row, start, disagreements) -> None:
    clock = LocationClock(zone)
    moment = datetime.fromisoformat(start)
    assert clock.start_of(row) == EventStart(count_us(moment), count_us(moment.replace(tzinfo=UTC)))
    assert (clock.disagreements, clock.unknown) == (disagreements, 0)


def test_a_row_at_the_end_of_time_does_no_harm() -> None:
    for zone, is_known in (("UTC", True), ("Pacific/Kiritimati", False)):
        clock = LocationClock(ZoneInfo(zone))
        assert (clock.start_of({"timestamp": 253402300799}) is not None) == is_known
        for date in ("9999-12-31 23:59:59", "0001-01-01 00:00:00"):
            assert clock.start_of({"date": date}) is not None


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"date": None, "datetime": None, "timestamp": None},
        {"date": "", "datetime": "soon", "timestamp": ""},
        {"date": 5, "timestamp": True},
        {"timestamp": float("nan")},
        {"timestamp": float("inf")},
        {"timestamp": 1e300},
        {"timestamp": 10**30},
        {"timestamp": "9" * 5000},
        {"timestamp": -(10**11)},
        {"timestamp": "soon"},
        {"timestamp": [1]},
    ],
    ids=repr,
)
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_a_row_that_does_not_say_when_it_starts_is_counted_as_unknown(row, zone) -> None:
    clock = LocationClock(ZoneInfo(zone))
    assert clock.start_of(row) is None
    assert (clock.disagreements, clock.unknown) == (0, 1)
