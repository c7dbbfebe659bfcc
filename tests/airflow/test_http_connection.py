"""Connections that would send tokens unencrypted: refused, and where allowed, a test of the connection warns."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.hooks.altegio import AltegioHook
from tests.unit.api.scripted import ScriptedServer, ok


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    server = ScriptedServer()
    server.otherwise = ok([])
    yield server
    server.close()


@pytest.fixture
def connect(monkeypatch) -> Callable[..., AltegioHook]:
    """Return a hook on a connection to this host."""

    def connect(host: str, **extra: object) -> AltegioHook:
        extra = {"user_token": "u", "location_id": 7, "requests_per_second": 0, "requests_per_minute": 0, **extra}
        connection = {"conn_type": "altegio", "host": host, "password": "p", "extra": extra}
        monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", json.dumps(connection))
        return AltegioHook()

    return connect


@pytest.mark.parametrize("allow_http", [None, False, "false", ""])
def test_http_to_another_machine_is_refused_before_anything_is_sent(connect, server, allow_http) -> None:
    # This address reaches this machine, and does not tell so.
    hook = connect(f"http://0.0.0.0:{server.port}/api/v2", allow_http=allow_http)
    good, text = hook.test_connection()
    assert not good
    assert "unencrypted" in text
    assert "`allow_http`" in text
    with pytest.raises(AltegioValidationError, match="unencrypted"):
        hook.get_event(7, 1)
    assert server.connections == 0


@pytest.mark.parametrize("allow_http", [True, "true", " True "])
def test_where_it_is_allowed_a_test_says_what_that_means(connect, server, allow_http) -> None:
    good, text = connect(f"http://0.0.0.0:{server.port}/api/v2", allow_http=allow_http).test_connection()
    assert good, text
    assert "unencrypted" in text
    assert server.requests


def test_to_this_machine_nothing_need_be_allowed_or_said(connect, server) -> None:
    good, text = connect(server.url).test_connection()
    assert good, text
    assert "unencrypted" not in text


@pytest.mark.parametrize("value", ["yes please", 1, [True]])
def test_a_wrong_allow_http_is_named(connect, server, value) -> None:
    good, text = connect(server.url, allow_http=value).test_connection()
    assert not good
    assert "allow_http must be true or false" in text
