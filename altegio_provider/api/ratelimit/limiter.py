"""The rate limiter: one budget of requests for all that use one server from one IP address.

The API allows 200 requests a minute and 5 a second *for one IP address*. So each request takes a slot in a store that
all threads and, by default, all processes of this host share for the same server (a small SQLite file), or all hosts
(Redis, with ``rate_limit_url``). A request is sent as soon as every window has a free slot.

The server counts arrivals, not departures. Three measures keep the limit nevertheless:

* A slot has the time at which the request was really sent. It is taken right before the first byte, and gets a new
  time (:meth:`Limiter.mark_sent`) when the bytes went later, as on a new connection.
* Each window is a little longer than the server's, because the network delays some requests more than others.
* A 429 (another program uses the IP address) stops all that share the store. Afterwards requests are evenly spaced,
  because nobody knows how much of the burst is left.

Why not a library: pyrate-limiter 4.5 was considered. It stamps a request with the *planned* time (a sum of its own
delays), so a late wake-up allows too many requests later. Its Redis bucket reads the clock outside the script and does
not count later entries, so two workers can take the same slot. Its SQLite bucket is safe for many processes or for
many threads, not for both. None of its buckets can be paused by a 429.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol

from altegio_provider.api.arguments import checked_integer
from altegio_provider.api.errors import AltegioNotSentError

__all__ = ["Limiter", "Rate", "Slot", "SlotStore", "rates_of_limits", "seconds_to_wait"]

log = logging.getLogger(__name__)

#: Seconds that the window of a second and that of a minute are longer than the server's, for network jitter. They cost
#: 2.6 s of the 100 s that 400 requests need at least. A delay between two requests that is longer can cause a 429.
_SECOND_MARGIN = 0.06
_MINUTE_MARGIN = 0.25
#: A request that was sent later than this after its slot was taken gets a new time.
_RESTAMP_AFTER_SECONDS = 0.01
#: How long after a pause requests are evenly spaced.
_SPACED_SECONDS = 60.0
_MAX_PAUSE_SECONDS = 600.0
#: A higher limit is surely a mistake.
_MAX_LIMIT = 1_000_000


class Rate(NamedTuple):
    """A window: at most ``limit`` requests in any ``seconds``."""

    limit: int
    seconds: float


class Slot(NamedTuple):
    """A request's slot: its key in the store, and when it was taken on this process's monotonic clock."""

    key: int | str
    taken_at: float


class SlotStore(Protocol):
    """Keeps the slots. Each call is atomic among all that share the store.

    Every method raises an AltegioNotSentError if the store cannot be used.
    """

    def take(self, rates: Sequence[Rate], spaced: Rate) -> tuple[float, int | str]:
        """Take a slot now, or return how long to wait.

        :param rates: the windows.
        :param spaced: one more window, for the time after a pause.
        :returns: ``(0, key)`` if a slot was taken, else ``(seconds, "")``.
        """

    def restamp(self, key: int | str) -> None:
        """Give a slot the current time.

        :param key: its key.
        """

    def pause(self, seconds: float, spaced_seconds: float) -> None:
        """Give no slots for a while. It never shortens a pause.

        :param seconds: how long.
        :param spaced_seconds: how long after that requests are evenly spaced.
        """

    def close(self) -> None:
        """Close files and sockets."""


def rates_of_limits(requests_per_second: int | None, requests_per_minute: int | None) -> list[Rate]:
    """Return the windows for the two limits.

    :param requests_per_second: the first limit; 0 or ``None`` for none.
    :param requests_per_minute: the second limit; 0 or ``None`` for none.
    :raises AltegioValidationError: a limit is not a whole number of 0 to 1,000,000.
    """
    windows = []
    for argument, limit, seconds, margin in (
        ("requests_per_second", requests_per_second, 1.0, _SECOND_MARGIN),
        ("requests_per_minute", requests_per_minute, 60.0, _MINUTE_MARGIN),
    ):
        if limit is not None and (number := checked_integer(argument, limit, most=_MAX_LIMIT)):
            windows.append(Rate(number, seconds + margin))
    return windows


def seconds_to_wait(
    nth_latest: Callable[[int], float | None], now: float, rates: Sequence[Rate], not_before: float
) -> float:
    """Return how long a request must wait, so that no window ever has more requests than its limit.

    :param nth_latest: returns the time of the n-th latest slot (1 is the latest), or ``None`` if there are fewer.
    :param now: the current time on the store's clock.
    :param rates: the windows.
    :param not_before: when a pause ends.
    """
    free_at = not_before
    for rate in rates:
        blocking = nth_latest(rate.limit)
        if blocking is not None:
            free_at = max(free_at, blocking + rate.seconds)
    return max(0.0, free_at - now)


class Limiter:
    """Makes requests wait for the rate limit. Each client has one; they share the limit by its store.

    :param store: keeps the slots of all that share the limit.
    :param rates: the windows, from :func:`rates_of_limits`; without any, requests wait in a pause only.
    :param clock: returns monotonic seconds.
    :param sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        store: SlotStore,
        rates: Sequence[Rate],
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store = store
        self._rates = list(rates)
        sustained = max((rate.seconds / rate.limit for rate in rates), default=0.0)
        self._spaced = Rate(1, sustained)
        self._clock = clock
        self._sleep = sleep
        # One thread of a process waits for the store, and the others wait for that thread, in order.
        self._queue = threading.Lock()
        # When a pause ends that could not be written to the store, so that it holds in this process only.
        self._not_before = float("-inf")
        #: Seconds that requests have waited for their slots, summed over threads.
        self.waited_seconds = 0.0

    def acquire(self) -> Slot:
        """Wait until a request may be sent, and take its slot. Call it right before the first byte is sent.

        :raises AltegioNotSentError: the store cannot be used, so no request may be sent.
        """
        asked_at = self._clock()
        with self._queue:
            if (left := self._not_before - asked_at) > 0:
                self._sleep(left)
            while True:
                wait, key = self._take()
                if wait <= 0:
                    now = self._clock()
                    self.waited_seconds += now - asked_at
                    return Slot(key, now)
                self._sleep(wait)

    def _take(self) -> tuple[float, int | str]:
        try:
            return self._store.take(self._rates, self._spaced)
        except AltegioNotSentError:
            raise
        except Exception as error:
            raise AltegioNotSentError(
                f"the shared rate limit cannot be used ({type(error).__name__}).", hint="Nothing was sent."
            ) from None

    def mark_sent(self, slot: Slot) -> None:
        """Note that a request has been sent; a slot that was taken earlier gets the current time.

        A store that cannot be used is logged as a warning and raises nothing, because the request was sent.

        :param slot: the request's slot.
        """
        if self._rates and self._clock() - slot.taken_at > _RESTAMP_AFTER_SECONDS:
            try:
                self._store.restamp(slot.key)
            except Exception as error:
                _log_failure("A request was sent later than its slot in the shared rate limit says", error)

    def pause(self, seconds: float) -> None:
        """Stop all that share the limit, because the server answered 429.

        A store that cannot be used is logged as a warning and raises nothing; this process pauses nevertheless.

        :param seconds: how long.
        """
        seconds = min(max(seconds, 0.0), _MAX_PAUSE_SECONDS)
        log.warning("The server's rate limit is reached (429): all requests of this budget pause for %.1f s", seconds)
        try:
            self._store.pause(seconds, _SPACED_SECONDS)
        except Exception as error:
            self._not_before = max(self._not_before, self._clock() + seconds)
            _log_failure("The pause holds in this process only", error)

    def close(self) -> None:
        """Close the store. It raises nothing, because all requests have been sent."""
        try:
            self._store.close()
        except Exception as error:
            _log_failure("The shared rate limit could not be closed", error)


def _log_failure(what: str, error: Exception) -> None:
    reason = error.summary if isinstance(error, AltegioNotSentError) else type(error).__name__
    log.warning("%s: %s", what, reason)
