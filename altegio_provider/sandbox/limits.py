"""The API's limits for one IP address: two sliding windows, counted when a request arrives."""

from __future__ import annotations

import time
from collections import defaultdict, deque
from collections.abc import Callable

__all__ = ["SlidingWindows", "busiest"]


class SlidingWindows:
    """Counts the requests of each address.

    :param per_second: the most in any second, or 0 for no limit.
    :param per_minute: the most in any minute, or 0.
    :param clock: monotonic seconds.
    """

    def __init__(self, per_second: int = 5, per_minute: int = 200, clock: Callable[[], float] = time.monotonic) -> None:
        self.windows = [(limit, seconds) for limit, seconds in ((per_second, 1.0), (per_minute, 60.0)) if limit]
        self._clock = clock
        self._arrivals: defaultdict[str, deque[float]] = defaultdict(deque)

    def wait(self, address: str) -> float:
        """Count a request; 0 where it is within the limits, else the seconds until one would be."""
        if not self.windows:
            return 0.0
        now = self._clock()
        arrivals = self._arrivals[address]
        while arrivals and arrivals[0] <= now - 60.0:
            arrivals.popleft()
        wait = 0.0
        for limit, seconds in self.windows:
            if len(arrivals) >= limit and arrivals[-limit] > now - seconds:
                wait = max(wait, arrivals[-limit] + seconds - now)
        if wait == 0.0:
            arrivals.append(now)
        return wait


def busiest(arrivals: list[float], seconds: float) -> int:
    """The most arrivals in any window of so many seconds, half-open as the limit's own."""
    most = first = 0
    for last, at in enumerate(arrivals):
        while arrivals[first] <= at - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
