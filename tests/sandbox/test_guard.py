"""Who is answered: programs that speak to the sandbox by its own name, and no web page that a browser shows."""

from __future__ import annotations

import json
import subprocess
import sys
from http.client import HTTPConnection
from urllib.parse import urlencode, urlsplit

import pytest

from altegio_provider.sandbox.server import SandboxServer
from altegio_provider.sandbox.settings import Sandbox
from tests.sandbox.wire import HEADERS, Answer, between

ANYWHERE = "0.0.0.0"  # noqa: S104 - what compose listens at
JSON = {"Content-Type": "application/json"}


def ask(url, method, path, content=None, headers=(), host=None):
    """Send a request whose headers are these and no others; the answer comes back."""
    address = urlsplit(url)
    connection = HTTPConnection(address.hostname, address.port, timeout=10)
    try:
        connection.putrequest(method, path, skip_host=host is not None, skip_accept_encoding=True)
        for one in [host] if isinstance(host, str) else host or ():
            connection.putheader("Host", one)
        for name, value in dict(headers).items():
            connection.putheader(name, value)
        if content is not None:
            connection.putheader("Content-Length", str(len(content)))
        connection.endheaders(content)
        answer = connection.getresponse()
        return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read())
    finally:
        connection.close()


CONTROL = [
    ("GET", "/stats", None),
    ("POST", "/reset", b"{}"),
    ("POST", "/clock", b'{"advance_seconds": 1}'),
    ("POST", "/faults", b'{"effect": "html"}'),
    ("DELETE", "/faults", None),
    ("POST", "/locations", b'{"id": 5}'),
    ("POST", "/events", b'[{"location_id": 1001, "date": "2040-05-01 10:00:00"}]'),
    ("PUT", "/events", b"[]"),
    ("DELETE", "/events/1001/5", None),
    ("GET", "/truth/1001", None),
]
ELSEWHERE = [
    {"host": "rebound.example"},
    {"host": "rebound.example:8089"},
    {"host": "127.0.0.1.rebound.example"},
    {"host": "127.0.0.1@rebound.example"},
    {"host": "10.0.0.7:8089"},
    {"host": "0.0.0.0:8089"},
    {"host": ""},
    {"host": ["127.0.0.1", "rebound.example"]},
    {"headers": {"Origin": "https://page.example"}},
    {"headers": {"Origin": "null"}},
    {"headers": {"Origin": "http://127.0.0.1:1"}},
    {"headers": {"Sec-Fetch-Site": "cross-site"}},
    {"headers": {"Sec-Fetch-Site": "same-site"}},
]


@pytest.mark.parametrize(("method", "path", "content"), CONTROL)
@pytest.mark.parametrize("sent", ELSEWHERE, ids=str)
def test_no_route_of_the_control_plane_answers_a_web_page(altegio_sandbox, method, path, content, sent):
    before = altegio_sandbox.truth(1001)
    headers = {**(JSON if content else {}), **sent.get("headers", {})}
    answer = ask(altegio_sandbox.url, method, "/_sandbox" + path, content, headers, sent.get("host"))
    assert answer.status in (400, 403)  # 400: the server itself refuses two names
    assert altegio_sandbox.truth(1001) == before
    assert altegio_sandbox.stats()["requests"] == 0


def test_a_refusal_names_the_host_and_the_option_that_lets_it_in(altegio_sandbox):
    answer = ask(altegio_sandbox.url, "GET", "/_sandbox/stats", host="sandbox:8089")
    assert answer.status == 403
    assert "'sandbox'" in answer.json["message"]
    assert "--allowed-host sandbox" in answer.json["message"]


@pytest.mark.parametrize("sent", ELSEWHERE, ids=str)
@pytest.mark.parametrize("path", ["/api/v2/companies/1001/activities", "/openapi.yaml", "/nothing"])
def test_neither_does_the_imitated_api_nor_anything_else(altegio_sandbox, path, sent):
    query = urlencode(between("2040-05-01 00:00:00", "2040-05-02 00:00:00"))
    headers = {**HEADERS, **sent.get("headers", {})}
    answer = ask(altegio_sandbox.url, "GET", f"{path}?{query}", headers=headers, host=sent.get("host"))
    assert answer.status in (400, 403)
    assert altegio_sandbox.stats()["requests"] == 0


