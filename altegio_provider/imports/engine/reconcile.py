"""Finds out what became of rows in doubt: whose answer was lost, or whose process died before it was recorded.

After a settling time (an effect may come late, and so may the number of a client) what the API shows is searched for
them. What is found is created, what is surely absent may be sent again, and what nobody can tell stays in doubt. While
a row is searched for, the ledger says so, and no other run searches for it or sends it.
"""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from altegio_provider.api.errors import AltegioError
from altegio_provider.imports.engine.spool import Pending, Spool, Status
from altegio_provider.imports.engine.stop import Stop
from altegio_provider.imports.ledger.ledger import Known, Ledger, Session
from altegio_provider.imports.ledger.liveness import Watch
from altegio_provider.imports.matching.match import Absent, Found, Undecided, Verdict

__all__ = ["Reconciler", "Search"]

#: How often a row is looked for that may still clear up.
_LOOKS = 3


class Search(Protocol):
    """Looks for rows of one lane."""

    def __call__(
        self, lane: int, rows: Sequence[Pending], taken: Callable[[Sequence[int]], set[int]], /
    ) -> dict[str, Verdict]:
        """Return the verdict on each key.

        :param taken: tells which of some records belong to a row of the ledger already.
        :raises AltegioError: it cannot be looked up.
        """


class Reconciler:
    """Brings the rows in doubt of a spool as near to certainty as can be.

    :param settle_seconds: how long to wait before looking, and between two looks.
    :param stop: set it from anywhere, and the search ends soon; what it held is in doubt as before.
    """

    def __init__(self, spool: Spool, ledger: Ledger, search: Search, *, settle_seconds: float, stop: Stop) -> None:
        self._spool = spool
        self._ledger = ledger
        self._search = search
        self._settle_seconds = settle_seconds
        self._stop = stop
        self._looks: Counter[str] = Counter()
        self._given_up: set[str] = set()
        #: Whether a later run may find out what this one could not.
        self.may_clear_up = False

    @property
    def has_work(self) -> bool:
        """Whether there are rows in doubt that are worth a look."""
        return not self._stop.is_set() and any(self._open(chunk) for chunk in self._spool.with_status(Status.IN_DOUBT))

    def look(self) -> None:
        """Wait for things to settle, and look for every row in doubt once.

        A row that is surely absent is free to be sent again afterwards.
        """
        self._settle()
        if self._stop.is_set():
            return
        lanes: dict[int, list[Pending]] = defaultdict(list)
        for chunk in self._spool.with_status(Status.IN_DOUBT):
            for row in self._open(chunk):
                lanes[row.lane].append(row)
        for lane, rows in lanes.items():
            if self._stop.is_set():
                return
            self._look_in(lane, rows)

    def _open(self, rows: list[Pending]) -> list[Pending]:
        return [row for row in rows if row.key not in self._given_up]

    def _settle(self) -> None:
        until = time.monotonic() + self._settle_seconds
        while (left := until - time.monotonic()) > 0 and not self._stop.wait(min(left, Watch.BEAT_SECONDS)):
            self._ledger.beat()

    def _look_in(self, lane: int, rows: list[Pending]) -> None:
        keys = [row.key for row in rows]

        def take(session: Session) -> tuple[set[str], dict[str, Known]]:
            held = set(session.take_doubt(keys))
            return held, session.known([key for key in keys if key not in held])

        held, known = self._ledger.transact(take)
        for row in rows:
            if row.key not in held:
                self._leave_to_others(row, known[row.key].record_id if row.key in known else None)
        rows = [row for row in rows if row.key in held]
        if not rows:
            return
        verdicts: dict[str, Verdict]
        try:
            verdicts = self._search(lane, rows, self._taken)
        except AltegioError as error:
            reason = f"what became of it cannot be looked up: {error.summary}"
            verdicts = {row.key: Undecided(reason, may_clear_up=error.transient) for row in rows}
        except BaseException:
            self._ledger.transact(lambda session: session.doubt(*(row.key for row in rows)))
            raise
        self._record(rows, verdicts)

    def _taken(self, record_ids: Sequence[int]) -> set[int]:
        return self._ledger.transact(lambda session: session.records_among(record_ids))

    def _leave_to_others(self, row: Pending, record_id: int | None) -> None:
        """Another run has it: it is created by now, or the sending finds out."""
        if record_id is not None:
            self._spool.settle(row.seq, Status.ALREADY_CREATED, record_id=record_id)
        else:
            self._spool.settle(row.seq, Status.NOT_SENT)

    def _record(self, rows: list[Pending], verdicts: dict[str, Verdict]) -> None:
        verdicts = self._ledger.transact(lambda session: _recorded(session, verdicts))
        for row in rows:
            verdict = verdicts[row.key]
            if isinstance(verdict, Found):
                reasons = ["its answer was lost, and the appointment found", *([verdict.remark] * bool(verdict.remark))]
                self._spool.settle(row.seq, Status.CREATED, record_id=verdict.record_id, reasons=reasons)
            elif isinstance(verdict, Absent):
                self._spool.settle(row.seq, Status.NOT_SENT)
            else:
                self._looks[row.key] += 1
                if not verdict.may_clear_up or self._looks[row.key] >= _LOOKS:
                    self._given_up.add(row.key)
                    self.may_clear_up |= verdict.may_clear_up
                self._spool.settle(row.seq, Status.IN_DOUBT, reasons=[verdict.reason])


def _recorded(session: Session, verdicts: Mapping[str, Verdict]) -> dict[str, Verdict]:
    """Tell the ledger the verdicts; return them as they stand then: a record belongs to one row only."""
    standing = dict(verdicts)
    for key in sorted(verdicts):
        verdict = verdicts[key]
        if isinstance(verdict, Found) and not session.found(key, verdict.record_id):
            verdict = standing[key] = Undecided("another row has the appointment found", True)
        if isinstance(verdict, Absent):
            session.free(key)
        elif isinstance(verdict, Undecided):
            session.doubt(key)
    return standing
