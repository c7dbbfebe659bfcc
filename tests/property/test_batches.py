"""Imports in batches that are killed at any step, on a server that loses answers: each row once, in input order."""

from __future__ import annotations

import sqlite3
import tempfile
from collections import Counter
from pathlib import Path
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from altegio_provider.api.errors import (
    AltegioConnectionOutcomeUnknownError,
    AltegioNotSentError,
    AltegioValidationError,
)
from altegio_provider.imports.engine.file_import import FileImport, ImportOptions
from altegio_provider.imports.engine.row_store import RowStore
from altegio_provider.imports.engine.runner import NotTaken, Sent
from altegio_provider.imports.files.open_source import rows_source
from altegio_provider.imports.ledger.ledger import Ledger
from altegio_provider.imports.matching.match import Absent, Found

BATCH = 4
#: A process of this number is there, and was not born then.
DEAD_PROCESS = "1:0"


class Killed(BaseException):
    """The process is gone: nothing that it would do afterwards is done."""


class Server:
    """What is booked, and what becomes of each request in turn; afterwards all goes well."""

    def __init__(self, seats, fates):
        self.seats = dict(enumerate(seats))
        self.fates = list(fates)
        self.kill = lambda: None
        self.booked: list[str] = []
        self.events: dict[str, int] = {}

    def book(self, row):
        if self.seats[row.partition] == 0:
            return AltegioValidationError("refused:", message="no seat is free")
        self.seats[row.partition] -= 1
        self.booked.append(row.key)
        self.events[row.key] = row.partition
        return Sent(1000 + len(self.booked))

    def post(self, rows):
        fate, places = self.fates.pop(0) if self.fates else ("good", ())
        lost = AltegioConnectionOutcomeUnknownError("no answer.", method="POST")
        if fate == "good":
            return [self.book(row) for row in rows]
        if fate == "not sent":
            raise AltegioNotSentError("no connection.")
        if fate == "one by one" and len(rows) > 1:
            return [NotTaken()] * len(rows)
        if fate == "before":
            raise lost
        for place, row in enumerate(rows):
            if fate == "after" or place in places:
                self.book(row)
        if fate == "killed":
            self.kill()
        raise lost


class Batches(FileImport):
    """Sends rows of two columns, ``key`` and ``event``, in batches of four."""

    kind = "booking"
    partition_column = "event_id"
    server: Server
    alone: set[int]

    def _row_handler(self, source):
        return lambda row: self._accept(row, row.values["key"], row.values["event"], {})

    def _check_availability(self):
        pass

    def _largest_batch(self, first):
        return 1 if first.seq in self.alone else BATCH

    def _joins(self, first, row):
        return row.seq not in self.alone

    def _post(self, row):
        raise AssertionError

    def _post_rows(self, rows):
        assert len({row.partition for row in rows}) == 1
        assert [row.seq for row in rows] == sorted(row.seq for row in rows)
        assert len(rows) <= BATCH
        replies = self.server.post(rows)
        if isinstance(replies[0], NotTaken):
            self.alone.update(row.seq for row in rows)
        return replies

    def _search(self, partition, rows, taken):
        places = {key: 1001 + place for place, key in enumerate(self.server.booked)}
        return {row.key: Found(places[row.key]) if row.key in places else Absent() for row in rows}


class MortalLedger(Ledger):
    """A ledger whose process dies before or after a transaction, and does nothing any more."""

    left = 10**9
    is_dead_now = False

    def transact(self, work):
        if self.is_dead_now:
            raise Killed
        self.left -= 1
        if self.left == 0:
            self.is_dead_now = True
            raise Killed
        result = super().transact(work)
        self.left -= 1
        if self.left == 0:
            self.is_dead_now = True
            raise Killed
        return result


def run(folder, server, rows, *, dies_at=10**9):
    """Import the rows; return the statuses by key, or nothing where the process was killed."""
    with Ledger(f"sqlite:///{folder / 'ledger.db'}", 7, "booking") as opened:
        ledger = opened
        ledger.__class__ = MortalLedger
        ledger.left = dies_at
        try:
            with RowStore() as store:
                options = ImportOptions(settle_seconds=0, concurrency=2)
                work = Batches(None, 7, ZoneInfo("UTC"), store, ledger, options)
                work.server, work.alone = server, set()
                server.kill = lambda: setattr(ledger, "is_dead_now", True)
                work.run(rows_source(["key", "event"], rows))
                return {one.key: str(one.status) for one in store.outcomes()}
        except Killed:
            with sqlite3.connect(folder / "ledger.db") as database:
                database.execute("UPDATE altegio_ledger_runs SET process = ?", (DEAD_PROCESS,))
            database.close()
            ledger.owner.end()
            return {}
        finally:
            ledger.__class__ = Ledger


PLACES = st.sets(st.integers(0, BATCH - 1)).map(tuple)
FATES = st.tuples(st.sampled_from(["good", "before", "after", "partly", "killed", "not sent", "one by one"]), PLACES)


@settings(max_examples=120, deadline=None)
@given(
    events=st.lists(st.integers(0, 2), min_size=1, max_size=14),
    seats=st.tuples(*[st.integers(0, 12)] * 3),
    fates=st.lists(FATES, max_size=8),
    deaths=st.lists(st.integers(3, 40), max_size=3),
)
def test_whatever_dies_each_row_is_booked_once_and_the_first_rows_get_the_seats(events, seats, fates, deaths):
    rows = [{"key": f"row{number}", "event": event} for number, event in enumerate(events)]
    with tempfile.TemporaryDirectory() as name:
        folder, server = Path(name), Server(seats, fates)
        for step in deaths:
            run(folder, server, rows, dies_at=step)
        for _ in range(len(fates) + 1):
            statuses = run(folder, server, rows)
            if statuses and not set(statuses.values()) & {"not_sent", "in_doubt"}:
                break
        server.fates.clear()
        assert max(Counter(server.booked).values(), default=0) <= 1
        for event, seats_of_event in enumerate(seats):
            mine = [row["key"] for row in rows if row["event"] == event]
            there = [key for key in server.booked if server.events[key] == event]
            assert len(there) == min(len(mine), seats_of_event)
            if not {fate for fate, _ in fates} & {"partly", "killed"}:
                assert there == mine[: len(there)]
        booked = {key for key, status in statuses.items() if status in ("created", "already_created")}
        assert booked == set(server.booked)
        again = run(folder, server, rows)
        assert {key for key, status in again.items() if status == "already_created"} == booked
        assert max(Counter(server.booked).values(), default=0) <= 1
