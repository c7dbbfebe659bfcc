"""A dataset with an event on each day of a month, written and read as runs and readers do."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from altegio_provider.tables.dataset.dataset import ParquetDataset, read_manifest

FIRST = datetime(2026, 11, 1, tzinfo=UTC)
DAY = timedelta(days=1)
SCHEMA = pa.schema(
    [("id", pa.int64()), ("run", pa.int64()), ("starts_at", pa.timestamp("us", tz="UTC")), ("is_deleted", pa.bool_())]
)


def window(days: range) -> tuple[datetime, datetime]:
    return FIRST + days.start * DAY, FIRST + days.stop * DAY


def write(root: Any, days: range, run: int = 1, location_id: int = 1, *, keeps: bool = False, **options: Any) -> None:
    """A run over some days; with ``keeps`` it lists no event, and marks those that earlier runs have seen."""
    dataset = ParquetDataset(root, location_id, **options)
    rows = [{"id": day, "run": run, "starts_at": FIRST + day * DAY, "is_deleted": False} for day in days]
    batch = pa.RecordBatch.from_pylist([] if keeps else rows, schema=SCHEMA)
    previous = dataset.previous_rows(*window(days)) if keeps else None
    with dataset.writer(*window(days), previous=previous) as writer:
        for one in previous.track([batch]) if previous else [batch]:
            writer.write(one)


def runs_by_day(root: Any) -> dict[int, int]:
    """Which run's row counts for each day, as a reader of the manifest sees it; a row that comes twice is an error."""
    rows: list[dict[str, int]] = []
    for file in read_manifest(root):
        with (root / f"location-{file.location_id}" / file.path.rpartition("/")[2]).open("rb") as opened:
            rows += pq.read_table(opened).to_pylist()
    found = {row["id"]: row["run"] for row in rows}
    assert len(found) == len(rows), "a row counts twice"
    return found


def days_of_all_files(root: Any) -> list[int]:
    """The days of all files, as a reader of ``*.parquet`` sees them."""
    days: list[int] = []
    for path in (root / "location-1").glob("*.parquet"):
        with path.open("rb") as opened:
            days += pq.read_table(opened)["id"].to_pylist()
    return sorted(days)
