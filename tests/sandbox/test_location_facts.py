"""What v1 tells of locations."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest

from tests.sandbox.wire import HEADERS


@pytest.fixture
def v1(altegio_sandbox):
    """Send a GET to a path of v1; status and JSON come back."""
    address = urlsplit(altegio_sandbox.url)

    def v1(path, headers=HEADERS):
        connection = HTTPConnection(address.hostname, address.port, timeout=10)
        try:
            connection.request("GET", "/api/v1" + path, headers=headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    return v1


def test_a_location_has_a_title_a_time_zone_and_a_currency(v1):
    status, answer = v1("/company/1002")
    assert (status, answer["success"]) == (200, True)
    names = ("id", "title", "timezone_name", "currency_short_title")
    assert [answer["data"][name] for name in names] == [1002, "Brooklyn Barre & Yoga", "America/New_York", "USD"]


def test_all_locations_that_one_has_a_right_to(v1, altegio_sandbox):
    altegio_sandbox.add_location(77, timezone="Asia/Tokyo", currency="JPY")
    altegio_sandbox.add_location(78, forbidden=True)
    _, answer = v1("/companies")
    assert [row["id"] for row in answer["data"]] == [1001, 1002, 1003, 77]
    assert (answer["data"][-1]["timezone_name"], answer["data"][-1]["currency_short_title"]) == ("Asia/Tokyo", "JPY")
    _, page = v1("/companies?page=2&count=3")
    assert [row["id"] for row in page["data"]] == [77]


def test_who_may_not(v1, altegio_sandbox):
    altegio_sandbox.add_location(78, forbidden=True)
    assert v1("/company/78")[0] == 403
    assert v1("/company/79")[0] == 404
    assert v1("/company/1001", {"Accept": HEADERS["Accept"]})[0] == 401


@pytest.mark.parametrize("status", [403, 404])
def test_a_server_that_does_not_allow_it(v1, altegio_sandbox, status):
    altegio_sandbox.switch(missing_routes={"get_location": status, "list_locations": status})
    assert (v1("/company/1001")[0], v1("/companies")[0]) == (status, status)


def test_it_counts_in_the_limit(v1, altegio_sandbox):
    altegio_sandbox.reset(per_second=0, per_minute=1)
    assert [v1("/company/1001")[0] for _ in range(2)] == [200, 429]
