"""Searches for bookings whose responses were lost: in their event, then among appointments without an event."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from altegio_provider.api import AltegioClient
from altegio_provider.imports.matching.event_finder import EventFinder
from altegio_provider.imports.matching.match import Absent, Found, LostBooking, Undecided, Verdict, match

__all__ = ["find_lost_bookings", "lost_booking_of", "missing_event_remark"]

#: The joined objects that identify the person of an appointment.
_WHO = ("client", "comer")


def lost_booking_of(key: str, appointment: Mapping[str, Any]) -> LostBooking:
    """Return the values to search for.

    :param key: the key of the row.
    :param appointment: the booking in its canonical form.
    """
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

    The API can create an appointment without its event. So bookings that are not in the event are searched for among
    the appointments without an event that start at the same time.

    :param client: the client.
    :param location_id: the location.
    :param event_id: the event.
    :param sought: bookings of the event, in the order in which they were sent.
    :param taken: returns which of the given appointments belong to another row.
    :param events: the finder of events, for the event's start.
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
    """Return a remark on an appointment that was created without its event; empty if it has its event.

    :param record: the appointment.
    :param event_id: the event that was requested.
    """
    if "activity_id" not in record or record["activity_id"] == event_id:
        return ""
    return f"the appointment was created without event {event_id}: assign it in Altegio"
