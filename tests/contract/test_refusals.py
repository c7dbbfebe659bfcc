"""Every documented refusal of every operation, as raw HTTP."""

from __future__ import annotations

from datetime import timedelta
from email.utils import parsedate_to_datetime

import pytest

from tests.contract.contract import OPERATIONS
from tests.contract.requester import NOBODY

_FORBIDDEN = 4001


def without_accept(requester, operation, _):
    return requester.send_good(operation, headers={"Accept": None})


def with_a_wrong_token(requester, operation, _):
    wrong = f"Bearer {requester.target.partner_token}, User nobody"
    return requester.send_good(operation, headers={"Authorization": wrong})


def with_an_expired_licence(requester, operation, sandbox):
    sandbox.fault("status", status=402, route=operation.name)
    return requester.send(operation, **requester.good(operation).ids)


def in_a_location_of_others(requester, operation, sandbox):
    if "{location_id}" not in operation.path:
        sandbox.switch(missing_routes={operation.name: 403})
        return requester.send_good(operation)
    sandbox.add_location(_FORBIDDEN, forbidden=True)
    return requester.send_good(operation, location_id=_FORBIDDEN)


def in_no_location(requester, operation, _):
    return requester.send_good(operation, location_id=NOBODY)


def while_the_team_member_is_busy(requester, operation, _):
    body = requester.event_body()
    event_id = requester.event(**body)
    if operation.name == "duplicate_event":
        copies = {"dates": [body["date"].replace(" ", "T")], "content_type": 1}
        return requester.send_good(operation, body=copies, event_id=event_id)
    return requester.send_good(operation, body=body)


def in_another_language(requester, operation, _):
    return requester.send_good(operation, body=b"staff_id=1", headers={"Content-Type": "text/plain"})


def with_wrong_values(requester, operation, _):
    if operation.writes:
        return requester.send_good(operation, body={})
    if operation.name == "list_activities":
        return requester.send_good(operation, query=[*requester.ahead(), ("limit", 0)])
    wrong = {"get_event": ("include[]", "weather"), "list_locations": ("count", 0)}
    return requester.send_good(operation, query=[wrong.get(operation.name, ("limit", 251))])


def too_often(requester, operation, sandbox):
    good = requester.good(operation)
    sandbox.reset(per_minute=1)
    requester.send(operation, good.body, query=good.query, **good.ids)
    return requester.send(operation, good.body, query=good.query, **good.ids)


def of_a_failing_server(requester, operation, sandbox):
    good = requester.good(operation)
    for status, body in ((500, "object"), (502, "html"), (504, "empty")):
        sandbox.fault("status", status=status, body=body, route=operation.name)
        answer = requester.send(operation, good.body, query=good.query, **good.ids)
        assert answer.status_code == status
        sandbox.clear_faults()
    return answer


WAYS = {
    "400": without_accept,
    "401": with_a_wrong_token,
    "402": with_an_expired_licence,
    "403": in_a_location_of_others,
    "404": in_no_location,
    "409": while_the_team_member_is_busy,
    "415": in_another_language,
    "422": with_wrong_values,
    "429": too_often,
    "5XX": of_a_failing_server,
}
#: What a real location cannot be brought to, or may answer otherwise.
_OF_THE_SANDBOX = {"402", "403", "404", "415", "429", "5XX"}

each_refusal = pytest.mark.parametrize(
    ("family", "operation", "status"),
    [
        pytest.param(one.family, one, status, id=f"{one.id}-{status}")
        for one in OPERATIONS.values()
        for status in one.statuses
        if not status.startswith("2")
    ],
    indirect=["family"],
)


@each_refusal
@pytest.mark.usefixtures("memory")
def test_every_documented_refusal_comes_about(request, requester, target, operation, status):
    sandbox = request.getfixturevalue("sandbox") if status in _OF_THE_SANDBOX else None
    answer = WAYS[status](requester, operation, sandbox)
    assert status in (str(answer.status_code), f"{answer.status_code // 100}XX"), answer.text


