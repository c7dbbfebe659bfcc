"""The control plane, under ``/_sandbox``: for tests and people, not part of the imitated API, never limited."""

from __future__ import annotations

from dataclasses import asdict
from ipaddress import ip_address
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import orjson
from fastapi import APIRouter, Depends, FastAPI, Request
from starlette.responses import Response

from altegio_provider.sandbox.data.added_bookings import add_booking
from altegio_provider.sandbox.data.seed import event_id_day, explicit_event, whole
from altegio_provider.sandbox.data.state import Event, Location
from altegio_provider.sandbox.data.truth import truth_of
from altegio_provider.sandbox.faults import Rule
from altegio_provider.sandbox.forms.answers import json_answer
from altegio_provider.sandbox.limits import busiest
from altegio_provider.sandbox.settings import Sandbox
from altegio_provider.sandbox.switches import switched

__all__ = ["add_routes"]

PREFIX = "/_sandbox"
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip")
_SETTINGS = {"per_second", "per_minute", "latency_seconds", "retry_after", "seed"}


def add_routes(app: FastAPI, sandbox: Sandbox) -> None:
    """Add the control plane to an application.

    It has no authentication, so it answers nobody but this machine, wherever the server listens. What a web page in a
    browser of this machine sends is refused before it comes here (:mod:`~altegio_provider.sandbox.guard`).
    """

    async def settle() -> None:
        sandbox.clock.settle()

    router = APIRouter(prefix=PREFIX, dependencies=[Depends(_loopback_alone), Depends(_no_proxy), Depends(settle)])
    _add_settings(router, sandbox)
    _add_data(router, sandbox)
    app.include_router(router)

    @app.exception_handler(_Mistake)
    async def mistake(_request: Request, error: _Mistake) -> Response:
        return json_answer({"message": error.message}, error.status)


