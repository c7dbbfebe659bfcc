"""Finds the months of a location's past that are not extracted yet.

Use it in a backfill DAG. Import it when a task runs, not when a DAG is parsed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from altegio_provider.api.arguments import argument_error, checked_id
from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.common.location_time import as_instant, load_zone
from altegio_provider.operators.arguments import storage_path
from altegio_provider.tables.dataset.dataset import ParquetDataset
from altegio_provider.tables.dataset.windows import UtcWindow

__all__ = ["missing_months"]


def missing_months(
    output_path: str,
    location_id: int | str,
    timezone: str,
    date_from: str,
    date_to: str = "",
    now: datetime | None = None,
) -> list[dict[str, str]]:
    """Return the missing parts of each month, the latest first, as ``date_from`` and ``date_to`` for the extract.

    A range is not missing if the manifest has a file for it that was written after its end. (A snapshot of future
    events does not show their final state.) Months are those of the location's wall clock.

    :param output_path: the dataset.
    :param location_id: the location.
    :param timezone: the location's IANA time zone.
    :param date_from: the start, ISO 8601 text; a naive one is on the location's wall clock.
    :param date_to: the end, not included. Default and maximum: the start of today on the location's wall clock.
    :param now: the current time; default: the clock's.
    :raises AltegioValidationError: a date cannot be read, or the range is empty.
    """
    now = now or datetime.now(UTC)
    try:
        zone = load_zone(timezone)
        today = as_instant(now.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0, tzinfo=None), zone)
        end = min(as_instant(date_to, zone, "date_to"), today) if date_to else today
        start = as_instant(date_from, zone, "date_from")
    except ValueError as error:
        raise AltegioValidationError(str(error), hint="Trigger the DAG with date_from, such as 2021-01-01.") from None
    if start >= end:
        raise argument_error(
            "date_from",
            f"{start.isoformat()} is not before {end.isoformat()}, the end of the range",
            "Use a date before date_to and before today.",
        )
    files = ParquetDataset(storage_path(output_path), checked_id("location_id", location_id)).files()
    there = [UtcWindow(file.start, file.end) for file in files if file.written_at >= file.end]
    windows = [part for month in _months(start, end, zone) for part in _without(month, there)]
    return [{"date_from": one.start.isoformat(), "date_to": one.end.isoformat()} for one in reversed(windows)]


def _months(start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[UtcWindow]:
    while start < end:
        local = start.astimezone(zone)
        year, month = (local.year + 1, 1) if local.month == 12 else (local.year, local.month + 1)
        following = as_instant(datetime(year, month, 1), zone)  # noqa: DTZ001 - on the location's clock
        yield UtcWindow(start, min(following, end))
        start = following


def _without(window: UtcWindow, there: list[UtcWindow]) -> list[UtcWindow]:
    missing = [window]
    for one in there:
        missing = [part for whole in missing for part in whole.without(one)]
    return missing
