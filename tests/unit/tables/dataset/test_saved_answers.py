"""Answers that outlive their run: on a disk and on an object store, torn, stale, and never taken for data."""

from __future__ import annotations

import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pyarrow.dataset as ds
import pytest
import upath

from altegio_provider.tables.dataset.dataset import ParquetDataset

WINDOW = (datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC))
DAY = timedelta(days=1)


@pytest.fixture(params=["disk", "store"])
def root(request, tmp_path):
    if request.param == "disk":
        return tmp_path
    root = upath.UPath("memory://answers-of-tests")
    if root.exists():
        root.rmdir(recursive=True)
    return root


def saved_answers(root, window=WINDOW, location_id=1, fresh_for=DAY):
    return ParquetDataset(root, location_id).saved_answers("history", *window, fresh_for)


def names(root):
    return sorted(path.name for path in (root / "location-1").glob("*") if path.name != ".lock")


def test_a_later_attempt_finds_the_answers_of_all_earlier_ones(root) -> None:
    with saved_answers(root) as first:
        first.add(1, {"title": "йога \ud800", "extra": [1.5, None]})
        first.add(2, None)
    with suppress(KeyError), saved_answers(root) as second:
        assert dict(second.answers()) == {1: {"title": "йога \ud800", "extra": [1.5, None]}, 2: None}
        second.add(3, {})
        raise KeyError
    with saved_answers(root) as third:
        assert sorted(number for number, _ in third.answers()) == [1, 2, 3]
        assert third.began_at == first.began_at
        third.clear()
    assert list(saved_answers(root).answers()) == []
    assert names(root) == []


def test_each_window_and_location_has_its_own(root) -> None:
    with saved_answers(root) as mine:
        mine.add(1, {})
    assert list(saved_answers(root, (WINDOW[0], WINDOW[1] + DAY)).answers()) == []
    assert list(saved_answers(root, location_id=2).answers()) == []
    assert len(list(saved_answers(root).answers())) == 1


def test_old_answers_are_not_used(root) -> None:
    with saved_answers(root) as old:
        old.add(1, {})
    assert list(saved_answers(root, fresh_for=timedelta(0)).answers()) == []
    assert names(root) == []


def test_nobody_takes_it_for_data(root) -> None:
    with saved_answers(root) as kept:
        kept.add(1, {})
        dataset = ParquetDataset(root, 1)
        assert dataset.files() == []
        assert list((root / "location-1").glob("*.parquet")) == []


def test_readers_of_a_folder_pass_over_it(tmp_path) -> None:
    with saved_answers(tmp_path) as kept:
        kept.add(1, {})
    assert ds.dataset(tmp_path, format="parquet").files == []


def test_a_killed_writer_loses_its_last_line_alone(tmp_path) -> None:
    with saved_answers(tmp_path) as kept:
        kept.add(1, {})
        kept.add(2, {"title": "yoga"})
    (path,) = (tmp_path / "location-1").glob(".answers*")
    path.write_bytes(path.read_bytes()[:-5])
    assert list(saved_answers(tmp_path).answers()) == [(1, {})]
    path.write_bytes(path.read_bytes()[:9])
    assert list(saved_answers(tmp_path).answers()) == []


def test_what_nobody_took_up_again_goes(tmp_path) -> None:
    with saved_answers(tmp_path) as abandoned:
        abandoned.add(1, {})
    (path,) = (tmp_path / "location-1").glob(".answers*")
    saved_answers(tmp_path, (WINDOW[1], WINDOW[1] + DAY))
    assert path.exists()
    os.utime(path, (1, 1))
    saved_answers(tmp_path, (WINDOW[1], WINDOW[1] + DAY))
    assert not path.exists()


def test_a_store_gets_the_answers_while_they_come() -> None:
    root = upath.UPath("memory://answers-of-many")
    kept = saved_answers(root)
    for number in range(1, 251):
        kept.add(number, {})
    assert len(list(saved_answers(root).answers())) == 200, "a run that is killed now asks for fifty again"
    with kept:
        pass
    assert len(list(saved_answers(root).answers())) == 250
    kept.clear()
