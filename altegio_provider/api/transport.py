"""The only door to the network: one session, two headers, one request at a time through the limiter."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import orjson
import requests
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from altegio_provider.api.answers import bad_answer, no_answer, read_answer
from altegio_provider.api.errors import (
    AltegioError,
    AltegioNotSentError,
    AltegioRateLimitError,
)
from altegio_provider.api.pacing import PacedAdapter
from altegio_provider.api.rate_limit import Limiter
from altegio_provider.api.redaction import personal_texts
from altegio_provider.api.retry import RetryPolicy
from altegio_provider.api.settings import checked_timeout, checked_token, checked_url, checked_verify, origin_of

__all__ = ["Query", "Transport", "TransportStats"]

log = logging.getLogger(__name__)

Query = Sequence[tuple[str, str]]

_ACCEPT = "application/vnd.api.v2+json"
_CONNECT_SECONDS = 10.0
_REDIRECTS = 5


@dataclass
class TransportStats:
    """What a client has done so far; read it at any time."""

    requests: int = 0
    retries: int = 0
    rate_limited: int = 0
    bytes_received: int = 0


class _Tokens(requests.auth.AuthBase):
    """Both tokens in the one header that the API reads.

    As ``auth`` and not as a session header, so that a ``.netrc`` file cannot replace it.
    """

    def __init__(self, partner_token: str, user_token: str) -> None:
        self._header = f"Bearer {partner_token}, User {user_token}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header
        return request


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Leave redirects alone: even unfollowed ones are parsed, and what is no URL would end in a ValueError."""


class Transport:
    """Sends requests and returns documents; retries what may be repeated.

    :param base_url: scheme, host and the path up to and with ``/api/v2``.
    :param partner_token: the partner's token.
    :param user_token: the user's token.
    :param limiter: lets each request go.
    :param retry: the bounds of trying again.
    :param timeout: seconds to wait for a connection (ten at the most) and for each part of an answer.
    :param verify: check the server's certificate: ``True``, or the path of a CA bundle.
    :raises AltegioValidationError: the base URL is none, a token is missing or cannot be sent, or ``verify`` names no
        bundle.
    """

    def __init__(
        self,
        base_url: str,
        partner_token: str,
        user_token: str,
        *,
        limiter: Limiter,
        retry: RetryPolicy,
        timeout: float,
        verify: bool | str,
    ) -> None:
        self._base_url = checked_url(base_url)
        self._secrets = (
            checked_token("partner_token", partner_token),
            checked_token("user_token", user_token),
        )
        self._timeout = (min(checked_timeout(timeout), _CONNECT_SECONDS), timeout)
        self._limiter = limiter
        self._retry = retry
        self._lock = threading.Lock()
        self.stats = TransportStats()
        self._session = _Session()
        # Looked up once: it takes as long as all the rest of a request where the environment is large.
        self._environment = self._session.merge_environment_settings(
            self._base_url, {}, None, checked_verify(verify), None
        )
        self._session.headers["Accept"] = _ACCEPT
        self._session.auth = _Tokens(*self._secrets)
        adapter = PacedAdapter(limiter)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    def request(self, method: str, path: str, *, query: Query = (), body: Mapping[str, Any] | None = None) -> Any:
        """Send one request, try it again where that is safe, and return the answer's JSON document.

        :param path: below the base URL, beginning with ``/``.
        :raises AltegioError: the leaf says what to do.
        """

        def on_wait(error: AltegioError, seconds: float) -> None:
            with self._lock:
                self.stats.retries += 1
                self.stats.rate_limited += isinstance(error, AltegioRateLimitError)
            if isinstance(error, AltegioRateLimitError):
                self._limiter.pause(seconds)
            else:
                log.warning("%s Trying again in %.1f s.", error.summary, seconds)

        try:
            return self._retry.call(lambda: self._send(method, path, query, body), on_wait)
        except AltegioRateLimitError as error:
            # This request gives up; the others who share the limit must wait all the same.
            self._limiter.pause(self._retry.asked_seconds(error) or self._retry.longest_wait)
            raise

    def close(self) -> None:
        """Close the connections and the limiter."""
        self._session.close()
        self._limiter.close()

    def _send(self, method: str, path: str, query: Query, body: Mapping[str, Any] | None) -> Any:
        url = self._base_url + path
        data = None if body is None else orjson.dumps(body)
        headers = None if body is None else {"Content-Type": "application/json"}
        secrets = self._secrets + personal_texts(body)
        for _ in range(_REDIRECTS):
            with self._lock:
                self.stats.requests += 1
            try:
                request = requests.Request(method, url, headers, params=list(query), data=data)
                answer = self._session.send(
                    self._session.prepare_request(request),
                    timeout=self._timeout,
                    allow_redirects=False,
                    **self._environment,
                )
            except requests.exceptions.RequestException as error:
                raise _failure(method, path, error) from error
            with self._lock:
                self.stats.bytes_received += len(answer.content)
            if not answer.is_redirect:
                return read_answer(method, path, answer.status_code, answer.headers, answer.content, secrets)
            url, query = self._redirected(method, path, answer), ()
        raise _astray(method, path, answer.status_code, f"more than {_REDIRECTS} redirects")

    def _redirected(self, method: str, path: str, answer: requests.Response) -> str:
        """Return where a GET may follow to: on this server, for no other may see the tokens."""
        try:
            target = urljoin(answer.url, answer.headers["Location"])
            origin = origin_of(target)
        except ValueError:
            target, origin = "", "an address that is none"
        if origin != origin_of(self._base_url):
            reason = f"it redirects to another server, {origin}, which must not see the tokens"
            raise _astray(method, path, answer.status_code, reason)
        if method != "GET":
            raise _astray(method, path, answer.status_code, "it redirects, and a write is not sent twice")
        return target


