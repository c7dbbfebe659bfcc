"""From the API into Parquet files, with memory that does not grow with the rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from altegio_provider.compat import BaseOperator
from altegio_provider.hooks.altegio import AltegioHook

if TYPE_CHECKING:
    import pandas as pd

    from altegio_provider.compat import Context

__all__ = ["AltegioActivitiesToParquetOperator"]


class AltegioActivitiesToParquetOperator(BaseOperator):
    """Write the activities of a location that start in ``[date_from, date_to)`` into a Parquet dataset.

    Use it daily with a ``CronDataIntervalTimetable`` (on Airflow 3 a plain cron schedule gives an interval of zero
    length), or with a range of your own. A run *replaces* what an earlier run of the same range and location
    wrote. New files are complete before they become visible: a reader never sees half a run, and a killed task
    leaves nothing that a reader would take for data. No rows still give a file with the schema.

    Operation: ``GET /companies/{id}/activities`` or ``GET /locations/{id}/events``. The latter lists the future
    only: give it a forward range such as now to now + 30 days.

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
    :param transform: a function from DataFrame to DataFrame, or its import path, applied chunk by chunk before
        writing. The DataFrame has Arrow-backed types; what comes back must keep one schema over the run.
    :param concurrency: requests under way at once, at most.
    :param page_size: rows a request; default: the API's own.
    :param altegio_conn_id: the connection. Templated.
    :returns: by XCom and on the asset events of the outlets: ``path``, ``files``, ``rows``, ``bytes``,
        ``requests``, ``retries``, ``from``, ``to`` and ``location_id``.
    :raises AltegioValidationError: an argument cannot be right; nothing was touched.
    :raises AltegioError: what a request ended in; the old dataset stays as it was.
    """

    template_fields: Sequence[str] = (
        "altegio_conn_id",
        "location_id",
        "output_path",
        "date_from",
        "date_to",
        "staff_ids",
        "service_ids",
        "capacity",
        "search",
        "timezone",
    )
    ui_color = "#e8f3ec"

    def __init__(
        self,
        *,
        output_path: str,
        location_id: int | str | None = None,
        date_from: datetime | str = "{{ data_interval_start }}",
        date_to: datetime | str = "{{ data_interval_end }}",
        staff_ids: Sequence[int] | str | None = None,
        service_ids: Sequence[int] | str | None = None,
        capacity: int | str | None = None,
        search: str | None = None,
        timezone: str | None = None,
        lookback: timedelta = timedelta(0),
        transform: Callable[[pd.DataFrame], pd.DataFrame] | str | None = None,
        concurrency: int = 4,
        page_size: int | None = None,
        altegio_conn_id: str = AltegioHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.location_id = location_id
        self.date_from = date_from
        self.date_to = date_to
        self.staff_ids = staff_ids
        self.service_ids = service_ids
        self.capacity = capacity
        self.search = search
        self.timezone = timezone
        self.lookback = lookback
        self.transform = transform
        self.concurrency = concurrency
        self.page_size = page_size
        self.altegio_conn_id = altegio_conn_id

    def execute(self, context: Context) -> dict[str, Any]:
        """Read, convert and write; see the class."""
        from altegio_provider import extraction
        from altegio_provider.tables.activities import ActivityBatches
        from altegio_provider.tables.dataset import ParquetDataset

        hook = AltegioHook(self.altegio_conn_id)
        location_id = hook.location_id(self.location_id)
        timezone = self.timezone or hook.settings.timezone
        window = extraction.window_of(self.date_from, self.date_to, self.lookback, timezone)
        transform = extraction.frame_transform(self.transform)
        dataset = ParquetDataset(extraction.storage_path(self.output_path), location_id)
        try:
            activities = hook.list_activities(
                location_id,
                window.start,
                window.end,
                staff_ids=extraction.ids_of("staff_ids", self.staff_ids),
                service_ids=extraction.ids_of("service_ids", self.service_ids),
                capacity=extraction.number_of("capacity", self.capacity),
                search=self.search or None,
                page_size=self.page_size,
                concurrency=self.concurrency,
                timezone=timezone,
            )
            conversion = ActivityBatches(location_id, timezone)
            progress = extraction.Progress(hook, self.log)
            with dataset.writer(window.start, window.end) as writer:
                for batch in transform(conversion.batches(activities)):
                    writer.write(batch)
                    progress.report(batch.num_rows)
            stats = hook.get_conn().stats
        finally:
            hook.close()
        conversion.warn(self.log)
        summary = {
            "path": str(self.output_path),
            "files": writer.result.files,
            "rows": writer.result.rows,
            "bytes": writer.result.bytes,
            "requests": stats.requests,
            "retries": stats.retries,
            "from": window.start.isoformat(),
            "to": window.end.isoformat(),
            "location_id": location_id,
        }
        self.log.info("Wrote %(rows)d activities of location %(location_id)d into %(path)s", summary)
        extraction.tell_outlets(context, self.outlets, summary)
        return summary
