"""A manifest that is missing or damaged: the footers of the files answer, or it is an error, and never no rows."""

from __future__ import annotations

import logging
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import upath

from altegio_provider.tables.dataset.dataset import DatasetError, ParquetDataset, read_manifest
from altegio_provider.tables.dataset.folder import Folder
from altegio_provider.tables.dataset.manifest import read_parquet_footer
from tests.stores.days import runs_by_day, write

DAMAGES = {
    "deleted": None,
    "emptied": b"",
    "cut": b'{"format": 1, "location_id": 1, "fil',
    "no manifest": b"[1, 2]",
    "zeros after a crash": b"\0" * 200,
}


def damage(root: Path, content: bytes | None, location_id: int = 1) -> None:
    manifest = root / f"location-{location_id}" / "_manifest.json"
    manifest.unlink()
    if content is not None:
        manifest.write_bytes(content)


@pytest.mark.parametrize("content", DAMAGES.values(), ids=DAMAGES)
def test_the_footers_answer_and_the_next_run_writes_it_anew(tmp_path, caplog, content):
    write(tmp_path, range(2), run=1)
    write(tmp_path, range(2, 4), run=2)
    write(tmp_path, range(4), run=3, location_id=2)
    before = read_manifest(tmp_path)
    damage(tmp_path, content)
    with caplog.at_level(logging.WARNING):
        assert [file[:-1] for file in read_manifest(tmp_path)] == [file[:-1] for file in before]
    assert "location-1/_manifest.json is missing or damaged" in caplog.text
    caplog.clear()
    write(tmp_path, range(5, 6), run=4)
    assert {file.path for file in read_manifest(tmp_path)} > {file.path for file in before}
    assert "missing or damaged" not in caplog.text


@pytest.mark.parametrize("content", DAMAGES.values(), ids=DAMAGES)
def test_where_files_overlap_it_is_an_error_until_the_next_run(tmp_path, content):
    write(tmp_path, range(4), run=1)
    (wide,) = (tmp_path / "location-1").glob("*.parquet")
    left_by_a_killed_run = wide.read_bytes()
    write(tmp_path, range(1, 2), run=2)
    wide.write_bytes(left_by_a_killed_run)
    damage(tmp_path, content)
    with pytest.raises(DatasetError, match=r"unknown which rows are current\. Run an extract of this location"):
        read_manifest(tmp_path)
    write(tmp_path, range(8, 9), run=3)
    assert runs_by_day(tmp_path) == {0: 1, 1: 2, 2: 1, 3: 1, 8: 3}


def test_a_file_that_a_newer_one_covers_does_not_count(tmp_path):
    write(tmp_path, range(1, 2), run=1)
    (old,) = (tmp_path / "location-1").glob("*.parquet")
    left_by_a_killed_run = old.read_bytes()
    write(tmp_path, range(3), run=2)
    old.write_bytes(left_by_a_killed_run)
    damage(tmp_path, None)
    assert runs_by_day(tmp_path) == {0: 2, 1: 2, 2: 2}


def test_a_file_that_is_no_parquet_is_an_error(tmp_path):
    write(tmp_path, range(1), run=1)
    write(tmp_path, range(1, 2), run=1)
    next((tmp_path / "location-1").glob("*.parquet")).write_bytes(b"PAR1 and then nothing")
    damage(tmp_path, None)
    with pytest.raises(DatasetError, match="is not a readable Parquet file, so it is unknown which rows"):
        read_manifest(tmp_path)


def test_a_location_without_files_and_without_a_manifest_has_no_rows(tmp_path):
    (tmp_path / "location-1").mkdir(parents=True)
    assert read_manifest(tmp_path) == []
    assert ParquetDataset(tmp_path, 1).files() == []


def test_a_file_of_very_many_row_groups_is_read_too():
    """Its footer is longer than what is read of a file's end at first."""
    root = upath.UPath("memory://long-footer")
    root.mkdir(exist_ok=True)
    table = pa.table({f"column_{number}": [None] * 12 for number in range(400)})
    with (root / "long.parquet").open("wb") as file:
        pq.write_table(table, file, row_group_size=1)
    folder = Folder(root)
    metadata = read_parquet_footer(folder, folder.listed("long.parquet"))
    assert metadata.serialized_size > 256 * 1024
    assert (metadata.num_columns, metadata.num_rows) == (400, 12)


def test_files_of_another_location_are_not_taken_over(tmp_path):
    write(tmp_path, range(2), location_id=1)
    (tmp_path / "location-1").rename(tmp_path / "location-2")
    with pytest.raises(DatasetError, match="has rows of location 1, but this run is for location 2"):
        write(tmp_path, range(4, 5), location_id=2)
