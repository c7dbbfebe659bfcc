"""A real S3 server on a socket (moto's), which can be told to fail, and to let others come in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import upath
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

KEYS = {"key": "AKIAEXAMPLE", "secret": "a-secret"}
CONFIG = {
    # Its library's own tries are not what is tested.
    "config_kwargs": {"retries": {"total_max_attempts": 1, "mode": "standard"}},
    "client_kwargs": {"region_name": "us-east-1"},
}


@dataclass
class Request:
    """What is asked; ``environ`` is WSGI's, and may be changed."""

    method: str
    path: str
    environ: dict[str, Any] = field(repr=False)

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


@dataclass
class Answer:
    """What is answered in place of the server."""

    status: int
    body: bytes

    @classmethod
    def error(cls, status: int, code: str, message: str = "No.") -> Answer:
        return cls(status, f"<Error><Code>{code}</Code><Message>{message}</Message></Error>".encode())


SLOW_DOWN = Answer.error(503, "SlowDown", "Please reduce your request rate.")
ACCESS_DENIED = Answer.error(403, "AccessDenied", "Access Denied")
EXPIRED_TOKEN = Answer.error(400, "ExpiredToken", "The provided token has expired.")
NOT_IMPLEMENTED = Answer.error(501, "NotImplemented", "A header implies functionality that is not implemented")


class _Handler(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"  # one connection for many requests

    def log_request(self, *_: Any) -> None:
        pass


class S3Server:
    """Serves until it is closed. It changes one thing at a time, so that conditional writes are atomic as S3's are.

    ``on_request`` is called before each request and may make requests itself; what it returns, if anything, is
    answered in place of the server.
    """

    def __init__(self) -> None:
        self._app = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self.on_request: Callable[[Request], Answer | None] | None = None
        self._server = make_server("127.0.0.1", 0, self._answer, threaded=True, request_handler=_Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self.path("s3://").fs.retries = 1

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def path(self, url: str) -> Any:
        """A path of the ``universal_pathlib`` kind."""
        return upath.UPath(url, endpoint_url=self.url, **KEYS, **CONFIG)

    def make_bucket(self, name: str) -> None:
        self.path("s3://").fs.call_s3("create_bucket", Bucket=name)

    def buckets(self) -> set[str]:
        return {one["Name"] for one in self.path("s3://").fs.call_s3("list_buckets")["Buckets"]}

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        request = Request(environ["REQUEST_METHOD"], environ["PATH_INFO"], environ)
        answer = self.on_request(request) if self.on_request else None
        if answer is None:
            with self._lock:
                return list(self._app(environ, start_response))
        # Unread, the body would be taken for the next request.
        environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
        headers = [
            ("Content-Type", "application/xml"),
            ("Content-Length", str(len(answer.body))),
            ("ETag", '"made-up"'),
        ]
        start_response(f"{answer.status} Said", headers)
        return [answer.body]
