"""Operators on appointments: bulk booking, and the single calls that the ``locations`` family of routes alone has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from altegio_provider.operators.bulk import BulkOperator
from altegio_provider.operators.personal import PersonalField, unwrap_personal
from altegio_provider.operators.single_call import (
    SingleCallOperator,
    integer_or_unchanged,
    no_retry_if_outcome_unknown,
    select_fields,
)

if TYPE_CHECKING:
    from datetime import datetime

    from altegio_provider.api.types import Appointment
    from altegio_provider.hooks.altegio import AltegioHook
    from altegio_provider.imports.engine.file_import import FileImport

__all__ = [
    "AltegioCreateAppointmentsOperator",
    "AltegioDeleteAppointmentOperator",
    "AltegioListAppointmentsOperator",
    "AltegioRescheduleAppointmentOperator",
    "AltegioUpdateAppointmentOperator",
]

#: The fields of an appointment that go to XCom: few, and without personal data.
_SUMMARY = ("id", "activity_id", "client_id", "clients_count", "date", "staff_id", "length", "attendance")
_PERSONAL = ("name", "surname", "phone", "email")
#: Maximum number of rows in XCom.
_MAX_ROWS = 1_000


class AltegioListAppointmentsOperator(SingleCallOperator):
    """List appointments, past ones too: of an event, of a client, or in a range of dates.

    The result goes to XCom, so it has ids and times, no personal data, and at most 1,000 appointments.

    Operation: ``GET /locations/{id}/appointments``; under ``companies`` the task fails and names the setting to change.

    :param event_id: list only the appointments of this event. Templated.
    :param client_id: list only the appointments of this client. Templated.
    :param date_from: list only the appointments that overlap ``[date_from, date_to)``: a datetime or ISO text; a naive
        one is in the location's time zone. ``date_from`` and ``date_to`` must be given together. Templated.
    :param date_to: the end, not included. Templated.
    :param include_personal_data: put the client's name, phone and e-mail into XCom too, under ``client``.
    :param location_id: the location; default: the connection's. Templated.
    :param altegio_conn_id: the connection. Templated.
    :returns: ``{"count": …, "clients_count": …, "appointments": [{"id": …, "activity_id": …, …}]}``; the second is
        the sum of the seats.
    :raises AltegioValidationError: an argument is invalid, there are more than 1,000 appointments, or the family is
        ``companies``.
    """

    template_fields: Sequence[str] = (
        *SingleCallOperator.template_fields,
        "event_id",
        "client_id",
        "date_from",
        "date_to",
    )

    def __init__(
        self,
        *,
        event_id: int | str | None = None,
        client_id: int | str | None = None,
        date_from: datetime | str | None = None,
        date_to: datetime | str | None = None,
        include_personal_data: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.event_id = event_id
        self.client_id = client_id
        self.date_from = date_from
        self.date_to = date_to
        self.include_personal_data = include_personal_data

    def _call(self, hook: AltegioHook, location_id: int) -> dict[str, Any]:
        from altegio_provider.api.errors import AltegioValidationError

        appointments = hook.list_appointments(
            location_id,
            event_id=integer_or_unchanged(self.event_id),
            client_id=integer_or_unchanged(self.client_id),
            date_from=self.date_from,
            date_to=self.date_to,
            include=("client",) if self.include_personal_data else (),
        )
        rows = list(islice(appointments, _MAX_ROWS + 1))
        if len(rows) > _MAX_ROWS:
            raise AltegioValidationError(
                f"there are more than {_MAX_ROWS} appointments, which are too many for XCom.",
                errors={"date_to": ["shorten the range, or set event_id or client_id"]},
                hint="Use AltegioAppointmentsToParquetOperator for more.",
            )
        return {
            "count": len(rows),
            "clients_count": sum(row.get("clients_count") or 0 for row in rows),
            "appointments": [self._shown(row) for row in rows],
        }

    def _shown(self, row: Mapping[str, Any]) -> dict[str, Any]:
        shown = select_fields(row, _SUMMARY)
        if self.include_personal_data:
            shown["client"] = select_fields(row.get("client") or {}, _PERSONAL)
        return shown


class _RecordOperator(SingleCallOperator):
    template_fields: Sequence[str] = (*SingleCallOperator.template_fields, "event_id", "record_id")
    also_named: Sequence[str] = ("record_id",)

    def __init__(self, *, event_id: int | str, record_id: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event_id = event_id
        self.record_id = record_id


class AltegioUpdateAppointmentOperator(_RecordOperator):
    """Change an appointment, its price, comment, tags, colour or seats, and keep the rest of it.

    The API rewrites a booking: it drops the tags and goods that are not sent, and sets the price anew. So the booking
    is read first, and its tags and price are sent back with the change. A booking with goods is refused unless
    ``changes`` gives them.

    A change whose answer is lost is sent again, which sets the same. One with ``attendance_good_items`` is not sent
    again, because new goods might be added twice: then the task fails.

    Operation: ``GET /locations/{id}/appointments`` and
    ``PUT /locations/{id}/events/{event_id}/appointments/{record_id}``; under ``companies`` the task fails and names
    the setting to change.

    :param event_id: the event of the appointment. Templated.
    :param record_id: the appointment. Templated.
    :param changes: what to change, in the API's names: ``attendance_service_item`` (``cost_per_unit``,
        ``discount_percent``, ``manual_cost``), ``comment``, ``label_ids``, ``color``, ``clients_count``,
        ``attendance_good_items``. ``None`` clears a comment, the tags or the colour. Templated.
    :param replace: send ``changes`` as they are, without reading the booking. What they do not name is lost, and
        ``attendance_service_item`` is required.
    :param location_id: the location; default: the connection's. Templated.
    :param altegio_conn_id: the connection. Templated.
    :returns: the appointment's id, event, client, seats and time.
    :raises AltegioValidationError: a field cannot be right, the booking has goods that ``changes`` does not give, or
        the answer does not show what must be kept, and nothing was sent; or the API refused it.
    :raises AltegioNotFoundError: the event has no such appointment.
    :raises AirflowFailException: the answer was lost, and sending it again might do more than once.
    """

    template_fields: Sequence[str] = (*_RecordOperator.template_fields, "changes")
    changes = PersonalField(texts_are_personal=True)

    def __init__(self, *, changes: Mapping[str, Any], replace: bool = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.changes = changes
        self.replace = replace

    def _call(self, hook: AltegioHook, location_id: int) -> dict[str, Any]:
        from altegio_provider.api.writes.repeatable import repeat_until_answered

        event_id, record_id = integer_or_unchanged(self.event_id), integer_or_unchanged(self.record_id)
        changes = unwrap_personal(self.changes)

        def change() -> Appointment:
            return hook.update_event_appointment(location_id, event_id, record_id, changes, replace=self.replace)

        if isinstance(changes, Mapping) and changes.get("attendance_good_items"):
            with no_retry_if_outcome_unknown():
                return select_fields(change(), _SUMMARY)
        return select_fields(repeat_until_answered(change), _SUMMARY)


class AltegioRescheduleAppointmentOperator(_RecordOperator):
    """Move an appointment to another event.

    The API moves a booking only while it waits and is unpaid, out of an event that is not over, into one that lies
    ahead, has the seats free, and does not have the client yet. When the answer is lost, the appointment is looked for
    in the other event before it is moved again.

    Operation: ``PATCH /locations/{id}/events/{event_id}/appointments/{record_id}``; under ``companies`` the task fails
    and names the setting to change.

    :param event_id: the event of the appointment. Templated.
    :param record_id: the appointment. Templated.
    :param to_event_id: the event to move it to. Templated.
    :param with_comer: whether the visitor who comes in the client's place is moved too.
    :param clients_count: seats in the new event; ``None`` keeps the number. Templated.
    :param location_id: the location; default: the connection's. Templated.
    :param altegio_conn_id: the connection. Templated.
    :returns: the appointment's id, event, client, seats and time.
    :raises AltegioValidationError: an argument cannot be right, and nothing was sent; or the API refused it, and the
        error names the rules.
    :raises AltegioNotFoundError: the event has no such appointment, or the other event does not exist.
    """

    template_fields: Sequence[str] = (*_RecordOperator.template_fields, "to_event_id", "clients_count")
    also_named = ("record_id", "to_event_id")

    def __init__(
        self,
        *,
        to_event_id: int | str,
        with_comer: bool = True,
        clients_count: int | str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.to_event_id = to_event_id
        self.with_comer = with_comer
        self.clients_count = clients_count

    def _call(self, hook: AltegioHook, location_id: int) -> dict[str, Any]:
        from altegio_provider.api.writes.repeatable import reschedule_until_seen

        moved = reschedule_until_seen(
            hook.get_conn(),
            location_id,
            integer_or_unchanged(self.event_id),
            integer_or_unchanged(self.record_id),
            integer_or_unchanged(self.to_event_id),
            with_comer=self.with_comer,
            clients_count=integer_or_unchanged(self.clients_count),
        )
        return select_fields(moved, _SUMMARY)


class AltegioDeleteAppointmentOperator(SingleCallOperator):
    """Delete an appointment. If the answer is lost, the request is repeated; a 404 is a success then.

    Operation: ``DELETE /locations/{id}/appointments/{appointment_id}``; under ``companies`` the task fails and names
    the setting to change.

    :param appointment_id: the appointment. Templated.
    :param missing_ok: do not fail if the appointment does not exist any more.
    :param location_id: the location; default: the connection's. Templated.
    :param altegio_conn_id: the connection. Templated.
    :returns: ``{"id": …, "deleted": …}``; ``deleted`` is false if it did not exist any more.
    :raises AltegioNotFoundError: it does not exist and ``missing_ok`` is off, or the location does not exist.
    """

    template_fields: Sequence[str] = (*SingleCallOperator.template_fields, "appointment_id")
    also_named = ("appointment_id",)

    def __init__(self, *, appointment_id: int | str, missing_ok: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.appointment_id = appointment_id
        self.missing_ok = missing_ok

    def _call(self, hook: AltegioHook, location_id: int) -> dict[str, Any]:
        appointment_id = integer_or_unchanged(self.appointment_id)

        def delete() -> None:
            hook.delete_appointment(location_id, appointment_id)

        return {"id": appointment_id, "deleted": self._deleted(hook, location_id, delete, missing_ok=self.missing_ok)}


class AltegioCreateAppointmentsOperator(BulkOperator):
    """Book the clients of a table into events, each exactly once.

    Under ``locations`` up to 50 rows of one event go in one request, if they have nothing but name, phone, e-mail,
    client's id and seats. Other rows go one by one, and so do all rows under ``companies`` and on a server without that
    route.
    The API has no idempotency key, and loses an answer now and then. So each row has an entry in a ledger, written
    before its request goes: a retry, a rerun, the same file next week, or two workers at once on one file book nobody
    twice. A row whose answer was lost is looked for in Altegio before it is sent again, and where that brings no
    certainty it stays in doubt, and the task fails and says so.

    Everything is checked before anything is sent: see ``docs/howto/import-bookings.md`` for the columns, and
    ``docs/reliability.md`` for what is promised.

    Operation: ``POST …/activities/{event_id}/records`` or ``POST …/events/{event_id}/appointments``, once a row; or
    ``POST …/events/{event_id}/appointments/bulk``, once for up to 50 rows.

    :param source: a path or URL (any ``ObjectStoragePath``) of CSV, TSV, JSON Lines, Parquet or XLSX; or a list of
        mappings or a DataFrame from an upstream task. Templated.
    :param sql: instead of ``source``, a query whose rows are read. Templated.
    :param sql_conn_id: the database connection of the query.
    :param location_id: the location; default: the connection's. Templated.
    :param event_id: the event of rows that name none. Templated.
    :param column_mapping: heading to field, for headings that differ from the API's fields; ``None`` ignores a column.
    :param defaults: field to value, for rows without one.
    :param default_region: the country of phones without ``+``, such as ``LV``. Templated.
    :param check_seats: request the free seats of each event before anything is sent: one request for each event.
        Without it, the API rejects the rows without a seat one by one.
    :param send_sms: let the API send a message to each client who is booked. It needs ``route_family="locations"``, and
        rows with nothing but name, phone, e-mail, client's id and seats; others are rejected.
    :param report_path: the folder for ``report.parquet``, ``report.csv`` and ``rejected.csv``. Templated.
    :param ledger_conn_id: the Airflow connection of the ledger's database, of type ``postgres``, ``mysql`` or
        ``sqlite``. Templated.
    :param ledger_url: instead of ``ledger_conn_id``, an SQLAlchemy URL. Airflow shows a password in it as ``***``.
        Default for both: the environment variable ``ALTEGIO_LEDGER``, which holds a connection id or a URL; else the
        file ``$AIRFLOW_HOME/altegio_ledger.db`` where the executor runs all tasks on one host, and an error where it
        may run them on several. Templated.
    :param dry_run: check everything, write the report, and send nothing. Templated.
    :param max_rejected: how many rows (``int``) or which share of the rows (``float`` of 0 to 1) may be faulty. If more
        are, nothing is sent. Templated.
    :param on_duplicate: what to do with a row that repeats an earlier row of the file: ``skip``, ``send`` or
        ``reject`` it.
    :param resend_in_doubt: send rows again that an earlier run left in doubt and that a search does not find. Check in
        Altegio first. Templated.
    :param timezone: the location's IANA time zone; default: the connection's. Templated.
    :param source_format: ``csv``, ``tsv``, ``jsonl``, ``parquet`` or ``xlsx``, if the name does not show it.
    :param delimiter: the delimiter of CSV; default: detected.
    :param encoding: the encoding of text; default: detected.
    :param settle_seconds: how long to wait before searching for a row whose answer was lost. The id of a new client
        can take 15 seconds to appear.
    :param concurrency: maximum number of requests under way at once; those of one event go one by one, in input
        order.
    :param file_mode: the permissions of the report's files on a disk, such as ``0o640`` or ``"0640"``; default:
        ``0o600``, so that only the user who runs the task reads them.
    :param source_fingerprint: what a dry run returned as ``source_fingerprint``: the file is booked only if its
        content is still what was checked then, whoever could write to it meanwhile. Templated.
    :param altegio_conn_id: the connection. Templated.
    :returns: the number of ``rows`` and of each status (``created``, ``already_created``, ``duplicate``,
        ``rejected``, ``in_doubt``, ``not_sent``), the paths of the report, and of a file the ``source_fingerprint``,
        a hash of its content that is keyed by the connection's tokens: no names, no phones.
    :raises AirflowFailException: the file is invalid, too many rows are faulty, rights are missing, or rows stay in
        doubt: a retry cannot help.
    :raises AirflowException: the import was stopped, or the server failed: a retry continues it.
    """

    template_fields: Sequence[str] = (*BulkOperator.template_fields, "event_id", "default_region")

    def __init__(
        self,
        *,
        event_id: int | str | None = None,
        default_region: str | None = None,
        check_seats: bool = True,
        send_sms: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.check_seats = check_seats
        self.send_sms = send_sms
        self.event_id = event_id
        self.default_region = default_region

    def _kind(self) -> type[FileImport]:
        from altegio_provider.imports.engine.bookings import BookingImport

        return BookingImport

    def _own_options(self) -> dict[str, Any]:
        from altegio_provider.api.arguments import checked_flag
        from altegio_provider.operators.arguments import number_of

        return {
            "event_id": number_of("event_id", self.event_id),
            "default_region": self.default_region or None,
            "check_seats": self.check_seats,
            "send_sms": checked_flag("send_sms", self.send_sms, default=False),
        }
