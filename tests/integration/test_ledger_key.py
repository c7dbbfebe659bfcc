"""The keyed hashes of the ledger: nobody reads from it who was booked, and ledgers of the first release go on."""

from __future__ import annotations

import socket
import sqlite3
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from cryptography.fernet import Fernet

from altegio_provider.imports.ledger.ledger import Intent, Ledger, LedgerError, key_of
from altegio_provider.imports.ledger.liveness import LivenessMonitor
from tests.integration.old_ledger import everything_in, old_key, write_old_ledger
from tests.services import LEDGERS, empty_database

LOCATION, EVENT = 77, 501
OPEN = """
import sys
from altegio_provider.imports.ledger.ledger import Ledger
sys.stdin.readline()
with Ledger(sys.argv[1], 77, "booking") as ledger:
    sys.stdout.write(" ".join(sorted({entry.state for entry in ledger.entries(sys.argv[2:]).values()})))
"""


@pytest.fixture(params=LEDGERS)
def ledger_url(request, tmp_path):
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def sqlite_url(tmp_path):
    return f"sqlite:///{tmp_path / 'ledger.db'}"


def of_phone(number, make=key_of):
    return make(LOCATION, EVENT, ["phone", f"+3712000{number:04}"], 1)


def an_entry(key, **values):
    entry = {"kind": "booking", "location_id": LOCATION, "key": key, "state": "created", "lane": EVENT, "content": key}
    return {**entry, "record_id": None, "owner": "", **values}


def states(ledger, keys):
    return {key: (entry.state, entry.record_id) for key, entry in ledger.entries(keys).items()}


def test_who_tries_all_phones_finds_none_in_the_ledger(ledger_url):
    key, reference = of_phone(7), key_of(LOCATION, "2026-11-20 18:30:00", 0, 1, None, None, None)
    with Ledger(ledger_url, LOCATION, "booking") as ledger:
        ledger.transact(lambda session: session.claim({key: Intent(EVENT, key)}))
        ledger.transact(lambda session: session.references.remember({reference: EVENT}))
        guesses = {of_phone(number) for number in range(10)} | {reference}
        assert not any(guess in value for guess in guesses for value in everything_in(ledger_url))
        assert set(ledger.entries([key])) == {key}
        assert ledger.transact(lambda session: session.references.events_of(reference)) == [EVENT]


def test_two_ledgers_have_nothing_in_common(tmp_path):
    found = []
    for name in ("one", "two"):
        url = f"sqlite:///{tmp_path / name}.db"
        with Ledger(url, LOCATION, "booking") as ledger:
            ledger.transact(lambda session: session.claim({of_phone(7): Intent(EVENT, of_phone(7))}))
        found.append({value for value in everything_in(url) if len(value) == 64})
    assert found[0]
    assert not found[0] & found[1]


def write_many(url, count, **options):
    """A ledger of the first release with so many entries, some of them of other kinds and locations."""
    rows = [an_entry(of_phone(number, old_key), record_id=1000 + number) for number in range(count)]
    by_external_id = old_key(LOCATION, "external_id", "A-1")
    rows += [
        an_entry(by_external_id, content=of_phone(count, old_key), record_id=999),
        an_entry(of_phone(count + 1, old_key), state="in_doubt"),
        an_entry(of_phone(count + 2, old_key), state="sending", owner="gone"),
        an_entry(of_phone(0, old_key), kind="event", record_id=1000),
        an_entry(of_phone(0, old_key), location_id=78, record_id=1000),
    ]
    reference = old_key(LOCATION, "2026-11-20 18:30:00", 0, 1, None, None, None)
    write_old_ledger(url, rows, [(LOCATION, reference, EVENT), (LOCATION, reference, EVENT + 1)], **options)
    return [row["key"] for row in rows] + [reference]


def check_many(url, count, old_keys):
    reference = key_of(LOCATION, "2026-11-20 18:30:00", 0, 1, None, None, None)
    with Ledger(url, LOCATION, "booking") as ledger, Ledger(url, 78, "booking") as elsewhere:
        booked = [of_phone(number) for number in range(count)]
        assert states(ledger, booked) == {of_phone(n): ("created", 1000 + n) for n in range(count)}
        external = key_of(LOCATION, "external_id", "A-1")
        assert ledger.entries({external: of_phone(count)})[external].content == of_phone(count)
        assert ledger.entries({external: of_phone(count + 1)})[external].content != of_phone(count + 1)
        assert states(ledger, [of_phone(count + 1)]) == {of_phone(count + 1): ("in_doubt", None)}
        orphan = ledger.entries([of_phone(count + 2)])[of_phone(count + 2)]
        assert (orphan.state, ledger.is_dead(orphan.owner)) == ("sending", True)
        assert states(elsewhere, [of_phone(0)]) == {of_phone(0): ("created", 1000)}
        assert ledger.transact(lambda session: session.references.events_of(reference)) == [EVENT, EVENT + 1]
        mine = ledger.transact(lambda session: session.claim({of_phone(3): Intent(EVENT, of_phone(3))}))
        assert mine[of_phone(3)].state == "created"
    found = everything_in(url)
    assert not set(old_keys) & set(found)


def test_a_ledger_of_the_first_release_goes_on_and_none_of_its_plain_hashes_stays(ledger_url):
    old_keys = write_many(ledger_url, 1_000)
    check_many(ledger_url, 1_000, old_keys)


def test_processes_that_bring_a_ledger_up_to_date_at_the_same_moment_share_it(ledger_url):
    old_keys = write_many(ledger_url, 500)
    command = [sys.executable, "-c", OPEN, ledger_url, *(of_phone(number) for number in range(500))]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60) for process in processes]
    assert [said for said, _ in answers] == ["created", "created"], answers
    check_many(ledger_url, 500, old_keys)


