"""Tokens go to the server of the base URL and to no other, however a redirect or a base URL is written."""

from __future__ import annotations

import string

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st
from requests.adapters import HTTPAdapter
from urllib3.util import parse_url

from altegio_provider.api.errors import AltegioNotSentError, AltegioResponseError, AltegioValidationError
from altegio_provider.api.urls import is_loopback, origin_of, redirect_target
from tests.unit.api.scripted import redirect

HOME = "http://api.example:8080/api/v2/companies/7/activities/1"
# What a URL's readers take for borders, in pieces that make many URLs nearly right.
_PIECES = st.one_of(
    st.sampled_from(
        [
            *("http:", "https:", "HTTP:", "//", "/", "\\", "@", ":", "?", "#", "[", "]", ";", "..", "."),
            *("%", "%40", "%2f", "%5c", "%00"),
            *("api.example", "API.EXAMPLE", "api.example:8080", ":8080", ":80", "evil.example", "evil.example:8080"),
            *("\t", "\n", "\r", "\x00", "\x01", " ", "\xa0", "\u2028", "\u3002", "\uff0f", "\uff20", "\u2100"),
        ]
    ),
    st.text(string.printable, max_size=4),
    st.text(max_size=3),
)


def connects_to(url: str) -> tuple[str, str, int]:
    """Where requests and urllib3 connect to for a URL, by their own reckoning."""
    request = requests.Request("GET", url).prepare()
    assert request.url is not None
    pool = HTTPAdapter().get_connection_with_tls_context(request, verify=True)
    seen = parse_url(request.url)
    assert (pool.scheme, pool.host, pool.port) == (seen.scheme, (seen.host or "").strip("[]"), seen.port or pool.port)
    return pool.scheme, pool.host.strip("[]"), pool.port


@given(st.lists(_PIECES, min_size=1, max_size=10).map("".join))
@example("http://evil.example\\@api.example:8080/x")
@example("http://evil.example:8080\\@api.example:8080/x")
@example("http://evil.example#@api.example:8080/")
@example("http://api.example:8080@evil.example/")
@example("//evil.example\t@api.example:8080/")
@example("///evil.example/")
@example("http:///evil.example/")
@example("\\\\evil.example/")
@example("http://api.example:8080\uff0fx")
def test_what_is_taken_for_home_is_where_the_connection_goes(location) -> None:
    try:
        target = redirect_target(HOME, location)
        origin = origin_of(target)
    except ValueError:
        return
    assert connects_to(target) == origin
    # Prepared once more, as a request in its own right, it is still the same.
    assert connects_to(requests.Request("GET", target).prepare().url or "") == origin


@pytest.mark.parametrize(
    "location", ["/x", "x?page=2", "//api.example:8080/x", "HTTP://API.example:8080/x", "?a=%5C@b"]
)
def test_an_honest_redirect_leads_home(location) -> None:
    assert origin_of(redirect_target(HOME, location)) == origin_of(HOME)


def test_letters_in_a_redirect_are_read_as_utf_8() -> None:
    target = redirect_target(HOME, "/класс".encode().decode("latin-1"))
    assert target == "http://api.example:8080/класс"


@pytest.mark.parametrize(
    "form",
    [
        "http://127.0.0.1:{evil}\\@127.0.0.1:{home}/x",
        "http://127.0.0.1:{evil}/\\@127.0.0.1:{home}/x",
        "//127.0.0.1:{evil}\\@127.0.0.1:{home}/x",
        "http://127.0.0.1:{home}@127.0.0.1:{evil}/x",
        "http://user:password@127.0.0.1:{home}/x",
        "http://127.0.0.1:{evil}#@127.0.0.1:{home}/x",
        "http://127.0.0.1:{evil}?@127.0.0.1:{home}/x",
        "http://127.0.0.1:{evil}\t@127.0.0.1:{home}/x",
        "http://127.0.0.1:{home}\x01/x",
        "\\\\127.0.0.1:{evil}/x",
        "/\\127.0.0.1:{evil}/x",
        "https://127.0.0.1:{home}/x",
    ],
)
def test_no_redirect_takes_the_tokens_anywhere_else(server, client, new_server, form) -> None:
    evil = new_server()
    server.otherwise = redirect(302, form.format(evil=evil.port, home=server.port))
    with pytest.raises(AltegioResponseError, match="redirects to") as caught:
        client.get_event(7, 1)
    assert not caught.value.transient
    assert evil.connections == 0
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://evil.example\\.api.example/api/v2",
        "https://evil.example\\/api/v2",
        "https://api.example\u200b/api/v2",
        "https://api.example/api\r\n/v2",
        "https://api.example:0/api/v2",
        "https://*.example/api/v2",
    ],
)
def test_a_base_url_that_can_be_read_in_two_ways_is_refused(new_client, url) -> None:
    with pytest.raises(AltegioValidationError, match="base_url"):
        new_client(url)


@pytest.mark.parametrize(
    "url",
    ["http://api.alteg.io/api/v2", "http://10.0.0.5/api/v2", "http://sandbox:8089/api/v2", "http://0.0.0.0/api/v2"],
)
def test_tokens_are_not_sent_unencrypted_unless_asked(new_client, url) -> None:
    with pytest.raises(AltegioValidationError, match=r"unencrypted.*`allow_http`") as caught:
        new_client(url)
    assert "base_url" in caught.value.errors
    new_client(url, allow_http=True)


@pytest.mark.parametrize("url", ["http://localhost:1/api/v2", "http://127.8.9.1/api/v2", "http://[::1]:5/api/v2"])
def test_this_machine_is_spoken_to_without_encryption(new_client, url) -> None:
    new_client(url)


def test_allow_http_must_be_true_or_false(new_client) -> None:
    with pytest.raises(AltegioValidationError, match="allow_http"):
        new_client("http://sandbox/api/v2", allow_http="false")


def test_http_works_where_it_is_allowed(server, new_client) -> None:
    client = new_client(f"http://0.0.0.0:{server.port}/api/v2", allow_http=True)
    assert client.get_event(7, 1) == {"id": 1}


def test_what_goes_to_this_machine_goes_past_the_proxies(server, new_client, new_server, monkeypatch) -> None:
    proxy = new_server()
    for name in ("HTTP_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, proxy.origin)
    new_client(server.url).get_event(7, 1)
    assert (len(server.requests), proxy.connections) == (1, 0)


def test_the_last_look_is_at_the_request_itself(server, new_transport, monkeypatch) -> None:
    """Whatever changes a request on its way, the tokens stay at home."""
    transport = new_transport(server.url)
    prepare = requests.Session.prepare_request

    def led_astray(session, request):
        request.url = request.url.replace("127.0.0.1", "localhost")
        return prepare(session, request)

    monkeypatch.setattr(requests.Session, "prepare_request", led_astray)
    with pytest.raises(AltegioNotSentError, match="another server"):
        transport.request("GET", "/companies/7/activities/1")
    assert server.connections == 0


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("::1", True), ("localhost", True), ("localhost.example", False), ("a.localhost", False)],
)
def test_loopback(host, expected) -> None:
    assert is_loopback(host) is expected
