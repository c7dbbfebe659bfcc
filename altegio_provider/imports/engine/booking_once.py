"""Books one client once, without a ledger: where the answer is lost, the booking is looked for.

Nothing remembers what a process that dies in the middle has sent;
:mod:`~altegio_provider.imports.engine.bookings` does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any

from altegio_provider.api import AltegioClient
from altegio_provider.api.arguments import checked_zone
from altegio_provider.api.errors import (
    AltegioAuthError,
    AltegioError,
    AltegioNotFoundError,
    AltegioOutcomeUnknownError,
    AltegioResponseOutcomeUnknownError,
    AltegioValidationError,
)
from altegio_provider.api.http.retry import default_sleep
from altegio_provider.api.secrets import clear_variables_on_error
from altegio_provider.api.types import Appointment
from altegio_provider.imports.matching.event_finder import EventFinder
from altegio_provider.imports.matching.lost_bookings import find_lost_bookings, lost_booking_of
from altegio_provider.imports.matching.match import Absent, Found, Undecided, Verdict

__all__ = ["SETTLE_SECONDS", "book_once"]

log = logging.getLogger(__name__)

#: A booking can appear late, and the id of a new client up to 15 seconds after it.
SETTLE_SECONDS = 20.0
_ATTEMPTS = 3
_SEARCHES = 3
_KEY = "the booking"


@clear_variables_on_error
def book_once(
    client: AltegioClient,
    location_id: int,
    event_id: int,
    appointment: Mapping[str, Any],
    *,
    settle_seconds: float = SETTLE_SECONDS,
    sleep: Callable[[float], None] = default_sleep,
) -> Appointment:
    """Book a client into an event and return the record. If the response is lost, search for it before sending again.

    The appointments of the event are read first, so that an older one of the same client is not taken for this one. If
    the user may not read them, the booking is sent anyway, and its outcome stays unknown if the response is lost.

    :param client: the client.
    :param location_id: the location.
    :param event_id: the event.
    :param appointment: as for :meth:`AltegioClient.create_event_appointment`.
    :param settle_seconds: how long to wait before searching for a booking whose response was lost.
    :param sleep: waits for a number of seconds.
    :returns: the record with its ``id``. After a search it has only ``id`` and ``clients_count``, and ``activity_id``
        0 if it was created without its event.
    :raises AltegioOutcomeUnknownError: the response was lost, and a search did not show whether the client is booked.
    :raises AltegioError: the request failed; nothing is booked.
    """
    client.appointment_body(appointment)
    search = _LostBookingSearch(client, location_id, event_id, appointment)
    lost: AltegioOutcomeUnknownError | None = None
    for _ in range(_ATTEMPTS):
        refusal: AltegioError | None = None
        try:
            return _named(client.create_event_appointment(location_id, event_id, appointment))
        except AltegioOutcomeUnknownError as error:
            lost = error
        except AltegioValidationError as error:
            if lost is None:
                raise
            refusal = error  # the lost booking may have taken effect, and have taken the last seat
        verdict = search.verdict(lambda: sleep(settle_seconds))
        if isinstance(verdict, Found):
            log.info("The answer was lost; a search found the booking: appointment %s", verdict.record_id)
            activity_id = 0 if verdict.remark else event_id
            seats = appointment["clients_count"]
            return {"id": verdict.record_id, "activity_id": activity_id, "clients_count": seats}
        if isinstance(verdict, Undecided):
            lost.hint = f"Whether the booking was created is unknown: {verdict.reason}. Check in Altegio."
            raise lost
        if refusal is not None:
            raise refusal
    assert lost is not None  # noqa: S101 - the loop ends only when an answer was lost
    raise lost


def _named(record: Appointment) -> Appointment:
    if not isinstance(record.get("id"), int):
        raise AltegioResponseOutcomeUnknownError(
            "the answer is invalid: it lacks the id of the appointment.", method="POST"
        )
    return record


class _LostBookingSearch:
    """Searches for a lost booking among the appointments that the event did not have before."""

    def __init__(self, client: AltegioClient, location_id: int, event_id: int, appointment: Mapping[str, Any]) -> None:
        self._client = client
        self._place = location_id, event_id
        self._events = EventFinder(client, location_id, checked_zone(client.timezone))
        self._sought = [lost_booking_of(_KEY, appointment)]
        self._before: set[int] | None = None
        try:
            self._before = {row["id"] for row in client.event_appointments(location_id, event_id, include=())}
        except (AltegioAuthError, AltegioNotFoundError) as error:
            self._refusal = error

    def verdict(self, settle: Callable[[], None]) -> Verdict:
        """Search until the verdict is final, at most :data:`_SEARCHES` times.

        :param settle: waits before each search.
        """
        if self._before is None:
            return Undecided(f"appointments cannot be listed ({self._refusal.summary})", retryable=False)
        before = self._before
        verdict: Verdict = Absent()
        for _ in range(_SEARCHES):
            settle()
            try:
                found = find_lost_bookings(self._client, *self._place, self._sought, before.intersection, self._events)
            except AltegioError as error:
                return Undecided(f"the search failed ({error.summary})", retryable=False)
            verdict = found[_KEY]
            if not (isinstance(verdict, Undecided) and verdict.retryable):
                return verdict
        return verdict
