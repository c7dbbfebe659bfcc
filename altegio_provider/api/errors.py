"""What can go wrong, as classes: the class says what to do next.

::

    AltegioError
    ├── AltegioValidationError      400, 422, or an argument that cannot be right: mend it   (also a ValueError)
    ├── AltegioAuthError            401, 402, 403: the tokens, their rights or the licence
    ├── AltegioNotFoundError        404, 405: no such location, event, team member, service or route
    ├── AltegioConflictError        409: the team member or a resource is busy
    ├── AltegioRateLimitError       429: wait, then the same again                           (transient)
    ├── AltegioServerError          5xx                                                      (transient)
    ├── AltegioConnectionError      no answer: time-out, reset                               (transient)
    │   └── AltegioNotSentError     the request never left this machine: safe to repeat      (transient)
    ├── AltegioResponseError        an answer that is no valid answer: HTML, truncated       (transient)
    └── AltegioOutcomeUnknownError  a write whose answer was lost: *never* repeat it blindly
        ├── AltegioServerOutcomeUnknownError      (also an AltegioServerError)
        ├── AltegioConnectionOutcomeUnknownError  (also an AltegioConnectionError)
        └── AltegioResponseOutcomeUnknownError    (also an AltegioResponseError)

A retry, an Airflow retry policy or an import report looks at the class, never at a number or a text: the API's
messages are localised. No error holds a token, a phone, an e-mail or a name
(:mod:`~altegio_provider.api.http.redaction`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

__all__ = [
    "AltegioAuthError",
    "AltegioConflictError",
    "AltegioConnectionError",
    "AltegioConnectionOutcomeUnknownError",
    "AltegioError",
    "AltegioNotFoundError",
    "AltegioNotSentError",
    "AltegioOutcomeUnknownError",
    "AltegioRateLimitError",
    "AltegioResponseError",
    "AltegioResponseOutcomeUnknownError",
    "AltegioServerError",
    "AltegioServerOutcomeUnknownError",
    "AltegioValidationError",
]


class AltegioError(Exception):
    """Base of every error of this package.

    :param summary: what happened, in one sentence.
    :param method: the request's HTTP method, where a request was made.
    :param path: the request's path below the base URL, without the query.
    :param status: the answer's HTTP status, where there was an answer.
    :param message: what the API said, redacted.
    :param errors: for each field or argument, what is wrong with it, as far as that was said; redacted.
    :param body: the beginning of the answer's body, redacted and capped.
    :param hint: what to do about it; each class has a default.
    """

    #: What to do, unless the one who raises it knows better.
    default_hint: ClassVar[str] = ""
    #: Whether the same request may succeed later.
    transient: bool = False

    def __init__(
        self,
        summary: str,
        *,
        method: str | None = None,
        path: str | None = None,
        status: int | None = None,
        message: str | None = None,
        errors: Mapping[str, Sequence[str]] | None = None,
        body: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        self.method = method
        self.path = path
        self.status = status
        self.message = message
        self.errors: dict[str, list[str]] = {field: list(texts) for field, texts in (errors or {}).items()}
        self.body = body
        self.hint = self.default_hint if hint is None else hint
        #: How many times the request was tried, where it was retried.
        self.attempts = 1

    def __str__(self) -> str:
        request = f"{self.method} {self.path}: " if self.method else ""
        said = f" The API said: {self.message!r}." if self.message else ""
        tried = f" Tried {self.attempts} times." if self.attempts > 1 else ""
        hint = f" {self.hint}" if self.hint else ""
        return f"{request}{self.summary}{said}{self._details()}{tried}{hint}"

    def _details(self) -> str:
        # A summary that names the field and its problem is not repeated.
        return "".join(
            f" {field}: {problems}."
            for field, problems in ((field, "; ".join(texts)) for field, texts in self.errors.items())
            if f"{field} {problems}" not in self.summary
        )


class AltegioValidationError(AltegioError, ValueError):
    """The request cannot be right: the API refused it (400, 422), or it was stopped before it was sent."""

    default_hint = "Mend the named fields; sending the same again cannot help."


class AltegioAuthError(AltegioError):
    """401: a token is missing or wrong; 403: no right in that location; 402: the location's licence has run out."""


class AltegioNotFoundError(AltegioError):
    """404: the location, event, team member or service does not exist; 405: the server has no such route."""

    default_hint = "Check the ids, that the tokens belong to this location, and the connection's `route_family`."


class AltegioConflictError(AltegioError):
    """409: the team member or a resource is busy at that time."""

    default_hint = "Choose another time, team member or resource, or send `force` to skip the availability check."


class AltegioRateLimitError(AltegioError):
    """429: more requests than the limit of 200 a minute and 5 a second for one IP address.

    :param retry_after: seconds that the server asks to wait, or ``None`` where it did not say.
    """

    default_hint = (
        "The limit is for one IP address, all programs behind it together: let them share one budget "
        "(`rate_limit_url` in the connection), or lower `requests_per_minute`."
    )
    transient = True

    def __init__(self, summary: str, *, retry_after: float | None = None, **details: Any) -> None:
        super().__init__(summary, **details)
        self.retry_after = retry_after

    def _details(self) -> str:
        asked = "" if self.retry_after is None else f" It asks to wait {self.retry_after:.0f} s."
        return super()._details() + asked


class AltegioServerError(AltegioError):
    """5xx: the server failed."""

    default_hint = "The fault is on the server's side; try again later."
    transient = True


class AltegioConnectionError(AltegioError):
    """No answer: a time-out, a reset, or no connection at all."""

    default_hint = "Check the network and the `host` of the connection."
    transient = True


class AltegioNotSentError(AltegioConnectionError):
    """The request failed before its first byte was written, so it did nothing: repeating it is safe.

    There was no connection, no certificate that can be trusted, no proxy, or no place in the shared rate limit.
    """


class AltegioResponseError(AltegioError):
    """An answer that is no valid answer: HTML, a truncated or empty body, or ``"success": false`` with a 2xx."""

    default_hint = "Something between here and the API may have answered in its place; try again later."
    transient = True


class AltegioOutcomeUnknownError(AltegioError):
    """A write whose answer was lost: it may have taken effect or not.

    The API has no idempotency key, so whoever repeats the request may do the thing twice. Look first.
    """

    transient = False
    default_hint = (
        "It may have taken effect: look before you send it again, for the API does not recognise a repetition."
    )


class AltegioServerOutcomeUnknownError(AltegioOutcomeUnknownError, AltegioServerError):
    """A 5xx to a write."""


class AltegioConnectionOutcomeUnknownError(AltegioOutcomeUnknownError, AltegioConnectionError):
    """A write that was sent, and the connection broke or timed out before its answer."""


class AltegioResponseOutcomeUnknownError(AltegioOutcomeUnknownError, AltegioResponseError):
    """A write whose answer could not be read."""