class _Mistake(Exception):
    """A request to the control plane that it cannot do."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


def _add_settings(router: APIRouter, sandbox: Sandbox) -> None:
    @router.get("/stats")
    async def stats() -> Response:
        return json_answer(
            {
                "requests": sandbox.requests,
                "answers": [{"route": r, "status": s, "times": n} for (r, s), n in sandbox.answers.items()],
                "limited": sum(times for (_, status), times in sandbox.answers.items() if status == 429),
                "arrivals": (arrivals := [at for at, _ in sandbox.arrivals]),
                "pending": sandbox.clock.pending,
                "busiest_second": busiest(arrivals, 1.0),
                "busiest_minute": busiest(arrivals, 60.0),
            }
        )

    @router.post("/reset")
    async def reset(request: Request) -> Response:
        settings = await _json(request, dict, b"{}")
        unknown = settings.keys() - _SETTINGS
        if unknown:
            raise _Mistake(400, f"unknown settings: {', '.join(sorted(unknown))}")
        for name, value in settings.items():
            setattr(sandbox, name, value)
        sandbox.reset()
        return json_answer({})

    @router.post("/clock")
    async def advance(request: Request) -> Response:
        given = await _json(request, dict)
        seconds = given.get("advance_seconds")
        if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds < 0:
            raise _Mistake(400, "advance_seconds must be a number of 0 or more")
        sandbox.clock.advance(seconds)
        sandbox.clock.settle()
        return json_answer({"now": sandbox.clock.now().isoformat()})

    @router.post("/faults")
    async def add_faults(request: Request) -> Response:
        given = await _json(request, dict | list)
        try:
            rules = [Rule.of(one) for one in (given if isinstance(given, list) else [given])]
        except (ValueError, TypeError, AttributeError) as error:
            raise _Mistake(400, str(error)) from None
        sandbox.faults.rules += rules
        return json_answer({"rules": len(sandbox.faults.rules)})

    @router.get("/switches")
    async def switches() -> Response:
        return json_answer(asdict(sandbox.switches))

    @router.post("/switches")
    async def switch(request: Request) -> Response:
        given = await _json(request, dict)
        try:
            sandbox.switches = switched(sandbox.switches, given)
        except ValueError as error:
            raise _Mistake(400, str(error)) from None
        return json_answer(asdict(sandbox.switches))

    @router.delete("/faults")
    async def clear_faults() -> Response:
        sandbox.faults.rules.clear()
        return json_answer({})


def _add_data(router: APIRouter, sandbox: Sandbox) -> None:
    @router.post("/locations")
    async def add_location(request: Request) -> Response:
        given = await _json(request, dict)
        try:
            number = whole(given, "id")
            location = Location(
                number,
                given.get("title", f"Location {number}"),
                _timezone(given.get("timezone", "UTC")),
                staff=_catalogue(given, "staff"),
                services=_catalogue(given, "services"),
                resources=_catalogue(given, "resources"),
                labels=_catalogue(given, "labels"),
                currency=given.get("currency", "EUR"),
                country=given.get("country", ""),
                city=given.get("city", ""),
                forbidden=bool(given.get("forbidden")),
            )
        except ValueError as error:
            raise _Mistake(400, str(error)) from None
        sandbox.state.locations[number] = location
        return json_answer({})

    @router.post("/appointments")
    async def add_appointments(request: Request) -> Response:
        rows = await _json(request, list)
        if not all(isinstance(row, dict) for row in rows):
            raise _Mistake(400, "each row must be an object")
        try:
            made = [add_booking(sandbox.state, _location(sandbox, whole(row, "location_id")), row) for row in rows]
        except (ValueError, TypeError) as error:
            raise _Mistake(400, str(error)) from None
        return json_answer({"ids": [one.id for one in made]})

    @router.post("/events")
    async def add_events(request: Request) -> Response:
        return _put_there(sandbox, _events(sandbox, await _json(request, list), are_new=True))

    @router.put("/events")
    async def replace_events(request: Request) -> Response:
        return _put_there(sandbox, _events(sandbox, await _json(request, list), are_new=False))

    @router.delete("/events/{location_id}/{event_id}")
    async def delete_event(location_id: int, event_id: int) -> Response:
        location = _location(sandbox, location_id)
        if event_id not in location.events:
            raise _Mistake(404, f"there is no event {event_id}")
        location.delete(location.events[event_id])
        if sandbox.switches.delete_cancels:
            location.cancel_bookings(location.events[event_id])
        return json_answer({})

    @router.get("/truth/{location_id}")
    async def truth(location_id: int) -> Response:
        return json_answer(truth_of(_location(sandbox, location_id)))


async def _json(request: Request, kind: Any, default: bytes = b"") -> Any:
    body = await request.body()
    # A browser sends a body of any other type without asking whether it may.
    if body and request.headers.get("content-type", "").split(";")[0].strip().lower() != "application/json":
        raise _Mistake(415, "the body must be JSON, and the request must say so: Content-Type: application/json")
    try:
        given = orjson.loads(body or default)
    except orjson.JSONDecodeError:
        raise _Mistake(400, "the body is not JSON") from None
    if not isinstance(given, kind):
        raise _Mistake(400, "the body is another kind of JSON than this route takes")
    return given


def _events(sandbox: Sandbox, rows: list[Any], *, are_new: bool) -> dict[int, list[Event]]:
    """Return the events of the rows, by location; they are not there yet.

    :param are_new: whether their numbers must be new, or those of events that are there.
    """
    if not all(isinstance(row, dict) for row in rows):
        raise _Mistake(400, "each row must be an object")
    by_location: dict[int, list[Event]] = {}
    try:
        taken = {whole(row, "id", 0) for row in rows}
        for row in rows:
            location = _location(sandbox, whole(row, "location_id"))
            event = explicit_event(sandbox.state, location, row, taken)
            by_location.setdefault(location.id, []).append(event)
    except ValueError as error:
        raise _Mistake(400, str(error)) from None
    for location_id, events in by_location.items():
        location, numbers = sandbox.state.locations[location_id], set()
        for event in events:
            day = event_id_day(event.id)
            if day is not None and not are_new:
                location.fill(day, day)  # later it would replace what replaces its events now
            is_there = location.has(event.id, day)
            if event.id in numbers or (is_there and are_new):
                raise _Mistake(409, f"location {location_id} has an event {event.id} already (PUT replaces it)")
            if not is_there and not are_new:
                raise _Mistake(404, f"there is no event {event.id} in location {location_id} (POST adds it)")
            numbers.add(event.id)
    return by_location


def _put_there(sandbox: Sandbox, by_location: dict[int, list[Event]]) -> Response:
    for location_id, events in by_location.items():
        sandbox.state.locations[location_id].add_many(events)
    return json_answer({"ids": [event.id for events in by_location.values() for event in events]})


def _catalogue(given: dict[str, Any], name: str) -> dict[int, dict[str, Any]]:
    rows = given.get(name, [])
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise ValueError(f"{name} must be a list of objects")
    try:
        return {whole(row, "id"): row for row in rows}
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


def _timezone(name: Any) -> str:
    try:
        return ZoneInfo(name).key
    except (ValueError, TypeError, OSError, ZoneInfoNotFoundError):
        raise ValueError("timezone must be an IANA name, such as Europe/Riga") from None


def _location(sandbox: Sandbox, number: int) -> Location:
    location = sandbox.state.locations.get(number)
    if location is None:
        raise _Mistake(404, f"there is no location {number}")
    return location


def _loopback_alone(request: Request) -> None:
    address = request.client.host if request.client else ""
    if not address or not ip_address(address.removeprefix("::ffff:")).is_loopback:
        raise _Mistake(403, "the control plane answers this machine alone")


def _no_proxy(request: Request) -> None:
    # The proxy is on this machine, but whose request it passes on is unknown.
    if any(name in request.headers for name in _FORWARDED):
        raise _Mistake(403, "the control plane does not answer what a proxy passes on")
