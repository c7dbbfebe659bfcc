"""Starting and stopping: as a process for a person, as a thread for tests."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from altegio_provider.sandbox.server import SandboxServer
from tests.sandbox.wire import HEADERS, between


def test_the_command_says_where_it_listens_and_ends_quietly(repository):
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
        process.send_signal(signal.SIGTERM)
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
