"""Makes the garbage collector run less often during a long job.

It uses the standard library alone, so that every ring may import it.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager

__all__ = ["reduced_garbage_collection"]

#: New objects between two runs of the collector. A page of rows has some thousands, and none of them is in a reference
#: cycle: they are freed with their last reference, without the collector.
_NEW_OBJECTS = 10_000


@contextmanager
def reduced_garbage_collection() -> Iterator[None]:
    """Run the collector less often within the block, and only on objects that are made there.

    A task has hundreds of thousands of objects of Airflow in memory, and rows make new ones so fast that the collector
    checks all of them again and again. That takes a fifth of an extract's CPU time.
    """
    thresholds = gc.get_threshold()
    # Objects that an executor has frozen before a fork could not be told apart from these when they are unfrozen.
    freezes = gc.get_freeze_count() == 0
    if freezes:
        gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, *thresholds[1:])
    try:
        yield
    finally:
        gc.set_threshold(*thresholds)
        if freezes:
            gc.unfreeze()
