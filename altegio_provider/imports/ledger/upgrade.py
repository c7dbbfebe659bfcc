"""Creates the ledger's tables, or upgrades those of an older release. Several importers may do it at the same time.

The first importer does it in one transaction with a lock on the row of the version. The others wait for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from altegio_provider.imports.ledger.keyed_hashes import PREFIX, KeyedHasher, load_hasher
from altegio_provider.imports.ledger.liveness import LivenessMonitor, Owner
from altegio_provider.imports.ledger.schema import LedgerError, bookings, metadata, references, runs, version
from altegio_provider.imports.ledger.transactions import Transactions

__all__ = ["VERSION", "create_or_upgrade"]

#: The version of the tables. In version 1 the hashes were not keyed; there was no version 2. A newer release wrote a
#: ledger with a higher version.
VERSION = 3
_UNKEYED = 1
#: How often another process may be first to create one of the tables.
_TRIES = 5
#: The number of rows in one statement.
_CHUNK = 400
#: A run on another host shows whether it is alive within this time.
_WATCH_SECONDS = LivenessMonitor.DEAD_AFTER_SECONDS + 2 * LivenessMonitor.HEARTBEAT_SECONDS


def create_or_upgrade(
    engine: sa.Engine,
    transactions: Transactions,
    where: str,
    key: str | None,
    *,
    clock: Callable[[], float],
    sleep: Callable[[float], object],
) -> KeyedHasher:
    """Create missing tables, upgrade old ones, and return the hasher of the ledger.

    :param engine: the engine of the ledger's database.
    :param transactions: runs the transactions.
    :param where: the database's name for errors, without its password.
    :param key: see :func:`~altegio_provider.imports.ledger.keyed_hashes.load_hasher`.
    :param clock: returns monotonic seconds.
    :param sleep: waits for a number of seconds.
    :raises LedgerError: the ledger cannot be opened, a newer release wrote it, or a run of an older release uses it.
    """
    _make_tables(engine, where)
    dead_runs: set[str] = set()
    if transactions.run(lambda connection, _: _version_of(connection), what="cannot be opened") == _UNKEYED:
        dead_runs = _wait_until_dead(transactions, where, clock, sleep)

    def work(connection: sa.Connection, _: bool) -> KeyedHasher:
        found = _version_of(connection, locks=True)
        if found not in (VERSION, _UNKEYED):
            raise LedgerError(
                f"the ledger {where} has version {found}, but this release supports version {VERSION}: "
                "a newer release of airflow-provider-altegio wrote it. Upgrade the package on this worker."
            )
        hasher = load_hasher(connection, key)
        if found == _UNKEYED:
            if _runs(connection).keys() - dead_runs:
                raise _in_use(where)
            _replace_plain_hashes(connection, hasher)
            # Update the locked row, so that the importers that wait for it see the new version.
            connection.execute(sa.update(version).where(version.c.version == found).values(version=VERSION))
        return hasher

    return transactions.run(work, what="cannot be opened")


def _make_tables(engine: sa.Engine, where: str) -> None:
    try:
        with engine.connect():
            pass  # an error of the connection itself is raised at once
        for _ in range(_TRIES - 1):
            with suppress(sa.exc.DBAPIError):
                _create(engine)
                return
        _create(engine)
    except sa.exc.DBAPIError as error:
        raise LedgerError.of(f"the ledger {where} cannot be opened", error) from error


def _create(engine: sa.Engine) -> None:
    with engine.begin() as connection:
        metadata.create_all(connection)
        if connection.execute(sa.select(sa.func.count()).select_from(version)).scalar() == 0:
            connection.execute(sa.insert(version).values(version=VERSION))


def _version_of(connection: sa.Connection, *, locks: bool = False) -> int:
    query = sa.select(version.c.version)
    found: int = max(connection.execute(query.with_for_update() if locks else query).scalars())
    return found


def _runs(connection: sa.Connection) -> dict[str, tuple[Owner, int]]:
    rows = connection.execute(sa.select(runs.c.run_id, runs.c.host, runs.c.process, runs.c.heartbeat))
    return {run_id: (Owner(run_id, host, process), heartbeat) for run_id, host, process, heartbeat in rows}


def _wait_until_dead(
    transactions: Transactions, where: str, clock: Callable[[], float], sleep: Callable[[float], object]
) -> set[str]:
    """Return the runs of the older release once all of them are dead: they cannot read keyed hashes."""
    liveness = LivenessMonitor(clock)
    until = clock() + _WATCH_SECONDS
    while True:
        found = transactions.run(lambda connection, _: _runs(connection), what="cannot be opened")
        if all(liveness.is_dead(owner, heartbeat) for owner, heartbeat in found.values()):
            return set(found)
        if clock() >= until:
            raise _in_use(where)
        sleep(1.0)


def _in_use(where: str) -> LedgerError:
    return LedgerError(
        f"the ledger {where} was written by an older release, and an import of that release is still using it. "
        "Wait until that import has ended, then run this task again: it upgrades the ledger.",
        retryable=True,
    )


def _replace_plain_hashes(connection: sa.Connection, hasher: KeyedHasher) -> None:
    """Replace every plain hash by a keyed one."""
    _replace(
        connection, bookings, "key", lambda row: {"key": hasher.of(row["key"]), "content": hasher.of(row["content"])}
    )
    _replace(connection, references, "reference", lambda row: {"reference": hasher.of(row["reference"])})


def _replace(
    connection: sa.Connection, table: sa.Table, name: str, new: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """Replace the hashes of a table, chunk by chunk in the order of its primary key."""
    key: Sequence[sa.Column[Any]] = list(table.primary_key)
    hashed = table.c[name]
    # A row is inserted again by the keys of its columns, which can differ from their names in the database.
    columns = [column.label(column.key) for column in table.c]
    query = sa.select(*columns).where(sa.func.substr(hashed, 1, len(PREFIX)) != PREFIX).order_by(*key).limit(_CHUNK)
    after: sa.ColumnElement[bool] = sa.true()
    while rows := [dict(row) for row in connection.execute(query.where(after)).mappings()]:
        this = sa.and_(*(column == sa.bindparam(f"old_{column.name}") for column in key))
        old = [{f"old_{column.name}": row[column.name] for column in key} for row in rows]
        connection.execute(sa.delete(table).where(this), old)
        connection.execute(sa.insert(table), [{**row, **new(row)} for row in rows])
        after = sa.tuple_(*key) > sa.tuple_(*(sa.literal(rows[-1][column.name], column.type) for column in key))
