"""Finds the events that a file's rows name, and how many seats they have left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from altegio_provider.api import AltegioClient
from altegio_provider.api.errors import AltegioNotFoundError, AltegioValidationError
from altegio_provider.common.location_time import LocationClock
from altegio_provider.imports.model import EventReference, normalized_text

__all__ = ["EventFinder", "Seats"]

_SHOWN = 5
#: No class takes longer; what says so is wrong.
_LONGEST_SECONDS = 31 * 86_400


class Seats(NamedTuple):
    """The seats of an event: how many it has, and how many are free at the most."""

    capacity: int
    free: int


class _ListedEvent(NamedTuple):
    id: int
    start: datetime
    service_id: int | None
    service_title: str
    staff_id: int | None
    staff_name: str

    def __str__(self) -> str:
        return f"{self.id} ({self.service_title or self.service_id}, {self.staff_name or self.staff_id})"


class EventFinder:
    """Looks up events of one location; each day is asked for once.

    :param timezone: the location's.
    """

    def __init__(self, client: AltegioClient, location_id: int, timezone: ZoneInfo) -> None:
        self._client = client
        self._location_id = location_id
        self._clock = LocationClock(timezone)
        self._days: dict[datetime, list[_ListedEvent] | str] = {}

    def find(self, reference: EventReference) -> int | str:
        """Return the number of the event that is meant, or why there is none: no match, or several.

        Operation: :meth:`AltegioClient.list_activities` of the day.
        """
        midnight = reference.start.replace(hour=0, minute=0, second=0, microsecond=0)
        if midnight not in self._days:
            self._days[midnight] = self._day(midnight)
        day = self._days[midnight]
        if isinstance(day, str):
            return day
        matching = [event for event in day if _is_meant(event, reference)]
        if len(matching) == 1:
            return matching[0].id
        when = f"{reference.start:%Y-%m-%d %H:%M}"
        if matching:
            return f"several events fit {when}: {_named(matching)}; name the team member, or give event_id"
        near = [event for event in day if event.start == reference.start] or day
        there_are = f"on that day there are {_named(near)}" if near else "that day has no events"
        if near and near is not day:
            there_are = f"at that time there are {_named(near)}"
        return f"no event fits {when}: {there_are}"

    def seats(self, event_id: int) -> Seats | str | None:
        """Return an event's seats, ``None`` where it does not tell them, or why it cannot be booked.

        Under ``companies`` an event tells how many records it has and not how many seats they took: there a record
        is counted as one seat, and the API has the last word.

        Operation: :meth:`AltegioClient.get_event`.
        """
        try:
            event = self._client.get_event(self._location_id, event_id)
        except AltegioNotFoundError:
            return f"there is no event {event_id} in location {self._location_id}"
        capacity = event.get("capacity")
        if not isinstance(capacity, int):
            return None
        taken = event.get("clients_count")
        taken = event.get("records_count") if taken is None else taken
        return Seats(capacity, max(0, capacity - (taken if isinstance(taken, int) else 0)))

    def window_of(self, event_id: int) -> tuple[datetime, datetime] | None:
        """Return when an event takes place, in UTC; ``None`` where it does not tell."""
        event = self._client.get_event(self._location_id, event_id)
        start = self._clock.start_of(event)
        if start is None:
            return None
        begin = start.instant
        length = event.get("length")
        seconds = min(length, _LONGEST_SECONDS) if isinstance(length, int) and length > 0 else 3600
        return None if begin is None else (begin, begin + timedelta(seconds=seconds))

    def starts_at(self, row: Mapping[str, Any], moment: datetime) -> bool:
        """Whether an event or appointment starts at that moment, as far as it tells."""
        start = self._clock.start_of(row)
        return start is None or start.instant_us == round(moment.timestamp() * 1e6)

    def _day(self, midnight: datetime) -> list[_ListedEvent] | str:
        zone = self._clock.zone
        begin = midnight.replace(tzinfo=zone).astimezone(UTC)
        end = (midnight + timedelta(days=1)).replace(tzinfo=zone).astimezone(UTC)
        if self._client.route_family == "locations":
            begin = max(begin, datetime.now(UTC))
            if begin >= end:
                return f"{midnight:%Y-%m-%d} is past, and route_family='locations' lists future events only"
        try:
            return list(self._listed(begin, end))
        except AltegioValidationError as error:
            return f"the events of {midnight:%Y-%m-%d} cannot be listed: {error}"

    def _listed(self, begin: datetime, end: datetime) -> Iterator[_ListedEvent]:
        timezone = self._clock.zone.key
        for row in self._client.list_activities(self._location_id, begin, end, timezone=timezone):
            start = self._clock.start_of(row)
            instant = None if start is None else start.instant
            if instant is None:
                continue
            wall = instant.astimezone(self._clock.zone).replace(tzinfo=None)
            service, staff = _nested(row, "service"), _nested(row, "staff")
            yield _ListedEvent(
                id=int(row["id"]),
                start=wall,
                service_id=row.get("service_id") or service.get("id"),
                service_title=str(service.get("title") or row.get("name") or ""),
                staff_id=row.get("staff_id") or staff.get("id"),
                staff_name=str(staff.get("name") or ""),
            )


def _nested(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = row.get(name)
    return value if isinstance(value, dict) else {}


def _is_meant(event: _ListedEvent, reference: EventReference) -> bool:
    return (
        event.start == reference.start
        and reference.service_id in (None, event.service_id)
        and (
            not reference.service_title
            or normalized_text(reference.service_title) == normalized_text(event.service_title)
        )
        and reference.staff_id in (None, event.staff_id)
        and (not reference.staff_name or normalized_text(reference.staff_name) == normalized_text(event.staff_name))
    )


def _named(events: list[_ListedEvent]) -> str:
    more = f" and {len(events) - _SHOWN} more" if len(events) > _SHOWN else ""
    return ", ".join(f"{event.start:%H:%M} {event}" for event in events[:_SHOWN]) + more
