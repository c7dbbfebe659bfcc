"""Operators that write rows of the API to a Parquet dataset. Their memory does not grow with the number of rows."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from altegio_provider.transfers.base import BaseExtractOperator

if TYPE_CHECKING:
    from altegio_provider.common.location_time import TimeRange
    from altegio_provider.hooks.altegio import AltegioHook
    from altegio_provider.tables.convert.pseudonyms import Pseudonymizer
    from altegio_provider.tables.dataset.dataset import ParquetDataset
    from altegio_provider.transfers.extract import ExtractInput

__all__ = ["AltegioActivitiesToParquetOperator", "AltegioAppointmentsToParquetOperator"]

#: A retry uses the answers that an attempt saved within this time.
_FRESH_FOR = timedelta(hours=24)
#: The manifest's note on what a file lacks that was made from appointments.
_LACKS = "events that nobody booked, unless an earlier extract read them"
#: The objects to include in each appointment, besides client and visitor.
_IMPERSONAL_OBJECTS = ("staff", "services", "labels")


class AltegioActivitiesToParquetOperator(BaseExtractOperator):
    """Write the activities of a location that start in ``[date_from, date_to)`` to a Parquet dataset.

    Schedule it daily with a ``CronDataIntervalTimetable`` (on Airflow 3 a plain cron schedule has a data interval of
    zero length), or give it a range. A run *replaces* the rows of an earlier run with the same range and location.
    Activities that were deleted since are kept, with ``is_deleted``. A file becomes visible when it is complete:
    readers never see a partial run, and a killed task leaves no visible files. A run without rows writes a file that
    has only the schema.

    Operation: ``GET /companies/{id}/activities`` or ``GET /locations/{id}/events``. The latter lists only future
    events: give it a future range such as now to now + 30 days, or ``history=True`` for a past range. With
    ``history=True`` the operations are ``GET /locations/{id}/appointments``, and
    ``GET /locations/{id}/events/{event_id}`` for each event that has an appointment. A retry continues after the last
    answer (:mod:`altegio_provider.transfers.history`, ``docs/howto/history.md``).

    :param output_path: the dataset: a directory, as any URL that ``ObjectStoragePath`` accepts (``file://``,
        ``s3://conn@bucket/…``, a plain path), or one file, if it ends in ``.parquet``. Templated.
    :param location_id: the location; default: the connection's. Templated.
    :param date_from: the start: ISO 8601 text or a datetime; a naive one is on the location's wall clock.
        Default: the start of the data interval. Templated.
    :param date_to: the end, not included. Default: the end of the data interval. Templated.
    :param staff_ids: only these team members' activities: a list, or text such as ``5,10``. Templated.
    :param service_ids: only these services' activities: a list, or text such as ``5,10``. Templated.
    :param capacity: only activities of this capacity, by the API's filter. Templated.
    :param search: only activities with this text in the name or description (``companies`` only). Templated.
    :param timezone: the location's IANA time zone; default: the connection's. Templated.
    :param lookback: moves the start back by this time, to read events again that were changed late.
    :param history: rebuild a past range from its appointments (``locations`` only, without filters). This cannot find
        events that nobody booked: they are kept as an earlier run read them, or are missing, and the manifest's notes
        say so. Under ``companies``, whose list has the past, it is an error.
    :param mark_deleted: keep rows of earlier runs that the API does not list any more, with ``is_deleted``; ``False``
        drops them. A run with filters marks nothing, and drops the rows that it does not read.
    :param transform: a function from DataFrame to DataFrame, or its import path, called for each chunk of rows before
        they are written. The DataFrame has Arrow-backed types. All results of a run must have the same schema.
    :param concurrency: the maximum number of simultaneous requests.
    :param page_size: rows for each request; default: the API's own.
    :param file_mode: the permissions of the files on a disk, such as ``0o640`` or ``"0640"``; default: those that the
        process gives to new files.
    :param altegio_conn_id: the connection. Templated.
    :returns: in XCom and on the asset events of the outlets: ``path``, ``files``, ``rows``, ``bytes``, ``requests``,
        ``retries``, ``from``, ``to``, ``location_id``, ``texts_replaced`` (how many texts had characters that a
        warehouse cannot store), and, if rows of earlier runs are kept, ``deleted`` (how many are marked).
    :raises AltegioValidationError: an argument is invalid. Nothing was written.
    :raises AltegioError: a request failed. The dataset was not changed.
    :raises StorageError: the disk or the store does not accept the file. The dataset was not changed.
    """

    template_fields: Sequence[str] = (
        *BaseExtractOperator.template_fields,
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
            # If the list has no past events, an event that started during this run was not deleted.
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
        """Return the filters that are set."""
        from altegio_provider.operators.arguments import ids_of, number_of

        filters = {
            "staff_ids": ids_of("staff_ids", self.staff_ids),
            "service_ids": ids_of("service_ids", self.service_ids),
            "capacity": number_of("capacity", self.capacity),
            "search": self.search or None,
        }
        return {name: value for name, value in filters.items() if value not in (None, [])}


def _check_history(lists_the_past: bool, filters: dict[str, Any]) -> None:
    from altegio_provider.api.arguments import argument_error
    from altegio_provider.api.errors import AltegioValidationError

    if lists_the_past:
        raise argument_error(
            "history",
            "is only for route_family='locations'",
            "Omit it: under this connection's route family, the list has past events, even those that nobody booked.",
        )
    if filters:
        raise AltegioValidationError(
            "history=True cannot be combined with filters.",
            errors={name: ["omit it"] for name in filters},
            hint="A run replaces all rows of its range, so it must read all of them.",
        )


class AltegioAppointmentsToParquetOperator(BaseExtractOperator):
    """Write the appointments of a location that start in ``[date_from, date_to)`` to a Parquet dataset.

    Past and future ranges are possible under both route families. A run replaces its own range, completely or not at
    all, as with :class:`AltegioActivitiesToParquetOperator`. A deleted appointment is removed, and not kept with
    ``is_deleted``, so that the erased bookings of a person do not stay in a file. Attendance is often set hours or
    days after the event: use a ``lookback``.

    **Personal data** (names, phones, e-mails, birthdays, free texts) are neither requested nor written unless
    ``include_personal_data=True``; the columns exist in both cases. To count clients and to join them to other data
    without knowing them, use ``client_id`` and, with ``hash_key_conn_id``, the keyed hashes of phone and e-mail. A
    key gives the same hashes in every run and location. ``docs/schema.md`` says which values are written.

    Operation: ``GET /locations/{id}/appointments``.

    :param output_path: the dataset: a directory, as any URL that ``ObjectStoragePath`` accepts, or one file, if it
        ends in ``.parquet``. Not the dataset of the activities. Templated.
    :param location_id: the location; default: the connection's. Templated.
    :param date_from: the start: ISO 8601 text or a datetime; a naive one is on the location's wall clock.
        Default: the start of the data interval. Templated.
    :param date_to: the end, not included. Default: the end of the data interval. Templated.
    :param include_personal_data: whether the personal columns are filled.
    :param hash_key_conn_id: a connection of any type whose password is the key of the hashes: a secret of 16
        characters or more, for example from ``openssl rand -hex 32``. Without it, the hash columns are null. Templated.
    :param timezone: the location's IANA time zone; default: the connection's. Templated.
    :param lookback: moves the start back by this time, to read appointments again that were changed late.
    :param transform: a function from DataFrame to DataFrame, or its import path, called for each chunk of rows before
        they are written. The DataFrame has Arrow-backed types. All results of a run must have the same schema.
    :param concurrency: the maximum number of simultaneous requests.
    :param page_size: rows for each request; maximum and default: 250.
    :param file_mode: the permissions of the files on a disk, such as ``0o640`` or ``"0640"``; default: ``0o600`` with
        personal data, so that no other user of the machine can read them, otherwise those of any new file.
    :param altegio_conn_id: the connection. Templated.
    :returns: in XCom and on the asset events of the outlets: ``path``, ``files``, ``rows``, ``bytes``, ``requests``,
        ``retries``, ``from``, ``to``, ``location_id`` and ``texts_replaced`` (how many texts had characters that a
        warehouse cannot store). It has no data of appointments.
    :raises AltegioValidationError: an argument or the key is invalid. Nothing was written.
    :raises AltegioAuthError: the user has no right to see appointments.
    :raises AltegioError: a request failed. The dataset was not changed.
    :raises StorageError: the disk or the store does not accept the file. The dataset was not changed.
    """

    template_fields: Sequence[str] = (*BaseExtractOperator.template_fields, "hash_key_conn_id")

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
            self.log.info("hash_key_conn_id is not set, so client_phone_hash and client_email_hash are null")
        people = [
            *(["client"] if include_personal_data or pseudonyms else []),
            *(["comer"] if include_personal_data else []),
        ]
        appointments = hook.appointments_starting_between(
            dataset.location_id,
            window.start,
            window.end,
            include=(*_IMPERSONAL_OBJECTS, *people),
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
