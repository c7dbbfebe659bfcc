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
    checked_flag,
    checked_id,
    checked_page_size,
    checked_range,
    checked_zone,
)
from altegio_provider.api.bodies.appointment import (
    CHANGE_INCLUDES,
    change_body,
    checked_appointment,
    checked_change,
    checked_reschedule,
)
from altegio_provider.api.bodies.bulk import BulkRefusal, bulk_replies, checked_bulk
from altegio_provider.api.bodies.fields import is_text
from altegio_provider.api.calls import Calls
from altegio_provider.api.errors import AltegioNotFoundError, AltegioValidationError
from altegio_provider.api.paging.reader import PageReader
from altegio_provider.api.routes import LOCATIONS, ListPage, PageSpan, Query, Row
from altegio_provider.api.secrets import clear_variables_on_error
from altegio_provider.api.types import Appointment
from altegio_provider.common.location_time import LocationClock, TimeRange, wall_range

__all__ = ["AppointmentCalls"]

_UNPROCESSABLE = 422
#: The API's texts are localised and may name one rule of several, so the error names all of them.
_RULES_OF_A_MOVE = (
    "A booking can be moved only while it waits (attendance 0) and is unpaid, out of an event that is not over, "
    "into one that lies ahead, has the seats free, and does not have the client yet."
)
#: The related resources that are included by default.
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
        The arguments are checked at the call.

        Operation: ``GET /locations/{id}/appointments``.

        :param location_id: the location.
        :param event_id: only the appointments of this event.
        :param client_id: only those of this client.
        :param date_from: only those that take place in ``[date_from, date_to)`` or a part of it: aware, or ISO 8601
            text with an offset; a naive one is on the location's wall clock. Give both dates or neither.
        :param date_to: the end, not included.
        :param include: what to join to each row: ``client``, ``staff``, ``services``, ``labels``, ``comer``.
        :param page_size: rows of a request, 250 by default and at most.
        :param concurrency: how many requests may run at once.
        :param timezone: the location's IANA time zone, if it is not the client's.
        :returns: flat appointments in the server's order, with the included resources nested. They hold names and
            phone numbers; a phone number may come masked.
        :raises AltegioValidationError: an argument is invalid, or ``companies`` is in use, which has no such list.
        :raises AltegioError: a request failed; the class says what to do.
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
        """Yield the appointments of one event, under either route family.

        Both families belong to one service, so this route of ``locations`` answers under ``companies`` too. An
        appointment that has lost its ``activity_id`` is not listed.

        Operation: ``GET /locations/{id}/appointments?filter[activity_id]=…``.

        :param location_id: the location.
        :param event_id: the event.
        :param include: what to join to each row, as for :meth:`list_appointments`.
        :raises AltegioAuthError: the user may not see appointments.
        :raises AltegioNotFoundError: the location does not exist, or has no such route.
        """
        return self._appointments(location_id, _AppointmentFilter(checked_id("event_id", event_id)), None, include)

    def client_appointments_between(
        self, location_id: int, date_from: datetime | str, date_to: datetime | str, *, include: Sequence[str] = _CLIENT
    ) -> Iterator[Appointment]:
        """Yield the clients' appointments that take place in a range, under either route family.

        Appointments that have lost their ``activity_id`` are listed too.

        Operation: ``GET /locations/{id}/appointments?filter[date_intersect_from]=…&filter[date_intersect_to]=…``.

        :param location_id: the location.
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
        """Yield the appointments that start in ``[date_from, date_to)``, under either route family.

        Adjacent ranges neither share nor miss an appointment, as with :meth:`list_activities`.

        Operation: ``GET /locations/{id}/appointments?filter[date_intersect_from]=…&filter[date_intersect_to]=…``.

        :param location_id: the location.
        :param date_from: as for :meth:`list_appointments`.
        :param date_to: the end, not included.
        :param include: what to join to each row, as for :meth:`list_appointments`.
        :param page_size: rows of a request, 250 by default and at most.
        :param concurrency: how many requests may run at once.
        :param timezone: the location's IANA time zone, if it is not the client's.
        :raises AltegioAuthError: the user may not see appointments.
        :raises AltegioNotFoundError: the location does not exist, or has no such route.
        """
        clock = LocationClock(checked_zone(timezone or self.timezone))
        start, end = checked_range(date_from, date_to, clock.zone)
        # An appointment without a length intersects no range that begins at its start.
        asked = TimeRange(start - timedelta(seconds=1), end)
        rows = self._appointments(location_id, _AppointmentFilter(), asked, include, page_size, concurrency, clock)
        first, behind = (round(moment.timestamp() * 1e6) for moment in (start, end))
        return _starting_within(rows, clock, first, behind)

    @clear_variables_on_error
    def create_event_appointment(self, location_id: int, event_id: int, appointment: Mapping[str, Any]) -> Appointment:
        """Book a client's seats in an event and return the appointment. A second request books a second time.

        Operation: ``POST …/activities/{event_id}/records`` or ``POST …/events/{event_id}/appointments``.

        :param location_id: the location.
        :param event_id: the event.
        :param appointment: the same form for both families: the API's field names, phone numbers with ``+``
            (:func:`~altegio_provider.api.bodies.appointment.checked_appointment`).
        :raises AltegioValidationError: a field is invalid, and nothing was sent; or the API refused it.
        :raises AltegioNotFoundError: the location or event does not exist, or the event is deleted.
        :raises AltegioOutcomeUnknownError: the response was lost; look for the appointment before you send it again.
        :raises AltegioError: the request failed; the class says what to do.
        """
        body = self.appointment_body(appointment)
        return cast(
            "Appointment", self._call_for_row("create_event_appointment", location_id, body=body, event_id=event_id)
        )

    @clear_variables_on_error
    def bulk_create_event_appointments(
        self, location_id: int, event_id: int, appointments: Sequence[Mapping[str, Any]], *, send_sms: bool = False
    ) -> list[Appointment | BulkRefusal]:
        """Book up to 50 clients into an event. ``locations`` only. Not idempotent: sent twice, it books twice.

        Operation: ``POST …/events/{event_id}/appointments/bulk``.

        :param location_id: the location.
        :param event_id: the event.
        :param appointments: 1 to 50 bookings, in the form of :meth:`create_event_appointment`, with nothing but the
            client's ``id``, ``name``, ``phone`` and ``email``, and the seats.
        :param send_sms: whether the API sends a message to each client now.
        :returns: the appointment or the refusal for each booking, in the order of ``appointments``.
        :raises AltegioValidationError: a field is invalid, or ``companies`` is in use, and nothing was sent; or the API
            refused the whole request.
        :raises AltegioNotFoundError: the location or event does not exist, the event is deleted, or the server has no
            such route.
        :raises AltegioOutcomeUnknownError: the response was lost, or does not account for every booking. Any of them
            may have been made.
        :raises AltegioError: the request failed; the class says what to do.
        """
        self._family.route("bulk_create_event_appointments")
        body = checked_bulk(appointments, send_sms=checked_flag("send_sms", send_sms))
        _, path, document = self._call("bulk_create_event_appointments", location_id, body=body, event_id=event_id)
        return bulk_replies(document, path, body)

    @clear_variables_on_error
    def update_event_appointment(
        self, location_id: int, event_id: int, record_id: int, changes: Mapping[str, Any], *, replace: bool = False
    ) -> Appointment:
        """Change an appointment, keep the rest of it, and return it. ``locations`` only.

        The API rewrites the booking: it removes tags and goods that are not sent, and sets the price anew. So the
        booking is read first, and its tags and price are sent back with the change. A booking with goods is refused
        unless ``changes`` gives them. A second request changes nothing more, but new goods may be added twice.

        Operation: ``GET /locations/{id}/appointments?filter[activity_id]=…`` and
        ``PUT …/events/{event_id}/appointments/{record_id}``.

        :param location_id: the location.
        :param event_id: the event.
        :param record_id: the appointment.
        :param changes: the fields to set (:func:`~altegio_provider.api.bodies.appointment.checked_change`); ``None``
            clears ``comment``, ``label_ids`` and ``color``.
        :param replace: whether to send ``changes`` as they are, without reading the booking.
        :raises AltegioValidationError: a field is invalid, the booking has goods that ``changes`` does not give, the
            response does not show what must be kept, or ``companies`` is in use; nothing was sent.
        :raises AltegioNotFoundError: the event has no such appointment.
        :raises AltegioOutcomeUnknownError: the response was lost.
        :raises AltegioError: the request failed; the class says what to do.
        """
        self._family.route("update_event_appointment")
        checked_id("event_id", event_id)
        checked_id("record_id", record_id)
        body = checked_change(changes, is_whole=replace)
        if not replace:
            body = self._change_of(location_id, event_id, record_id, body)
        row = self._call_for_row(
            "update_event_appointment", location_id, body=body, event_id=event_id, record_id=record_id
        )
        return cast("Appointment", row)

    def _change_of(self, location_id: int, event_id: int, record_id: int, changes: Mapping[str, Any]) -> dict[str, Any]:
        """Read an appointment, and return the body that changes it and keeps the rest."""
        found: Appointment | None = None
        shown: set[str] = set()
        for row in self.event_appointments(location_id, event_id, include=CHANGE_INCLUDES):
            shown.update(name for name in CHANGE_INCLUDES if name in row)
            if row.get("id") == record_id:
                found = row
        if found is None:
            path = self._family.route("update_event_appointment").path.format(
                location_id=location_id, event_id=event_id, record_id=record_id
            )
            raise AltegioNotFoundError("the event has no such appointment. Nothing was sent.", method="PUT", path=path)
        return change_body(found, shown, changes)

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

        A second request has no effect: the appointment is not found in the event that it left.

        Operation: ``PATCH …/events/{event_id}/appointments/{record_id}``.

        :param location_id: the location.
        :param event_id: the event that it is in.
        :param record_id: the appointment.
        :param to_event_id: the event to move it to.
        :param with_comer: whether the visitor who comes in the client's place moves too.
        :param clients_count: seats in the new event; ``None`` for as many as before.
        :raises AltegioValidationError: an argument is invalid, or ``companies`` is in use, and nothing was sent; or the
            API refused it, and the error names the rules of a move.
        :raises AltegioNotFoundError: the appointment is not in that event, or the new event does not exist.
        :raises AltegioOutcomeUnknownError: the response was lost; look in which event the appointment is.
        :raises AltegioError: the request failed; the class says what to do.
        """
        self._family.route("reschedule_event_appointment")
        body = checked_reschedule(to_event_id, with_comer=with_comer, clients_count=clients_count)
        try:
            row = self._call_for_row(
                "reschedule_event_appointment", location_id, body=body, event_id=event_id, record_id=record_id
            )
        except AltegioValidationError as error:
            if error.status == _UNPROCESSABLE:
                error.hint = _RULES_OF_A_MOVE
            raise
        return cast("Appointment", row)

    @clear_variables_on_error
    def delete_appointment(self, location_id: int, appointment_id: int) -> None:
        """Delete an appointment. ``locations`` only. A second request does not find it.

        Operation: ``DELETE /locations/{id}/appointments/{appointment_id}``.

        :param location_id: the location.
        :param appointment_id: the appointment.
        :raises AltegioNotFoundError: the appointment does not exist.
        :raises AltegioOutcomeUnknownError: the response was lost; you may send the request again.
        :raises AltegioError: the request failed; the class says what to do.
        """
        self._call("delete_appointment", location_id, appointment_id=appointment_id)

    @clear_variables_on_error
    def appointment_body(self, appointment: Mapping[str, Any]) -> dict[str, Any]:
        """Return the body that is sent for a booking, checked by the rules of the route family in use.

        :param appointment: as for :meth:`create_event_appointment`.
        :raises AltegioValidationError: fields are invalid; ``errors`` names each.
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
        query = filters.query(window, clock.zone)
        include = _checked_names(include)

        def fetch(_part: TimeRange | None, span: PageSpan) -> ListPage:
            return self._page(
                "appointments",
                path,
                span,
                lambda _forms, sent: [*query, *LOCATIONS.paging_query(sent)],
                include,
                safe_page=LOCATIONS.safe_page,
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
        # An appointment is listed in every range that it intersects, so the range cannot be cut by time.
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


def _checked_names(names: Sequence[str]) -> list[str]:
    is_list = isinstance(names, Iterable) and not isinstance(names, str | bytes)
    names = list(names) if is_list else []
    if not is_list or not all(is_text(name) and name for name in names):
        raise argument_error("include", "must be a list of names such as ['client', 'staff']")
    return names


@clear_variables_on_error
def _overlapping_range(
    pages: Iterator[list[Row]], window: TimeRange | None, start_us: Callable[[Row], int | None]
) -> Iterator[Row]:
    """Keep the rows that intersect the window, and rows without a readable start, which the server put in it."""
    first, behind = (round(moment.timestamp() * 1e6) for moment in window) if window else (0, 0)
    for rows in pages:
        for row in rows:
            at = start_us(row)
            if window is None or at is None or (at < behind and (at >= first or at + _length_us(row) > first)):
                yield row


def _length_us(row: Row) -> int:
    seconds = row.get("length")
    return int(seconds * 1_000_000) if isinstance(seconds, int | float) else 0
