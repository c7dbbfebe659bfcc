"""Finds which events of a location are new, changed or gone since the previous check. Does not import Airflow.

A check reads the list of events from now to a horizon. The cursor keeps, for each event, its start and a small hash of
the compared fields. Two checks differ in

* ``new``: events that did not exist before, in the range that the previous check covered;
* ``changed``: events with another start or hash;
* ``gone``: events that have not started and are no longer listed;
* ``in_view``: events that the horizon reached since the previous check. They may have existed before.

Events that have started leave the cursor without a report.
"""

from __future__ import annotations

import json
import struct
import zlib
from base64 import b85decode, b85encode
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2s
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from altegio_provider.api.arguments import argument_error
from altegio_provider.common.location_time import LocationClock

if TYPE_CHECKING:
    from altegio_provider.api.client import AltegioClient

__all__ = [
    "FIELDS",
    "KINDS",
    "Changes",
    "Cursor",
    "Snapshot",
    "WatchFilter",
    "checked_names",
    "differences",
    "take_snapshot",
]

#: The kinds of changes.
KINDS = ("new", "changed", "gone", "in_view")
#: The fields that are compared by default. The start is always compared.
FIELDS = ("staff_id", "service_id", "length", "capacity")

_VERSION = 1
_HOUR = 3600
_IDS_PER_MESSAGE = 500


class Mark(NamedTuple):
    """An event in the cursor: its start in Unix seconds, and 32 bits of a hash of the compared fields."""

    start: int
    bits: int


class WatchFilter(NamedTuple):
    """Restricts the watched events to services and team members. Empty means all."""

    service_ids: Collection[int] = ()
    staff_ids: Collection[int] = ()


@dataclass(frozen=True)
class _Facts:
    mark: Mark
    service_id: Any
    staff_id: Any


@dataclass(frozen=True)
class Snapshot:
    """The events of a location that start in a window, as one check read them.

    :param seen_at: when the list was read, in Unix seconds.
    :param until: the end of the window, in Unix seconds.
    """

    location_id: int
    seen_at: int
    until: int
    events: Mapping[int, _Facts]

    def cursor(self, watched: WatchFilter) -> Cursor:
        """Return the cursor of the watched events."""
        marks = {
            event_id: facts.mark
            for event_id, facts in self.events.items()
            if (not watched.service_ids or facts.service_id in watched.service_ids)
            and (not watched.staff_ids or facts.staff_id in watched.staff_ids)
        }
        return Cursor(self.until, marks)


@dataclass(frozen=True)
class Cursor:
    """What the previous check saw: the end of its window in Unix seconds, and the mark of each event."""

    until: int
    marks: Mapping[int, Mark]

    def encode(self) -> dict[str, Any]:
        """Return the cursor as a small JSON object, about ten bytes an event."""
        ids = sorted(self.marks)
        steps = [after - before for before, after in zip([0, *ids], ids, strict=False)]
        columns = [steps, [self.marks[number].start for number in ids], [self.marks[number].bits for number in ids]]
        packed = b"".join(struct.pack(f"<{len(ids)}Q", *column) for column in columns)
        return {"version": _VERSION, "until": self.until, "marks": b85encode(zlib.compress(packed, 9)).decode()}

    @classmethod
    def decode(cls, value: Any) -> Cursor | None:
        """Read a stored cursor. Returns ``None`` if another version wrote it or it is damaged."""
        if not isinstance(value, dict) or value.get("version") != _VERSION:
            return None
        try:
            packed = zlib.decompress(b85decode(value["marks"]))
            numbers = struct.unpack(f"<{len(packed) // 8}Q", packed)
            count, rest = divmod(len(numbers), 3)
            until = value["until"]
        except (KeyError, TypeError, ValueError, AttributeError, zlib.error, struct.error):
            return None
        if rest or not isinstance(until, int):
            return None
        ids = accumulate(numbers[:count])
        marks = map(Mark, numbers[count : 2 * count], numbers[2 * count :])
        return cls(until, dict(zip(ids, marks, strict=True)))


