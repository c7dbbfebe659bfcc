"""Repeats an operation on a dataset while other writers interfere with it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from altegio_provider.tables.dataset.storage_errors import WriteConflictError

__all__ = ["retry_on_conflict"]

Result = TypeVar("Result")

#: Each round lets one of the competing writers through, so this is enough for dozens of writers.
_TRIES = 100
#: A file that is missing in this many attempts was deleted for good.
_TRIES_WITHOUT_FILE = 10
_LONGEST_WAIT_SECONDS = 2.0


def retry_on_conflict(
    act: Callable[[], Result], sleep: Callable[[float], None], *, tries_without_file: int = _TRIES_WITHOUT_FILE
) -> Result:
    """Call ``act`` until it neither meets a :class:`WriteConflictError` nor a file that was deleted meanwhile.

    :param act: reads the dataset's state and acts on it. Each attempt calls it again from the start.
    :param sleep: waits the given number of seconds. The waits are random and grow, so that writers do not collide
        again and again.
    :param tries_without_file: how many attempts may end in ``FileNotFoundError``.
    :returns: what ``act`` returned.
    :raises WriteConflictError: other writers kept interfering for too long.
    :raises FileNotFoundError: a file was missing in ``tries_without_file`` attempts.
    """
    gone = 0
    for attempt in range(_TRIES - 1):
        try:
            return act()
        except FileNotFoundError:
            gone += 1
            if gone >= tries_without_file:
                raise
        except WriteConflictError:
            pass
        sleep(random.uniform(0, min(_LONGEST_WAIT_SECONDS, 0.05 * 2**attempt)))  # noqa: S311 - not a secret
    return act()
