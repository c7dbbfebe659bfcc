"""One event in the forms of both families, as bytes that are kept until the event changes."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import orjson

from altegio_provider.sandbox.data.state import Event, Location
from altegio_provider.sandbox.switches import AUTUMN, Switches

__all__ = [
    "activity",
    "activity_bytes",
    "event_bytes",
    "event_resource",
    "included_with",
    "reference",
    "resource_of",
    "wall",
]

DATE = "%Y-%m-%d %H:%M:%S"
_TO_MANY = {"labels", "resource_instances"}
# Hours to 23: newer versions of Python read 24:00 as well.
_WALL = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[ T](?:[01][0-9]|2[0-3]):[0-9]{2}:[0-9]{2}")


def activity(location: Location, event: Event) -> dict[str, Any]:
    """An event as a list of the `companies` family has it."""
    moment = event.starts.replace(tzinfo=location.zone)
    row = {
        "id": event.id,
        "company_id": location.id,
        "service_id": event.service_id,
        "staff_id": event.staff_id,
        "name": (location.services.get(event.service_id) or {}).get("title", ""),
        "date": f"{event.starts:{DATE}}",
        "datetime": f"{moment:%Y-%m-%dT%H:%M:%S%z}",
        "timestamp": int(moment.timestamp()),
        "length": event.length,
        "capacity": event.capacity,
        "records_count": event.records,
        "color": event.color,
        "font_color": event.font_color,
        "instructions": event.instructions,
        "stream_link": event.stream_link,
        "notified": event.notified,
        "comment": event.comment,
        "prepaid": "forbidden",
        "created_at": f"{event.created_at.replace(tzinfo=location.zone):%Y-%m-%dT%H:%M:%S%z}",
        "service": location.services.get(event.service_id),
        "staff": location.staff.get(event.staff_id),
        "resource_instances": [location.resources[n] for n in event.resource_ids if n in location.resources],
        "labels": [location.labels[n] for n in event.label_ids if n in location.labels],
    }
    return _patched(row, event)


def event_resource(
    location: Location, event: Event, include: tuple[str, ...] = (), switches: Switches = AUTUMN
) -> dict[str, Any]:
    """An event as a JSON:API resource of the `locations` family."""
    moment = event.starts.replace(tzinfo=location.zone)
    attributes = {
        "master_id": event.staff_id,
        "staff_id": event.staff_id,
        "service_id": event.service_id,
        "timestamp": int(moment.timestamp()),
        "length": event.length,
        "capacity": event.capacity,
        "clients_count": event.seats,
        "color": event.color,
        "instructions": event.instructions,
        "stream_link": event.stream_link,
        "font_color": event.font_color,
        "notified": event.notified,
        "comment": event.comment,
        "schedule_id": None,
        "schedule_till": None,
        "schedule_event_modified": None,
        "date": f"{moment:%Y-%m-%dT%H:%M:%S%z}",
    }
    if switches.deleted_field:
        attributes["deleted"] = event.deleted
    resource: dict[str, Any] = {"type": "activity", "id": str(event.id), "attributes": _patched(attributes, event)}
    relationships = {}
    for name in include:
        kind, numbers = _linked(event, name)
        references = [reference(kind, number, name in switches.untyped) for number in numbers]
        relationships[name] = {"data": references if name in _TO_MANY else references[0]}
    if relationships:
        resource["relationships"] = relationships
    return resource


def _linked(event: Event, name: str) -> tuple[str, list[int]]:
    """The type and the numbers of what a relationship of an event points to."""
    return {
        "staff": ("staff", [event.staff_id]),
        "master": ("staff", [event.staff_id]),
        "service": ("service", [event.service_id]),
        "labels": ("label", event.label_ids),
        "resource_instances": ("resource_instance", event.resource_ids),
        "duration_details": ("duration_details", [event.id]),
    }[name]


def activity_bytes(location: Location, event: Event) -> bytes:
    """The JSON of :func:`activity`."""
    if "activity" not in event.rendered:
        event.rendered["activity"] = orjson.dumps(activity(location, event))
    return event.rendered["activity"]


def event_bytes(location: Location, event: Event, include: tuple[str, ...], switches: Switches) -> bytes:
    """The JSON of :func:`event_resource`."""
    key = f"event {switches.deleted_field} {switches.untyped} {include}"
    if key not in event.rendered:
        event.rendered[key] = orjson.dumps(event_resource(location, event, include, switches))
    return event.rendered[key]


def included_with(
    location: Location, events: list[Event], include: tuple[str, ...], switches: Switches = AUTUMN
) -> list[dict[str, Any]]:
    """The resources that a page of events refers to, each once."""
    catalogues = {
        "staff": location.staff,
        "service": location.services,
        "label": location.labels,
        "resource_instance": location.resources,
    }
    wanted: dict[tuple[str, int], dict[str, Any]] = {}
    for event in events:
        for name in include:
            kind, numbers = _linked(event, name)
            known = catalogues.get(kind, {event.id: {"technical_break_duration": event.technical_break}})
            for number in numbers:
                if number in known:
                    wanted.setdefault(
                        (kind, number), resource_of(kind, number, known[number], name in switches.untyped)
                    )
    return list(wanted.values())


def resource_of(kind: str, number: Any, thing: dict[str, Any], is_untyped: bool = False) -> dict[str, Any]:
    """A resource that comes beside others.

    :param is_untyped: its type is null.
    """
    attributes = {name: value for name, value in thing.items() if name != "id"}
    return {**reference(kind, number, is_untyped), "attributes": attributes}


def reference(kind: str, number: Any, is_untyped: bool = False) -> dict[str, str | None]:
    """What points to a resource."""
    return {"type": None if is_untyped else kind, "id": str(number)}


def _patched(row: dict[str, Any], event: Event) -> dict[str, Any]:
    for name, value in event.patch.items():
        if value == "__missing__":
            row.pop(name, None)
        else:
            row[name] = value
    return row


def wall(text: str, separator: str = " ") -> datetime:
    """Read a wall-clock time as filters and bodies write it.

    :param separator: between date and time.

    :raises ValueError: it is written otherwise.
    """
    if not _WALL.fullmatch(text) or text[10] != separator:
        raise ValueError("a time is written as YYYY-MM-DD HH:MM:SS")
    moment = datetime.fromisoformat(text)
    if not 2000 <= moment.year < 2100:
        raise ValueError("a time lies between 2000 and 2099")
    return moment
