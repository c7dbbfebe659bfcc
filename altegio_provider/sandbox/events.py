"""The operations on single events: create, get, replace, delete."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from starlette.responses import Response

from altegio_provider.sandbox import render
from altegio_provider.sandbox.answers import INVALID, Refusal, data, json_answer
from altegio_provider.sandbox.listing import included_names, list_activities
from altegio_provider.sandbox.rules import check_event
from altegio_provider.sandbox.settings import Call, Operation
from altegio_provider.sandbox.state import Event, Location

__all__ = ["EVENT_OPERATIONS"]


def get_event(call: Call) -> Response:
    """One event; a deleted one too."""
    location = call.location
    event = call.event(location)
    if call.family == "companies":
        return json_answer(data(render.activity(location, event)))
    include = included_names(call)
    resource = render.event_resource(location, event, include)
    return json_answer({**data(resource), "included": render.included_with(location, [event], include)})


def create_event(call: Call) -> Response:
    """A new event."""
    location = call.location
    body = call.body()
    errors = check_event(body, call.family, is_replacement=False)
    if errors:
        raise Refusal(422, INVALID, errors)
    _check_catalogue(location, body)
    event = Event(
        call.state.next_event_id(), location.id, 0, 0, render.wall(body["date"]), 0, 0, created_at=_now(call, location)
    )
    _check_busy(location, event, body)
    _fill_in(event, body)
    event.created_by = call.number
    location.add(event)
    status = 200 if call.family == "companies" else 201
    return json_answer(data(render.event_resource(location, event)), status)


def update_event(call: Call) -> Response:
    """An event replaced whole."""
    location = call.location
    event = call.event(location)
    body = call.body()
    errors = check_event(body, call.family, is_replacement=True)
    if errors:
        raise Refusal(422, INVALID, errors)
    if event.deleted:
        raise Refusal(404, "The event was deleted")
    _check_catalogue(location, body)
    _check_busy(location, event, body)
    location.unlist(event)
    _fill_in(event, body)
    location.add(event)
    return json_answer(data(render.event_resource(location, event)))


def delete_event(call: Call) -> Response:
    """An event deleted softly."""
    location = call.location
    event = call.event(location)
    if event.deleted:
        raise Refusal(404, "The event was deleted already")
    location.delete(event, call.number)
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


def _check_busy(location: Location, event: Event, body: dict[str, Any]) -> None:
    if body.get("force"):
        return
    starts = render.wall(body["date"])
    ends = starts + timedelta(seconds=body["length"])
    location.fill(starts.date(), ends.date())
    for other in location.listed(starts - timedelta(days=1), ends, with_end=False):
        overlaps = other.starts < ends and starts < other.starts + timedelta(seconds=other.length)
        if other.id == event.id or not overlaps:
            continue
        if other.staff_id == body["staff_id"]:
            raise Refusal(409, "The team member is busy at this time")
        if set(other.resource_ids) & set(body["resource_instance_ids"]):
            raise Refusal(409, "A resource is busy at this time")


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
    function.__name__: function for function in (list_activities, get_event, create_event, update_event, delete_event)
}
