"""Runs the sandbox: in a thread of a test, or for a person until Ctrl-C."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterable
from typing import Any

import uvicorn
from uvicorn.protocols.http.auto import AutoHTTPProtocol

from altegio_provider.sandbox.app import BASE, make_app
from altegio_provider.sandbox.settings import Sandbox

__all__ = ["SandboxServer", "serve"]


class _Protocol(AutoHTTPProtocol):  # type: ignore[misc, valid-type]  # httptools where it is installed, else h11
    """Gives each request its connection, so that an answer can break it."""

    app_state: dict[str, Any]

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self.app_state = {**self.app_state, "transport": transport}


def _server(sandbox: Sandbox, allowed_hosts: Iterable[str]) -> uvicorn.Server:
    config = uvicorn.Config(
        make_app(sandbox, allowed_hosts),
        http=_Protocol,
        ws="none",
        lifespan="off",
        loop="asyncio",
        log_level=logging.ERROR,
        access_log=False,
        proxy_headers=False,  # anybody can send them, and the limit counts addresses
        timeout_keep_alive=75,
    )
    return uvicorn.Server(config)


def _listening_socket(host: str, port: int) -> socket.socket:
    # Named as TCP, or asyncio leaves Nagle's algorithm on, which holds small answers back for 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen(1024)
    return listener


def serve(
    sandbox: Sandbox, host: str, port: int, on_ready: Callable[[str], None], allowed_hosts: Iterable[str] = ()
) -> None:
    """Serve until a signal ends it.

    :param port: 0 for a free one.
    :param on_ready: told of the base URL.
    :param allowed_hosts: names and addresses that the header ``Host`` may hold, beside ``host`` and the loopback ones.
    """
    listener = _listening_socket(host, port)
    on_ready(f"http://{host}:{listener.getsockname()[1]}{BASE}")
    with contextlib.suppress(KeyboardInterrupt):  # which the server raises again once it has ended
        _server(sandbox, (host, *allowed_hosts)).run(sockets=[listener])


class SandboxServer:
    """A sandbox in a thread of its own, on a free port of the loopback. A context manager.

    :param allowed_hosts: names that the header ``Host`` may hold, beside those of the loopback interface.
    """

    def __init__(self, sandbox: Sandbox | None = None, *, allowed_hosts: Iterable[str] = ()) -> None:
        self.sandbox = sandbox or Sandbox()
        self._listener = _listening_socket("127.0.0.1", 0)
        self._server = _server(self.sandbox, allowed_hosts)
        self._thread = threading.Thread(target=self._run, name="altegio-sandbox", daemon=True)

    def _run(self) -> None:
        asyncio.run(self._server.serve(sockets=[self._listener]))

    @property
    def root(self) -> str:
        """The server's address, without a path."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    @property
    def url(self) -> str:
        """The base URL of the imitated API."""
        return self.root + BASE

    def __enter__(self) -> SandboxServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.should_exit = self._server.force_exit = True
        self._thread.join(10)
        self._listener.close()
