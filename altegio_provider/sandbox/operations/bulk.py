"""Up to fifty clients booked into an event by one request."""

from __future__ import annotations

from functools import partial
from typing import Any

from starlette.responses import Response

from altegio_provider.sandbox.data.state import Appointment, Event, Location
from altegio_provider.sandbox.forms.answers import INVALID, Broken, Refusal, json_answer
from altegio_provider.sandbox.forms.odd import rows_let_through
from altegio_provider.sandbox.forms.render_appointments import record_resource
from altegio_provider.sandbox.rules.checks import Errors, allow, is_int, is_text, or_null, refuse_unknown, require
from altegio_provider.sandbox.rules.creation import DIGIT_PHONE
from altegio_provider.sandbox.settings import Call

__all__ = ["bulk_create_event_appointments"]

_MOST = 50
_KEYS = ("client_id", "name", "phone", "email", "clients_count", "send_sms_now")


def bulk_create_event_appointments(call: Call) -> Response:
    """Clients booked into an event, in the order of the rows: 201, also when rows were refused."""
    location = call.location
    event = call.event(location)
    if event.deleted:
        raise Refusal(404, "The event was deleted")
    body = call.body()
    errors = _check(body)
    if errors:
        raise Refusal(422, INVALID, errors)
    rows = list(enumerate(body["records"]))
    fault = call.effects.get("partial_effect")
    first = rows_let_through(rows, fault)
    made, refused = _book_all(call, location, event, first)
    if fault is not None:
        if "rest_seconds" in fault:
            rest = [row for row in rows if row not in first]
            call.sandbox.clock.later(float(fault["rest_seconds"]), partial(_book_all, call, location, event, rest))
        if fault.get("answer", "lost") == "lost":
            return Broken()
    now = call.sandbox.clock.time()
    resources = [record_resource(one, location, now, call.switches) for one in made]
    return json_answer({"success": True, "data": resources, "meta": {"errors": refused} if refused else []}, 201)


def _book_all(
    call: Call, location: Location, event: Event, rows: list[tuple[int, dict[str, Any]]]
) -> tuple[list[Appointment], list[dict[str, Any]]]:
    """Book the rows that can be; return the appointments, and what is said of the others."""
    made: list[Appointment] = []
    refused: list[dict[str, Any]] = []
    for place, row in rows:
        complaint = _complaint(event, row)
        if complaint is None:
            made.append(_book(call, location, event, row))
        else:
            refused.append({"index": place, "phone": row.get("phone"), "name": row.get("name"), "error": complaint})
    return made, refused


def _check(body: Any) -> Errors:
    if not isinstance(body, dict):
        return {"body": ["must be an object"]}
    errors: Errors = {}
    refuse_unknown(errors, body, {"records"})
    records = body.get("records")
    if not isinstance(records, list) or not 1 <= len(records) <= _MOST:
        return {**errors, "records": [f"must be an array of 1 to {_MOST} objects"]}
    for place, row in enumerate(records):
        where = f"records.{place}."
        if not isinstance(row, dict):
            errors[where.rstrip(".")] = ["must be an object"]
            continue
        require(errors, row, "clients_count", is_int(1), "must be a whole number of 1 or more", where)
        allow(errors, row, "client_id", or_null(is_int(1)), "must be a whole number", where)
        for name in ("name", "phone", "email"):
            allow(errors, row, name, or_null(is_text()), "must be text", where)
        allow(errors, row, "send_sms_now", is_int(0, 1), "must be 0 or 1", where)
        if not row.get("client_id") and not row.get("name"):
            errors[where + "name"] = ["client_id or name is required"]
        refuse_unknown(errors, row, _KEYS, where)
    return errors


def _complaint(event: Event, row: dict[str, Any]) -> str | None:
    """Why a row is refused, of which the others know nothing."""
    if row.get("phone") and DIGIT_PHONE.fullmatch(row["phone"]) is None:
        return "The phone is not valid"
    if event.deleted:
        return "The event was deleted"
    free = event.capacity - event.seats
    return f"Only {max(0, free)} places are free" if row["clients_count"] > free else None


def _book(call: Call, location: Location, event: Event, row: dict[str, Any]) -> Appointment:
    known_at = 0.0
    if "late_client_id" in call.effects:
        known_at = call.sandbox.clock.time() + float(call.effects["late_client_id"].get("seconds", 5))
    client = {"id": row.get("client_id"), **{name: row.get(name) for name in ("name", "phone", "email")}}
    appointment = call.state.book(
        location,
        event,
        client,
        row["clients_count"],
        client_known_at=known_at,
        has_event="record_without_event" not in call.effects,
        record_from="API",
        request_number=call.number,
    )
    if row.get("send_sms_now"):
        location.messages.append((appointment.id, "send_sms_now"))
    return appointment
