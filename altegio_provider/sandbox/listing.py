"""The list of events of a location: ranges, filters, order, pages; and what may be wrong with them."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import orjson
from starlette.responses import Response

from altegio_provider.sandbox import render
from altegio_provider.sandbox.answers import INVALID, Refusal, json_answer
from altegio_provider.sandbox.settings import Call, whole_number
from altegio_provider.sandbox.state import Event, Location

__all__ = ["included_names", "list_activities"]

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
    if "churn" in call.effects:
        _churn(call, location, _matching(call, location, start, end), first, start, end)
    if _is_plain(call):
        # The usual case touches the rows of the page alone, however many there are.
        begin, behind = location.span(start, end, "inclusive_to" in call.effects)
        total = behind - begin
        page = location.numbered(begin + first, min(behind, begin + first + limit))
    else:
        events = _ordered(call, _matching(call, location, start, end))
        total = len(events)
        page = events[first : first + limit]
    if "short_page" in call.effects and len(page) > 1:
        page = page[: max(1, int(call.effects["short_page"].get("rows", len(page) // 2)))]
    if call.family == "companies":
        return _flat_page(call, location, page, total, limit, first)
    return _resource_page(call, location, page)


def _is_plain(call: Call) -> bool:
    """Whether all rows of the range are wanted, in their usual order."""
    filters = ("filter[master_ids][]", "filter[service_ids][]", "filter[capacity]", "search")
    return "order" not in call.effects and not any(name in call.request.query_params for name in filters)


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
        raise Refusal(422, INVALID, errors)
    if call.family == "locations":
        now = call.state.now().astimezone(location.zone).replace(tzinfo=None, microsecond=0)
        if moments["from"] < now:
            raise Refusal(422, INVALID, {"filter[from]": ["must not be earlier than now"]})
        if moments["to"] <= moments["from"]:
            raise Refusal(422, INVALID, {"filter[to]": ["must be later than from"]})
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
        raise Refusal(422, INVALID, {f"filter[{name}]": ["must be whole numbers"]})
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
    include = included_names(call)
    rows = b",".join(render.event_bytes(location, event, include) for event in page)
    included = orjson.dumps(render.included_with(location, page, include))
    return json_answer(b'{"data":[' + rows + b'],"included":' + included + b"}")


def included_names(call: Call) -> tuple[str, ...]:
    """What is to come beside the events.

    :raises Refusal: 422 for what cannot.
    """
    include = tuple(call.values("include"))
    unknown = set(include) - _INCLUDES
    if unknown:
        raise Refusal(422, INVALID, {"include": [f"{', '.join(sorted(unknown))} cannot be included"]})
    return include
