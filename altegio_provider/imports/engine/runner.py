"""Sends the rows of a row store, several at a time, each exactly once.

Each row takes three steps: it is claimed in the ledger, it is sent, and its outcome is recorded in the ledger. Many
rows share a commit: while some rows are under way, one transaction records the finished rows and claims the next ones.

The rows of one partition (an event) are sent one after the other in input order, so that the first rows of the file get
the last seats. Partitions are sent in parallel.
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

#: The reason for rejecting a row whose external_id already belongs to another booking.
OTHER_CONTENT = "its external_id was used for different data"
#: After this many lost answers in a row the run stops: the server has a fault, and each further row would be in doubt.
_MAX_LOST_IN_A_ROW = 20


class Sent(NamedTuple):
    """The API's answer to a row that it accepted.

    :param record_id: the id of the appointment or event that was created.
    :param remark: a note for the report.
    """

    record_id: int
    remark: str = ""


class Post(Protocol):
    """Sends one row, once."""

    def __call__(self, row: Pending, /) -> Sent:
        """Send the row.

        :param row: the row.
        :raises AltegioError: the request failed; the class says what happened.
        """


class Halt(NamedTuple):
    """The reason why an import ended before all rows were done.

    :param reason: the reason, for the task's error.
    :param retryable: whether a retry of the task can get further.
    """

    reason: str
    retryable: bool


class _Settled(NamedTuple):
    row: Pending
    status: Status
    reasons: list[str]
    record_id: int | None = None


class Runner:
    """Sends the rows of a row store that are ready to be sent.

    :param store: the rows.
    :param ledger: the ledger of this kind and location.
    :param post: sends one row.
    :param concurrency: maximum number of rows under way at a time.
    :param stop: when set, no new row is sent; rows under way are finished and recorded.
    :param on_settled: called with the number of rows that have just been settled.
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
        #: The reason why the run ended early, or ``None``.
        self.halt: Halt | None = None

    def send_all(self) -> None:
        """Send every row that is ready to be sent, and wait for rows that another run is sending.

        :raises LedgerError: the ledger failed; the rows under way are in doubt.
        """
        while True:
            held_by_others = self._send_once()
            if not held_by_others or not self._wait_for_other_runs(held_by_others):
                return

    @property
    def _is_over(self) -> bool:
        return self._stop.is_set() or self.halt is not None

    def _send_once(self) -> list[Pending]:
        """Send the rows that can be claimed; return those that another run holds."""
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
        """After an error, wait for the rows under way and record as many outcomes as possible.

        :param under_way: the requests under way.
        :param starting: the row that was being handed to a thread. It may have been sent or not.
        """
        with suppress(RowStoreError):
            for row in (*starting, *under_way.values()):
                self._store.settle(row.seq, Status.IN_DOUBT, reasons=["the run ended before the outcome was recorded"])
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
        """Claim the next rows and record the finished ones, in one transaction; return the rows that may be sent."""
        settled = [self._outcome_of(under_way[future], future) for future in done]

        def transaction(session: Session) -> tuple[dict[str, LedgerEntry], dict[str, int]]:
            # Claims first: a transaction that waits for another importer's claim must not hold locks yet.
            return session.claim({row.key: _intent(row) for row in batch}), self._record(session, settled)

        claims, twice = self._ledger.transact(transaction)
        for one in settled:
            if one.row.key in twice:
                one.reasons.append(
                    f"the row was created twice, also as {twice[one.row.key]}: delete one of the two in Altegio"
                )
        mine = [row for row in batch if claims[row.key].state == "mine"]
        try:
            for one in settled:
                self._store.settle(one.row.seq, one.status, record_id=one.record_id, reasons=one.reasons)
            # After settling: a signal can raise between any two steps, and rows under way are recorded again.
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
            # The claimed rows are not sent. Release them, or the next run would have to search for them.
            with suppress(LedgerError):
                self._ledger.transact(lambda session: session.release(*(row.key for row in mine)))
            raise
        return mine

    @staticmethod
    def _after(row: Pending) -> tuple[int, int]:
        return row.seq + 1, row.partition

    @staticmethod
    def _record(session: Session, settled: list[_Settled]) -> dict[str, int]:
        """Record outcomes in the ledger; return the keys that were created twice, each with its other record."""
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
        # Only an answer of the API rejects a row. After any other error the row may have been sent.
        if not isinstance(error, AltegioError):
            self.halt = self.halt or Halt(f"internal error of the importer: {type(error).__name__}", retryable=False)
            return _Settled(row, Status.IN_DOUBT, [type(error).__name__])
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= _MAX_LOST_IN_A_ROW:
            self.halt = self.halt or Halt(
                f"{self._lost_in_a_row} answers in a row were lost; the last error: {error.summary}", True
            )
        return _Settled(row, Status.IN_DOUBT, [error.summary])

    def _wait_for_other_runs(self, rows: list[Pending]) -> bool:
        """Wait until no other run holds these rows. Return whether this run can go on with them.

        An entry that this run itself holds is left over from a search that failed, and nobody would release it. It is
        put in doubt at once, so that the search is repeated.
        """
        own = self._ledger.owner.run_id
        while rows and not self._stop.wait(0.2):
            known = self._ledger.entries([row.key for row in rows])
            owners = {entry.owner for entry in known.values() if entry.state in ("sending", "settling")}
            dead = {owner for owner in owners if owner == own or self._ledger.is_dead(owner)}
            self._mark_dead({key: entry for key, entry in known.items() if entry.owner in dead})
            rows = [row for row in rows if row.key in known and known[row.key].owner in owners - dead]
        return not self._stop.is_set()

    def _mark_dead(self, known: dict[str, LedgerEntry]) -> None:
        """Put entries in doubt whose owners are dead."""

        def transaction(session: Session) -> None:
            for key in sorted(known):
                session.mark_dead(key, known[key])

        if known:
            self._ledger.transact(transaction)


def row_status(row: Pending, known: LedgerEntry) -> tuple[Status, int | None, list[str]]:
    """Return the status, record and reasons of a row according to its ledger entry.

    :param row: the row.
    :param known: the ledger's entry of its key.
    """
    if known.content != row.content:
        booked = f" (record {known.record_id})" if known.record_id else ""
        return Status.REJECTED, None, [f"{OTHER_CONTENT} before{booked}: give each row its own external_id"]
    if known.state == "created":
        return Status.ALREADY_CREATED, known.record_id, []
    if known.state == "in_doubt":
        return Status.IN_DOUBT, None, ["the answer of an earlier run was lost"]
    return Status.IN_DOUBT, None, ["another run is sending it, or was killed while it sent it"]


def _intent(row: Pending) -> Intent:
    return Intent(row.partition, row.content)


def reasons_of(error: AltegioError) -> list[str]:
    """Return the API's reasons for rejecting a row, by field if it named any.

    :param error: the error of the request.
    """
    if isinstance(error, AltegioValidationError) and error.errors:
        return [f"{field}: {'; '.join(texts)}" for field, texts in error.errors.items()]
    return [f"{error.summary} {error.message or ''}".strip()]
