"""Transactions of the ledger, each repeated where the database has surely undone it and another try may succeed.

A database ends a transaction of two that wait for each other (a deadlock), of one that waited too long for a lock, or
when the connection is lost. Whatever it did is undone then, and it is carried out again.

One case is not sure: the connection is lost while the commit is under way. The transaction is repeated then too, and is
told that it may have taken effect already.
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

#: A transaction is repeated for so long, and so often at the least.
RETRY_SECONDS = 60.0
MIN_TRIES = 3
_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 2.0

#: The last byte of SQLite's codes: another connection writes.
_SQLITE = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
#: Deadlock, lock wait too long, changed since it was read, interrupted, server shutting down.
_MYSQL = {1213, 1205, 1020, 1317, 1053}
#: Serialization failure, deadlock, lock not available, transaction idle for too long, server shutting down or crashed.
_POSTGRESQL = {"40001", "40P01", "55P03", "25P03", "57P01", "57P02", "57P03"}
#: The server cannot be reached: MySQL's codes. PostgreSQL's drivers give none.
_MYSQL_UNREACHABLE = {2002, 2003, 2006, 2013}


def was_undone(error: sa.exc.DBAPIError) -> bool:
    """Whether the database says that it has undone the transaction, and that another try may succeed."""
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
    """Carries out transactions on one engine.

    :param where: the database, fit for an error: without its password.
    :param clock: monotonic seconds.
    :param sleep: waits for so many seconds.
    """

    def __init__(
        self, engine: sa.Engine, where: str, clock: Callable[[], float], sleep: Callable[[float], object]
    ) -> None:
        self._engine = engine
        self._where = where
        self._clock = clock
        self._sleep = sleep
        #: Whether a transaction has ever succeeded: if so, a server that cannot be reached may come back soon.
        self._has_worked = False

    def run(
        self,
        work: Callable[[sa.Connection, bool], _T],
        *,
        what: str = "cannot be written",
        retry_seconds: float = RETRY_SECONDS,
    ) -> _T:
        """Carry out a transaction and return what it returns; it is on the disk then.

        :param work: is given the connection, and whether an earlier try may have taken effect already. It is called
            again when the transaction is repeated, so it changes nothing but the database.
        :param what: for an error.
        :param retry_seconds: for so long it is repeated.
        :raises LedgerError: it failed, and repeating it did not help or could not.
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
            # Two that got into each other's way shall not do so again.
            self._sleep(pause * random.uniform(0.5, 1.5))  # noqa: S311 - nothing secret
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)

    def _is_unreachable(self, error: sa.exc.DBAPIError) -> bool:
        """Whether the connection was lost, or cannot be made any more though it could."""
        if error.connection_invalidated:
            return True
        if not self._has_worked or not isinstance(error, sa.exc.OperationalError):
            return False
        original = error.orig
        code = original.args[0] if original is not None and original.args else None
        return code in _MYSQL_UNREACHABLE or (self._engine.dialect.name == "postgresql" and _has_no_state(original))


def _has_no_state(original: BaseException | None) -> bool:
    return getattr(original, "sqlstate", None) is None and getattr(original, "pgcode", None) is None
