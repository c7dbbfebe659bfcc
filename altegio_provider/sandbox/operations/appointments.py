"""The operations on appointments: book, list, change, move, delete."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response

from altegio_provider.sandbox.data.made_bookings import unfold
from altegio_provider.sandbox.data.state import Appointment, Event, Location
from altegio_provider.sandbox.forms import render
from altegio_provider.sandbox.forms.answers import INVALID, Refusal, data, json_answer
from altegio_provider.sandbox.forms.odd import odd_meta, odd_resource
from altegio_provider.sandbox.forms.render_appointments import appointment_resource, record_resource
from altegio_provider.sandbox.operations.bulk import bulk_create_event_appointments
from altegio_provider.sandbox.operations.includes import APPOINTMENT_INCLUDES, included_names
from altegio_provider.sandbox.rules.change import check_change, check_move
from altegio_provider.sandbox.rules.creation import check_booking
from altegio_provider.sandbox.rules.moves import check_movable
from altegio_provider.sandbox.settings import Call, Operation

__all__ = ["APPOINTMENT_OPERATIONS"]

_LONGEST = timedelta(days=1)  # how long before a range a class may begin and still go on in it
_EARLIEST = datetime(2000, 1, 2)  # noqa: DTZ001 - a wall clock has no zone
_BEFORE, _AFTER = timedelta(days=60), timedelta(days=30)


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
        record_from="API",
        request_number=call.number,
    )
    return _answer(call, location, appointment, 200 if call.family == "companies" else 201)


def _answer(call: Call, location: Location, appointment: Appointment, status: int = 200) -> Response:
    return json_answer(data(record_resource(appointment, location, call.sandbox.clock.time(), call.switches)), status)


def _check_seats(event: Event, wanted: int) -> None:
    free = event.capacity - event.seats
    if wanted > free:
        raise Refusal(422, INVALID, {"clients_count": [f"only {max(0, free)} places are free"]})


def list_appointments(call: Call) -> Response:
    """A page of the location's appointments."""
    location = call.location
    asked = call.whole("limit", 250, 1, 250)
    limit = min(asked, int(call.effects.get("cap_limit", {}).get("limit", asked)))
    page = call.whole("page", 1, 1)
    include = included_names(call, APPOINTMENT_INCLUDES)
    matching = _matching(call, location)
    first = (page - 1) * limit
    shown = matching[first : first + limit]
    if "short_page" in call.effects and len(shown) > 1:
        shown = shown[: max(1, int(call.effects["short_page"].get("rows", len(shown) // 2)))]
    rows: list[dict[str, Any]] = []
    included: dict[tuple[str, str, str], dict[str, Any]] = {}
    for appointment in shown:
        row, referred = appointment_resource(
            appointment,
            location,
            call.sandbox.clock.time(),
            include,
            call.switches,
            is_masked="mask_phones" in call.effects,
        )
        rows.append(odd_resource(call, row))
        # Where types are null, what a resource holds tells it from another with its number.
        included.update(((str(one["type"]), one["id"], str(one["attributes"])), one) for one in referred)
    meta = odd_meta(call, {"page": page, "offset": first, "limit": limit}, asked)
    answer = {"data": rows, "included": list(included.values())}
    return json_answer(answer if meta is None else {**answer, "meta": meta})


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
    """An appointment changed: its tags, products and price line are what the body says, and nothing else."""
    location = call.location
    appointment = call.appointment(location)
    body = call.body()
    errors = check_change(body)
    if errors:
        raise Refusal(422, INVALID, errors)
    event = location.events[appointment.event_id]
    goods = _goods(call, appointment, body)
    seats = body.get("clients_count") or appointment.clients_count
    _check_seats(event, seats - appointment.clients_count)
    appointment.clients_count = seats
    appointment.price = {"is_trial": False, **body["attendance_service_item"]}
    if "label_ids" in body or call.switches.change_wipes:
        appointment.label_ids = body.get("label_ids") or []
    if "attendance_good_items" in body or call.switches.change_wipes:
        appointment.goods = goods
    if "comment" in body:
        appointment.comment = body["comment"]
    if "color" in body:
        appointment.color = body["color"] or ""
    event.rendered.clear()
    return _answer(call, location, appointment)


def _goods(call: Call, appointment: Appointment, body: dict[str, Any]) -> list[dict[str, Any]]:
    """The products of a change: the ones that are there keep their numbers, new ones get one."""
    known = {good["id"] for good in appointment.goods}
    given = body.get("attendance_good_items", [])
    strange = {
        f"attendance_good_items.{place}.id": ["is not in this booking"]
        for place, good in enumerate(given)
        if good["id"] is not None and good["id"] not in known
    }
    if strange:
        raise Refusal(422, INVALID, strange)
    return [{**good, "id": good["id"] or call.state.next_good_id()} for good in given]


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
    source = location.events[appointment.event_id]
    now = call.state.now()
    unfold(location, target, now)
    if call.switches.move_rules:
        check_movable(appointment, source, target, now.astimezone(location.zone).replace(tzinfo=None))
    wanted = body.get("clients_count") or appointment.clients_count
    is_inside = appointment.has_event and target.id == appointment.event_id
    _check_seats(target, wanted - (appointment.clients_count if is_inside else 0))
    source.appointments.pop(appointment.id, None)
    appointment.event_id, appointment.clients_count = target.id, wanted
    appointment.has_event = True
    if not body.get("with_comer", True):
        appointment.comer = None
    if "comment" in body:
        appointment.comment = body["comment"]
    target.appointments[appointment.id] = appointment
    source.rendered.clear()
    target.rendered.clear()
    return _answer(call, location, appointment)


def delete_appointment(call: Call) -> Response:
    """An appointment deleted."""
    location = call.location
    call.state.unbook(location, call.appointment(location))
    return Response(status_code=204)


APPOINTMENT_OPERATIONS: dict[str, Operation] = {
    function.__name__: function
    for function in (
        create_event_appointment,
        bulk_create_event_appointments,
        list_appointments,
        update_event_appointment,
        reschedule_event_appointment,
        delete_appointment,
    )
}
