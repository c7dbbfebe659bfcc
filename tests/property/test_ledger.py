"""Several importers at one ledger, dying and coming back: a key is one importer's at a time, and created is final."""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from altegio_provider.imports.ledger.ledger import Intent, Ledger

KEYS = [f"key{number}" for number in range(4)]
RECORDS = [101, 102, 103]
IMPORTERS = st.integers(0, 2)
#: A process of this number is there, and was not born then.
DEAD_PROCESS = "1:0"


class Importers(RuleBasedStateMachine):
    """Three importers do what importers do, and die; a model remembers what must be true."""

    def __init__(self):
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.path = Path(self.folder.name) / "ledger.db"
        self.importers: list[Ledger] = []
        #: Key to the importer that may send it or look for it.
        self.holders: dict[str, tuple[int, str]] = {}
        self.in_doubt: set[str] = set()
        self.created: dict[str, int] = {}
        #: Records that came with an answer, and not by a search.
        self.answered: set[int] = set()
        self.orphans: set[str] = set()

    @initialize()
    def open(self):
        self.importers = [self.start() for _ in range(3)]

    def teardown(self):
        for ledger in self.importers:
            ledger.close()
        self.folder.cleanup()

    def start(self):
        return Ledger(f"sqlite:///{self.path}", 7, "booking")

    @rule(who=IMPORTERS, keys=st.sets(st.sampled_from(KEYS), min_size=1))
    def claim(self, who, keys):
        mine = [key for key in keys if self.holders.get(key) == (who, "sending")]
        keys -= set(mine)
        with self.importers[who].session() as session:
            claims = session.claim({key: Intent(5, key) for key in keys})
        for key in keys:
            is_free = key not in self.holders and key not in self.created and key not in self.in_doubt | self.orphans
            assert (claims[key].state == "mine") == is_free
            if is_free:
                self.holders[key] = (who, "sending")
            if key in self.created:
                assert (claims[key].state, claims[key].record_id) == ("created", self.created[key])

    @rule(who=IMPORTERS, key=st.sampled_from(KEYS), record=st.sampled_from(RECORDS))
    def answer(self, who, key, record):
        if self.holders.get(key) != (who, "sending") or record in self.answered:
            return
        with self.importers[who].session() as session:
            assert session.record_created({key: record}, {key: Intent(5, key)}) == {}
        for other in [other for other, its in self.created.items() if its == record]:
            del self.created[other]
            self.in_doubt.add(other)
        del self.holders[key]
        self.created[key] = record
        self.answered.add(record)

    @rule(who=IMPORTERS, key=st.sampled_from(KEYS))
    def lose_the_answer(self, who, key):
        with self.importers[who].session() as session:
            session.mark_in_doubt(key)
        if self.holders.get(key, (None,))[0] == who:
            del self.holders[key]
            self.in_doubt.add(key)

    @rule(who=IMPORTERS, key=st.sampled_from(KEYS))
    def refuse(self, who, key):
        with self.importers[who].session() as session:
            session.release(key)
        if self.holders.get(key, (None,))[0] == who:
            del self.holders[key]

    @rule(who=IMPORTERS, keys=st.sets(st.sampled_from(KEYS), min_size=1))
    def claim_in_doubt(self, who, keys):
        with self.importers[who].session() as session:
            taken = session.claim_in_doubt(keys)
        assert set(taken) == keys & self.in_doubt
        self.in_doubt -= keys
        self.holders.update(dict.fromkeys(taken, (who, "settling")))

    @rule(who=IMPORTERS, key=st.sampled_from(KEYS), record=st.sampled_from(RECORDS))
    def find(self, who, key, record):
        if self.holders.get(key, (None,))[0] != who:
            return
        with self.importers[who].session() as session:
            was_found = session.record_found(key, record)
        assert was_found == (record not in self.created.values())
        if was_found:
            del self.holders[key]
            self.created[key] = record

    @rule(who=IMPORTERS, how=st.sampled_from(["killed", "ended"]))
    def die(self, who, how):
        ledger = self.importers[who]
        if how == "killed":
            with sqlite3.connect(self.path) as database:
                database.execute(
                    "UPDATE altegio_ledger_runs SET process = ? WHERE run_id = ?", (DEAD_PROCESS, ledger.owner.run_id)
                )
            database.close()
        else:
            ledger.close()
        orphans = {key for key, (holder, _) in self.holders.items() if holder == who}
        self.orphans |= orphans
        for key in orphans:
            del self.holders[key]
        self.importers[who] = self.start()

    @precondition(lambda self: self.holders or self.orphans)
    @rule(who=IMPORTERS)
    def mark_dead(self, who):
        ledger = self.importers[who]
        with ledger.session() as session:
            known = session.entries(KEYS)
        held = {key: entry for key, entry in known.items() if entry.owner}
        dead = {key for key, entry in held.items() if ledger.is_dead(entry.owner)}
        assert dead == self.orphans
        with ledger.session() as session:
            assert all(session.mark_dead(key, known[key]) for key in dead)
            assert not any(session.mark_dead(key, known[key]) for key in dead)
        self.in_doubt |= self.orphans
        self.orphans.clear()

    @invariant()
    def the_ledger_says_what_happened(self):
        if not self.importers:
            return
        with self.importers[0].session() as session:
            known = session.entries(KEYS)
            taken = session.records_among(RECORDS)
        assert {key: entry.record_id for key, entry in known.items() if entry.state == "created"} == self.created
        assert {key for key, entry in known.items() if entry.state == "in_doubt"} == self.in_doubt
        assert {key: entry.state for key, entry in known.items() if key in self.holders} == {
            key: state for key, (_, state) in self.holders.items()
        }
        assert taken == set(self.created.values())
        assert len(taken) == len(self.created)


