"""The control plane: for this machine alone, and clear about mistakes."""

from __future__ import annotations

import json
from http.client import HTTPConnection
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altegio_provider.sandbox.control import _loopback_alone, _Mistake
from altegio_provider.sandbox.limits import busiest
from tests.sandbox.wire import between


@pytest.fixture
def control(altegio_sandbox):
    """Send a request to the control plane; status and JSON come back."""
    address = urlsplit(altegio_sandbox.url)

    def control(method, path, content=None):
        connection = HTTPConnection(address.hostname, address.port, timeout=10)
        try:
            connection.request(method, "/_sandbox" + path, content, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    return control


@pytest.mark.parametrize(
    ("method", "path", "content", "status", "says"),
    [
        ("GET", "/truth/5", None, 404, "no location 5"),
        ("DELETE", "/events/1001/5", None, 404, "no event 5"),
        ("POST", "/events", "[", 400, "not JSON"),
        ("POST", "/events", "{}", 400, "kind"),
        ("POST", "/events", '[{"location_id": 5, "date": "2040-01-01"}]', 404, "no location 5"),
        ("POST", "/reset", '{"sped": 1}', 400, "sped"),
        ("POST", "/faults", '{"effect": "status", "tims": 2}', 400, "tims"),
        ("POST", "/faults", "[1]", 400, ""),
        ("POST", "/events", '[{"date": "2040-01-01"}]', 400, "location_id"),
        ("POST", "/events", '[{"location_id": 1001}]', 400, "date"),
        ("POST", "/events", '[{"location_id": 1001, "date": "soon"}]', 400, "date"),
        ("POST", "/events", '[{"location_id": 1001, "date": 5}]', 400, "date"),
        ("POST", "/events", '[{"location_id": 1001, "date": "2040-01-01", "id": "x"}]', 400, "id"),
        ("POST", "/events", '[{"location_id": null, "date": "2040-01-01"}]', 400, "location_id"),
        ("POST", "/events", "[1]", 400, "object"),
        ("POST", "/locations", "{}", 400, "id"),
        ("POST", "/locations", '{"id": "x"}', 400, "id"),
        ("POST", "/locations", '{"id": 5, "timezone": "Mars/Olympus"}', 400, "timezone"),
        ("POST", "/locations", '{"id": 5, "staff": [{}]}', 400, "staff"),
    ],
)
def test_a_mistake_is_named(control, method, path, content, status, says):
    answer = control(method, path, content)
    assert answer[0] == status
    assert says in answer[1]["message"]


def test_an_event_that_is_there_is_not_replaced(control, altegio_sandbox, call):
    row = {"location_id": 1001, "id": 77, "date": "2040-05-01 10:00:00", "comment": "first"}
    assert control("POST", "/events", json.dumps([row]))[0] == 200
    new = {**row, "id": 78}
    for rows in ([{**row, "comment": "second"}], [new, row], [new, new]):
        status, said = control("POST", "/events", json.dumps(rows))
        assert status == 409
        assert str(rows[-1]["id"]) in said["message"]
    assert [one["id"] for one in altegio_sandbox.truth(1001)["events"]] == [77]
    altegio_sandbox.delete_event(1001, 77)  # softly: it can still be read
    assert control("POST", "/events", json.dumps([row]))[0] == 409
    assert call("GET", "/companies/1001/activities/77").json["data"]["comment"] == "first"
    with pytest.raises(ValueError, match="event 77"):
        altegio_sandbox.add_events(1001, [row])
    altegio_sandbox.add_events(1002, [{**row, "location_id": 1002}])  # each location has numbers of its own


def test_neither_is_one_of_the_seed_whose_day_nobody_has_asked_for_yet(control, altegio_sandbox, call):
    day = between("2026-05-04 00:00:00", "2026-05-05 00:00:00")
    known = call("GET", "/companies/1001/activities", query=day).json["data"]
    altegio_sandbox.reset()
    row = {"location_id": 1001, "id": known[0]["id"], "date": "2040-05-01 10:00:00"}
    assert control("POST", "/events", json.dumps([row]))[0] == 409
    assert call("GET", "/companies/1001/activities", query=day).json["data"] == known


def test_a_number_that_was_given_to_an_event_goes_to_no_other(altegio_sandbox):
    first = altegio_sandbox.add_events(1001, [{"date": "2040-05-01 10:00:00"}])[0]
    taken = [first + 1, first + 2]
    altegio_sandbox.add_events(1001, [{"date": "2040-05-01 11:00:00", "id": number} for number in taken])
    ids = altegio_sandbox.add_events(1001, [{"date": "2040-05-01 12:00:00"}] * 3)
    assert len({first, *taken, *ids}) == 6
    assert len(altegio_sandbox.truth(1001)["events"]) == 6


def test_an_event_is_replaced_where_that_is_asked_for(control, altegio_sandbox, call):
    day = between("2026-05-04 00:00:00", "2026-05-05 00:00:00")
    made = call("GET", "/companies/1001/activities", query=day).json["data"][0]["id"]
    altegio_sandbox.reset()
    altegio_sandbox.add_events(1001, [{"id": 10**6, "date": "2040-05-01 10:00:00"}])
    altegio_sandbox.delete_event(1001, 10**6)
    row = {"location_id": 1001, "date": "2040-05-01 11:00:00", "comment": "moved"}
    assert control("PUT", "/events", json.dumps([{**row, "id": number} for number in (made, 10**6)]))[0] == 200
    moved = call("GET", "/companies/1001/activities", query=between("2040-05-01 00:00:00", "2040-05-02 00:00:00"))
    assert {(one["id"], one["comment"]) for one in moved.json["data"]} == {(made, "moved"), (10**6, "moved")}
    assert made not in {one["id"] for one in call("GET", "/companies/1001/activities", query=day).json["data"]}
    for number, status in ((5_000_000, 404), (900_000_001, 404)):
        assert control("PUT", "/events", json.dumps([{**row, "id": 10**6}, {**row, "id": number}]))[0] == status
    assert control("PUT", "/events", json.dumps([{**row, "id": 10**6}] * 2))[0] == 409


@pytest.mark.parametrize(
    ("address", "let_in"),
    [("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("::ffff:127.0.0.1", True), ("10.0.0.7", False), ("", 0)],
)
def test_only_this_machine_is_let_in(address, let_in):
    from fastapi import Request

    request = Request({"type": "http", "client": (address, 1) if address else None})
    if let_in:
        _loopback_alone(request)
    else:
        with pytest.raises(_Mistake) as refused:
            _loopback_alone(request)
        assert refused.value.status == 403


def test_the_truth_says_at_which_request_a_row_came_and_went(call, altegio_sandbox):
    old = altegio_sandbox.add_events(1001, [{"date": "2040-05-01 10:00:00"}])[0]
    altegio_sandbox.fault("churn", nth=2, inserts=1, deletes=1)
    day = between("2040-05-01 00:00:00", "2040-05-02 00:00:00")
    for offset in (0, 1):
        call("GET", "/companies/1001/activities", query=[*day, ("offset", offset)])
    events = {one["id"]: one for one in altegio_sandbox.truth(1001)["events"]}
    new = next(number for number in events if number != old)
    assert (events[old]["created_by"], events[old]["deleted_by"]) == (0, 2)
    assert (events[new]["created_by"], events[new]["deleted_by"]) == (2, 0)


@given(st.lists(st.integers(0, 400), max_size=60), st.sampled_from([8, 80]))
def test_the_busiest_window(moments, window):
    moments.sort()
    slow = max((sum(at - window < other <= at for other in moments) for at in moments), default=0)
    assert busiest([float(at) for at in moments], float(window)) == slow
