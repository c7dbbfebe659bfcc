"""Which server is imitated: set by a test, by the command, and gone with a reset."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import fields
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from altegio_provider.sandbox.switches import AUTUMN, OLDER, Switches, switched
from tests.sandbox.wire import HEADERS, between, event_body

DAY = between("2040-05-01 00:00:00", "2040-05-02 00:00:00")
COMPANIES = "/companies/1001/activities"


def test_a_switch_holds_until_the_reset(call, altegio_sandbox):
    altegio_sandbox.switch(bracket_include="refused")
    query = [*DAY, ("include[]", "staff")]
    assert call("GET", "/locations/1001/events", query=query).status == 422
    altegio_sandbox.reset()
    assert call("GET", "/locations/1001/events", query=query).status == 200


def test_a_server_is_named_and_single_points_differ_from_it():
    assert switched(AUTUMN, {"server": "older"}) == OLDER
    assert switched(OLDER, {"server": "autumn"}) == AUTUMN
    mixed = switched(AUTUMN, {"server": "older", "deleted_field": True})
    assert mixed.deleted_field
    assert mixed.include_deleted == OLDER.include_deleted
    assert switched(mixed, {"bare_include": "last"}).include_deleted == OLDER.include_deleted


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"server": "newer"}, "server"),
        ({"bulk": True}, "bulk"),
        ({"bare_include": "first"}, "bare_include"),
        ({"bare_include": ["all"]}, "bare_include"),
        ({"move_rules": "no"}, "move_rules"),
        ({"untyped": "staff"}, "untyped"),
        ({"companies_limit": -1}, "companies_limit"),
        ({"companies_limit": True}, "companies_limit"),
        ({"missing_routes": {"duplicate_event": 500}}, "missing_routes"),
        ({"missing_routes": ["duplicate_event"]}, "missing_routes"),
    ],
)
def test_a_mistake_is_named_and_changes_nothing(altegio_sandbox, given, says):
    with pytest.raises(ValueError, match=says):
        altegio_sandbox.switch(**given)


def test_every_switch_is_in_the_documentation(repository):
    page = (repository / "docs" / "sandbox.md").read_text()
    assert [one.name for one in fields(Switches) if f"| `{one.name}` |" not in page] == []


@pytest.mark.parametrize(("form", "status", "rows"), [("cap", 200, 2), ("refuse", 422, 0)])
def test_companies_can_have_a_largest_page(call, altegio_sandbox, form, status, rows):
    altegio_sandbox.add_events(1001, [{"date": f"2040-05-01 1{n}:00:00"} for n in range(4)])
    assert len(call("GET", COMPANIES, query=[*DAY, ("limit", 3)]).json["data"]) == 3
    altegio_sandbox.switch(companies_limit=2, over_limit=form)
    answer = call("GET", COMPANIES, query=[*DAY, ("limit", 3)])
    assert answer.status == status
    if status == 200:
        assert len(answer.json["data"]) == rows
        assert answer.json["meta"]["pagination"]["limit"] == 2
    assert len(call("GET", COMPANIES, query=[*DAY, ("limit", 2)]).json["data"]) == 2


def test_errors_as_a_jsonapi_array(call, altegio_sandbox):
    altegio_sandbox.switch(error_form="jsonapi")
    body = event_body(length=1)
    (error,) = call("POST", "/locations/1001/events", body).json["errors"]
    assert error["source"] == {"pointer": "/length"}
    assert error["title"]
    assert error["detail"]
    (error,) = call("GET", "/locations/1001/events", query=[*DAY, ("limit", 0)]).json["errors"]
    assert error["source"] == {"parameter": "limit"}
    (error,) = call("GET", "/locations/1001/events/777777777").json["errors"]
    assert error == {"title": "The event was not found"}
    assert "meta" in call("GET", "/companies/1001/activities/777777777").json
    assert "meta" in call("DELETE", "/locations/1001/appointments/5").json


def test_the_command_imitates_an_older_server(repository):
    command = [sys.executable, "-m", "altegio_provider.sandbox", "--port", "0", "--server", "older"]
    command += ["--switch", "bare_include=last", "--switch", 'missing_routes={"get_location": 403}']
    process = subprocess.Popen(command, cwd=repository, stdout=subprocess.PIPE, text=True)
    try:
        found = re.search(r"http://[^/]+", process.stdout.readline())
        address = urlsplit(found[0])
        connection = HTTPConnection(address.hostname, address.port, timeout=10)
        connection.request("GET", "/_sandbox/switches")
        switches = json.loads(connection.getresponse().read())
        assert (switches["include_deleted"], switches["bare_include"]) == ("refused", "last")
        connection.request("POST", "/_sandbox/reset")
        connection.getresponse().read()
        connection.request("GET", "/api/v1/company/1001", headers=HEADERS)
        assert connection.getresponse().status == 403
        connection.close()
    finally:
        process.terminate()
        process.wait(10)
        process.stdout.close()


def test_the_command_names_a_wrong_switch(repository):
    command = [sys.executable, "-m", "altegio_provider.sandbox", "--switch", "bulk=404"]
    done = subprocess.run(command, cwd=repository, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "unknown switches: bulk" in done.stderr
