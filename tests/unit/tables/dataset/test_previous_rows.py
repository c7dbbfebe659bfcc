"""What a run adds of earlier ones: the cases that a model of whole hours does not have, and the memory it takes."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from altegio_provider.tables.dataset.dataset import DatasetError, ParquetDataset

DAY = datetime(2026, 11, 10, tzinfo=UTC)
NEXT = DAY + timedelta(days=1)
SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("starts_at", pa.timestamp("us", tz="UTC")),
        ("is_deleted", pa.bool_()),
        ("title", pa.string()),
    ]
)


def row(number, hour, title="", is_deleted=False):
    start = None if hour is None else DAY + timedelta(hours=hour)
    return {"id": number, "starts_at": start, "is_deleted": is_deleted, "title": title}


def run(root, *rows, start=DAY, end=NEXT, schema=SCHEMA, marks_deleted=True, complete_from=None):
    dataset = ParquetDataset(root, 1)
    previous = dataset.previous_rows(start, end, marks_deleted=marks_deleted)
    with dataset.writer(start, end, previous=previous) as writer:
        for batch in previous.track([pa.RecordBatch.from_pylist(list(rows), schema=SCHEMA)]):
            writer.write(pa.Table.from_batches([batch]).select(schema.names))
        if complete_from is not None:
            previous.complete_from = complete_from
    return previous


def found(root):
    """Each row as (id, hour, is_deleted, title)."""
    rows = [row for path in sorted(root.rglob("*.parquet")) for row in pq.read_table(path).to_pylist()]
    return sorted(
        (
            row["id"],
            row["starts_at"] and (row["starts_at"] - DAY) // timedelta(hours=1),
            row["is_deleted"],
            row["title"],
        )
        for row in rows
    )


def test_a_moved_event_that_two_files_have_is_kept_once_and_alive(tmp_path) -> None:
    run(tmp_path, row(1, 3), end=DAY + timedelta(hours=12))
    run(tmp_path, end=DAY + timedelta(hours=12))
    run(tmp_path, row(1, 15), start=DAY + timedelta(hours=12))
    assert found(tmp_path) == [(1, 3, True, ""), (1, 15, False, "")]
    run(tmp_path, marks_deleted=False)
    assert found(tmp_path) == [(1, 15, False, "")]


def test_a_run_that_cannot_tell_does_not_revive_but_where_the_event_moved(tmp_path) -> None:
    run(tmp_path, row(1, 3), row(2, 4))
    run(tmp_path)
    run(tmp_path, row(1, 3, "new"), row(2, 5, "new"), marks_deleted=False)
    assert found(tmp_path) == [(1, 3, True, "new"), (2, 5, False, "new")]


def test_what_starts_before_the_list_begins_stays_as_it_was(tmp_path) -> None:
    run(tmp_path, row(1, 3), row(2, 4))
    previous = run(tmp_path, complete_from=DAY + timedelta(hours=4))
    assert found(tmp_path) == [(1, 3, False, ""), (2, 4, True, "")]
    assert (previous.kept, previous.deleted) == (1, 1)


def test_rows_without_id_or_start_are_not_kept(tmp_path) -> None:
    run(tmp_path, row(None, 3), row(2, None))
    run(tmp_path)
    assert found(tmp_path) == []


def test_other_columns_do_not_stop_it(tmp_path) -> None:
    run(tmp_path, row(1, 3, "yoga"))
    run(tmp_path, schema=SCHEMA.remove(3))
    assert pq.read_table(next(tmp_path.rglob("*.parquet"))).to_pylist() == [
        {name: value for name, value in row(1, 3, is_deleted=True).items() if name != "title"}
    ]
    run(tmp_path)
    assert found(tmp_path) == [(1, 3, True, None)]
    run(tmp_path, schema=SCHEMA.remove(2))
    assert pq.read_table(next(tmp_path.rglob("*.parquet"))).num_rows == 0


def test_a_file_that_is_no_parquet_or_anothers_is_replaced(tmp_path) -> None:
    run(tmp_path, row(1, 3))
    next(tmp_path.rglob("*.parquet")).write_bytes(b"torn")
    run(tmp_path, row(2, 3))
    assert found(tmp_path) == [(2, 3, False, "")]
    pq.write_table(pa.table({"x": [1]}), tmp_path / "other.parquet")
    run(tmp_path / "other.parquet", row(3, 3))
    assert pq.read_table(tmp_path / "other.parquet")["id"].to_pylist() == [3]


def test_a_damaged_file_is_named_and_not_lost(tmp_path) -> None:
    run(tmp_path, row(1, 3))
    (path,) = tmp_path.rglob("*.parquet")
    whole = path.read_bytes()
    path.write_bytes(whole[:4] + b"\xff" * 40 + whole[44:])
    with pytest.raises(DatasetError, match=path.name):
        run(tmp_path, row(2, 3))
    path.write_bytes(whole)
    run(tmp_path, row(2, 3))
    assert found(tmp_path) == [(1, 3, True, ""), (2, 3, False, "")]


MEMORY = """
import resource, sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
import pyarrow as pa
from altegio_provider.tables.dataset.dataset import ParquetDataset
root, rows = Path(sys.argv[1]), int(sys.argv[2])
day = datetime(2026, 11, 10, tzinfo=UTC)
kinds = [("id", pa.int64()), ("starts_at", pa.timestamp("us", tz="UTC")), ("is_deleted", pa.bool_())]
kinds += [("x", pa.string())]
schema = pa.schema(kinds)
def batches(wanted):
    for first in range(0, rows, 1000):
        ids = [number * 37 for number in range(first, first + 1000) if wanted(number)]
        columns = [ids, [day] * len(ids), [False] * len(ids), [f"{number:0200}" for number in ids]]
        yield pa.RecordBatch.from_arrays([pa.array(c, t) for c, (_, t) in zip(columns, kinds)], schema=schema)
for wanted in (lambda number: True, lambda number: number % 2):
    dataset = ParquetDataset(root, 1)
    previous = dataset.previous_rows(day, day + timedelta(days=1))
    with dataset.writer(day, day + timedelta(days=1), previous=previous) as writer:
        for batch in previous.track(batches(wanted)):
            writer.write(batch)
print(writer.result.rows, previous.deleted, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.parametrize("rows", [100_000])
def test_memory_does_not_grow_with_the_rows_kept(tmp_path, rows) -> None:
    peaks = []
    for count in (rows // 4, rows):
        command = [sys.executable, "-c", MEMORY, str(tmp_path / str(count)), str(count)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        written, deleted, peak = map(int, done.stdout.split())
        assert (written, deleted) == (count, count // 2)
        peaks.append(peak)
    assert peaks[1] <= peaks[0] * 1.25
