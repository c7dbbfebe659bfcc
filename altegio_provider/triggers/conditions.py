"""Checks whether one event meets a condition: it exists, has free seats, is full, or has started.

Rules:

* The start is read at each check, so a moved event is followed.
* GET of a deleted event still answers. An event counts as deleted if the list of its time lacks it; the check then
  raises an error. Where the list has no past, a deletion is noticed only until the event starts.
* Free seats are ``capacity`` minus the *seats* taken. ``companies`` counts records only, and one record may take
  several seats; there the seats of the event's appointments are added up.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

from altegio_provider.api.arguments import argument_error
from altegio_provider.api.errors import (
    AltegioAuthError,
    AltegioNotFoundError,
    AltegioPastNotListedError,
    AltegioResponseError,
    AltegioValidationError,
)
from altegio_provider.common.location_time import LocationClock

if TYPE_CHECKING:
    from altegio_provider.api.client import AltegioClient

__all__ = ["CONDITIONS", "Condition", "ConditionRequest", "ConditionResult", "check_event", "checked_condition"]

log = logging.getLogger(__name__)

Condition = Literal["exists", "has_free_seats", "full", "started"]
CONDITIONS: tuple[str, ...] = get_args(Condition)

#: The range in which the list is searched for an event, and the wider range that is searched before it counts as
#: deleted.
_CLOSE = timedelta(minutes=1)
_AROUND = timedelta(days=1)
#: A list without the past is asked from this long after now on, because clocks differ.
_LEAD = timedelta(minutes=1)


def checked_condition(condition: Any) -> Condition:
    """Return the condition if it is known.

    :raises AltegioValidationError: the condition is unknown.
    """
    if condition not in CONDITIONS:
        raise argument_error("condition", f"must be one of {', '.join(CONDITIONS)}, not {condition!r}")
    return condition  # type: ignore[no-any-return]


@dataclass(frozen=True)
class ConditionRequest:
    """The event and the condition to wait for.

    :param condition: ``exists``, ``has_free_seats``, ``full`` or ``started``.
    :param min_free_seats: how many seats must be free, for ``has_free_seats``.
    :param timezone: the location's IANA time zone; ``None`` is the client's.
    :raises AltegioValidationError: an argument is invalid.
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
                raise argument_error(argument, f"must be a whole number of 1 or more, not {value!r}")


@dataclass(frozen=True)
class ConditionResult:
    """The result of one check.

    :param is_met: whether the condition is met.
    :param starts_at: when the event starts, in UTC; ``None`` if the event does not exist or has no start.
    :param capacity: all seats.
    :param booked_seats: seats taken. Both are ``None`` if the condition does not need them.
    """

    request: ConditionRequest
    seen_at: datetime
    is_met: bool = False
    starts_at: datetime | None = None
    capacity: int | None = None
    booked_seats: int | None = None

    @property
    def free_seats(self) -> int | None:
        """Free seats; negative if more seats are booked than exist."""
        if self.capacity is None or self.booked_seats is None:
            return None
        return self.capacity - self.booked_seats

    def summary(self) -> dict[str, Any]:
        """Return the result as a small JSON object without personal data."""
        return {
            "location_id": self.request.location_id,
            "event_id": self.request.event_id,
            "condition": self.request.condition,
            "starts_at": self.starts_at and self.starts_at.isoformat(),
            "capacity": self.capacity,
            "booked_seats": self.booked_seats,
            "free_seats": self.free_seats,
            "seen_at": self.seen_at.isoformat(),
        }


def check_event(client: AltegioClient, request: ConditionRequest, now: datetime) -> ConditionResult:
    """Check the condition once, with two GET requests, or five for seats under ``companies``.

    :param now: the current time, aware.
    :raises AltegioNotFoundError: the location does not exist, the event is deleted, or the event does not exist and
        the condition is not ``exists``.
    :raises AltegioAuthError: a token is wrong or a right is missing; seats under ``companies`` need the right to see
        appointments.
    :raises AltegioResponseError: the answer lacks a field that the condition needs.
    """
    found = _found(client, request, now)
    if found is None:
        return ConditionResult(request, now)
    event, starts_at = found
    if request.condition == "exists":
        return ConditionResult(request, now, True, starts_at)
    if request.condition == "started":
        if starts_at is None:
            raise _missing("date or timestamp")
        return ConditionResult(request, now, starts_at <= now, starts_at)
    capacity = _whole_number(event.get("capacity"))
    if capacity is None:
        raise _missing("capacity")
    booked = _booked_seats(client, request, event)
    needed = request.min_free_seats if request.condition == "has_free_seats" else 1
    has_room = capacity - booked >= needed
    return ConditionResult(
        request, now, has_room == (request.condition == "has_free_seats"), starts_at, capacity, booked
    )


