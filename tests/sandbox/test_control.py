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
            connection.request(method, "/_sandbox" + path, content)
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
    ],
)
def test_a_mistake_is_named(control, method, path, content, status, says):
    answer = control(method, path, content)
    assert answer[0] == status
    assert says in answer[1]["message"]


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
