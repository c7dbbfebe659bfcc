"""The list of events of a location: ranges, pages, and the order of rows; and what may be wrong with them."""

from __future__ import annotations

import random
from datetime import datetime, timedelta

import orjson
from starlette.responses import Response

from altegio_provider.sandbox.data.state import Event, Location
from altegio_provider.sandbox.forms import render
from altegio_provider.sandbox.forms.answers import INVALID, Refusal, json_answer
from altegio_provider.sandbox.forms.odd import odd_meta, odd_resource, odd_row, rows_are_odd
from altegio_provider.sandbox.operations.event_filters import Filters, event_filters
from altegio_provider.sandbox.operations.includes import EVENT_INCLUDES, included_names
from altegio_provider.sandbox.settings import Call

__all__ = ["list_activities"]

_CHURNED_IDS = 990_000_000


def list_activities(call: Call) -> Response:
    """One page of the events of a range."""
    location = call.location
    filters = event_filters(call)
    start, end = _range(call, location, filters)
    asked = _limit(call)
    limit = min(asked, int(call.effects.get("cap_limit", {}).get("limit", asked)))
    if call.family == "companies":
        limit = min(limit, call.switches.companies_limit or limit)
        first = call.whole("offset", 0, 0)
    else:
        first = (call.whole("page", 1, 1) - 1) * limit
    location.fill(start.date() - timedelta(days=1), end.date() + timedelta(days=1))
    if "churn" in call.effects:
        _churn(call, location, _matching(call, location, filters, start, end), first, start, end)
    with_end = "inclusive_to" in call.effects
    is_plain = filters.is_plain and "order" not in call.effects
    if is_plain and not (filters.with_deleted and location.deleted_between(start, end, with_end)):
        # The usual case touches the rows of the page alone, however many there are.
        begin, behind = location.span(start, end, with_end)
        total = behind - begin
        page = location.numbered(begin + first, min(behind, begin + first + limit))
    else:
        events = filters.ordered(_ordered(call, _matching(call, location, filters, start, end)))
        total = len(events)
        page = events[first : first + limit]
    if "short_page" in call.effects and len(page) > 1:
        page = page[: max(1, int(call.effects["short_page"].get("rows", len(page) // 2)))]
    if call.family == "companies":
        meta = odd_meta(call, {"total": total, "limit": limit, "offset": first}, asked)
        return _flat_page(call, location, page, meta)
    return _resource_page(call, location, page)


def _limit(call: Call) -> int:
    if call.family == "locations":
        return call.whole("limit", 250, 1, 250)
    largest = call.switches.companies_limit
    if largest and call.switches.over_limit == "refuse":
        return call.whole("limit", min(100, largest), 1, largest)
    return call.whole("limit", 100, 1)


def _range(call: Call, location: Location, filters: Filters) -> tuple[datetime, datetime]:
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
        raise Refusal(422, INVALID, errors)
    if call.family == "locations" and not filters.with_deleted:
        now = call.state.now().astimezone(location.zone).replace(tzinfo=None, microsecond=0)
        if moments["from"] < now:
            raise Refusal(422, INVALID, {"filter[from]": ["must not be earlier than now"]})
        if moments["to"] <= moments["from"]:
            raise Refusal(422, INVALID, {"filter[to]": ["must be later than from"]})
    return moments["from"], moments["to"]


def _matching(call: Call, location: Location, filters: Filters, start: datetime, end: datetime) -> list[Event]:
    with_end = "inclusive_to" in call.effects
    events = location.listed(start, end, with_end)
    if filters.with_deleted:
        gone = location.deleted_between(start, end, with_end)
        events = sorted(events + gone, key=lambda event: event.place) if gone else events
    return [event for event in events if filters.lets_through(location, event)]


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
    in_front = _ordered(call, [event for event in events if not event.deleted])[: max(first, 1)]
    for event in chance.sample(in_front, min(len(in_front), int(params.get("deletes", 1)))):
        location.delete(event, call.number)
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
                created_by=call.number,
            )
        )


def _flat_page(call: Call, location: Location, page: list[Event], meta: object) -> Response:
    if rows_are_odd(call):
        rows = b",".join(orjson.dumps(odd_row(call, render.activity(location, event))) for event in page)
    else:
        rows = b",".join(render.activity_bytes(location, event) for event in page)
    tail = b"" if meta is None else b',"meta":' + orjson.dumps(meta)
    return json_answer(b'{"success":true,"data":[' + rows + b"]" + tail + b"}")


def _resource_page(call: Call, location: Location, page: list[Event]) -> Response:
    include, switches = included_names(call, EVENT_INCLUDES), call.switches
    if rows_are_odd(call):
        resources = (render.event_resource(location, event, include, switches) for event in page)
        rows = b",".join(orjson.dumps(odd_resource(call, resource)) for resource in resources)
    else:
        rows = b",".join(render.event_bytes(location, event, include, switches) for event in page)
    included = orjson.dumps(render.included_with(location, page, include, switches))
    return json_answer(b'{"data":[' + rows + b'],"included":' + included + b"}")
