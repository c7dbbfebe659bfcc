"""Sees which events of a location are new, changed or gone since the look before. Knows no Airflow.

A look reads the list of activities from now to a horizon. Of each event it keeps its start and a mark, a small hash of
the fields that count. The cursor is what the last look saw; two looks differ in

* ``new``: events that were not there, in a time that the last look saw already;
* ``changed``: events whose start or mark is another;
* ``gone``: events that have not started yet and are not there any more;
* ``in_view``: events that the horizon has reached as time went by. They may have been there for long.

Events that have started leave the cursor and nothing is said of them.
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

from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.times import LocationClock

if TYPE_CHECKING:
    from altegio_provider.api.client import AltegioClient

__all__ = ["FIELDS", "KINDS", "Changes", "Cursor", "Snapshot", "Watch", "checked_names", "differences", "take_snapshot"]

#: What can be told of an event.
KINDS = ("new", "changed", "gone", "in_view")
#: The fields that count, unless others are named; the start counts always.
FIELDS = ("staff_id", "service_id", "length", "capacity")

_VERSION = 1
_HOUR = 3600
_IDS_PER_MESSAGE = 500


class Mark(NamedTuple):
    """What is kept of an event: its start in Unix seconds, and 32 bits of a hash of the fields that count."""

    start: int
    bits: int


class Watch(NamedTuple):
    """What is watched of a location: only these services and team members; empty is all."""

    service_ids: Collection[int] = ()
    staff_ids: Collection[int] = ()


@dataclass(frozen=True)
class _Facts:
    mark: Mark
    service_id: Any
    staff_id: Any


@dataclass(frozen=True)
class Snapshot:
    """The events of a location that start between two moments, as one look saw them.

    :param seen_at: when it was taken, in Unix seconds; ``until``: the window's end.
    """

    location_id: int
    seen_at: int
    until: int
    events: Mapping[int, _Facts]

    def cursor(self, watch: Watch) -> Cursor:
        """Return what of it is to be remembered."""
        marks = {
            event_id: facts.mark
            for event_id, facts in self.events.items()
            if (not watch.service_ids or facts.service_id in watch.service_ids)
            and (not watch.staff_ids or facts.staff_id in watch.staff_ids)
        }
        return Cursor(self.until, marks)


@dataclass(frozen=True)
class Cursor:
    """What the last look saw: the end of its window in Unix seconds, and each event's mark."""

    until: int
    marks: Mapping[int, Mark]

    def encode(self) -> dict[str, Any]:
        """Return it as a small JSON object: some ten bytes an event."""
        ids = sorted(self.marks)
        steps = [after - before for before, after in zip([0, *ids], ids, strict=False)]
        columns = [steps, [self.marks[number].start for number in ids], [self.marks[number].bits for number in ids]]
        packed = b"".join(struct.pack(f"<{len(ids)}Q", *column) for column in columns)
        return {"version": _VERSION, "until": self.until, "marks": b85encode(zlib.compress(packed, 9)).decode()}

    @classmethod
    def decode(cls, value: Any) -> Cursor | None:
        """Read it; ``None`` where it is nothing that this version wrote."""
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
    """Ids of events, in order, by what became of them."""

    new: Sequence[int] = ()
    changed: Sequence[int] = ()
    gone: Sequence[int] = ()
    in_view: Sequence[int] = ()

    def messages(self, kinds: Collection[str]) -> Iterator[dict[str, list[int]]]:
        """Yield these kinds of them, at most 500 ids at once; nothing where there are none."""
        ids = [(kind, number) for kind in KINDS if kind in kinds for number in getattr(self, kind)]
        for begin in range(0, len(ids), _IDS_PER_MESSAGE):
            message: dict[str, list[int]] = {kind: [] for kind in KINDS}
            for kind, number in ids[begin : begin + _IDS_PER_MESSAGE]:
                message[kind].append(number)
            yield message


def differences(before: Cursor, now: Cursor, seen_at: int) -> Changes:
    """Return what became of the events between two looks.

    :param seen_at: when the second look was, in Unix seconds: what has started by then is not gone, nor is what a
        shorter horizon leaves out.
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

    :param fields: the fields that count, in the API's names.
    :param timezone: the location's IANA time zone; default: the client's.
    :raises AltegioError: the leaf says what to do.
    """
    from altegio_provider.api.arguments import checked_zone

    until = -(-int((now + horizon).timestamp()) // _HOUR) * _HOUR
    clock = LocationClock(checked_zone(timezone or client.timezone))
    # One page after the other: nobody waits for it, and no request is made that turns out not to be needed.
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
    """Return a list of names.

    :param known: the names there are; empty: any.
    :raises AltegioValidationError: it is a text, or one of them is unknown.
    """
    if isinstance(given, str) or not all(isinstance(name, str) and name for name in given):
        raise _wrong(argument, "must be a list of names")
    unknown = [name for name in given if known and name not in known]
    if unknown:
        raise _wrong(argument, f"has {unknown[0]!r}, which is none of {', '.join(known)}")
    return list(given)


def _wrong(argument: str, text: str) -> AltegioValidationError:
    return AltegioValidationError(f"{argument} {text}.", errors={argument: [text]}, hint="")
