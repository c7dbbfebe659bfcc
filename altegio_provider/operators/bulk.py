"""Bulk operations: what a table says, done once for each row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from altegio_provider.operators.bulk import BulkOperator

if TYPE_CHECKING:
    from altegio_provider.imports.engine.file_import import FileImport

__all__ = ["AltegioCreateAppointmentsOperator", "AltegioCreateEventsOperator"]


class AltegioCreateAppointmentsOperator(BulkOperator):
    """Book the clients of a table into events, each exactly once.

    The API books one client per request, has no idempotency key, and loses an answer now and then. So each row has an
    entry in a ledger, written before its request goes: a retry, a rerun, the same file next week, or two workers at
    once on one file book nobody twice. A row whose answer was lost is looked for in Altegio before it is sent again,
    and where that brings no certainty it stays in doubt, and the task fails and says so.

    Everything is checked before anything is sent: see ``docs/howto/import-bookings.md`` for the columns, and
    ``docs/reliability.md`` for what is promised.

    Operation: ``POST …/activities/{event_id}/records`` or ``POST …/events/{event_id}/appointments``, once a row.

    :param source: a path or URL (any ``ObjectStoragePath``) of CSV, TSV, JSON Lines, Parquet or XLSX; or a list of
        mappings or a DataFrame from an upstream task. Templated.
    :param sql: instead of ``source``, a query whose rows are read. Templated.
    :param sql_conn_id: the database connection of the query.
    :param location_id: the location; default: the connection's. Templated.
    :param event_id: the event of all rows that name none. Templated.
    :param column_mapping: heading to field, for headings that are not called like the API's fields; ``None`` drops
        a column.
    :param defaults: field to a constant, for rows that have no value.
    :param default_region: the country whose phones are written without ``+``, such as ``LV``. Templated.
    :param check_seats: ask each event for its free seats before anything is sent, which costs one request an event;
        without, the API rejects the rows that find no seat one by one.
    :param report_path: the folder for ``report.parquet``, ``report.csv`` and ``rejected.csv``. Templated.
    :param ledger_conn_id: the Airflow connection of the ledger's database, of type ``postgres``, ``mysql`` or
        ``sqlite``. Templated.
    :param ledger_url: instead of ``ledger_conn_id``, an SQLAlchemy URL. Airflow shows a password in it as ``***``.
        Default for both: the environment variable ``ALTEGIO_LEDGER``, which holds a connection id or a URL; else the
        file ``$AIRFLOW_HOME/altegio_ledger.db`` where the executor runs all tasks on one host, and an error where it
        may run them on several. Templated.
    :param dry_run: check everything, report, and send nothing. Templated.
    :param max_rejected: so many rows (``int``) or such a share (``float`` of 0 to 1) may be faulty; with more,
        nothing is sent. Templated.
    :param on_duplicate: what to do with a row that says what an earlier row of the file says: ``skip``, ``send`` or
        ``reject`` it.
    :param resend_in_doubt: send rows again that an earlier run left in doubt and that cannot be found: your decision.
        Templated.
    :param timezone: the location's IANA time zone; default: the connection's. Templated.
    :param source_format: ``csv``, ``tsv``, ``jsonl``, ``parquet`` or ``xlsx``, where the name does not tell.
    :param delimiter: of CSV, where it is not to be found out.
    :param encoding: of text, where it is not to be found out.
    :param settle_seconds: how long to wait before looking for what a lost answer left behind. The number of a new
        client can take 15 seconds to show.
    :param concurrency: rows under way at once, at most; the rows of one event go one by one, in input order.
    :param file_mode: the permissions of the report's files on a disk, such as ``0o640`` or ``"0640"``; default:
        ``0o600``, so that only the user who runs the task reads them.
    :param source_fingerprint: what a dry run returned as ``source_fingerprint``: the file is booked only if its
        content is still what was checked then, whoever could write to it meanwhile. Templated.
    :param altegio_conn_id: the connection. Templated.
    :returns: the number of ``rows`` and of each status (``created``, ``already_created``, ``duplicate``,
        ``rejected``, ``in_doubt``, ``not_sent``), the paths of the report, and of a file the ``source_fingerprint``,
        a hash of its content that is keyed by the connection's tokens: no names, no phones.
    :raises AirflowFailException: the file, too many of its rows, or the rights are not what they should be, or rows
        stay in doubt: a retry cannot help.
    :raises AirflowException: the import was stopped, or the server was ill: a retry goes on where it ended.
    """

    template_fields: Sequence[str] = (*BulkOperator.template_fields, "event_id", "default_region")

    def __init__(
        self,
        *,
        event_id: int | str | None = None,
        default_region: str | None = None,
        check_seats: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.check_seats = check_seats
        self.event_id = event_id
        self.default_region = default_region

    def _kind(self) -> type[FileImport]:
        from altegio_provider.imports.engine.bookings import BookingImport

        return BookingImport

    def _own_options(self) -> dict[str, Any]:
        from altegio_provider.transfers.extract import number_of

        return {
            "event_id": number_of("event_id", self.event_id),
            "default_region": self.default_region or None,
            "check_seats": self.check_seats,
        }


class AltegioCreateEventsOperator(BulkOperator):
    """Create the events of a timetable, each exactly once.

    Creating has no idempotency key either, so it goes through the same ledger as bookings: a retry, a rerun or the
    same file next week creates nothing twice, and an event whose answer was lost is looked for (same team member,
    service and start) before it is sent again.

    The columns are the API's fields (``staff_id``, ``service_id``, ``date``, ``length`` in seconds, ``capacity``,
    ``resource_instance_ids``, ``label_ids``, ``technical_break_duration``, ``comment``, ``instructions``,
    ``stream_link``, ``color``, ``force``), and ``repeat_until`` (a day, included) with ``weekdays`` (``mon,wed`` or
    ``1,3``; default: the day of ``date``) for classes that come every week, always at the same time on the
    location's wall clock; each class then has a line of its own in the report. ``external_id`` is the row's
    own key, where you have one: its classes, the first, the second ..., stand for the same team member, service and
    start for good, and a row that says otherwise is rejected.

    Operation: ``POST …/activities`` or ``POST …/events``, once a class.

    The arguments are those of :class:`AltegioCreateAppointmentsOperator`, but for ``event_id`` and
    ``default_region``; so is what it returns and raises.
    """

    def _kind(self) -> type[FileImport]:
        from altegio_provider.imports.engine.timetable import TimetableImport

        return TimetableImport
