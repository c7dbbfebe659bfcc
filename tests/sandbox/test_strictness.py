"""Odd input gets an answer of the API: never a 500, never a thing half done."""

from __future__ import annotations

import pytest

from tests.sandbox.wire import between, event_body

COMPANIES = "/companies/1001/activities"


@pytest.mark.parametrize(
    "moment",
    ["2026-1-1 1:1:1", "2026-01-01  1:00:00", "0001-01-01 00:00:00", "9999-12-31 00:00:00", "2026-01-01 24:00:00"],
)
def test_a_time_is_written_exactly_as_the_api_says(call, family, moment):
    for query in (between(moment, "2040-01-01 00:00:00"), between("2040-01-01 00:00:00", moment)):
        assert call("GET", family.events(), query=query).status == 422
    answer = call("POST", family.events(), event_body(date=moment))
    assert (answer.status, set(answer.errors)) == (422, {"date"})


@pytest.mark.parametrize("number", ["²", "-1", "1.5", "٣", "9" * 5000])
@pytest.mark.parametrize("name", ["limit", "offset", "filter[capacity]", "filter[master_ids][]"])
def test_a_number_in_a_query_is_digits(call, name, number):
    day = between("2040-01-01 00:00:00", "2040-01-02 00:00:00")
    assert call("GET", COMPANIES, query=[*day, (name, number)]).status == 422


def test_a_number_nobody_has_is_404(call, family):
    assert call("GET", family.event(int("9" * 4000))).status == 404
    assert call("GET", family.events(int("9" * 4000)), query=between(*["2040-01-01 00:00:00"] * 2)).status == 404


def test_a_length_no_clock_can_add(call, family):
    answer = call("POST", family.events(), event_body(length=10**15))
    assert (answer.status, set(answer.errors)) == (422, {"length"})


def test_a_405_says_what_is_allowed(call):
    assert call("PATCH", COMPANIES).headers["allow"]
