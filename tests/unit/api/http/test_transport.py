"""What goes over the wire: headers, connections, redirects, time-outs, TLS, proxies."""

from __future__ import annotations

import socket
import threading
import time

import pytest

from altegio_provider.api.errors import (
    AltegioConnectionError,
    AltegioConnectionOutcomeUnknownError,
    AltegioNotSentError,
    AltegioResponseError,
    AltegioResponseOutcomeUnknownError,
    AltegioValidationError,
)
from altegio_provider.api.ratelimit.limiter import Rate
from tests.unit.api.conftest import PARTNER, USER
from tests.unit.api.scripted import hang_up, ok, redirect, reset_handshake, stall, stall_in_body, then_close

EVENT = {"staff_id": 1, "service_id": 2, "date": "2026-11-20 18:00:00", "length": 3600, "capacity": 5}
APPOINTMENT = {"client": {"name": "Vera", "phone": "+13155550175"}, "clients_count": 1}


def do_everything(client) -> None:
    list(client.list_activities(7, "2026-11-20", "2026-11-21"))
    client.get_event(7, 1)
    client.create_event(7, EVENT)
    client.update_event(7, 1, EVENT)
    client.delete_event(7, 1)
    client.create_event_appointment(7, 1, APPOINTMENT)


@pytest.fixture
def refused_url() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/api/v2"


def test_every_request_carries_both_headers_and_writes_say_that_they_are_json(server, client) -> None:
    server.script(ok([]), ok([]))
    do_everything(client)
    assert [request.method for request in server.requests] == ["GET", "GET", "GET", "POST", "PUT", "DELETE", "POST"]
    for request in server.requests:
        assert request.headers["accept"] == "application/vnd.api.v2+json"
        assert request.headers["authorization"] == f"Bearer {PARTNER}, User {USER}"
        has_body = request.method in ("POST", "PUT")
        assert request.headers.get("content-type") == ("application/json" if has_body else None)


def test_a_netrc_file_and_the_environment_do_not_touch_the_tokens(server, new_client, monkeypatch, tmp_path) -> None:
    (tmp_path / ".netrc").write_text("machine 127.0.0.1 login somebody password else\n")
    (tmp_path / ".netrc").chmod(0o600)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETRC", str(tmp_path / ".netrc"))
    monkeypatch.setenv("AUTHORIZATION", "Basic xyz")
    new_client(server.url).get_event(7, 1)
    assert server.requests[0].headers["authorization"] == f"Bearer {PARTNER}, User {USER}"


def test_tokens_are_sent_without_the_blanks_around_them(server, new_client) -> None:
    from altegio_provider.api import AltegioClient

    with AltegioClient(
        server.url, f" {PARTNER}\n", f"\t{USER} ", requests_per_second=0, requests_per_minute=0
    ) as client:
        client.get_event(7, 1)
    assert server.requests[0].headers["authorization"] == f"Bearer {PARTNER}, User {USER}"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_get_follows_a_redirect_on_the_same_host_with_its_headers(server, client, status) -> None:
    server.script(redirect(status, "/api/v2/elsewhere?page=2"))
    assert client.get_event(7, 1) == {"id": 1}
    assert server.seen == ["GET /api/v2/companies/7/activities/1", "GET /api/v2/elsewhere?page=2"]
    assert server.requests[1].headers["authorization"] == f"Bearer {PARTNER}, User {USER}"
    assert server.requests[1].headers["accept"] == "application/vnd.api.v2+json"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_the_tokens_never_follow_a_redirect_to_another_server(server, client, new_server, waits, status) -> None:
    other = new_server()
    server.otherwise = redirect(status, f"{other.origin}/api/v2/companies/7/activities/1")
    with pytest.raises(AltegioResponseError, match="redirects to another server") as caught:
        client.get_event(7, 1)
    assert other.connections == 0
    assert f"http://127.0.0.1:{other.port}" in str(caught.value)
    assert "`host`" in str(caught.value)
    # Nothing gets better by asking again.
    assert (len(server.requests), waits) == (1, [])


@pytest.mark.parametrize(
    "location", ["http://127.0.0.1:99999/", "http://[::1/", "ftp://127.0.0.1/x", "//evil.example/x", "http://a b/"]
)
def test_an_odd_redirect_target_is_a_clear_error(server, client, location) -> None:
    server.otherwise = redirect(302, location)
    with pytest.raises(AltegioResponseError, match="redirects to"):
        client.get_event(7, 1)
    assert len(server.requests) == 1


