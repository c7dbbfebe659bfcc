"""The ledger: a database of what was to be sent and what was created, which outlives every process.

::

                 claim                     record
    (nothing) ──────────▶ sending ──────────────────▶ created      never sent again
        ▲                    │
        │ free               ├─ the answer was lost ─▶ in_doubt    never sent again blindly
        └────────────────────┤                           │  ▲
                             │                           ▼  │
                             └───── surely absent ──── settling    a run is searching for it

An entry becomes ``sending`` in a transaction that is committed *before* its request is sent, and gets its next state in
a transaction that is committed after the answer. A run that dies in between leaves ``sending``; when its owner is found
to be dead, the entry is in doubt. Each step is a compare-and-set on state and owner, so any number of processes can
work on the same entries.

The ledger has no personal data: rows are identified by hashes (:func:`key_of`), and the tables have keyed hashes of
those, which cannot be reversed without the ledger's secret (:mod:`.keyed_hashes`).
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from altegio_provider.imports.ledger.database import open_engine
from altegio_provider.imports.ledger.event_references import EventReferences
from altegio_provider.imports.ledger.keyed_hashes import KEY_VARIABLE, KeyedHasher
from altegio_provider.imports.ledger.liveness import LivenessMonitor, Owner
from altegio_provider.imports.ledger.schema import LedgerError, bookings, insert_new, runs
from altegio_provider.imports.ledger.transactions import Transactions
from altegio_provider.imports.ledger.upgrade import create_or_upgrade

__all__ = ["Intent", "Ledger", "LedgerEntry", "LedgerError", "Session", "key_of"]

_T = TypeVar("_T")

#: Keys in one statement: SQLite and others bound the number of parameters.
_CHUNK = 400

# The statements are built once: building one costs as much as executing it.
_COLUMNS = bookings.c
_MINE = sa.and_(_COLUMNS.kind == sa.bindparam("the_kind"), _COLUMNS.location_id == sa.bindparam("the_location"))
_THIS = sa.and_(_MINE, _COLUMNS.key == sa.bindparam("the_key"), _COLUMNS.owner == sa.bindparam("the_owner"))
_KNOWN = sa.select(
    _COLUMNS.key, _COLUMNS.state, _COLUMNS.partition, _COLUMNS.record_id, _COLUMNS.owner, _COLUMNS.content
).where(_MINE, _COLUMNS.key.in_(sa.bindparam("the_keys", expanding=True)))
_HAS_RECORD = _COLUMNS.record_id.in_(sa.bindparam("the_records", expanding=True))
_TAKEN = sa.select(_COLUMNS.record_id).where(_MINE, _HAS_RECORD)
_WITHDRAW_FROM_OTHERS = (
    sa.update(bookings)
    .where(_MINE, _HAS_RECORD, _COLUMNS.key.not_in(sa.bindparam("the_keys", expanding=True)))
    .values(state="in_doubt", owner="", record_id=None)
)
_NEW: dict[str, Any] = {name: sa.bindparam(name) for name in ("state", "owner", "changed_at")}
_SETTLE = sa.update(bookings).where(_THIS).values(**_NEW, record_id=sa.bindparam("record_id"))
_CHANGE_STATE = sa.update(bookings).where(_THIS, _COLUMNS.state == sa.bindparam("the_state")).values(**_NEW)
_DELETE_KEY = sa.delete(bookings).where(_THIS)
_DELETE_RECORDS = sa.delete(bookings).where(_MINE, _HAS_RECORD)


class LedgerEntry(NamedTuple):
    """The ledger's entry of a key.

    :param state: ``sending``, ``created``, ``in_doubt`` or ``settling``.
    :param partition: the event or team member that it was sent to.
    :param record_id: the appointment or event, if it was created.
    :param owner: the run that holds it, while it is ``sending`` or ``settling``.
    :param content: a hash of what was requested, to detect a key that a file uses again for different data. It is the
        expected hash if the ledger has that one; otherwise it equals no expected hash.
    """

    state: str
    partition: int
    record_id: int | None = None
    owner: str = ""
    content: str = ""


class Intent(NamedTuple):
    """What is to be sent under a key: its partition, and a hash of what it requests."""

    partition: int
    content: str


def key_of(location_id: int, *parts: Any) -> str:
    """Return the key of a row: a hash of its content. Only a keyed hash of it is stored.

    :param location_id: the location.
    :param parts: the content.
    """
    return hashlib.sha256(json.dumps([location_id, *parts], default=str).encode()).hexdigest()


class Session:
    """The ledger within one transaction.

    :param connection: the connection, in a transaction.
    :param ledger: the ledger.
    :param may_be_committed: whether an earlier try of this transaction may have been committed: the connection was
        lost during its commit.
    """

    def __init__(self, connection: sa.Connection, ledger: Ledger, *, may_be_committed: bool = False) -> None:
        self._connection = connection
        self._ledger = ledger
        self._hasher = ledger.hasher
        self._may_be_committed = may_be_committed

    def entries(self, keys: Sequence[str] | Mapping[str, str]) -> dict[str, LedgerEntry]:
        """Return the entries of these keys. A key without entry was never sent, or had certainly no effect.

        :param keys: the keys; or key to expected content, if the content is not the key.
        """
        contents = keys if isinstance(keys, Mapping) else {key: key for key in keys}
        plain = {self._hasher.of(key): key for key in contents}
        hashes = list(plain)
        found: dict[str, LedgerEntry] = {}
        for start in range(0, len(hashes), _CHUNK):
            chosen = {"the_keys": hashes[start : start + _CHUNK]}
            for stored, *rest in self._connection.execute(_KNOWN, {**self._mine, **chosen}):
                key, known = plain[stored], LedgerEntry(*rest)
                if known.content == self._hasher.of(contents[key]):
                    known = known._replace(content=contents[key])
                found[key] = known
        return found

    def claim(self, intents: Mapping[str, Intent]) -> dict[str, LedgerEntry]:
        """Try to claim these keys for sending. A claimed key is ``sending``.

        :param intents: by key. This run must not be sending any of them already.
        :returns: the entry of each key; its state is ``mine`` if the claim succeeded.
        """
        contents = {key: intent.content for key, intent in intents.items()}
        known = self.entries(contents)
        # Existing rows are not inserted: on MySQL the attempt leaves a shared lock on the row, and two importers
        # with such locks on each other's rows deadlock when they record their outcomes.
        missing = {key: content for key, content in contents.items() if key not in known}
        if missing:
            insert_new(self._connection, bookings, [self._entry(key, intents[key], "sending") for key in missing])
            known.update(self.entries(missing))
        for key, intent in intents.items():
            # An entry that another run releases between the two statements can be claimed again later.
            entry = known.get(key) or LedgerEntry("sending", intent.partition, content=intent.content)
            # An entry that this run is settling must not be sent, although this run holds it.
            is_mine = (entry.state, entry.owner) == ("sending", self._ledger.owner.run_id)
            known[key] = entry._replace(state="mine") if is_mine else entry
        return known

    def record_created(self, records: Mapping[str, int], intents: Mapping[str, Intent]) -> dict[str, int]:
        """Record that the requests created these records. This is final.

        :param records: key to record.
        :param intents: the same keys, as they were claimed.
        :returns: key to another record, if the key has one already: it was sent twice. That happens only if a run was
            suspended for so long that another run considered it dead.
        """
        if not records:
            return {}
        if self.records_among(list(records.values())):
            # The answer is stronger evidence than a search: an entry that has this record by a search was wrong.
            self._connection.execute(
                _WITHDRAW_FROM_OTHERS,
                {
                    **self._mine,
                    "the_records": list(records.values()),
                    "the_keys": [self._hasher.of(key) for key in records],
                },
            )
        self._settle({key: {"state": "created", "record_id": record_id} for key, record_id in records.items()})
        known = self.entries(list(records))
        if all(key in known and known[key].record_id == record_id for key, record_id in records.items()):
            return {}
        return self._record_created_again(records, intents)

    def _record_created_again(self, records: Mapping[str, int], intents: Mapping[str, Intent]) -> dict[str, int]:
        """Record the outcomes of entries that another run has taken from this run."""
        insert_new(self._connection, bookings, [self._entry(key, intents[key], "sending") for key in records])
        others: dict[str, int] = {}
        for key, known in self.entries(list(records)).items():
            if known.record_id is None:
                self._change_state(key, known.state, known.owner, "sending", self._ledger.owner.run_id)
                self._settle({key: {"state": "created", "record_id": records[key]}})
            elif known.record_id != records[key]:
                others[key] = known.record_id
        return others

    def record_found(self, key: str, record_id: int) -> bool:
        """Record that a search found the record. Return ``False`` if the record or the key belongs to another by now.

        :param key: the key.
        :param record_id: the record.
        """
        try:
            with self._connection.begin_nested():
                self._settle({key: {"state": "created", "record_id": record_id}})
        except sa.exc.IntegrityError:
            return False
        known = self.entries([key]).get(key)
        return known is not None and known.record_id == record_id

    def mark_in_doubt(self, *keys: str) -> None:
        """Put entries in doubt: their answers were lost, or a search had no clear result.

        :param keys: the keys, which this run holds.
        """
        self._settle({key: {"state": "in_doubt", "record_id": None} for key in keys})

    def release(self, *keys: str) -> None:
        """Delete entries whose requests had certainly no effect, so that they can be sent again.

        :param keys: the keys, which this run holds.
        """
        hashes = sorted(map(self._hasher.of, keys))
        if hashes:
            self._connection.execute(_DELETE_KEY, [{**self._held, "the_key": key} for key in hashes])

    def delete_entries(self, record_ids: Sequence[int]) -> int:
        """Delete the entries of records that were deleted in Altegio, so that the rows can be sent again.

        :param record_ids: the records.
        :returns: the number of deleted entries.
        """
        forgotten = 0
        for start in range(0, len(record_ids), _CHUNK):
            chosen = {"the_records": list(record_ids[start : start + _CHUNK])}
            forgotten += self._connection.execute(_DELETE_RECORDS, {**self._mine, **chosen}).rowcount
        return forgotten

    def claim_in_doubt(self, keys: Iterable[str]) -> list[str]:
        """Claim entries in doubt for a search, and return those that were claimed.

        :param keys: the keys.
        """
        return [key for key in sorted(keys, key=self._hasher.of) if self._claim_in_doubt(key)]

    def _claim_in_doubt(self, key: str) -> bool:
        mine = self._ledger.owner.run_id
        if self._change_state(key, "in_doubt", "", "settling", mine):
            return True
        # An earlier try of this transaction may have claimed it.
        known = self.entries([key]).get(key) if self._may_be_committed else None
        return known is not None and (known.state, known.owner) == ("settling", mine)

    def mark_dead(self, key: str, known: LedgerEntry) -> bool:
        """Put an entry in doubt whose owner is dead. Return whether that owner still held it.

        :param key: the key.
        :param known: the entry, as it was read.
        """
        return self._change_state(key, known.state, known.owner, "in_doubt", "")

    def records_among(self, record_ids: Sequence[int]) -> set[int]:
        """Return which of these records already belong to an entry.

        :param record_ids: the records.
        """
        found: set[int] = set()
        for start in range(0, len(record_ids), _CHUNK):
            chosen = {"the_records": list(record_ids[start : start + _CHUNK])}
            found.update(row[0] for row in self._connection.execute(_TAKEN, {**self._mine, **chosen}))
        return found

    @property
    def references(self) -> EventReferences:
        """The events that files have named by their start."""
        return EventReferences(self._connection, self._ledger.location_id, self._hasher)

    def _entry(self, key: str, intent: Intent, state: str) -> dict[str, Any]:
        return {
            "kind": self._ledger.kind,
            "location_id": self._ledger.location_id,
            "key": self._hasher.of(key),
            "state": state,
            "partition": intent.partition,
            "content": self._hasher.of(intent.content),
            "record_id": None,
            "owner": self._ledger.owner.run_id,
            "changed_at": time.time(),
        }

    @property
    def _mine(self) -> dict[str, Any]:
        return {"the_kind": self._ledger.kind, "the_location": self._ledger.location_id}

    @property
    def _held(self) -> dict[str, Any]:
        return {**self._mine, "the_owner": self._ledger.owner.run_id}

    def _settle(self, entries: Mapping[str, Mapping[str, Any]]) -> None:
        """Set the state of entries that this run holds, and release them."""
        common = {**self._held, "owner": "", "changed_at": time.time()}
        # All transactions lock rows in the same order, so that they do not deadlock.
        hashes = sorted((self._hasher.of(key), values) for key, values in entries.items())
        if hashes:
            self._connection.execute(_SETTLE, [{**common, "the_key": key, **values} for key, values in hashes])

    def _change_state(self, key: str, state: str, owner: str, new_state: str, new_owner: str) -> bool:
        new = {"state": new_state, "owner": new_owner, "changed_at": time.time()}
        old = {**self._mine, "the_key": self._hasher.of(key), "the_state": state, "the_owner": owner}
        return bool(self._connection.execute(_CHANGE_STATE, {**old, **new}).rowcount)


class Ledger:
    """The entries of one kind in one location. Use it as a context manager, and from one thread.

    :param url: an SQLAlchemy URL: ``sqlite:////path/to/ledger.db``, ``postgresql://…``, ``mysql://…``. The driver is
        chosen if the URL names none.
    :param location_id: the location.
    :param kind: what is sent: ``booking`` or ``event``.
    :param secret_key: encrypts the secret of the ledger's keyed hashes, see :mod:`.keyed_hashes`; default: the
        environment variable ``ALTEGIO_LEDGER_KEY``, and without that the secret is not encrypted.
    :param clock: returns monotonic seconds.
    :param sleep: the sleep function.
    :raises LedgerError: the ledger cannot be opened, or a newer version of the provider wrote it.
    """

    def __init__(
        self,
        url: str,
        location_id: int,
        kind: str,
        *,
        secret_key: str | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self.location_id = location_id
        self.kind = kind
        self._liveness = LivenessMonitor(clock)
        self._clock = clock
        self._last_heartbeat = clock()
        self._engine = open_engine(url)
        # Settings behind the question mark may hold a password too.
        where = self._engine.url.set(query={}).render_as_string(hide_password=True)
        self._transactions = Transactions(self._engine, where, clock, sleep)
        key = secret_key or os.environ.get(KEY_VARIABLE)
        try:
            self.hasher: KeyedHasher = create_or_upgrade(
                self._engine, self._transactions, where, key, clock=clock, sleep=sleep
            )
            self.owner = Owner.of_this_process()
            run = {"run_id": self.owner.run_id, "host": self.owner.host, "process": self.owner.process, "heartbeat": 0}
            self._transactions.run(lambda connection, _: insert_new(connection, runs, [run]))
        except BaseException:
            self._engine.dispose()
            raise

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the run and close the database. Entries that this run still holds are in doubt for the next run."""
        self.owner.end()
        mine = sa.delete(runs).where(runs.c.run_id == self.owner.run_id)
        with suppress(LedgerError):
            # Without this, other runs notice the end too, but later.
            self._transactions.run(lambda connection, _: connection.execute(mine), retry_seconds=1.0)
        self._engine.dispose()

    @property
    def identity(self) -> str:
        """The id of this ledger. A copy has the same id."""
        return self.hasher.of("identity")

    def transact(self, work: Callable[[Session], _T]) -> _T:
        """Run one transaction and return its result. It is committed to the disk by then.

        :param work: the transaction. It is called again if the database rolled it back (a deadlock, a lost
            connection), so it must change nothing but the ledger.
        :raises LedgerError: the ledger failed, and repeating the transaction did not help.
        """
        is_due = self._clock() - self._last_heartbeat >= LivenessMonitor.HEARTBEAT_SECONDS

        def work_once(connection: sa.Connection, may_be_committed: bool) -> _T:
            if is_due:
                self._write_heartbeat(connection)
            return work(Session(connection, self, may_be_committed=may_be_committed))

        result = self._transactions.run(work_once)
        if is_due:
            self._last_heartbeat = self._clock()
        return result

    def entries(self, keys: Sequence[str] | Mapping[str, str]) -> dict[str, LedgerEntry]:
        """Return the entries of these keys, in a separate transaction; see :meth:`Session.entries`.

        :param keys: the keys.
        """
        return self.transact(lambda session: session.entries(keys))

    @contextmanager
    def session(self) -> Iterator[Session]:
        """One transaction without repetition, committed when the block ends without error. See :meth:`transact`.

        :raises LedgerError: the ledger failed, for example because of a deadlock.
        """
        try:
            with self._engine.begin() as connection:
                if self._clock() - self._last_heartbeat >= LivenessMonitor.HEARTBEAT_SECONDS:
                    self._write_heartbeat(connection)
                    self._last_heartbeat = self._clock()
                yield Session(connection, self)
        except sa.exc.DBAPIError as error:
            raise LedgerError.of("the ledger cannot be written", error) from error

    def heartbeat(self) -> None:
        """Write a heartbeat if one is due. Call it every few seconds while nothing else is written."""
        if self._clock() - self._last_heartbeat >= LivenessMonitor.HEARTBEAT_SECONDS:
            self.transact(lambda _: None)

    def is_dead(self, run_id: str) -> bool:
        """Whether the run is certainly dead. Until that is certain, it counts as alive.

        :param run_id: the run.
        """
        query = sa.select(runs.c.host, runs.c.process, runs.c.heartbeat).where(runs.c.run_id == run_id)
        found = self._transactions.run(lambda connection, _: connection.execute(query).first(), what="cannot be read")
        return found is None or self._liveness.is_dead(Owner(run_id, found[0], found[1]), found[2])

    def _write_heartbeat(self, connection: sa.Connection) -> None:
        connection.execute(
            sa.update(runs).where(runs.c.run_id == self.owner.run_id).values(heartbeat=runs.c.heartbeat + 1)
        )
