"""Instants and wall clocks, above all on days when a clock is changed: nothing is missed and nothing comes twice."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from hypothesis import assume, example, given
from hypothesis import strategies as st

from altegio_provider.common.location_time import LocationClock, as_instant, parse_datetime, wall_range, wall_text

ZONES = [
    "UTC",
    "Europe/London",
    "Europe/Riga",
    "America/New_York",
    "America/St_Johns",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Pacific/Auckland",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Asia/Pyongyang",
    "Asia/Tehran",
    "Antarctica/Troll",
    "Antarctica/Casey",
]
FIRST_DAY = datetime(1975, 1, 1, tzinfo=UTC)
DAYS = 365 * 60
SECOND_US = 1_000_000


@cache
def changes_of(name: str) -> list[datetime]:
    """The instants at which the zone's offset changes, to the second."""
    zone = ZoneInfo(name)

    def offset(seconds: int) -> timedelta | None:
        return (FIRST_DAY + timedelta(seconds=seconds)).astimezone(zone).utcoffset()

    found = []
    for day in range(DAYS):
        before, after = day * 86_400, (day + 1) * 86_400
        if offset(before) == offset(after):
            continue
        while after - before > 1:
            middle = (before + after) // 2
            before, after = (middle, after) if offset(middle) == offset(before) else (before, middle)
        found.append(FIRST_DAY + timedelta(seconds=after))
    return found


@st.composite
def moments(draw, count: int):
    """A zone, and instants near a change of its clock, or anywhere."""
    name = draw(st.sampled_from(ZONES))
    if changes_of(name) and draw(st.integers(0, 4)):
        centre = draw(st.sampled_from(changes_of(name)))
    else:
        centre = FIRST_DAY + timedelta(days=draw(st.integers(2, DAYS - 2)))
    step = draw(st.sampled_from([timedelta(seconds=1), timedelta(minutes=30), timedelta(hours=1)]))
    exact = draw(st.sampled_from([timedelta(0), timedelta(microseconds=1), timedelta(milliseconds=500)]))
    steps = draw(st.lists(st.integers(-30, 30), min_size=count, max_size=count))
    return ZoneInfo(name), [centre + step * number + exact * draw(st.integers(0, 1)) for number in steps]


def wall(instant: datetime, zone: ZoneInfo) -> datetime:
    return instant.astimezone(zone).replace(tzinfo=None)


def count_us(moment: datetime) -> int:
    return (moment.replace(tzinfo=moment.tzinfo or UTC) - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


@given(moments(3))
def test_the_range_asked_for_holds_every_instant_of_the_window_whichever_way_a_server_reads_it(drawn) -> None:
    zone, instants = drawn
    start, event, end = sorted(instants)
    assume(start <= event < end)
    first, last = wall_range(start, end, zone)
    # A server that compares wall clocks.
    assert first <= wall_text(event, zone) < last
    # Servers that make instants of them, and take either one of a repeated hour.
    for fold in (0, 1):
        moments_asked = (datetime.fromisoformat(text).replace(tzinfo=zone, fold=fold) for text in (first, last))
        from_, to = (moment.astimezone(UTC) for moment in moments_asked)
        assert from_ <= event < to


@given(moments(2))
def test_the_range_asked_for_is_no_wider_than_a_change_of_the_clock(drawn) -> None:
    zone, instants = drawn
    start, end = sorted(instants)
    assume(start < end)
    first, last = (datetime.fromisoformat(text) for text in wall_range(start, end, zone))
    reach = timedelta(hours=3)
    assert timedelta(0) <= wall(start, zone) - first < reach + timedelta(seconds=1)
    assert timedelta(0) <= last - wall(end, zone) < reach + timedelta(seconds=1)


def notations(instant: datetime, zone: ZoneInfo) -> st.SearchStrategy[dict]:
    """Rows of an event that starts then, as a server may write them, in whole seconds."""
    local = instant.replace(microsecond=0).astimezone(zone)
    naive = local.replace(tzinfo=None)
    return st.fixed_dictionaries(
        {},
        optional={
            "timestamp": st.sampled_from([int(instant.timestamp()), str(int(instant.timestamp()))]),
            "datetime": st.sampled_from(
                [
                    local.isoformat(),
                    f"{local:%Y-%m-%dT%H:%M:%S%z}",
                    f"{naive.isoformat()}.000+00:00",
                    None,
                ]
            ),
        },
    ).flatmap(
        lambda rest: st.sampled_from(
            [
                {"date": f"{naive:%Y-%m-%d %H:%M:%S}", **rest},
                {"date": f"{naive.isoformat()}.000", **rest},
                {"date": f"{local:%Y-%m-%dT%H:%M:%S%z}", **rest},
            ]
        )
    )


@given(drawn=moments(5), data=st.data())
def test_neighbouring_windows_deliver_each_row_exactly_once(drawn, data) -> None:
    zone, instants = drawn
    event, *edges = instants
    edges = sorted({*edges, min(instants) - timedelta(days=2), max(instants) + timedelta(days=2)})
    row = data.draw(notations(event, zone))
    start = LocationClock(zone).start_of(row)
    assert start is not None
    naive = wall_text(event, zone)
    delivered = 0
    for window in pairwise(edges):
        first, last = wall_range(*window, zone)
        is_listed = first <= naive < last
        is_inside = count_us(window[0]) <= start.instant_us < count_us(window[1])
        delivered += is_listed and is_inside
    assert delivered == 1


@given(drawn=moments(1), data=st.data())
def test_a_start_is_exact_where_the_row_tells_and_one_of_two_where_it_does_not(drawn, data) -> None:
    zone, (event,) = drawn
    event = event.replace(microsecond=0)
    row = data.draw(notations(event, zone))
    clock = LocationClock(zone)
    start = clock.start_of(row)
    assert start is not None
    assert start.wall_us == count_us(wall(event, zone))
    if "timestamp" in row:
        assert start.instant_us == count_us(event)
    else:
        found = datetime.fromtimestamp(start.instant_us / 1e6, UTC)
        assert wall(found, zone) == wall(event, zone)
        both = {wall(event, zone).replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)}
        assert found in both
    assert (clock.disagreements, clock.unknown) == (0, 0)


