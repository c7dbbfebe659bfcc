"""Copies of an event on other dates."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from starlette.responses import Response

from altegio_provider.sandbox.data.made_bookings import unfold
from altegio_provider.sandbox.data.state import Event, Location
from altegio_provider.sandbox.forms import render
from altegio_provider.sandbox.forms.answers import INVALID, Broken, Refusal, data, json_answer
from altegio_provider.sandbox.forms.odd import rows_let_through
from altegio_provider.sandbox.rules.busy import check_busy
from altegio_provider.sandbox.rules.checks import Errors, allow, is_bool, refuse_unknown, require
from altegio_provider.sandbox.settings import Call

__all__ = ["duplicate_event"]

_MOST = 100
_EVENT_ALONE, _WITH_BOOKINGS = 1, 2
_ISO = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8})(Z|[+-][0-9]{2}:?[0-9]{2})?")


def duplicate_event(call: Call) -> Response:
    """Copies of an event on up to 100 dates, with its bookings if that is wanted. One bad date refuses all."""
    location = call.location
    event = call.event(location)
    if event.deleted:
        raise Refusal(404, "The event was deleted")
    body = call.body()
    errors = _check(body)
    if errors:
        raise Refusal(422, INVALID, errors)
    moments = _moments(body["dates"], location)
    if not body.get("force"):
        _check_free(location, event, moments)
    unfold(location, event, call.state.now())
    partial = call.effects.get("partial_effect")
    copies = [
        _copy(call, location, event, starts, body["content_type"]) for starts in rows_let_through(moments, partial)
    ]
    if partial is not None and partial.get("answer", "lost") == "lost":
        return Broken()
    return json_answer(data([_older_form(location, copy) for copy in copies]))


def _check(body: Any) -> Errors:
    if not isinstance(body, dict):
        return {"body": ["must be an object"]}
    errors: Errors = {}
    require(errors, body, "dates", _is_dates, f"must be an array of 1 to {_MOST} starts")
    types = (_EVENT_ALONE, _WITH_BOOKINGS)
    require(errors, body, "content_type", lambda v: not is_bool(v) and v in types, "must be 1 or 2")
    allow(errors, body, "force", is_bool, "must be true or false")
    refuse_unknown(errors, body, {"dates", "content_type", "force"})
    return errors


def _is_dates(value: Any) -> bool:
    return isinstance(value, list) and 1 <= len(value) <= _MOST and all(isinstance(one, str) for one in value)


def _moments(texts: list[str], location: Location) -> list[datetime]:
    moments: list[datetime] = []
    errors: Errors = {}
    for place, text in enumerate(texts):
        try:
            moments.append(_moment(text, location))
        except (ValueError, OverflowError):
            errors[f"dates.{place}"] = ["must be written as YYYY-MM-DDTHH:MM:SS"]
    if errors:
        raise Refusal(422, INVALID, errors)
    return moments


def _moment(text: str, location: Location) -> datetime:
    """Read a start; one with an offset is put on the location's clock."""
    found = _ISO.fullmatch(text)
    if found is None:
        raise ValueError("a start is written as YYYY-MM-DDTHH:MM:SS")
    wall = render.wall(found[1], "T")
    if found[2] is None:
        return wall
    return datetime.fromisoformat(text).astimezone(location.zone).replace(tzinfo=None)


def _check_free(location: Location, event: Event, moments: list[datetime]) -> None:
    wanted = {"staff_id": event.staff_id, "resource_instance_ids": event.resource_ids, "length": event.length}
    nobody = replace(event, id=0)
    for starts in moments:
        check_busy(location, nobody, starts, wanted)
    length = timedelta(seconds=event.length)
    ordered = sorted(moments)
    if any(later < earlier + length for earlier, later in pairwise(ordered)):
        raise Refusal(409, "The team member is busy at this time")


def _copy(call: Call, location: Location, event: Event, starts: datetime, content_type: int) -> Event:
    now = call.state.now().astimezone(location.zone).replace(tzinfo=None, microsecond=0)
    copy = replace(
        event,
        id=call.state.next_event_id(),
        starts=starts,
        resource_ids=list(event.resource_ids),
        label_ids=list(event.label_ids),
        created_at=now,
        created_by=call.number,
        first_records=0,
        first_seats=0,
        appointments={},
        patch={},
        rendered={},
    )
    location.add(copy)
    if content_type == _WITH_BOOKINGS:
        for one in event.appointments.values():
            call.state.book(
                location,
                copy,
                one.client,
                one.clients_count,
                label_ids=list(one.label_ids),
                comment=one.comment,
                price=dict(one.price),
                request_number=call.number,
            )
    return copy


def _older_form(location: Location, event: Event) -> dict[str, Any]:
    row = render.activity(location, event)
    names = ("id", "company_id", "service_id", "staff_id", "date", "timestamp", "length", "capacity", "records_count")
    return {name: row[name] for name in names}
