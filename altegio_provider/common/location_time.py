"""Instants and wall clocks: how the API writes time, and what it means.

The API speaks in the *location's own wall clock* and leaves the offset out; a wall clock repeats an hour in
autumn and skips one in spring. Inside this package a moment is an aware UTC ``datetime``, or whole microseconds
since the Unix epoch where there is one for every row. This module is the only place where the two meet.

It uses the standard library alone, so that every ring may import it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from altegio_provider.common.integers import integer_or_none

__all__ = [
    "EventStart",
    "LocationClock",
    "TimeRange",
    "as_instant",
    "load_zone",
    "parse_datetime",
    "wall_range",
    "wall_text",
    "zone_or_none",
]

_EPOCH_NAIVE = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock has no zone
_EPOCH_ORDINAL = _EPOCH_NAIVE.toordinal()
_SECOND_US = 1_000_000
_DAY_SECONDS = 86_400
# Years are written with four digits, and every zone's clock must be able to show a range's ends.
#: So much of a text is repeated in an error.
_LEGIBLE = 40
_EARLIEST = datetime(1000, 1, 2, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_US, _LATEST_US = (
    (end - _EPOCH) // timedelta(microseconds=1) for end in (_EARLIEST, _LATEST - timedelta(days=30))
)
#: No clock on earth is further from UTC.
_LONGEST_OFFSET = timedelta(days=1)
# Changes of a zone's offset are never longer than a few hours, so looking this far finds the one that matters.
_TRANSITION_REACH = timedelta(hours=3)


class TimeRange(NamedTuple):
    """A half-open range of instants ``[start, end)``, aware and in UTC."""

    start: datetime
    end: datetime


def load_zone(name: str) -> ZoneInfo:
    """Return the time zone of that IANA name.

    :param name: for example ``Europe/Riga`` or ``UTC``.
    :raises ValueError: no such zone is known, with the argument's name in the text.
    """
    zone = zone_or_none(name)
    if zone is None:
        raise ValueError(f"timezone {name!r} is not an IANA time zone name; use one such as 'Europe/Riga' or 'UTC'")
    return zone


def zone_or_none(name: str) -> ZoneInfo | None:
    """Return the time zone of that IANA name, or ``None`` where there is none."""
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, TypeError, OSError):
        return None


def parse_datetime(text: str) -> datetime:
    """Read a date and time in any of the notations that the API is seen to use.

    With ``T`` or a space, with or without a fraction, with offset ``+0300``, ``+03:00``, ``Z`` or none; a date
    alone is its midnight.

    :returns: aware where the text has an offset, else naive.
    :raises ValueError: the text is no date and time.
    """
    return datetime.fromisoformat(text.strip())


def as_instant(value: datetime | str, zone: ZoneInfo, argument: str = "date") -> datetime:
    """Turn what a user gave into an aware UTC ``datetime``.

    :param value: a ``datetime``, or ISO 8601 text; a naive one is taken as the wall clock of ``zone`` (the first
        of the two moments where the clock is turned back, unless its ``fold`` says the second).
    :param argument: the argument's name, for the error's text.
    :raises ValueError: the text is no date and time, or one so far away that no zone's clock can show it.
    """
    if isinstance(value, str):
        shown = value[:_LEGIBLE]
        try:
            value = parse_datetime(value)
        except ValueError as error:
            raise ValueError(
                f"{argument} {shown!r} is not an ISO 8601 date and time such as '2026-11-20T00:00:00+02:00'"
            ) from error
    if not isinstance(value, datetime):
        raise ValueError(f"{argument} must be a datetime or ISO 8601 text, not {type(value).__name__}")
    if value.tzinfo is None:
        value = value.replace(tzinfo=zone)
    try:
        instant = value.astimezone(UTC)
    except OverflowError:
        instant = None
    if instant is None or not _EARLIEST <= instant <= _LATEST:
        raise ValueError(f"{argument} {value.isoformat()} is too far away: use one between the years 1000 and 9999")
    return instant


def wall_text(instant: datetime, zone: ZoneInfo) -> str:
    """Write an instant as the API wants it: ``YYYY-MM-DD HH:MM:SS`` on the wall clock of ``zone``."""
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def wall_range(date_from: datetime, date_to: datetime, zone: ZoneInfo) -> tuple[str, str]:
    """Return the wall-clock range to ask for, so that it covers every instant of ``[date_from, date_to)``.

    Where the clock is turned back, one wall-clock text names two instants and the server may mean either one; the
    range is then widened by the length of the change. What it covers too much is for the reader to drop.

    :returns: ``(filter_from, filter_to)`` as ``YYYY-MM-DD HH:MM:SS``, without offset.
    """
    date_to += timedelta(microseconds=-date_to.microsecond % _SECOND_US)
    earlier = _backward_change(date_from, date_from + _TRANSITION_REACH, zone)
    later = _backward_change(date_to - _TRANSITION_REACH, date_to, zone)
    first = date_from.astimezone(zone).replace(tzinfo=None) - earlier
    last = date_to.astimezone(zone).replace(tzinfo=None) + later
    return f"{first:%Y-%m-%d %H:%M:%S}", f"{last:%Y-%m-%d %H:%M:%S}"


def _backward_change(start: datetime, end: datetime, zone: ZoneInfo) -> timedelta:
    """By how much the clock of ``zone`` is turned back between two instants (zero when it is not)."""
    before, after = start.astimezone(zone).utcoffset(), end.astimezone(zone).utcoffset()
    return max((before or timedelta(0)) - (after or timedelta(0)), timedelta(0))


class EventStart(NamedTuple):
    """When an event starts: microseconds since the Unix epoch (UTC), and the same count on the wall clock."""

    instant_us: int
    wall_us: int

    @property
    def instant(self) -> datetime | None:
        """The moment, in UTC; ``None`` for one so far away that not every clock can show it and the days around it."""
        if not _EARLIEST_US <= self.instant_us <= _LATEST_US:
            return None
        return _EPOCH + timedelta(microseconds=self.instant_us)

    @property
    def wall(self) -> datetime:
        """What the clock on the wall shows then, naive."""
        return _EPOCH_NAIVE + timedelta(microseconds=self.wall_us)


class LocationClock:
    """Reads the start of rows on one location's clock, and counts what did not add up.

    The UTC offset that the API writes into ``datetime`` can be wrong; the naive ``date`` in the location's IANA
    zone is right. So ``timestamp`` is believed where it agrees with the naive date (it tells the two moments of a
    repeated hour apart), else the naive date is. But a date written with ``Z`` whose moment ``timestamp`` is too was
    turned into UTC, and is no wall clock.

    :param zone: the location's time zone.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        #: Rows whose ``timestamp`` was not the moment that ``date`` names in this zone.
        self.disagreements = 0
        #: Rows without any readable start.
        self.unknown = 0
        self._offset_of_day: dict[int, int | None] = {}

    def start_of(self, row: Mapping[str, Any]) -> EventStart | None:
        """Return when the event of a flat activity row starts, or ``None`` where the row does not say.

        :param row: an activity with ``date``, ``datetime`` and ``timestamp``, any of which may be missing.
        """
        wall = _naive_part(row.get("date")) or _naive_part(row.get("datetime"))
        timestamp = _unix_seconds(row.get("timestamp"))
        if wall is None:
            return self._from_timestamp(timestamp)
        if timestamp is not None and _is_in_utc(row, wall, timestamp):
            return self._from_timestamp(timestamp)
        day = wall.toordinal() - _EPOCH_ORDINAL
        wall_seconds = day * _DAY_SECONDS + wall.hour * 3600 + wall.minute * 60 + wall.second
        wall_us = wall_seconds * _SECOND_US + wall.microsecond
        try:
            offset = self._offset_of_day[day]
        except KeyError:
            offset = self.offset_on(day)
        if offset is not None:
            if timestamp is not None and timestamp != wall_seconds - offset:
                self.disagreements += 1
            return EventStart(wall_us - offset * _SECOND_US, wall_us)
        return self._on_day_of_change(row, wall, wall_seconds, wall_us, timestamp)

    def offset_on(self, day: int) -> int | None:
        """Return the zone's UTC offset in seconds on a day, or ``None`` if it changes on that day or near it.

        :param day: the day on the wall clock, counted from 1970-01-01.
        """
        try:
            return self._offset_of_day[day]
        except KeyError:
            offsets: set[int] = set()
        with suppress(OverflowError):
            noon = (_EPOCH_NAIVE + timedelta(days=day, hours=12)).replace(tzinfo=self.zone)
            offsets = {_offset(noon + timedelta(hours=hours)) for hours in (-13, 0, 13)}
        offset = offsets.pop() if len(offsets) == 1 else None
        self._offset_of_day[day] = offset
        return offset

    def all_start_within(self, rows: Sequence[Mapping[str, Any]], start: datetime, end: datetime) -> bool:
        """Whether it can be seen at a glance that all rows start in ``[start, end)``, a day away from its ends.

        :returns: ``False`` says nothing: ask :meth:`start_of`.
        """
        try:
            walls = [datetime.fromisoformat(row["date"]).replace(tzinfo=None) for row in rows]
            first, behind = (moment.astimezone(UTC).replace(tzinfo=None) for moment in (start, end))
            return first + _LONGEST_OFFSET <= min(walls) and max(walls) < behind - _LONGEST_OFFSET
        except (KeyError, TypeError, ValueError, OverflowError):
            return False

    def _from_timestamp(self, timestamp: int | None) -> EventStart | None:
        if timestamp is None:
            self.unknown += 1
            return None
        try:
            offset = _offset(datetime.fromtimestamp(timestamp, UTC).astimezone(self.zone))
        except (ValueError, OverflowError, OSError):
            self.unknown += 1
            return None
        return EventStart(timestamp * _SECOND_US, (timestamp + offset) * _SECOND_US)

    def _on_day_of_change(
        self, row: Mapping[str, Any], wall: datetime, wall_seconds: int, wall_us: int, timestamp: int | None
    ) -> EventStart:
        first = _offset(wall.replace(tzinfo=self.zone, fold=0))
        second = _offset(wall.replace(tzinfo=self.zone, fold=1))
        chosen = first
        if timestamp is not None:
            if timestamp == wall_seconds - second:
                chosen = second
            elif timestamp != wall_seconds - first:
                self.disagreements += 1
        elif first > second and _written_offset(row) == second:
            chosen = second
        return EventStart(wall_us - chosen * _SECOND_US, wall_us)


def _offset(moment: datetime) -> int:
    offset = moment.utcoffset()
    assert offset is not None  # noqa: S101 - ZoneInfo always knows
    return int(offset.total_seconds())


def _naive_part(text: Any) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None


def _is_in_utc(row: Mapping[str, Any], wall: datetime, timestamp: int) -> bool:
    """Whether the text that ``wall`` was read from ends in ``Z``, and ``timestamp`` is that moment.

    Other offsets are known to be wrong at times; nobody writes ``Z`` for the offset of a place.
    """
    text = row["date"] if _naive_part(row.get("date")) else row["datetime"]
    return str(text).endswith(("Z", "z")) and timestamp == (wall - _EPOCH_NAIVE) // timedelta(seconds=1)


def _written_offset(row: Mapping[str, Any]) -> int | None:
    for field in ("date", "datetime"):
        text = row.get(field)
        if isinstance(text, str):
            try:
                moment = datetime.fromisoformat(text)
            except ValueError:
                continue
            if moment.tzinfo is not None:
                return _offset(moment)
    return None


def _unix_seconds(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int | float):
        return int(value) if value == value and abs(value) < 1e12 else None
    seconds = integer_or_none(value)
    return seconds if seconds is not None and seconds < 10**12 else None
