"""What the sandbox holds: locations, events, appointments. No HTTP here."""

from __future__ import annotations

import itertools
from bisect import bisect_left, insort
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

__all__ = ["LARGEST", "Appointment", "Event", "Location", "State", "price_line"]

#: The largest number that there is.
LARGEST = 2**63 - 1

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a wall clock has no zone


@dataclass(eq=False)
class Event:
    """A group class."""

    id: int
    location_id: int
    staff_id: int
    service_id: int
    starts: datetime  # the location's wall clock
    length: int
    capacity: int
    resource_ids: list[int] = field(default_factory=list)
    label_ids: list[int] = field(default_factory=list)
    color: str = "#9c27b0"
    font_color: str = "#ffffff"
    comment: str | None = ""
    instructions: str | None = ""
    stream_link: str | None = ""
    technical_break: int = 0
    notified: bool = False
    created_at: datetime = datetime(2026, 1, 1, 9)  # noqa: DTZ001
    deleted: bool = False
    #: The numbers of the requests at which it came and went; 0 for none.
    created_by: int = 0
    deleted_by: int = 0
    #: Bookings that are there from the beginning: records, and the seats that they take.
    first_records: int = 0
    first_seats: int = 0
    #: Bookings made since, which are there in full.
    appointments: dict[int, Appointment] = field(default_factory=dict)
    #: Fields that an answer shall carry in place of, or beside, the true ones; for tests of odd data.
    patch: dict[str, Any] = field(default_factory=dict)
    rendered: dict[str, bytes] = field(default_factory=dict)

    @property
    def wall_seconds(self) -> int:
        return int((self.starts - _EPOCH).total_seconds())

    @property
    def place(self) -> tuple[int, int]:
        """Where it stands in its location's list."""
        return self.wall_seconds, self.id

    @property
    def records(self) -> int:
        return self.first_records + len(self.appointments)

    @property
    def seats(self) -> int:
        return self.first_seats + sum(one.clients_count for one in self.appointments.values())


@dataclass(eq=False)
class Appointment:
    """A client's seats in an event."""

    id: int
    location_id: int
    event_id: int
    client: dict[str, Any]
    clients_count: int
    created: datetime
    comer: dict[str, Any] | None = None
    comment: str | None = ""
    label_ids: list[int] = field(default_factory=list)
    color: str = ""
    attendance: int = 0
    #: The price line: ``cost_per_unit``, ``discount_percent``, ``manual_cost`` (the total after it), ``is_trial``.
    price: dict[str, Any] = field(default_factory=dict)
    #: Products that are sold with it.
    goods: list[dict[str, Any]] = field(default_factory=list)
    #: 0 unpaid, 1 paid, 2 overpaid.
    paid_full: int = 0
    source: int = 0
    is_mobile: int = 0
    prepaid_status: int = 0
    record_from: str = ""
    #: When the answer begins to name the client (in practice seconds after the booking).
    client_known_at: float = 0.0
    #: False for one that was created without the event that was asked for.
    has_event: bool = True
    request_number: int = 0
    #: Whether tests are told of it: not of the thousands that made classes begin with.
    is_shown: bool = True


