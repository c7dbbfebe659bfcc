"""One appointment as a JSON:API resource, and what comes beside it."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from altegio_provider.sandbox.data.state import Appointment, Event, Location
from altegio_provider.sandbox.forms.render import reference, resource_of
from altegio_provider.sandbox.switches import Switches

__all__ = ["appointment_resource", "record_resource"]

_SLUGS = {-1: "absent", 0: "waiting", 1: "attended", 2: "confirmed"}
_TO_ONE = {"attendance_document", "client", "client_schedule", "comer", "duration_details", "staff"}
#: A resource that something points to: its type, its number, what it holds.
_Thing = tuple[str, Any, dict[str, Any]]


def record_resource(appointment: Appointment, location: Location, now: float, switches: Switches) -> dict[str, Any]:
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
        "source": appointment.source,
        "attendance": appointment.attendance,
        "attendance_status": appointment.attendance,
        "attendance_status_slug": _SLUGS[appointment.attendance],
        "client_fictive_name": "",
        "client_fictive_phone": "",
        "client_fictive_email": "",
        "clients_count": appointment.clients_count,
        "activity_id": event.id if appointment.has_event else 0,
        "custom_color": appointment.color,
        "custom_font_color": "",
        "length": event.length,
        "duration": event.length,
        "paid_full": appointment.paid_full,
        "is_paid": appointment.paid_full > 0,
        "is_overpaid": appointment.paid_full > 1,
        "timestamp": int(moment.timestamp()),
        "date": f"{event.starts:%Y-%m-%dT%H:%M:%S}",
        "created_datetime": f"{appointment.created.astimezone(location.zone):%Y-%m-%dT%H:%M:%S}",
        "from_url": "",
        "is_mobile": appointment.is_mobile,
        "comment": appointment.comment or "",
        "prepaid_status": appointment.prepaid_status,
        "record_from": appointment.record_from,
        "payment_status": 0,
        "is_sale_bill_printed": False,
        "is_client_notification_sent": False,
    }
    if not switches.number_columns:
        attributes |= {"source": "", "is_mobile": appointment.is_mobile > 0, "prepaid_status": "forbidden"}
    return {"type": "record", "id": str(appointment.id), "attributes": attributes}


def appointment_resource(
    appointment: Appointment,
    location: Location,
    now: float,
    include: Collection[str],
    switches: Switches,
    *,
    is_masked: bool = False,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """An appointment of a list, and the resources that it refers to.

    :param is_masked: whether the phones of clients are hidden.
    """
    resource = record_resource(appointment, location, now, switches)
    event = location.events[appointment.event_id]
    relationships: dict[str, Any] = {}
    included: list[dict[str, Any]] = []
    for name in include:
        if "." in name:
            continue  # a relationship of another resource than this one
        is_untyped = name in switches.untyped
        is_known = name != "client" or now >= appointment.client_known_at
        things = _things(name, appointment, event, location, is_masked) if is_known else []
        included += [resource_of(kind, number, thing, is_untyped) for kind, number, thing in things]
        references = [reference(kind, number, is_untyped) for kind, number, _ in things]
        one = references[0] if references else None
        relationships[name] = {"data": one if name in _TO_ONE else references}
    if relationships:
        resource["relationships"] = relationships
    return resource, included


def _things(name: str, appointment: Appointment, event: Event, location: Location, is_masked: bool) -> list[_Thing]:
    """What a relationship of an appointment points to; nothing for those of which the sandbox knows nothing."""
    if name == "client":
        return [("client", appointment.client["id"], _client(appointment.client, is_masked))]
    if name == "comer":
        return [("comer", appointment.comer.get("id"), appointment.comer)] if appointment.comer else []
    if name == "duration_details":
        return [("duration_details", appointment.id, {"technical_break_duration": event.technical_break})]
    if name == "attendance_service_items":
        return [("attendance_service_item", appointment.id, _price_line(appointment, event))]
    if name == "attendance_good_items":
        return [("attendance_good_item", good["id"], _good(appointment, good)) for good in appointment.goods]
    catalogue, kind, numbers = {
        "staff": (location.staff, "staff", [event.staff_id]),
        "services": (location.services, "service", [event.service_id]),
        "labels": (location.labels, "label", appointment.label_ids),
        "resource_instances": (location.resources, "resource_instance", event.resource_ids),
    }.get(name, ({}, "", []))
    return [(kind, number, catalogue[number]) for number in numbers if number in catalogue]


def _client(client: dict[str, Any], is_masked: bool) -> dict[str, Any]:
    phone = client.get("phone")
    return {
        "name": client.get("name"),
        "surname": client.get("surname"),
        "phone": phone[:4] + "*" * max(0, len(phone) - 6) + phone[-2:] if is_masked and phone else phone,
        "email": "" if is_masked else client.get("email"),
        "gender": client.get("gender"),
    }


def _price_line(appointment: Appointment, event: Event) -> dict[str, Any]:
    total = appointment.price.get("manual_cost", 0)
    return {
        "record_id": appointment.id,
        "service_id": event.service_id,
        "first_cost": appointment.price.get("cost_per_unit", 0),
        "cost": total,
        **appointment.price,
    }


def _good(appointment: Appointment, good: dict[str, Any]) -> dict[str, Any]:
    kind = good.get("operation_unit_type")
    return {
        "record_id": appointment.id,
        "quantity": good.get("quantity"),
        "unit_id": good.get("unit_id"),
        "sale_unit_id": good.get("unit_id"),
        "consumable_unit_id": good.get("unit_id"),
        "operation_unit_type": {"sale": 1, "consumable": 2}.get(str(kind)),
        "operation_type_slug": kind,
        "first_cost": good.get("cost_per_unit"),
        "manual_cost": good.get("manual_cost"),
        "cost_per_unit": good.get("cost_per_unit"),
        "discount_percent": good.get("discount_percent"),
        "cost": good.get("manual_cost"),
        "master_id": good.get("staff_id"),
        "staff_id": good.get("staff_id"),
        "good_id": good.get("good_id"),
        "storage_id": good.get("storage_id"),
    }