def _found(
    client: AltegioClient, request: ConditionRequest, now: datetime
) -> tuple[Mapping[str, Any], datetime | None] | None:
    """Return the event and its start, or ``None`` if it does not exist yet."""
    sought_at: datetime | None = None
    while True:
        try:
            event = client.get_event(request.location_id, request.event_id)
        except AltegioNotFoundError as error:
            _check_location(client, request, now, error)
            if request.condition == "exists":
                return None
            raise _gone(request, "does not exist") from error
        starts_at = _start_of(event, request.timezone or client.timezone)
        if event.get("deleted") is True or event.get("is_deleted") is True:
            raise _gone(request, "was deleted")
        if starts_at is None or _is_listed(client, request, starts_at, now):
            return event, starts_at
        if starts_at == sought_at:
            raise _gone(request, "was deleted: GET answers, but the list of its time does not have it")
        # It may have been moved between the two requests, so a second check with the same start decides.
        sought_at = starts_at


def _is_listed(client: AltegioClient, request: ConditionRequest, starts_at: datetime, now: datetime) -> bool:
    """Whether the list of its time has the event. True if the list cannot be read."""
    if not client.lists_the_past and starts_at <= now + _LEAD:
        return True
    day = starts_at - _AROUND, starts_at + _AROUND
    try:
        try:
            return _has(client, request, starts_at, starts_at + _CLOSE) or _has(client, request, *day)
        except AltegioPastNotListedError:
            return starts_at <= now + _LEAD or _has(client, request, max(day[0], now + _LEAD), day[1])
    except (AltegioNotFoundError, AltegioValidationError) as error:
        log.warning("Cannot check whether event %d is deleted: %s", request.event_id, error)
        return True


def _has(client: AltegioClient, request: ConditionRequest, begin: datetime, end: datetime) -> bool:
    rows = client.list_activities(request.location_id, begin, end, concurrency=1, timezone=request.timezone)
    return any(row.get("id") == request.event_id for row in rows)


def _check_location(
    client: AltegioClient, request: ConditionRequest, now: datetime, missing: AltegioNotFoundError
) -> None:
    """Raise a different error if the location, not the event, does not exist."""
    tomorrow = now + _AROUND
    try:
        next(client.list_activities(request.location_id, tomorrow, tomorrow + _CLOSE, concurrency=1), None)
    except AltegioNotFoundError:
        raise AltegioNotFoundError(
            f"event {request.event_id} does not exist, and neither does location {request.location_id}.",
            method=missing.method,
            path=missing.path,
            status=missing.status,
            message=missing.message,
        ) from None


def _booked_seats(client: AltegioClient, request: ConditionRequest, event: Mapping[str, Any]) -> int:
    seats = _whole_number(event.get("clients_count"))
    if seats is not None:
        return seats
    booked = 0
    try:
        for record in client.event_appointments(request.location_id, request.event_id, include=()):
            count = _whole_number(record.get("clients_count"))
            if count is None:
                raise _missing("clients_count of an appointment")
            booked += count
    except (AltegioAuthError, AltegioNotFoundError) as error:
        raise type(error)(
            "cannot count the seats taken: the event only has a number of records, and its appointments are refused.",
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
    return None if start is None else start.instant


def _whole_number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _gone(request: ConditionRequest, what: str) -> AltegioNotFoundError:
    return AltegioNotFoundError(
        f"event {request.event_id} of location {request.location_id} {what}, so the condition can never be met.",
        hint="A moved event may have a new id: look for it by service, team member and start.",
    )


def _missing(field: str) -> AltegioResponseError:
    return AltegioResponseError(f"the answer is invalid: it lacks {field}.")
