"""The control plane, under ``/_sandbox``: for tests and people, not part of the imitated API, never limited."""

from __future__ import annotations

from typing import Any

import orjson
from fastapi import FastAPI, Request
from starlette.responses import Response

from altegio_provider.sandbox.answers import json_answer
from altegio_provider.sandbox.faults import Rule
from altegio_provider.sandbox.seed import explicit_event
from altegio_provider.sandbox.settings import Sandbox
from altegio_provider.sandbox.state import Location

__all__ = ["add_routes"]

PREFIX = "/_sandbox"
_SETTINGS = {"per_second", "per_minute", "latency_seconds", "retry_after", "seed"}


def add_routes(app: FastAPI, sandbox: Sandbox) -> None:
    """Add the control plane to an application."""

    @app.get(PREFIX + "/stats")
    async def stats() -> Response:
        return json_answer(
            {
                "requests": sandbox.requests,
                "answers": [{"route": r, "status": s, "times": n} for (r, s), n in sandbox.answers.items()],
                "limited": sum(times for (_, status), times in sandbox.answers.items() if status == 429),
                "arrivals": [at for at, _ in sandbox.arrivals],
            }
        )

    @app.post(PREFIX + "/reset")
    async def reset(request: Request) -> Response:
        settings = orjson.loads(await request.body() or b"{}")
        unknown = settings.keys() - _SETTINGS
        if unknown:
            return _wrong(f"unknown settings: {', '.join(sorted(unknown))}")
        for name, value in settings.items():
            setattr(sandbox, name, value)
        sandbox.reset()
        return json_answer({})

    @app.post(PREFIX + "/faults")
    async def add_faults(request: Request) -> Response:
        given = orjson.loads(await request.body())
        try:
            rules = [Rule.of(one) for one in (given if isinstance(given, list) else [given])]
        except (ValueError, TypeError) as error:
            return _wrong(str(error))
        sandbox.faults.rules += rules
        return json_answer({"rules": len(sandbox.faults.rules)})

    @app.delete(PREFIX + "/faults")
    async def clear_faults() -> Response:
        sandbox.faults.rules.clear()
        return json_answer({})

    @app.post(PREFIX + "/locations")
    async def add_location(request: Request) -> Response:
        given = orjson.loads(await request.body())
        location = Location(
            int(given["id"]),
            given.get("title", f"Location {given['id']}"),
            given.get("timezone", "UTC"),
            staff={int(one["id"]): one for one in given.get("staff", [])},
            services={int(one["id"]): one for one in given.get("services", [])},
            forbidden=bool(given.get("forbidden")),
        )
        sandbox.state.locations[location.id] = location
        return json_answer({})

    @app.post(PREFIX + "/events")
    async def add_events(request: Request) -> Response:
        rows = orjson.loads(await request.body())
        by_location: dict[int, list[Any]] = {}
        for row in rows:
            by_location.setdefault(int(row["location_id"]), []).append(explicit_event(sandbox.state, row))
        for location_id, events in by_location.items():
            sandbox.state.locations[location_id].add_many(events)
        return json_answer({"ids": [event.id for events in by_location.values() for event in events]})

    @app.delete(PREFIX + "/events/{location_id}/{event_id}")
    async def delete_event(location_id: int, event_id: int) -> Response:
        location = sandbox.state.locations[location_id]
        location.delete(location.events[event_id])
        return json_answer({})

    @app.get(PREFIX + "/truth/{location_id}")
    async def truth(location_id: int) -> Response:
        location = sandbox.state.locations[location_id]
        events = [
            {
                "id": event.id,
                "date": f"{event.starts:%Y-%m-%d %H:%M:%S}",
                "timestamp": location.timestamp(event.starts),
                "staff_id": event.staff_id,
                "service_id": event.service_id,
                "capacity": event.capacity,
                "seats": event.seats,
                "records": event.records,
                "deleted": event.deleted,
            }
            for event in location.events.values()
        ]
        appointments = [
            {
                "id": one.id,
                "event_id": one.event_id,
                "client": one.client,
                "clients_count": one.clients_count,
                "request_number": one.request_number,
                "has_event": one.has_event,
            }
            for one in location.appointments.values()
        ]
        return json_answer({"events": events, "appointments": appointments})


def _wrong(message: str) -> Response:
    return json_answer({"message": message}, 400)
