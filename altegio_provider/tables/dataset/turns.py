"""Looking again, where other writers change what is looked at."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from altegio_provider.tables.dataset.store_errors import Conflict

__all__ = ["taking_turns"]

Result = TypeVar("Result")

#: In each turn of several writers one gets through, so this is enough for dozens of them.
_TURNS = 100
#: What is gone after so many looks will not come back.
_TURNS_WITHOUT_FILE = 10
_LONGEST_WAIT_SECONDS = 2.0


def taking_turns(
    act: Callable[[], Result], sleep: Callable[[float], None], *, turns_without_file: int = _TURNS_WITHOUT_FILE
) -> Result:
    """Act until nobody comes in between: until there is no :class:`Conflict`, and nothing that was listed is gone.

    :param act: looks at what is there, and does something with it; called again from the start.
    :param sleep: waits so many seconds, a random time that grows, so that writers do not meet again and again.
    :param turns_without_file: so many times a file may be gone.
    :raises Conflict: others came in between for too long; or ``FileNotFoundError``, likewise.
    """
    gone = 0
    for turn in range(_TURNS - 1):
        try:
            return act()
        except FileNotFoundError:
            gone += 1
            if gone >= turns_without_file:
                raise
        except Conflict:
            pass
        sleep(random.uniform(0, min(_LONGEST_WAIT_SECONDS, 0.05 * 2**turn)))  # noqa: S311 - it keeps no secret
    return act()