@given(moments(1))
def test_the_offset_tells_the_two_of_a_repeated_hour_apart(drawn) -> None:
    zone, (event,) = drawn
    event = event.replace(microsecond=0)
    start = LocationClock(zone).start_of({"date": f"{event.astimezone(zone):%Y-%m-%dT%H:%M:%S%z}"})
    assert start is not None
    assert start.instant_us == count_us(event)


@given(drawn=moments(8), shuffled=st.randoms())
def test_what_a_clock_has_read_before_changes_nothing(drawn, shuffled) -> None:
    zone, instants = drawn
    rows = [{"date": wall_text(instant, zone), "timestamp": int(instant.timestamp())} for instant in instants]
    fresh = [LocationClock(zone).start_of(row) for row in rows]
    order = list(range(len(rows)))
    shuffled.shuffle(order)
    clock = LocationClock(zone)
    read = {number: clock.start_of(rows[number]) for number in order}
    assert [read[number] for number in range(len(rows))] == fresh


ANYTHING = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=30)
    | st.just([1])
    | st.datetimes().map(lambda moment: moment.isoformat())
)


@given(
    row=st.fixed_dictionaries({}, optional={"date": ANYTHING, "datetime": ANYTHING, "timestamp": ANYTHING}),
    zone=st.sampled_from(ZONES).map(ZoneInfo),
)
@example(row={"timestamp": 253402300799}, zone=ZoneInfo("Pacific/Kiritimati"))
@example(row={"date": "0001-01-01T00:00:00"}, zone=ZoneInfo("Europe/Riga"))
def test_no_row_ends_a_reading(row, zone) -> None:
    clock = LocationClock(zone)
    start = clock.start_of(row)
    assert (start is None) == (clock.unknown == 1)


@given(moments(1))
def test_an_aware_date_is_its_instant_in_any_zone(drawn) -> None:
    zone, (instant,) = drawn
    for given_ in (instant, instant.astimezone(zone), instant.astimezone(zone).isoformat()):
        assert as_instant(given_, ZoneInfo("Asia/Tbilisi")) == instant


@given(moments(1))
def test_a_naive_date_is_the_first_moment_when_the_clock_shows_it(drawn) -> None:
    zone, (instant,) = drawn
    shown = wall(instant, zone)
    found = as_instant(shown.replace(fold=0), zone)
    assert found == as_instant(shown.isoformat(), zone)
    assert wall(found, zone) == shown
    assert found <= instant
    # A datetime that says itself which of the two it is, is believed.
    assert as_instant(shown, zone) == instant


@given(
    moment=st.datetimes(datetime(1000, 1, 1), datetime(9999, 12, 31)),  # noqa: DTZ001 - a wall clock has no zone
    minutes=st.none() | st.integers(-14 * 60, 14 * 60),
    separator=st.sampled_from("T "),
    digits=st.sampled_from([0, 3, 6]),
    colon=st.booleans(),
)
def test_every_notation_is_read_back(moment, minutes, separator, digits, colon) -> None:
    moment = moment.replace(microsecond=moment.microsecond // 10 ** (6 - digits) * 10 ** (6 - digits) if digits else 0)
    text = moment.isoformat(separator, "seconds")
    if digits:
        text += f".{moment.microsecond:06}"[: digits + 1]
    if minutes is None:
        assert parse_datetime(text) == moment
        return
    sign, (hours, rest) = ("-" if minutes < 0 else "+"), divmod(abs(minutes), 60)
    offset = "Z" if minutes == 0 and colon else f"{sign}{hours:02}{':' if colon else ''}{rest:02}"
    read = parse_datetime(text + offset)
    assert read.replace(tzinfo=None) == moment
    assert read.utcoffset() == timedelta(minutes=minutes)
