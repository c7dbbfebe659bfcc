"""One running sandbox: its data, its settings, what it has seen; and one call of an operation on it."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response

from altegio_provider.sandbox.clock import Clock
from altegio_provider.sandbox.data.made_bookings import event_of_booking, unfold
from altegio_provider.sandbox.data.seed import event_id_day, seeded_state
from altegio_provider.sandbox.data.state import LARGEST, Appointment, Event, Location, State
from altegio_provider.sandbox.faults import Faults
from altegio_provider.sandbox.forms.answers import Refusal
from altegio_provider.sandbox.limits import SlidingWindows
from altegio_provider.sandbox.switches import AUTUMN, Switches

__all__ = ["Call", "Operation", "Sandbox", "whole_number"]

_LOGGED = 100_000


@dataclass
class Sandbox:
    """The sandbox behind the routes.

    :param per_second: the limit for one address, 0 for none.
    :param per_minute: the same for the minute.
    :param retry_after: how a 429 says when to come again: ``seconds``, ``date`` or ``None``.
    :param server: which server is imitated, from the beginning and after each reset.
    """

    seed: int = 1
    partner_token: str = "sandbox-partner"  # noqa: S105 - the sandbox's, for everybody to know
    user_token: str = "sandbox-user"  # noqa: S105
    per_second: int = 5
    per_minute: int = 200
    latency_seconds: float = 0.0
    retry_after: str | None = "seconds"
    faults: Faults = field(default_factory=Faults)
    server: Switches = AUTUMN

    def __post_init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew, with the data of the seed, no faults, and the switches of the beginning."""
        self.clock = Clock()
        self.state: State = seeded_state(self.seed, State(self.clock.now))
        self.faults = Faults()
        self.switches = self.server
        self.limits = SlidingWindows(self.per_second, self.per_minute, self.clock.monotonic)
        self.arrivals: deque[tuple[float, str]] = deque(maxlen=_LOGGED)
        self.answers: Counter[tuple[str, int]] = Counter()
        self.requests = 0

    def arrived(self, name: str) -> int:
        """Note a request and return its number."""
        self.requests += 1
        self.arrivals.append((self.clock.monotonic(), name))
        return self.requests

    def answered(self, route: str, status: int) -> None:
        """Note an answer."""
        self.answers[route, status] += 1


@dataclass
class Call:
    """One request to an operation."""

    sandbox: Sandbox
    family: str
    request: Request
    effects: dict[str, dict[str, Any]]
    number: int
    raw: bytes

    @property
    def state(self) -> State:
        return self.sandbox.state

    @property
    def switches(self) -> Switches:
        return self.sandbox.switches

    @property
    def location(self) -> Location:
        """The location of the path.

        :raises Refusal: 404 for one that does not exist, 403 for one without a right to it.
        """
        location = self.state.locations.get(self._id("location_id"))
        if location is None:
            raise Refusal(404, "The location was not found")
        if location.forbidden:
            raise Refusal(403, "No right to manage this location")
        return location

    def event(self, location: Location) -> Event:
        """The event of the path; a deleted one too."""
        return self.event_numbered(location, self._id("event_id"))

    def event_numbered(self, location: Location, number: int) -> Event:
        """An event by its number.

        :raises Refusal: 404 where there is none.
        """
        day = event_id_day(number)
        if day is not None:
            location.fill(day, day)
        if number not in location.events:
            raise Refusal(404, "The event was not found")
        return location.events[number]

    def appointment(self, location: Location) -> Appointment:
        """The appointment of the path.

        :raises Refusal: 404 where there is none, or not in the event of the path.
        """
        number = self._id("appointment_id")
        if number not in location.appointments and (event_id := event_of_booking(number)):
            with suppress(Refusal):
                unfold(location, self.event_numbered(location, event_id), self.state.now())
        appointment = location.appointments.get(number)
        wanted = self.request.path_params.get("event_id")
        if appointment is None or (wanted is not None and str(appointment.event_id) != wanted):
            raise Refusal(404, "The appointment was not found")
        return appointment

    def body(self) -> Any:
        """The JSON body.

        :raises Refusal: it is none.
        """
        try:
            return orjson.loads(self.raw)
        except orjson.JSONDecodeError:
            raise Refusal(400, "The body is not JSON") from None

    def values(self, name: str) -> list[str]:
        """All values of a query parameter."""
        return self.request.query_params.getlist(name)

    def whole(self, name: str, default: int, least: int, most: int | None = None) -> int:
        """A whole number of the query.

        :raises Refusal: it is none, or out of bounds.
        """
        text = self.request.query_params.get(name)
        if text is None:
            return default
        number = whole_number(text)
        if number is None:
            number = -1
        if number < least or (most is not None and number > most):
            raise Refusal(422, "The given data was invalid.", {name: [f"must be a whole number from {least}"]})
        return number

    def _id(self, name: str) -> int:
        return whole_number(self.request.path_params[name]) or 0


def whole_number(text: str) -> int | None:
    """A number as paths and queries write it; nothing for any other text, and for one that no id can have."""
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 19 else None
    return None if number is None or number > LARGEST else number


Operation = Callable[[Call], Response]
