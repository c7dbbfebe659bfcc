"""The engine with an API of plain values: what is sent, looked for and sent again when things go wrong oddly."""

from __future__ import annotations

import threading
from collections import Counter
from zoneinfo import ZoneInfo

import pytest

from altegio_provider.api.errors import (
    AltegioConnectionError,
    AltegioConnectionOutcomeUnknownError,
    AltegioNotSentError,
    AltegioValidationError,
)
from altegio_provider.imports.engine.file_import import FileImport, ImportOptions
from altegio_provider.imports.engine.row_store import RowStore
from altegio_provider.imports.engine.runner import Sent
from altegio_provider.imports.engine.stop_flag import StopFlag
from altegio_provider.imports.files.open_source import rows_source
from altegio_provider.imports.ledger.ledger import Intent, Ledger
from altegio_provider.imports.matching.match import Absent, Found, LostBooking, Undecided, match

LOST = AltegioConnectionOutcomeUnknownError("no answer.", method="POST")


class Scripted(FileImport):
    """Sends rows of one column, ``key``, and answers by a script."""

    kind = "event"
    partition_column = "lane"

    def prepare(self, answers, verdicts):
        #: Key to what its requests bring, one after the other: a record or an error.
        self.answers = {key: list(of_key) for key, of_key in answers.items()}
        #: Key to what looking for it brings: a verdict, or what makes one.
        self.verdicts = {key: list(of_key) for key, of_key in verdicts.items()}
        self.sent = Counter()
        return self

    def _row_handler(self, source):
        return lambda row: self._accept(row, row.values["key"], 5, {})

    def _check_availability(self):
        pass

    def _post(self, row):
        self.sent[row.key] += 1
        answer = self.answers[row.key].pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Sent(answer)

    def _search(self, partition, rows, taken):
        verdicts = {row.key: self.verdicts[row.key].pop(0) for row in rows}
        return {key: verdict(taken) if callable(verdict) else verdict for key, verdict in verdicts.items()}


@pytest.fixture
def imported(tmp_path):
    def run(keys, answers, verdicts=(), **options):
        with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", 7, "event") as ledger, RowStore() as store:
            given = ImportOptions(settle_seconds=0.01, concurrency=1, **options)
            work = Scripted(None, 7, ZoneInfo("UTC"), store, ledger, given).prepare(answers, dict(verdicts))
            halt = work.run(rows_source(["key"], [{"key": key} for key in keys]))
            found = {one.key: (str(one.status), one.record_id) for one in store.outcomes()}
            return halt, found, work.sent

    return run


def test_a_row_whose_appointment_turns_out_to_be_anothers_is_looked_for_again(tmp_path, imported):
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", 7, "event") as other:
        with other.session() as session:
            session.claim({"theirs": Intent(5, "theirs")})

        def their_answer_comes(_taken):
            with other.session() as session:
                session.record_created({"theirs": 101}, {"theirs": Intent(5, "theirs")})
            return Found(103)

        halt, found, sent = imported(
            ["mine", "slow"],
            {"mine": [LOST, 102], "slow": [LOST]},
            {"mine": [Found(101), Absent()], "slow": [Undecided("not yet", retryable=True), their_answer_comes]},
        )
    assert halt is None
    assert found == {"mine": ("created", 102), "slow": ("created", 103)}
    assert sent == {"mine": 2, "slow": 1}


def test_a_decision_to_send_again_holds_for_what_was_in_doubt_before_and_once(imported):
    unclear = [Undecided("masked", retryable=False)]
    halt, found, sent = imported(["a"], {"a": [LOST]}, {"a": unclear}, resend_in_doubt=True)
    assert (found, sent) == ({"a": ("in_doubt", None)}, {"a": 1})
    assert not halt.retryable
    halt, found, sent = imported(["a"], {}, {"a": unclear})
    assert (found, sent) == ({"a": ("in_doubt", None)}, {})
    halt, found, sent = imported(
        ["a", "b"],
        {"a": [LOST], "b": [LOST]},
        {"a": unclear * 2, "b": unclear * 2},
        resend_in_doubt=True,
    )
    assert found == {"a": ("in_doubt", None), "b": ("in_doubt", None)}
    assert sent == {"a": 1, "b": 1}
    halt, found, sent = imported(["a"], {"a": [104]}, {"a": unclear}, resend_in_doubt=True)
    assert (halt, found, sent) == (None, {"a": ("created", 104)}, {"a": 1})


