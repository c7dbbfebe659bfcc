"""Transactions of the ledger on real databases: deadlocks, lost connections, lost answers; none is lost or doubled."""

from __future__ import annotations

import itertools
import json
import sqlite3
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from altegio_provider.imports.ledger.database import open_engine
from altegio_provider.imports.ledger.ledger import Intent, Ledger, LedgerError
from altegio_provider.imports.ledger.transactions import Transactions
from tests.integration.lossy_proxy import LossyProxy
from tests.services import LEDGERS, empty_database

SERVERS = LEDGERS[1:]
KEYS = [f"key{number}" for number in range(12)]
IMPORTER = Path(__file__).with_name("ledger_importer.py")
_LOCATIONS = itertools.count(1)


@pytest.fixture(params=LEDGERS)
def ledger_url(request, tmp_path):
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture(params=SERVERS)
def server_url(request, tmp_path):
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture(scope="module")
def importers():
    """Three processes that wait for work."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, str(IMPORTER)], **pipes) for _ in range(3)]
    yield processes
    for process in processes:
        process.stdin.close()
    for process in processes:
        process.wait(timeout=60)
        process.stdout.close()


@settings(max_examples=3, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(seeds=st.tuples(*[st.integers(0, 2**32)] * 3))
def test_processes_that_claim_the_same_rows_in_any_order_all_get_through_and_each_row_is_one_processs(
    ledger_url, importers, seeds
):
    location_id = next(_LOCATIONS)
    for number, (process, seed) in enumerate(zip(importers, seeds, strict=True)):
        task = [ledger_url, location_id, KEYS, seed, 10_000 * (1 + number) + 100_000 * location_id]
        process.stdin.write(json.dumps(task) + "\n")
        process.stdin.flush()
    answers = [process.stdout.readline() for process in importers]
    assert all(answers), "an importer died"
    claimed, freed = Counter(), Counter()
    for answer in answers:
        its_claimed, its_freed = json.loads(answer)
        claimed.update(its_claimed)
        freed.update(its_freed)
    assert claimed - freed == Counter(KEYS)
    with Ledger(ledger_url, location_id, "booking") as ledger:
        known = ledger.entries(KEYS)
    assert {entry.state for entry in known.values()} == {"created"}
    assert len({entry.record_id for entry in known.values()}) == len(KEYS)


def test_who_claims_the_rows_of_others_keeps_nobody_from_recording(server_url):
    with Ledger(server_url, 7, "booking") as first, Ledger(server_url, 7, "booking") as second:
        for ledger, key in ((first, "a"), (second, "b")):
            with ledger.session() as session:
                session.claim({key: Intent(5, key)})
        with first.session() as session:
            session.claim({"b": Intent(5, "b"), "c": Intent(5, "c")})
            with second.session() as other:
                if server_url.startswith("mysql"):
                    other._connection.exec_driver_sql("SET innodb_lock_wait_timeout = 1")
                else:
                    other._connection.exec_driver_sql("SET lock_timeout = '1s'")
                other.claim({"a": Intent(5, "a"), "d": Intent(5, "d")})
                assert other.record_created({"b": 102}, {"b": Intent(5, "b")}) == {}
            assert session.record_created({"a": 101}, {"a": Intent(5, "a")}) == {}


#: What a database says when it has undone a transaction, as SQL that makes it say so.
UNDONE = {
    "postgresql+psycopg": [
        *(f"DO $$ BEGIN RAISE 'no' USING ERRCODE = '{state}'; END $$" for state in ("40001", "40P01", "55P03")),
        "SELECT pg_terminate_backend(pg_backend_pid())",
    ],
    "mysql+pymysql": [
        *(f"SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = {code}" for code in (1213, 1205, 1020)),
        "KILL CONNECTION_ID()",
    ],
}


class Tried:
    """A transaction that inserts a row, and goes wrong the first few times."""

    def __init__(self, url, *, fail=lambda _: None, times=1):
        self.pauses: list[float] = []
        self.now = 0.0
        self.tries = 0
        self.may_be_committed: list[bool] = []
        self._fail = fail
        self._times = times
        self.engine = open_engine(url)
        self.turns = Transactions(self.engine, "here", lambda: self.now, self.sleep)
        with self.engine.begin() as connection:
            connection.exec_driver_sql("CREATE TABLE inserted (number INTEGER)")

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds

    def run(self):
        return self.turns.run(self.work)

    def work(self, connection, may_be_committed):
        self.tries += 1
        self.may_be_committed.append(may_be_committed)
        connection.exec_driver_sql(f"INSERT INTO inserted VALUES ({self.tries})")
        if self.tries <= self._times:
            self._fail(connection)
        return "done"

    def inserted(self):
        with self.engine.begin() as connection:
            return list(connection.execute(sa.text("SELECT number FROM inserted")).scalars())


@pytest.fixture
def tried():
    made = []

    def make(url, **options):
        made.append(Tried(url, **options))
        return made[-1]

    yield make
    for one in made:
        one.engine.dispose()


@pytest.mark.parametrize(("kind", "sql"), [(kind, sql) for kind, all_sql in UNDONE.items() for sql in all_sql])
def test_what_the_database_undid_is_done_again(tmp_path, tried, kind, sql):
    with empty_database(kind, tmp_path) as url:
        transaction = tried(url, fail=lambda connection: connection.exec_driver_sql(sql), times=2)
        assert transaction.run() == "done"
        assert transaction.inserted() == [3]
        assert transaction.may_be_committed == [False] * 3
        assert len(transaction.pauses) == 2


def test_a_ledger_file_that_others_are_writing_is_tried_again(tmp_path, tried):
    path = tmp_path / "ledger.db"
    transaction = tried(f"sqlite:///{path}?timeout=0")
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")

    def sleep(seconds):
        transaction.pauses.append(seconds)
        if len(transaction.pauses) == 4:
            other.execute("ROLLBACK")

    transaction.turns = Transactions(transaction.engine, "here", lambda: 0.0, sleep)
    assert transaction.run() == "done"
    assert transaction.inserted() == [1]
    assert len(transaction.pauses) == 4
    other.close()


def test_what_is_undone_for_ever_is_given_up_after_a_minute_and_said(tmp_path, tried):
    kind = "postgresql+psycopg"
    with empty_database(kind, tmp_path) as url:
        sql = UNDONE[kind][0]
        transaction = tried(url, fail=lambda connection: connection.exec_driver_sql(sql), times=10**6)
        with pytest.raises(LedgerError, match=r"the ledger here cannot be written, after \d+ tries") as failure:
            transaction.run()
        assert failure.value.retryable
        assert 60 <= transaction.now < 65
        assert transaction.inserted() == []


def test_what_another_try_cannot_mend_is_said_at_once(server_url, tried):
    transaction = tried(server_url, fail=lambda connection: connection.exec_driver_sql("SELECT * FROM nowhere"))
    with pytest.raises(LedgerError, match="nowhere"):
        transaction.run()
    assert transaction.pauses == []
    assert transaction.inserted() == []


def test_a_real_deadlock_is_tried_again(server_url, tried):
    transaction = tried(server_url)
    with transaction.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE locked (number INTEGER PRIMARY KEY, value INTEGER)")
        connection.exec_driver_sql("INSERT INTO locked VALUES (1, 0), (2, 0), (3, 0), (4, 0), (5, 0)")
    is_postgres = server_url.startswith("postgresql")
    other = transaction.engine.connect()
    if is_postgres:
        other.exec_driver_sql("SET deadlock_timeout = '60s'")
    # On MySQL the transaction that changed less is undone.
    other.exec_driver_sql("UPDATE locked SET value = 1 WHERE number > 1")
    waits = threading.Thread(target=other.exec_driver_sql, args=("UPDATE locked SET value = 1 WHERE number = 1",))

    def work(connection, _):
        transaction.tries += 1
        if is_postgres:
            connection.exec_driver_sql("SET deadlock_timeout = '20ms'")
        connection.exec_driver_sql("UPDATE locked SET value = 2 WHERE number = 1")
        if transaction.tries == 1:
            waits.start()
        connection.exec_driver_sql("UPDATE locked SET value = 2 WHERE number = 2")

    def sleep(_):
        waits.join()
        other.commit()

    transaction.turns = Transactions(transaction.engine, "here", lambda: 0.0, sleep)
    transaction.turns.run(work)
    assert transaction.tries == 2
    assert not waits.is_alive()
    other.close()
    with transaction.engine.begin() as connection:
        values = connection.exec_driver_sql("SELECT value FROM locked ORDER BY number").scalars().all()
    assert values == [2, 2, 1, 1, 1]


@pytest.fixture
def proxied(server_url):
    """A ledger behind a proxy that can lose the answer to a commit, and one that has a line of its own."""
    url = sa.make_url(server_url)
    with LossyProxy(url.host, url.port) as proxy:
        query = {"sslmode": "disable"} if url.get_backend_name() == "postgresql" else {}
        behind = url.set(host="127.0.0.1", port=proxy.port).update_query_dict(query)
        with (
            Ledger(behind.render_as_string(hide_password=False), 7, "booking", sleep=lambda _: None) as ledger,
            Ledger(server_url, 7, "booking") as other,
        ):
            yield proxy, ledger, other


def test_a_commit_whose_answer_is_lost_is_found_to_be_done(proxied):
    proxy, ledger, other = proxied

    def lossy(work):
        proxy.losses = 1
        result = ledger.transact(work)
        assert proxy.losses == 0
        return result

    intents = {key: Intent(5, key) for key in "abc"}
    assert {entry.state for entry in lossy(lambda session: session.claim(intents)).values()} == {"mine"}
    lossy(lambda session: session.mark_in_doubt("a", "b"))
    lossy(lambda session: session.release("c"))
    assert set(other.entries("abc")) == {"a", "b"}
    assert set(lossy(lambda session: session.claim_in_doubt(["a", "b"]))) == {"a", "b"}
    assert {entry.state for entry in other.entries("ab").values()} == {"settling"}
    assert lossy(lambda session: session.record_found("a", 101))
    lossy(lambda session: session.release("b"))
    lossy(lambda session: session.claim({"b": intents["b"]}))
    assert lossy(lambda session: session.record_created({"b": 102}, {"b": intents["b"]})) == {}
    assert {key: entry.record_id for key, entry in other.entries("abc").items()} == {"a": 101, "b": 102}
    other.transact(lambda session: session.claim({"c": intents["c"]}))
    known = other.entries("c")["c"]
    lossy(lambda session: session.mark_dead("c", known))
    assert other.entries("c")["c"].state == "in_doubt"
