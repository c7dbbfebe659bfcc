"""Looks for bookings whose answers were lost: in their event, then among all appointments of its time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from altegio_provider.api import AltegioClient
from altegio_provider.imports.matching.event_finder import EventFinder
from altegio_provider.imports.matching.match import Absent, Found, LostBooking, Undecided, Verdict, match

__all__ = ["find_lost_bookings", "lost_booking_of", "missing_event_remark"]

#: By whom an appointment is recognised.
_WHO = ("client", "comer")


def lost_booking_of(key: str, appointment: Mapping[str, Any]) -> LostBooking:
    """Return what to look for, from a booking in its canonical form."""
    comer = {"id": appointment["comer_id"]} if appointment.get("comer_id") else appointment.get("comer")
    return LostBooking(key, appointment["client"], appointment["clients_count"], comer)


def find_lost_bookings(
    client: AltegioClient,
    location_id: int,
    event_id: int,
    sought: Sequence[LostBooking],
    taken: Callable[[Sequence[int]], set[int]],
    events: EventFinder,
) -> dict[str, Verdict]:
    """Return the verdict on each booking, by its key.

    A record may be made without the event that was asked for, so what is not in the event is looked for among the
    records without one that start when it does.

    :param sought: bookings of one event, in the order in which they were sent.
    :param taken: tells which of some appointments are known to be something else.
    :raises AltegioError: appointments cannot be listed.
    """
    records = list(client.event_appointments(location_id, event_id, include=_WHO))
    verdicts = match(sought, records, taken([record["id"] for record in records]))
    absent = [one for one in sought if isinstance(verdicts[one.key], Absent)]
    if not absent:
        return verdicts
    window = events.window_of(event_id)
    if window is None:
        reason = "the event has no start, so appointments without their event cannot be searched"
        return {**verdicts, **{one.key: Undecided(reason, retryable=False) for one in absent}}
    strays = [
        record
        for record in client.client_appointments_between(location_id, *window, include=_WHO)
        if not record.get("activity_id") and events.starts_at(record, window[0])
    ]
    remark = missing_event_remark({"activity_id": 0}, event_id)
    for key, verdict in match(absent, strays, taken([record["id"] for record in strays])).items():
        verdicts[key] = Found(verdict.record_id, remark) if isinstance(verdict, Found) else verdict
    return verdicts


def missing_event_remark(record: Mapping[str, Any], event_id: int) -> str:
    """Return what a person should know of a record that does not carry its event; nothing of one that does."""
    if "activity_id" not in record or record["activity_id"] == event_id:
        return ""
    return f"the appointment was created without event {event_id}: assign it in Altegio"