def test_what_cannot_clear_up_is_looked_for_once_and_what_can_three_times(imported):
    looks = Counter()

    def look(key, retryable):
        def verdict(_taken):
            looks[key] += 1
            return Undecided("unclear", retryable=retryable)

        return verdict

    halt, _, sent = imported(
        ["clear", "unclear"],
        {"clear": [LOST], "unclear": [LOST]},
        {"clear": [look("clear", True)] * 9, "unclear": [look("unclear", False)] * 9},
    )
    assert looks == {"clear": 3, "unclear": 1}
    assert halt.retryable
    assert sent == {"clear": 1, "unclear": 1}


def test_a_row_that_is_lost_and_absent_again_and_again_is_sent_until_it_is_there(imported):
    halt, found, sent = imported(["a"], {"a": [LOST, LOST, LOST, 105]}, {"a": [Absent()] * 3})
    assert (halt, found, sent) == (None, {"a": ("created", 105)}, {"a": 4})


def test_a_fault_of_the_importer_itself_leaves_its_row_in_doubt_and_sends_nothing_more(imported):
    halt, found, sent = imported(["a", "b"], {"a": [ZeroDivisionError()], "b": [101]})
    assert "ZeroDivisionError" in halt.reason
    assert found == {"a": ("in_doubt", None), "b": ("not_sent", None)}
    assert sent == {"a": 1}


def test_a_fault_that_is_no_refusal_of_the_api_leaves_the_row_in_doubt_and_rejects_nothing(imported):
    halt, found, sent = imported(["a"], {"a": [AltegioConnectionError("odd."), 106]}, {"a": [Absent()]})
    assert (halt, found, sent) == (None, {"a": ("created", 106)}, {"a": 2})


def test_a_row_that_was_not_sent_ends_no_run_green_whatever_may_be_rejected(imported):
    refused = AltegioValidationError("refused.")
    answers = {"a": [refused], "b": [AltegioNotSentError("no place.")], "c": [107]}
    halt, found, _ = imported(["a", "b", "c"], answers, max_rejected=1.0)
    assert found == {"a": ("rejected", None), "b": ("not_sent", None), "c": ("not_sent", None)}
    assert halt.retryable
    halt, found, _ = imported(["a", "b", "c"], {"a": [refused], "b": [108], "c": [109]}, max_rejected=1.0)
    assert (halt, found["b"], found["c"]) == (None, ("created", 108), ("created", 109))


@pytest.mark.parametrize("theirs", [[101], []], ids=["another row has it", "nobody has it"])
def test_an_appointment_that_another_row_has_is_not_what_is_looked_for(tmp_path, imported, theirs):
    """Two people of one family give one phone: only the ledger tells whose the appointment is that looks right."""
    shown = [{"id": 101, "clients_count": 1, "client": {"phone": "+37120000001", "name": "Anna"}}]
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", 7, "event") as other, other.session() as session:
        session.claim({"theirs": Intent(5, "theirs")})
        session.record_created(dict.fromkeys(["theirs"], 101) if theirs else {}, {"theirs": Intent(5, "theirs")})

    def look(taken):
        sought = LostBooking("mine", {"phone": "+37120000001", "name": "Anna"}, 1)
        return match([sought], shown, taken([row["id"] for row in shown]))["mine"]

    halt, found, sent = imported(["mine"], {"mine": [LOST, 102]}, {"mine": [look]})
    assert halt is None
    assert (found, sent) == (
        ({"mine": ("created", 102)}, {"mine": 2}) if theirs else ({"mine": ("created", 101)}, {"mine": 1})
    )


def test_an_entry_that_this_run_is_settling_already_is_put_in_doubt_and_not_waited_for(tmp_path):
    stop = StopFlag()
    with Ledger(f"sqlite:///{tmp_path / 'ledger.db'}", 7, "event") as ledger, RowStore() as store:
        ledger.transact(lambda session: session.claim({"a": Intent(5, "a")}))
        ledger.transact(lambda session: session.mark_in_doubt("a"))
        assert ledger.transact(lambda session: session.claim_in_doubt(["a"])) == ["a"]
        work = Scripted(None, 7, ZoneInfo("UTC"), store, ledger, ImportOptions(settle_seconds=0.01), stop=stop)
        work.prepare({}, {"a": [Found(101)]})
        ends_a_wait_without_end = threading.Timer(30, stop.set)
        ends_a_wait_without_end.start()
        try:
            halt = work.run(rows_source(["key"], [{"key": "a"}]))
        finally:
            ends_a_wait_without_end.cancel()
        assert (halt, work.sent) == (None, {})
        assert [(str(one.status), one.record_id) for one in store.outcomes()] == [("created", 101)]
