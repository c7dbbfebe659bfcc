"""Sends the rows of a spool through the ledger, several at once, each exactly once.

A row goes in three steps, of which the first and the last are committed to the ledger: it is claimed, it is sent, and
what came of it is recorded. Many rows share a commit: while some are under way, those that have come back are
recorded and the next ones claimed in one transaction.

Rows of one partition (an event) are sent one after the other, in input order, so that the first ones in the file get
the last seats; partitions are sent in parallel.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from typing import NamedTuple, Protocol

from altegio_provider.api.errors import (
    AltegioAuthError,
    AltegioConflictError,
    AltegioError,
    AltegioNotFoundError,
    AltegioNotSentError,
    AltegioOutcomeUnknownError,
    AltegioRateLimitError,
    AltegioValidationError,
)
from altegio_provider.imports.engine.row_store import Pending, RowStore, RowStoreError, Status
from altegio_provider.imports.engine.stop_flag import StopFlag
from altegio_provider.imports.ledger.ledger import Intent, Ledger, LedgerEntry, LedgerError, Session
from altegio_provider.imports.ledger.liveness import LivenessMonitor

__all__ = ["OTHER_CONTENT", "Halt", "Post", "Runner", "Sent", "row_status"]

#: What is wrong with a row whose key stands for another one.
OTHER_CONTENT = "its external_id stood for something else"
#: So many answers lost one after the other mean that the server is ill; each further one would be a row in doubt.
_MAX_LOST_IN_A_ROW = 20


class Sent(NamedTuple):
    """What the API said of a row that it took.

    :param record_id: what was created.
    :param remark: what a person should know of it.
    """

    record_id: int
    remark: str = ""


class Post(Protocol):
    """Sends one row, once."""

    def __call__(self, row: Pending, /) -> Sent:
        """:raises AltegioError: the leaf says what came of it."""


class Halt(NamedTuple):
    """Why the sending ended before its end.

    :param reason: for a person.
    :param retryable: whether the same run later may get further.
    """

    reason: str
    retryable: bool


class _Settled(NamedTuple):
    row: Pending
    status: Status
    reasons: list[str]
    record_id: int | None = None


class Runner:
    """Sends what a spool has to send.

    :param concurrency: rows under way at once, at most.
    :param stop: set it from anywhere, and nothing new is sent; what is under way is finished and recorded.
    :param on_settled: told of the number of rows that are settled, as they are.
    """

    def __init__(
        self,
        store: RowStore,
        ledger: Ledger,
        post: Post,
        *,
        concurrency: int,
        stop: StopFlag,
        on_settled: Callable[[int], None],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._post = post
        self._concurrency = concurrency
        self._stop = stop
        self._on_settled = on_settled
        self._lost_in_a_row = 0
        #: Why it halted, if it did.
        self.halt: Halt | None = None

    def send_all(self) -> None:
        """Send every row of the spool that is fit to be sent, and wait for rows that another run is sending.

        :raises LedgerError: the ledger failed; what was under way is in doubt.
        """
        while True:
            held_by_others = self._send_once()
            if not held_by_others or not self._wait_for_other_runs(held_by_others):
                return

    @property
    def _is_over(self) -> bool:
        return self._stop.is_set() or self.halt is not None

    def _send_once(self) -> list[Pending]:
        """Send what can be claimed; return what another run is sending at this time."""
        partitions = [(seq, partition) for partition, seq in self._store.partitions()]
        heapq.heapify(partitions)
        held_by_others: list[Pending] = []
        under_way: dict[Future[Sent], Pending] = {}
        starting: list[Pending] = []
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="altegio-import") as pool:
            try:
                while True:
                    can_take_more = partitions and len(under_way) < self._concurrency and not self._is_over
                    done = self._returned(under_way, is_idle=not can_take_more)
                    batch = self._next_rows(partitions, self._concurrency - len(under_way) + len(done))
                    if not (under_way or batch):
                        return held_by_others
                    starting = self._claim_and_record(done, under_way, batch, partitions, held_by_others)
                    while starting:
                        under_way[pool.submit(self._post, starting[0])] = starting[0]
                        del starting[0]
            except BaseException:
                self._finish_under_way(under_way, starting[:1])
                raise

    def _finish_under_way(self, under_way: dict[Future[Sent], Pending], starting: list[Pending]) -> None:
        """Finish what is under way when the run breaks off, and record as much of it as possible.

        :param starting: the row that was being given to a thread; whether it was is unknown.
        """
        with suppress(RowStoreError):
            for row in (*starting, *under_way.values()):
                self._store.settle(row.seq, Status.IN_DOUBT, reasons=["the run broke off before it was recorded"])
        while wait(under_way, timeout=LivenessMonitor.HEARTBEAT_SECONDS).not_done:
            with suppress(LedgerError):
                self._ledger.heartbeat()
        with suppress(LedgerError, RowStoreError):
            self._claim_and_record(list(under_way), under_way, [], [], [])

    def _returned(self, under_way: dict[Future[Sent], Pending], *, is_idle: bool) -> list[Future[Sent]]:
        if is_idle and under_way:
            wait(under_way, timeout=LivenessMonitor.HEARTBEAT_SECONDS, return_when=FIRST_COMPLETED)
        return [future for future in under_way if future.done()]

    def _next_rows(self, partitions: list[tuple[int, int]], count: int) -> list[Pending]:
        batch: list[Pending] = []
        while partitions and len(batch) < count and not self._is_over:
            seq, partition = heapq.heappop(partitions)
            row = self._store.next_in_partition(partition, seq - 1)
            if row is not None:
                batch.append(row)
        return batch

    def _claim_and_record(
        self,
        done: list[Future[Sent]],
        under_way: dict[Future[Sent], Pending],
        batch: list[Pending],
        partitions: list[tuple[int, int]],
        held_by_others: list[Pending],
    ) -> list[Pending]:
        """Claim what is next and record what came back, in one transaction; return what may be sent."""
        settled = [self._outcome_of(under_way[future], future) for future in done]

        def transaction(session: Session) -> tuple[dict[str, LedgerEntry], dict[str, int]]:
            # In this order: whoever waits for another importer's claims must hold nothing that it may wait for.
            return session.claim({row.key: _intent(row) for row in batch}), self._record(session, settled)

        claims, twice = self._ledger.transact(transaction)
        for one in settled:
            if one.row.key in twice:
                one.reasons.append(
                    f"it was created twice, as {twice[one.row.key]} too: delete one of the two in Altegio"
                )
        mine = [row for row in batch if claims[row.key].state == "mine"]
        try:
            for one in settled:
                self._store.settle(one.row.seq, one.status, record_id=one.record_id, reasons=one.reasons)
            # Only now: a signal may raise between any two steps, and what is under way is then recorded once more.
            for future in done:
                heapq.heappush(partitions, self._after(under_way.pop(future)))
            self._on_settled(len(settled))
            for row in batch:
                claim = claims[row.key]
                if claim.state == "mine":
                    continue
                heapq.heappush(partitions, self._after(row))
                if claim.state in ("sending", "settling"):
                    held_by_others.append(row)
                    continue
                self._store.settle(row.seq, *row_status(row, claim))
                self._on_settled(claim.state == "created")
        except BaseException:
            # What was claimed is not sent any more: without this, the next run would have to look for it.
            with suppress(LedgerError):
                self._ledger.transact(lambda session: session.release(*(row.key for row in mine)))
            raise
        return mine

    @staticmethod
    def _after(row: Pending) -> tuple[int, int]:
        return row.seq + 1, row.partition

    @staticmethod
    def _record(session: Session, settled: list[_Settled]) -> dict[str, int]:
        """Tell the ledger what came back; return the keys that were created twice, each with its other record."""
        created = {one.row.key: one for one in settled if one.record_id is not None}
        twice = session.record_created(
            {key: one.record_id for key, one in created.items() if one.record_id is not None},
            {key: _intent(one.row) for key, one in created.items()},
        )
        session.mark_in_doubt(*(one.row.key for one in settled if one.status is Status.IN_DOUBT))
        session.release(*(one.row.key for one in settled if one.status in (Status.NOT_SENT, Status.REJECTED)))
        return twice

    def _outcome_of(self, row: Pending, future: Future[Sent]) -> _Settled:
        error = future.exception()
        if not isinstance(error, AltegioOutcomeUnknownError):
            self._lost_in_a_row = 0
        if error is None:
            sent = future.result()
            return _Settled(row, Status.CREATED, [sent.remark] if sent.remark else [], sent.record_id)
        if isinstance(error, AltegioAuthError | AltegioRateLimitError | AltegioNotSentError):
            self.halt = self.halt or Halt(str(error), retryable=error.transient)
            return _Settled(row, Status.NOT_SENT, [error.summary])
        if isinstance(error, AltegioValidationError | AltegioNotFoundError | AltegioConflictError):
            return _Settled(row, Status.REJECTED, reasons_of(error))
        # Only an answer of the API refuses a row. Whatever else came of it, it may have been sent.
        if not isinstance(error, AltegioError):
            self.halt = self.halt or Halt(f"a fault of the importer itself: {type(error).__name__}", retryable=False)
            return _Settled(row, Status.IN_DOUBT, [type(error).__name__])
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= _MAX_LOST_IN_A_ROW:
            self.halt = self.halt or Halt(
                f"{self._lost_in_a_row} answers in a row were lost; the last: {error.summary}", True
            )
        return _Settled(row, Status.IN_DOUBT, [error.summary])

    def _wait_for_other_runs(self, rows: list[Pending]) -> bool:
        """Wait until no other run sends these rows any more; whether some of them may be sent by this one now."""
        while rows and not self._stop.wait(0.2):
            known = self._ledger.entries([row.key for row in rows])
            owners = {entry.owner for entry in known.values() if entry.state in ("sending", "settling")}
            dead = {owner for owner in owners if self._ledger.is_dead(owner)}
            self._mark_dead({key: entry for key, entry in known.items() if entry.owner in dead})
            rows = [row for row in rows if row.key in known and known[row.key].owner in owners - dead]
        return not self._stop.is_set()

    def _mark_dead(self, known: dict[str, LedgerEntry]) -> None:
        """Put entries whose owners are dead in doubt."""

        def transaction(session: Session) -> None:
            for key in sorted(known):
                session.mark_dead(key, known[key])

        if known:
            self._ledger.transact(transaction)


def row_status(row: Pending, known: LedgerEntry) -> tuple[Status, int | None, list[str]]:
    """How a row stands by what the ledger knows of its key: status, record and reasons."""
    if known.content != row.content:
        booked = f" as {known.record_id}" if known.record_id else ""
        return Status.REJECTED, None, [f"{OTHER_CONTENT} before{booked}: give each row an external_id of its own"]
    if known.state == "created":
        return Status.ALREADY_CREATED, known.record_id, []
    if known.state == "in_doubt":
        return Status.IN_DOUBT, None, ["the answer of an earlier run was lost"]
    return Status.IN_DOUBT, None, ["another run is sending it, or was ended while it did"]


def _intent(row: Pending) -> Intent:
    return Intent(row.partition, row.content)


def reasons_of(error: AltegioError) -> list[str]:
    """What the API said of a row that it refused, by field where it named any."""
    if isinstance(error, AltegioValidationError) and error.errors:
        return [f"{field}: {'; '.join(texts)}" for field, texts in error.errors.items()]
    return [f"{error.summary} {error.message or ''}".strip()]
