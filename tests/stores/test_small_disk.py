"""A disk that is full, read-only, or says no: nothing is lost, the error says what to do, the next run heals."""

from __future__ import annotations

import errno
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from altegio_provider.tables.dataset.dataset import ParquetDataset
from altegio_provider.tables.dataset.storage_errors import StorageError
from tests.stores.days import FIRST, SCHEMA, days_of_all_files, runs_by_day, window, write

PAGE = 4096


def mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"this user may not mount: {done.stderr}")


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte, with rows of an earlier run on it."""
    mount("-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tmp_path))
    try:
        write(tmp_path / "data", range(3), run=0)
        yield tmp_path
    finally:
        subprocess.run(["umount", "--lazy", str(tmp_path)], check=True)


def fill(disk: Path, leaving: int = 0) -> Path:
    """Fill the disk but for so many bytes."""
    state = os.statvfs(disk)
    filler = disk / "filler"
    filler.write_bytes(b"\0" * (state.f_bavail * state.f_frsize - leaving))
    return filler


def is_as_it_was(disk: Path) -> bool:
    hidden = [path.name for path in (disk / "data" / "location-1").iterdir() if path.name.endswith(".part")]
    before = dict.fromkeys(range(3), 0)
    return not hidden and runs_by_day(disk / "data") == before and days_of_all_files(disk / "data") == [0, 1, 2]


def incompressible(rows: int) -> pa.RecordBatch:
    numbers = [[int.from_bytes(os.urandom(7)) for _ in range(rows)] for _ in range(2)]
    made = [{"id": one, "run": other, "starts_at": FIRST} for one, other in zip(*numbers, strict=True)]
    return pa.RecordBatch.from_pylist(made, schema=SCHEMA)


def overflow(root: Any) -> None:
    """A run with more rows than the disk takes."""
    with ParquetDataset(root, 1).writer(*window(range(1))) as writer:
        for _ in range(20):
            writer.write(incompressible(10_000))


def test_full_in_the_middle_of_the_rows(disk):
    message = rf"cannot write into {disk}/data/location-1: the disk is full\. Free some space"
    with pytest.raises(StorageError, match=message) as raised:
        overflow(disk / "data")
    assert raised.value.errno == errno.ENOSPC
    assert is_as_it_was(disk)
    write(disk / "data", range(1), run=1)
    assert runs_by_day(disk / "data") == {0: 1, 1: 0, 2: 0}


def test_full_when_the_last_rows_are_written_out(disk):
    def run() -> None:
        with ParquetDataset(disk / "data", 1).writer(*window(range(1))) as writer:
            writer.write(incompressible(1_000))
            fill(disk)

    with pytest.raises(StorageError, match="the disk is full"):
        run()
    (disk / "filler").unlink()
    assert is_as_it_was(disk)
    write(disk / "data", range(1), run=1)
    assert runs_by_day(disk / "data") == {0: 1, 1: 0, 2: 0}


@pytest.mark.parametrize("pages", range(1, 5))
def test_full_when_files_are_cut_and_the_manifest_is_written(disk, pages):
    """With each page more, the run comes a step further."""
    filler = fill(disk, leaving=pages * PAGE)
    with pytest.raises(StorageError, match="the disk is full") if pages < 4 else nullcontext():
        write(disk / "data", range(1, 2), run=1)
    assert pages == 4 or is_as_it_was(disk)
    filler.unlink()
    write(disk / "data", range(1, 2), run=2)
    assert runs_by_day(disk / "data") == {0: 0, 1: 2, 2: 0}


def test_what_a_killed_run_has_left_makes_room_before_the_next_one(disk):
    left = disk / "data" / "location-1" / ".20261101T000000Z--20261102T000000Z.parquet.0123.part"
    fill(disk).rename(left)
    os.utime(left, (0, 0))
    write(disk / "data", range(1), run=1)
    assert runs_by_day(disk / "data") == {0: 1, 1: 0, 2: 0}


def test_full_while_answers_are_kept(disk):
    saved = ParquetDataset(disk / "data", 1).saved_answers("history", *window(range(1)), timedelta(days=1))
    saved.add(1, {"a": 1})
    filler = fill(disk)
    with pytest.raises(StorageError, match=r"cannot write .*\.answers-history-1.*the disk is full"):
        saved.add(2, {"text": "x" * 2 * PAGE})
    filler.unlink()
    later = ParquetDataset(disk / "data", 1).saved_answers("history", *window(range(1)), timedelta(days=1))
    assert dict(later.answers())[1] == {"a": 1}


def test_read_only_is_told_before_anything_is_read(disk):
    mount("-o", "remount,ro", str(disk))
    message = "the file system is read-only. Let the worker's user write there, or use another folder"
    for root in (disk / "data", disk / "elsewhere", disk / "one.parquet"):
        with pytest.raises(StorageError, match=message), ParquetDataset(root, 1).writer(*window(range(1))):
            raise AssertionError("the rows would be read now")


@pytest.mark.parametrize("name", ["x" * 300, "x" * 260 + ".parquet"])
def test_a_name_that_is_too_long_is_told_before_anything_is_read(tmp_path, name):
    dataset = ParquetDataset(tmp_path / name, 1)
    with pytest.raises(StorageError, match="the name is too long"), dataset.writer(*window(range(1))):
        raise AssertionError("the rows would be read now")


def test_the_disk_of_temporary_files_is_named_where_a_store_is_written(disk, bucket: Any, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(disk))
    with pytest.raises(StorageError, match=f"cannot write into {disk}/altegio-staging-.*: the disk is full"):
        overflow(bucket / "data")
    write(bucket / "data", range(1), run=1)
    assert runs_by_day(bucket / "data") == {0: 1}
