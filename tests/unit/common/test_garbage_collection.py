"""The garbage collector is spared within the block, and as before after it."""

from __future__ import annotations

import gc

import pytest

from altegio_provider.common.garbage_collection import reduced_garbage_collection


def test_all_is_as_before_afterwards_also_after_an_error():
    before = gc.get_threshold(), gc.get_freeze_count()

    @reduced_garbage_collection()
    def interrupted() -> None:
        assert gc.get_freeze_count() > 1_000
        raise KeyError

    with pytest.raises(KeyError):
        interrupted()
    assert (gc.get_threshold(), gc.get_freeze_count()) == before


def test_what_somebody_else_froze_stays_frozen():
    gc.freeze()
    try:
        frozen = gc.get_freeze_count()
        with reduced_garbage_collection():
            pass
        assert gc.get_freeze_count() > frozen // 2  # some went by themselves
    finally:
        gc.unfreeze()


def test_a_cycle_made_within_is_still_collected():
    with reduced_garbage_collection():
        cycle: list[object] = []
        cycle.append(cycle)
        del cycle
        assert gc.collect() >= 1
