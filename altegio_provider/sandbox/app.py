"""The operations of both families, as routes of a FastAPI application."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from importlib.resources import files
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response

from altegio_provider.sandbox import control, faults
from altegio_provider.sandbox.forms.answers import Broken, Refusal
from altegio_provider.sandbox.guard import Guard
from altegio_provider.sandbox.operations.appointments import APPOINTMENT_OPERATIONS
from altegio_provider.sandbox.operations.events import EVENT_OPERATIONS
from altegio_provider.sandbox.operations.location_facts import LOCATION_OPERATIONS
from altegio_provider.sandbox.settings import Call, Operation, Sandbox, whole_number

__all__ = ["make_app"]

_ACCEPT = "application/vnd.api.v2+json"
BASE = "/api/v2"
V1 = "/api/v1"
#: Where the routes of a family begin.
BASES = {"companies": BASE, "locations": BASE, "v1": V1}
#: The OpenAPI document of what is imitated.
CONTRACT = files("altegio_provider.sandbox") / "openapi.yaml"

_EVENTS = {"companies": "/companies/{location_id}/activities", "locations": "/locations/{location_id}/events"}
_BOOK = {"companies": "records", "locations": "appointments"}
_APPOINTMENT = _EVENTS["locations"] + "/{event_id}/appointments/{appointment_id}"

#: (method, path below the base URL, operation), for each family.
ROUTES: dict[str, list[tuple[str, str, str]]] = {
    family: [
        ("GET", _EVENTS[family], "list_activities"),
        ("POST", _EVENTS[family], "create_event"),
        ("GET", _EVENTS[family] + "/{event_id}", "get_event"),
        ("PUT", _EVENTS[family] + "/{event_id}", "update_event"),
        ("DELETE", _EVENTS[family] + "/{event_id}", "delete_event"),
        ("POST", f"{_EVENTS[family]}/{{event_id}}/{_BOOK[family]}", "create_event_appointment"),
    ]
    for family in _EVENTS
}
ROUTES["locations"] += [
    ("POST", _EVENTS["locations"] + "/{event_id}/appointments/bulk", "bulk_create_event_appointments"),
    ("POST", _EVENTS["locations"] + "/{event_id}/duplicate", "duplicate_event"),
    ("GET", "/locations/{location_id}/appointments", "list_appointments"),
    ("PUT", _APPOINTMENT, "update_event_appointment"),
    ("PATCH", _APPOINTMENT, "reschedule_event_appointment"),
    ("DELETE", "/locations/{location_id}/appointments/{appointment_id}", "delete_appointment"),
]
ROUTES["v1"] = [("GET", "/companies", "list_locations"), ("GET", "/company/{location_id}", "get_location")]
OPERATIONS: dict[str, Operation] = {**EVENT_OPERATIONS, **APPOINTMENT_OPERATIONS, **LOCATION_OPERATIONS}


def make_app(sandbox: Sandbox, allowed_hosts: Iterable[str] = ()) -> FastAPI:
    """Return the application on a sandbox's data.

    :param allowed_hosts: names and addresses by which it is reached, beside those of the loopback interface.
    """
    app = FastAPI(title="Altegio sandbox", docs_url=None, redoc_url=None, openapi_url=None)
    for family, routes in ROUTES.items():
        for method, path, name in routes:
            endpoint = _endpoint(sandbox, family, name)
            app.add_api_route(BASES[family] + path, endpoint, methods=[method], name=f"{family}.{name}")
    control.add_routes(app, sandbox)
    app.add_middleware(Guard, control=control.PREFIX, allowed_hosts=tuple(allowed_hosts))

    @app.get("/openapi.yaml")
    async def contract() -> Response:
        return Response(CONTRACT.read_bytes(), media_type="application/yaml")

    @app.exception_handler(404)
    @app.exception_handler(405)
    async def nothing_here(_request: Request, error: Any) -> Response:
        answer = Refusal(error.status_code, "There is no such route").answer()
        answer.headers.update(getattr(error, "headers", None) or {})  # which methods a 405 allows
        return answer

    return app


def _endpoint(sandbox: Sandbox, family: str, name: str) -> Callable[[Request], Awaitable[Response]]:
    operation = OPERATIONS[name]

    async def endpoint(request: Request) -> Response:
        number = sandbox.arrived(name)
        answer = await _answer(request, number)
        sandbox.answered(f"{family}.{name}", answer.status_code)
        return answer

    async def _answer(request: Request, number: int) -> Response:
        address = request.client.host if request.client else ""
        wait = sandbox.limits.wait(address)
        if wait > 0:
            return faults.too_many(wait, sandbox.retry_after)
        if sandbox.latency_seconds:
            await asyncio.sleep(sandbox.latency_seconds)
        location = whole_number(request.path_params.get("location_id", ""))
        effects = sandbox.faults.for_request(name, location)
        instead = await faults.before(effects)
        if instead is not None:
            return instead
        try:
            _check_headers(request, sandbox, family)
            _check_route(sandbox, name)
            call = Call(sandbox, family, request, effects, number, await request.body())
            if "late_effect" in effects:
                delay = float(effects["late_effect"].get("seconds", 1))
                sandbox.clock.later(delay, partial(_quietly, operation, call))
                return Broken()
            sandbox.clock.settle()
            answer = operation(call)
        except Refusal as refusal:
            is_jsonapi = (
                sandbox.switches.error_form == "jsonapi" and family == "locations" and "/events" in request.url.path
            )
            answer = refusal.answer("jsonapi" if is_jsonapi else "object")
        return await faults.after(effects, answer)

    return endpoint


def _quietly(operation: Operation, call: Call) -> None:
    try:
        operation(call)
    except Refusal:
        return


def _check_route(sandbox: Sandbox, name: str) -> None:
    status = sandbox.switches.missing_routes.get(name)
    if status is not None:
        raise Refusal(status, "No right to use this method" if status == 403 else "There is no such route")


def _check_headers(request: Request, sandbox: Sandbox, family: str) -> None:
    if family != "v1" and request.headers.get("accept", "").split(";")[0].strip() != _ACCEPT:
        raise Refusal(400, f"The header Accept must be {_ACCEPT}")
    wanted = f"Bearer {sandbox.partner_token}, User {sandbox.user_token}"
    if request.headers.get("authorization") != wanted:
        raise Refusal(401, "The partner token or the user token is missing or wrong")
    if request.method in ("POST", "PUT", "PATCH"):
        kind = request.headers.get("content-type", "").split(";")[0].strip()
        if kind != "application/json":
            raise Refusal(415, "The body must be application/json")
