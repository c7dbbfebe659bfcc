"""From the API into Parquet files, with memory that does not grow with the rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from altegio_provider.transfers.base import ParquetExtractOperator

if TYPE_CHECKING:
    from altegio_provider.common.location_time import TimeRange
    from altegio_provider.hooks.altegio import AltegioHook
    from altegio_provider.tables.convert.pseudonyms import Pseudonymizer
    from altegio_provider.tables.dataset.dataset import ParquetDataset
    from altegio_provider.transfers.extract import ExtractInput

__all__ = ["AltegioActivitiesToParquetOperator", "AltegioAppointmentsToParquetOperator"]

#: How long the answers to a task that died are still true enough for its retry.
_FRESH_FOR = timedelta(hours=24)
#: What the manifest says of a file that was made from bookings.
_LACKS = "classes that nobody booked, unless an earlier extract saw them"
#: What is joined to each appointment: the salon's own things always, people where they are used.
_THINGS = ("staff", "services", "labels")


class AltegioActivitiesToParquetOperator(ParquetExtractOperator):
    """Write the activities of a location that start in ``[date_from, date_to)`` into a Parquet dataset.

    Use it daily with a ``CronDataIntervalTimetable`` (on Airflow 3 a plain cron schedule gives an interval of zero
    length), or with a range of your own. A run *replaces* what an earlier run of the same range and location
    wrote; what has gone since stays, with ``is_deleted``. New files are complete before they become visible: a
    reader never sees half a run, and a killed task leaves nothing that a reader would take for data. No rows still
    give a file with the schema.

    Operation: ``GET /companies/{id}/activities`` or ``GET /locations/{id}/events``. The latter lists the future
    only: give it a forward range such as now to now + 30 days, or ``history=True`` for the past: then it is
    ``GET /locations/{id}/appointments``, and ``GET /locations/{id}/events/{event_id}`` for each event that they name
    (:mod:`altegio_provider.transfers.history`; ``docs/howto/history.md``). A retry goes on behind the last answer.

    :param output_path: where the dataset is: a directory, as any URL that ``ObjectStoragePath`` takes
        (``file://``, ``s3://conn@bucket/…``, a plain path); or one file, where it ends in ``.parquet``. Templated.
    :param location_id: the location; default: the connection's. Templated.
    :param date_from: the start: ISO 8601 text or a datetime; a naive one is on the location's wall clock.
        Default: the start of the data interval. Templated.
    :param date_to: the end, not included. Default: the end of the data interval. Templated.
    :param staff_ids: only these team members' activities: a list, or text such as ``5,10``. Templated.
    :param service_ids: only these services' activities, likewise. Templated.
    :param capacity: as the API filters by it. Templated.
    :param search: text in the name or description (``companies`` only). Templated.
    :param timezone: the location's IANA time zone; default: the connection's. Templated.
    :param lookback: widens the range backwards, for events that were changed late.
    :param history: rebuild a past range from its appointments (``locations`` only, and without filters). Classes that
        nobody booked cannot be seen so: they stay as an earlier run saw them, or are missing, and the manifest's notes
        say that. ``companies`` lists the past itself: there it is an error.
    :param mark_deleted: keep the rows that earlier runs wrote for this range and the API does not list any more, with
        ``is_deleted``; ``False`` drops them. A run with filters drops what it does not read, and marks nothing.
    :param transform: a function from DataFrame to DataFrame, or its import path, applied chunk by chunk before
        writing. The DataFrame has Arrow-backed types; what comes back must keep one schema over the run.
    :param concurrency: requests under way at once, at most.
    :param page_size: rows a request; default: the API's own.
    :param file_mode: the permissions of the files on a disk, such as ``0o640`` or ``"0640"``; default: those that the
        process gives to new files.
    :param altegio_conn_id: the connection. Templated.
    :returns: by XCom and on the asset events of the outlets: ``path``, ``files``, ``rows``, ``bytes``,
        ``requests``, ``retries``, ``from``, ``to``, ``location_id``, ``texts_replaced`` (how many values had
        characters that a warehouse cannot hold), and where rows of earlier runs are kept ``deleted``: how many of them
        are marked.
    :raises AltegioValidationError: an argument cannot be right; nothing was touched.
    :raises AltegioError: what a request ended in; the old dataset stays as it was.
    :raises StorageError: the disk or the store does not take the file; the old dataset stays as it was.
    """

    template_fields: Sequence[str] = (
        *ParquetExtractOperator.template_fields,
        "staff_ids",
        "service_ids",
        "capacity",
        "search",
    )

    def __init__(
        self,
        *,
        staff_ids: Sequence[int] | str | None = None,
        service_ids: Sequence[int] | str | None = None,
        capacity: int | str | None = None,
        search: str | None = None,
        history: bool = False,
        mark_deleted: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.staff_ids = staff_ids
        self.service_ids = service_ids
        self.capacity = capacity
        self.search = search
        self.history = history
        self.mark_deleted = mark_deleted

    def _extract_input(
        self, hook: AltegioHook, dataset: ParquetDataset, window: TimeRange, timezone: str
    ) -> ExtractInput:
        from altegio_provider.api.arguments import checked_flag
        from altegio_provider.tables.convert.activities import ActivityConverter
        from altegio_provider.transfers.extract import ExtractInput

        history, mark_deleted = checked_flag("history", self.history), checked_flag("mark_deleted", self.mark_deleted)
        filters = self._filters()
        options: dict[str, Any] = {"page_size": self.page_size, "concurrency": self.concurrency, "timezone": timezone}
        if history:
            return self._history(hook, dataset, window, filters, options)
        client = hook.get_conn()
        rows = client.list_activities(dataset.location_id, window.start, window.end, **filters, **options)
        converter = ActivityConverter(dataset.location_id, timezone)
        if filters or not mark_deleted:
            return ExtractInput(rows, converter)
        previous = dataset.previous_rows(*window)

        def listed() -> Iterator[Mapping[str, Any]]:
            yield from rows
            # Where the past is not listed, a class that began while this was read is not gone.
            previous.complete_from = client.earliest_listed or window.start

        return ExtractInput(listed(), converter, previous=previous)

    def _history(
        self,
        hook: AltegioHook,
        dataset: ParquetDataset,
        window: TimeRange,
        filters: dict[str, Any],
        options: dict[str, Any],
    ) -> ExtractInput:
        from altegio_provider.tables.convert.activities import ActivityConverter
        from altegio_provider.transfers.extract import ExtractInput
        from altegio_provider.transfers.history import BookedEvents

        client = hook.get_conn()
        _check_history(client.lists_the_past, filters)
        saved = dataset.saved_answers("history", *window, _FRESH_FOR)
        events = BookedEvents(client, dataset.location_id, *window, saved=saved, **options)
        notes = {"source": "history", "lacks": _LACKS, "not_found": 0}

        def booked() -> Iterator[Mapping[str, Any]]:
            with saved:
                yield from events.rows()
            events.warn(self.log)
            notes["not_found"] = events.not_found

        converter = ActivityConverter(dataset.location_id, options["timezone"], saved.began_at)
        return ExtractInput(
            booked(), converter, notes, dataset.previous_rows(*window, marks_deleted=False), saved.clear
        )

    def _filters(self) -> dict[str, Any]:
        """The filters that are set."""
        from altegio_provider.operators.arguments import ids_of, number_of

        filters = {
            "staff_ids": ids_of("staff_ids", self.staff_ids),
            "service_ids": ids_of("service_ids", self.service_ids),
            "capacity": number_of("capacity", self.capacity),
            "search": self.search or None,
        }
        return {name: value for name, value in filters.items() if value not in (None, [])}


def _check_history(lists_the_past: bool, filters: dict[str, Any]) -> None:
    from altegio_provider.api.errors import AltegioValidationError

    if lists_the_past:
        raise AltegioValidationError(
            "history=True is for route_family='locations', whose list knows no past. The family of this connection "
            "lists the past itself, and with it the classes that nobody booked.",
            errors={"history": ["leave it out"]},
            hint="",
        )
    if filters:
        raise AltegioValidationError(
            "history=True takes no filters: a run replaces what is there of its range.",
            errors={name: ["leave it out"] for name in filters},
            hint="",
        )


class AltegioAppointmentsToParquetOperator(ParquetExtractOperator):
    """Write the appointments of a location that start in ``[date_from, date_to)`` into a Parquet dataset.

    The past is allowed, under either family of routes: the same service answers both, and this list is its only one.
    The dataset is written as by :class:`AltegioActivitiesToParquetOperator`: a run replaces its own range, whole or
    not at all. An appointment that has been deleted since is gone from it then, and not kept with a mark: who has had
    their bookings erased is not to live on in a file. Attendance is marked after a class, and sometimes days after:
    give a ``lookback``.

    **Personal data** (names, phones, e-mails, birthdays, free texts) are left out, and not even asked for, unless
    ``include_personal_data=True``; the columns are there in either case. To tell clients apart and to join them to
    other data without knowing them, there are their ``client_id`` and, with ``hash_key_conn_id``, keyed hashes of
    phone and e-mail, the same in every run and location that has the key. ``docs/schema.md`` says what passes.

    Operation: ``GET /locations/{id}/appointments``.

    :param output_path: where the dataset is, as any URL that ``ObjectStoragePath`` takes; not the activities' one.
        One file, where it ends in ``.parquet``. Templated.
    :param location_id: the location; default: the connection's. Templated.
    :param date_from: the start: ISO 8601 text or a datetime; a naive one is on the location's wall clock.
        Default: the start of the data interval. Templated.
    :param date_to: the end, not included. Default: the end of the data interval. Templated.
    :param include_personal_data: whether the personal columns are filled.
    :param hash_key_conn_id: a connection, of any type, whose password is the key of the hashes: a secret of 16
        characters or more, such as ``openssl rand -hex 32`` makes. Without, the columns of hashes are null. Templated.
    :param timezone: the location's IANA time zone; default: the connection's. Templated.
    :param lookback: widens the range backwards, for appointments that were changed late.
    :param transform: a function from DataFrame to DataFrame, or its import path, applied chunk by chunk before
        writing. The DataFrame has Arrow-backed types; what comes back must keep one schema over the run.
    :param concurrency: requests under way at once, at most.
    :param page_size: rows a request, 250 at the most and by default.
    :param file_mode: the permissions of the files on a disk, such as ``0o640`` or ``"0640"``; default: with personal
        data ``0o600``, so that no other user of that machine reads them, otherwise those of any new file.
    :param altegio_conn_id: the connection. Templated.
    :returns: by XCom and on the asset events of the outlets: ``path``, ``files``, ``rows``, ``bytes``,
        ``requests``, ``retries``, ``from``, ``to``, ``location_id`` and ``texts_replaced`` (how many values had
        characters that a warehouse cannot hold); nothing of any appointment.
    :raises AltegioValidationError: an argument or the key cannot be right; nothing was touched.
    :raises AltegioAuthError: the user has no right to see appointments.
    :raises AltegioError: what a request ended in; the old dataset stays as it was.
    :raises StorageError: the disk or the store does not take the file; the old dataset stays as it was.
    """

    template_fields: Sequence[str] = (*ParquetExtractOperator.template_fields, "hash_key_conn_id")

    def __init__(
        self, *, include_personal_data: bool = False, hash_key_conn_id: str | None = None, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.include_personal_data = include_personal_data
        self.hash_key_conn_id = hash_key_conn_id

    def _extract_input(
        self, hook: AltegioHook, dataset: ParquetDataset, window: TimeRange, timezone: str
    ) -> ExtractInput:
        from altegio_provider.api.arguments import checked_flag
        from altegio_provider.tables.convert.appointments import AppointmentConverter
        from altegio_provider.transfers.extract import ExtractInput

        include_personal_data = checked_flag("include_personal_data", self.include_personal_data)
        pseudonyms = self._pseudonyms()
        if pseudonyms is None and not include_personal_data:
            self.log.info("No hash_key_conn_id: client_phone_hash and client_email_hash stay null")
        people = [
            *(["client"] if include_personal_data or pseudonyms else []),
            *(["comer"] if include_personal_data else []),
        ]
        appointments = hook.appointments_starting_between(
            dataset.location_id,
            window.start,
            window.end,
            include=(*_THINGS, *people),
            page_size=self.page_size,
            concurrency=self.concurrency,
            timezone=timezone,
        )
        converter = AppointmentConverter(
            dataset.location_id, timezone, include_personal_data=include_personal_data, pseudonyms=pseudonyms
        )
        notes = {"personal_data": include_personal_data}
        return ExtractInput(appointments, converter, notes, is_personal=include_personal_data)

    def _pseudonyms(self) -> Pseudonymizer | None:
        if self.hash_key_conn_id in (None, "", "None"):
            return None
        from altegio_provider.transfers.extract import pseudonyms_from_connection

        return pseudonyms_from_connection(str(self.hash_key_conn_id))
