"""A proxy between a client and its database that loses an answer: the server's, to a commit."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress


class LossyProxy:
    """Forwards connections; the answers to so many commits as ``losses`` says are swallowed, and the client cut off.

    The server has answered by then, so the commit has surely taken effect.
    """

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.losses = 0
        self._open: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._spawn(self._accept)

    def __enter__(self) -> LossyProxy:
        return self

    def __exit__(self, *_: object) -> None:
        for one in (self._listener, *self._open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        for thread in self._threads:
            thread.join()

    def _spawn(self, target, *arguments) -> None:
        thread = threading.Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._server)
                self._open += [client, server]
                is_lost = threading.Event()
                self._spawn(self._up, client, server, is_lost)
                self._spawn(self._down, client, server, is_lost)

    def _up(self, client, server, is_lost) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                if b"COMMIT" in data and self.losses:
                    self.losses -= 1
                    is_lost.set()
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _down(self, client, server, is_lost) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if is_lost.is_set():
                    break
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)
