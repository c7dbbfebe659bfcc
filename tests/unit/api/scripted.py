"""A server on a real socket that answers as it is told, and remembers every request and connection."""

from __future__ import annotations

import datetime
import ipaddress
import json
import socket
import ssl
import struct
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

Action = Callable[["Conversation"], None]


@dataclass
class Request:
    """What came in, and on which connection (counted from 1)."""

    method: str
    target: str
    headers: dict[str, str]
    content: bytes
    connection: int
    at: float = field(default_factory=time.monotonic)

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> list[tuple[str, str]]:
        return parse_qsl(urlsplit(self.target).query, keep_blank_values=True)

    @property
    def json(self) -> Any:
        return json.loads(self.content)


class Conversation:
    """One request's side of a connection, for an action to do with as it likes."""

    def __init__(self, connection: socket.socket, request: Request, closing: threading.Event) -> None:
        self.connection = connection
        self.request = request
        #: Set when the server is being closed: what stalls must end then.
        self.closing = closing

    def send(self, head: str, body: bytes = b"") -> None:
        self.connection.sendall(head.encode("latin-1") + b"\r\n\r\n" + body)


def reset_connection(connection: socket.socket) -> None:
    """Close it with a TCP reset."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


def reset_handshake(connection: socket.socket) -> None:
    """Reset a connection as soon as the client has begun to shake hands."""
    connection.recv(1)
    reset_connection(connection)


def answer(status: int = 200, body: Any = None, *, headers: Iterable[tuple[str, str]] = ()) -> Action:
    """Answer in full; a body that is no bytes or text is sent as JSON."""
    content = body if isinstance(body, bytes) else body.encode() if isinstance(body, str) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json", "Content-Length": str(len(content)), **dict(headers)}
    if status == 204:
        del sent["Content-Length"]
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {value}" for name, value in sent.items())]

    def act(conversation: Conversation) -> None:
        conversation.send("\r\n".join(lines), content)

    return act


def ok(data: Any = None, **more: Any) -> Action:
    """Answer 200 with ``data``."""
    return answer(200, {"success": True, "data": {"id": 1} if data is None else data, "meta": [], **more})


def empty(status: int = 200) -> Action:
    """Answer without a body."""
    return answer(status, b"")


def page(status: int = 502) -> Action:
    """Answer with HTML, as a proxy does."""
    html = f"<html><title>{status}</title></html>"
    return answer(status, html, headers=[("Content-Type", "text/html")])


def redirect(status: int, location: str) -> Action:
    """Send the client elsewhere."""
    return answer(status, b"", headers=[("Location", location)])


def reset(conversation: Conversation) -> None:
    """Break the connection instead of answering."""
    reset_connection(conversation.connection)


def hang_up(conversation: Conversation) -> None:
    """Close the connection in an orderly way instead of answering."""
    conversation.connection.close()


def cut_off(conversation: Conversation) -> None:
    """Send half of a body and close."""
    conversation.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100", b'{"success": true, ')
    conversation.connection.close()


def chunks_cut_off(conversation: Conversation) -> None:
    """Send half of a chunked body and close."""
    conversation.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked", b'10\r\n{"success": true\r\n')
    conversation.connection.close()


def stall(conversation: Conversation) -> None:
    """Say nothing."""
    conversation.closing.wait(20)


def stall_in_body(conversation: Conversation) -> None:
    """Say half of it, then nothing."""
    conversation.send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 100", b'{"success": true, ')
    conversation.closing.wait(20)


def then_close(action: Action, closed: threading.Event) -> Action:
    """Answer, and close the connection without having said so; ``closed`` tells when."""

    def act(conversation: Conversation) -> None:
        action(conversation)
        conversation.connection.close()
        closed.set()

    return act


class ScriptedServer:
    """Answers each request with the next action of its script, and with ``otherwise`` when that has run out.

    :param tls: speak TLS with this context.
    :param greet: what to do with a connection before anything is read from it, TLS included.
    :param port: the port to listen on; 0 takes a free one.
    """

    def __init__(
        self,
        *,
        tls: ssl.SSLContext | None = None,
        greet: Callable[[socket.socket], None] = lambda _: None,
        port: int = 0,
    ) -> None:
        self.otherwise: Action = ok()
        self.requests: list[Request] = []
        #: How many connections were accepted.
        self.connections = 0
        #: Set when a TLS handshake is done on the server's side.
        self.handshaken = threading.Event()
        self._script: deque[Action] = deque()
        self._tls = tls
        self._greet = greet
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._open: list[socket.socket] = []
        self._listener = socket.create_server(("127.0.0.1", port), backlog=64)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def origin(self) -> str:
        return f"{'https' if self._tls else 'http'}://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        """The base URL for a client."""
        return f"{self.origin}/api/v2"

    @property
    def seen(self) -> list[str]:
        """Method and target of each request."""
        return [f"{request.method} {request.target}" for request in self.requests]

    def script(self, *actions: Action) -> None:
        """Append actions for the next requests."""
        self._script.extend(actions)

    def unscript(self) -> None:
        """Forget the actions that no request has come for."""
        self._script.clear()

    def close(self) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._threads[0].join(10)  # first, for it may have accepted one more
        with self._lock:
            for connection in self._open:
                try:
                    connection.shutdown(socket.SHUT_RDWR)
                except OSError:
                    connection.close()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self.connections += 1
                self._open.append(connection)
                thread = threading.Thread(target=self._serve, args=(connection, self.connections), daemon=True)
                self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket, number: int) -> None:
        try:
            self._greet(connection)
            if self._tls:
                connection = self._tls.wrap_socket(connection, server_side=True)
                with self._lock:
                    self._open.append(connection)
                self.handshaken.set()
            with connection:
                incoming = _BoundedStream(connection)
                while connection.fileno() >= 0 and (request := _read_request(incoming, number)):
                    with self._lock:
                        self.requests.append(request)
                        action = self._script.popleft() if self._script else self.otherwise
                    action(Conversation(connection, request, self._closing))
        except (OSError, ValueError):
            connection.close()


class _BoundedStream:
    """Reads by ``recv``; a socket's file object would keep it open when it is closed."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffer = b""

    def readline(self) -> bytes:
        while b"\n" not in self._buffer and (more := self._connection.recv(65536)):
            self._buffer += more
        line, end, self._buffer = self._buffer.partition(b"\n")
        return line + end

    def read(self, size: int) -> bytes:
        while len(self._buffer) < size and (more := self._connection.recv(65536)):
            self._buffer += more
        content, self._buffer = self._buffer[:size], self._buffer[size:]
        return content


def _read_request(incoming: _BoundedStream, connection: int) -> Request | None:
    first = incoming.readline()
    if not first:
        return None
    method, target, _ = first.decode("latin-1").split(" ", 2)
    headers: dict[str, str] = {}
    while line := incoming.readline().strip():
        name, _, value = line.decode("latin-1").partition(":")
        assert name.lower() not in headers, f"{name} came twice"
        headers[name.lower()] = value.strip()
    content = incoming.read(int(headers.get("content-length", 0)))
    return Request(method, target, headers, content, connection)


def self_signed(folder: Path) -> Path:
    """Write a self-signed certificate of 127.0.0.1 with its key into one file, and return its path."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "scripted")])
    now = datetime.datetime.now(datetime.UTC)
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        signed.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path
