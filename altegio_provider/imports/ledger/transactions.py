"""Runs transactions of the ledger, and repeats those that the database rolled back.

A database rolls back a transaction after a deadlock, after a lock timeout, or when the connection is lost. Then the
transaction is run again.

If the connection is lost during the commit, the outcome is unknown. The transaction is run again too, and is told that
it may have taken effect already.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Callable
from typing import TypeVar

import sqlalchemy as sa

from altegio_provider.imports.ledger.schema import LedgerError

__all__ = ["Transactions", "was_undone"]

_T = TypeVar("_T")

#: A transaction is repeated for at least this time and at least this often.
RETRY_SECONDS = 60.0
MIN_TRIES = 3
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 2.0

#: SQLite's error codes (the last byte): another connection writes.
_SQLITE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
#: MySQL's error codes: deadlock, lock wait timeout, row changed since it was read, interrupted, server shutdown.
_MYSQL = {1213, 1205, 1020, 1317, 1053}
#: PostgreSQL's SQLSTATEs: serialization failure, deadlock, lock not available, idle in transaction timeout, server
#: shutdown or crash.
_POSTGRESQL = {"40001", "40P01", "55P03", "25P03", "57P01", "57P02", "57P03"}
#: MySQL's error codes: the server cannot be reached. PostgreSQL's drivers have no code for it.
_MYSQL_UNREACHABLE = {2002, 2003, 2006, 2013}


def was_undone(error: sa.exc.DBAPIError) -> bool:
    """Return whether the database rolled back the transaction and another try may succeed.

    :param error: the error of the database.
    """
    original = error.orig
    sqlite_code = getattr(original, "sqlite_errorcode", None)
    if sqlite_code is not None:
        return sqlite_code & 0xFF in _SQLITE
    state = getattr(original, "sqlstate", None) or getattr(original, "pgcode", None)
    if state is not None:
        return state in _POSTGRESQL
    code = original.args[0] if original is not None and original.args else None
    return code in _MYSQL


class Transactions:
    """Runs transactions on one engine.

    :param engine: the engine.
    :param where: the database's name for errors, without its password.
    :param clock: returns monotonic seconds.
    :param sleep: waits for a number of seconds.
    """

    def __init__(
        self, engine: sa.Engine, where: str, clock: Callable[[], float], sleep: Callable[[float], object]
    ) -> None:
        self._engine = engine
        self._where = where
        self._clock = clock
        self._sleep = sleep
        #: Whether a transaction has ever succeeded. If so, a server that cannot be reached may come back soon.
        self._has_worked = False

    def run(
        self,
        work: Callable[[sa.Connection, bool], _T],
        *,
        what: str = "cannot be written",
        retry_seconds: float = RETRY_SECONDS,
    ) -> _T:
        """Run a transaction and return its result. It is committed then.

        :param work: the transaction. It gets the connection, and whether an earlier try may have taken effect already.
            It is called again for each try, so it must change nothing but the database.
        :param what: what failed, for the error.
        :param retry_seconds: how long to repeat the transaction.
        :raises LedgerError: the transaction failed, and repeating it did not help or cannot help.
        """
        began, tries, may_be_committed = self._clock(), 0, False
        pause = _FIRST_PAUSE_SECONDS
        while True:
            tries += 1
            is_at_commit = False
            try:
                with self._engine.begin() as connection:
                    result = work(connection, may_be_committed)
                    is_at_commit = True
            except sa.exc.DBAPIError as error:
                if was_undone(error):
                    pass
                elif self._is_unreachable(error):
                    may_be_committed |= is_at_commit
                else:
                    raise LedgerError.of(f"the ledger {self._where} {what}", error) from error
                if tries >= MIN_TRIES and self._clock() - began >= retry_seconds:
                    raise LedgerError.of(f"the ledger {self._where} {what}, after {tries} tries", error) from error
            else:
                self._has_worked = True
                return result
            # A random pause, so that two transactions that collided do not collide again.
            self._sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - nothing secret
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _is_unreachable(self, error: sa.exc.DBAPIError) -> bool:
        """Return whether the connection was lost, or cannot be made again after it had worked."""
        if error.connection_invalidated:
            return True
        if not self._has_worked or not isinstance(error, sa.exc.OperationalError):
            return False
        original = error.orig
        code = original.args[0] if original is not None and original.args else None
        return code in _MYSQL_UNREACHABLE or (self._engine.dialect.name == "postgresql" and _has_no_state(original))


def _has_no_state(original: BaseException | None) -> bool:
    return getattr(original, "sqlstate", None) is None and getattr(original, "pgcode", None) is None
