"""When a request is tried again, and after how long.

The decision is ours and is one pure function; the loop, the backoff with jitter and the bounds are tenacity's
(a dependency of Airflow itself, Apache-2.0, kept for ten years).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import tenacity

from altegio_provider.api.errors import (
    AltegioError,
    AltegioNotSentError,
    AltegioOutcomeUnknownError,
    AltegioRateLimitError,
)

__all__ = ["RetryPolicy", "default_sleep", "is_retryable"]

T = TypeVar("T")


def is_retryable(error: BaseException) -> bool:
    """Whether the request that ended in this error may be sent again without a person's decision.

    A GET may whenever the fault is transient. A write may only when it surely did nothing: it was answered 429,
    or it never left this machine. (A write that failed in any other transient way arrives here as an
    :class:`~altegio_provider.api.errors.AltegioOutcomeUnknownError`.)
    """
    if isinstance(error, AltegioOutcomeUnknownError):
        return False
    if isinstance(error, AltegioRateLimitError | AltegioNotSentError):
        return error.transient
    return isinstance(error, AltegioError) and error.transient and error.method == "GET"


def default_sleep(seconds: float) -> None:
    """Wait: where nobody gives another way to."""
    time.sleep(seconds)


@dataclass(frozen=True)
class RetryPolicy:
    """Bounds of trying again.

    :param total_seconds: no attempt begins later than this after the first one.
    :param attempts: how often a request is sent at the most.
    :param first_wait: seconds before the second attempt; doubled for each further one, plus a random part.
    :param max_wait: seconds between two attempts at the most, unless the server asks for more.
    :param max_retry_after: seconds that a server is obeyed at the most when it asks to wait (``Retry-After``); its own
        limits are a second's and a minute's.
    :param sleep: how to wait; a function that does not is the switch that turns waiting off in tests.
    """

    total_seconds: float = 300.0
    attempts: int = 8
    first_wait: float = 0.5
    max_wait: float = 30.0
    max_retry_after: float = 120.0
    sleep: Callable[[float], None] = default_sleep

    def call(self, request: Callable[[], T], on_wait: Callable[[AltegioError, float], None]) -> T:
        """Call ``request`` until it succeeds, may not be repeated, or the bounds are reached.

        :param on_wait: told of each error that is tried again, with the seconds until then.
        :raises AltegioError: the last error, with ``attempts`` set.
        """
        jitter = tenacity.wait_random(0, self.first_wait)
        backoff = tenacity.wait_exponential(multiplier=self.first_wait, max=self.max_wait) + jitter

        def wait_seconds(state: tenacity.RetryCallState) -> float:
            error = _error_of(state)
            asked = self.requested_wait(error) if isinstance(error, AltegioRateLimitError) else None
            return backoff(state) if asked is None else asked + jitter(state)

        def before_sleep(state: tenacity.RetryCallState) -> None:
            error = _error_of(state)
            if isinstance(error, AltegioError):
                on_wait(error, state.upcoming_sleep)

        attempts = tenacity.Retrying(
            retry=tenacity.retry_if_exception(is_retryable),
            stop=tenacity.stop_after_attempt(self.attempts) | tenacity.stop_before_delay(self.total_seconds),
            wait=wait_seconds,
            sleep=self.sleep,
            before_sleep=before_sleep,
            reraise=True,
        )
        try:
            return attempts(request)
        except AltegioError as error:
            error.attempts = attempts.statistics.get("attempt_number", 1)
            raise

    def requested_wait(self, error: AltegioRateLimitError) -> float | None:
        """Return how long to wait because the server asked for it, or ``None`` where it did not."""
        return None if error.retry_after is None else min(error.retry_after, self.max_retry_after)


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
