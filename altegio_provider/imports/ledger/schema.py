"""The ledger's tables in SQLite, PostgreSQL and MySQL, and the error of the ledger."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["LedgerError", "bookings", "insert_new", "metadata", "references", "runs", "secrets", "version"]

metadata = sa.MetaData()

#: One entry for each row that was to be sent.
bookings = sa.Table(
    "altegio_ledger",
    metadata,
    sa.Column("kind", sa.String(10), primary_key=True),
    sa.Column("location_id", sa.BigInteger, primary_key=True, autoincrement=False),
    # A keyed hash, see the module ``keyed_hashes``.
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("lane", sa.BigInteger, key="partition", nullable=False),
    # The row's content as a keyed hash. It equals the key unless the row has an ``external_id``.
    sa.Column("content", sa.String(64), nullable=False),
    sa.Column("record_id", sa.BigInteger),
    sa.Column("owner", sa.String(32), nullable=False),
    sa.Column("changed_at", sa.Float(53), nullable=False),
    # A record belongs to one row only, even if two runs search for it at the same time.
    sa.UniqueConstraint("kind", "location_id", "record_id", name="altegio_ledger_record"),
    mysql_engine="InnoDB",
)
#: The event of each reference in a file (a keyed hash): a past, moved or deleted event cannot be looked up.
references = sa.Table(
    "altegio_ledger_references",
    metadata,
    sa.Column("location_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("reference", sa.String(64), primary_key=True),
    sa.Column("event_id", sa.BigInteger, primary_key=True, autoincrement=False),
    mysql_engine="InnoDB",
)
#: One row for each run, with its heartbeat.
runs = sa.Table(
    "altegio_ledger_runs",
    metadata,
    sa.Column("run_id", sa.String(32), primary_key=True),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("process", sa.String(64), nullable=False),
    sa.Column("beat", sa.BigInteger, key="heartbeat", nullable=False),
    mysql_engine="InnoDB",
)
#: The secret of the keyed hashes, plain or encrypted: one row.
secrets = sa.Table(
    "altegio_ledger_secret",
    metadata,
    sa.Column("name", sa.String(20), primary_key=True),
    sa.Column("value", sa.String(500), nullable=False),
    mysql_engine="InnoDB",
)
version = sa.Table(
    "altegio_ledger_version",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True, autoincrement=False),
    mysql_engine="InnoDB",
)

#: SQLite's error codes (the last byte) after which a later try may succeed.
_RETRYABLE_IN_SQLITE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}
#: MySQL's error codes for "disk full" and "the table is full".
_FULL_IN_MYSQL = {1021, 1114}


class LedgerError(RuntimeError):
    """The ledger cannot be used, so nothing is sent.

    :param text: what happened, and what to do.
    :param retryable: whether a retry of the task may succeed.
    """

    def __init__(self, text: str, *, retryable: bool = False) -> None:
        super().__init__(text)
        self.retryable = retryable

    @classmethod
    def of(cls, what: str, error: sa.exc.DBAPIError) -> LedgerError:
        """Return an error with the database's message, which never contains personal data.

        :param what: what failed.
        :param error: the error of the database.
        """
        code = getattr(error.orig, "sqlite_errorcode", None)
        advice = " Free some space on the ledger's disk, and run the task again." if _is_full(error) else ""
        retryable = isinstance(error, sa.exc.OperationalError) or error.connection_invalidated
        return cls(
            f"{what} ({type(error.orig).__name__}): {error.orig}{'.' * bool(advice)}{advice}",
            retryable=retryable if code is None else code & 0xFF in _RETRYABLE_IN_SQLITE,
        )


def _is_full(error: sa.exc.DBAPIError) -> bool:
    """Return whether the database reports a full disk."""
    original = error.orig
    code = getattr(original, "sqlite_errorcode", None)
    if code is not None:
        return bool(code & 0xFF == sqlite3.SQLITE_FULL)
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    first = original.args[0] if original is not None and original.args else None
    return state == "53100" or first in _FULL_IN_MYSQL


def insert_new(connection: sa.Connection, table: sa.Table, entries: Sequence[dict[str, Any]]) -> None:
    """Insert entries, except those whose key exists already.

    On MySQL this leaves a shared lock on each row that exists already. If that is likely, leave those rows out.

    :param connection: the connection, in a transaction.
    :param table: the table.
    :param entries: the entries, as column to value.
    :raises LedgerError: the database is not supported.
    """
    statement: Any
    dialect = connection.dialect.name
    if dialect in ("postgresql", "sqlite"):
        insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
        statement = insert(table).on_conflict_do_nothing()
    elif dialect in ("mysql", "mariadb"):
        statement = sa.insert(table).prefix_with("IGNORE")
    else:
        raise LedgerError(f"a ledger on {dialect} is not supported: use SQLite, PostgreSQL or MySQL")
    # In one order, so that two importers of the same file cannot cause a deadlock.
    key = [column.name for column in table.primary_key]
    connection.execute(statement, sorted(entries, key=lambda entry: [entry[name] for name in key]))
