"""How a run takes its place: rows without a start, writers side by side without locks, clocks that differ."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import upath

from altegio_provider.tables.dataset.dataset import ParquetDataset, read_manifest
from altegio_provider.tables.dataset.manifest import MANIFEST

DAY = datetime(2026, 11, 10, tzinfo=UTC)
SCHEMA = pa.schema([("id", pa.int64()), ("starts_at", pa.timestamp("us", tz="UTC")), ("is_deleted", pa.bool_())])


def at(hour: int) -> datetime:
    return DAY + timedelta(hours=hour)


def run(root: Any, hours: range, rows: dict[int, int | None]) -> None:
    """A run over some hours that finds rows, by their ids: when each starts (``None``: it does not say)."""
    found = [
        {"id": number, "starts_at": None if hour is None else at(hour), "is_deleted": False}
        for number, hour in rows.items()
    ]
    with ParquetDataset(root, 1).writer(at(hours[0]), at(hours[-1] + 1)) as writer:
        writer.write(pa.RecordBatch.from_pylist(found, schema=SCHEMA))


def rows_of(root: Any) -> list[int]:
    """The ids in the files that the manifest names."""
    ids: list[int] = []
    for file in read_manifest(root):
        with (root / "location-1" / file.path.rsplit("/", 1)[-1]).open("rb") as opened:
            ids += pq.read_table(opened).column("id").to_pylist()
    return sorted(ids)


@pytest.fixture
def store() -> Iterator[Any]:
    """A store without locks."""
    root = upath.UPath("memory://dataset-of-commits")
    yield root
    if root.exists():
        root.rmdir(recursive=True)


@pytest.mark.parametrize("hours", [range(2), range(2, 4), range(1, 3)], ids=["first", "last", "middle"])
def test_a_file_that_is_cut_keeps_its_rows_without_a_start_once(tmp_path: Path, hours: range) -> None:
    run(tmp_path, range(4), {10: 0, 11: 1, 12: 2, 13: 3, 14: None})
    run(tmp_path, hours, {20: hours[0]})
    kept = [number for number, hour in enumerate(range(4), 10) if hour not in hours]
    assert rows_of(tmp_path) == [*kept, 14, 20]
    assert sum(file.rows for file in read_manifest(tmp_path)) == len(kept) + 2


def test_rows_that_start_outside_of_their_files_window_are_kept_too(tmp_path: Path) -> None:
    run(tmp_path, range(4), {10: 0, 15: 9})
    run(tmp_path, range(2, 4), {20: 2})
    assert rows_of(tmp_path) == [10, 15, 20]


@contextmanager
def another_run(store: Any, moment: str, other: Callable[[], None]) -> Iterator[None]:
    """Let another run happen in the middle of one: before the first upload of a file whose name has that part."""
    put_file, has_come = store.fs.put_file, []

    def put(source: str, target: str, **options: Any) -> None:
        if moment in target and not has_come:
            has_come.append(target)
            other()
        put_file(source, target, **options)

    with mock.patch.object(store.fs, "put_file", put):
        yield
    assert has_come


@pytest.mark.parametrize("moment", [".parquet", MANIFEST])
def test_a_run_beside_another_on_a_store_without_locks_forgets_neither(store, moment) -> None:
    with another_run(store, moment, lambda: run(store, range(2, 4), {20: 2})):
        run(store, range(2), {10: 0})
    assert rows_of(store) == [10, 20]


def with_a_clock_that_is_ahead(root: Path) -> None:
    """Let the dataset's files be written tomorrow, as the clock of their host said."""
    for path in (root / "location-1").glob("*.parquet"):
        footer = json.loads(pq.read_metadata(path).metadata[b"altegio"])
        footer["written_at"] = (datetime.now(UTC) + timedelta(days=1)).isoformat()
        table = pq.read_table(path)
        pq.write_table(table.replace_schema_metadata({"altegio": json.dumps(footer)}), path)
    (root / "location-1" / MANIFEST).unlink()


@pytest.mark.parametrize("hours", [range(4), range(1, 3)], ids=["all of it", "a part of it"])
def test_a_run_counts_as_the_later_one_though_its_clock_is_behind(tmp_path: Path, hours: range) -> None:
    run(tmp_path, range(4), {10: 0, 11: 1, 12: 2, 13: 3})
    before = read_manifest(tmp_path)[0].written_at
    with_a_clock_that_is_ahead(tmp_path)
    run(tmp_path, hours, {20: hours[0]})
    kept = [number for number, hour in enumerate(range(4), 10) if hour not in hours]
    assert rows_of(tmp_path) == [*kept, 20]
    # The next run sees which of the two came later, too.
    (new,) = (file for file in read_manifest(tmp_path) if (file.start, file.end) == (at(hours[0]), at(hours[-1] + 1)))
    assert new.written_at > before + timedelta(hours=23)
    run(tmp_path, range(4, 5), {30: 4})
    assert rows_of(tmp_path) == [*kept, 20, 30]
