"""Makes the ledger's tables, or brings those of an older release up to date; any number of importers may do it at once.

Whoever comes first does it, in one transaction that the others wait for: it holds a lock on the row with the version.
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

#: The version of the tables. In those of version 1 the hashes had no key; there was no version 2. A ledger of a higher
#: one was written by a newer release.
VERSION = 3
_UNKEYED = 1
#: So often at the most another process is first in making one of the tables.
_TRIES = 5
#: Rows that are brought up to date together.
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
    """Make what is missing, bring up to date what is old, and return what turns hashes into keyed ones.

    :param where: the database, for an error.
    :param key: see :func:`~altegio_provider.imports.ledger.keyed_hashes.load_hasher`.
    :raises LedgerError: it cannot be opened, is of a newer release, or a run of an older release is using it.
    """
    _make_tables(engine, where)
    dead_runs: set[str] = set()
    if transactions.run(lambda connection, _: _version_of(connection), what="cannot be opened") == _UNKEYED:
        dead_runs = _wait_until_dead(transactions, where, clock, sleep)

    def work(connection: sa.Connection, _: bool) -> KeyedHasher:
        found = _version_of(connection, locks=True)
        if found not in (VERSION, _UNKEYED):
            raise LedgerError(
                f"the ledger {where} is of version {found}, and this release knows version {VERSION}: "
                "a newer release of airflow-provider-altegio wrote it. Upgrade before importing."
            )
        hasher = load_hasher(connection, key)
        if found == _UNKEYED:
            if _runs(connection).keys() - dead_runs:
                raise _in_use(where)
            _replace_plain_hashes(connection, hasher)
            # The same row: whoever waits for it sees what becomes of it.
            connection.execute(sa.update(version).where(version.c.version == found).values(version=VERSION))
        return hasher

    return transactions.run(work, what="cannot be opened")


def _make_tables(engine: sa.Engine, where: str) -> None:
    try:
        with engine.connect():
            pass  # what is wrong with the connection itself is said at once
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
    """Return the runs of the older release, once all of them are surely dead: they would not know the keyed hashes."""
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
        "Wait until it has ended; then this one brings the ledger up to date.",
        retryable=True,
    )


def _replace_plain_hashes(connection: sa.Connection, hasher: KeyedHasher) -> None:
    """Put a keyed hash in the place of every plain one."""
    _replace(
        connection, bookings, "key", lambda row: {"key": hasher.of(row["key"]), "content": hasher.of(row["content"])}
    )
    _replace(connection, references, "reference", lambda row: {"reference": hasher.of(row["reference"])})


def _replace(
    connection: sa.Connection, table: sa.Table, name: str, new: Callable[[dict[str, Any]], dict[str, Any]]
) -> None:
    """Put new hashes in the place of the old ones of a table, chunk by chunk in the order of its key."""
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