def test_threads_that_bring_a_ledger_up_to_date_at_the_same_moment_share_it(ledger_url):
    old_keys = write_many(ledger_url, 50)
    together = threading.Barrier(5)

    def enter(_):
        together.wait()
        with Ledger(ledger_url, LOCATION, "booking") as ledger:
            return len(ledger.entries([of_phone(number) for number in range(50)]))

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(enter, range(5))) == [50] * 5
    check_many(ledger_url, 50, old_keys)


class Time:
    """A clock that goes when somebody sleeps; others may act meanwhile."""

    def __init__(self, meanwhile=lambda: None):
        self.now = 0.0
        self._meanwhile = meanwhile

    def clock(self):
        return self.now

    def sleep(self, seconds):
        self.now += seconds
        self._meanwhile()


def heartbeat(url):
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE altegio_ledger_runs SET beat = beat + 1")
    engine.dispose()


ELSEWHERE = ("r1", "another-host:x:0", "7:1", 3)


def test_a_ledger_that_an_import_of_the_first_release_still_uses_is_left_alone(sqlite_url):
    old_keys = write_many(sqlite_url, 5, runs=[ELSEWHERE])
    time = Time(meanwhile=lambda: heartbeat(sqlite_url))
    with pytest.raises(LedgerError, match="an import of that release is still using it") as failure:
        Ledger(sqlite_url, LOCATION, "booking", clock=time.clock, sleep=time.sleep)
    assert failure.value.retryable
    assert time.now <= 90
    assert set(old_keys) <= set(everything_in(sqlite_url))


def test_an_import_of_the_first_release_that_died_elsewhere_is_waited_for(sqlite_url):
    old_keys = write_many(sqlite_url, 5, runs=[ELSEWHERE])
    time = Time()
    with Ledger(sqlite_url, LOCATION, "booking", clock=time.clock, sleep=time.sleep):
        assert LivenessMonitor.DEAD_AFTER_SECONDS <= time.now <= 90
    check_many(sqlite_url, 5, old_keys)


def test_an_import_of_the_first_release_that_died_on_this_host_is_not(sqlite_url):
    host = Ledger(sqlite_url.replace("ledger.db", "other.db"), 1, "booking")
    dead = ("r1", host.owner.host, "1:0", 3)
    host.close()
    write_many(sqlite_url, 5, runs=[dead])
    time = Time()
    with Ledger(sqlite_url, LOCATION, "booking", clock=time.clock, sleep=time.sleep):
        assert time.now == 0


def test_an_import_of_the_first_release_that_begins_meanwhile_is_seen(sqlite_url):
    write_many(sqlite_url, 5, runs=[ELSEWHERE])

    def begins():
        if time.now == 60:
            with sqlite3.connect(sqlite_url.removeprefix("sqlite:///")) as database:
                database.execute("INSERT INTO altegio_ledger_runs VALUES ('r2', ?, '9:1', 0)", (socket.gethostname(),))
            database.close()

    time = Time(meanwhile=begins)
    with pytest.raises(LedgerError, match="still using it"):
        Ledger(sqlite_url, LOCATION, "booking", clock=time.clock, sleep=time.sleep)


KEY, NEW_KEY = Fernet.generate_key().decode(), Fernet.generate_key().decode()


def secret_of(url):
    return [value for value in everything_in(url) if len(value) in (44, 140)]


@pytest.fixture
def booked(sqlite_url):
    """Opens the ledger, with what the environment would say, and tells whether it knows the booking made first."""

    def open_ledger(key=None, *, book=False):
        with Ledger(sqlite_url, LOCATION, "booking", secret_key=key) as ledger:
            if book:
                ledger.transact(lambda session: session.claim({"a": Intent(EVENT, "a")}))
            return "a" in ledger.entries(["a"])

    return open_ledger


def test_a_secret_is_encrypted_as_soon_as_there_is_a_key_and_the_rows_stay_known(sqlite_url, booked):
    assert booked(book=True)
    plain = secret_of(sqlite_url)
    assert booked(KEY)
    encrypted = secret_of(sqlite_url)
    assert len(plain) == len(encrypted) == 1
    assert plain[0] not in " ".join(everything_in(sqlite_url))
    assert booked(KEY)
    assert secret_of(sqlite_url) == encrypted


def test_the_key_of_the_secret_may_come_from_the_environment_and_be_replaced(sqlite_url, booked, monkeypatch):
    monkeypatch.setenv("ALTEGIO_LEDGER_KEY", KEY)
    assert booked(book=True)
    monkeypatch.setenv("ALTEGIO_LEDGER_KEY", f"{NEW_KEY}, {KEY}")
    assert booked()
    monkeypatch.setenv("ALTEGIO_LEDGER_KEY", NEW_KEY)
    assert booked()
    with pytest.raises(LedgerError, match="is not the key that"):
        booked(KEY)


@pytest.mark.parametrize(
    ("key", "told"),
    [(None, "set ALTEGIO_LEDGER_KEY"), (NEW_KEY, "is not the key that"), ("secret", "is not a Fernet key")],
    ids=["no key", "another key", "no Fernet key"],  # the keys are random, and test ids must not be
)
def test_without_the_right_key_nothing_can_be_sent(booked, key, told):
    booked(KEY, book=True)
    with pytest.raises(LedgerError, match=told) as failure:
        booked(key)
    assert not failure.value.retryable
    assert KEY not in str(failure.value)
    assert str(key) not in str(failure.value)
    assert booked(KEY)
