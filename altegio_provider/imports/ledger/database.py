"""Opens the ledger's database: chooses the driver, the isolation level and the lock timeout."""

from __future__ import annotations

import os
from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import sqlalchemy as sa

from altegio_provider.imports.ledger.schema import LedgerError

__all__ = ["driver_of", "open_engine"]

#: How long SQLite waits for the transaction of another process before it reports that the database is busy.
_BUSY_SECONDS = 20
#: The drivers of each database, the preferred one first: name, module, first SQLAlchemy version that supports it.
_DRIVERS: dict[str, tuple[tuple[str, str, int], ...]] = {
    "postgresql": (("psycopg", "psycopg", 2), ("psycopg2", "psycopg2", 1)),
    "mysql": (("pymysql", "pymysql", 1), ("mysqldb", "MySQLdb", 1)),
    "mariadb": (("pymysql", "pymysql", 1), ("mysqldb", "MySQLdb", 1)),
}
#: Other names of databases, such as those of Airflow's connections.
_ALIASES = {"postgres": "postgresql"}
_EXTRAS = {"postgresql": "postgres", "mysql": "mysql", "mariadb": "mysql"}


def open_engine(url: str) -> sa.Engine:
    """Return the engine for a ledger's URL. It connects when it is first used.

    :param url: the database URL.
    :raises LedgerError: the URL is invalid, or no driver for it is installed. The error never shows the URL.
    """
    parsed = _parsed(url)
    backend, _, driver = parsed.drivername.partition("+")
    backend = _ALIASES.get(backend, backend)
    is_sqlite = backend == "sqlite"
    if is_sqlite and not os.path.isabs((parsed.database or "").removeprefix("file:")):
        raise LedgerError(
            "ledger_url must give the file's full path, such as sqlite:////path/to/ledger.db (four slashes): "
            "a run that opens another file, or an empty one, would send everything again"
        )
    if not driver and backend in _DRIVERS:
        driver = driver_of(backend, int(sa.__version__.partition(".")[0]))
    parsed = parsed.set(drivername=f"{backend}+{driver}" if driver else backend)
    # Each statement must see what others have committed by then. MySQL's default would show an older state.
    arguments: dict[str, Any] = {"isolation_level": "READ COMMITTED", "pool_pre_ping": True}
    if is_sqlite:
        arguments = {} if "timeout" in parsed.query else {"connect_args": {"timeout": _BUSY_SECONDS}}
    try:
        engine = sa.create_engine(parsed, future=True, **arguments)
    except sa.exc.ArgumentError:
        raise LedgerError(
            f"ledger_url is not a database URL that SQLAlchemy {sa.__version__} supports ({parsed.drivername}://): "
            "use sqlite:////path/to/ledger.db, postgresql://… or mysql://…"
        ) from None
    except ImportError as error:
        raise LedgerError(f"the driver of the ledger's database is not installed: {error.name}") from error
    if is_sqlite:
        _let_sqlite_lock_early(engine)
    return engine


def _is_installed(module: str) -> bool:
    return find_spec(module) is not None


def driver_of(backend: str, sqlalchemy_version: int, is_installed: Callable[[str], bool] = _is_installed) -> str:
    """Return the driver for a URL without one: the preferred one that is installed and that SQLAlchemy supports.

    :param backend: ``postgresql``, ``mysql`` or ``mariadb``.
    :param sqlalchemy_version: SQLAlchemy's major version.
    :param is_installed: returns whether a module can be imported.
    :raises LedgerError: no driver is installed.
    """
    known = [one for one in _DRIVERS[backend] if one[2] <= sqlalchemy_version]
    for name, module, _ in known:
        if is_installed(module):
            return name
    modules = " or ".join(module for _, module, _ in known)
    raise LedgerError(
        f"a ledger on {backend} needs a driver, and {modules} is not installed: "
        f"pip install 'airflow-provider-altegio[{_EXTRAS[backend]}]' (SQLAlchemy here is {sa.__version__})"
    )


def _parsed(url: str) -> sa.URL:
    # SQLAlchemy's error repeats parts of the URL, perhaps with a password.
    try:
        return sa.engine.make_url(url)
    except (sa.exc.ArgumentError, ValueError):
        raise LedgerError(
            "ledger_url is not a database URL. Examples: sqlite:////path/to/ledger.db, "
            "postgresql://user@host/database. Percent-encode special characters in a user name or password."
        ) from None


def _let_sqlite_lock_early(engine: sa.Engine) -> None:
    """Take the write lock at the begin of each transaction, so that two transactions queue instead of failing."""

    @sa.event.listens_for(engine, "connect")
    def on_connect(connection: Any, _: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")

    @sa.event.listens_for(engine, "begin")
    def on_begin(connection: sa.Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE")
