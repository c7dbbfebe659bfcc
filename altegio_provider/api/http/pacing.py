"""Connections that keep to the limit, note whether a request was ever written, and bound its answer."""

from __future__ import annotations

import ssl
import threading
from typing import Any

from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, PoolManager
from urllib3.exceptions import NewConnectionError

from altegio_provider.api.http.request_state import BoundedResponse, RequestState
from altegio_provider.api.ratelimit.limiter import Limiter

__all__ = ["PacedAdapter"]

_POOL_SIZE = 64


def _paced(kind: Any, limiter: Limiter, request_state: RequestState) -> Any:
    """Return a connection class that takes its place in the limit as the last thing before it writes."""

    class Response(BoundedResponse):
        state = request_state

    class PacedConnection(kind):  # type: ignore[misc]
        response_class = Response

        def request(self, *args: Any, **kwargs: Any) -> None:
            slot = limiter.acquire()
            # The server may have closed an idle connection while this request waited for its place; a POST on it
            # would end as one of unknown outcome.
            if self.sock is not None and not self.is_connected:
                self.close()
            if self.sock is None:
                self.connect()
            try:
                super().request(*args, **kwargs)
            finally:
                limiter.mark_sent(slot)

        def endheaders(self, *args: Any, **kwargs: Any) -> None:
            request_state.may_be_sent = True
            super().endheaders(*args, **kwargs)

        def getresponse(self) -> Any:
            request_state.set_timeout(self.timeout)
            return super().getresponse()

        @property
        def is_connected(self) -> bool:
            return self.sock is not None and _is_open(self.sock)

        def connect(self) -> None:
            request_state.set_timeout(self.timeout)  # for a proxy's answer
            try:
                super().connect()
            except ssl.SSLCertVerificationError:
                raise
            except OSError as error:
                # A handshake or a proxy's tunnel that broke: nothing of the request was written.
                raise NewConnectionError(self, str(error)) from error

    return PacedConnection


def _is_open(connection: Any) -> bool:
    """Whether nothing has come on an idle connection: neither its end nor an answer to nothing.

    urllib3 asks whether there is anything to read, and takes the session tickets that a TLS server sends after the
    handshake for an end; reading takes them in.
    """
    timeout = connection.gettimeout()
    connection.settimeout(0)
    try:
        connection.recv(1)
    except (BlockingIOError, ssl.SSLWantReadError):
        return True
    except OSError:
        return False
    finally:
        connection.settimeout(timeout)
    return False


class PacedAdapter(HTTPAdapter):
    """Takes each request's place in the limit in its connection, as the last thing before the bytes go.

    :param limiter: lets each request go.
    """

    def __init__(self, limiter: Limiter) -> None:
        #: What is known of the request that the current thread sends through this adapter.
        self.state = RequestState()
        self._limiter = limiter
        self._lock = threading.Lock()
        super().__init__(pool_connections=2, pool_maxsize=_POOL_SIZE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._pace(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        with self._lock:
            if proxy not in self.proxy_manager:
                self._pace(super().proxy_manager_for(proxy, **kwargs))
            return self.proxy_manager[proxy]

    def _pace(self, manager: PoolManager) -> None:
        manager.pool_classes_by_scheme = {
            scheme: self._paced_pool(pool) for scheme, pool in manager.pool_classes_by_scheme.items()
        }

    def _paced_pool(self, pool: type[HTTPConnectionPool]) -> type[HTTPConnectionPool]:
        return type(pool.__name__, (pool,), {"ConnectionCls": _paced(pool.ConnectionCls, self._limiter, self.state)})
