"""The runner is broken off between any two of its steps, as an exception of a signal handler does it."""

from __future__ import annotations

import sys
from collections import Counter
from zoneinfo import ZoneInfo

import pytest

from altegio_provider.imports.engine import runner
from altegio_provider.imports.engine.file_import import FileImport, ImportOptions
from altegio_provider.imports.engine.row_store import RowStore
from altegio_provider.imports.engine.runner import Sent
from altegio_provider.imports.files.open_source import rows_source
from altegio_provider.imports.ledger.ledger import Ledger

KEYS = [f"row {number}" for number in range(6)]


class Terminated(BaseException):
    """As Airflow's task runner raises it in the main thread."""


class Bookings(FileImport):
    """Sends rows of one column, ``key``, each in a partition of its own, and counts what was sent."""

    kind = "booking"
    partition_column = "event_id"

    def __init__(self, *arguments) -> None:
        super().__init__(*arguments)
        self.sent = Counter()

    def _row_handler(self, source):
        return lambda row: self._accept(row, row.values["key"], row.line, {})

    def _check_availability(self):
        pass

    def _post(self, row):
        self.sent[row.key] += 1
        return Sent(100 + row.seq)

    def _search(self, partition, rows, taken):
        raise AssertionError


def run(folder):
    with Ledger(f"sqlite:///{folder / 'ledger.db'}", 7, "booking") as ledger, RowStore() as store:
        options = ImportOptions(settle_seconds=0.01, concurrency=2)
        work = Bookings(None, 7, ZoneInfo("UTC"), store, ledger, options)
        ended = False
        try:
            work.run(rows_source(["key"], [{"key": key} for key in KEYS]))
            ended = True
        except Terminated:
            pass
        return ended, work.sent, {one.key: str(one.status) for one in store.outcomes()}


@pytest.fixture
def raised_at_step():
    """Raise at the n-th line of the runner that the main thread runs."""

    def after(steps):
        left = steps

        def trace(frame, event, argument):
            nonlocal left
            if frame.f_code.co_filename != runner.__file__:
                return None
            if event == "line":
                left -= 1
                if left == 0:
                    raise Terminated
            return trace

        sys.settrace(trace)

    before = sys.gettrace()
    yield after
    sys.settrace(before)


def test_no_row_that_was_sent_is_reported_as_not_sent_wherever_the_run_is_broken_off(tmp_path, raised_at_step):
    ended, step, seen = False, 0, Counter()
    while not ended:
        step += 3
        folder = tmp_path / str(step)
        folder.mkdir()
        raised_at_step(step)
        ended, sent, statuses = run(folder)
        sys.settrace(None)
        seen.update(statuses.values())
        assert set(sent.values()) <= {1}, step
        assert {key for key, status in statuses.items() if status == "not_sent"}.isdisjoint(sent), (step, statuses)
        assert {key for key, status in statuses.items() if status == "created"} <= set(sent), step
    assert seen["created"] > seen["in_doubt"]
    assert seen["not_sent"]
