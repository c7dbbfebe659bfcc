"""Plain HTTP to the sandbox: no client of ours, so that a mistake of one cannot hide a mistake of the other."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

import pytest

from tests.sandbox.wire import HEADERS, Answer, Call, Family


@pytest.fixture
def call(altegio_sandbox) -> Call:
    """Send one request to a path below the base URL; ``query`` is a dict or a list of pairs."""
    base = urlsplit(altegio_sandbox.url)

    def call(method, path, body=None, *, query=(), headers=HEADERS, timeout=10.0):
        connection = HTTPConnection(base.hostname, base.port, timeout=timeout)
        try:
            target = base.path + path + ("?" + urlencode(query) if query else "")
            content = body if body is None or isinstance(body, bytes) else json.dumps(body)
            connection.request(method, target, content, headers)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
        finally:
            connection.close()

    return call


@pytest.fixture(params=[Family("companies", "records"), Family("locations", "appointments")], ids=lambda f: f.name)
def family(request) -> Family:
    """Each of the two families in turn."""
    return request.param