def test_redirects_in_a_circle_end_soon(server, client) -> None:
    server.otherwise = redirect(302, "/api/v2/companies/7/activities/1")
    with pytest.raises(AltegioResponseError, match="redirects"):
        client.get_event(7, 1)
    assert len(server.requests) == 5


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("call", ["create_event", "delete_event"])
def test_a_write_never_follows_a_redirect(server, client, new_server, status, call) -> None:
    other = new_server()
    server.otherwise = redirect(status, f"{other.origin}/")
    with pytest.raises(AltegioResponseOutcomeUnknownError, match="redirect"):
        client.create_event(7, EVENT) if call == "create_event" else client.delete_event(7, 1)
    assert (len(server.requests), other.connections) == (1, 0)


def test_one_connection_carries_many_requests(server, client) -> None:
    for _ in range(10):
        client.get_event(7, 1)
    client.create_event(7, EVENT)
    assert (len(server.requests), server.connections) == (11, 1)


def test_the_pages_of_a_list_share_no_more_connections_than_requests_under_way(server, client) -> None:
    rows = [{"id": number, "date": f"2026-11-20 {number % 24:02}:00:00"} for number in range(1, 201)]

    def list_rows(conversation) -> None:
        query = dict(conversation.request.query)
        start = int(query["offset"])
        meta = {"pagination": {"total": len(rows)}}
        ok(rows[start : start + int(query["limit"])], meta=meta)(conversation)

    server.otherwise = list_rows
    listed = list(client.list_activities(7, "2026-11-20", "2026-11-21", page_size=10, concurrency=3))
    assert len(listed) == 200
    assert len(server.requests) >= 20
    assert server.connections <= 3


def test_a_connection_that_the_server_closed_meanwhile_is_not_written_to(server, client) -> None:
    for _ in range(3):
        closed = threading.Event()
        server.script(then_close(ok(), closed))
        client.create_event(7, EVENT)
        assert closed.wait(5)
    assert (len(server.requests), server.connections) == (3, 3)


def test_a_silent_server_is_given_up_after_the_timeout(server, new_client) -> None:
    server.otherwise = stall
    client = new_client(server.url, timeout=0.2, retry={"attempts": 2})
    started = time.monotonic()
    with pytest.raises(AltegioConnectionError, match="did not come in time") as caught:
        client.get_event(7, 1)
    assert 0.4 <= time.monotonic() - started < 3
    assert caught.value.attempts == len(server.requests) == 2


def test_a_post_to_a_silent_server_is_sent_once(server, new_client) -> None:
    server.otherwise = stall
    with pytest.raises(AltegioConnectionOutcomeUnknownError, match="did not come in time"):
        new_client(server.url, timeout=0.2).create_event(7, EVENT)
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("send", "leaf"),
    [
        (lambda client: client.get_event(7, 1), AltegioResponseError),
        (lambda client: client.create_event(7, EVENT), AltegioResponseOutcomeUnknownError),
    ],
    ids=["GET", "POST"],
)
def test_an_answer_that_stops_half_way_is_given_up_after_the_timeout(server, new_client, send, leaf) -> None:
    server.otherwise = stall_in_body
    with pytest.raises(leaf, match="cut off"):
        send(new_client(server.url, timeout=0.2, retry={"attempts": 1}))
    assert len(server.requests) == 1


