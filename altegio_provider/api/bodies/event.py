"""Checks the body of a new or replaced event by the API's rules before it is sent. Reports all problems at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from altegio_provider.api.bodies.fields import is_ids, is_integer, is_mapping, is_text, matches
from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.common.integers import integer_or_none
from altegio_provider.common.location_time import LocationClock, as_instant, parse_datetime

__all__ = ["booked_seats", "checked_event", "replacement_body", "wall_clock_of"]

_MAX_LENGTH_SECONDS = 86_400
_STEP_SECONDS = 300
_MAX_BREAK_SECONDS = 3_600


_is_id = is_integer(1)


def _ids(value: Any) -> bool:
    return isinstance(value, list) and is_ids(value)


def _text(most: int | None) -> Callable[[Any], bool]:
    return lambda value: is_text(value) and (most is None or len(value) <= most)


def _technical_break(value: Any) -> bool:
    return (
        isinstance(value, int)
        and not isinstance(value, bool)
        and 0 <= value <= _MAX_BREAK_SECONDS
        and value % _STEP_SECONDS == 0
    )


class _EventField(NamedTuple):
    rule: str
    fits: Callable[[Any], bool]
    is_required: bool = False
    may_be_null: bool = True


_FIELDS: dict[str, _EventField] = {
    "staff_id": _EventField("a team member's id: a whole number of 1 or more", _is_id, True, False),
    "service_id": _EventField("a service's id: a whole number of 1 or more", _is_id, True, False),
    "resource_instance_ids": _EventField("a list of ids, which may be empty", _ids, True, False),
    "label_ids": _EventField("a list of ids, which may be empty", _ids, True, False),
    "date": _EventField("a datetime, or text such as '2026-11-20 18:00:00'", lambda value: bool(value), True, False),
    "length": _EventField("a number of seconds above 0", _is_id, True, False),
    "capacity": _EventField("a whole number of 1 or more", _is_id, True, False),
    "technical_break_duration": _EventField("null, or a multiple of 300 seconds up to 3600", _technical_break),
    "comment": _EventField("text of at most 255 characters", _text(255)),
    "instructions": _EventField("text of at most 500 characters", _text(500)),
    "stream_link": _EventField("text", _text(None)),
    "color": _EventField("a colour such as '#9c27b0'", matches(re.compile(r"#[0-9a-fA-F]{6}"))),
    "force": _EventField("true or false", lambda value: isinstance(value, bool), False, False),
}


#: Fields that null clears, and that must not be empty.
_TEXTS = ("comment", "instructions", "stream_link", "color")


def checked_event(event: Mapping[str, Any], zone: ZoneInfo, *, is_strict: bool, is_replacement: bool) -> dict[str, Any]:
    """Return the body to send for an event.

    :param event: the API's fields. ``date`` is a ``datetime`` or ISO text: an aware one is converted to the location's
        wall clock, a naive one is on it. ``resource_instance_ids`` and ``label_ids`` are empty by default.
    :param zone: the location's time zone.
    :param is_strict: whether the rules of ``locations`` hold: lengths in multiples of five minutes up to a day, and
        lower-case colours.
    :param is_replacement: whether the body replaces an event; texts may then be null. An empty text is null.
    :raises AltegioValidationError: fields are invalid; ``errors`` names each.
    """
    if not is_mapping(event):
        text = "must be a mapping of the fields of an event"
        raise AltegioValidationError(f"event {text}.", errors={"event": [text]}, hint="Nothing was sent.")
    body = {"resource_instance_ids": [], "label_ids": [], **event}
    # The API refuses empty texts; null is how a text is cleared.
    body.update({name: None for name in _TEXTS if body.get(name) == ""})
    errors: dict[str, list[str]] = {}
    for name in body.keys() - _FIELDS.keys():
        errors[name] = [f"is unknown; the fields of an event are {', '.join(_FIELDS)}"]
    for name, field in _FIELDS.items():
        value = body.get(name)
        if name not in body or (value is None and field.is_required):
            if field.is_required:
                errors[name] = [f"is required: {field.rule}"]
        elif value is None:
            if not field.may_be_null:
                errors[name] = [f"must be {field.rule}"]
            elif not is_replacement:
                del body[name]
        elif not field.fits(value):
            errors[name] = [f"must be {field.rule}"]
    _check_date(body, zone, errors)
    _check_length(body, is_strict, errors)
    if is_strict and isinstance(body.get("color"), str):
        body["color"] = body["color"].lower()
    if errors:
        raise AltegioValidationError("the event cannot be sent.", errors=errors, hint="Nothing was sent.")
    return body


def _check_date(body: dict[str, Any], zone: ZoneInfo, errors: dict[str, list[str]]) -> None:
    value = body.get("date")
    if not value or "date" in errors:
        return
    wall = wall_clock_of(value, zone)
    if wall is None:
        errors["date"] = [f"must be {_FIELDS['date'].rule}"]
    else:
        body["date"] = wall.isoformat(" ", "seconds")


def wall_clock_of(value: Any, zone: ZoneInfo) -> datetime | None:
    """Return a time on the location's wall clock, naive; ``None`` if it is not a time.

    :param value: a ``datetime`` or ISO text; a naive one is on the wall clock already.
    :param zone: the location's time zone.
    """
    try:
        moment = parse_datetime(value) if isinstance(value, str) else value
        if not isinstance(moment, datetime):
            return None
        as_instant(moment, zone)
        return (moment if moment.tzinfo is None else moment.astimezone(zone)).replace(tzinfo=None)
    except (ValueError, OverflowError):
        return None


def _check_length(body: Mapping[str, Any], is_strict: bool, errors: dict[str, list[str]]) -> None:
    length, pause = body.get("length"), body.get("technical_break_duration")
    if not _is_id(length) or length is None:
        return
    if is_strict and (length % _STEP_SECONDS or length > _MAX_LENGTH_SECONDS):
        errors["length"] = [f"must be a multiple of {_STEP_SECONDS} seconds, and at most {_MAX_LENGTH_SECONDS}"]
    if pause and "technical_break_duration" not in errors and pause >= length:
        errors["technical_break_duration"] = ["must be shorter than `length`, which includes it"]


def replacement_body(current: Mapping[str, Any], changes: Mapping[str, Any], zone: ZoneInfo) -> dict[str, Any]:
    """Return the body that replaces an event by itself with some fields changed.

    A PUT replaces all fields, and an event is read with other fields than it is written with. Fields that a PUT does
    not take are left out; the technical break is null, which keeps the current one.

    :param current: the event as a flat row.
    :param changes: the fields to change, by their names in a body.
    :param zone: the location's time zone.
    :raises AltegioValidationError: ``changes`` sets fewer seats than are booked; or ``current`` does not have the
        labels or resources, and ``changes`` does not name them, so the replacement would remove them.
    """
    _check_capacity(current, changes)
    body: dict[str, Any] = {
        name: current.get(name)
        for name in ("staff_id", "service_id", "length", "capacity", "comment", "instructions", "stream_link", "color")
    }
    if start := LocationClock(zone).start_of(current):
        body["date"] = start.wall
    body.update({name: body[name] or None for name in _TEXTS})
    body["technical_break_duration"] = None
    missing = []
    for name, source in (("resource_instance_ids", "resource_instances"), ("label_ids", "labels")):
        linked = current.get(source)
        if name in changes:
            continue
        ids = [_id_of(one) for one in linked] if isinstance(linked, list) else [None]
        if None in ids:
            missing.append(name)
        else:
            body[name] = ids
    if missing:
        raise AltegioValidationError(
            "the event as it was read lacks fields that a replacement must have.",
            errors={name: ["name them in `changes`, otherwise they would be removed"] for name in missing},
            hint="Nothing was sent.",
        )
    return {**body, **changes}


def _check_capacity(current: Mapping[str, Any], changes: Mapping[str, Any]) -> None:
    capacity, booked = changes.get("capacity"), booked_seats(current)
    if isinstance(capacity, int) and booked is not None and 0 < capacity < booked:
        raise AltegioValidationError(
            "the event cannot be changed.",
            errors={"capacity": [f"must be {booked} or more, because so many seats are booked"]},
            hint="Nothing was sent. Move or delete bookings first.",
        )


def booked_seats(event: Mapping[str, Any]) -> int | None:
    """Return how many seats of an event are booked at the least; ``None`` where the answer does not tell.

    Under ``companies`` an event tells the number of its appointments, and each takes one seat or more.
    """
    for name in ("clients_count", "records_count"):
        count = event.get(name)
        if isinstance(count, int) and not isinstance(count, bool):
            return count
    return None


def _id_of(linked: Any) -> int | None:
    number = linked.get("id") if isinstance(linked, dict) else None
    if isinstance(number, str):
        number = integer_or_none(number)
    return number if _is_id(number) else None
