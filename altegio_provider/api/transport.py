"""The only door to the network: one session, two headers, one request at a time through the limiter."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin, urlsplit

import orjson
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import ConnectTimeoutError, NameResolutionError, NewConnectionError

from altegio_provider.api.answers import bad_answer, no_answer, read_answer
from altegio_provider.api.errors import (
    AltegioError,
    AltegioNotSentError,
    AltegioRateLimitError,
    AltegioValidationError,
)
from altegio_provider.api.rate_limit import Limiter
from altegio_provider.api.retry import RetryPolicy

__all__ = ["Query", "Transport", "TransportStats"]

log = logging.getLogger(__name__)

Query = Sequence[tuple[str, str]]

_ACCEPT = "application/vnd.api.v2+json"
_CONNECT_SECONDS = 10.0
_REDIRECTS = 5
_POOL_SIZE = 64


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


def _paced(kind: type[HTTPConnection], limiter: Limiter) -> type[HTTPConnection]:
    """Return a connection class that takes its place in the limit as the last thing before it writes."""

    class PacedConnection(kind):  # type: ignore[misc, valid-type]
        def request(self, *args: Any, **kwargs: Any) -> None:
            place = limiter.acquire()
            # The server may have closed an idle connection while this request waited for its place; a POST on it
            # would end as one of unknown outcome.
            if self.sock is not None and not self.is_connected:
                self.close()
            if self.sock is None:
                self.connect()
            super().request(*args, **kwargs)
            limiter.sent(place)

    return PacedConnection


class _PacedAdapter(HTTPAdapter):
    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        super().__init__(pool_connections=2, pool_maxsize=_POOL_SIZE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {
            "http": self._pool(HTTPConnectionPool, HTTPConnection),
            "https": self._pool(HTTPSConnectionPool, HTTPSConnection),
        }

    def _pool(self, pool: type[HTTPConnectionPool], connection: type[HTTPConnection]) -> type[HTTPConnectionPool]:
        return type(pool.__name__, (pool,), {"ConnectionCls": _paced(connection, self._limiter)})


class Transport:
    """Sends requests and returns documents; retries what may be repeated.

    :param base_url: scheme, host and the path up to and with ``/api/v2``.
    :param partner_token: the partner's token.
    :param user_token: the user's token.
    :param limiter: lets each request go.
    :param retry: the bounds of trying again.
    :param timeout: seconds to wait for a connection (ten at the most) and for each part of an answer.
    :param verify: check the server's certificate: ``True``, or the path of a CA bundle.
    :raises AltegioValidationError: the base URL is none, or a token is missing or cannot be sent.
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
        self._base_url = _checked_url(base_url)
        self._secrets = (
            _checked_token("partner_token", partner_token),
            _checked_token("user_token", user_token),
        )
        if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
            raise AltegioValidationError(f"timeout must be seconds above 0, not {timeout!r}.")
        self._timeout = (min(timeout, _CONNECT_SECONDS), timeout)
        self._limiter = limiter
        self._retry = retry
        self._lock = threading.Lock()
        self.stats = TransportStats()
        self._session = requests.Session()
        self._session.verify = verify
        self._session.headers["Accept"] = _ACCEPT
        self._session.auth = _Tokens(*self._secrets)
        adapter = _PacedAdapter(limiter)
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

        return self._retry.call(lambda: self._send(method, path, query, body), on_wait)

    def close(self) -> None:
        """Close the connections and the limiter."""
        self._session.close()
        self._limiter.close()

    def _send(self, method: str, path: str, query: Query, body: Mapping[str, Any] | None) -> Any:
        url = self._base_url + path
        data = None if body is None else orjson.dumps(body)
        headers = None if body is None else {"Content-Type": "application/json"}
        for _ in range(_REDIRECTS):
            with self._lock:
                self.stats.requests += 1
            try:
                answer = self._session.request(
                    method,
                    url,
                    params=list(query),
                    data=data,
                    headers=headers,
                    timeout=self._timeout,
                    allow_redirects=False,
                )
            except requests.exceptions.RequestException as error:
                raise _failure(method, path, error) from error
            with self._lock:
                self.stats.bytes_received += len(answer.content)
            if not (answer.is_redirect and method == "GET"):
                return read_answer(method, path, answer.status_code, answer.headers, answer.content, self._secrets)
            url, query = self._redirected(path, answer), ()
        raise bad_answer(method, path, answer.status_code, f"more than {_REDIRECTS} redirects")

    def _redirected(self, path: str, answer: requests.Response) -> str:
        target = urljoin(answer.url, answer.headers["Location"])
        if _origin(target) != _origin(self._base_url):
            error = bad_answer(
                "GET",
                path,
                answer.status_code,
                f"it redirects to another server, {urlsplit(target).hostname}, which must not see the tokens",
            )
            error.hint = "Check the `host` of the connection."
            raise error
        return target


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
        reason = getattr(seen, "reason", None) or (seen.args[0] if seen.args else None)
        if isinstance(reason, NewConnectionError | NameResolutionError | ConnectTimeoutError):
            return True
        seen = reason if isinstance(reason, BaseException) else None
    return False


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _checked_url(base_url: str) -> str:
    parts = urlsplit(base_url.strip()) if isinstance(base_url, str) else urlsplit("")
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        raise AltegioValidationError(
            "the base URL (`host` of the connection) is no http(s) URL without credentials.",
            errors={"base_url": ["use one such as https://api.alteg.io/api/v2"]},
        )
    return base_url.strip().rstrip("/")


def _checked_token(argument: str, token: str) -> str:
    if not isinstance(token, str) or not token.strip():
        raise AltegioValidationError(f"{argument} is missing.", errors={argument: ["give the token's text"]})
    token = token.strip()
    if not token.isascii() or not token.isprintable() or "," in token or " " in token:
        raise AltegioValidationError(
            f"{argument} cannot be sent in a header.",
            errors={argument: ["it has a space, a comma or a character that no token has"]},
        )
    return token
