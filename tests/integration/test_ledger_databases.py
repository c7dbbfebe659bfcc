"""The ledger on every database that can hold it: the same promises, several importers at once, tables made together."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from altegio_provider.api import AltegioClient
from altegio_provider.imports.engine.bookings import BookingImport
from altegio_provider.imports.engine.file_import import ImportOptions
from altegio_provider.imports.engine.row_store import RowStore, Status
from altegio_provider.imports.files.open_source import open_source
from altegio_provider.imports.ledger.ledger import Intent, Ledger, LedgerError
from tests.services import LEDGERS, empty_database

LOCATION = 77
KEYS = ["a", "b", "c"]
OPEN = """
import sys
from altegio_provider.imports.ledger.ledger import Intent, Ledger
sys.stdin.readline()
with Ledger(sys.argv[1], 7, "booking") as ledger, ledger.session() as session:
    print(session.claim({"a": Intent(5, "a")})["a"].state)
"""


@pytest.fixture(params=LEDGERS)
def ledger_url(request, tmp_path):
    with empty_database(request.param, tmp_path) as url:
        yield url


@pytest.fixture
def ledgers(ledger_url):
    with Ledger(ledger_url, 7, "booking") as first, Ledger(ledger_url, 7, "booking") as second:
        yield first, second


def claim(ledger, *keys):
    with ledger.session() as session:
        claims = session.claim({key: Intent(5, key) for key in keys})
    return [claims[key].state for key in keys]


def states(ledger):
    with ledger.session() as session:
        return {key: (entry.state, entry.record_id) for key, entry in session.entries(KEYS).items()}


def create(ledger, **records):
    with ledger.session() as session:
        return session.record_created(records, {key: Intent(5, key) for key in records})


def test_an_entry_goes_its_way_on_every_database(ledgers):
    first, second = ledgers
    assert claim(first, "a", "b") == ["mine", "mine"]
    assert claim(second, "b", "c") == ["sending", "mine"]
    assert create(first, a=101) == {}
    with first.session() as session:
        session.mark_in_doubt("b")
    with second.session() as session:
        session.release("c")
    assert states(second) == {"a": ("created", 101), "b": ("in_doubt", None)}
    with second.session() as session:
        assert session.claim_in_doubt(["a", "b", "c"]) == ["b"]
        assert not session.record_found("b", 101)
        assert session.record_found("b", 102)
        assert session.records_among([101, 102, 103]) == {101, 102}
    assert claim(first, *KEYS) == ["created", "created", "mine"]
    assert create(first, c=102) == {}
    assert states(first) == {"a": ("created", 101), "b": ("in_doubt", None), "c": ("created", 102)}


def test_what_a_run_held_that_ended_is_in_doubt(ledger_url, ledgers):
    first, second = ledgers
    claim(first, "a")
    with second.session() as session:
        known = session.entries(["a"])["a"]
    assert not second.is_dead(known.owner)
    first.close()
    assert second.is_dead(known.owner)
    with second.session() as session:
        assert session.mark_dead("a", known)
        assert not session.mark_dead("a", known)
    assert states(second) == {"a": ("in_doubt", None)}


def test_an_answer_outlives_the_loss_of_its_entry(ledgers):
    first, second = ledgers
    claim(first, *KEYS)
    with second.session() as session:
        known = session.entries(KEYS)
        for key in KEYS:
            session.mark_dead(key, known[key])
        session.claim_in_doubt(KEYS)
        session.release("b", "c")
        session.claim({"c": Intent(5, "c")})
    create(second, c=203)
    assert create(first, a=101, b=102, c=103) == {"c": 203}
    assert states(second) == {"a": ("created", 101), "b": ("created", 102), "c": ("created", 203)}


def test_an_error_within_a_transaction_leaves_nothing_of_it(ledgers):
    first, second = ledgers

    def break_off():
        with first.session() as session:
            session.claim({"a": Intent(5, "a")})
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        break_off()
    assert states(second) == {}
    assert claim(second, "a") == ["mine"]


def test_processes_that_make_the_tables_at_the_same_moment_share_them(ledger_url):
    command = [sys.executable, "-c", OPEN, ledger_url]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen(command, **pipes) for _ in range(2)]
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()
    answers = [process.communicate(timeout=60) for process in processes]
    assert [process.returncode for process in processes] == [0, 0], answers
    assert sum(said == "mine\n" for said, _ in answers) >= 1


def test_threads_that_make_the_tables_at_the_same_moment_share_them(ledger_url):
    together = threading.Barrier(6)

    def enter(_):
        together.wait()
        with Ledger(ledger_url, 7, "booking") as ledger:
            together.wait()
            return claim(ledger, "a")[0]

    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(enter, range(6)))
    assert answers.count("mine") == 1
    assert answers.count("sending") == 5


def test_many_claims_at_once_give_each_key_to_one(ledger_url):
    keys = [f"key{number}" for number in range(40)]
    with Ledger(ledger_url, 7, "booking"):
        pass

    def enter(number):
        mine = []
        with Ledger(ledger_url, 7, "booking") as ledger:
            for start in range(0, len(keys), 4):
                batch = keys[start : start + 4][:: 1 if number % 2 else -1]
                mine += [key for key, state in zip(batch, claim(ledger, *batch), strict=True) if state == "mine"]
        return mine

    with ThreadPoolExecutor(4) as pool:
        claimed = Counter(key for mine in pool.map(enter, range(4)) for key in mine)
    assert claimed == Counter(keys)


def test_a_ledger_of_a_newer_release_is_left_alone(ledger_url):
    import sqlalchemy as sa

    with Ledger(ledger_url, 7, "booking"):
        pass
    engine = sa.create_engine(ledger_url)
    with engine.begin() as connection:
        connection.exec_driver_sql("UPDATE altegio_ledger_version SET version = 2")
    engine.dispose()
    with pytest.raises(LedgerError, match="has version 2") as failure:
        Ledger(ledger_url, 7, "booking")
    assert not failure.value.retryable


def test_two_importers_of_one_file_book_each_row_once(ledger_url, altegio_sandbox):
    start = (datetime.now(UTC) + timedelta(days=20)).replace(microsecond=0, tzinfo=None)
    altegio_sandbox.add_location(LOCATION, timezone="Europe/Riga", staff=[{"id": 1, "name": "Anna"}])
    events = [{"id": number, "date": start.isoformat(), "staff_id": 1, "capacity": 99} for number in range(501, 505)]
    altegio_sandbox.add_events(LOCATION, events)
    route = {"route": "create_event_appointment"}
    altegio_sandbox.fault("lose_answer_after", every=9, **route)
    altegio_sandbox.fault("lose_answer_before", every=11, **route)
    altegio_sandbox.fault("status", status=429, retry_after="seconds", seconds=0, every=5, **route)
    rows = [
        {"event_id": 501 + number % 4, "name": "A", "surname": "B", "email": "", "phone": f"+3712000{number:04}"}
        for number in range(48)
    ]

    def book(_):
        with (
            AltegioClient(
                altegio_sandbox.url, "sandbox-partner", "sandbox-user", requests_per_second=0, requests_per_minute=0
            ) as client,
            Ledger(ledger_url, LOCATION, "booking") as ledger,
            RowStore() as store,
        ):
            options = ImportOptions(settle_seconds=0.3, defaults={"email": ""})
            halt = BookingImport(client, LOCATION, ZoneInfo("Europe/Riga"), store, ledger, options).run(
                open_source(rows)
            )
            return halt, store.counts(), {one.line: one.record_id for one in store.outcomes()}

    with ThreadPoolExecutor(2) as pool:
        (halt, counts, first), (other_halt, other_counts, second) = pool.map(book, range(2))
    assert halt is None
    assert other_halt is None
    booked = Counter(
        (one["event_id"], one["client"]["phone"]) for one in altegio_sandbox.truth(LOCATION)["appointments"]
    )
    assert booked == Counter((row["event_id"], row["phone"]) for row in rows)
    assert first == second
    assert counts[Status.CREATED] + other_counts[Status.CREATED] >= len(rows)
    assert all(one[Status.CREATED] + one[Status.ALREADY_CREATED] == len(rows) for one in (counts, other_counts))


@pytest.mark.parametrize("kind", LEDGERS[1:])
def test_a_claim_sees_what_others_did_since_its_transaction_began(kind, tmp_path):
    with (
        empty_database(kind, tmp_path) as url,
        Ledger(url, 7, "booking") as first,
        Ledger(url, 7, "booking") as second,
        first.session() as session,
    ):
        assert session.entries(KEYS) == {}
        claim(second, "a", "b")
        create(second, b=101)
        claims = session.claim({key: Intent(5, key) for key in KEYS})
        assert [claims[key].state for key in KEYS] == ["sending", "created", "mine"]
