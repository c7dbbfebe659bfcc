"""Where the suite points, and what it may do there."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import requests

from tests.contract.target import named_in_environment
from tests.contract.wiretap import Wiretap

COMPANIONS = {"PARTNER_TOKEN": "p", "USER_TOKEN": "u", "LOCATION_ID": "17"}


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in ("URL", "WRITE", "FAMILIES", "STAFF_ID", "SERVICE_ID", *COMPANIONS):
        monkeypatch.delenv(f"ALTEGIO_CONTRACT_{name}", raising=False)

    def named(**values):
        for name, value in values.items():
            monkeypatch.setenv(f"ALTEGIO_CONTRACT_{name}", value)
        return named_in_environment()

    return named


def test_without_a_url_there_is_the_sandbox_alone(environment):
    assert environment(**COMPANIONS) is None


def test_a_named_target_is_only_read_unless_writing_is_asked_for(environment):
    target = environment(URL="https://api.alteg.io/api/v2/", **COMPANIONS)
    assert (target.url, target.location_id, target.may_write) == ("https://api.alteg.io/api/v2", 17, False)
    assert not target.is_sandbox
    assert not target.is_mock
    assert environment(WRITE="1").may_write
    assert environment(FAMILIES="companies").families == ("companies",)


def test_the_mock_of_the_portal_is_known_for_one(environment):
    assert environment(URL="https://developer.alteg.io/_mock/en/b2b-v2/openapi", **COMPANIONS).is_mock


@pytest.mark.parametrize("name", COMPANIONS)
def test_a_missing_companion_is_named(environment, name):
    given = {key: value for key, value in COMPANIONS.items() if key != name}
    with pytest.raises(pytest.UsageError, match=f"ALTEGIO_CONTRACT_{name}"):
        environment(URL="https://api.alteg.io/api/v2", **given)


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_where_nothing_may_be_changed_no_write_gets_through(altegio_sandbox, method):
    with Wiretap(altegio_sandbox.url, may_write=False) as tap, requests.Session() as session:
        session.trust_env = False
        with pytest.raises(requests.ConnectionError):
            session.request(method, f"{tap.url}/companies/1001/activities/1", json={}, timeout=10)
        assert session.get(f"{tap.url}/companies/1001/activities/1", timeout=10).status_code == 400
    assert altegio_sandbox.stats()["requests"] == 1


def test_pointed_at_a_server_the_suite_passes_and_changes_nothing(altegio_sandbox, repository):
    env = os.environ | {
        "ALTEGIO_CONTRACT_URL": altegio_sandbox.url,
        "ALTEGIO_CONTRACT_PARTNER_TOKEN": altegio_sandbox.partner_token,
        "ALTEGIO_CONTRACT_USER_TOKEN": altegio_sandbox.user_token,
        "ALTEGIO_CONTRACT_LOCATION_ID": "1001",
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "tests/contract/test_answers.py",
        "-k",
        "live and good_request and companies",
        "-p",
        "no:cacheprovider",
    ]
    done = subprocess.run(command, cwd=repository, env=env, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    routes = {answer["route"].split(".")[1] for answer in altegio_sandbox.stats()["answers"]}
    assert routes == {"list_activities", "get_event"}
