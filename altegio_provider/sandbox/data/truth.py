"""What a location really holds, for tests to compare with what they were told."""

from __future__ import annotations

from typing import Any

from altegio_provider.sandbox.data.state import Appointment, Event, Location

__all__ = ["truth_of"]


def truth_of(location: Location) -> dict[str, Any]:
    """Return the events, deleted ones too, the bookings made through the API or added, and what clients were told."""
    return {
        "events": [_event(location, event) for event in location.events.values()],
        "appointments": [_booking(one) for one in location.appointments.values() if one.is_shown],
        "cancelled": [_booking(one) for one in location.cancelled if one.is_shown],
        "messages": [{"appointment_id": number, "reason": reason} for number, reason in location.messages],
    }


def _event(location: Location, event: Event) -> dict[str, Any]:
    return {
        "id": event.id,
        "date": f"{event.starts:%Y-%m-%d %H:%M:%S}",
        "timestamp": location.timestamp(event.starts),
        "staff_id": event.staff_id,
        "service_id": event.service_id,
        "capacity": event.capacity,
        "seats": event.seats,
        "records": event.records,
        "deleted": event.deleted,
        "created_by": event.created_by,
        "deleted_by": event.deleted_by,
    }


def _booking(one: Appointment) -> dict[str, Any]:
    return {
        "id": one.id,
        "event_id": one.event_id,
        "client": one.client,
        "comer": one.comer,
        "clients_count": one.clients_count,
        "comment": one.comment,
        "label_ids": one.label_ids,
        "price": one.price,
        "goods": one.goods,
        "attendance": one.attendance,
        "paid_full": one.paid_full,
        "request_number": one.request_number,
        "has_event": one.has_event,
    }
