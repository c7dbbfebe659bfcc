"""Stores the rows of one run and their status in a temporary SQLite file, so that they do not fill the memory.

Each row of the input is added when it is read. Its status is always the one that the report would have if the run ended
now. The file has personal data: only its owner can read it, and it is deleted when the run ends. Nothing depends on it
after the run; the ledger has what was sent.

The file has no rollback journal, which makes it fast. After a failed write (a full disk) its content can be wrong, so
every later use fails too.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, NamedTuple

from altegio_provider.imports.model import SourceRow

__all__ = ["Outcome", "Pending", "RowRequest", "RowStore", "RowStoreError", "Status"]

#: Disk space that the outcome of a row can need, and the space that all outcomes need in addition.
_RESERVE_BYTES_A_ROW = 50
_RESERVE_BYTES = 256 * 1024
_LARGEST_BLOB_BYTES = 100 * 1024 * 1024


class RowStoreError(RuntimeError):
    """The temporary file of this run cannot be created, written or read. The ledger has what was sent.

    A retry of the task can get further.
    """

    retryable = True


class Status(StrEnum):
    """The status of a row, as in the report."""

    CREATED = "created"
    ALREADY_CREATED = "already_created"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    IN_DOUBT = "in_doubt"
    #: Valid, but not sent: a dry run, too many rejected rows, or the run was stopped.
    NOT_SENT = "not_sent"


class RowRequest(NamedTuple):
    """What a row requests.

    :param key: the row's key in the ledger.
    :param partition: the event or team member: rows of one partition are sent one after the other.
    :param body: the body of the request.
    :param seats: the seats that it takes.
    :param content: the key without the row's ``external_id``; ``None`` if the row has none.
    """

    key: str
    partition: int
    body: Mapping[str, Any]
    seats: int = 0
    content: str | None = None


class Pending(NamedTuple):
    """A row that is ready to be sent.

    :param seq: its position in the input, from 1.
    :param partition: rows of one partition (an event, for bookings) are sent one after the other, in this order.
    :param body: the body of the request.
    :param content: a hash of what it requests: the key itself, unless the row has an ``external_id``.
    """

    seq: int
    line: int
    key: str
    partition: int
    seats: int
    body: Mapping[str, Any]
    content: str


class Outcome(NamedTuple):
    """A row of the report.

    :param original: the row as it was read, if it is rejected; else empty.
    """

    seq: int
    line: int
    key: str | None
    partition: int | None
    status: Status
    record_id: int | None
    reasons: list[str]
    original: Mapping[str, Any]


_SCHEMA = """
CREATE TABLE row (
    seq INTEGER PRIMARY KEY, line INTEGER NOT NULL, key TEXT, content TEXT, partition INTEGER, seats INTEGER, body TEXT,
    status TEXT NOT NULL, record_id INTEGER, reasons TEXT NOT NULL, original TEXT NOT NULL
);
CREATE UNIQUE INDEX by_key ON row (key) WHERE status NOT IN ('duplicate', 'rejected');
CREATE INDEX by_partition ON row (partition, seq) WHERE status = 'not_sent';
CREATE INDEX by_status ON row (status, seq);
"""
_PENDING = "SELECT seq, line, key, partition, seats, body, content FROM row"


class RowStore:
    """The rows of one run. Use it as a context manager; use it from one thread."""

    def __init__(self) -> None:
        self._failure = ""
        self._seq = 0
        try:
            self._folder = tempfile.gettempdir()
            file, path = tempfile.mkstemp(prefix="altegio-import-", suffix=".db")
        except OSError as error:
            raise RowStoreError(
                f"cannot create a temporary file for the rows of this run ({error.strerror or error}). "
                "Set TMPDIR to a folder that this user can write to, and run the task again."
            ) from None
        os.close(file)
        try:
            self._db = sqlite3.connect(path, isolation_level=None)
            with self._readable_errors():
                # The file need not survive a crash: a new run starts from the source and the ledger.
                self._db.executescript(
                    "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA temp_store=FILE;" + _SCHEMA
                )
        finally:
            # Without a name the file is deleted with the process, however that ends.
            os.unlink(path)

    def __enter__(self) -> RowStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def reserve_space(self) -> None:
        """Allocate the disk space for the outcomes, so that a full disk ends the run before anything is sent.

        :raises RowStoreError: the disk is full.
        """
        left = _RESERVE_BYTES + self._seq * _RESERVE_BYTES_A_ROW
        with self._readable_errors():
            self._db.execute("CREATE TABLE reserve (space BLOB)")
            while left > 0:
                self._db.execute("INSERT INTO reserve VALUES (zeroblob(?))", (min(left, _LARGEST_BLOB_BYTES),))
                left -= _LARGEST_BLOB_BYTES
            # The pages stay in the file and are reused.
            self._db.execute("DROP TABLE reserve")

    def reject(self, row: SourceRow, reasons: Iterable[str]) -> None:
        """Add a row that cannot be sent.

        :param row: the row.
        :param reasons: what is wrong with it.
        """
        self._add(row, Status.REJECTED, reasons=reasons)

    def accept(self, row: SourceRow, request: RowRequest) -> bool:
        """Add a row that is ready to be sent. Return ``False``, and add nothing, if its key exists already.

        :param row: the row.
        :param request: what it requests.
        """
        try:
            self._add(row, Status.NOT_SENT, request=request, key=request.key)
        except sqlite3.IntegrityError:
            self._seq -= 1
            return False
        return True

    def pending_row(self, key: str) -> Pending:
        """Return the row with this key that is ready to be sent.

        :param key: the key.
        """
        # The condition must be the one of the index, or SQLite does not use it.
        query = f"{_PENDING} WHERE key = ? AND status NOT IN ('duplicate', 'rejected')"
        return _pending(self._rows(query, (key,))[0])

    def duplicate(self, row: SourceRow, key: str, reason: str) -> None:
        """Add a row that requests the same as an earlier row.

        :param row: the row.
        :param key: the key of the earlier row.
        :param reason: which row that is.
        """
        self._add(row, Status.DUPLICATE, key=key, reasons=(reason,))

    def settle(self, seq: int, status: Status, record_id: int | None = None, reasons: Sequence[str] = ()) -> None:
        """Set the status of a row.

        :param seq: the row's position in the input.
        :param status: the status.
        :param record_id: the record that was created.
        :param reasons: the reasons for the status.
        """
        with self._readable_errors():
            self._db.execute(
                "UPDATE row SET status = ?, record_id = ?, reasons = ? WHERE seq = ?",
                (status, record_id, json.dumps(list(reasons), ensure_ascii=False), seq),
            )

    def settle_all(self, outcomes: Iterable[tuple[int, Status, int | None, Sequence[str]]]) -> None:
        """Record the outcomes of several rows together, which costs less.

        :param outcomes: for each row what :meth:`settle` takes.
        """
        values = [
            (status, record_id, json.dumps(list(reasons), ensure_ascii=False) if reasons else "[]", seq)
            for seq, status, record_id, reasons in outcomes
        ]
        with self.together(), self._readable_errors():
            self._db.executemany("UPDATE row SET status = ?, record_id = ?, reasons = ? WHERE seq = ?", values)

    @contextmanager
    def together(self) -> Iterator[None]:
        """Write several rows at once, which costs less. What was written before an error stays, as without this."""
        with self._readable_errors():
            if not self._db.in_transaction:  # a signal may have left one open
                self._db.execute("BEGIN")
        try:
            yield
        finally:
            with self._readable_errors():
                self._db.execute("COMMIT")

    def counts(self) -> dict[Status, int]:
        """Return the number of rows by status, for every status."""
        found: Counter[str] = Counter(dict(self._rows("SELECT status, count(*) FROM row GROUP BY status")))
        return {status: found[status] for status in Status}

    def partitions(self) -> list[tuple[int, int]]:
        """Return the partitions with rows to send, each with the position of its first one, in input order."""
        query = "SELECT partition, min(seq) FROM row WHERE status = 'not_sent' GROUP BY partition ORDER BY min(seq)"
        return self._rows(query)

    def next_in_partition(self, partition: int, after: int) -> Pending | None:
        """Return the next row to send of a partition.

        :param partition: the partition.
        :param after: the position in the input after which to search.
        """
        where = "INDEXED BY by_partition WHERE partition = ? AND seq > ? AND status = 'not_sent'"
        rows = self._rows(f"{_PENDING} {where} ORDER BY seq LIMIT 1", (partition, after))
        return _pending(rows[0]) if rows else None

    def following_in_partition(self, partition: int, after: int, most: int) -> list[Pending]:
        """Return the next rows of a partition that are ready to be sent, in input order.

        :param partition: the event or team member.
        :param after: the place in the input behind which to look.
        :param most: the maximum number of rows.
        """
        where = "INDEXED BY by_partition WHERE partition = ? AND seq > ? AND status = 'not_sent'"
        return [
            _pending(row) for row in self._rows(f"{_PENDING} {where} ORDER BY seq LIMIT ?", (partition, after, most))
        ]

    def with_status(self, status: Status, chunk: int = 500) -> Iterator[list[Pending]]:
        """Yield the rows with a status in chunks, in input order. Their status may be changed meanwhile.

        :param status: the status.
        :param chunk: rows in a chunk.
        """
        after = 0
        query = f"{_PENDING} WHERE status = ? AND seq > ? ORDER BY seq LIMIT ?"
        while rows := self._rows(query, (status, after, chunk)):
            yield [_pending(row) for row in rows]
            after = rows[-1][0]

    def outcomes(self, chunk: int = 500) -> Iterator[Outcome]:
        """Yield all rows in input order.

        :param chunk: rows to read at a time.
        """
        query = (
            "SELECT seq, line, key, partition, status, record_id, reasons, original FROM row WHERE seq > ? ORDER BY seq"
        )
        after = 0
        while rows := self._rows(f"{query} LIMIT ?", (after, chunk)):
            for seq, line, key, partition, status, record_id, reasons, original in rows:
                told = [] if reasons == "[]" else json.loads(reasons)
                kept = json.loads(original) if status == Status.REJECTED else {}
                yield Outcome(seq, line, key, partition, Status(status), record_id, told, kept)
            after = rows[-1][0]

    def _add(
        self,
        row: SourceRow,
        status: Status,
        *,
        key: str | None = None,
        request: RowRequest | None = None,
        reasons: Iterable[str] = (),
    ) -> None:
        self._seq += 1
        # No heading is empty, so this name is free for the cells that have no heading.
        original = {"" if name is None else str(name): value for name, value in row.values.items()}
        requested: tuple[Any, ...] = (None, None, 0, None)
        if request is not None:
            body = json.dumps(request.body, ensure_ascii=False, default=str)
            requested = (request.content or request.key, request.partition, request.seats, body)
        values = (
            self._seq,
            row.line,
            key,
            *requested,
            status,
            json.dumps(list(reasons), ensure_ascii=False),
            json.dumps(original, default=str),
        )
        with self._readable_errors():
            self._db.execute("INSERT INTO row VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?)", values)

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._readable_errors():
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        """Raise errors of SQLite as :class:`RowStoreError`. After the first one every use fails."""
        if self._failure:
            raise RowStoreError(self._failure)
        try:
            yield
        except sqlite3.IntegrityError:
            raise  # the key exists already
        except sqlite3.DatabaseError as error:
            self._failure = (
                f"cannot write the rows of this run to the temporary folder {self._folder} ({error}). "
                "Free some space there, or set TMPDIR to another folder, and run the task again. "
                "The ledger has the rows that were created."
            )
            raise RowStoreError(self._failure) from None


def _pending(row: tuple[int, int, str, int, int, str, str]) -> Pending:
    seq, line, key, partition, seats, body, content = row
    return Pending(seq, line, key, partition, seats, json.loads(body), content)
