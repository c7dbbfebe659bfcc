"""A file goes into Altegio, each row exactly once: the whole way of a file, in the order of its steps.

::

    source ─▶ columns ─▶ validation ─▶ lookup ─▶ spool ─▶ weigh ─▶ gate ─▶ runner ⇄ reconcile ─▶ report
                                                   └──────────── ledger ────────────┘

Nothing is sent before every row has been read, checked and weighed. What the rows are is said by a
:class:`FileImport` of their kind, :mod:`~altegio_provider.imports.engine.bookings` or
:mod:`~altegio_provider.imports.engine.timetable`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, ClassVar, Literal
from zoneinfo import ZoneInfo

from altegio_provider.api import AltegioClient
from altegio_provider.api.arguments import checked_concurrency, checked_seconds
from altegio_provider.common.garbage_collection import reduced_garbage_collection
from altegio_provider.imports.engine.reconcile import Reconciler
from altegio_provider.imports.engine.row_store import Pending, RowStore, Status
from altegio_provider.imports.engine.runner import OTHER_CONTENT, Halt, Runner, Sent, row_status
from altegio_provider.imports.engine.stop_flag import StopFlag
from altegio_provider.imports.files.row_source import RowSource
from altegio_provider.imports.ledger.ledger import Ledger, LedgerEntry, Session, key_of
from altegio_provider.imports.matching.match import Verdict
from altegio_provider.imports.model import SourceRow

__all__ = ["FileImport", "ImportOptions", "OnDuplicate"]

OnDuplicate = Literal["skip", "send", "reject"]

_ROUNDS = 20


@dataclass(frozen=True)
class ImportOptions:
    """How a file is imported; the operators' docstrings explain each.

    :param max_rejected: so many rows (``int``) or such a share of them (``float`` of 0 to 1) may be faulty.
    :param settle_seconds: how long to wait before looking for what a lost answer left behind.
    :param check_seats: ask each event for its seats before anything is sent: one request an event.
    """

    event_id: int | None = None
    column_mapping: Mapping[str, str | None] | None = None
    defaults: Mapping[str, Any] | None = None
    default_region: str | None = None
    dry_run: bool = False
    max_rejected: int | float = 0
    on_duplicate: OnDuplicate = "skip"
    resend_in_doubt: bool = False
    concurrency: int = 4
    settle_seconds: float = 20.0
    check_seats: bool = True

    def __post_init__(self) -> None:
        """Refuse what would break off a run in its middle, or let it look too soon for what a lost answer left.

        :raises AltegioValidationError: ``concurrency`` or ``settle_seconds`` cannot be right.
        """
        checked_concurrency(self.concurrency)
        checked_seconds("settle_seconds", self.settle_seconds)


class FileImport(ABC):
    """One file on its way into one location.

    :param timezone: the location's.
    :param spool: takes the rows; afterwards it holds what became of each.
    :param ledger: of this kind and location.
    :param stop: set it from anywhere, a signal handler too, and what is under way is finished and recorded.
    :param on_progress: told of (rows settled, rows to send).
    """

    #: What the ledger calls such entries.
    kind: ClassVar[str]
    #: What a partition is, as the report's column names it.
    partition_column: ClassVar[str]

    def __init__(
        self,
        client: AltegioClient,
        location_id: int,
        timezone: ZoneInfo,
        store: RowStore,
        ledger: Ledger,
        options: ImportOptions,
        *,
        stop: StopFlag | None = None,
        on_progress: Callable[[int, int], None] = lambda _settled, _rows: None,
    ) -> None:
        self.client = client
        self.location_id = location_id
        self.timezone = timezone
        self.store = store
        self.ledger = ledger
        self.options = options
        self._stop = stop or StopFlag()
        self._on_progress = on_progress
        self._repeats: Counter[str] = Counter()
        self._doubted_before: set[int] = set()
        self._in_doubt_retryable = False

    @reduced_garbage_collection()
    def run(self, source: RowSource) -> Halt | None:
        """Read, check, send and settle every row; return why not all of them are there, where that is so.

        :raises ImportFileError: the file or its columns cannot be taken. Nothing was sent.
        :raises LedgerError: the ledger failed. What was under way then is in doubt.
        :raises RowStoreError: there is no space for the rows. Nothing was sent, or the ledger knows what was.
        :raises AltegioError: what the file names cannot be looked up. Nothing was sent.
        """
        plan = self._row_handler(source)
        for row in source:
            plan(row)
        self._apply_ledger()
        self._check_availability()
        too_many = self._max_rejected_halt("nothing was sent")
        if self.options.dry_run or too_many is not None:
            self._apply_ledger_to_unsent()
            return None if self.options.dry_run else too_many
        self.store.reserve_space()
        return self._send()

    @abstractmethod
    def _row_handler(self, source: RowSource) -> Callable[[SourceRow], None]:
        """Return what puts a row into the spool, rejected or fit to be sent.

        :raises ImportFileError: the columns cannot be taken.
        """

    @abstractmethod
    def _check_availability(self) -> None:
        """Reject what is sound by itself, and cannot be because of the other rows or of what is in Altegio."""

    @abstractmethod
    def _post(self, row: Pending) -> Sent:
        """Send one row."""

    @abstractmethod
    def _search(
        self, partition: int, rows: Sequence[Pending], taken: Callable[[Sequence[int]], set[int]]
    ) -> dict[str, Verdict]:
        """Look for rows whose answer was lost; see :class:`~altegio_provider.imports.engine.reconcile.Search`."""

    def _accept(
        self,
        row: SourceRow,
        key: str,
        partition: int,
        body: Mapping[str, Any],
        *,
        seats: int = 0,
        content: str | None = None,
    ) -> None:
        """Put a row fit to be sent into the spool, unless an earlier one asks for the same.

        :param content: the key that the row would have, where the file gives it one of its own.
        """
        if self.options.on_duplicate == "send" and content is None:
            self._repeats[key] += 1
            key = key if self._repeats[key] == 1 else key_of(self.location_id, key, self._repeats[key])
        if self.store.accept(row.line, key, partition, seats, body, row.values, content=content):
            return
        first = self.store.pending_row(key)
        if first.content != (content or key):
            reason = f"{OTHER_CONTENT} in line {first.line}: give each row an external_id of its own"
            self.store.reject(row.line, [reason], row.values)
        elif self.options.on_duplicate == "reject":
            self.store.reject(row.line, ["an earlier row of the file asks for the same"], row.values)
        else:
            self.store.duplicate(row.line, key, self._why_duplicate(first, body), row.values)

    def _why_duplicate(self, first: Pending, _body: Mapping[str, Any]) -> str:
        return f"line {first.line} asks for the same"

    def _apply_ledger(self) -> None:
        """Settle the rows of which the ledger knows that they are there, or that their key stands for another."""
        for row, known in self._known(Status.NOT_SENT):
            status, record_id, reasons = row_status(row, known)
            if status is not Status.IN_DOUBT:
                self.store.settle(row.seq, status, record_id=record_id, reasons=reasons)
            elif known.state == "in_doubt":
                self._doubted_before.add(row.seq)

    def _apply_ledger_to_unsent(self) -> None:
        """Settle rows that this run does not send, and that an earlier one, or another one, may have sent."""
        for row, known in self._known(Status.NOT_SENT):
            self.store.settle(row.seq, *row_status(row, known))

    def _known(self, status: Status) -> Iterator[tuple[Pending, LedgerEntry]]:
        """Yield the rows of that status that the ledger knows."""
        for chunk in self.store.with_status(status):
            known = self.ledger.entries({row.key: row.content for row in chunk})
            yield from ((row, known[row.key]) for row in chunk if row.key in known)

    def _max_rejected_halt(self, consequence: str) -> Halt | None:
        counts = self.store.counts()
        rows, allowed = sum(counts.values()), self.options.max_rejected
        # A share as it is written: 0.29 of 100 rows are 29, and not what the nearest binary number makes of it.
        most = int(Fraction(str(allowed)) * rows) if isinstance(allowed, float) else allowed
        if counts[Status.REJECTED] <= most:
            return None
        reason = f"{counts[Status.REJECTED]} of {rows} rows are rejected, and max_rejected allows {most}: {consequence}"
        return Halt(reason, retryable=False)

    def _send(self) -> Halt | None:
        to_send = self.store.counts()[Status.NOT_SENT]
        settled = 0

        def on_settled(rows: int) -> None:
            nonlocal settled
            settled += rows
            self._on_progress(settled, to_send)

        runner = Runner(
            self.store,
            self.ledger,
            self._post,
            concurrency=self.options.concurrency,
            stop=self._stop,
            on_settled=on_settled,
        )
        runner.send_all()
        self._reconcile(runner)
        if self.options.resend_in_doubt and self._release_in_doubt():
            runner.send_all()
            self._reconcile(runner)
        if self._reopen_lost_rows():
            runner.send_all()
            self._reconcile(runner)
        self._apply_ledger_to_unsent()
        return self._verdict(runner)

    def _reconcile(self, runner: Runner) -> None:
        reconciler = Reconciler(
            self.store, self.ledger, self._search, settle_seconds=self.options.settle_seconds, stop=self._stop
        )
        for _ in range(_ROUNDS):
            if runner.halt is not None or not reconciler.has_work:
                break
            reconciler.search_all()
            runner.send_all()
        self._in_doubt_retryable = reconciler.retryable

    def _release_in_doubt(self) -> int:
        """Let a person's decision stand for certainty: rows that were in doubt before this run are sent again."""
        freed = 0
        for chunk in self.store.with_status(Status.IN_DOUBT):
            rows = {row.key: row for row in chunk if row.seq in self._doubted_before}

            def free(session: Session, keys: Sequence[str] = tuple(rows)) -> list[str]:
                taken = session.claim_in_doubt(keys)
                session.release(*taken)
                return taken

            for key in self.ledger.transact(free):
                self.store.settle(rows[key].seq, Status.NOT_SENT)
                freed += 1
        return freed

    def _reopen_lost_rows(self) -> int:
        """Take up rows again whose appointment, found by a search, turned out to be another's; return how many."""
        reopened = 0
        for status in (Status.CREATED, Status.ALREADY_CREATED):
            for row, known in self._known(status):
                if known.state != "created":
                    self.store.settle(row.seq, Status.NOT_SENT)
                    reopened += 1
        return reopened

    def _verdict(self, runner: Runner) -> Halt | None:
        counts = self.store.counts()
        open_rows = f"{counts[Status.NOT_SENT]} rows were not sent and {counts[Status.IN_DOUBT]} are in doubt"
        if runner.halt is not None:
            return runner.halt
        if self._stop.is_set() and counts[Status.NOT_SENT] + counts[Status.IN_DOUBT]:
            return Halt(f"{open_rows}: the import was stopped", retryable=True)
        if counts[Status.IN_DOUBT]:
            return Halt(
                f"{counts[Status.IN_DOUBT]} rows are in doubt: their answers were lost, and what became of them "
                "could not be found out. The report names them; look in Altegio, and let resend_in_doubt=True send "
                "again what is not there",
                retryable=self._in_doubt_retryable,
            )
        if counts[Status.NOT_SENT]:
            return Halt(f"{counts[Status.NOT_SENT]} rows were not sent", retryable=True)
        return self._max_rejected_halt("the others are there")
