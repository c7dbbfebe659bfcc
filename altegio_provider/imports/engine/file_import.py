"""Imports a file into Altegio, each row exactly once: the steps in their order.

::

    source ─▶ columns ─▶ validation ─▶ event finder ─▶ row store ─▶ seats ─▶ max_rejected ─▶ runner ⇄ search ─▶ report
                                                           └─────────── ledger ───────────┘

Nothing is sent before every row has been read and checked. A subclass of :class:`FileImport` handles each kind of rows:
:mod:`~altegio_provider.imports.engine.bookings` and :mod:`~altegio_provider.imports.engine.timetable`.
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
from altegio_provider.imports.engine.row_store import Pending, RowRequest, RowStore, Status
from altegio_provider.imports.engine.runner import OTHER_CONTENT, Batching, Halt, Reply, Runner, Sent, row_status
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
    """The options of an import. The operators' docstrings explain each.

    :param max_rejected: how many rows (``int``), or which share of the rows (``float`` of 0 to 1), may be rejected.
    :param settle_seconds: seconds to wait before searching for a row whose answer was lost.
    :param check_seats: request the seats of each event before anything is sent: one request for each event.
    :param send_sms: let the API send a message to each client who is booked.
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
    send_sms: bool = False

    def __post_init__(self) -> None:
        """Check the options whose values could end a run in its middle.

        :raises AltegioValidationError: ``concurrency`` or ``settle_seconds`` is invalid.
        """
        checked_concurrency(self.concurrency)
        checked_seconds("settle_seconds", self.settle_seconds)


class FileImport(ABC):
    """The import of one file into one location. Subclasses implement one kind of rows.

    :param client: the client.
    :param location_id: the location.
    :param timezone: the location's time zone.
    :param store: receives the rows, and afterwards has the outcome of each.
    :param ledger: the ledger of this kind and location.
    :param options: the options.
    :param stop: when set, from any thread or signal handler, rows under way are finished and recorded, and no new row
        is sent.
    :param on_progress: called with the number of rows that are done and the number of rows to send.
    """

    #: The kind of the entries in the ledger.
    kind: ClassVar[str]
    #: The name of the report's column that has the partition of each row.
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
        """Read, check and send every row. Return ``None``, or the reason why not all rows were imported.

        :param source: the rows.
        :raises ImportFileError: the file or its columns are invalid. Nothing was sent.
        :raises LedgerError: the ledger failed. The rows under way are in doubt.
        :raises RowStoreError: the temporary disk is full. Nothing was sent, or the ledger has what was sent.
        :raises AltegioError: an event of the file cannot be looked up. Nothing was sent.
        """
        plan = self._row_handler(source)
        with self.store.together():
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
        """Return the function that checks a row and adds it to the row store.

        :raises ImportFileError: the columns are invalid.
        """

    @abstractmethod
    def _check_availability(self) -> None:
        """Reject valid rows for which Altegio has no capacity, also because of the rows before them."""

    @abstractmethod
    def _post(self, row: Pending) -> Sent:
        """Send one row."""

    def _post_rows(self, rows: Sequence[Pending]) -> Sequence[Reply]:
        """Send the rows of one request; see :class:`~altegio_provider.imports.engine.runner.Post`."""
        return [self._post(row) for row in rows]

    def _largest_batch(self, _first: Pending) -> int:
        """Return how many rows a request may have that begins with this row."""
        return 1

    def _joins(self, _first: Pending, _row: Pending) -> bool:
        """Return whether a row can be in the request that begins with the other one."""
        return False

    @abstractmethod
    def _search(
        self, partition: int, rows: Sequence[Pending], taken: Callable[[Sequence[int]], set[int]]
    ) -> dict[str, Verdict]:
        """Search for rows whose answer was lost; see :class:`~altegio_provider.imports.engine.reconcile.Search`."""

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
        """Add a valid row to the row store, unless an earlier row requests the same.

        :param content: the key without the ``external_id``, if the row has one.
        """
        if self.options.on_duplicate == "send" and content is None:
            self._repeats[key] += 1
            key = key if self._repeats[key] == 1 else key_of(self.location_id, key, self._repeats[key])
        if self.store.accept(row, RowRequest(key, partition, body, seats, content)):
            return
        first = self.store.pending_row(key)
        if first.content != (content or key):
            reason = f"{OTHER_CONTENT} in line {first.line}: give each row its own external_id"
            self.store.reject(row, [reason])
        elif self.options.on_duplicate == "reject":
            self.store.reject(row, [f"line {first.line} requests the same"])
        else:
            self.store.duplicate(row, key, self._why_duplicate(first, body))

    def _why_duplicate(self, first: Pending, _body: Mapping[str, Any]) -> str:
        return f"line {first.line} requests the same"

    def _apply_ledger(self) -> None:
        """Settle the rows that the ledger has as created, or whose key it has for different data."""
        for row, known in self._known(Status.NOT_SENT):
            status, record_id, reasons = row_status(row, known)
            if status is not Status.IN_DOUBT:
                self.store.settle(row.seq, status, record_id=record_id, reasons=reasons)
            elif known.state == "in_doubt":
                self._doubted_before.add(row.seq)

    def _apply_ledger_to_unsent(self) -> None:
        """Settle the rows that this run does not send but that another run may have sent."""
        for row, known in self._known(Status.NOT_SENT):
            self.store.settle(row.seq, *row_status(row, known))

    def _known(self, status: Status) -> Iterator[tuple[Pending, LedgerEntry]]:
        """Yield the rows of a status that have a ledger entry."""
        for chunk in self.store.with_status(status):
            known = self.ledger.entries({row.key: row.content for row in chunk})
            yield from ((row, known[row.key]) for row in chunk if row.key in known)

    def _max_rejected_halt(self, consequence: str) -> Halt | None:
        counts = self.store.counts()
        rows, allowed = sum(counts.values()), self.options.max_rejected
        # Exact decimal arithmetic: 0.29 of 100 rows are 29, although the binary number is slightly smaller.
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
            self._post_rows,
            Batching(self._largest_batch, self._joins),
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
        """Release the rows that were in doubt before this run, so that they are sent again (``resend_in_doubt``)."""
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
        """Reopen rows whose record, found by a search, turned out to belong to another row; return how many."""
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
                f"{counts[Status.IN_DOUBT]} rows are in doubt: their answers were lost, and a search in Altegio did "
                "not show whether they were created. Check the rows of the report in Altegio. To send the missing "
                "ones again, run the task with resend_in_doubt=True",
                retryable=self._in_doubt_retryable,
            )
        if counts[Status.NOT_SENT]:
            return Halt(f"{counts[Status.NOT_SENT]} rows were not sent", retryable=True)
        return self._max_rejected_halt("the other rows were imported")
