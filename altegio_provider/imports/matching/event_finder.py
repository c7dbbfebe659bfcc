"""Finds the events that the rows of a file name, and their free seats."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from altegio_provider.api import AltegioClient
from altegio_provider.api.errors import AltegioNotFoundError, AltegioPastNotListedError, AltegioValidationError
from altegio_provider.api.http.redaction import single_line
from altegio_provider.common.location_time import LocationClock
from altegio_provider.imports.model import EventReference, normalized_text

__all__ = ["EventFinder", "Seats"]

_SHOWN = 5
#: Upper bound of an event's length: a longer one is an error in the data.
_LONGEST_SECONDS = 31 * 86_400


class Seats(NamedTuple):
    """The seats of an event.

    :param capacity: all seats.
    :param free: an upper bound of the free seats.
    """

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
        # Ids only: names are personal data, and titles are text that somebody typed.
        return f"{self.id} (service {self.service_id}, team member {self.staff_id})"


class EventFinder:
    """Looks up events of one location. Requests the list of each day once.

    :param client: the client.
    :param location_id: the location.
    :param timezone: the location's time zone.
    """

    def __init__(self, client: AltegioClient, location_id: int, timezone: ZoneInfo) -> None:
        self._client = client
        self._location_id = location_id
        self._clock = LocationClock(timezone)
        self._days: dict[datetime, list[_ListedEvent] | str] = {}

    def find(self, reference: EventReference) -> int | str:
        """Return the id of the event, or the reason why none was found: no event matches, or several do.

        Operation: :meth:`AltegioClient.list_activities` of the day.

        :param reference: the start, service and team member of the event.
        """
        midnight = reference.start.replace(hour=0, minute=0, second=0, microsecond=0)
        if midnight not in self._days:
            self._days[midnight] = self._day(midnight)
        day = self._days[midnight]
        if isinstance(day, str):
            return day
        matching = [event for event in day if _matches(event, reference)]
        if len(matching) == 1:
            return matching[0].id
        when = f"{reference.start:%Y-%m-%d %H:%M}"
        if matching:
            return f"several events match {when}: {_ids_of(matching)}. Add the team member, or use event_id"
        near = [event for event in day if event.start == reference.start] or day
        there_are = f"the events of that day are {_ids_of(near)}" if near else "that day has no events"
        if near and near is not day:
            there_are = f"the events at that time are {_ids_of(near)}"
        return f"no event matches {when}: {there_are}"

    def seats(self, event_id: int) -> Seats | str | None:
        """Return an event's seats, ``None`` if the API does not tell them, or the reason why it cannot be booked.

        ``companies`` returns the number of records, not of seats. There a record counts as one seat; the API decides
        when the row is sent.

        Operation: :meth:`AltegioClient.get_event`.

        :param event_id: the event.
        """
        try:
            event = self._client.get_event(self._location_id, event_id)
        except AltegioNotFoundError:
            return f"event {event_id} does not exist in location {self._location_id}"
        capacity = event.get("capacity")
        if not isinstance(capacity, int):
            return None
        taken = event.get("clients_count")
        taken = event.get("records_count") if taken is None else taken
        return Seats(capacity, max(0, capacity - (taken if isinstance(taken, int) else 0)))

    def window_of(self, event_id: int) -> tuple[datetime, datetime] | None:
        """Return the start and end of an event in UTC, or ``None`` if the API does not tell the start.

        :param event_id: the event.
        """
        event = self._client.get_event(self._location_id, event_id)
        start = self._clock.start_of(event)
        if start is None:
            return None
        begin = start.instant
        length = event.get("length")
        seconds = min(length, _LONGEST_SECONDS) if isinstance(length, int) and length > 0 else 3600
        return None if begin is None else (begin, begin + timedelta(seconds=seconds))

    def starts_at(self, row: Mapping[str, Any], moment: datetime) -> bool:
        """Return whether an event or appointment starts at that moment. True if it has no start.

        :param row: the event or appointment.
        :param moment: an aware datetime.
        """
        start = self._clock.start_of(row)
        return start is None or start.instant_us == round(moment.timestamp() * 1e6)

    def _day(self, midnight: datetime) -> list[_ListedEvent] | str:
        zone = self._clock.zone
        begin = midnight.replace(tzinfo=zone).astimezone(UTC)
        end = (midnight + timedelta(days=1)).replace(tzinfo=zone).astimezone(UTC)
        try:
            return self._listed(begin, end)
        except AltegioPastNotListedError:
            begin = max(begin, datetime.now(UTC))
        except AltegioValidationError as error:
            return f"the events of {midnight:%Y-%m-%d} cannot be listed: {single_line(str(error))}"
        if begin >= end:
            return f"{midnight:%Y-%m-%d} is past, and the server lists no past events: use event_id"
        try:
            return self._listed(begin, end)
        except AltegioValidationError as error:
            return f"the events of {midnight:%Y-%m-%d} cannot be listed: {single_line(str(error))}"

    def _listed(self, begin: datetime, end: datetime) -> list[_ListedEvent]:
        listed = []
        timezone = self._clock.zone.key
        for row in self._client.list_activities(self._location_id, begin, end, timezone=timezone):
            start = self._clock.start_of(row)
            instant = None if start is None else start.instant
            if instant is None:
                continue
            wall = instant.astimezone(self._clock.zone).replace(tzinfo=None)
            service, staff = _nested(row, "service"), _nested(row, "staff")
            listed.append(
                _ListedEvent(
                    id=int(row["id"]),
                    start=wall,
                    service_id=row.get("service_id") or service.get("id"),
                    service_title=str(service.get("title") or row.get("name") or ""),
                    staff_id=row.get("staff_id") or staff.get("id"),
                    staff_name=str(staff.get("name") or ""),
                )
            )
        return listed


def _nested(row: Mapping[str, Any], name: str) -> dict[str, Any]:
    value = row.get(name)
    return value if isinstance(value, dict) else {}


def _matches(event: _ListedEvent, reference: EventReference) -> bool:
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


def _ids_of(events: list[_ListedEvent]) -> str:
    more = f" and {len(events) - _SHOWN} more" if len(events) > _SHOWN else ""
    return ", ".join(f"{event.start:%H:%M} {event}" for event in events[:_SHOWN]) + more