def _astray(method: str, path: str, status: int, reason: str) -> AltegioError:
    """Return the error for a redirect that is not followed; the next one would be the same."""
    error = bad_answer(method, path, status, reason)
    error.hint = f"{error.hint if method != 'GET' else ''} Check the `host` of the connection.".strip()
    error.transient = False
    return error


def _failure(method: str, path: str, error: requests.exceptions.RequestException) -> AltegioError:
    """Return the leaf for a request that ended in an exception: was it sent, and did an answer begin?"""
    if isinstance(error, requests.exceptions.SSLError) and "CERTIFICATE_VERIFY_FAILED" in str(error):
        failed = AltegioNotSentError("the server's certificate is not trusted.", method=method, path=path)
        failed.hint = "Check the `host` and `verify` (the path of a CA bundle) of the connection."
        failed.transient = False
        return failed
    if isinstance(error, requests.exceptions.ConnectTimeout) or _was_not_sent(error):
        return AltegioNotSentError("no connection to the server could be made.", method=method, path=path)
    if isinstance(error, requests.exceptions.ReadTimeout):
        return no_answer(method, path, "it did not come in time")
    if isinstance(
        error, requests.exceptions.ChunkedEncodingError | requests.exceptions.ContentDecodingError
    ) or "Read timed out" in str(error):
        return bad_answer(method, path, None, "its body is cut off")
    return no_answer(method, path, f"the connection broke ({type(error).__name__})")


def _was_not_sent(error: BaseException) -> bool:
    """Whether the connection itself failed, somewhere down the chain of what caused this error."""
    seen: BaseException | None = error
    while seen is not None:
        reason = (
            getattr(seen, "reason", None)
            or getattr(seen, "original_error", None)
            or (seen.args[0] if seen.args else None)
        )
        if isinstance(reason, NewConnectionError | NameResolutionError | ConnectTimeoutError):
            return True
        seen = reason if isinstance(reason, BaseException) else None
    return False
