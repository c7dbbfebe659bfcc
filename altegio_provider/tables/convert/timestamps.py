"""Reads the timestamps of rows: the start, the creation, the end of a repetition.

Each becomes whole microseconds since the epoch. A field is *lossy* if its text cannot be restored from the columns,
for example because its offset is not the time zone's, or because it cannot be read. It is then kept in ``extra`` too.

Arrow parses the usual notations of a whole batch at once; rows with other notations are read one by one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from operator import sub
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import pyarrow as pa
import pyarrow.compute as pc

from altegio_provider.common.location_time import EventStart, LocationClock, parse_datetime
from altegio_provider.tables.convert.arrays import array_of
from altegio_provider.tables.convert.columns import ObjectColumns

__all__ = ["ReadTimestamps", "Starts", "TimestampReader"]

_MICROSECOND = timedelta(microseconds=1)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_WALL = _EPOCH.replace(tzinfo=None)
_SECOND_US = 1_000_000
_DAY_US = 86_400 * _SECOND_US
#: The length of `2026-08-01T14:00:00.000000+03:00`. A longer text has digits that a datetime cannot hold.
_LONGEST_TEXT = 32
_WALL_TEXT = 19
#: The offsets of a batch that spans more days than this are compared row by row.
_SPAN_DAYS = 1_000
_WALL, _INSTANT = pa.timestamp("us"), pa.timestamp("us", tz="UTC")
_START_FIELDS = ("date", "datetime", "timestamp")


class Starts(NamedTuple):
    """The starts of a batch's rows.

    :param instants: microseconds since the epoch.
    :param walls: the same on the location's wall clock.
    :param lossy: the row's index and the field's name of each field that is lossy.
    """

    instants: list[int | None]
    walls: list[int | None]
    lossy: list[tuple[int, str]]


class ReadTimestamps(NamedTuple):
    """A column of timestamps.

    :param microseconds: microseconds since the epoch; ``None`` where there is none.
    :param lossy: the indexes of lossy values.
    :param mismatches: the indexes of values that cannot be read.
    """

    microseconds: list[int | None]
    lossy: list[int]
    mismatches: list[int]


class TimestampReader:
    """Reads the timestamps of one location's rows.

    :param zone: the location's time zone.
    """

    def __init__(self, zone: ZoneInfo) -> None:
        self.clock = LocationClock(zone)
        self._zone = zone

    def starts(self, rows: ObjectColumns) -> Starts:
        """Return the starts of the rows. :class:`LocationClock` says which of contradicting fields is used.

        :param rows: the rows by column.
        """
        count = len(rows.objects)
        quick = self._usual_starts(*map(rows.values, _START_FIELDS))
        instants, walls, odd = quick or ([None] * count, [None] * count, range(count))
        starts = Starts(instants, walls, [])
        for number in odd:
            row = rows.objects[number]
            start = self._start_of(row)
            starts.instants[number], starts.walls[number] = start or (None, None)
            starts.lossy.extend((number, field) for field in _lossy_fields(row, start))
        return starts

    def created(self, values: Sequence[Any]) -> ReadTimestamps:
        """Read instants. A text without an offset is on the location's wall clock.

        :param values: the field's values.
        """
        microseconds: list[int | None] = [None] * len(values)
        present = [number for number, value in enumerate(values) if value is not None]
        texts = [values[number] for number in present]
        array = _text_array(texts)
        walls, instants = _walls(array), _instants(array)
        if walls is not None and instants is not None:
            for number, instant in zip(present, instants, strict=True):
                microseconds[number] = instant
            odd = [present[place] for place in self._offset_mismatches(walls, instants)]
            return ReadTimestamps(microseconds, [number for number in odd if not self._created(values[number])[1]], [])
        lossy, mismatches = [], []
        for number in present:
            microseconds[number], is_exact = self._created(values[number])
            if not is_exact:
                lossy.append(number)
            if microseconds[number] is None:
                mismatches.append(number)
        return ReadTimestamps(microseconds, lossy, mismatches)

    def schedule_till(self, values: Sequence[Any]) -> ReadTimestamps:
        """Read wall-clock times: texts, or the objects that PHP writes for a date.

        :param values: the field's values.
        """
        microseconds: list[int | None] = [None] * len(values)
        lossy, mismatches = [], []
        for number, value in enumerate(values):
            if value is None:
                continue
            moment = _parsed(value.get("date") if type(value) is dict else value)
            if moment is None:
                mismatches.append(number)
                lossy.append(number)
                continue
            microseconds[number] = _wall_microseconds(moment)
            usual = (
                {"date": value["date"], "timezone_type": 3, "timezone": self._zone.key}
                if type(value) is dict
                else value
            )
            if moment.tzinfo is not None or value != usual:
                lossy.append(number)
        return ReadTimestamps(microseconds, lossy, mismatches)

    def _usual_starts(
        self, dates: Sequence[Any], datetimes: Sequence[Any], timestamps: Sequence[Any]
    ) -> tuple[list[int | None], list[int | None], Iterable[int]] | None:
        """Return instants and wall clocks of rows in the usual notation, and the indexes of rows that contradict.

        :returns: ``None`` if a row has another notation.
        """
        if set(map(type, timestamps)) != {int}:
            return None
        written = _text_array(dates)
        walls = _walls(written)
        if walls is None:
            return None
        instants = [seconds * _SECOND_US for seconds in timestamps]
        odd = set(self._offset_mismatches(walls, instants))
        with_offset = [written] if len(dates[0]) > _WALL_TEXT else []
        if set(map(type, datetimes)) != {type(None)}:
            with_offset.append(_text_array(datetimes))
        for texts in with_offset:
            others = _instants(texts)
            if others is None:
                return None
            if others != instants:
                odd.update(n for n, pair in enumerate(zip(others, instants, strict=True)) if pair[0] != pair[1])
        return [*instants], [*walls], sorted(odd)

    def _offset_mismatches(self, walls: list[int], instants: list[int]) -> list[int]:
        """Return the indexes of rows whose wall clock may differ from the instant's in the time zone."""
        if not walls:
            return []
        offsets = list(map(sub, walls, instants))
        first, last = min(walls) // _DAY_US, max(walls) // _DAY_US
        if last - first < _SPAN_DAYS:
            distinct = {*offsets, *map(self._offset_us, range(first, last + 1))}
            if len(distinct) == 1:
                return []
        pairs = zip(walls, offsets, strict=True)
        return [number for number, (wall, offset) in enumerate(pairs) if self._offset_us(wall // _DAY_US) != offset]

    def _offset_us(self, day: int) -> int | None:
        offset = self.clock.offset_on(day)
        return None if offset is None else offset * _SECOND_US

    def _start_of(self, row: Mapping[str, Any]) -> EventStart | None:
        try:
            return self.clock.start_of(row)
        except (OverflowError, ValueError):  # the offset leads beyond the calendar, or a number is infinite
            self.clock.unknown += 1
            return None

    def _created(self, text: Any) -> tuple[int | None, bool]:
        moment = _parsed(text)
        if moment is None:
            return None, False
        try:
            if moment.tzinfo is None:
                # A wall clock that the change to summer time skips cannot be restored from the instant.
                instant = moment.replace(tzinfo=self._zone).astimezone(UTC)
                is_exact = _wall_microseconds(instant.astimezone(self._zone)) == _wall_microseconds(moment)
                return (instant - _EPOCH) // _MICROSECOND, is_exact
            # If the offset is not the zone's, the text cannot be restored from the instant.
            is_exact = moment.utcoffset() == moment.astimezone(self._zone).utcoffset()
            return (moment - _EPOCH) // _MICROSECOND, is_exact
        except OverflowError:
            return None, False


def _text_array(texts: Sequence[Any]) -> pa.Array | None:
    """Return the texts as an array, ``None`` if a value is not a text."""
    return array_of(pa.string(), texts) if set(map(type, texts)) == {str} else None


def _walls(texts: pa.Array | None) -> list[int] | None:
    """Return the wall clocks of texts of one usual form, with or without offset, ``None`` if one has another form."""
    if texts is not None and len(texts[0].as_py()) > _WALL_TEXT:
        texts = pc.utf8_slice_codeunits(texts, 0, _WALL_TEXT)
    return _cast(texts, _WALL)


def _instants(texts: pa.Array | None) -> list[int] | None:
    """Return the instants of texts with an offset, ``None`` if one has no offset or an unusual form."""
    return _cast(texts, _INSTANT)


def _cast(texts: pa.Array | None, kind: pa.DataType) -> list[int] | None:
    if texts is None:
        return None
    try:
        array = texts.cast(kind)
    except pa.ArrowInvalid:
        return None
    numbers: list[int] = memoryview(array.buffers()[1]).cast("q").tolist()[: len(array)]
    return numbers


def _lossy_fields(row: Mapping[str, Any], start: EventStart | None) -> list[str]:
    fields = [
        field
        for field in ("date", "datetime")
        if row.get(field) is not None and not (start is not None and _text_is_start(row[field], start))
    ]
    seconds = row.get("timestamp")
    if seconds is not None and not (start is not None and _seconds_are_start(seconds, start.instant_us)):
        fields.append("timestamp")
    return fields


def _text_is_start(text: Any, start: EventStart) -> bool:
    moment = _parsed(text)
    if moment is None:
        return False
    if moment.tzinfo is None:
        return _wall_microseconds(moment) == start.wall_us
    return (moment - _EPOCH) // _MICROSECOND == start.instant_us


def _seconds_are_start(seconds: Any, instant_us: int) -> bool:
    if type(seconds) is str and len(seconds) < 20 and seconds.isascii() and seconds.isdigit():
        return int(seconds) * _SECOND_US == instant_us and str(int(seconds)) == seconds
    return type(seconds) in (int, float) and seconds * _SECOND_US == instant_us


def _wall_microseconds(moment: datetime) -> int:
    return (moment.replace(tzinfo=None) - _EPOCH_WALL) // _MICROSECOND


def _parsed(text: Any) -> datetime | None:
    if type(text) is not str or len(text) > _LONGEST_TEXT:
        return None
    try:
        return parse_datetime(text)
    except ValueError:
        return None