@pytest.mark.usefixtures("memory")
class TestNotFound:
    """The things that may not be there."""

    def test_no_event(self, requester):
        assert requester.send("get_event", event_id=NOBODY).status_code == 404
        assert requester.send("update_event", requester.event_body(), event_id=NOBODY).status_code == 404
        assert requester.send("delete_event", event_id=NOBODY).status_code == 404
        booking = requester.send("create_event_appointment", requester.booking(), event_id=NOBODY)
        assert booking.status_code == 404

    @pytest.mark.parametrize("field", ["staff_id", "service_id"])
    def test_no_team_member_or_service(self, requester, field):
        body = requester.event_body(**{field: NOBODY})
        assert requester.send("create_event", body).status_code == 404
        assert requester.send("update_event", body, event_id=requester.event()).status_code == 404

    def test_nobody_is_booked_into_a_deleted_event(self, requester):
        event_id = requester.event()
        requester.send("delete_event", event_id=event_id)
        booking = requester.send("create_event_appointment", requester.booking(), event_id=event_id)
        assert booking.status_code == 404

    @pytest.mark.parametrize("family", ["locations"], indirect=True)
    def test_no_appointment(self, requester):
        event_id = requester.event()
        ids = {"event_id": event_id, "record_id": NOBODY}
        assert requester.send("update_event_appointment", requester.change(), **ids).status_code == 404
        move = {"reschedule_activity_id": event_id}
        assert requester.send("reschedule_event_appointment", move, **ids).status_code == 404
        assert requester.send("delete_appointment", appointment_id=NOBODY).status_code == 404

    @pytest.mark.parametrize("family", ["locations"], indirect=True)
    def test_no_event_to_move_to(self, requester):
        event_id = requester.event()
        ids = {"event_id": event_id, "record_id": requester.appointment(event_id)}
        move = {"reschedule_activity_id": NOBODY}
        assert requester.send("reschedule_event_appointment", move, **ids).status_code == 404


@pytest.mark.usefixtures("memory")
class TestBadRequests:
    """400, and the 422 that no single field brings about."""

    @pytest.mark.parametrize("there", ["filter[from]", "filter[to]", None])
    def test_a_range_has_two_ends(self, requester, there):
        query = [(name, value) for name, value in requester.ahead() if name == there]
        assert requester.send("list_activities", query=query).status_code == 400

    def test_a_body_is_json(self, requester):
        assert requester.send("create_event", b'{"staff_id": ').status_code == 400

    @pytest.mark.parametrize("family", ["locations"], indirect=True)
    def test_locations_lists_no_past_and_no_range_the_wrong_way_round(self, requester):
        yesterday = requester.target.day - timedelta(days=20_000)
        (start, first), (end, last) = requester.ahead()
        past = [(start, f"{yesterday} 00:00:00"), (end, last)]
        backwards = [(start, last), (end, first)]
        for query in (past, backwards):
            assert requester.send("list_activities", query=query).status_code == 422

    def test_too_few_places(self, requester):
        event_id = requester.event(capacity=1)
        booking = requester.send("create_event_appointment", requester.booking(2), event_id=event_id)
        assert booking.status_code == 422

    @pytest.mark.parametrize("family", ["locations"], indirect=True)
    def test_locations_refuses_fields_that_it_does_not_know(self, requester):
        body = {**requester.booking(), "labels": []}
        answer = requester.send("create_event_appointment", body, event_id=requester.event())
        assert answer.status_code == 422

    @pytest.mark.parametrize("family", ["locations"], indirect=True)
    @pytest.mark.parametrize("there", ["from", "to"])
    def test_a_time_of_appointments_has_two_ends(self, requester, there):
        query = [(f"filter[date_intersect_{there}]", f"{requester.target.day}T10:00:00")]
        assert requester.send("list_appointments", query=query).status_code == 422

    def test_force_makes_a_busy_team_member_free(self, requester):
        body = requester.event_body()
        requester.event(**body)
        assert requester.send_good(requester.operation("create_event"), body={**body, "force": True}).ok


@pytest.mark.parametrize("shape", ["object", "list", "top", "fields", "conflict", "jsonapi"])
def test_every_shape_of_an_error_is_in_the_document(requester, sandbox, shape):
    errors = {"date": ["is over"], "length": ["is too long", "is odd"]}
    sandbox.fault("status", status=422, body=shape, errors=errors)
    answer = requester.send("create_event", {})
    assert answer.status_code == 422
    assert "is over" in answer.text


@pytest.mark.parametrize("form", ["seconds", "date", None])
def test_retry_after_has_two_forms_and_may_be_missing(requester, sandbox, form):
    sandbox.reset(per_minute=1, retry_after=form)
    for _ in range(2):
        answer = requester.send("list_activities", query=requester.ahead())
    assert answer.status_code == 429
    wait = answer.headers.get("Retry-After")
    if form == "seconds":
        assert 0 < int(wait) <= 62
    elif form == "date":
        assert parsedate_to_datetime(wait)
    else:
        assert wait is None
