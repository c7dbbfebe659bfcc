"""The operations on events: list, create, get, replace, delete."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import orjson
from starlette.responses import Response

from altegio_provider.sandbox import render
from altegio_provider.sandbox.answers import Refusal, data, json_answer
from altegio_provider.sandbox.rules import check_event
from altegio_provider.sandbox.settings import Call, Operation, whole_number
from altegio_provider.sandbox.state import Event, Location

__all__ = ["EVENT_OPERATIONS"]

_INVALID = "The given data was invalid."
_INCLUDES = {"staff", "service", "resource_instances", "labels", "duration_details", "master"}
_CHURNED_IDS = 990_000_000


def list_activities(call: Call) -> Response:
    """One page of the events of a range."""
    location = call.location
    start, end = _range(call, location)
    if call.family == "companies":
        limit = call.whole("limit", 100, 1)
        first = call.whole("offset", 0, 0)
        asked = first
    else:
        limit = call.whole("limit", 250, 1, 250)
        asked = (call.whole("page", 1, 1) - 1) * limit
    limit = min(limit, int(call.effects.get("cap_limit", {}).get("limit", limit)))
    first = asked if call.family == "companies" else (call.whole("page", 1, 1) - 1) * limit
    location.fill(start.date() - timedelta(days=1), end.date() + timedelta(days=1))
    events = _matching(call, location, start, end)
    if "churn" in call.effects:
        _churn(call, location, events, first, start, end)
        events = _matching(call, location, start, end)
    events = _ordered(call, events)
    page = events[first : first + limit]
    if "short_page" in call.effects and len(page) > 1:
        page = page[: max(1, int(call.effects["short_page"].get("rows", len(page) // 2)))]
    if call.family == "companies":
        return _flat_page(call, location, page, len(events), limit, first)
    return _resource_page(call, location, page)


def _range(call: Call, location: Location) -> tuple[datetime, datetime]:
    texts = {name: call.request.query_params.get(f"filter[{name}]") for name in ("from", "to")}
    missing = {f"filter[{name}]": ["is required"] for name, text in texts.items() if not text}
    if missing:
        raise Refusal(400, "The range is required", missing)
    moments: dict[str, datetime] = {}
    errors: dict[str, list[str]] = {}
    for name, text in texts.items():
        try:
            moments[name] = render.wall(text or "")
        except ValueError:
            errors[f"filter[{name}]"] = ["must be written as YYYY-MM-DD HH:MM:SS"]
    if errors:
        raise Refusal(422, _INVALID, errors)
    if call.family == "locations":
        now = call.state.now().astimezone(location.zone).replace(tzinfo=None, microsecond=0)
        if moments["from"] < now:
            raise Refusal(422, _INVALID, {"filter[from]": ["must not be earlier than now"]})
        if moments["to"] <= moments["from"]:
            raise Refusal(422, _INVALID, {"filter[to]": ["must be later than from"]})
    return moments["from"], moments["to"]


def _matching(call: Call, location: Location, start: datetime, end: datetime) -> list[Event]:
    events = location.listed(start, end, "inclusive_to" in call.effects)
    staff, services = _ids(call, "master_ids"), _ids(call, "service_ids")
    least = None
    if "filter[capacity]" in call.request.query_params:
        least = call.whole("filter[capacity]", 0, 0)
    search = call.request.query_params.get("search", "").lower() if call.family == "companies" else ""
    if not (staff or services or search) and least is None:
        return events
    return [
        event
        for event in events
        if (not staff or event.staff_id in staff)
        and (not services or event.service_id in services)
        and (least is None or _has_capacity(call, event, least))
        and (not search or search in str((location.services.get(event.service_id) or {}).get("title", "")).lower())
    ]


def _has_capacity(call: Call, event: Event, least: int) -> bool:
    return event.capacity - event.seats >= least if call.family == "locations" else event.capacity == least


def _ids(call: Call, name: str) -> set[int]:
    values = call.values(f"filter[{name}][]")
    if call.family == "companies":
        # As the portal's example sends it: one value with commas. Of repeated keys only the last one counts.
        values = values[-1].split(",") if values else []
    ids = {whole_number(value) for value in values}
    if None in ids:
        raise Refusal(422, _INVALID, {f"filter[{name}]": ["must be whole numbers"]})
    return {number for number in ids if number is not None}


def _ordered(call: Call, events: list[Event]) -> list[Event]:
    order = call.effects.get("order", {}).get("by")
    if order == "id":
        return sorted(events, key=lambda event: event.id)
    if order == "newest":
        return sorted(events, key=lambda event: (event.created_at, event.id), reverse=True)
    if order == "descending":
        return events[::-1]
    if order == "unstable":
        return random.Random(call.number).sample(events, len(events))  # noqa: S311 - chance, not secrets
    return events


def _churn(call: Call, location: Location, events: list[Event], first: int, start: datetime, end: datetime) -> None:
    """Insert and delete rows in front of the page that was asked for."""
    chance = random.Random(f"churn {call.number}")  # noqa: S311
    params = call.effects["churn"]
    in_front = _ordered(call, events)[: max(first, 1)]
    for event in chance.sample(in_front, min(len(in_front), int(params.get("deletes", 1)))):
        location.delete(event)
    last = in_front[-1].starts if in_front else start
    for number in range(int(params.get("inserts", 1))):
        seconds = max(1, int((min(last, end) - start).total_seconds()))
        location.add(
            Event(
                id=_CHURNED_IDS + call.number * 100 + number,
                location_id=location.id,
                staff_id=next(iter(location.staff), 1),
                service_id=next(iter(location.services), 1),
                starts=start + timedelta(seconds=chance.randrange(seconds)),
                length=3600,
                capacity=10,
            )
        )


def _flat_page(call: Call, location: Location, page: list[Event], total: int, limit: int, first: int) -> Response:
    if "wrong_offset" in call.effects or "dates" in call.effects:
        rows = b",".join(orjson.dumps(_odd(call, render.activity(location, event))) for event in page)
    else:
        rows = b",".join(render.activity_bytes(location, event) for event in page)
    meta: Any = {"pagination": {"total": total, "limit": limit, "offset": first}}
    if "meta" in call.effects:
        meta = _odd_meta(call, meta)
    tail = b"" if meta is None else b',"meta":' + orjson.dumps(meta)
    return json_answer(b'{"success":true,"data":[' + rows + b"]" + tail + b"}")


def _odd_meta(call: Call, meta: dict[str, Any]) -> Any:
    form = call.effects["meta"].get("form", "absent")
    if form == "list":
        return []
    if form == "empty":
        return {}
    if form in ("wrong", "changing"):
        by = call.effects["meta"].get("by", -50) if form == "wrong" else (call.number % 7 - 3) * 40
        meta["pagination"]["total"] = max(0, meta["pagination"]["total"] + int(by))
        return meta
    return None


def _odd(call: Call, row: dict[str, Any]) -> dict[str, Any]:
    if "wrong_offset" in call.effects:
        row["datetime"] = row["datetime"][:-5] + call.effects["wrong_offset"].get("offset", "+0000")
    form = call.effects.get("dates", {}).get("form")
    if form == "iso":
        row["date"] = row["datetime"]
    elif form == "milliseconds":
        row["date"] = row["date"].replace(" ", "T") + ".000"
    elif form == "colon":
        row["date"] = row["datetime"][:-2] + ":" + row["datetime"][-2:]
    return row


def _resource_page(call: Call, location: Location, page: list[Event]) -> Response:
    include = tuple(name for name in call.values("include") if name)
    unknown = set(include) - _INCLUDES
    if unknown:
        raise Refusal(422, _INVALID, {"include": [f"{', '.join(sorted(unknown))} cannot be included"]})
    rows = b",".join(render.event_bytes(location, event, include) for event in page)
    included = orjson.dumps(render.included_with(location, page, include))
    return json_answer(b'{"data":[' + rows + b'],"included":' + included + b"}")


def get_event(call: Call) -> Response:
    """One event; a deleted one too."""
    location = call.location
    event = call.event(location)
    if call.family == "companies":
        return json_answer(data(render.activity(location, event)))
    include = tuple(name for name in call.values("include") if name)
    resource = render.event_resource(location, event, include)
    return json_answer({**data(resource), "included": render.included_with(location, [event], include)})


def create_event(call: Call) -> Response:
    """A new event."""
    location = call.location
    body = call.body()
    errors = check_event(body, call.family, is_replacement=False)
    if errors:
        raise Refusal(422, _INVALID, errors)
    _check_catalogue(location, body)
    event = Event(
        call.state.next_event_id(), location.id, 0, 0, render.wall(body["date"]), 0, 0, created_at=_now(call, location)
    )
    _check_busy(location, event, body)
    _fill_in(event, body)
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
        raise Refusal(422, _INVALID, errors)
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
    location.delete(event)
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
        raise Refusal(422, _INVALID, errors)


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
