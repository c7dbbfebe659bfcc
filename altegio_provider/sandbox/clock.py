"""The time of a sandbox: the machine's, moved forward as a test wants it, so that nobody has to sleep."""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from datetime import UTC, datetime

__all__ = ["Clock"]


class Clock:
    """Tells the time, and does at their time what was put off."""

    def __init__(self) -> None:
        self._ahead = 0.0
        self._waiting: list[tuple[float, int, Callable[[], object]]] = []
        self._put_off = 0

    def now(self) -> datetime:
        """The date and time, in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def time(self) -> float:
        """Unix seconds."""
        return time.time() + self._ahead

    def monotonic(self) -> float:
        """Seconds that only grow."""
        return time.monotonic() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass at once.

        :raises ValueError: time does not run backwards.
        """
        if seconds < 0:
            raise ValueError("time does not run backwards")
        self._ahead += seconds

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        """Do something when so many seconds have passed."""
        self._put_off += 1
        heapq.heappush(self._waiting, (self.monotonic() + seconds, self._put_off, action))

    def settle(self) -> None:
        """Do what is due. Whoever looks at the data comes by here first, so that no timer is needed."""
        while self._waiting and self._waiting[0][0] <= self.monotonic():
            heapq.heappop(self._waiting)[2]()

    @property
    def pending(self) -> int:
        """How much is still put off."""
        return len(self._waiting)
