"""Rows in doubt on a real ledger and spool, looked for by searches that say what they are told to say."""

from __future__ import annotations

import pytest

from altegio_provider.imports.engine.reconcile import Reconciler
from altegio_provider.imports.engine.row_store import RowRequest, RowStore, Status
from altegio_provider.imports.engine.stop_flag import StopFlag
from altegio_provider.imports.ledger.ledger import Intent, Ledger
from altegio_provider.imports.matching.match import Absent, Found
from altegio_provider.imports.model import SourceRow

INTENT = Intent(5, "content")


@pytest.fixture
def ledgers(tmp_path):
    url = f"sqlite:///{tmp_path / 'ledger.db'}"
    with Ledger(url, 7, "event") as mine, Ledger(url, 7, "event") as theirs:
        yield mine, theirs


def in_doubt(store, ledger, key):
    """A row whose answer was lost, in the spool and in the ledger."""
    assert store.accept(SourceRow(2, {}), RowRequest(key, 5, {}, 1))
    with ledger.session() as session:
        session.claim({key: INTENT})
        session.mark_in_doubt(key)
    store.settle(store.pending_row(key).seq, Status.IN_DOUBT)


def states(ledger, *keys):
    with ledger.session() as session:
        return {key: (known.state, known.record_id) for key, known in session.entries(keys).items()}


def outcomes(store):
    return {one.key: (one.status, one.record_id) for one in store.outcomes()}


@pytest.mark.parametrize(
    ("then", "becomes"),
    [(Found(102), (Status.CREATED, 102)), (Absent(), (Status.NOT_SENT, None))],
    ids=["found elsewhere", "absent"],
)
def test_an_appointment_that_goes_to_another_row_while_it_is_looked_for_is_not_taken(ledgers, then, becomes):
    mine, theirs = ledgers
    with theirs.session() as session:
        session.claim({"theirs": INTENT})

    def their_answer_comes_first(_partition, rows, _taken):
        with theirs.session() as session:
            session.record_created({"theirs": 101}, {"theirs": INTENT})
        return {row.key: Found(101) for row in rows}

    searches = [their_answer_comes_first, lambda _partition, rows, _taken: {row.key: then for row in rows}]
    with RowStore() as store:
        in_doubt(store, mine, "mine")
        reconciler = Reconciler(store, mine, lambda *asked: searches.pop(0)(*asked), settle_seconds=0, stop=StopFlag())
        reconciler.search_all()
        assert outcomes(store) == {"mine": (Status.IN_DOUBT, None)}
        assert states(mine, "mine", "theirs") == {"mine": ("in_doubt", None), "theirs": ("created", 101)}
        assert reconciler.has_work
        reconciler.search_all()
        assert outcomes(store) == {"mine": becomes}
    assert states(mine, "theirs") == {"theirs": ("created", 101)}
