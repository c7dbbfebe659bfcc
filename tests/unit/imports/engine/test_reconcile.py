"""Rows in doubt on a real ledger and spool, looked for by searches that say what they are told to say."""

from __future__ import annotations

import pytest

from altegio_provider.imports.engine.reconcile import Reconciler
from altegio_provider.imports.engine.spool import Spool, Status
from altegio_provider.imports.engine.stop import Stop
from altegio_provider.imports.ledger.ledger import Intent, Ledger
from altegio_provider.imports.matching.match import Absent, Found

INTENT = Intent(5, "content")


@pytest.fixture
def ledgers(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with Ledger(url, 7, "event") as mine, Ledger(url, 7, "event") as theirs:
        yield mine, theirs


def in_doubt(spool, ledger, key):
    """A row whose answer was lost, in the spool and in the ledger."""
    assert spool.accept(2, key, 5, 1, {}, {})
    with ledger.session() as session:
        session.claim({key: INTENT})
        session.doubt(key)
    spool.settle(spool.accepted(key).seq, Status.IN_DOUBT)


def states(ledger, *keys):
    with ledger.session() as session:
        return {key: (known.state, known.record_id) for key, known in session.known(keys).items()}


def outcomes(spool):
    return {one.key: (one.status, one.record_id) for one in spool.outcomes()}


@pytest.mark.parametrize(
    ("then", "becomes"),
    [(Found(102), (Status.CREATED, 102)), (Absent(), (Status.NOT_SENT, None))],
    ids=["found elsewhere", "absent"],
)
def test_an_appointment_that_goes_to_another_row_while_it_is_looked_for_is_not_taken(ledgers, then, becomes):
    mine, theirs = ledgers
    with theirs.session() as session:
        session.claim({"theirs": INTENT})

    def their_answer_comes_first(_lane, rows, _taken):
        with theirs.session() as session:
            session.created({"theirs": 101}, {"theirs": INTENT})
        return {row.key: Found(101) for row in rows}

    searches = [their_answer_comes_first, lambda _lane, rows, _taken: {row.key: then for row in rows}]
    with Spool() as spool:
        in_doubt(spool, mine, "mine")
        reconciler = Reconciler(spool, mine, lambda *asked: searches.pop(0)(*asked), settle_seconds=0, stop=Stop())
        reconciler.look()
        assert outcomes(spool) == {"mine": (Status.IN_DOUBT, None)}
        assert states(mine, "mine", "theirs") == {"mine": ("in_doubt", None), "theirs": ("created", 101)}
        assert reconciler.has_work
        reconciler.look()
        assert outcomes(spool) == {"mine": becomes}
    assert states(mine, "theirs") == {"theirs": ("created", 101)}
