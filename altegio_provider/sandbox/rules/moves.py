"""Which appointments can be moved, and where to."""

from __future__ import annotations

from datetime import datetime, timedelta

from altegio_provider.sandbox.data.state import Appointment, Event
from altegio_provider.sandbox.forms.answers import INVALID, Refusal

__all__ = ["check_movable"]


def check_movable(appointment: Appointment, source: Event, target: Event, here: datetime) -> None:
    """Check the rules of a move, but for the free seats.

    :param here: the time on the location's clock.
    :raises Refusal: 422 that names every rule that is broken.
    """
    errors = {}
    if appointment.attendance != 0:
        errors["attendance"] = ["only a booking that waits can be moved"]
    if appointment.paid_full:
        errors["paid_full"] = ["only an unpaid booking can be moved"]
    if source.starts + timedelta(seconds=source.length) <= here:
        errors["activity_id"] = ["the event is over"]
    if target.starts <= here:
        errors["reschedule_activity_id"] = ["the event must lie ahead"]
    elif any(one.client["id"] == appointment.client["id"] for one in target.appointments.values()):
        errors["reschedule_activity_id"] = ["the client is in this event already"]
    if errors:
        raise Refusal(422, INVALID, errors)
