"""The ledger's tables, on every database that SQLAlchemy 2 reaches."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

__all__ = ["LedgerError", "bookings", "insert_new", "open_engine", "references", "runs"]

#: The version of the tables; a ledger of a higher one was written by a newer release.
VERSION = 1
_BUSY_SECONDS = 60
#: So often at the most another process is first in making one of the tables.
_TRIES = 5
#: What SQLite says when another try may help: the last byte of its codes.
_MAY_PASS_IN_SQLITE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR}

_metadata = sa.MetaData()

#: One row for everything that was ever meant to be sent.
bookings = sa.Table(
    "altegio_ledger",
    _metadata,
    sa.Column("kind", sa.String(10), primary_key=True),
    sa.Column("location_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("key", sa.String(64), primary_key=True),
    sa.Column("state", sa.String(10), nullable=False),
    sa.Column("lane", sa.BigInteger, nullable=False),
    # What the row asked for: the key itself, unless the file gave it a key of its own.
    sa.Column("content", sa.String(64), nullable=False),
    sa.Column("record_id", sa.BigInteger),
    sa.Column("owner", sa.String(32), nullable=False),
    sa.Column("changed_at", sa.Float(53), nullable=False),
    # A record belongs to one row only, whoever looks for it at the same time.
    sa.UniqueConstraint("kind", "location_id", "record_id", name="altegio_ledger_record"),
    mysql_engine="InnoDB",
)
#: What files called an event, as a hash, and which it was: a past, moved or deleted one cannot be looked up.
references = sa.Table(
    "altegio_ledger_references",
    _metadata,
    sa.Column("location_id", sa.BigInteger, primary_key=True, autoincrement=False),
    sa.Column("reference", sa.String(64), primary_key=True),
    sa.Column("event_id", sa.BigInteger, primary_key=True, autoincrement=False),
    mysql_engine="InnoDB",
)
#: One row for every run, by which others see whether it is alive.
runs = sa.Table(
    "altegio_ledger_runs",
    _metadata,
    sa.Column("run_id", sa.String(32), primary_key=True),
    sa.Column("host", sa.String(255), nullable=False),
    sa.Column("process", sa.String(64), nullable=False),
    sa.Column("beat", sa.BigInteger, nullable=False),
    mysql_engine="InnoDB",
)
_version = sa.Table(
    "altegio_ledger_version", _metadata, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False)
)


class LedgerError(RuntimeError):
    """The ledger cannot be used, so nothing is sent.

    :param may_pass: whether the same run later may get further.
    """

    def __init__(self, text: str, *, may_pass: bool = False) -> None:
        super().__init__(text)
        self.may_pass = may_pass

    @classmethod
    def of(cls, what: str, error: sa.exc.DBAPIError) -> LedgerError:
        """Tell what the database said; it never says who was to be booked."""
        code = getattr(error.orig, "sqlite_errorcode", None)
        may_pass = isinstance(error, sa.exc.OperationalError)
        return cls(
            f"{what} ({type(error.orig).__name__}): {error.orig}",
            may_pass=may_pass if code is None else code & 0xFF in _MAY_PASS_IN_SQLITE,
        )


def open_engine(url: str) -> sa.Engine:
    """Connect to the ledger, and make its tables where they are missing.

    :raises LedgerError: it cannot be opened, or is of a newer version.
    """
    try:
        parsed = sa.engine.make_url(url)
        is_sqlite = parsed.get_backend_name() == "sqlite"
        if is_sqlite and not os.path.isabs((parsed.database or "").removeprefix("file:")):
            raise LedgerError(
                "ledger_url names no file by its full path, such as sqlite:////path/to/ledger.db (four slashes): "
                "a run that finds another ledger, or none, would send everything again"
            )
        # Each statement shall see what others have committed by then: MySQL's default would show an older state.
        arguments: dict[str, Any] = (
            {"connect_args": {"timeout": _BUSY_SECONDS}}
            if is_sqlite
            else {"isolation_level": "READ COMMITTED", "pool_pre_ping": True}
        )
        engine = sa.create_engine(parsed, future=True, **arguments)
    except sa.exc.ArgumentError:
        raise LedgerError("ledger_url is no database URL such as sqlite:////path/to/ledger.db") from None
    except ImportError as error:
        raise LedgerError(f"the ledger's database needs a driver that is not installed ({error.name})") from error
    if is_sqlite:
        _let_sqlite_lock_early(engine)
    try:
        _make_ready(engine, parsed.render_as_string(hide_password=True))
    except BaseException:
        engine.dispose()
        raise
    return engine


def insert_new(connection: sa.Connection, table: sa.Table, entries: Sequence[dict[str, Any]]) -> None:
    """Insert entries, passing over those whose key is there already."""
    statement: Any
    dialect = connection.dialect.name
    if dialect in ("postgresql", "sqlite"):
        insert = postgresql.insert if dialect == "postgresql" else sqlite.insert
        statement = insert(table).on_conflict_do_nothing()
    elif dialect in ("mysql", "mariadb"):
        statement = sa.insert(table).prefix_with("IGNORE")
    else:
        raise LedgerError(f"a ledger on {dialect} is not supported: use SQLite, PostgreSQL or MySQL")
    # In one order, so that two importers of the same file wait for each other and never in a circle.
    key = [column.name for column in table.primary_key]
    connection.execute(statement, sorted(entries, key=lambda entry: [entry[name] for name in key]))


def _let_sqlite_lock_early(engine: sa.Engine) -> None:
    """Begin each transaction as one that writes, so that two of them queue instead of failing when one turns writer."""

    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")


def _make_ready(engine: sa.Engine, where: str) -> None:
    try:
        _make_tables(engine)
        with engine.begin() as connection:
            version = connection.execute(sa.select(sa.func.max(_version.c.version))).scalar()
    except sa.exc.DBAPIError as error:
        raise LedgerError.of(f"the ledger {where} cannot be opened", error) from error
    if version != VERSION:
        raise LedgerError(
            f"the ledger {where} is of version {version}, and this release knows version {VERSION}: "
            "a newer release of airflow-provider-altegio wrote it. Upgrade before importing."
        )


def _make_tables(engine: sa.Engine) -> None:
    with engine.connect():
        pass  # what is wrong with the connection itself is said at once
    for _ in range(_TRIES - 1):
        with suppress(sa.exc.DBAPIError):
            _create(engine)
            return
    _create(engine)


def _create(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        _metadata.create_all(connection)
        if connection.execute(sa.select(sa.func.count()).select_from(_version)).scalar() == 0:
            connection.execute(sa.insert(_version).values(version=VERSION))
