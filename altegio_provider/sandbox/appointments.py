"""The operations on appointments: book, list, change, move, delete."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response

from altegio_provider.sandbox import render
from altegio_provider.sandbox.answers import INVALID, Refusal, data, json_answer
from altegio_provider.sandbox.bookings import unfold
from altegio_provider.sandbox.rules import check_booking, check_move, check_update
from altegio_provider.sandbox.settings import Call, Operation
from altegio_provider.sandbox.state import Appointment, Event, Location

__all__ = ["APPOINTMENT_OPERATIONS"]

_LONGEST = timedelta(days=1)  # how long before a range a class may begin and still go on in it
_EARLIEST = datetime(2000, 1, 2)  # noqa: DTZ001 - a wall clock has no zone
_BEFORE, _AFTER = timedelta(days=60), timedelta(days=30)
_INCLUDES = {"client", "staff", "services", "labels", "comer"}


def create_event_appointment(call: Call) -> Response:
    """A client booked into an event. Sent twice, it books twice."""
    location = call.location
    event = call.event(location)
    if event.deleted:
        raise Refusal(404, "The event was deleted")
    body = call.body()
    errors = check_booking(body, call.family)
    if errors:
        raise Refusal(422, INVALID, errors)
    _check_seats(event, body["clients_count"])
    known_at = 0.0
    if "late_client_id" in call.effects:
        known_at = call.sandbox.clock.time() + float(call.effects["late_client_id"].get("seconds", 5))
    appointment = call.state.book(
        location,
        event,
        body["client"],
        body["clients_count"],
        comer=body.get("comer"),
        comment=body["client"].get("comment"),
        label_ids=list(body.get("labels") or []),
        client_known_at=known_at,
        has_event="record_without_event" not in call.effects,
        request_number=call.number,
    )
    status = 200 if call.family == "companies" else 201
    return json_answer(data(render.record_resource(appointment, location, call.sandbox.clock.time())), status)


def _check_seats(event: Event, wanted: int) -> None:
    free = event.capacity - event.seats
    if wanted > free:
        raise Refusal(422, INVALID, {"clients_count": [f"only {max(0, free)} places are free"]})


def list_appointments(call: Call) -> Response:
    """A page of the location's appointments."""
    location = call.location
    limit = call.whole("limit", 250, 1, 250)
    page = call.whole("page", 1, 1)
    matching = _matching(call, location)
    first = (page - 1) * limit
    include = tuple(call.values("include"))
    if set(include) - _INCLUDES:
        raise Refusal(422, INVALID, {"include": ["cannot be included"]})
    rows: list[dict[str, Any]] = []
    included: dict[tuple[str, str], dict[str, Any]] = {}
    for appointment in matching[first : first + limit]:
        row, referred = render.appointment_resource(
            appointment, location, call.sandbox.clock.time(), include, "mask_phones" in call.effects
        )
        rows.append(row)
        included.update(((one["type"], one["id"]), one) for one in referred)
    pagination = {"page": page, "offset": first, "limit": limit}
    return json_answer({"data": rows, "included": list(included.values()), "meta": {"pagination": pagination}})


def _matching(call: Call, location: Location) -> list[Appointment]:
    query = call.request.query_params
    bounds = [query.get(f"filter[date_intersect_{end}]") for end in ("from", "to")]
    now = call.state.now()
    here = now.astimezone(location.zone).replace(tzinfo=None)
    # Without bounds, what made classes have is shown of about three months alone: there are twenty years of it.
    first, last = (here - _BEFORE, here + _AFTER) if bounds == [None, None] else _bounds(bounds)
    event_id, client_id = (call.whole(f"filter[{name}]", 0, 1) for name in ("activity_id", "client_id"))
    if event_id:
        try:
            event = call.event_numbered(location, event_id)
        except Refusal:
            return []
        unfold(location, event, now)
        found = [one for one in event.appointments.values() if one.has_event]
    else:
        location.fill(max(first - _LONGEST, _EARLIEST).date(), last.date())
        for event in location.listed(max(first - _LONGEST, _EARLIEST), last, with_end=False):
            unfold(location, event, now)
        found = list(location.appointments.values())
    found.sort(key=lambda appointment: appointment.id)
    if client_id:
        found = [one for one in found if one.client["id"] == client_id]
    if bounds != [None, None]:
        found = [one for one in found if _goes_on(location.events[one.event_id], first, last)]
    return found


def _goes_on(event: Event, first: datetime, last: datetime) -> bool:
    """Whether it takes place in a part of this time."""
    return event.starts < last and first < event.starts + timedelta(seconds=event.length)


def _bounds(texts: list[str | None]) -> tuple[datetime, datetime]:
    if not all(texts):
        raise Refusal(422, INVALID, {"filter[date_intersect_from]": ["both bounds or neither"]})
    try:
        first, last = (render.wall(text or "", "T") for text in texts)
    except ValueError:
        raise Refusal(
            422, INVALID, {"filter[date_intersect_from]": ["must be written as YYYY-MM-DDTHH:MM:SS"]}
        ) from None
    if last <= first:
        raise Refusal(422, INVALID, {"filter[date_intersect_to]": ["must be later than from"]})
    return first, last


def update_event_appointment(call: Call) -> Response:
    """An appointment changed."""
    location = call.location
    appointment = call.appointment(location)
    body = call.body()
    errors = check_update(body)
    if errors:
        raise Refusal(422, INVALID, errors)
    event = location.events[appointment.event_id]
    if "clients_count" in body:
        _check_seats(event, body["clients_count"] - appointment.clients_count)
        appointment.clients_count = body["clients_count"]
    appointment.comment = body.get("comment", appointment.comment)
    appointment.label_ids = body.get("label_ids", appointment.label_ids)
    appointment.color = body.get("color") or appointment.color
    event.rendered.clear()
    return json_answer(data(render.record_resource(appointment, location, call.sandbox.clock.time())))


def reschedule_event_appointment(call: Call) -> Response:
    """An appointment moved to another event."""
    location = call.location
    appointment = call.appointment(location)
    body = call.body()
    errors = check_move(body)
    if errors:
        raise Refusal(422, INVALID, errors)
    target = call.event_numbered(location, body["reschedule_activity_id"])
    if target.deleted:
        raise Refusal(404, "The event was deleted")
    wanted = body.get("clients_count", appointment.clients_count)
    is_inside = appointment.has_event and target.id == appointment.event_id
    _check_seats(target, wanted - (appointment.clients_count if is_inside else 0))
    source = location.events[appointment.event_id]
    source.appointments.pop(appointment.id, None)
    appointment.event_id, appointment.clients_count = target.id, wanted
    appointment.has_event = True
    if not body.get("with_comer", True):
        appointment.comer = None
    target.appointments[appointment.id] = appointment
    source.rendered.clear()
    target.rendered.clear()
    return json_answer(data(render.record_resource(appointment, location, call.sandbox.clock.time())))


def delete_appointment(call: Call) -> Response:
    """An appointment deleted."""
    location = call.location
    call.state.unbook(location, call.appointment(location))
    return Response(status_code=204)


APPOINTMENT_OPERATIONS: dict[str, Operation] = {
    function.__name__: function
    for function in (
        create_event_appointment,
        list_appointments,
        update_event_appointment,
        reschedule_event_appointment,
        delete_appointment,
    )
}
