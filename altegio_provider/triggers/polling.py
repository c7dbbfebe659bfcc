"""Polls without blocking the event loop. Used by all triggers; does not import Airflow.

The client blocks, so each check runs in a thread. A process runs one check at a time for each connection: with many
waiting triggers there is one busy thread for each connection, and tasks get their share of the rate limit.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar
from weakref import WeakKeyDictionary

from altegio_provider.api.errors import AltegioError

__all__ = ["PollingFailed", "in_thread", "poll"]

log = logging.getLogger(__name__)

T = TypeVar("T")
Sleep = Callable[[float], Awaitable[None]]

_JITTER = 0.1
_locks: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[str, asyncio.Lock]] = WeakKeyDictionary()


async def in_thread(key: str, look: Callable[[], T]) -> T:
    """Call a blocking function in a thread. Calls with the same key run one after the other."""
    lock = _locks.setdefault(asyncio.get_running_loop(), {}).setdefault(key, asyncio.Lock())
    async with lock:
        return await asyncio.to_thread(look)


class PollingFailed:
    """Polling ended because of errors.

    :param error: the error of the last check.
    :param failures: number of consecutive failed checks.
    """

    def __init__(self, error: Exception, failures: int) -> None:
        self.error = error
        self.failures = failures


async def poll(
    check: Callable[[], Awaitable[T]],
    *,
    interval: float,
    max_failures: int,
    is_retryable: Callable[[Exception], bool],
    seconds_to_next: Callable[[T], float] = lambda _: float("inf"),
    sleep: Sleep = asyncio.sleep,
    uniform: Callable[[float, float], float] = random.uniform,
) -> AsyncIterator[T | PollingFailed]:
    """Yield the result of each check, and :class:`PollingFailed` as the last item if polling fails.

    :param check: the check to repeat.
    :param interval: seconds between two checks. Each pause is up to 10 % shorter or longer, so that triggers that
        started together do not send their requests together.
    :param max_failures: number of consecutive failed checks after which polling ends.
    :param is_retryable: whether a check after this error can succeed.
    :param seconds_to_next: seconds until the next check, if that is sooner than ``interval``.
    :param sleep: the sleep function.
    :param uniform: returns a random number between two bounds.
    """
    failures = 0
    while True:
        pause = interval * uniform(1 - _JITTER, 1 + _JITTER)
        try:
            result = await check()
        except Exception as error:
            failures += 1
            if failures >= max_failures or not is_retryable(error):
                yield PollingFailed(error, failures)
                return
            log.warning("Check failed (%d in a row; polling ends at %d): %s", failures, max_failures, _safe_text(error))
        else:
            failures = 0
            yield result
            pause = min(pause, seconds_to_next(result))
        await sleep(pause)


def _safe_text(error: Exception) -> str:
    """Return the text of an ``AltegioError``, which has no secrets, and only the class name of other errors."""
    return str(error) if isinstance(error, AltegioError) else type(error).__name__
