"""One budget of requests for everybody behind an IP address.

The API allows 200 requests a minute and 5 a second *for one IP address*. So a request takes a place in a log that
all threads and, by default, all processes of this host share for the same server (a small SQLite file), or all
hosts (Redis, by ``rate_limit_url``). A request is let go as soon as every window has room, and not before.

Three things make it hold where the server counts arrivals, not departures:

* a place carries the moment the request really went, not the one it was meant to go: it is taken as the last thing
  before the bytes are written, and moved (:meth:`Limiter.restamp`) when the write was late, as with a new
  connection;
* each window is held a little longer than the server's, for what the network adds or takes between two requests;
* a 429 (somebody else uses the address) stops everybody who shares the log; afterwards they go evenly spaced at the
  sustained pace, for what is left of the burst is unknown.

Why not a library: pyrate-limiter 4.5 was the candidate. Its waiting loop stamps a request with the time it *meant*
to go (its own sum of delays), so a late wake-up lets too many through later; its Redis bucket reads the clock
outside the script and does not count entries later than its own, so two workers can take the same place; its
SQLite bucket is safe for many processes or for many threads, not both; and none can be told to pause by a 429. All
are sound for politeness and none is enough for a limit that must not be broken.
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

#: Network jitter that the second's and the minute's window are widened by. Together they cost 2.6 s of the 100 s
#: that 400 requests need at the least; a stall longer than the first between two requests is what they cannot hide.
_SECOND_MARGIN = 0.06
_MINUTE_MARGIN = 0.25
#: A write later than this after its place was taken gets a new stamp.
_RESTAMP_AFTER_SECONDS = 0.01
#: How long after a 429 requests go evenly spaced: one whole minute's window.
_SPACED_SECONDS = 60.0
_MAX_PAUSE_SECONDS = 600.0
#: A higher limit is as good as none, and is taken for a mistake.
_MAX_LIMIT = 1_000_000


class Rate(NamedTuple):
    """At most ``limit`` requests in any ``seconds``."""

    limit: int
    seconds: float


class Slot(NamedTuple):
    """A request's place in the log: its key there, and when it was taken on this process's monotonic clock."""

    key: int | str
    taken_at: float


class SlotStore(Protocol):
    """Where the places are kept; each call is atomic among all who share it.

    :raises AltegioNotSentError: from any call: it cannot be used now.
    """

    def take(self, rates: Sequence[Rate], spaced: Rate) -> tuple[float, int | str]:
        """Take a place now, or say how long to wait.

        :param rates: the windows to keep.
        :param spaced: the window to keep in addition while the log is gentle after a pause.
        :returns: ``(0, key)`` for a place taken, or ``(seconds, "")``.
        """

    def restamp(self, key: int | str) -> None:
        """Move a place to now."""

    def pause(self, seconds: float, spaced_seconds: float) -> None:
        """Let nobody take a place for so long, and be gentle for so long after that. Never shortens a pause."""

    def close(self) -> None:
        """Let go of files and sockets."""


def rates_of_limits(requests_per_second: int | None, requests_per_minute: int | None) -> list[Rate]:
    """Return the windows to keep for the two limits; 0 or ``None`` is no limit.

    :raises AltegioValidationError: a limit is no whole number of 0 to 1,000,000.
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
    """Return how long a request must wait so that no window ever holds more than its limit.

    :param nth_latest: the time of the n-th latest place (1 is the latest), or ``None`` where there are fewer.
    :param now: the current time on the log's clock.
    :param not_before: when a pause ends.
    """
    free_at = not_before
    for rate in rates:
        blocking = nth_latest(rate.limit)
        if blocking is not None:
            free_at = max(free_at, blocking + rate.seconds)
    return max(0.0, free_at - now)


class Limiter:
    """Lets requests go, one after the other, as soon as the windows of a shared log allow.

    :param store: the log, shared by whoever shares the limit.
    :param rates: the windows to keep, from :func:`rates_of_limits`; none lets everything go at once, except in a pause.
    :param clock: monotonic seconds.
    :param sleep: how to wait.
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
        # One thread of a process waits at the log, the others behind it: fair, and cheap for the log.
        self._queue = threading.Lock()
        # A pause that could not be written to the log; this process keeps to it all the same.
        self._not_before = float("-inf")
        #: Seconds that requests have waited for their place, summed over threads.
        self.waited_seconds = 0.0

    def acquire(self) -> Slot:
        """Wait until a request may go, and take its place. Call it right before the bytes are written.

        :raises AltegioNotSentError: the log cannot be used, so no request may go.
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
        """Tell that the bytes are written: a place that was taken well before gets a new stamp.

        A log that cannot be used is told to the program's log and never raised: the request went.
        """
        if self._rates and self._clock() - slot.taken_at > _RESTAMP_AFTER_SECONDS:
            try:
                self._store.restamp(slot.key)
            except Exception as error:
                _log_failure("A request went later than its place in the shared rate limit says", error)

    def pause(self, seconds: float) -> None:
        """Stop everybody who shares the log for so long: the server answered 429.

        A log that cannot be used is told to the program's log and never raised; this process pauses all the same.

        :param seconds: what the server asked for, or the caller's guess.
        """
        seconds = min(max(seconds, 0.0), _MAX_PAUSE_SECONDS)
        log.warning("The server's limit is reached (429): all requests of this budget pause for %.1f s", seconds)
        try:
            self._store.pause(seconds, _SPACED_SECONDS)
        except Exception as error:
            self._not_before = max(self._not_before, self._clock() + seconds)
            _log_failure("The pause holds in this process only", error)

    def close(self) -> None:
        """Let go of the log's files and sockets. It raises nothing: all requests have been made."""
        try:
            self._store.close()
        except Exception as error:
            _log_failure("The shared rate limit could not be closed", error)


def _log_failure(what: str, error: Exception) -> None:
    reason = error.summary if isinstance(error, AltegioNotSentError) else type(error).__name__
    log.warning("%s: %s", what, reason)