@dataclass(frozen=True)
class Changes:
    """Sorted ids of events by kind of change."""

    new: Sequence[int] = ()
    changed: Sequence[int] = ()
    gone: Sequence[int] = ()
    in_view: Sequence[int] = ()

    def messages(self, kinds: Collection[str]) -> Iterator[dict[str, list[int]]]:
        """Yield the changes of these kinds, at most 500 ids in each message. Yields nothing if there are none."""
        ids = [(kind, number) for kind in KINDS if kind in kinds for number in getattr(self, kind)]
        for begin in range(0, len(ids), _IDS_PER_MESSAGE):
            message: dict[str, list[int]] = {kind: [] for kind in KINDS}
            for kind, number in ids[begin : begin + _IDS_PER_MESSAGE]:
                message[kind].append(number)
            yield message


def differences(before: Cursor, now: Cursor, seen_at: int) -> Changes:
    """Compare the cursors of two checks.

    :param seen_at: the time of the second check, in Unix seconds. Events that have started by then do not count as
        gone, nor do events that a shorter horizon leaves out.
    """
    added = sorted(now.marks.keys() - before.marks.keys())
    return Changes(
        new=[number for number in added if now.marks[number].start < before.until],
        changed=sorted(
            number for number in now.marks.keys() & before.marks.keys() if now.marks[number] != before.marks[number]
        ),
        gone=sorted(
            number
            for number in before.marks.keys() - now.marks.keys()
            if seen_at < before.marks[number].start < now.until
        ),
        in_view=[number for number in added if now.marks[number].start >= before.until],
    )


def take_snapshot(
    client: AltegioClient,
    location_id: int,
    now: datetime,
    *,
    horizon: timedelta,
    fields: Sequence[str] = FIELDS,
    timezone: str | None = None,
) -> Snapshot:
    """Read the events from now to a horizon, rounded up to the hour.

    Operation: ``GET /companies/{id}/activities`` or ``GET /locations/{id}/events``.

    :param fields: the fields to compare, by their names in the API.
    :param timezone: the location's IANA time zone; default: the client's.
    :raises AltegioError: the request failed; the class says what to do.
    """
    from altegio_provider.api.arguments import checked_zone

    until = -(-int((now + horizon).timestamp()) // _HOUR) * _HOUR
    clock = LocationClock(checked_zone(timezone or client.timezone))
    # One request at a time: nobody waits for the result, and no page is requested that does not exist.
    rows = client.list_activities(
        location_id, now, datetime.fromtimestamp(until, UTC), timezone=timezone, concurrency=1
    )
    events = {}
    for row in rows:
        event_id, start = row.get("id"), clock.start_of(row)
        if isinstance(event_id, int) and event_id > 0 and start is not None:
            mark = Mark(start.instant_us // 1_000_000, _bits(row, fields))
            events[event_id] = _Facts(mark, row.get("service_id"), row.get("staff_id"))
    return Snapshot(location_id, int(now.timestamp()), until, events)


def _bits(row: Mapping[str, Any], fields: Sequence[str]) -> int:
    values = json.dumps([row.get(field) for field in fields], sort_keys=True, default=str)
    return int.from_bytes(blake2s(values.encode(), digest_size=4).digest())


def checked_names(argument: str, given: Sequence[str], known: Collection[str] = ()) -> list[str]:
    """Return the names as a list.

    :param argument: the argument's name, for the error.
    :param given: the names.
    :param known: the allowed names; empty allows any.
    :raises AltegioValidationError: ``given`` is a string, or a name is unknown.
    """
    if isinstance(given, str) or not all(isinstance(name, str) and name for name in given):
        raise argument_error(argument, "must be a list of names")
    unknown = [name for name in given if known and name not in known]
    if unknown:
        raise argument_error(argument, f"has the unknown name {unknown[0]!r}; the names are {', '.join(known)}")
    return list(given)
