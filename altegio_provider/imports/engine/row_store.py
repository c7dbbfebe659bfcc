"""The rows of one run on their way, in a private file: however many there are, they do not fill the memory.

Each row of the input has a row here from the moment it is read, and its status is always what the report would say if
the run ended now. The file holds people's names, so it can be read by its owner only, and it goes when the run ends.
It is no ledger: nothing depends on it once the run is over.

Nothing is kept of how it was before a change, which makes it quick. So once a write has failed (the disk is full), what
stands in it is not to be trusted, and every later use fails too.
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

__all__ = ["Outcome", "Pending", "RowStore", "RowStoreError", "Status"]

#: What settling a row may need on the disk, beside what the row has already; and what all of them may need together.
_RESERVE_BYTES_A_ROW = 50
_RESERVE_BYTES = 256 * 1024
_LARGEST_BLOB_BYTES = 100 * 1024 * 1024


class RowStoreError(RuntimeError):
    """The file with the rows of this run cannot be made, written or read. What was sent is known to the ledger.

    The same run may get further later.
    """

    retryable = True


class Status(StrEnum):
    """What became of a row."""

    CREATED = "created"
    ALREADY_CREATED = "already_created"
    DUPLICATE = "duplicate"
    REJECTED = "rejected"
    IN_DOUBT = "in_doubt"
    #: Fit to be sent, and not sent: a dry run, too many faulty rows, or the run was stopped.
    NOT_SENT = "not_sent"


class Pending(NamedTuple):
    """A row fit to be sent.

    :param seq: its place in the input, from 1.
    :param partition: rows of one partition (an event, for bookings) are sent one after the other, in this order.
    :param body: what is to be sent, and what it is recognised by.
    :param content: what it asks for, as a hash: the key itself, unless the file gave it a key of its own.
    """

    seq: int
    line: int
    key: str
    partition: int
    seats: int
    body: Mapping[str, Any]
    content: str


class Outcome(NamedTuple):
    """A row as the report has it."""

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
                # It need not survive anything: a run that dies is begun anew, from the file and the ledger.
                self._db.executescript(
                    "PRAGMA journal_mode=OFF; PRAGMA synchronous=OFF; PRAGMA temp_store=FILE;" + _SCHEMA
                )
        finally:
            # Without a name it is gone with the process, however that ends.
            os.unlink(path)

    def __enter__(self) -> RowStore:
        return self

    def __exit__(self, *_: object) -> None:
        self._db.close()

    def reserve_space(self) -> None:
        """Take the space that settling the rows needs, so that a full disk ends the run before anything is sent.

        :raises RowStoreError: there is not so much.
        """
        left = _RESERVE_BYTES + self._seq * _RESERVE_BYTES_A_ROW
        with self._readable_errors():
            self._db.execute("CREATE TABLE reserve (space BLOB)")
            while left > 0:
                self._db.execute("INSERT INTO reserve VALUES (zeroblob(?))", (min(left, _LARGEST_BLOB_BYTES),))
                left -= _LARGEST_BLOB_BYTES
            # Its pages stay in the file, and are used again.
            self._db.execute("DROP TABLE reserve")

    def reject(self, line: int, reasons: Iterable[str], original: Mapping[Any, Any], *, key: str | None = None) -> None:
        """Add a row that cannot be sent."""
        self._add(line, key, None, None, 0, None, Status.REJECTED, reasons, original)

    def accept(
        self,
        line: int,
        key: str,
        partition: int,
        seats: int,
        body: Mapping[str, Any],
        original: Mapping[Any, Any],
        *,
        content: str | None = None,
    ) -> bool:
        """Add a row fit to be sent; ``False``, and nothing added, where its key is there already.

        :param content: see :class:`Pending`; default: the key.
        """
        try:
            self._add(line, key, content or key, partition, seats, body, Status.NOT_SENT, (), original)
        except sqlite3.IntegrityError:
            self._seq -= 1
            return False
        return True

    def pending_row(self, key: str) -> Pending:
        """The row of that key that is fit to be sent."""
        # In these very words the index knows which rows are meant.
        query = f"{_PENDING} WHERE key = ? AND status NOT IN ('duplicate', 'rejected')"
        return _pending(self._rows(query, (key,))[0])

    def duplicate(self, line: int, key: str, reason: str, original: Mapping[Any, Any]) -> None:
        """Add a row that says what an earlier row says."""
        self._add(line, key, None, None, 0, None, Status.DUPLICATE, (reason,), original)

    def settle(self, seq: int, status: Status, record_id: int | None = None, reasons: Sequence[str] = ()) -> None:
        """Tell what became of a row."""
        with self._readable_errors():
            self._db.execute(
                "UPDATE row SET status = ?, record_id = ?, reasons = ? WHERE seq = ?",
                (status, record_id, json.dumps(list(reasons), ensure_ascii=False), seq),
            )

    def counts(self) -> dict[Status, int]:
        """How many rows have each status; all of them are named, and the sum is the number of input rows."""
        found: Counter[str] = Counter(dict(self._rows("SELECT status, count(*) FROM row GROUP BY status")))
        return {status: found[status] for status in Status}

    def partitions(self) -> list[tuple[int, int]]:
        """The partitions that have rows to send, each with the place of its first one, in input order."""
        query = "SELECT partition, min(seq) FROM row WHERE status = 'not_sent' GROUP BY partition ORDER BY min(seq)"
        return self._rows(query)

    def next_in_partition(self, partition: int, after: int) -> Pending | None:
        """The partition's next row to send behind that place in the input."""
        where = "INDEXED BY by_partition WHERE partition = ? AND seq > ? AND status = 'not_sent'"
        rows = self._rows(f"{_PENDING} {where} ORDER BY seq LIMIT 1", (partition, after))
        return _pending(rows[0]) if rows else None

    def with_status(self, status: Status, chunk: int = 500) -> Iterator[list[Pending]]:
        """Yield the rows that have a status now, by chunks, in input order; they may change meanwhile."""
        after = 0
        query = f"{_PENDING} WHERE status = ? AND seq > ? ORDER BY seq LIMIT ?"
        while rows := self._rows(query, (status, after, chunk)):
            yield [_pending(row) for row in rows]
            after = rows[-1][0]

    def outcomes(self, chunk: int = 500) -> Iterator[Outcome]:
        """Yield all rows, in input order."""
        query = (
            "SELECT seq, line, key, partition, status, record_id, reasons, original FROM row WHERE seq > ? ORDER BY seq"
        )
        after = 0
        while rows := self._rows(f"{query} LIMIT ?", (after, chunk)):
            for seq, line, key, partition, status, record_id, reasons, original in rows:
                kept = json.loads(reasons), json.loads(original)
                yield Outcome(seq, line, key, partition, Status(status), record_id, *kept)
            after = rows[-1][0]

    def _add(
        self,
        line: int,
        key: str | None,
        content: str | None,
        partition: int | None,
        seats: int,
        body: Mapping[str, Any] | None,
        status: Status,
        reasons: Iterable[str],
        original: Mapping[Any, Any],
    ) -> None:
        self._seq += 1
        values = (
            self._seq,
            line,
            key,
            content,
            partition,
            seats,
            None if body is None else json.dumps(body, ensure_ascii=False, default=str),
            status,
            json.dumps(list(reasons), ensure_ascii=False),
            json.dumps({str(name): value for name, value in original.items() if name is not None}, default=str),
        )
        with self._readable_errors():
            self._db.execute("INSERT INTO row VALUES (?, ?, ?, ?, ?, ?, ?, ?, NULL, ?, ?)", values)

    def _rows(self, query: str, values: Sequence[Any] = ()) -> list[Any]:
        with self._readable_errors():
            return self._db.execute(query, values).fetchall()

    @contextmanager
    def _readable_errors(self) -> Iterator[None]:
        """Tell in words what SQLite says; what was there before a failed write may not be there any more."""
        if self._failure:
            raise RowStoreError(self._failure)
        try:
            yield
        except sqlite3.IntegrityError:
            raise  # a key that is there already
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
