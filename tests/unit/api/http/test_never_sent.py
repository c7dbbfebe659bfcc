"""Whatever fails before the first byte: an error that says that nothing was sent, and a server that saw nothing."""

from __future__ import annotations

import socket
import ssl
import threading

import pytest

from altegio_provider.api.errors import (
    AltegioConnectionOutcomeUnknownError,
    AltegioNotSentError,
    AltegioValidationError,
)
from altegio_provider.api.ratelimit.limiter import Rate
from tests.unit.api.scripted import ScriptedServer, reset_connection

EVENT = {"staff_id": 1, "service_id": 2, "date": "2026-11-20 18:00:00", "length": 3600, "capacity": 5}
FAR = "http://altegio.invalid/api/v2"
FAR_TLS = "https://altegio.invalid/api/v2"


@pytest.fixture
def refused(new_client):
    """Create an event at a URL, twice at the most, and return the error that says that it was not sent."""

    def create(url: str, **options) -> AltegioNotSentError:
        client = new_client(url, retry={"attempts": 2}, allow_http=True, **options)
        with pytest.raises(AltegioNotSentError) as caught:
            client.create_event(7, EVENT)
        assert (caught.value.method, caught.value.path) == ("POST", "/companies/7/activities")
        assert caught.value.attempts == (2 if caught.value.transient else 1)
        return caught.value

    return create


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_a_missing_bundle_of_the_environment(tls_server, refused, monkeypatch, name) -> None:
    monkeypatch.setenv(name, "/nowhere/bundle.pem")
    error = refused(tls_server.url)
    assert name in str(error)
    assert not error.transient
    assert tls_server.requests == []


@pytest.mark.parametrize("content", [None, "", "nothing of the kind"])
def test_a_bundle_that_is_damaged_or_gone_after_the_client_was_made(
    tls_server, new_client, certificate, tmp_path, content
) -> None:
    bundle = tmp_path / "bundle.pem"
    bundle.write_bytes(certificate.read_bytes())
    client = new_client(tls_server.url, verify=str(bundle), retry={"attempts": 2})
    bundle.unlink() if content is None else bundle.write_text(content)
    with pytest.raises(AltegioNotSentError):
        client.create_event(7, EVENT)
    assert tls_server.requests == []


PROXIES = [
    "socks5://127.0.0.1:1",
    "socks4a://127.0.0.1:1",
    "http://",
    "http://[::1",
    "http://127.0.0.1:port",
    "http://127.0.0.1:99999",
    "http://a b",
    "http:///x",
    "http://a..b:80",
    f"http://{'a' * 64}.example:80",
    "ftp://127.0.0.1:1",
    "nothing://127.0.0.1:1",
    "://",
]


@pytest.mark.parametrize("proxy", PROXIES)
@pytest.mark.parametrize("url", [FAR, FAR_TLS])
def test_a_proxy_that_cannot_be_used(refused, monkeypatch, url, proxy) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    error = refused(url)
    assert "HTTPS_PROXY" in str(error)
    if "socks" in proxy:
        assert "requests[socks]" in str(error)


def greeting(answer: bytes):
    """What reads the head of a request and says something to it."""

    def greet(connection: socket.socket) -> None:
        while b"\r\n\r\n" not in connection.recv(65536, socket.MSG_PEEK):
            pass
        connection.recv(65536)
        connection.sendall(answer)

    return greet


TUNNELS = {
    "refused": b"HTTP/1.1 403 Forbidden\r\n\r\n",
    "a password is wanted": b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
    "down": b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n",
    "garbage": b"\x00\x01\x02" * 50 + b"\r\n\r\n",
    "nothing": b"",
    "a head without end": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 2000,
    "a long line": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 100_000,
    "no TLS behind it": b"HTTP/1.1 200 OK\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
}


@pytest.mark.parametrize("said", TUNNELS.values(), ids=TUNNELS)
def test_a_proxy_that_makes_no_tunnel(new_server, refused, monkeypatch, said) -> None:
    def greet(connection: socket.socket) -> None:
        greeting(said)(connection)
        connection.close()

    monkeypatch.setenv("HTTPS_PROXY", new_server(greet=greet).origin)
    assert "HTTPS_PROXY" in str(refused(FAR_TLS))


def test_a_proxy_that_drips_is_given_up_after_the_timeout(new_server, refused, monkeypatch) -> None:
    closed = threading.Event()

    def drip(connection: socket.socket) -> None:
        greeting(b"HTTP/1.1 200 OK\r\n")(connection)
        while not closed.wait(0.02):
            connection.sendall(b"X: y\r\n")

    monkeypatch.setenv("HTTPS_PROXY", new_server(greet=drip).origin)
    try:
        assert refused(FAR_TLS, timeout=0.2).transient
    finally:
        closed.set()


def test_a_handshake_that_never_ends_is_given_up_after_the_timeout(new_server, refused) -> None:
    closed = threading.Event()

    def say_nothing(_: socket.socket) -> None:
        closed.wait(5)

    url = new_server(greet=say_nothing).url.replace("http://", "https://")
    try:
        assert refused(url, timeout=0.2).transient
    finally:
        closed.set()


@pytest.mark.parametrize("host", ["a..b", "a" * 64 + ".example", ".a", "x" * 300])
def test_a_host_name_that_nobody_can_look_up_is_refused_at_once(new_client, host) -> None:
    with pytest.raises(AltegioValidationError, match="base_url"):
        new_client(f"https://{host}/api/v2")


def test_a_reconnection_that_is_reset_was_not_sent(new_server, certificate, new_transport, clock) -> None:
    """urllib3 takes a reset while it writes for one of the answer, and would go on to read it."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    seen = []

    def greet(connection: socket.socket) -> None:
        seen.append(connection)
        if len(seen) > 1:
            connection.recv(1)
            reset_connection(connection)

    server: ScriptedServer = new_server(tls=context, greet=greet)

    def hang_up(seconds: float) -> None:
        clock.sleep(seconds)
        server._open[-1].shutdown(socket.SHUT_RDWR)

    transport = new_transport(
        server.url, verify=str(certificate), rates=[Rate(1, 60.0)], sleep=hang_up, retry={"attempts": 1}
    )
    transport.request("POST", "/companies/7/activities", body={})
    with pytest.raises(AltegioNotSentError):
        transport.request("POST", "/companies/7/activities", body={})
    assert len(server.requests) == 1


def test_a_request_that_was_cut_while_it_was_written_is_in_doubt(server, client) -> None:
    server.otherwise = lambda conversation: reset_connection(conversation.connection)
    with pytest.raises(AltegioConnectionOutcomeUnknownError):
        client.create_event(7, EVENT)