@dataclass(eq=False)
class Location:
    """A branch: its catalogue, and its events in the order of their start."""

    id: int
    title: str
    timezone: str
    staff: dict[int, dict[str, Any]] = field(default_factory=dict)
    services: dict[int, dict[str, Any]] = field(default_factory=dict)
    resources: dict[int, dict[str, Any]] = field(default_factory=dict)
    labels: dict[int, dict[str, Any]] = field(default_factory=dict)
    currency: str = "EUR"
    country: str = ""
    city: str = ""
    #: Fills one day with events when it is first looked at; ``None`` for a location that holds what it is given.
    fill_day: Callable[[Location, date], Iterator[Event]] | None = None
    forbidden: bool = False
    events: dict[int, Event] = field(default_factory=dict)
    appointments: dict[int, Appointment] = field(default_factory=dict)
    #: Bookings that went with their event.
    cancelled: list[Appointment] = field(default_factory=list)
    #: What clients were told: the number of the appointment, and why.
    messages: list[tuple[int, str]] = field(default_factory=list)
    _order: list[tuple[int, int]] = field(default_factory=list)
    _deleted: list[tuple[int, int]] = field(default_factory=list)
    _filled: set[int] = field(default_factory=set)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def fill(self, first: date, last: date) -> None:
        """Make sure that the days from ``first`` to ``last`` hold their events."""
        if self.fill_day is None:
            return
        for ordinal in range(first.toordinal(), last.toordinal() + 1):
            if ordinal not in self._filled:
                self._filled.add(ordinal)
                for event in self.fill_day(self, date.fromordinal(ordinal)):
                    self.add(event)

    def has(self, number: int, day: date | None) -> bool:
        """Whether there is an event of this number.

        :param day: the day whose filling would make it, if there is one; it is not filled for the answer.
        """
        if number in self.events:
            return True
        if self.fill_day is None or day is None or day.toordinal() in self._filled:
            return False
        return any(event.id == number for event in self.fill_day(self, day))

    def add(self, event: Event) -> None:
        """Add an event, or list it again after a change of its start."""
        self.events[event.id] = event
        insort(self._deleted if event.deleted else self._order, event.place)

    def add_many(self, events: list[Event]) -> None:
        """Add many events at once."""
        self.events.update((event.id, event) for event in events)
        self._order = sorted(event.place for event in self.events.values() if not event.deleted)
        self._deleted = sorted(event.place for event in self.events.values() if event.deleted)

    def unlist(self, event: Event) -> None:
        """Take an event out of the list, before it is deleted or moved."""
        at = bisect_left(self._order, event.place)
        if at < len(self._order) and self._order[at] == event.place:
            del self._order[at]

    def delete(self, event: Event, request_number: int = 0) -> None:
        """Delete an event: it can still be read, and lists leave it out."""
        event.deleted_by = request_number
        if not event.deleted:
            self.unlist(event)
            insort(self._deleted, event.place)
        event.deleted = True
        event.rendered.clear()

    def cancel_bookings(self, event: Event) -> None:
        """Cancel every booking in an event, and tell the clients."""
        for appointment in event.appointments.values():
            self.appointments.pop(appointment.id, None)
            self.cancelled.append(appointment)
            self.messages.append((appointment.id, "the event was deleted"))
        event.appointments.clear()
        event.first_records = event.first_seats = 0
        event.rendered.clear()

    def listed(self, start: datetime, end: datetime, with_end: bool) -> list[Event]:
        """The events that start between two moments of the wall clock, in order; without deleted ones."""
        first, last = self.span(start, end, with_end)
        return self.numbered(first, last)

    def deleted_between(self, start: datetime, end: datetime, with_end: bool) -> list[Event]:
        """The same of deleted events."""
        first, last = _span(self._deleted, start, end, with_end)
        return [self.events[number] for _, number in self._deleted[first:last]]

    def span(self, start: datetime, end: datetime, with_end: bool) -> tuple[int, int]:
        """Where in the list the events between two moments begin and end."""
        return _span(self._order, start, end, with_end)

    def numbered(self, first: int, last: int) -> list[Event]:
        """The events at these places of the list."""
        return [self.events[number] for _, number in self._order[first:last]]

    def timestamp(self, wall: datetime) -> int:
        """The Unix time of a moment on this location's clock."""
        return int(wall.replace(tzinfo=self.zone).timestamp())


class State:
    """All of the sandbox's data.

    :param now: the current time; another clock than the system's is for tests.
    """

    def __init__(self, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self.now = now
        self.locations: dict[int, Location] = {}
        self._event_ids = itertools.count(900_000_001)
        self._appointment_ids = itertools.count(600_000_001)
        self._client_ids = itertools.count(170_000_001)
        self._comer_ids = itertools.count(180_000_001)
        self._good_ids = itertools.count(190_000_001)
        self.clients: dict[str, int] = {}

    def next_event_id(self, taken: Collection[int] = ()) -> int:
        """Return a number that no event has, and that is not one of those ``taken``."""
        return next(
            number
            for number in self._event_ids
            if number not in taken and not any(number in location.events for location in self.locations.values())
        )

    def book(
        self,
        location: Location,
        event: Event,
        client: dict[str, Any],
        clients_count: int,
        *,
        comer: dict[str, Any] | None = None,
        **details: Any,
    ) -> Appointment:
        """Book a client into an event."""
        details.setdefault("price", price_line(location, event, clients_count))
        appointment = Appointment(
            id=next(self._appointment_ids),
            location_id=location.id,
            event_id=event.id,
            client={**client, "id": client.get("id") or self._client_id(client)},
            clients_count=clients_count,
            created=self.now(),
            comer=comer and {"id": next(self._comer_ids), **comer},
            **details,
        )
        location.appointments[appointment.id] = appointment
        event.appointments[appointment.id] = appointment
        event.rendered.clear()
        return appointment

    def next_good_id(self) -> int:
        """Return a number for a product in a booking."""
        return next(self._good_ids)

    def unbook(self, location: Location, appointment: Appointment) -> None:
        """Delete an appointment."""
        del location.appointments[appointment.id]
        event = location.events[appointment.event_id]
        event.appointments.pop(appointment.id, None)
        event.rendered.clear()

    def _client_id(self, client: dict[str, Any]) -> int:
        key = str(client.get("phone") or client.get("email") or client.get("name"))
        if key not in self.clients:
            self.clients[key] = next(self._client_ids)
        return self.clients[key]


def _span(places: list[tuple[int, int]], start: datetime, end: datetime, with_end: bool) -> tuple[int, int]:
    first = bisect_left(places, (_seconds(start), 0))
    return first, max(first, bisect_left(places, (_seconds(end) + (1 if with_end else 0), 0)))


def price_line(location: Location, event: Event, seats: int) -> dict[str, Any]:
    """The price line that a new booking begins with: the service's price for each seat."""
    price = (location.services.get(event.service_id) or {}).get("price_min", 0)
    return {"cost_per_unit": price, "discount_percent": 0, "manual_cost": price * seats, "is_trial": False}


def _seconds(wall: datetime) -> int:
    return int((wall - _EPOCH) / timedelta(seconds=1))
