"""Sends requests to the API through one session and the rate limiter. The client uses the network nowhere else."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson
import requests
from requests.utils import select_proxy
from urllib3.exceptions import ReadTimeoutError

from altegio_provider.api.arguments import checked_flag
from altegio_provider.api.errors import AltegioError, AltegioNotSentError, AltegioRateLimitError
from altegio_provider.api.http.pacing import PacedAdapter
from altegio_provider.api.http.redaction import mask_secrets, personal_values
from altegio_provider.api.http.request_state import MAX_RESPONSE_BYTES, ResponseTooLongError
from altegio_provider.api.http.responses import invalid_response, no_response, read_response
from altegio_provider.api.http.retry import RetryPolicy
from altegio_provider.api.http.settings import checked_timeout, checked_token, checked_url, checked_verify
from altegio_provider.api.ratelimit.limiter import Limiter
from altegio_provider.api.secrets import Secret, clear_variables_on_error
from altegio_provider.api.urls import is_loopback, origin_of, origin_or_none, redirect_target

__all__ = ["Query", "Transport", "TransportStats"]

log = logging.getLogger(__name__)

Query = Sequence[tuple[str, str]]

_ACCEPT = "application/vnd.api.v2+json"
_CONNECT_SECONDS = 10.0
_REDIRECTS = 5
#: Accepted values of ``Content-Encoding``: one compression at most, so that the decompressed size is bounded.
_ENCODINGS = ("", "identity", "gzip", "x-gzip", "deflate")
#: Bytes that are decompressed at once, to a thousandfold at most.
_CHUNK = 16_384
_TOO_LONG = f"it is longer than {MAX_RESPONSE_BYTES // 2**20} MiB"


@dataclass
class TransportStats:
    """Counters of a client. Read them at any time."""

    requests: int = 0
    retries: int = 0
    rate_limited: int = 0
    bytes_received: int = 0


class _Tokens(requests.auth.AuthBase):
    """Puts both tokens into the one header that the API reads.

    It is the session's ``auth`` and not a session header, so that a ``.netrc`` file cannot replace it.
    """

    def __init__(self, partner_token: Secret, user_token: Secret) -> None:
        self._header = Secret(f"Bearer {partner_token.reveal()}, User {user_token.reveal()}")

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header.reveal()
        return request


class _Session(requests.Session):
    def get_redirect_target(self, resp: requests.Response) -> None:
        """Return no target: a session parses even redirects that it does not follow, and fails on an invalid URL."""


class _Response(NamedTuple):
    """A response. ``problem`` says why its body is incomplete; it is empty for a complete one."""

    url: str
    status: int
    headers: Mapping[str, str]
    body: bytes
    problem: str
    is_redirect: bool


class Transport:
    """Sends requests, retries them where that is safe, and returns the responses' documents. The client has one.

    :param base_url: scheme, host and path with ``/api/v2``.
    :param partner_token: the partner's token.
    :param user_token: the user's token.
    :param limiter: the rate limiter that each request waits for.
    :param retry: the bounds of retries.
    :param timeout: seconds to wait for a connection (at most ten), and then for the whole response.
    :param verify: whether to check the server's certificate, or the path of a CA bundle to check it with.
    :param allow_http: allow an ``http://`` URL of another machine.
    :raises AltegioValidationError: the base URL is invalid, or would send tokens unencrypted; a token is missing or
        cannot be sent; or ``verify`` does not name a readable CA bundle.
    """

    @clear_variables_on_error
    def __init__(
        self,
        base_url: str,
        partner_token: Secret | str,
        user_token: Secret | str,
        *,
        limiter: Limiter,
        retry: RetryPolicy,
        timeout: float,
        verify: bool | str,
        allow_http: bool = False,
    ) -> None:
        partner_token, user_token = Secret(partner_token), Secret(user_token)
        self._base_url = checked_url(base_url, allow_http=checked_flag("allow_http", allow_http))
        self._origin = origin_of(self._base_url)
        self._tokens = checked_token("partner_token", partner_token), checked_token("user_token", user_token)
        timeout = checked_timeout(timeout)
        self._timeout = (min(timeout, _CONNECT_SECONDS), timeout)
        self._limiter = limiter
        self._retry = retry
        self._lock = threading.Lock()
        self.stats = TransportStats()
        self._session = _Session()
        # Only once, because in a large environment it takes as long as all the rest of a request.
        self._environment = self._session.merge_environment_settings(
            self._base_url, {}, True, checked_verify(verify), None
        )
        if is_loopback(self._origin.host):
            # The loopback of a proxy is another machine, and the proxy would see the tokens unencrypted.
            self._environment["proxies"] = {}
        self._session.headers["Accept"] = _ACCEPT
        self._session.headers["Accept-Encoding"] = "gzip, deflate"
        self._session.auth = _Tokens(*self._tokens)
        self._adapter = PacedAdapter(limiter)
        self._session.mount("https://", self._adapter)
        self._session.mount("http://", self._adapter)

    @clear_variables_on_error
    def request(self, method: str, path: str, *, query: Query = (), body: Mapping[str, Any] | None = None) -> Any:
        """Send a request, retry it where that is safe, and return the response's JSON document.

        :param method: the HTTP method.
        :param path: the path below the base URL, beginning with ``/``.
        :param query: the query parameters.
        :param body: the body, which is sent as JSON.
        :raises AltegioError: the request failed; the class says what to do.
        """

        def on_wait(error: AltegioError, seconds: float) -> None:
            with self._lock:
                self.stats.retries += 1
                self.stats.rate_limited += isinstance(error, AltegioRateLimitError)
            if isinstance(error, AltegioRateLimitError):
                self._limiter.pause(seconds)
            else:
                log.warning("%s Retrying in %.1f s.", error.summary, seconds)

        try:
            return self._retry.call(lambda: self._send(method, path, query, body), on_wait)
        except AltegioRateLimitError as error:
            # This request is given up, but all others that share the limit must still wait.
            self._limiter.pause(self._retry.requested_wait(error) or self._retry.max_wait)
            raise

    def close(self) -> None:
        """Close the connections and the limiter."""
        self._session.close()
        self._limiter.close()

    def _send(self, method: str, path: str, query: Query, body: Mapping[str, Any] | None) -> Any:
        url = self._base_url + path
        data = None if body is None else orjson.dumps(body)
        headers = None if body is None else {"Content-Type": "application/json"}
        secrets = tuple(token.reveal() for token in self._tokens) + personal_values(body)
        for _ in range(_REDIRECTS):
            response = self._exchange(
                method, path, requests.Request(method, url, headers, params=list(query), data=data)
            )
            if not response.is_redirect:
                # With the status of an error, an incomplete body does not matter.
                if response.problem and 200 <= response.status < 300:
                    raise _unreadable_error(method, path, response.status, response.problem)
                return read_response(method, path, response.status, response.headers, response.body, secrets)
            url, query = self._redirected(method, path, response, secrets), ()
        raise _redirect_error(method, path, response.status, f"more than {_REDIRECTS} redirects")

    def _exchange(self, method: str, path: str, request: requests.Request) -> _Response:
        """Send a request once and return its response.

        :raises AltegioNotSentError: it failed before its first byte was sent.
        :raises AltegioError: it failed afterwards.
        """
        with self._lock:
            self.stats.requests += 1
        self._adapter.state.may_be_sent = False
        failed: AltegioError
        try:
            prepared = self._session.prepare_request(request)
            self._check_origin(method, path, prepared)
            response = self._session.send(prepared, timeout=self._timeout, allow_redirects=False, **self._environment)
        except AltegioNotSentError as error:
            error.method, error.path = method, path
            raise
        except Exception as error:
            if self._adapter.state.may_be_sent:
                failed = _broken_error(method, path, error)
            else:
                proxy = select_proxy(self._base_url, self._environment["proxies"])
                failed = _not_sent_error(method, path, error, is_proxied=proxy is not None)
        else:
            with closing(response):
                body, problem = _body_of(response)
                with self._lock:
                    self.stats.bytes_received += len(body)
                return _Response(
                    response.url, response.status_code, response.headers, body, problem, response.is_redirect
                )
        # Not in the block above: the caught exception holds the request, with the tokens and the body.
        raise failed

    def _check_origin(self, method: str, path: str, request: requests.PreparedRequest) -> None:
        """Make sure that a prepared request goes to the server of the base URL."""
        if origin_or_none(request.url or "") != self._origin:
            error = AltegioNotSentError("the request would go to another server.", method=method, path=path)
            error.transient = False
            raise error

    def _redirected(self, method: str, path: str, response: _Response, secrets: tuple[str, ...]) -> str:
        """Return the target of a redirected GET, which must be on this server, because no other may see the tokens."""
        target = _target_or_none(response)
        origin = None if target is None else origin_or_none(target)
        if target is None or origin is None:
            raise _redirect_error(method, path, response.status, "it redirects to an invalid address")
        if origin != self._origin:
            where = mask_secrets(str(origin), secrets)
            reason = f"it redirects to another server, {where}, which must not see the tokens"
            raise _redirect_error(method, path, response.status, reason)
        if method != "GET":
            raise _redirect_error(method, path, response.status, "it redirects a write, which is never sent twice")
        return target


def _target_or_none(response: _Response) -> str | None:
    try:
        return redirect_target(response.url, response.headers["Location"])
    except ValueError:
        return None


def _redirect_error(method: str, path: str, status: int, reason: str) -> AltegioError:
    """Return the error for a redirect that is not followed. A retry would be redirected too."""
    error = invalid_response(method, path, status, reason)
    error.hint = f"{error.hint if method != 'GET' else ''} Check the `host` of the connection.".strip()
    error.transient = False
    return error


def _body_of(response: requests.Response) -> tuple[bytes, str]:
    """Return the body of a response as far as it came, and why it is incomplete (empty for a complete one)."""
    if response.headers.get("Content-Encoding", "").strip().lower() not in _ENCODINGS:
        return b"", "its body has a compression that was not asked for"
    parts: list[bytes] = []
    problem, size = "", 0
    try:
        while size <= MAX_RESPONSE_BYTES and (part := response.raw.read(_CHUNK, decode_content=True)):
            parts.append(part)
            size += len(part)
    except ResponseTooLongError:
        return b"", _TOO_LONG
    except ReadTimeoutError:
        problem = "its body is cut off: the rest did not come in time"
    except Exception as error:
        problem = f"its body is cut off or damaged ({type(error).__name__})"
    return (b"", _TOO_LONG) if size > MAX_RESPONSE_BYTES else (b"".join(parts), problem)


def _unreadable_error(method: str, path: str, status: int | None, problem: str) -> AltegioError:
    failed = invalid_response(method, path, status, problem)
    if problem == _TOO_LONG and method == "GET":
        failed.transient = False
        failed.hint = "Request fewer rows at once: set a smaller `page_size`."
    return failed


def _broken_error(method: str, path: str, error: Exception) -> AltegioError:
    """Return the error for a request that was sent, at least in part, and got no response."""
    if isinstance(error, ResponseTooLongError):
        return _unreadable_error(method, path, None, _TOO_LONG)
    if isinstance(error, requests.exceptions.Timeout):
        return no_response(method, path, "it did not come in time")
    return no_response(method, path, f"the connection broke ({type(error).__name__})")


def _not_sent_error(method: str, path: str, error: Exception, *, is_proxied: bool) -> AltegioNotSentError:
    """Return the error for a request of which no byte was sent."""
    causes = list(_causes(error))
    texts = " ".join(map(str, causes))
    kinds = [kind.__name__ for cause in causes for kind in type(cause).__mro__]
    reason = next((_CAUSES[kind] for kind in kinds if kind in _CAUSES), type(causes[-1]).__name__)
    tunnel = re.search(r"Tunnel connection failed: ([0-9]{3})", texts)
    hint = "Check the network and the `host` of the connection."
    retryable = False
    if "CERTIFICATE_VERIFY_FAILED" in texts:
        summary = "the server's certificate is not trusted."
        hint = "Check the `host` and `verify` (the path of a CA bundle) of the connection."
    elif tunnel is not None:
        summary, retryable = f"the proxy refuses to connect to the server (HTTP {tunnel[1]}).", tunnel[1] >= "500"
        hint = "Put its user and password into its URL."
    elif isinstance(error, requests.exceptions.ConnectionError):
        summary, retryable = f"no connection to the server could be made: {reason}.", True
    elif "SOCKS" in texts:
        summary = "the proxy is a SOCKS proxy, and the library for SOCKS is not installed."
        hint = "Run pip install 'requests[socks]'."
    elif "CA certificate bundle" in texts:
        summary = "the bundle of CA certificates cannot be read."
        hint = "Check `verify` of the connection, and REQUESTS_CA_BUNDLE and CURL_CA_BUNDLE of the environment."
    else:
        summary = f"the request could not be made ({reason})."
    if is_proxied:
        hint += " Check the proxy of the environment (HTTP_PROXY, HTTPS_PROXY, ALL_PROXY)."
    failed = AltegioNotSentError(summary, method=method, path=path, hint=hint)
    failed.transient = retryable
    return failed


#: What the exceptions of libraries mean, by their names.
_CAUSES = {
    "NameResolutionError": "the host name cannot be resolved",
    "gaierror": "the host name cannot be resolved",
    "ConnectionRefusedError": "the connection was refused",
    "ConnectTimeoutError": "connecting took too long",
    "TimeoutError": "connecting took too long",
    "ConnectionResetError": "the connection was reset",
    "SSLError": "the TLS handshake failed",
}


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, the first cause last. Libraries wrap causes in several ways."""
    seen: BaseException | None = error
    while seen is not None:
        yield seen
        wrapped = (getattr(seen, "reason", None), getattr(seen, "original_error", None), *seen.args, seen.__cause__)
        seen = next((one for one in wrapped if isinstance(one, BaseException)), None)
