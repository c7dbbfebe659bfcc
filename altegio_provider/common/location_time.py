"""Converts between instants and the API's wall-clock times.

The API writes times on the *location's own wall clock*, without an offset; a wall clock repeats an hour in autumn and
skips one in spring. Inside this package an instant is an aware UTC ``datetime``, or microseconds since the Unix epoch
where each row has one. Only this module converts between the two.

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
#: Characters of a text that an error repeats.
_MAX_SHOWN = 40
# Years are written with four digits, and the clock of every zone must be able to show both ends of a range.
_EARLIEST = datetime(1000, 1, 2, tzinfo=UTC)
_LATEST = datetime(9999, 12, 31, tzinfo=UTC)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EARLIEST_US, _LATEST_US = (
    (end - _EPOCH) // timedelta(microseconds=1) for end in (_EARLIEST, _LATEST - timedelta(days=30))
)
#: The offset of every zone is smaller.
_LONGEST_OFFSET = timedelta(days=1)
# A change of a zone's offset affects the times of a few hours, so this distance finds it.
_TRANSITION_REACH = timedelta(hours=3)


class TimeRange(NamedTuple):
    """A half-open range of instants ``[start, end)``, aware and in UTC."""

    start: datetime
    end: datetime


def load_zone(name: str) -> ZoneInfo:
    """Return a time zone.

    :param name: its IANA name, such as ``Europe/Riga`` or ``UTC``.
    :raises ValueError: there is no such zone; the text names the argument.
    """
    zone = zone_or_none(name)
    if zone is None:
        raise ValueError(f"timezone {name!r} is not an IANA time zone name; use one such as 'Europe/Riga' or 'UTC'")
    return zone


def zone_or_none(name: str) -> ZoneInfo | None:
    """Return a time zone, or ``None`` if it does not exist.

    :param name: its IANA name.
    """
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, TypeError, OSError):
        return None


def parse_datetime(text: str) -> datetime:
    """Read a date and time in any of the API's notations.

    :param text: with ``T`` or a space, with or without a fraction, with the offset ``+0300``, ``+03:00``, ``Z`` or
        none; a date alone means its midnight.
    :returns: an aware datetime if the text has an offset, else a naive one.
    :raises ValueError: the text is not a date and time.
    """
    return datetime.fromisoformat(text.strip())


def as_instant(value: datetime | str, zone: ZoneInfo, argument: str = "date") -> datetime:
    """Convert an argument to an aware UTC ``datetime``.

    :param value: a ``datetime``, or ISO 8601 text; a naive one is on the wall clock of ``zone`` (the first of two
        instants where the clock is turned back, unless its ``fold`` selects the second).
    :param zone: the location's time zone.
    :param argument: the argument's name, for the error.
    :raises ValueError: the text is not a date and time, or not one of the years 1000 to 9999.
    """
    if isinstance(value, str):
        shown = value[:_MAX_SHOWN]
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
        raise ValueError(f"{argument} {value.isoformat()} is out of range: use a date of the years 1000 to 9999")
    return instant


def wall_text(instant: datetime, zone: ZoneInfo) -> str:
    """Return an instant in the API's form: ``YYYY-MM-DD HH:MM:SS`` on the location's wall clock.

    :param instant: the instant.
    :param zone: the location's time zone.
    """
    return f"{instant.astimezone(zone):%Y-%m-%d %H:%M:%S}"


def wall_range(date_from: datetime, date_to: datetime, zone: ZoneInfo) -> tuple[str, str]:
    """Return the wall-clock range to request, which covers every instant of ``[date_from, date_to)``.

    Where the clock is turned back, a wall-clock time stands for two instants, and the server may use either one. The
    range is then widened by the length of the change, and the reader drops the rows outside ``[date_from, date_to)``.

    :param date_from: the first instant.
    :param date_to: the end, not included.
    :param zone: the location's time zone.
    :returns: ``(filter_from, filter_to)`` as ``YYYY-MM-DD HH:MM:SS``, without offset.
    """
    date_to += timedelta(microseconds=-date_to.microsecond % _SECOND_US)
    earlier = _backward_change(date_from, date_from + _TRANSITION_REACH, zone)
    later = _backward_change(date_to - _TRANSITION_REACH, date_to, zone)
    first = date_from.astimezone(zone).replace(tzinfo=None) - earlier
    last = date_to.astimezone(zone).replace(tzinfo=None) + later
    return f"{first:%Y-%m-%d %H:%M:%S}", f"{last:%Y-%m-%d %H:%M:%S}"


def _backward_change(start: datetime, end: datetime, zone: ZoneInfo) -> timedelta:
    """Return how far the clock of ``zone`` is turned back between two instants (zero if it is not)."""
    before, after = start.astimezone(zone).utcoffset(), end.astimezone(zone).utcoffset()
    return max((before or timedelta(0)) - (after or timedelta(0)), timedelta(0))


class EventStart(NamedTuple):
    """When an event starts: microseconds from 1970-01-01 in UTC, and on the location's wall clock."""

    instant_us: int
    wall_us: int

    @property
    def instant(self) -> datetime | None:
        """The instant in UTC; ``None`` if it is outside the years 1000 to 9999."""
        if not _EARLIEST_US <= self.instant_us <= _LATEST_US:
            return None
        return _EPOCH + timedelta(microseconds=self.instant_us)

    @property
    def wall(self) -> datetime:
        """The time on the location's wall clock, naive."""
        return _EPOCH_NAIVE + timedelta(microseconds=self.wall_us)


class LocationClock:
    """Finds when the events of one location start, from their rows, and counts contradictions.

    The UTC offset that the API writes into ``datetime`` can be wrong; the naive ``date`` on the location's clock is
    right. So ``timestamp`` is used if it agrees with the naive date (it tells the two instants of a repeated hour
    apart), else the naive date. A date with ``Z`` that is the same instant as ``timestamp`` is in UTC, and not on the
    wall clock.

    :param zone: the location's time zone.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self.zone = zone
        #: How many rows had a ``timestamp`` that contradicts ``date`` in this zone.
        self.disagreements = 0
        #: How many rows had no readable start.
        self.unknown = 0
        self._offset_of_day: dict[int, int | None] = {}

    def start_of(self, row: Mapping[str, Any]) -> EventStart | None:
        """Return when an event starts, or ``None`` if its row has no readable start.

        :param row: a flat row with ``date``, ``datetime`` and ``timestamp``, any of which may be missing.
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
        """Return whether all rows surely start in ``[start, end)``, at least a day away from its ends. It is fast.

        :param rows: flat rows.
        :param start: the first instant.
        :param end: the end, not included.
        :returns: ``False`` means nothing: use :meth:`start_of`.
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
    assert offset is not None  # noqa: S101 - a ZoneInfo has an offset
    return int(offset.total_seconds())


def _naive_part(text: Any) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        return datetime.fromisoformat(text).replace(tzinfo=None)
    except ValueError:
        return None


def _is_in_utc(row: Mapping[str, Any], wall: datetime, timestamp: int) -> bool:
    """Return whether the text that ``wall`` was read from ends in ``Z``, and ``timestamp`` is the same instant.

    Other offsets can be wrong, but no server writes ``Z`` for a local time.
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
