"""Decides when a request is sent again, and after how long.

The decision is one pure function, :func:`is_retryable`. The loop, the backoff with jitter and the bounds are those of
tenacity, which Airflow itself depends on.
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
    """Return whether a request may be sent again without a person's decision.

    A GET may be repeated after any transient error. A write may be repeated only if it surely had no effect: the
    response was 429, or it was not sent. Any other transient error of a write is an
    :class:`~altegio_provider.api.errors.AltegioOutcomeUnknownError`.

    :param error: the error that the request ended in.
    """
    if isinstance(error, AltegioOutcomeUnknownError):
        return False
    if isinstance(error, AltegioRateLimitError | AltegioNotSentError):
        return error.transient
    return isinstance(error, AltegioError) and error.transient and error.method == "GET"


def default_sleep(seconds: float) -> None:
    """Wait. This is the default sleep function.

    :param seconds: how long.
    """
    time.sleep(seconds)


@dataclass(frozen=True)
class RetryPolicy:
    """The bounds of retries. Give one to the client to change them.

    :param total_seconds: no attempt begins later than this after the first one.
    :param attempts: how often a request is sent at most.
    :param first_wait: seconds before the second attempt; doubled for each further one, plus a random part.
    :param max_wait: the longest wait between two attempts in seconds, unless the server asks for more.
    :param max_retry_after: the longest wait in seconds that a server can ask for with ``Retry-After``.
    :param sleep: waits for a number of seconds; tests give a function that does not wait.
    """

    total_seconds: float = 300.0
    attempts: int = 8
    first_wait: float = 0.5
    max_wait: float = 30.0
    max_retry_after: float = 120.0
    sleep: Callable[[float], None] = default_sleep

    def call(self, request: Callable[[], T], on_wait: Callable[[AltegioError, float], None]) -> T:
        """Call a function until it succeeds, its error may not be retried, or the bounds are reached.

        :param request: sends the request.
        :param on_wait: called before each retry with the error, and the seconds until the retry.
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
        """Return the seconds that the server asks to wait, within the bounds; ``None`` if it does not ask.

        :param error: the error of a response with status 429.
        """
        return None if error.retry_after is None else min(error.retry_after, self.max_retry_after)


def _error_of(state: tenacity.RetryCallState) -> BaseException | None:
    return state.outcome.exception() if state.outcome else None
