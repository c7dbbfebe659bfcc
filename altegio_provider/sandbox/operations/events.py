"""The operations on events."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from starlette.responses import Response

from altegio_provider.sandbox.data.state import Event, Location
from altegio_provider.sandbox.forms import render
from altegio_provider.sandbox.forms.answers import INVALID, Refusal, data, json_answer
from altegio_provider.sandbox.forms.odd import odd_resource, odd_row
from altegio_provider.sandbox.operations.copies import duplicate_event
from altegio_provider.sandbox.operations.includes import EVENT_INCLUDES, included_names
from altegio_provider.sandbox.operations.listing import list_activities
from altegio_provider.sandbox.rules.busy import check_busy
from altegio_provider.sandbox.rules.creation import check_event
from altegio_provider.sandbox.settings import Call, Operation

__all__ = ["EVENT_OPERATIONS"]


def get_event(call: Call) -> Response:
    """One event; a deleted one too."""
    location = call.location
    event = call.event(location)
    if call.family == "companies":
        return json_answer(data(odd_row(call, render.activity(location, event))))
    include = included_names(call, EVENT_INCLUDES)
    resource = odd_resource(call, render.event_resource(location, event, include, call.switches))
    included = render.included_with(location, [event], include, call.switches)
    return json_answer({**data(resource), "included": included})


def create_event(call: Call) -> Response:
    """A new event."""
    location = call.location
    body = call.body()
    errors = check_event(body, call.family, False, call.switches.empty_texts == "taken")
    if errors:
        raise Refusal(422, INVALID, errors)
    _check_catalogue(location, body)
    event = Event(
        call.state.next_event_id(), location.id, 0, 0, render.wall(body["date"]), 0, 0, created_at=_now(call, location)
    )
    if not body.get("force"):
        check_busy(location, event, render.wall(body["date"]), body)
    _fill_in(event, body)
    event.created_by = call.number
    location.add(event)
    status = 200 if call.family == "companies" else 201
    return json_answer(data(render.event_resource(location, event, (), call.switches)), status)


def update_event(call: Call) -> Response:
    """An event replaced whole."""
    location = call.location
    event = call.event(location)
    body = call.body()
    errors = check_event(body, call.family, True, call.switches.empty_texts == "taken")
    if errors:
        raise Refusal(422, INVALID, errors)
    if event.deleted:
        raise Refusal(404, "The event was deleted")
    _check_catalogue(location, body)
    if call.switches.capacity_rule and body["capacity"] < event.seats:
        raise Refusal(422, INVALID, {"capacity": [f"must not be below the {event.seats} seats that are booked"]})
    if not body.get("force"):
        check_busy(location, event, render.wall(body["date"]), body)
    location.unlist(event)
    _fill_in(event, body)
    location.add(event)
    return json_answer(data(render.event_resource(location, event, (), call.switches)))


def delete_event(call: Call) -> Response:
    """An event deleted softly; all of its bookings are cancelled."""
    location = call.location
    event = call.event(location)
    if event.deleted:
        raise Refusal(404, "The event was deleted already")
    location.delete(event, call.number)
    if call.switches.delete_cancels:
        location.cancel_bookings(event)
    return json_answer(b"null") if call.family == "companies" else Response(status_code=204)


def _now(call: Call, location: Location) -> datetime:
    return call.state.now().astimezone(location.zone).replace(tzinfo=None, microsecond=0)


def _check_catalogue(location: Location, body: dict[str, Any]) -> None:
    if location.staff and body["staff_id"] not in location.staff:
        raise Refusal(404, "The team member was not found")
    if location.services and body["service_id"] not in location.services:
        raise Refusal(404, "The service was not found")
    errors = {
        name: [f"there is no {number}" for number in body[name] if number not in known]
        for name, known in (("resource_instance_ids", location.resources), ("label_ids", location.labels))
        if known and not known.keys() >= set(body[name])
    }
    if errors:
        raise Refusal(422, INVALID, errors)


def _fill_in(event: Event, body: dict[str, Any]) -> None:
    event.staff_id, event.service_id = body["staff_id"], body["service_id"]
    event.starts, event.length, event.capacity = render.wall(body["date"]), body["length"], body["capacity"]
    event.resource_ids, event.label_ids = list(body["resource_instance_ids"]), list(body["label_ids"])
    event.comment, event.instructions = body.get("comment") or "", body.get("instructions") or ""
    event.stream_link = body.get("stream_link") or ""
    event.color = body.get("color") or event.color
    if body.get("technical_break_duration") is not None:
        event.technical_break = body["technical_break_duration"]
    event.rendered.clear()


EVENT_OPERATIONS: dict[str, Operation] = {
    function.__name__: function
    for function in (list_activities, get_event, create_event, update_event, delete_event, duplicate_event)
}