@pytest.fixture
def full_port():
    """A port that lets nobody connect, for nobody accepts and its queue is full."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        yield listener.getsockname()[1]
        for one in waiting:
            one.close()


def test_a_server_that_lets_nobody_connect_is_given_up_after_the_timeout(full_port, new_client) -> None:
    client = new_client(f"http://127.0.0.1:{full_port}/api/v2", timeout=0.2, retry={"attempts": 2})
    started = time.monotonic()
    with pytest.raises(AltegioNotSentError) as caught:
        client.create_event(7, EVENT)
    assert 0.4 <= time.monotonic() - started < 3
    assert caught.value.attempts == 2


@pytest.mark.parametrize("send", [lambda client: client.get_event(7, 1), lambda client: client.create_event(7, EVENT)])
def test_what_was_refused_the_connection_is_repeated(refused_url, new_client, waits, send) -> None:
    with pytest.raises(AltegioNotSentError, match="no connection") as caught:
        send(new_client(refused_url, retry={"attempts": 3}))
    assert caught.value.transient
    assert caught.value.attempts == 3
    assert len(waits) == 2


def test_a_post_goes_out_once_the_server_is_there(new_server, new_client) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    late = []

    def start_the_server(_: float) -> None:
        if not late:
            server = new_server(port=port)
            late.append(server)

    client = new_client(f"http://127.0.0.1:{port}/api/v2", retry={"sleep": start_the_server})
    assert client.create_event(7, EVENT) == {"id": 1}
    assert len(late[0].requests) == 1


def test_an_unknown_host_name_was_not_sent_to(new_client) -> None:
    with pytest.raises(AltegioNotSentError):
        new_client("https://no-such-host.invalid/api/v2", retry={"attempts": 1}).create_event(7, EVENT)


def test_a_self_signed_certificate_is_refused_at_once_with_what_to_do(tls_server, new_client, waits) -> None:
    client = new_client(tls_server.url)
    for send in (lambda: client.get_event(7, 1), lambda: client.create_event(7, EVENT)):
        with pytest.raises(AltegioNotSentError, match=r"certificate is not trusted.*`verify`") as caught:
            send()
        assert not caught.value.transient
    assert (tls_server.requests, waits) == ([], [])
    assert tls_server.connections == 2


def test_a_self_signed_certificate_is_taken_where_verify_names_it(tls_server, new_client, certificate) -> None:
    client = new_client(tls_server.url, verify=str(certificate))
    assert client.get_event(7, 1) == {"id": 1}
    client.create_event(7, EVENT)
    assert tls_server.connections == 1


@pytest.mark.parametrize("name", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environments_bundle_does_not_replace_verify(
    tls_server, new_client, certificate, monkeypatch, tmp_path, name
) -> None:
    import certifi

    monkeypatch.setenv(name, certifi.where())
    assert new_client(tls_server.url, verify=str(certificate)).get_event(7, 1) == {"id": 1}


def test_the_environments_bundle_is_used_where_verify_says_nothing_else(
    tls_server, new_client, certificate, monkeypatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    assert new_client(tls_server.url).get_event(7, 1) == {"id": 1}


def test_a_certificate_of_another_host_is_refused(tls_server, new_client, certificate, waits) -> None:
    url = tls_server.url.replace("127.0.0.1", "localhost")
    with pytest.raises(AltegioNotSentError, match="certificate"):
        new_client(url, verify=str(certificate)).get_event(7, 1)
    assert (tls_server.requests, waits) == ([], [])


def test_a_bundle_that_is_not_there_is_said_before_anything_is_sent(tls_server, new_client, tmp_path) -> None:
    with pytest.raises(AltegioValidationError, match="verify"):
        new_client(tls_server.url, verify=str(tmp_path / "missing.pem"))


def test_a_bundle_that_is_none_is_a_clear_error(tls_server, new_client, tmp_path) -> None:
    (tmp_path / "bundle.pem").write_text("nothing of the kind")
    with pytest.raises(AltegioValidationError, match="verify"):
        new_client(tls_server.url, verify=str(tmp_path / "bundle.pem"))


def test_a_post_whose_tls_handshake_breaks_was_not_sent(new_server, new_client) -> None:
    server = new_server(greet=reset_handshake)
    url = server.url.replace("http://", "https://")
    with pytest.raises(AltegioNotSentError) as caught:
        new_client(url, retry={"attempts": 2}).create_event(7, EVENT)
    assert caught.value.attempts == server.connections == 2


def test_a_post_over_tls_to_a_server_that_speaks_none_was_not_sent(new_server, new_client) -> None:
    def take_it_for_http(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        connection.close()

    url = new_server(greet=take_it_for_http).url.replace("http://", "https://")
    with pytest.raises(AltegioNotSentError):
        new_client(url, retry={"attempts": 1}).create_event(7, EVENT)


def test_a_post_through_a_proxy_that_is_down_was_not_sent(server, new_client, refused_url, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", refused_url)
    with pytest.raises(AltegioNotSentError):
        new_client("http://altegio.invalid/api/v2", allow_http=True, retry={"attempts": 1}).create_event(7, EVENT)


def test_a_proxy_of_the_environment_is_used_and_keeps_to_the_limit(server, new_transport, clock, monkeypatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", server.origin)
    transport = new_transport("http://altegio.invalid/api/v2", allow_http=True, rates=[Rate(2, 10.0)])
    for _ in range(5):
        transport.request("GET", "/companies/7/activities/1")
    assert server.seen == ["GET http://altegio.invalid/api/v2/companies/7/activities/1"] * 5
    assert clock.waited == pytest.approx([10.0, 10.0])


def test_a_new_tls_connection_outlives_the_wait_for_a_place(tls_server, certificate, new_transport, clock) -> None:
    def wait_for_the_session_tickets(seconds: float) -> None:
        clock.sleep(seconds)
        assert tls_server.handshaken.wait(5)

    transport = new_transport(
        tls_server.url, rates=[Rate(1, 10.0)], taken=1, sleep=wait_for_the_session_tickets, verify=str(certificate)
    )
    transport.request("GET", "/companies/7/activities/1")
    assert len(clock.waited) == 1
    assert tls_server.connections == 1


def test_a_connection_that_is_closed_during_the_wait_for_a_place_is_made_anew(server, new_transport, clock) -> None:
    closed = threading.Event()

    def wait_for_the_end(seconds: float) -> None:
        clock.sleep(seconds)
        assert closed.wait(5)

    transport = new_transport(server.url, rates=[Rate(1, 10.0)], sleep=wait_for_the_end)
    server.script(then_close(ok(), closed))
    transport.request("GET", "/companies/7/activities/1")
    transport.request("POST", "/companies/7/activities", body={})
    assert len(clock.waited) == 1
    assert (len(server.requests), server.connections) == (2, 2)


def test_the_server_hangs_up_on_a_post_and_it_is_sent_once(server, client) -> None:
    server.otherwise = hang_up
    with pytest.raises(AltegioConnectionOutcomeUnknownError):
        client.create_event(7, EVENT)
    assert len(server.requests) == 1


def test_a_client_is_shared_by_threads(server, client) -> None:
    threads = [threading.Thread(target=client.get_event, args=(7, number)) for number in range(1, 21)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(request.path for request in server.requests) == sorted(
        f"/api/v2/companies/7/activities/{number}" for number in range(1, 21)
    )
    assert client.stats.requests == 20


@pytest.mark.parametrize(
    "base_url",
    [
        "",
        "api.alteg.io",
        "ftp://api.alteg.io/api/v2",
        "https://",
        "https://someone:secret@api.alteg.io/api/v2",
        "https://api.alteg.io:99999/api/v2",
        "https://api.alteg.io:port/api/v2",
        "https://[::1/api/v2",
        "https://api.alteg.io/api/v2?version=2",
        "https://api.alteg.io/api/v2#top",
        "https://api alteg.io/api/v2",
        None,
        5,
    ],
)
def test_a_base_url_that_is_none_is_refused_at_once(new_client, base_url) -> None:
    with pytest.raises(AltegioValidationError, match="base_url") as caught:
        new_client(base_url)
    assert "secret" not in str(caught.value)


def test_a_slash_at_the_end_of_the_base_url_is_no_matter(server, new_client) -> None:
    new_client(f" {server.url}/ ").get_event(7, 1)
    assert server.seen == ["GET /api/v2/companies/7/activities/1"]


@pytest.mark.parametrize("token", ["", "  ", None, 5, "two words", "a,b", "line\nbreak", "naïve"])
@pytest.mark.parametrize("which", ["partner_token", "user_token"])
def test_a_token_that_cannot_be_sent_is_refused_without_showing_it(server, which, token) -> None:
    from altegio_provider.api import AltegioClient

    tokens = {"partner_token": PARTNER, "user_token": USER, which: token}
    with pytest.raises(AltegioValidationError, match=which) as caught:
        AltegioClient(server.url, **tokens)
    if isinstance(token, str) and token.strip():
        assert token not in str(caught.value)


@pytest.mark.parametrize("timeout", [0, -1, None, "soon", True, float("nan"), float("inf")])
def test_a_timeout_that_is_none_is_refused(server, new_client, timeout) -> None:
    with pytest.raises(AltegioValidationError, match="timeout"):
        new_client(server.url, timeout=timeout)