def test_the_api_refuses_in_its_own_form(altegio_sandbox):
    answer = ask(altegio_sandbox.url, "GET", "/api/v2/locations/1001/events", headers=HEADERS, host="sandbox")
    assert answer.json["success"] is False
    assert "--allowed-host sandbox" in answer.json["meta"]["message"]


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:9", "localhost:8089", "LOCALHOST", "127.8.9.1", "[::1]:8089"])
def test_programs_of_this_machine_are_answered_by_any_of_its_names(altegio_sandbox, host):
    assert ask(altegio_sandbox.url, "GET", "/_sandbox/stats", host=host).status == 200
    headers = {"Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert ask(altegio_sandbox.url, "GET", "/_sandbox/stats", headers=headers, host=host).status == 200
    assert ask(altegio_sandbox.url, "GET", "/_sandbox/stats", headers={"Sec-Fetch-Site": "none"}).status == 200


@pytest.mark.parametrize(
    "kind",
    [
        "text/plain",
        "text/plain;charset=application/json",
        "application/x-www-form-urlencoded",
        "multipart/form-data",
        "",
    ],
)
@pytest.mark.parametrize(("method", "path", "content"), [one for one in CONTROL if one[2]])
def test_a_body_says_that_it_is_json(altegio_sandbox, method, path, content, kind):
    answer = ask(altegio_sandbox.url, method, "/_sandbox" + path, content, {"Content-Type": kind} if kind else {})
    assert answer.status == 415
    assert "Content-Type: application/json" in answer.json["message"]
    json_with_charset = {"Content-Type": "Application/JSON; charset=utf-8"}
    assert ask(altegio_sandbox.url, method, "/_sandbox" + path, content, json_with_charset).status == 200


def test_a_request_without_a_body_needs_no_type(altegio_sandbox):
    assert ask(altegio_sandbox.url, "POST", "/_sandbox/reset").status == 200


@pytest.mark.parametrize("header", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "X-Forwarded-Host"])
def test_what_a_proxy_passes_on_does_not_reach_the_control_plane(altegio_sandbox, header):
    answer = ask(altegio_sandbox.url, "GET", "/_sandbox/stats", headers={header: "127.0.0.1"})
    assert answer.status == 403
    assert "proxy" in answer.json["message"]


def test_a_proxy_header_does_not_change_whose_requests_are_counted(altegio_sandbox):
    altegio_sandbox.reset(per_second=2)
    path = "/api/v2/locations/1001/events/1"
    statuses = [
        ask(altegio_sandbox.url, "GET", path, headers={**HEADERS, "X-Forwarded-For": f"10.0.0.{n}"}).status
        for n in range(3)
    ]
    assert statuses == [200, 200, 429]


def test_further_names_are_let_in_by_an_option():
    with SandboxServer(Sandbox(), allowed_hosts=("Sandbox", "10.0.0.7")) as server:
        for host, status in (("sandbox:8089", 200), ("10.0.0.7", 200), ("sandbox.example", 403), ("10.0.0.8", 403)):
            assert ask(server.root, "GET", "/_sandbox/stats", host=host).status == status
        own = {"Origin": "http://sandbox:8089"}
        assert ask(server.root, "GET", "/_sandbox/stats", headers=own, host="sandbox:8089").status == 200


@pytest.mark.parametrize(
    ("options", "let_in", "refused"),
    [
        (
            ("--host", ANYWHERE, "--allowed-host", "sandbox", "--allowed-host", "box"),
            ("sandbox", "box:1", ANYWHERE),
            "x",
        ),
        (("--host", "localhost"), ("localhost",), "sandbox"),
    ],
)
def test_the_command_has_that_option(repository, options, let_in, refused):
    command = [sys.executable, "-m", "altegio_provider.sandbox", "--port", "0", *options]
    process = subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, text=True)
    try:
        port = urlsplit(process.stdout.readline().split()[-1]).port
        url = f"http://127.0.0.1:{port}"
        for host in let_in:
            assert ask(url, "GET", "/_sandbox/stats", host=host).status == 200
        assert ask(url, "GET", "/_sandbox/stats", host=refused).status == 403
    finally:
        process.terminate()
        process.communicate(timeout=10)


@pytest.mark.parametrize("name", ["", "sand box", "http://sandbox", "sandbox:8089", "*"])
def test_an_allowed_host_is_a_name_and_nothing_else(repository, name):
    command = [sys.executable, "-m", "altegio_provider.sandbox", "--port", "0", "--allowed-host", name]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 2
    assert "--allowed-host" in done.stderr
    assert "host name or address" in done.stderr


def test_compose_lets_its_own_name_in(repository):
    import yaml

    services = yaml.safe_load((repository / "docker-compose.yaml").read_text())["services"]
    assert "--allowed-host sandbox" in services["sandbox"]["command"]


def test_an_answer_for_a_web_page_shows_nothing_of_it(altegio_sandbox):
    host = "x" * 2000 + ".example"
    answer = ask(altegio_sandbox.url, "GET", "/_sandbox/stats", host=host)
    assert len(answer.content) < 400
    assert json.loads(answer.content)["message"]
