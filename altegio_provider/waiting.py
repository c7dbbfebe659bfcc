"""Looks at one event, and says whether what somebody waits for has come about.

The rules of a look:

* the start is read anew each time, so an event that is moved is followed;
* a deleted event still answers; that it is deleted shows where it is no longer in the list of its time, and then the
  wait ends in an error. ``locations`` does not list the past, so there it shows only until the event starts;
* free seats are ``capacity`` less the *seats* taken. ``companies`` counts records only, and one record may take
  several seats: there the seats of the event's appointments are added up.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from altegio_provider.api.errors import (
    AltegioAuthError,
    AltegioNotFoundError,
    AltegioResponseError,
    AltegioValidationError,
)
from altegio_provider.times import LocationClock

if TYPE_CHECKING:
    from altegio_provider.api.client import AltegioClient

__all__ = ["CONDITIONS", "Condition", "Sight", "Wish", "checked_condition", "look"]

log = logging.getLogger(__name__)

Condition = Literal["exists", "has_free_seats", "full", "started"]
CONDITIONS: tuple[str, ...] = get_args(Condition)

#: The part of the list in which an event is looked for, and the wider one before it is said to be deleted.
_CLOSE = timedelta(minutes=1)
_AROUND = timedelta(days=1)
#: A list of the future begins so long after now at the least, for clocks differ.
_LEAD = timedelta(minutes=1)


def checked_condition(condition: Any) -> Condition:
    """Return the condition.

    :raises AltegioValidationError: there is no such condition.
    """
    if condition not in CONDITIONS:
        raise _wrong("condition", f"must be one of {', '.join(CONDITIONS)}, not {condition!r}")
    return condition  # type: ignore[no-any-return]


@dataclass(frozen=True)
class Wish:
    """What is waited for.

    :param condition: ``exists``, ``has_free_seats``, ``full`` or ``started``.
    :param min_free_seats: how many seats must be free, for ``has_free_seats``.
    :param timezone: the location's IANA time zone; ``None`` is the client's.
    :raises AltegioValidationError: an argument cannot be right.
    """

    location_id: int
    event_id: int
    condition: Condition
    min_free_seats: int = 1
    timezone: str | None = None

    def __post_init__(self) -> None:
        checked_condition(self.condition)
        for argument in ("location_id", "event_id", "min_free_seats"):
            value = getattr(self, argument)
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise _wrong(argument, f"must be a whole number of 1 or more, not {value!r}")


@dataclass(frozen=True)
class Sight:
    """What a look showed.

    :param is_met: whether what was waited for has come about.
    :param starts_at: when the event starts, in UTC; ``None`` where there is no event or it does not say.
    :param capacity: seats there are; ``booked_seats``: seats taken, where the condition asks for them.
    """

    wish: Wish
    seen_at: datetime
    is_met: bool = False
    starts_at: datetime | None = None
    capacity: int | None = None
    booked_seats: int | None = None

    @property
    def free_seats(self) -> int | None:
        """Seats that are free; below 0 where more are booked than there are."""
        if self.capacity is None or self.booked_seats is None:
            return None
        return self.capacity - self.booked_seats

    def summary(self) -> dict[str, Any]:
        """The same as a small JSON object, without names of people."""
        return {
            "location_id": self.wish.location_id,
            "event_id": self.wish.event_id,
            "condition": self.wish.condition,
            "starts_at": self.starts_at and self.starts_at.isoformat(),
            "capacity": self.capacity,
            "booked_seats": self.booked_seats,
            "free_seats": self.free_seats,
            "seen_at": self.seen_at.isoformat(),
        }


def look(client: AltegioClient, wish: Wish, now: datetime) -> Sight:
    """Look once: two requests, or five for seats under ``companies``; all of them reading.

    :param now: the current time, aware.
    :raises AltegioNotFoundError: there is no such location; or no such event, unless its existence is waited for; or
        the event is deleted.
    :raises AltegioAuthError: tokens or rights; under ``companies``, also the right to see appointments.
    :raises AltegioResponseError: the answer does not say what the condition asks for.
    """
    found = _found(client, wish, now)
    if found is None:
        return Sight(wish, now)
    event, starts_at = found
    if wish.condition == "exists":
        return Sight(wish, now, True, starts_at)
    if wish.condition == "started":
        if starts_at is None:
            raise _untold("when it starts")
        return Sight(wish, now, starts_at <= now, starts_at)
    capacity = _whole_number(event.get("capacity"))
    if capacity is None:
        raise _untold("its `capacity`")
    booked = _booked_seats(client, wish, event)
    needed = wish.min_free_seats if wish.condition == "has_free_seats" else 1
    has_room = capacity - booked >= needed
    return Sight(wish, now, has_room == (wish.condition == "has_free_seats"), starts_at, capacity, booked)


def _found(client: AltegioClient, wish: Wish, now: datetime) -> tuple[Mapping[str, Any], datetime | None] | None:
    """The event and its start; ``None`` where it is not there yet."""
    sought_at: datetime | None = None
    while True:
        try:
            event = client.get_event(wish.location_id, wish.event_id)
        except AltegioNotFoundError as error:
            _check_location(client, wish, now, error)
            if wish.condition == "exists":
                return None
            raise _gone(wish, "does not exist") from error
        starts_at = _start_of(event, wish.timezone or client.timezone)
        if event.get("deleted") is True or event.get("is_deleted") is True:
            raise _gone(wish, "was deleted")
        if starts_at is None or _is_listed(client, wish, starts_at, now):
            return event, starts_at
        if starts_at == sought_at:
            raise _gone(wish, "was deleted: it answers, but is not in the list of its time")
        # It may have been moved between the two requests: only one that stayed where it was is gone.
        sought_at = starts_at


def _is_listed(client: AltegioClient, wish: Wish, starts_at: datetime, now: datetime) -> bool:
    """Whether the list of its time has the event; true where that cannot be found out."""
    if not client.lists_the_past and starts_at <= now + _LEAD:
        return True
    first = starts_at - _AROUND if client.lists_the_past else max(starts_at - _AROUND, now + _LEAD)
    try:
        for begin, end in ((starts_at, starts_at + _CLOSE), (first, starts_at + _AROUND)):
            rows = client.list_activities(wish.location_id, begin, end, concurrency=1, timezone=wish.timezone)
            if any(row.get("id") == wish.event_id for row in rows):
                return True
    except (AltegioNotFoundError, AltegioValidationError) as error:
        log.warning("Whether event %d is deleted cannot be found out: %s", wish.event_id, error)
        return True
    return False


def _check_location(client: AltegioClient, wish: Wish, now: datetime, missing: AltegioNotFoundError) -> None:
    """Tell an event that is not there from a location that is not."""
    tomorrow = now + _AROUND
    try:
        next(client.list_activities(wish.location_id, tomorrow, tomorrow + _CLOSE, concurrency=1), None)
    except AltegioNotFoundError:
        raise AltegioNotFoundError(
            f"neither event {wish.event_id} nor the events of location {wish.location_id} can be found.",
            method=missing.method,
            path=missing.path,
            status=missing.status,
            message=missing.message,
        ) from None


def _booked_seats(client: AltegioClient, wish: Wish, event: Mapping[str, Any]) -> int:
    seats = _whole_number(event.get("clients_count"))
    if seats is not None:
        return seats
    booked = 0
    try:
        for record in client.event_appointments(wish.location_id, wish.event_id, include=()):
            count = _whole_number(record.get("clients_count"))
            if count is None:
                raise _untold("how many seats an appointment takes")
            booked += count
    except (AltegioAuthError, AltegioNotFoundError) as error:
        raise type(error)(
            "the seats taken cannot be found out: the event counts records only, and its appointments are refused.",
            method=error.method,
            path=error.path,
            status=error.status,
            message=error.message,
            hint="Give the user the right to see appointments, or set the connection's route_family to 'locations'.",
        ) from error
    return booked


def _start_of(event: Mapping[str, Any], timezone: str) -> datetime | None:
    from altegio_provider.api.arguments import checked_zone

    start = LocationClock(checked_zone(timezone)).start_of(event)
    return None if start is None else datetime.fromtimestamp(start.instant_us / 1_000_000, UTC)


def _whole_number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _gone(wish: Wish, what: str) -> AltegioNotFoundError:
    return AltegioNotFoundError(
        f"event {wish.event_id} of location {wish.location_id} {what}; nothing is left to wait for.",
        hint="A class that is moved may get a new id: look for it by its service, team member and start.",
    )


def _untold(what: str) -> AltegioResponseError:
    return AltegioResponseError(f"the answer is no valid answer: it does not say {what}.")


def _wrong(argument: str, text: str) -> AltegioValidationError:
    return AltegioValidationError(f"{argument} {text}.", errors={argument: [text]}, hint="")
