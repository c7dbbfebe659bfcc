"""One event in the forms of both families, as bytes that are kept until the event changes."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any

import orjson

from altegio_provider.sandbox.state import Appointment, Event, Location

__all__ = [
    "activity",
    "activity_bytes",
    "appointment_resource",
    "event_bytes",
    "event_resource",
    "included_with",
    "record_resource",
]

DATE = "%Y-%m-%d %H:%M:%S"
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


def event_resource(location: Location, event: Event, include: tuple[str, ...] = ()) -> dict[str, Any]:
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
    resource: dict[str, Any] = {"type": "activity", "id": str(event.id), "attributes": _patched(attributes, event)}
    links = {
        "staff": {"data": _reference("staff", event.staff_id)},
        "master": {"data": _reference("staff", event.staff_id)},
        "service": {"data": _reference("service", event.service_id)},
        "labels": {"data": [_reference("label", number) for number in event.label_ids]},
        "resource_instances": {"data": [_reference("resource_instance", number) for number in event.resource_ids]},
    }
    relationships = {name: links[name] for name in include if name in links}
    if relationships:
        resource["relationships"] = relationships
    return resource


def activity_bytes(location: Location, event: Event) -> bytes:
    """The JSON of :func:`activity`."""
    if "activity" not in event.rendered:
        event.rendered["activity"] = orjson.dumps(activity(location, event))
    return event.rendered["activity"]


def event_bytes(location: Location, event: Event, include: tuple[str, ...]) -> bytes:
    """The JSON of :func:`event_resource`."""
    key = "event " + " ".join(include)
    if key not in event.rendered:
        event.rendered[key] = orjson.dumps(event_resource(location, event, include))
    return event.rendered[key]


def included_with(location: Location, events: list[Event], include: tuple[str, ...]) -> list[dict[str, Any]]:
    """The resources that a page of events refers to, each once."""
    wanted: dict[tuple[str, int], dict[str, Any] | None] = {}
    for event in events:
        if "staff" in include or "master" in include:
            wanted["staff", event.staff_id] = location.staff.get(event.staff_id)
        if "service" in include:
            wanted["service", event.service_id] = location.services.get(event.service_id)
        if "labels" in include:
            wanted.update((("label", number), location.labels.get(number)) for number in event.label_ids)
        if "resource_instances" in include:
            wanted.update(
                (("resource_instance", number), location.resources.get(number)) for number in event.resource_ids
            )
    return [
        {"type": kind, "id": str(number), "attributes": {k: v for k, v in thing.items() if k != "id"}}
        for (kind, number), thing in wanted.items()
        if thing is not None
    ]


def record_resource(appointment: Appointment, location: Location, now: float) -> dict[str, Any]:
    """An appointment as the answer to a booking has it."""
    event = location.events[appointment.event_id]
    moment = event.starts.replace(tzinfo=location.zone)
    is_known = now >= appointment.client_known_at
    attributes = {
        "company_id": location.id,
        "external_id": "",
        "visit_id": appointment.id + 1_000_000,
        "booking_user_id": 0,
        "bookform_id": 0,
        "master_id": event.staff_id,
        "staff_id": event.staff_id,
        "client_id": appointment.client["id"] if is_known else 0,
        "comer_id": (appointment.comer or {}).get("id"),
        "source": "",
        "attendance": appointment.attendance,
        "attendance_status": appointment.attendance,
        "attendance_status_slug": {-1: "absent", 0: "waiting", 1: "attended", 2: "confirmed"}[appointment.attendance],
        "client_fictive_name": "",
        "client_fictive_phone": "",
        "client_fictive_email": "",
        "clients_count": appointment.clients_count,
        "activity_id": event.id if appointment.has_event else 0,
        "custom_color": appointment.color,
        "custom_font_color": "",
        "length": event.length,
        "duration": event.length,
        "paid_full": 0,
        "is_paid": False,
        "is_overpaid": False,
        "timestamp": int(moment.timestamp()),
        "date": f"{event.starts:%Y-%m-%dT%H:%M:%S}",
        "created_datetime": f"{appointment.created.astimezone(location.zone):%Y-%m-%dT%H:%M:%S%z}",
        "from_url": "",
        "is_mobile": False,
        "comment": appointment.comment or "",
        "prepaid_status": "forbidden",
        "record_from": "",
        "payment_status": 0,
        "is_sale_bill_printed": False,
        "is_client_notification_sent": False,
    }
    return {"type": "record", "id": str(appointment.id), "attributes": attributes}


def appointment_resource(
    appointment: Appointment, location: Location, now: float, include: tuple[str, ...], is_masked: bool
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An appointment of a list, and the resources that it refers to."""
    resource = record_resource(appointment, location, now)
    event = location.events[appointment.event_id]
    relationships: dict[str, Any] = {}
    included: list[dict[str, Any]] = []
    if "client" in include and now >= appointment.client_known_at:
        client = appointment.client
        relationships["client"] = {"data": _reference("client", client["id"])}
        attributes = {
            "name": client.get("name"),
            "surname": client.get("surname"),
            "phone": _masked(client.get("phone")) if is_masked else client.get("phone"),
            "email": "" if is_masked else client.get("email"),
            "gender": client.get("gender"),
        }
        included.append({"type": "client", "id": str(client["id"]), "attributes": attributes})
    if "staff" in include and event.staff_id in location.staff:
        relationships["staff"] = {"data": _reference("staff", event.staff_id)}
        included += included_with(location, [event], ("staff",))
    if "comer" in include and appointment.comer:
        relationships["comer"] = {"data": _reference("comer", appointment.comer.get("id"))}
        included.append({"type": "comer", "id": str(appointment.comer.get("id")), "attributes": appointment.comer})
    if relationships:
        resource["relationships"] = relationships
    return resource, included


def _masked(phone: str | None) -> str | None:
    return phone and phone[:4] + "*" * max(0, len(phone) - 6) + phone[-2:]


def _reference(kind: str, number: Any) -> dict[str, str]:
    return {"type": kind, "id": str(number)}


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