TestImporters = Importers.TestCase
TestImporters.settings = settings(max_examples=25, stateful_step_count=30, deadline=None)


@pytest.fixture
def ledgers(tmp_path):
    opened = [Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", 7, "booking") for _ in range(2)]
    yield opened
    for ledger in opened:
        ledger.close()


def claimed(ledger, key="a"):
    with ledger.session() as session:
        return session.claim({key: Intent(5, key)})[key].state


def known(ledger, key="a"):
    with ledger.session() as session:
        return session.entries([key]).get(key)


def test_an_answer_that_comes_after_its_run_was_taken_for_dead_is_recorded_all_the_same(ledgers):
    slow, other = ledgers
    assert claimed(slow) == "mine"
    with other.session() as session:
        session.mark_dead("a", session.entries(["a"])["a"])
        session.claim_in_doubt(["a"])
    with slow.session() as session:
        assert session.record_created({"a": 101}, {"a": Intent(5, "a")}) == {}
    assert known(other)[:3] == ("created", 5, 101)
    with other.session() as session:
        session.release("a")
        session.mark_in_doubt("a")
    assert known(other)[:3] == ("created", 5, 101)


def test_an_answer_that_comes_after_its_entry_was_freed_keeps_others_from_sending_again(ledgers):
    slow, other = ledgers
    claimed(slow)
    with other.session() as session:
        session.mark_dead("a", session.entries(["a"])["a"])
        session.claim_in_doubt(["a"])
        session.release("a")
    with slow.session() as session:
        assert session.record_created({"a": 101}, {"a": Intent(5, "a")}) == {}
    assert claimed(other) == "created"


def test_what_was_sent_twice_after_all_is_told(ledgers):
    slow, other = ledgers
    claimed(slow)
    with other.session() as session:
        session.mark_dead("a", session.entries(["a"])["a"])
        session.claim_in_doubt(["a"])
        session.release("a")
        session.claim({"a": Intent(5, "a")})
        session.record_created({"a": 102}, {"a": Intent(5, "a")})
    with slow.session() as session:
        assert session.record_created({"a": 101}, {"a": Intent(5, "a")}) == {"a": 102}
    assert known(other).record_id == 102


def test_a_search_that_was_taken_over_finds_nothing(ledgers):
    slow, other = ledgers
    claimed(slow)
    with other.session() as session:
        session.mark_dead("a", session.entries(["a"])["a"])
    with slow.session() as session:
        assert not session.record_found("a", 101)
    assert known(slow).state == "in_doubt"


def test_another_location_and_another_kind_have_entries_of_their_own(tmp_path, ledgers):
    claimed(ledgers[0])
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with Ledger(url, 8, "booking") as elsewhere, Ledger(url, 7, "event") as events:
        assert claimed(elsewhere) == claimed(events) == "mine"
        with events.session() as session:
            session.record_created({"a": 101}, {"a": Intent(5, "a")})
    with ledgers[0].session() as session:
        assert session.record_created({"a": 101}, {"a": Intent(5, "a")}) == {}
    assert known(ledgers[1]).record_id == 101


def test_what_a_run_looks_for_it_does_not_send(ledgers):
    ledger, _ = ledgers
    claimed(ledger)
    with ledger.session() as session:
        session.mark_in_doubt("a")
        session.claim_in_doubt(["a"])
    assert claimed(ledger) == "settling"
