"""Asks again and again without blocking: what the triggers share. Knows no Airflow.

The client blocks, so each look is made in a thread, and one look at a time for each connection of a process: however
many triggers wait, one thread of theirs is under way, and the limit of requests is shared fairly with the tasks.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from altegio_provider.api.errors import AltegioError

__all__ = ["Failed", "in_thread", "looks"]

log = logging.getLogger(__name__)

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]

_JITTER = 0.1
_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Lock]] = WeakKeyDictionary()


async def in_thread(key: str, look: Callable[[], T]) -> T:
    """Call a blocking function in a thread, after those of the same key that came before."""
    lock = _locks.setdefault(asyncio.get_running_loop(), {}).setdefault(key, asyncio.Lock())
    async with lock:
        return await asyncio.to_thread(look)


class Failed:
    """So many looks in a row failed, or one in a way that the next one cannot mend.

    :param error: what the last one ended in.
    """

    def __init__(self, error: Exception, failures: int) -> None:
        self.error = error
        self.failures = failures


async def looks(
    look: Callable[[], Awaitable[T]],
    *,
    interval: float,
    max_failures: int,
    may_mend: Callable[[Exception], bool],
    next_in: Callable[[T], float] = lambda _: float("inf"),
    sleep: Sleep = asyncio.sleep,
    chance: Callable[[float, float], float] = random.uniform,
) -> AsyncIterator[T | Failed]:
    """Yield what is seen, look by look; at last, where it comes to that, that looking failed.

    :param interval: seconds between two looks; each pause is up to a tenth shorter or longer, so that many who began
        together do not ask together.
    :param max_failures: how many looks in a row may fail before it is given up.
    :param may_mend: whether a look after this error can succeed.
    :param next_in: seconds after which the next look is worth while, where that is sooner than the interval.
    :param sleep: how to wait.
    :param chance: a random number between two.
    """
    failures = 0
    while True:
        pause = interval * chance(1 - _JITTER, 1 + _JITTER)
        try:
            seen = await look()
        except Exception as error:
            failures += 1
            if failures >= max_failures or not may_mend(error):
                yield Failed(error, failures)
                return
            log.warning("Look failed (%d in a row, given up at %d): %s", failures, max_failures, _told(error))
        else:
            failures = 0
            yield seen
            pause = min(pause, next_in(seen))
        await sleep(pause)


def _told(error: Exception) -> str:
    """The text of an error of ours, which holds nothing secret; of any other, its kind."""
    return str(error) if isinstance(error, AltegioError) else type(error).__name__
