"""Operators that write rows of the API to a Parquet dataset. Their memory does not grow with the number of rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from altegio_provider.transfers.base import BaseExtractOperator

if TYPE_CHECKING:
    from altegio_provider.common.location_time import TimeRange
    from altegio_provider.hooks.altegio import AltegioHook
    from altegio_provider.tables.convert.pseudonyms import Pseudonymizer
    from altegio_provider.tables.dataset.dataset import ParquetDataset
    from altegio_provider.transfers.extract import ExtractInput

__all__ = ["AltegioActivitiesToParquetOperator", "AltegioAppointmentsToParquetOperator"]

#: The objects to include in each appointment, besides client and visitor.
_IMPERSONAL_OBJECTS = ("staff", "services", "labels")


class AltegioActivitiesToParquetOperator(BaseExtractOperator):
    """Write the activities of a location that start in ``[date_from, date_to)`` to a Parquet dataset.

    Schedule it daily with a ``CronDataIntervalTimetable`` (on Airflow 3 a plain cron schedule has a data interval of
    zero length), or give it a range. A run *replaces* the rows of an earlier run with the same range and location.
    Activities that were deleted since are kept, with ``is_deleted``. A file becomes visible when it is complete:
    readers never see a partial run, and a killed task leaves no visible files. A run without rows writes a file that
    has only the schema.

    Operation: ``GET /companies/{id}/activities`` or ``GET /locations/{id}/events``, for past and future ranges. A
    server older than autumn 2026 refuses the past under ``locations``. Then the operations are
    ``GET /locations/{id}/appointments``, and ``GET /locations/{id}/events/{event_id}`` for each event that has an
    appointment. A retry continues after the last answer (:mod:`altegio_provider.transfers.history`,
    ``docs/howto/history.md``).

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
    :param resource_ids: only activities with one of these rooms or devices (``locations`` only). Templated.
    :param weekdays: only activities on these weekdays, 1 for Monday to 7 for Sunday (``locations`` only). Templated.
    :param history: ``"auto"``: read the list, and where the server refuses the past, rebuild it from its appointments;
        true: rebuild it from its appointments (``locations`` only); false: read only the list. Events that nobody
        booked are not in appointments: they are kept as an earlier run read them, or are missing. A range that is
        rebuilt takes no filters. The log and ``source`` in the manifest's notes say which way was taken.
    :param mark_deleted: write deleted activities, which ``locations`` lists, and keep rows of earlier runs that the API
        does not list any more, all with ``is_deleted``; ``False`` drops them. A run with filters drops the rows that it
        does not read.
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
        "resource_ids",
        "weekdays",
    )

    def __init__(
        self,
        *,
        staff_ids: Sequence[int] | str | None = None,
        service_ids: Sequence[int] | str | None = None,
        capacity: int | str | None = None,
        search: str | None = None,
        resource_ids: Sequence[int] | str | None = None,
        weekdays: Sequence[int] | str | None = None,
        history: bool | str = "auto",
        mark_deleted: bool = True,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.staff_ids = staff_ids
        self.service_ids = service_ids
        self.capacity = capacity
        self.search = search
        self.resource_ids = resource_ids
        self.weekdays = weekdays
        self.history = history
        self.mark_deleted = mark_deleted

    def _extract_input(
        self, hook: AltegioHook, dataset: ParquetDataset, window: TimeRange, timezone: str
    ) -> ExtractInput:
        from altegio_provider.api.arguments import checked_flag
        from altegio_provider.transfers.activity_source import ActivitySource, checked_history

        source = ActivitySource(
            hook.get_conn(),
            dataset,
            window,
            history=checked_history(self.history),
            filters=self._filters(),
            mark_deleted=checked_flag("mark_deleted", self.mark_deleted),
            options={"page_size": self.page_size, "concurrency": self.concurrency, "timezone": timezone},
            log=self.log,
        )
        return source.extract_input()

    def _filters(self) -> dict[str, Any]:
        """Return the filters that are set."""
        from altegio_provider.operators.arguments import ids_of, number_of

        filters = {
            "staff_ids": ids_of("staff_ids", self.staff_ids),
            "service_ids": ids_of("service_ids", self.service_ids),
            "resource_ids": ids_of("resource_ids", self.resource_ids),
            "weekdays": ids_of("weekdays", self.weekdays),
            "capacity": number_of("capacity", self.capacity),
            "search": self.search or None,
        }
        return {name: value for name, value in filters.items() if value not in (None, [])}


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
