"""Finds out whether rows in doubt were created: their answer was lost, or their process was killed.

After a settling time (a record and the id of a new client can appear late) the API is searched for the rows. A row that
is found is created, a row that is certainly absent can be sent again, and any other row stays in doubt. During the
search the entry is ``settling`` in the ledger, so no other run searches for the row or sends it.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from altegio_provider.api.errors import AltegioError
from altegio_provider.imports.engine.row_store import Pending, RowStore, Status
from altegio_provider.imports.engine.stop_flag import StopFlag
from altegio_provider.imports.ledger.ledger import Ledger, LedgerEntry, Session
from altegio_provider.imports.ledger.liveness import LivenessMonitor
from altegio_provider.imports.matching.match import Absent, Found, Undecided, Verdict

__all__ = ["Reconciler", "Search"]

#: Maximum number of searches for a row whose result may still change.
_SEARCHES = 3


class Search(Protocol):
    """Searches for the rows of one partition."""

    def __call__(
        self, partition: int, rows: Sequence[Pending], taken: Callable[[Sequence[int]], set[int]], /
    ) -> dict[str, Verdict]:
        """Return the verdict on each key.

        :param partition: the event or team member.
        :param rows: the rows to search for.
        :param taken: returns which of some records already belong to a row of the ledger.
        :raises AltegioError: the search failed.
        """


class Reconciler:
    """Searches for the rows in doubt and records the results.

    :param store: the rows.
    :param ledger: the ledger of this kind and location.
    :param search: searches for the rows of one partition.
    :param settle_seconds: seconds to wait before each search.
    :param stop: when set, the search ends soon; the rows stay in doubt.
    """

    def __init__(
        self, store: RowStore, ledger: Ledger, search: Search, *, settle_seconds: float, stop: StopFlag
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._search = search
        self._settle_seconds = settle_seconds
        self._stop = stop
        self._searches: Counter[str] = Counter()
        self._given_up: set[str] = set()
        #: Whether a later run may have a clearer result.
        self.retryable = False

    @property
    def has_work(self) -> bool:
        """Whether there are rows in doubt to search for."""
        return not self._stop.is_set() and any(self._open(chunk) for chunk in self._store.with_status(Status.IN_DOUBT))

    def search_all(self) -> None:
        """Wait for the settling time, then search once for every row in doubt.

        A row that is certainly absent can be sent again afterwards.
        """
        self._settle()
        if self._stop.is_set():
            return
        partitions: dict[int, list[Pending]] = defaultdict(list)
        for chunk in self._store.with_status(Status.IN_DOUBT):
            for row in self._open(chunk):
                partitions[row.partition].append(row)
        for partition, rows in partitions.items():
            if self._stop.is_set():
                return
            self._search_partition(partition, rows)

    def _open(self, rows: list[Pending]) -> list[Pending]:
        return [row for row in rows if row.key not in self._given_up]

    def _settle(self) -> None:
        until = time.monotonic() + self._settle_seconds
        while (left := until - time.monotonic()) > 0 and not self._stop.wait(
            min(left, LivenessMonitor.HEARTBEAT_SECONDS)
        ):
            self._ledger.heartbeat()

    def _search_partition(self, partition: int, rows: list[Pending]) -> None:
        keys = [row.key for row in rows]

        def take(session: Session) -> tuple[set[str], dict[str, LedgerEntry]]:
            held = set(session.claim_in_doubt(keys))
            return held, session.entries([key for key in keys if key not in held])

        held, known = self._ledger.transact(take)
        for row in rows:
            if row.key not in held:
                self._leave_to_others(row, known[row.key].record_id if row.key in known else None)
        rows = [row for row in rows if row.key in held]
        if not rows:
            return
        verdicts: dict[str, Verdict]
        try:
            verdicts = self._search(partition, rows, self._taken)
        except AltegioError as error:
            reason = f"the answer was lost, and the search failed: {error.summary}"
            verdicts = {row.key: Undecided(reason, retryable=error.transient) for row in rows}
        except BaseException:
            self._ledger.transact(lambda session: session.mark_in_doubt(*(row.key for row in rows)))
            raise
        self._record(rows, verdicts)

    def _taken(self, record_ids: Sequence[int]) -> set[int]:
        return self._ledger.transact(lambda session: session.records_among(record_ids))

    def _leave_to_others(self, row: Pending, record_id: int | None) -> None:
        """Settle a row that another run holds: it is created by now, or the runner decides."""
        if record_id is not None:
            self._store.settle(row.seq, Status.ALREADY_CREATED, record_id=record_id)
        else:
            self._store.settle(row.seq, Status.NOT_SENT)

    def _record(self, rows: list[Pending], verdicts: dict[str, Verdict]) -> None:
        verdicts = self._ledger.transact(lambda session: _recorded(session, verdicts))
        for row in rows:
            verdict = verdicts[row.key]
            if isinstance(verdict, Found):
                reasons = ["the answer was lost; a search found the record", *([verdict.remark] * bool(verdict.remark))]
                self._store.settle(row.seq, Status.CREATED, record_id=verdict.record_id, reasons=reasons)
            elif isinstance(verdict, Absent):
                self._store.settle(row.seq, Status.NOT_SENT)
            else:
                self._searches[row.key] += 1
                if not verdict.retryable or self._searches[row.key] >= _SEARCHES:
                    self._given_up.add(row.key)
                    self.retryable |= verdict.retryable
                self._store.settle(row.seq, Status.IN_DOUBT, reasons=[verdict.reason])


def _recorded(session: Session, verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """Record the verdicts in the ledger and return them; a record that belongs to another row becomes undecided."""
    row_status = dict(verdicts)
    for key in sorted(verdicts):
        verdict = verdicts[key]
        if isinstance(verdict, Found) and not session.record_found(key, verdict.record_id):
            verdict = row_status[key] = Undecided("the record that a search found belongs to another row", True)
        if isinstance(verdict, Absent):
            session.release(key)
        elif isinstance(verdict, Undecided):
            session.mark_in_doubt(key)
    return row_status
