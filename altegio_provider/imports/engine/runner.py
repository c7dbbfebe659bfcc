"""Sends the rows of a row store, several requests at a time, each row exactly once.

Each row takes three steps: it is claimed in the ledger, it is sent, and its outcome is recorded in the ledger. Many
rows share a commit: while some rows are under way, one transaction records the finished rows and claims the next ones.

The rows of one partition (an event) are sent one request after the other in input order, so that the first rows of the
file get the last seats. Partitions are sent in parallel.

A request has one row or a batch of rows of one partition. The rows of a batch are claimed in one transaction, and their
outcomes are recorded in one. So the ledger never has a half of a batch: after a crash either none of its rows is there,
or each of them has an entry, and all of these are in doubt or settled. If the response to a batch is lost, any of its
rows may have been created. Then the partition waits until a search has settled them, because rows that were not created
still come before the later rows of the file.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from itertools import chain, takewhile
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

__all__ = ["OTHER_CONTENT", "Batching", "Halt", "NotTaken", "Post", "Reply", "Runner", "Sent", "row_status"]

#: The reason for rejecting a row whose external_id already belongs to another booking.
OTHER_CONTENT = "its external_id was used for different data"
#: After this many lost answers in a row the run stops: the server has a fault, and each further row would be in doubt.
_MAX_LOST_IN_A_ROW = 20
#: The state of an entry that was claimed and released again, because its batch waits.
_FREE = "free"


class Sent(NamedTuple):
    """The API's answer to a row that it accepted.

    :param record_id: the id of the appointment or event that was created.
    :param remark: a note for the report.
    """

    record_id: int
    remark: str = ""


class NotTaken(NamedTuple):
    """The row was certainly not created, and it must be sent in another way: the next request has other rows."""


#: What became of one row of a request.
Reply = Sent | AltegioValidationError | NotTaken


class Post(Protocol):
    """Sends one request, once."""

    def __call__(self, rows: Sequence[Pending], /) -> Sequence[Reply]:
        """Send the rows and return the reply to each.

        :param rows: the rows of one request, in input order.
        :raises AltegioError: the request failed as a whole; the class says what happened.
        """


class Batching(NamedTuple):
    """Decides which rows share a request.

    :param largest: returns how many rows a request may have that begins with a row.
    :param joins: returns whether a row can be in the request that begins with another row: ``joins(first, row)``.
    """

    largest: Callable[[Pending], int]
    joins: Callable[[Pending, Pending], bool]


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
    #: Whether the row must be sent again in another way.
    is_open: bool = False


class Runner:
    """Sends the rows of a row store that are ready to be sent.

    :param store: the rows.
    :param ledger: the ledger of this kind and location.
    :param post: sends one request.
    :param batching: decides which rows share a request.
    :param concurrency: maximum number of requests under way at a time.
    :param stop: when set, no new row is sent; rows under way are finished and recorded.
    :param on_settled: called with the number of rows that have just been settled.
    """

    def __init__(
        self,
        store: RowStore,
        ledger: Ledger,
        post: Post,
        batching: Batching,
        *,
        concurrency: int,
        stop: StopFlag,
        on_settled: Callable[[int], None],
    ) -> None:
        self._store = store
        self._ledger = ledger
        self._post = post
        self._batching = batching
        self._concurrency = concurrency
        self._stop = stop
        self._on_settled = on_settled
        self._lost_in_a_row = 0
        #: The partitions that wait until a search has settled the rows of a batch.
        self._unsettled: set[int] = set()
        #: The reason why the run ended early, or ``None``.
        self.halt: Halt | None = None

    def send_all(self) -> None:
        """Send every row that is ready to be sent, and wait for rows that another run is sending.

        A partition with a batch in doubt is left until the next call: first a search must settle the batch.

        :raises LedgerError: the ledger failed; the rows under way are in doubt.
        """
        self._unsettled.clear()
        while True:
            held_by_others = self._send_once()
            if not held_by_others or not self._wait_for_other_runs(held_by_others):
                return

    @property
    def _is_over(self) -> bool:
        return self._stop.is_set() or self.halt is not None

    def _send_once(self) -> list[Pending]:
        """Send the rows that can be claimed; return those that another run holds."""
        partitions = [
            (seq, partition) for partition, seq in self._store.partitions() if partition not in self._unsettled
        ]
        heapq.heapify(partitions)
        held_by_others: list[Pending] = []
        under_way: dict[Future[Sequence[Reply]], list[Pending]] = {}
        starting: list[list[Pending]] = []
        with ThreadPoolExecutor(self._concurrency, thread_name_prefix="altegio-import") as pool:
            try:
                while True:
                    can_take_more = partitions and len(under_way) < self._concurrency and not self._is_over
                    done = self._returned(under_way, is_idle=not can_take_more)
                    batches = self._next_batches(partitions, self._concurrency - len(under_way) + len(done))
                    if not (under_way or batches):
                        return held_by_others
                    starting = self._claim_and_record(done, under_way, batches, partitions, held_by_others)
                    while starting:
                        under_way[pool.submit(self._post, starting[0])] = starting[0]
                        del starting[0]
            except BaseException:
                self._finish_under_way(under_way, starting[:1])
                raise

    def _finish_under_way(
        self, under_way: dict[Future[Sequence[Reply]], list[Pending]], starting: list[list[Pending]]
    ) -> None:
        """After an error, wait for the requests under way and record as many outcomes as possible.

        :param under_way: the rows of each request under way.
        :param starting: the rows that were being handed to a thread. They may have been sent or not.
        """
        with suppress(RowStoreError):
            for row in chain(*starting, *under_way.values()):
                self._store.settle(row.seq, Status.IN_DOUBT, reasons=["the run ended before the outcome was recorded"])
        while wait(under_way, timeout=LivenessMonitor.HEARTBEAT_SECONDS).not_done:
            with suppress(LedgerError):
                self._ledger.heartbeat()
        with suppress(LedgerError, RowStoreError):
            self._claim_and_record(list(under_way), under_way, [], [], [])

    def _returned(
        self, under_way: dict[Future[Sequence[Reply]], list[Pending]], *, is_idle: bool
    ) -> list[Future[Sequence[Reply]]]:
        if is_idle and under_way:
            wait(under_way, timeout=LivenessMonitor.HEARTBEAT_SECONDS, return_when=FIRST_COMPLETED)
        return [future for future in under_way if future.done()]

    def _next_batches(self, partitions: list[tuple[int, int]], count: int) -> list[list[Pending]]:
        batches: list[list[Pending]] = []
        while partitions and len(batches) < count and not self._is_over:
            seq, partition = heapq.heappop(partitions)
            first = self._store.next_in_partition(partition, seq - 1)
            if first is not None:
                batches.append(self._batch_from(first))
        return batches

    def _batch_from(self, first: Pending) -> list[Pending]:
        """Return the rows of the request that begins with a row, in input order and without a gap."""
        most = self._batching.largest(first)
        if most <= 1:
            return [first]
        following = self._store.following_in_partition(first.partition, first.seq, most - 1)
        return [first, *takewhile(lambda row: self._batching.joins(first, row), following)]

    def _claim_and_record(
        self,
        done: list[Future[Sequence[Reply]]],
        under_way: dict[Future[Sequence[Reply]], list[Pending]],
        batches: list[list[Pending]],
        partitions: list[tuple[int, int]],
        held_by_others: list[Pending],
    ) -> list[list[Pending]]:
        """Claim the next rows and record the finished ones, in one transaction; return the rows that may be sent."""
        outcomes = [self._outcomes_of(under_way[future], future) for future in done]
        settled = list(chain(*outcomes))

        def transaction(session: Session) -> tuple[dict[str, LedgerEntry], dict[str, int]]:
            # Claims first: a transaction that waits for another importer's claim must not hold locks yet.
            return _claim(session, batches), self._record(session, settled)

        claims, twice = self._ledger.transact(transaction)
        for one in settled:
            if one.row.key in twice:
                one.reasons.append(
                    f"the row was created twice, also as {twice[one.row.key]}: delete one of the two in Altegio"
                )
        mine = [[row for row in batch if claims[row.key].state == "mine"] for batch in batches]
        try:
            self._store.settle_all((one.row.seq, one.status, one.record_id, one.reasons) for one in settled)
            # After settling: a signal can raise between any two steps, and rows under way are recorded again.
            for future, of_future in zip(done, outcomes, strict=True):
                self._go_on(partitions, of_future)
                del under_way[future]
            self._on_settled(sum(not one.is_open for one in settled))
            for batch, claimed in zip(batches, mine, strict=True):
                self._settle_unclaimed(batch, claims, held_by_others)
                if not claimed and not self._must_wait(batch, claims):
                    heapq.heappush(partitions, self._after(batch[-1]))
        except BaseException:
            # The claimed rows are not sent. Release them, or the next run would have to search for them.
            with suppress(LedgerError):
                self._ledger.transact(lambda session: session.release(*(row.key for row in chain(*mine))))
            raise
        return [claimed for claimed in mine if claimed]

    def _go_on(self, partitions: list[tuple[int, int]], outcomes: list[_Settled]) -> None:
        """Let a partition go on behind the rows of a request, or wait."""
        first_open = next((one.row for one in outcomes if one.is_open), None)
        last = outcomes[-1].row
        if len(outcomes) > 1 and any(one.status is Status.IN_DOUBT for one in outcomes):
            self._unsettled.add(last.partition)
        elif first_open is not None:
            heapq.heappush(partitions, (first_open.seq, first_open.partition))
        else:
            heapq.heappush(partitions, self._after(last))

    def _settle_unclaimed(
        self, batch: list[Pending], claims: dict[str, LedgerEntry], held_by_others: list[Pending]
    ) -> None:
        """Settle the rows of a batch that another run has sent, and note those that another run holds."""
        for row in batch:
            claim = claims[row.key]
            if claim.state in ("sending", "settling"):
                held_by_others.append(row)
            elif claim.state not in ("mine", _FREE):
                self._store.settle(row.seq, *row_status(row, claim))
                self._on_settled(claim.state == "created")

    def _must_wait(self, batch: list[Pending], claims: dict[str, LedgerEntry]) -> bool:
        """Return whether a partition must wait because rows of the batch are in doubt or held by another run."""
        pending = {claims[row.key].state for row in batch if _is_pending(row, claims[row.key])}
        if len(batch) == 1 or not pending:
            return False
        if "in_doubt" in pending:
            self._unsettled.add(batch[0].partition)
        return True

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

    def _outcomes_of(self, rows: list[Pending], future: Future[Sequence[Reply]]) -> list[_Settled]:
        error = future.exception()
        if error is None:
            replies = future.result()
            if len(replies) == len(rows):
                self._lost_in_a_row = 0
                return [_settled_by(row, reply) for row, reply in zip(rows, replies, strict=True)]
            error = AssertionError("a request must have one reply for each row")
        if not isinstance(error, AltegioOutcomeUnknownError):
            self._lost_in_a_row = 0
        status, reasons = self._failed(error)
        return [_Settled(row, status, list(reasons)) for row in rows]

    def _failed(self, error: BaseException) -> tuple[Status, list[str]]:
        """Return what an error means for the rows of its request, and halt if the next request would end like it."""
        if isinstance(error, AltegioAuthError | AltegioRateLimitError | AltegioNotSentError):
            self.halt = self.halt or Halt(str(error), retryable=error.transient)
            return Status.NOT_SENT, [error.summary]
        if isinstance(error, AltegioValidationError | AltegioNotFoundError | AltegioConflictError):
            return Status.REJECTED, reasons_of(error)
        # Only an answer of the API rejects a row. After any other error the row may have been sent.
        if not isinstance(error, AltegioError):
            self.halt = self.halt or Halt(f"internal error of the importer: {type(error).__name__}", retryable=False)
            return Status.IN_DOUBT, [type(error).__name__]
        self._lost_in_a_row += 1
        if self._lost_in_a_row >= _MAX_LOST_IN_A_ROW:
            self.halt = self.halt or Halt(
                f"{self._lost_in_a_row} answers in a row were lost; the last error: {error.summary}", True
            )
        return Status.IN_DOUBT, [error.summary]

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


def _claim(session: Session, batches: list[list[Pending]]) -> dict[str, LedgerEntry]:
    """Claim the rows of some batches and return the entries; ``mine`` is what may be sent.

    A batch waits as a whole if one of its rows is in doubt or held by another run: its other rows are released in the
    same transaction, so that no later row of the file gets a seat first.
    """
    claims = session.claim({row.key: _intent(row) for batch in batches for row in batch})
    for batch in batches:
        if len(batch) > 1 and any(_is_pending(row, claims[row.key]) for row in batch):
            free = [row.key for row in batch if claims[row.key].state == "mine"]
            session.release(*free)
            claims.update({key: claims[key]._replace(state=_FREE) for key in free})
    return claims


def _is_pending(row: Pending, claim: LedgerEntry) -> bool:
    """Return whether it is not yet known whether a row was created."""
    if claim.state == "in_doubt":
        return claim.content == row.content  # otherwise the row is rejected
    return claim.state in ("sending", "settling")


def _settled_by(row: Pending, reply: Reply) -> _Settled:
    if isinstance(reply, Sent):
        return _Settled(row, Status.CREATED, [reply.remark] if reply.remark else [], reply.record_id)
    if isinstance(reply, NotTaken):
        return _Settled(row, Status.NOT_SENT, [], is_open=True)
    return _Settled(row, Status.REJECTED, reasons_of(reply))


def _intent(row: Pending) -> Intent:
    return Intent(row.partition, row.content)


def reasons_of(error: AltegioError) -> list[str]:
    """Return the API's reasons for rejecting a row, by field if it named any.

    :param error: the error of the request.
    """
    if isinstance(error, AltegioValidationError) and error.errors:
        return [f"{field}: {'; '.join(texts)}" for field, texts in error.errors.items()]
    return [f"{error.summary} {error.message or ''}".strip()]
