"""Several loads of one table at the same time: each is whole, none doubles another's rows, none waits for the dead."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pyarrow as pa
import pytest

from altegio_provider.warehouse import WarehouseBusyError, load
from tests.integration.warehouses import WarehouseTarget, place

REPOSITORY = Path(__file__).resolve().parents[2]
ROWS = 3_000


class Loader:
    """A process that loads on demand."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.integration.loader"],
            cwd=REPOSITORY,
            env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    def begin(self, warehouse: WarehouseTarget, mode: str, *, stops: bool = False) -> None:
        """Begin a load; where it stops, return when it has read some of its rows."""
        told = {"kind": warehouse.kind, "where": warehouse.where, "mode": mode, "rows": ROWS, "stops": stops}
        self._write(json.dumps(told))
        if stops:
            assert self._read() == "half"

    def go_on(self) -> None:
        self._write("")

    def ended(self) -> int:
        """How many rows it loaded."""
        return int(self._read())

    def kill(self) -> None:
        """Kill it as SIGKILL does, and wait until it is gone."""
        self._process.kill()
        self._process.communicate(timeout=60)

    def _write(self, line: str) -> None:
        assert self._process.stdin
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()

    def _read(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


@pytest.fixture(scope="module")
def loaders() -> Iterator[Callable[[int], list[Loader]]]:
    """Return so many loaders, the same ones for all tests: they take seconds to import the drivers."""
    there: list[Loader] = []

    def alive(count: int) -> list[Loader]:
        there[:] = [loader for loader in there if loader.is_alive]
        there.extend(Loader() for _ in range(count - len(there)))
        return there[:count]

    yield alive
    for loader in there:
        loader.kill()


@contextmanager
def busy(loader: Loader, warehouse: WarehouseTarget) -> Iterator[None]:
    """A load that has begun, and ends when the block does."""
    loader.begin(warehouse, "append", stops=True)
    yield
    loader.go_on()
    assert loader.ended() == ROWS


@pytest.mark.parametrize(("mode", "times"), [("upsert", 1), ("replace_range", 1), ("append", 3)])
def test_loads_of_a_table_that_is_not_there_yet_follow_each_other(warehouse, loaders, mode, times) -> None:
    three = loaders(3)
    for loader in three:
        loader.begin(warehouse, mode)
    assert [loader.ended() for loader in three] == [ROWS] * 3
    assert warehouse.ask("SELECT count(*), count(DISTINCT id) FROM activities") == [(ROWS * times, ROWS)]


def test_waiting_has_an_end_and_says_what_to_do(warehouse, loaders) -> None:
    rows = pa.table({"id": [1]})
    with (
        busy(*loaders(1), warehouse),
        pytest.raises(WarehouseBusyError, match=r"0 s.*Nothing was loaded"),
        warehouse.opened(wait_seconds=0.05) as mine,
    ):
        load(mine, rows.to_reader(), "activities", mode="append", key=())
    assert warehouse.load(rows, mode="append") == 1


def test_threads_of_one_process_wait_for_each_other(warehouse) -> None:
    rows = pa.table({"id": range(ROWS)})
    failures: list[BaseException] = []
    barrier = threading.Barrier(3)

    def loading() -> None:
        try:
            barrier.wait()
            warehouse.load(rows)
        except BaseException as error:
            failures.append(error)

    with warehouse.opened():  # DuckDB lets the threads share what this process has open
        threads = [threading.Thread(target=loading) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(timeout=60)
    assert failures == []
    assert warehouse.ask("SELECT count(*), count(DISTINCT id) FROM activities") == [(ROWS, ROWS)]


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[WarehouseTarget]:
    with place("postgresql", tmp_path) as made:
        yield made


def test_loads_of_different_tables_do_not_wait_in_postgresql(postgres, loaders) -> None:
    with busy(*loaders(1), postgres):
        assert postgres.load(pa.table({"id": [1]}), "others") == 1


def test_one_table_has_one_lock_however_it_is_named(postgres, loaders) -> None:
    """With its schema and without; where it is still to be created, and where it is."""
    for _ in range(2):
        with (
            busy(*loaders(1), postgres),
            pytest.raises(WarehouseBusyError),
            postgres.opened(wait_seconds=0.05) as mine,
        ):
            load(mine, pa.table({"id": [1]}).to_reader(), f"{postgres.schema}.activities", mode="append", key=())


def test_a_stricter_isolation_does_not_hide_what_was_waited_for(postgres, loaders) -> None:
    """A snapshot that is taken before the wait would not have the rows of the load that was waited for."""
    strict = WarehouseTarget("postgresql", f"{postgres.where}%20-cdefault_transaction_isolation%3Dserializable")
    two = loaders(2)
    for loader in two:
        loader.begin(strict, "upsert")
    assert [loader.ended() for loader in two] == [ROWS] * 2
    assert postgres.ask("SELECT count(*), count(DISTINCT id) FROM activities") == [(ROWS, ROWS)]


def test_a_load_waits_for_one_that_is_killed_in_the_middle(warehouse, loaders) -> None:
    warehouse.load(pa.table({"location_id": [1], "id": [-1]}))
    rows = pa.table({"location_id": [1, 1], "id": [0, 1]})
    (dying,) = loaders(1)
    dying.begin(warehouse, "upsert", stops=True)
    if warehouse.kind == "duckdb":
        # Waiting for the file is a loop with a sleep, which is where the other process dies.
        with warehouse.opened(sleep=lambda _: dying.kill()) as mine:
            assert load(mine, rows.to_reader(), "activities", mode="upsert", key=("id",)) == 2
    else:
        with ExitStack() as stack:
            waiting = threading.Thread(target=lambda: warehouse.load(rows))
            stack.callback(waiting.join, timeout=60)
            stack.callback(dying.kill)
            waiting.start()
            wait_for_a_waiter(warehouse)
        assert not waiting.is_alive()
    assert sorted(warehouse.ask("SELECT id FROM activities")) == [(-1,), (0,), (1,)]


def wait_for_a_waiter(warehouse: WarehouseTarget) -> None:
    """Return when a load waits for the lock that ``docs/reliability.md`` names."""
    sql = (
        "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND (classid::bigint << 32) + "
        f"objid::bigint = hashtextextended('altegio:{warehouse.schema}.activities', 0)"
    )
    deadline = time.monotonic() + 60
    while warehouse.ask(sql) == [(0,)]:
        assert time.monotonic() < deadline, "no load waits"
