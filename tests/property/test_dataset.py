"""Runs of any windows in any order, some of which die at any step: both kinds of readers against a model."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest import mock

import pyarrow as pa
import pyarrow.parquet as pq
import upath
from hypothesis import example, given
from hypothesis import strategies as st

from altegio_provider.tables.dataset.dataset import DatasetError, ParquetDataset, read_manifest
from altegio_provider.tables.dataset.manifest import MANIFEST
from altegio_provider.tables.dataset.windows import UtcWindow, remainders

FIRST = datetime(2026, 11, 1, tzinfo=UTC)
HOURS = 8
SCHEMA = pa.schema(
    [("id", pa.int64()), ("run", pa.int64()), ("starts_at", pa.timestamp("us", tz="UTC")), ("is_deleted", pa.bool_())]
)

#: Which run's row stands at which hour, and whether it is marked as deleted.
State = dict[int, tuple[int, bool]]


class Killed(BaseException):
    """The process is gone: nothing that comes after may change a file."""


@contextmanager
def dying_at_step(step: int | None) -> Iterator[None]:
    """Let the process die before its ``step``-th change of a name, as SIGKILL would: what cleans up changes nothing."""
    if step is None:
        yield
        return
    left = step

    def mortal(change: Any) -> Any:
        def changed(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return change(*arguments, **options)

        return changed

    changes = {name: mortal(getattr(os, name)) for name in ("link", "replace", "unlink")}
    with mock.patch.multiple(os, **changes), suppress(Killed):
        yield


class Run:
    """A run over some hours, each of which has an event, but for those that are missing.

    :param keeps: what becomes of what earlier runs have there and this one lacks: it goes, is marked, or stays.
    """

    def __init__(self, start: int, length: int, missing: int, dies_at: int | None, keeps: str = "nothing") -> None:
        self.keeps = keeps
        self.hours = range(start, min(start + length, HOURS))
        self.present = [hour for hour in self.hours if not missing >> hour & 1]
        self.dies_at = dies_at

    def __repr__(self) -> str:
        return f"Run({self.hours}, present={self.present}, dies_at={self.dies_at}, keeps={self.keeps})"

    def after(self, state: State, number: int) -> State:
        kept = {hour: row for hour, row in state.items() if hour not in self.hours}
        new = dict.fromkeys(self.present, (number, False))
        lacking = {hour: row for hour, row in state.items() if hour in self.hours and hour not in new}
        if self.keeps == "marked":
            new |= {hour: (run, True) for hour, (run, _) in lacking.items()}
        if self.keeps == "as it was":
            new |= lacking | {hour: (number, hour in state and state[hour][1]) for hour in self.present}
        return kept | new

    def write(self, root: Any, number: int) -> None:
        start, end = (FIRST + timedelta(hours=hour) for hour in (self.hours[0], self.hours[-1] + 1))
        rows = [
            {"id": h, "run": number, "starts_at": FIRST + timedelta(hours=h), "is_deleted": False} for h in self.present
        ]
        batches = [pa.RecordBatch.from_pylist(rows, schema=SCHEMA)]
        dataset = ParquetDataset(root, 1)
        previous = None
        if self.keeps != "nothing":
            previous = dataset.previous_rows(start, end, marks_deleted=self.keeps == "marked")
        with dataset.writer(start, end, {"number": number}, previous) as writer:
            for batch in previous.track(batches) if previous else batches:
                writer.write(batch)


keeping = st.sampled_from(["nothing", "marked", "as it was"])
runs = st.builds(
    Run,
    start=st.integers(0, HOURS - 1),
    length=st.integers(1, HOURS),
    missing=st.integers(0, 2**HOURS - 1) | st.just(0),
    dies_at=st.none(),
    keeps=keeping,
)
mortal_runs = st.builds(
    Run,
    start=st.integers(0, HOURS - 1),
    length=st.integers(1, HOURS),
    missing=st.just(0) | st.integers(0, 2**HOURS - 1),
    dies_at=st.none() | st.integers(0, 6),
    keeps=keeping,
)


def rows_of(root: Any, paths: list[str]) -> list[tuple[int, tuple[int, bool]]]:
    tables = []
    for path in paths:
        with (root / path).open("rb") as file:
            tables.append(pq.read_table(file))
    return [(row["id"], (row["run"], row["is_deleted"])) for table in tables for row in table.to_pylist()]


def by_manifest(root: Any) -> State:
    files = read_manifest(root)
    rows = rows_of(root, [f"location-1/{file.path.rsplit('/', 1)[-1]}" for file in files])
    assert len(dict(rows)) == len(rows), "an event is there twice for who reads the manifest"
    windows = [UtcWindow(file.start, file.end) for file in files]
    assert remainders(windows) == [[window] for window in windows]
    assert sum(file.rows for file in files) >= 0
    return dict(rows)


def by_glob(root: Any) -> list[tuple[int, tuple[int, bool]]]:
    return rows_of(root, [f"location-1/{path.name}" for path in (root / "location-1").glob("*.parquet")])


def check_settled(root: Any, state: State) -> None:
    assert by_manifest(root) == state
    assert sorted(by_glob(root)) == sorted(state.items())
    assert sum(file.rows for file in read_manifest(root)) == len(state)


@given(st.lists(runs, min_size=1, max_size=6))
def test_each_run_replaces_its_window_and_nothing_else(sequence):
    with tempfile.TemporaryDirectory() as folder:
        state: State = {}
        for number, run in enumerate(sequence):
            run.write(Path(folder), number)
            state = run.after(state, number)
            check_settled(Path(folder), state)
        assert not [path for path in Path(folder, "location-1").iterdir() if path.name.endswith(".part")]


@given(st.lists(runs, min_size=1, max_size=4))
def test_the_same_on_an_object_store(sequence):
    root = upath.UPath("memory://dataset-of-properties")
    if root.exists():
        root.rmdir(recursive=True)
    state: State = {}
    for number, run in enumerate(sequence):
        run.write(root, number)
        state = run.after(state, number)
        check_settled(root, state)


@given(st.lists(mortal_runs, min_size=1, max_size=5))
@example([Run(0, 6, 0, None), Run(2, 2, 0, 1), Run(0, 6, 0, 1), Run(7, 1, 0, None)])
@example([Run(0, 4, 0, None), Run(2, 4, 0b1000, 1), Run(0, 6, 255, None, "marked")])
@example([Run(0, 4, 0, None), Run(0, 6, 0b1000, 2), Run(0, 6, 255, None, "as it was")])
@example([Run(0, 2, 0, 1), Run(0, 1, 0, 1)])
def test_a_run_that_dies_happened_or_did_not_and_the_next_one_tidies_up(sequence):
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        possible: list[State] = [{}]
        for number, run in enumerate(sequence):
            with dying_at_step(run.dies_at):
                run.write(root, number)
            after = [run.after(state, number) for state in possible]
            if run.dies_at is None:
                possible = [state for state in after if state == by_manifest(root)]
                assert possible, (by_manifest(root), after)
                check_settled(root, possible[0])
            else:
                possible += after
                check_both_readers(root, possible)
        Run(0, 1, 0, None).write(root, 99)
        assert by_manifest(root) in [Run(0, 1, 0, None).after(state, 99) for state in possible]
        check_settled(root, by_manifest(root))


def check_both_readers(root: Path, possible: list[State]) -> None:
    """A reader of the manifest sees one of the states. A reader of all files sees rows at most twice, and misses none.

    Before a location has its first manifest, killed runs whose windows overlap are an error for the first reader.
    """
    try:
        assert by_manifest(root) in possible
    except DatasetError:
        assert not (root / "location-1" / MANIFEST).exists()
        windows = [UtcWindow.named(path.name) for path in (root / "location-1").glob("*.parquet")]
        assert remainders(windows) != [[window] for window in windows]
    if (root / "location-1").exists():
        seen = set(by_glob(root))
        assert seen <= {row for state in possible for row in state.items()}
        assert any(state.items() <= seen for state in possible)


moments = st.integers(0, 12).map(lambda hour: FIRST + timedelta(hours=hour))
windows = st.builds(lambda a, b: UtcWindow(min(a, b), max(a, b) + timedelta(hours=1)), moments, moments)


@given(st.lists(windows, max_size=7))
def test_remainders_share_nothing_and_lose_nothing(given_windows):
    owner: dict[int, int] = {}
    for number, window in enumerate(given_windows):
        for hour in range(14):
            if window.start <= FIRST + timedelta(hours=hour) < window.end:
                owner.setdefault(hour, number)
    left = remainders(given_windows)
    found = {
        hour: number
        for number, parts in enumerate(left)
        for part in parts
        for hour in range(14)
        if part.start <= FIRST + timedelta(hours=hour) < part.end
    }
    assert found == owner
    assert all(part.start < part.end for parts in left for part in parts)


@given(windows.map(lambda window: UtcWindow(window.start + timedelta(microseconds=5), window.end)))
def test_a_file_name_tells_its_window(window):
    assert UtcWindow.named(window.file_name) == window
