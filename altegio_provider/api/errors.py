"""The errors of this package. Catch a class to decide what to do next.

::

    AltegioError
    ├── AltegioValidationError      400, 422, or an invalid argument: correct it             (also a ValueError)
    │   └── AltegioPastNotListedError  the server does not list events that started before now
    ├── AltegioAuthError            401, 402, 403: the tokens, their rights or the licence
    ├── AltegioNotFoundError        404, 405: the location, event, team member, service or route does not exist
    ├── AltegioConflictError        409: the team member or a resource is busy
    ├── AltegioRateLimitError       429: too many requests; wait, then retry                 (transient)
    ├── AltegioServerError          5xx                                                      (transient)
    ├── AltegioConnectionError      no response: time-out, reset                             (transient)
    │   └── AltegioNotSentError     the request was not sent: a retry is safe                (transient)
    ├── AltegioResponseError        an invalid response: HTML, truncated                     (transient)
    └── AltegioOutcomeUnknownError  a write whose response was lost: check before you retry
        ├── AltegioServerOutcomeUnknownError      (also an AltegioServerError)
        ├── AltegioConnectionOutcomeUnknownError  (also an AltegioConnectionError)
        └── AltegioResponseOutcomeUnknownError    (also an AltegioResponseError)

Retries, Airflow retry policies and import reports decide by the class, never by a status or a text, because the API's
messages are localised. No error holds a token, a phone number, an e-mail address or a name
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
    "AltegioPastNotListedError",
    "AltegioRateLimitError",
    "AltegioResponseError",
    "AltegioResponseOutcomeUnknownError",
    "AltegioServerError",
    "AltegioServerOutcomeUnknownError",
    "AltegioValidationError",
]


class AltegioError(Exception):
    """Base class of all errors of this package.

    :param summary: what happened, in one sentence.
    :param method: the HTTP method of the request, if one was made.
    :param path: the path of the request below the base URL, without the query.
    :param status: the HTTP status of the response, if there was one.
    :param message: the API's message, redacted.
    :param errors: what is wrong with each field or argument, redacted.
    :param body: the beginning of the response's body, redacted.
    :param hint: what to do; each class has a default.
    """

    #: What to do, unless ``hint`` is given.
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
        #: How many times the request was sent.
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
    """A field or argument is invalid: the API refused the request (400, 422), or it was not sent."""

    default_hint = "Correct the named fields; a retry with the same values fails again."


class AltegioPastNotListedError(AltegioValidationError):
    """The server lists no events that began before now: it is older than autumn 2026, and asked by ``locations``."""

    default_hint = (
        "Use a future range such as now to now + 30 days, history='auto' in a task that extracts the past, "
        "or route_family='companies'."
    )


class AltegioAuthError(AltegioError):
    """401: a token is missing or wrong; 403: no access to the location; 402: the location's licence has expired."""


class AltegioNotFoundError(AltegioError):
    """404: the location, event, team member or service does not exist; 405: the server has no such route."""

    default_hint = "Check the ids, whether the tokens belong to this location, and the connection's `route_family`."


class AltegioConflictError(AltegioError):
    """409: the team member or a resource is busy at that time."""

    default_hint = "Choose another time, team member or resource, or send `force` to skip the availability check."


class AltegioRateLimitError(AltegioError):
    """429: more than 200 requests a minute or 5 a second from one IP address.

    :param summary: what happened, in one sentence.
    :param retry_after: seconds to wait, as the server asks; ``None`` if it does not say.
    :param details: the other arguments of :class:`AltegioError`.
    """

    default_hint = (
        "The limit counts the requests of all programs behind one IP address: let them share one budget "
        "(`rate_limit_url` in the connection), or lower `requests_per_minute`."
    )
    transient = True

    def __init__(self, summary: str, *, retry_after: float | None = None, **details: Any) -> None:
        super().__init__(summary, **details)
        self.retry_after = retry_after

    def _details(self) -> str:
        asked = "" if self.retry_after is None else f" The server asks to wait {self.retry_after:.0f} s."
        return super()._details() + asked


class AltegioServerError(AltegioError):
    """5xx: the server failed."""

    default_hint = "The problem is on the server; try again later."
    transient = True


class AltegioConnectionError(AltegioError):
    """No response: a time-out, a reset, or no connection."""

    default_hint = "Check the network and the `host` of the connection."
    transient = True


class AltegioNotSentError(AltegioConnectionError):
    """The request failed before its first byte was sent, so it had no effect and a retry is safe.

    There was no connection, no trusted certificate, no proxy, or no slot in the shared rate limit.
    """


class AltegioResponseError(AltegioError):
    """An invalid response: HTML, a truncated or empty body, or ``"success": false`` with a 2xx status."""

    default_hint = "A proxy may have answered instead of the API; try again later."
    transient = True


class AltegioOutcomeUnknownError(AltegioError):
    """The response to a write was lost: the write may have taken effect or not.

    The API has no idempotency key, so a repeated request can create a second event or appointment. Read first whether
    the write took effect.
    """

    transient = False
    default_hint = "It may have taken effect: look before you send it again, because the API has no idempotency key."


class AltegioServerOutcomeUnknownError(AltegioOutcomeUnknownError, AltegioServerError):
    """A 5xx response to a write."""


class AltegioConnectionOutcomeUnknownError(AltegioOutcomeUnknownError, AltegioConnectionError):
    """The connection failed, or timed out, after a write was sent and before its response came."""


class AltegioResponseOutcomeUnknownError(AltegioOutcomeUnknownError, AltegioResponseError):
    """The response to a write was invalid."""
