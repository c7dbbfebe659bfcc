"""A disk that is full in the middle of an import: what was sent is known, one clear error, and the next run heals."""

from __future__ import annotations

import tempfile
from collections import Counter
from zoneinfo import ZoneInfo

import pytest

from altegio_provider.imports.engine.file_import import FileImport, ImportOptions
from altegio_provider.imports.engine.report import write_report
from altegio_provider.imports.engine.row_store import RowStore, RowStoreError
from altegio_provider.imports.engine.runner import Sent
from altegio_provider.imports.files.open_source import rows_source
from altegio_provider.imports.ledger.ledger import Ledger, LedgerError
from altegio_provider.imports.matching.match import Absent, Found
from tests.small_disk import small_disk

ROWS = 120
FIRST_RECORD = 1000


class Remembering(FileImport):
    """Sends rows to a server of plain values, which remembers them, and does something at some of them."""

    kind = "event"
    partition_column = "lane"
    server: dict[str, int]
    at: dict[int, object]
    remark = ""

    def _row_handler(self, source):
        return lambda row: self._accept(row, row.values["key"], row.values["lane"], {"text": "x" * 200})

    def _check_availability(self):
        pass

    def _post(self, row):
        assert row.key not in self.server, f"{row.key} is sent twice"
        self.server[row.key] = FIRST_RECORD + len(self.server)
        self.at.pop(len(self.server), lambda: None)()
        return Sent(self.server[row.key], self.remark)

    def _search(self, partition, rows, taken):
        return {row.key: Found(self.server[row.key]) if row.key in self.server else Absent() for row in rows}


@pytest.fixture
def disk(tmp_path):
    with small_disk(tmp_path / "disk", "8m") as mounted:
        yield mounted


@pytest.fixture
def run(tmp_path):
    """Import the rows against a server; return the counts of their statuses."""
    server: dict[str, int] = {}

    def run_import(folder, *, at=None, remark=""):
        rows = [{"key": f"key{number}", "lane": number % 4} for number in range(ROWS)]
        with Ledger(f"sqlite:///{folder / 'ledger.db'}", 7, "event") as ledger, RowStore() as store:
            work = Remembering(None, 7, ZoneInfo("UTC"), store, ledger, ImportOptions(settle_seconds=0.01))
            work.server, work.at, work.remark = server, at or {}, remark
            halt = work.run(rows_source(["key", "lane"], rows))
            assert halt is None
            write_report(store, ["key"], tmp_path / "report", "lane")
            return Counter(str(one.status) for one in store.outcomes())

    run_import.server = server
    return run_import


def is_healed(counts):
    """Every row is there; those that an earlier run recorded are known, those whose record was lost are found."""
    return set(counts) <= {"created", "already_created"} and counts.total() == ROWS


def test_a_ledger_whose_disk_fills_up(disk, run):
    with pytest.raises(LedgerError, match=r"full.*Free some space on the ledger's disk") as failure:
        run(disk.folder, at={40: disk.fill})
    assert failure.value.retryable
    assert str(disk.folder) in str(failure.value)
    assert 40 <= len(run.server) < ROWS
    disk.clear()
    counts = run(disk.folder)
    assert is_healed(counts)
    assert counts["already_created"] >= 30
    assert len(run.server) == ROWS


def test_a_ledger_on_a_disk_that_is_full_sends_nothing(disk, run):
    run_first = Ledger(f"sqlite:///{disk.folder / 'ledger.db'}", 7, "event")
    run_first.close()
    disk.fill()
    with pytest.raises(LedgerError, match=r"full|cannot be opened") as failure:
        run(disk.folder)
    assert failure.value.retryable
    assert run.server == {}
    disk.clear()
    assert run(disk.folder) == {"created": ROWS}


@pytest.fixture
def temporary(disk, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(disk.folder))
    monkeypatch.setattr(tempfile, "tempdir", None)
    return disk


def test_rows_that_the_temporary_folder_does_not_hold_are_not_sent(temporary, tmp_path, run):
    temporary.fill(leave=40_960)
    with pytest.raises(RowStoreError, match="full") as failure:
        run(tmp_path)
    assert str(temporary.folder) in str(failure.value)
    assert "TMPDIR" in str(failure.value)
    assert failure.value.retryable
    assert run.server == {}
    temporary.clear()
    assert run(tmp_path) == {"created": ROWS}


def test_a_temporary_folder_that_cannot_be_used_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(RowStoreError, match=r"No such file or directory.*Set TMPDIR"):
        RowStore()


def test_a_temporary_folder_that_fills_up_while_rows_are_sent_stops_nothing(temporary, tmp_path, run):
    assert run(tmp_path, at={1: temporary.fill}) == {"created": ROWS}


def test_what_came_back_is_known_where_the_temporary_folder_does_not_hold_what_is_said_of_it(temporary, tmp_path, run):
    """The remarks of the API are longer than the space that was taken for them."""
    with pytest.raises(RowStoreError, match="The ledger has the rows that were created"):
        run(tmp_path, at={1: temporary.fill}, remark="x" * 40_000)
    assert 0 < len(run.server) < ROWS
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", 7, "event") as ledger:
        known = ledger.entries([f"key{number}" for number in range(ROWS)])
    assert {key: entry.record_id for key, entry in known.items()} == run.server
    assert not (tmp_path / "report").exists()
    temporary.clear()
    before = len(run.server)
    assert run(tmp_path) == {"already_created": before, "created": ROWS - before}
