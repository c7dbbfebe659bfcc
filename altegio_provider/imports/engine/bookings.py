"""Imports a file of clients as appointments."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any

from altegio_provider.api.bodies.bulk import MAX_BULK_ROWS, BulkRefusal, fits_bulk
from altegio_provider.api.errors import (
    AltegioAuthError,
    AltegioConflictError,
    AltegioError,
    AltegioNotFoundError,
    AltegioResponseOutcomeUnknownError,
    AltegioValidationError,
)
from altegio_provider.imports.engine.file_import import FileImport
from altegio_provider.imports.engine.row_store import Pending, Status
from altegio_provider.imports.engine.runner import NotTaken, Reply, Sent
from altegio_provider.imports.files.row_source import RowSource
from altegio_provider.imports.ledger.ledger import Session, key_of
from altegio_provider.imports.matching.event_finder import EventFinder, Seats
from altegio_provider.imports.matching.identity import are_named_alike
from altegio_provider.imports.matching.lost_bookings import find_lost_bookings, lost_booking_of, missing_event_remark
from altegio_provider.imports.matching.match import Verdict
from altegio_provider.imports.model import BookingRequest, ImportFileError, SourceRow
from altegio_provider.imports.rows.column_facts import column_facts
from altegio_provider.imports.rows.columns import Columns
from altegio_provider.imports.rows.validation import Validator

__all__ = ["BookingImport"]

log = logging.getLogger(__name__)

#: How a server answers a route that it lacks, or that the user may not use.
_NO_ROUTE = (403, 404, 405)
#: A field of a bulk request: which row, and which field of it.
_ROW_FIELD = re.compile(r"(?:data\.)?(?:records|appointments)[.\[]([0-9]{1,3})\]?(?:\.(?:client\.)?(.+))?")
_NO_MESSAGE = (
    "send_sms=True is possible only for rows with nothing but name, phone, email, client_id and seats: "
    "leave the other columns out, or set send_sms=False"
)


class BookingImport(FileImport):
    """Books the clients of a file into events. The partition of a row is its event."""

    kind = "booking"
    partition_column = "event_id"

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._has_bulk = self.client.has_operation("bulk_create_event_appointments")
        #: Why the server may lack the bulk route, by the event of the request that showed it.
        self._without_bulk: dict[int, AltegioError] = {}
        #: The places of rows that must be sent alone.
        self._alone: set[int] = set()

    @cached_property
    def _meant(self) -> dict[str, int]:
        """Return the events that rows name by their start, by the hash of the reference."""
        return {}

    @cached_property
    def _events(self) -> EventFinder:
        return EventFinder(self.client, self.location_id, self.timezone)

    def _row_handler(self, source: RowSource) -> Callable[[SourceRow], None]:
        options = self.options
        if options.send_sms and not self._has_bulk:
            raise ImportFileError(
                "send_sms=True needs the bulk request, which only route_family='locations' has. "
                "Set it in the connection's extra, or leave send_sms out."
            )
        columns = Columns.for_bookings(
            source.columns,
            column_mapping=options.column_mapping,
            defaults=options.defaults,
            event_id=options.event_id,
        )
        validator = Validator(
            columns,
            timezone=self.timezone,
            default_region=options.default_region,
            route_family=self.client.route_family,
            facts=column_facts(source, columns),
        )

        def plan(row: SourceRow) -> None:
            checked = validator.check(row)
            if isinstance(checked, BookingRequest):
                self._add_row(row, checked)
            else:
                reasons = [f"{issue.column}: {issue.message} (found: {issue.shape})" for issue in checked]
                self.store.reject(row, reasons)

        return plan

    def _add_row(self, row: SourceRow, request: BookingRequest) -> None:
        found = self._event_of(request)
        if isinstance(found, str):
            self.store.reject(row, [found])
            return
        appointment = request.appointment()
        if self.options.send_sms and not fits_bulk(appointment):
            self.store.reject(row, [_NO_MESSAGE])
            return
        key, content = self._keys(request, found)
        self._accept(
            row,
            key,
            found,
            appointment,
            seats=request.seats,
            content=content if request.external_id is not None else None,
        )

    def _keys(self, request: BookingRequest, event_id: int) -> tuple[str, str]:
        """Return the row's key in the ledger, and the key that it has without its ``external_id``."""
        content = key_of(self.location_id, event_id, request.identity(), request.seats)
        if request.external_id is None:
            return content, content
        return key_of(self.location_id, "external_id", request.external_id), content

    def _event_of(self, request: BookingRequest) -> int | str:
        """Return the event of a row, or the reason why none was found.

        An event that cannot be looked up any more (past under ``locations``, moved or deleted) is taken from the
        ledger, but only for clients who are booked into it already.
        """
        if request.event_id is not None:
            return request.event_id
        if request.event is None:
            raise AssertionError("a validated row has an event")
        reference = key_of(self.location_id, *request.event.name())
        found = self._events.find(request.event)
        if not isinstance(found, str):
            self._meant[reference] = found
            return found

        def booked_into(session: Session) -> int | None:
            for event_id in session.references.events_of(reference):
                key, content = self._keys(request, event_id)
                known = session.entries({key: content}).get(key)
                if known is not None and known.content == content:
                    return event_id
            return None

        event_id = self.ledger.transact(booked_into)
        return found if event_id is None else event_id

    def _apply_ledger(self) -> None:
        self.ledger.transact(lambda session: session.references.remember(self._meant))
        super()._apply_ledger()

    def _why_duplicate(self, first: Pending, body: Mapping[str, Any]) -> str:
        reason = super()._why_duplicate(first, body)
        if are_named_alike(first.body["client"], body["client"]):
            return reason
        return (
            f"{reason} with another name: if two people share a phone (or e-mail), give each row an external_id, "
            "or the visitor's name as comer_name"
        )

    def _check_availability(self) -> None:
        """Reject the rows for which their event has no seat left, in input order."""
        if not self.options.check_seats:
            return
        partitions = [partition for partition, _ in self.store.partitions()]
        with ThreadPoolExecutor(self.options.concurrency) as pool:
            seats = dict(zip(partitions, pool.map(self._events.seats, partitions), strict=True))
        wanted: Counter[int] = Counter()
        for chunk in self.store.with_status(Status.NOT_SENT):
            may_have_seats = self.ledger.entries([row.key for row in chunk])
            for row in chunk:
                found = seats[row.partition]
                if isinstance(found, str):
                    self.store.settle(row.seq, Status.REJECTED, reasons=[found])
                elif found is not None and row.key not in may_have_seats:
                    if wanted[row.partition] + row.seats > found.free:
                        self.store.settle(row.seq, Status.REJECTED, reasons=[_no_seat(row, found)])
                    else:
                        wanted[row.partition] += row.seats

    def _largest_batch(self, first: Pending) -> int:
        return MAX_BULK_ROWS if self._goes_in_bulk(first) else 1

    def _joins(self, _first: Pending, row: Pending) -> bool:
        return self._goes_in_bulk(row)

    def _goes_in_bulk(self, row: Pending) -> bool:
        return (
            self._has_bulk
            and row.partition not in self._without_bulk
            and row.seq not in self._alone
            and fits_bulk(row.body)
        )

    def _post_rows(self, rows: Sequence[Pending]) -> Sequence[Reply]:
        if len(rows) == 1 and not self.options.send_sms:
            return [self._post_alone(rows[0])]
        event_id = rows[0].partition
        try:
            replies = self.client.bulk_create_event_appointments(
                self.location_id, event_id, [row.body for row in rows], send_sms=self.options.send_sms
            )
        except (AltegioNotFoundError, AltegioAuthError) as error:
            if error.status not in _NO_ROUTE or self.options.send_sms:
                raise
            # It may be the route or the event: the rows go alone, and show it.
            self._without_bulk[event_id] = error
            return [NotTaken()] * len(rows)
        except (AltegioValidationError, AltegioConflictError) as error:
            if len(rows) == 1:
                raise
            return self._refused_together(rows, error)
        return [_reply_of(reply, event_id) for reply in replies]

    def _refused_together(self, rows: Sequence[Pending], error: AltegioError) -> Sequence[Reply]:
        """Return the replies to rows that were refused as a whole, perhaps because of one of them."""
        faults = _faults_by_row(error, len(rows))
        if not faults:
            self._alone.update(row.seq for row in rows)
            return [NotTaken()] * len(rows)
        return [faults.get(place) or NotTaken() for place in range(len(rows))]

    def _post_alone(self, row: Pending) -> Sent:
        sent = self._post(row)
        missing = self._without_bulk.get(row.partition)
        if missing is not None and self._has_bulk:
            self._has_bulk = False
            log.warning("The server does not take bulk bookings (%s). The rows are booked one by one.", missing.summary)
        return sent

    def _post(self, row: Pending) -> Sent:
        record = self.client.create_event_appointment(self.location_id, row.partition, row.body)
        record_id = record.get("id")
        if not isinstance(record_id, int) or record_id < 1:
            raise AltegioResponseOutcomeUnknownError(
                "the answer is invalid: it lacks the id of the appointment.", method="POST"
            )
        return Sent(record_id, missing_event_remark(record, row.partition))

    def _search(
        self, event_id: int, rows: Sequence[Pending], taken: Callable[[Sequence[int]], set[int]]
    ) -> dict[str, Verdict]:
        sought = [lost_booking_of(row.key, row.body) for row in rows]
        return find_lost_bookings(self.client, self.location_id, event_id, sought, taken, self._events)


def _reply_of(reply: Mapping[str, Any] | BulkRefusal, event_id: int) -> Reply:
    if isinstance(reply, BulkRefusal):
        return AltegioValidationError("refused:", message=reply.reason)
    return Sent(reply["id"], missing_event_remark(reply, event_id))


def _faults_by_row(error: AltegioError, rows: int) -> dict[int, AltegioValidationError]:
    """Return what is wrong with which rows of a bulk request, if the error names rows: ``records.3.phone``."""
    errors: dict[int, dict[str, list[str]]] = {}
    for field, texts in error.errors.items():
        found = _ROW_FIELD.fullmatch(field)
        if found is None or int(found[1]) >= rows:
            return {}
        errors.setdefault(int(found[1]), {})[found[2] or "row"] = texts
    return {place: AltegioValidationError("refused.", errors=fields) for place, fields in errors.items()}


def _no_seat(row: Pending, seats: Seats) -> str:
    return (
        f"event {row.partition} has at most {seats.free} of {seats.capacity} seats free, "
        f"and this row and the rows before it need more"
    )
