"""Connections that wait for the rate limit, note whether a request was sent, and bound its response."""

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
    """Return a connection class that takes a slot of the rate limit right before it sends."""

    class Response(BoundedResponse):
        state = request_state

    class PacedConnection(kind):  # type: ignore[misc]
        response_class = Response

        def request(self, *args: Any, **kwargs: Any) -> None:
            slot = limiter.acquire()
            # The server may have closed an idle connection while this request waited for its slot. The outcome of a
            # POST on a closed connection is unknown.
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
            request_state.set_timeout(self.timeout)  # for a proxy's response
            try:
                super().connect()
            except ssl.SSLCertVerificationError:
                raise
            except OSError as error:
                # The handshake or the proxy's tunnel failed: nothing of the request was sent.
                raise NewConnectionError(self, str(error)) from error

    return PacedConnection


def _is_open(connection: Any) -> bool:
    """Return whether an idle connection is open and has no unread data.

    urllib3 only asks whether there is anything to read, so it takes the session tickets that a TLS server sends after
    the handshake for a closed connection. A read consumes them.
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
    """An adapter of ``requests`` whose connections take a slot of the rate limit right before they send.

    :param limiter: gives the slots.
    """

    def __init__(self, limiter: Limiter) -> None:
        #: The state of the request that the current thread sends through this adapter.
        self.state = RequestState()
        self._limiter = limiter
        self._lock = threading.Lock()
        super().__init__(pool_connections=2, pool_maxsize=_POOL_SIZE)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        """Make the pools of direct connections."""
        super().init_poolmanager(*args, **kwargs)
        self._pace(self.poolmanager)

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        """Return the pools of connections through a proxy."""
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
