"""Starting and stopping: as a process for a person, as a thread for tests."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
import time
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from altegio_provider.sandbox.faults import Rule
from altegio_provider.sandbox.server import SandboxServer
from tests.sandbox.wire import HEADERS, between


@pytest.mark.parametrize("end", [signal.SIGINT, signal.SIGTERM])
def test_the_command_says_where_it_listens_and_ends_quietly(repository, end):
    command = [sys.executable, "-m", "altegio_provider.sandbox", "--port", "0", "--no-limits", "--seed", "3"]
    process = subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        line = process.stdout.readline()
        found = re.fullmatch(r"Altegio sandbox on (http://127\.0\.0\.1:\d+/api/v2)\n", line)
        assert found, line
        address = urlsplit(found[1])
        connection = HTTPConnection(address.hostname, address.port, timeout=10)
        connection.request("GET", address.path + "/locations/1/events", headers=HEADERS)
        assert connection.getresponse().status == 404
        connection.close()
    finally:
        process.send_signal(end)
        _, errors = process.communicate(timeout=10)
    assert errors == ""


def test_a_server_in_a_thread_starts_answers_and_goes(capfd):
    before = threading.active_count()
    with SandboxServer() as server:
        address = urlsplit(server.url)
        assert address.hostname == "127.0.0.1"
        connection = HTTPConnection(address.hostname, address.port, timeout=10)
        query = "&".join(f"{name}={value.replace(' ', '%20')}" for name, value in between(*["2040-05-01 00:00:00"] * 2))
        connection.request("GET", f"{address.path}/companies/1001/activities?{query}", headers=HEADERS)
        assert json.loads(connection.getresponse().read())["data"] == []
    connection.close()
    assert threading.active_count() == before
    assert capfd.readouterr() == ("", "")
    with pytest.raises(ConnectionRefusedError):
        HTTPConnection(address.hostname, address.port, timeout=2).request("GET", "/")


def test_the_plugin_is_light():
    program = (
        "import sys, altegio_provider.sandbox.pytest_plugin\n"
        "print([name for name in ('fastapi', 'starlette', 'uvicorn', 'orjson', 'pydantic') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_the_fixture_gives_an_airflow_connection(altegio_sandbox):
    connection = json.loads(altegio_sandbox.airflow_connection(timezone="Europe/Riga"))
    assert connection["host"] == altegio_sandbox.url
    assert connection["extra"]["timezone"] == "Europe/Riga"


@pytest.mark.parametrize("protocol", ["h11", "httptools"])
def test_answers_break_under_either_parser(protocol):
    """Airflow brings httptools; a plain uvicorn has h11."""
    program = f"""
import sys
if "{protocol}" == "h11":
    sys.modules["httptools"] = None
from http.client import HTTPConnection, RemoteDisconnected, IncompleteRead
from urllib.parse import urlsplit
from altegio_provider.sandbox.pytest_plugin import RunningSandbox
from altegio_provider.sandbox.faults import Rule
from altegio_provider.sandbox.server import SandboxServer
with SandboxServer() as server:
    running = RunningSandbox(server)
    address = urlsplit(running.url)
    running.reset(per_second=0, per_minute=0)
    lost = (RemoteDisconnected, ConnectionResetError)
    for effect, expected in (("lose_answer_after", lost), ("truncate", IncompleteRead)):
        running.fault(effect, times=1)
        connection = HTTPConnection(address.hostname, address.port, timeout=5)
        connection.request("GET", address.path + "/locations/1/events")
        try:
            connection.getresponse().read()
        except expected:
            print("broken")
        connection.close()
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("broken\nbroken\n", "")


def test_a_hanging_answer_does_not_hold_up_the_end(capfd):
    with SandboxServer() as server:
        server.sandbox.faults.rules.append(Rule.of({"effect": "hang", "seconds": 600}))
        address = urlsplit(server.url)
        connection = HTTPConnection(address.hostname, address.port, timeout=0.2)
        connection.request("GET", f"{address.path}/locations/1001/events", headers=HEADERS)
        with pytest.raises(TimeoutError):
            connection.getresponse()
        connection.close()
    assert capfd.readouterr() == ("", "")


def test_small_answers_are_not_held_back(altegio_sandbox):
    """Nagle's algorithm would wait for the caller's delayed acknowledgement, 40 ms for each answer."""
    address = urlsplit(altegio_sandbox.url)
    connection = HTTPConnection(address.hostname, address.port, timeout=10)
    began = time.monotonic()
    for _ in range(50):
        connection.request("GET", f"{address.path}/locations/1/events", headers=HEADERS)
        connection.getresponse().read()
    connection.close()
    assert time.monotonic() - began < 1.0  # 2 s when each one waits
