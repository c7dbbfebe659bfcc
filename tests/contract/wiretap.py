"""Stands between the one who asks and the server, passes everything on, and keeps what went by."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import urllib3

__all__ = ["BASE", "V1", "Exchange", "Wiretap"]

BASE = "/api/v2"
V1 = "/api/v1"
_OF_ONE_CONNECTION = {"connection", "keep-alive", "transfer-encoding", "content-encoding", "content-length", "host"}


@dataclass(frozen=True)
class Exchange:
    """A request as it was on the wire, and its answer.

    :param path: below the base, without the query.
    :param base: of which version of the API.
    """

    method: str
    path: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: bytes
    status: int
    answer_headers: dict[str, str]
    answer: bytes
    base: str = BASE

    def __str__(self) -> str:
        return f"{self.method} {self.path} -> {self.status}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True


class Wiretap:
    """A server on a free port of the loopback, with the base URL of the target behind it. A context manager.

    :param pause_seconds: so long at least lies between two requests.
    :param may_write: whether anything but a GET is passed on; else the connection is closed.
    """

    def __init__(self, url: str, pause_seconds: float = 0.0, *, may_write: bool = True) -> None:
        self.exchanges: list[Exchange] = []
        self._behind = url
        self._pool = urllib3.PoolManager(retries=False)
        self._pause_seconds = pause_seconds
        self._may_write = may_write
        self._turn = threading.Lock()
        self._last = 0.0
        tap = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self) -> None:
                # One handler for every method there is.
                self.raw_requestline = self.rfile.readline(65537)
                if not self.raw_requestline or not self.parse_request():
                    self.close_connection = True
                    return
                tap._pass_on(self)

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}{BASE}"

    def __enter__(self) -> Wiretap:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._pool.clear()
        self._thread.join(10)

    def _pass_on(self, handler: BaseHTTPRequestHandler) -> None:
        body = handler.rfile.read(int(handler.headers.get("Content-Length") or 0))
        sent = {name.lower(): value for name, value in handler.headers.items()}
        if handler.command != "GET" and not self._may_write:
            handler.close_connection = True
            return
        target = urlsplit(handler.path)
        base = V1 if target.path.startswith(V1) else BASE
        path = target.path.removeprefix(base)
        behind = self._behind if base == BASE else self._behind.removesuffix(BASE) + V1
        self._wait_for_turn()
        answer = self._pool.request(
            handler.command,
            behind + path + (f"?{target.query}" if target.query else ""),
            body=body or None,
            headers={name: value for name, value in sent.items() if name not in _OF_ONE_CONNECTION},
            redirect=False,
        )
        received = {name.lower(): value for name, value in answer.headers.items()}
        query = parse_qsl(target.query, keep_blank_values=True)
        self.exchanges.append(
            Exchange(handler.command, path, query, sent, body, answer.status, received, answer.data, base)
        )
        handler.send_response_only(answer.status)
        for name, value in received.items():
            if name not in _OF_ONE_CONNECTION:
                handler.send_header(name, value)
        if answer.status != 204:
            handler.send_header("Content-Length", str(len(answer.data)))
        handler.end_headers()
        handler.wfile.write(answer.data)

    def _wait_for_turn(self) -> None:
        if not self._pause_seconds:
            return
        with self._turn:
            time.sleep(max(0.0, self._last + self._pause_seconds - time.monotonic()))
            self._last = time.monotonic()
