"""The only door to the network: one session, two headers, one request at a time through the limiter."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
from altegio_provider.api.privacy import Secret, forgetful
from altegio_provider.api.rate_limit import Limiter
from altegio_provider.api.redaction import personal_texts, redact
from altegio_provider.api.retry import RetryPolicy
from altegio_provider.api.settings import checked_flag, checked_timeout, checked_token, checked_url, checked_verify
from altegio_provider.api.targets import is_loopback, origin_of, origin_or_none, redirect_target

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

    def __init__(self, partner_token: Secret, user_token: Secret) -> None:
        self._header = Secret(f"Bearer {partner_token.reveal()}, User {user_token.reveal()}")

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers["Authorization"] = self._header.reveal()
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
    :param allow_http: let the base URL be ``http://`` to another machine than this one.
    :raises AltegioValidationError: the base URL is not usable, or would send tokens unencrypted; a token is missing or
        cannot be sent; or ``verify`` does not name a readable bundle.
    """

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
        if is_loopback(self._origin.host):
            # A proxy has another loopback than this machine, and would see the tokens of http:// in clear.
            self._environment["proxies"] = {}
        self._session.headers["Accept"] = _ACCEPT
        self._session.auth = _Tokens(*self._tokens)
        adapter = PacedAdapter(limiter)
        self._session.mount("https://", adapter)
        self._session.mount("http://", adapter)

    @forgetful
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
        secrets = tuple(token.reveal() for token in self._tokens) + personal_texts(body)
        for _ in range(_REDIRECTS):
            with self._lock:
                self.stats.requests += 1
            request = self._session.prepare_request(
                requests.Request(method, url, headers, params=list(query), data=data)
            )
            self._check_goes_home(method, path, request)
            answer = self._answered(method, path, request)
            with self._lock:
                self.stats.bytes_received += len(answer.content)
            if not answer.is_redirect:
                return read_answer(method, path, answer.status_code, answer.headers, answer.content, secrets)
            url, query = self._redirected(method, path, answer, secrets), ()
        raise _astray(method, path, answer.status_code, f"more than {_REDIRECTS} redirects")

    def _check_goes_home(self, method: str, path: str, request: requests.PreparedRequest) -> None:
        """Make sure that a request, as it is about to be sent, goes to the server of the base URL."""
        if origin_or_none(request.url or "") != self._origin:
            error = AltegioNotSentError("the request would go to another server.", method=method, path=path)
            error.transient = False
            raise error

    def _answered(self, method: str, path: str, request: requests.PreparedRequest) -> requests.Response:
        try:
            return self._session.send(request, timeout=self._timeout, allow_redirects=False, **self._environment)
        except requests.exceptions.RequestException as error:
            failure = _failure(method, path, error)
        # Not in the block above: what was caught holds the request, and with it the tokens and the body.
        raise failure

    def _redirected(self, method: str, path: str, answer: requests.Response, secrets: tuple[str, ...]) -> str:
        """Return where a GET may follow to: on this server, for no other may see the tokens."""
        target = _target_or_none(answer)
        origin = None if target is None else origin_or_none(target)
        if target is None or origin is None:
            raise _astray(method, path, answer.status_code, "it redirects to an address that cannot be followed")
        if origin != self._origin:
            where = redact(str(origin), secrets)
            reason = f"it redirects to another server, {where}, which must not see the tokens"
            raise _astray(method, path, answer.status_code, reason)
        if method != "GET":
            raise _astray(method, path, answer.status_code, "it redirects, and a write is not sent twice")
        return target


def _target_or_none(answer: requests.Response) -> str | None:
    try:
        return redirect_target(answer.url, answer.headers["Location"])
    except ValueError:
        return None


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
