"""Bookings that a test adds behind the API's back: paid ones, ones with tags and products, ones of a web form."""

from __future__ import annotations

from typing import Any

from altegio_provider.sandbox.data.seed import whole
from altegio_provider.sandbox.data.state import Appointment, Location, State

__all__ = ["add_booking"]

_KNOWN = ("label_ids", "comment", "color", "record_from")
_NUMBERS = ("paid_full", "source", "is_mobile", "prepaid_status")
_FIELDS = {
    "location_id",
    "event_id",
    "clients_count",
    "client",
    "comer",
    "attendance",
    "price",
    "goods",
    *_KNOWN,
    *_NUMBERS,
}


def add_booking(state: State, location: Location, row: dict[str, Any]) -> Appointment:
    """Add a booking from plain values, with defaults for what they leave out.

    :raises ValueError: a field has no value that it can have; the message names the field.
    """
    unknown = row.keys() - _FIELDS
    if unknown:
        raise ValueError(f"an appointment has no {', '.join(sorted(unknown))}")
    event = location.events.get(whole(row, "event_id"))
    if event is None:
        raise ValueError(f"event_id: there is no event {row['event_id']}")
    attendance = row.get("attendance", 0)
    if attendance not in (-1, 0, 1, 2):
        raise ValueError("attendance must be -1, 0, 1 or 2")
    details = {name: row[name] for name in _KNOWN if name in row}
    details |= {name: whole(row, name) for name in _NUMBERS if name in row}
    if "price" in row:
        details["price"] = {"is_trial": False, **row["price"]}
    goods = [{**good, "id": good.get("id") or state.next_good_id()} for good in row.get("goods", ())]
    client = {"name": "Added", "phone": "37120000000", **row.get("client", {})}
    return state.book(
        location,
        event,
        client,
        whole(row, "clients_count", 1),
        comer=row.get("comer"),
        attendance=attendance,
        goods=goods,
        **details,
    )
