"""The client's operations on appointments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from altegio_provider.api.arguments import (
    argument_error,
    checked_concurrency,
    checked_id,
    checked_page_size,
    checked_range,
    checked_zone,
)
from altegio_provider.api.bodies.appointment import checked_appointment, checked_change, checked_reschedule
from altegio_provider.api.bodies.fields import is_text
from altegio_provider.api.calls import Calls
from altegio_provider.api.paging.reader import PageReader
from altegio_provider.api.routes import LOCATIONS, ListPage, PageSpan, Query, Row
from altegio_provider.api.rows import parse_page
from altegio_provider.api.secrets import clear_variables_on_error
from altegio_provider.api.types import Appointment
from altegio_provider.common.location_time import LocationClock, TimeRange, wall_range

__all__ = ["AppointmentCalls"]

#: What can be told about an appointment's people and things beside it.
_CLIENT = ("client",)


@dataclass(frozen=True)
class _AppointmentFilter:
    event_id: int | None = None
    client_id: int | None = None

    def query(self, window: TimeRange | None, zone: ZoneInfo) -> Query:
        query = []
        if self.event_id is not None:
            query.append(("filter[activity_id]", str(self.event_id)))
        if self.client_id is not None:
            query.append(("filter[client_id]", str(self.client_id)))
        if window is not None:
            wall_from, wall_to = wall_range(window.start, window.end, zone)
            query.append(("filter[date_intersect_from]", wall_from.replace(" ", "T")))
            query.append(("filter[date_intersect_to]", wall_to.replace(" ", "T")))
        return query


class AppointmentCalls(Calls):
    """Book, list, change, move and delete appointments."""

    @clear_variables_on_error
    def list_appointments(
        self,
        location_id: int,
        *,
        event_id: int | None = None,
        client_id: int | None = None,
        date_from: datetime | str | None = None,
        date_to: datetime | str | None = None,
        include: Sequence[str] = _CLIENT,
        page_size: int | None = None,
        concurrency: int = 4,
        timezone: str | None = None,
    ) -> Iterator[Appointment]:
        """Yield the appointments of a location, each exactly once; the past is allowed. ``locations`` only.

        Rows may be created and deleted meanwhile; :mod:`~altegio_provider.api.paging.reader` says what is guaranteed.
        The arguments are checked at the call, before the first row.

        Operation: ``GET /locations/{id}/appointments``.

        :param event_id: only the appointments of this event.
        :param client_id: only those of this client.
        :param date_from: only those that take place in ``[date_from, date_to)``, or in a part of it; aware, or ISO
            8601 text with an offset; a naive one is on the location's wall clock. Both ends or neither.
        :param date_to: the end, not included.
        :param include: what to join to each row: ``client``, ``staff``, ``services``, ``labels``, ``comer``.
        :param page_size: rows a request, 250 at the most and by default.
        :param concurrency: requests under way at once, at most.
        :param timezone: the location's IANA time zone, where it is not the client's.
        :returns: flat appointments in the server's order: ``id``, their attributes, and beside them what was
            included, nested. Names and phones of people are in it; a phone may come masked.
        :raises AltegioValidationError: an argument cannot be right, or ``companies`` is in use, which has no such list.
        :raises AltegioError: the leaf says what to do.
        """
        self._family.route("list_appointments")
        clock = LocationClock(checked_zone(timezone or self.timezone))
        return self._appointments(
            location_id,
            _AppointmentFilter(_id_or_none("event_id", event_id), _id_or_none("client_id", client_id)),
            self._range_or_none(date_from, date_to, clock),
            include,
            page_size,
            concurrency,
            clock,
        )

    def event_appointments(
        self, location_id: int, event_id: int, *, include: Sequence[str] = _CLIENT
    ) -> Iterator[Appointment]:
        """Yield the appointments of one event, whichever family of routes is in use.

        The service that answers under ``companies`` answers this route of ``locations`` too; whether a record has
        been made must be looked up somewhere. An appointment that lost its ``activity_id`` is not among them.

        Operation: ``GET /locations/{id}/appointments?filter[activity_id]=…``.

        :param include: what to join to each row, as for :meth:`list_appointments`.
        :raises AltegioAuthError: the user has no right to see appointments.
        :raises AltegioNotFoundError: there is no such location, or no such route for it.
        """
        return self._appointments(location_id, _AppointmentFilter(checked_id("event_id", event_id)), None, include)

    def client_appointments_between(
        self, location_id: int, date_from: datetime | str, date_to: datetime | str, *, include: Sequence[str] = _CLIENT
    ) -> Iterator[Appointment]:
        """Yield the clients' appointments that take place in a time, whichever family of routes is in use.

        Here are those too that lost their ``activity_id``.

        Operation: ``GET /locations/{id}/appointments?filter[date_intersect_from]=…&filter[date_intersect_to]=…``.

        :param date_from: as for :meth:`list_appointments`.
        :param date_to: the end, not included.
        :param include: what to join to each row, as for :meth:`list_appointments`.
        """
        return self._appointments(location_id, _AppointmentFilter(), self._range_or_none(date_from, date_to), include)

    def appointments_starting_between(
        self,
        location_id: int,
        date_from: datetime | str,
        date_to: datetime | str,
        *,
        include: Sequence[str] = _CLIENT,
        page_size: int | None = None,
        concurrency: int = 4,
        timezone: str | None = None,
    ) -> Iterator[Appointment]:
        """Yield the appointments that start in ``[date_from, date_to)``, whichever family of routes is in use.

        Neighbouring ranges share none and miss none, as with :meth:`list_activities`.

        Operation: ``GET /locations/{id}/appointments?filter[date_intersect_from]=…&filter[date_intersect_to]=…``.

        :param date_from: as for :meth:`list_appointments`; so are ``date_to`` and the options but the last.
        :param timezone: the location's IANA time zone, where it is not the client's.
        :raises AltegioAuthError: the user has no right to see appointments.
        :raises AltegioNotFoundError: there is no such location, or no such route for it.
        """
        clock = LocationClock(checked_zone(timezone or self.timezone))
        start, end = checked_range(date_from, date_to, clock.zone)
        # One that takes no time does not go on after its start.
        asked = TimeRange(start - timedelta(seconds=1), end)
        rows = self._appointments(location_id, _AppointmentFilter(), asked, include, page_size, concurrency, clock)
        first, behind = (round(moment.timestamp() * 1e6) for moment in (start, end))
        return _starting_within(rows, clock, first, behind)

    @clear_variables_on_error
    def create_event_appointment(self, location_id: int, event_id: int, appointment: Mapping[str, Any]) -> Appointment:
        """Book a client's seats in an event and return the record. Not idempotent: sent twice, it books twice.

        Operation: ``POST …/activities/{event_id}/records`` or ``POST …/events/{event_id}/appointments``.

        :param appointment: one form for both families: the API's field names, phones with ``+``
            (:func:`~altegio_provider.api.bodies.appointment.checked_appointment`).
        :raises AltegioValidationError: a field cannot be right, and nothing was sent; or the API refused it.
        :raises AltegioNotFoundError: there is no such location or event, or the event is deleted.
        :raises AltegioOutcomeUnknownError: the answer was lost; look before sending it again.
        """
        body = self.appointment_body(appointment)
        return cast(
            "Appointment", self._call_for_row("create_event_appointment", location_id, body=body, event_id=event_id)
        )

    @clear_variables_on_error
    def update_event_appointment(
        self, location_id: int, event_id: int, record_id: int, changes: Mapping[str, Any]
    ) -> Appointment:
        """Change an appointment and return it. ``locations`` only.

        Sent twice it is the same, but for ``attendance_good_items``, of which the portal does not say that they
        replace the goods sold before.

        Operation: ``PUT …/events/{event_id}/appointments/{record_id}``.

        :param changes: what to set (:func:`~altegio_provider.api.bodies.appointment.checked_change`).
        :raises AltegioValidationError: a field cannot be right, or ``companies`` is in use; nothing was sent.
        :raises AltegioNotFoundError: there is no such appointment in that event.
        :raises AltegioOutcomeUnknownError: the answer was lost.
        """
        self._family.route("update_event_appointment")
        body = checked_change(changes)
        row = self._call_for_row(
            "update_event_appointment", location_id, body=body, event_id=event_id, record_id=record_id
        )
        return cast("Appointment", row)

    @clear_variables_on_error
    def reschedule_event_appointment(
        self,
        location_id: int,
        event_id: int,
        record_id: int,
        to_event_id: int,
        *,
        with_comer: bool = True,
        clients_count: int | None = None,
    ) -> Appointment:
        """Move an appointment to another event and return it. ``locations`` only.

        Sent twice it does no more than once: moved already, it is not found in the event that it left.

        Operation: ``PATCH …/events/{event_id}/appointments/{record_id}``.

        :param event_id: the event that it is in.
        :param to_event_id: the event to move it to.
        :param with_comer: whether the visitor who comes in the client's place moves along.
        :param clients_count: seats there; ``None`` for as many as before.
        :raises AltegioValidationError: an argument cannot be right, or ``companies`` is in use, and nothing was sent;
            or the API refused it: too few places, for one.
        :raises AltegioNotFoundError: there is no such appointment in that event, or no such event to move it to.
        :raises AltegioOutcomeUnknownError: the answer was lost; see in which event it is.
        """
        self._family.route("reschedule_event_appointment")
        body = checked_reschedule(to_event_id, with_comer=with_comer, clients_count=clients_count)
        row = self._call_for_row(
            "reschedule_event_appointment", location_id, body=body, event_id=event_id, record_id=record_id
        )
        return cast("Appointment", row)

    @clear_variables_on_error
    def delete_appointment(self, location_id: int, appointment_id: int) -> None:
        """Delete an appointment. ``locations`` only. A second time it is not found.

        Operation: ``DELETE /locations/{id}/appointments/{appointment_id}``.

        :raises AltegioNotFoundError: there is no such appointment.
        :raises AltegioOutcomeUnknownError: the answer was lost; it may be sent again.
        """
        self._call("delete_appointment", location_id, appointment_id=appointment_id)

    @clear_variables_on_error
    def appointment_body(self, appointment: Mapping[str, Any]) -> dict[str, Any]:
        """Return what is sent for a booking, checked by the rules of the family in use.

        :raises AltegioValidationError: a field cannot be right; ``errors`` names each.
        """
        return checked_appointment(appointment, is_strict=self._family.is_strict)

    def _range_or_none(
        self, date_from: datetime | str | None, date_to: datetime | str | None, clock: LocationClock | None = None
    ) -> TimeRange | None:
        if date_from is None and date_to is None:
            return None
        if date_from is None or date_to is None:
            missing = "date_from" if date_from is None else "date_to"
            raise argument_error(missing, "is missing: date_from and date_to must be given together")
        return checked_range(date_from, date_to, clock.zone if clock else checked_zone(self.timezone))

    def _appointments(
        self,
        location_id: int,
        filters: _AppointmentFilter,
        window: TimeRange | None,
        include: Sequence[str],
        page_size: int | None = None,
        concurrency: int = 1,
        clock: LocationClock | None = None,
    ) -> Iterator[Appointment]:
        route = LOCATIONS.route("list_appointments")
        path = route.path.format(location_id=checked_id("location_id", location_id))
        clock = clock or LocationClock(checked_zone(self.timezone))
        query = [*filters.query(window, clock.zone), *_included(include)]

        def fetch(_part: TimeRange | None, span: PageSpan) -> ListPage:
            return parse_page(
                self._transport.request(route.method, path, query=[*query, *LOCATIONS.paging_query(span)]), path
            )

        def start_us(row: Row) -> int | None:
            start = clock.start_of(row)
            return None if start is None else start.instant_us

        reader = PageReader(
            fetch,
            span=LOCATIONS.span,
            page_size=checked_page_size(page_size, LOCATIONS.page_size, LOCATIONS.largest_page),
            concurrency=checked_concurrency(concurrency),
            start_us=start_us,
        )
        # An appointment is listed in every range that it touches, so cutting the range by time would not part them.
        return cast("Iterator[Appointment]", _overlapping_range(reader.read(None), window, start_us))


@clear_variables_on_error
def _starting_within(
    rows: Iterator[Appointment], clock: LocationClock, first: int, behind: int
) -> Iterator[Appointment]:
    for row in rows:
        at = clock.start_of(row)
        if at is None or first <= at.instant_us < behind:
            yield row


def _id_or_none(argument: str, value: int | None) -> int | None:
    return None if value is None else checked_id(argument, value)


def _included(names: Sequence[str]) -> Query:
    is_list = isinstance(names, Iterable) and not isinstance(names, str | bytes)
    names = list(names) if is_list else []
    if not is_list or not all(is_text(name) and name for name in names):
        raise argument_error("include", "must be a list of names such as ['client', 'staff']")
    return [("include", name) for name in names]


@clear_variables_on_error
def _overlapping_range(
    pages: Iterator[list[Row]], window: TimeRange | None, start_us: Callable[[Row], int | None]
) -> Iterator[Row]:
    """Keep the rows that go on in the window; one that does not say when is kept: the server put it here."""
    first, behind = (round(moment.timestamp() * 1e6) for moment in window) if window else (0, 0)
    for rows in pages:
        for row in rows:
            at = start_us(row)
            if window is None or at is None or (at < behind and (at >= first or at + _length_us(row) > first)):
                yield row


def _length_us(row: Row) -> int:
    seconds = row.get("length")
    return int(seconds * 1_000_000) if isinstance(seconds, int | float) else 0
