"""Each fault as it looks on the wire."""

from __future__ import annotations

import contextlib
import json
import socket
from email.utils import parsedate_to_datetime
from http.client import IncompleteRead, RemoteDisconnected
from urllib.parse import urlsplit

import pytest

from tests.sandbox.wire import HEADERS, between, booking_body

LIST = "/companies/1001/activities"
DAY = between("2040-05-01 00:00:00", "2040-05-02 00:00:00")


@pytest.fixture
def ids(altegio_sandbox) -> list[int]:
    """Twenty classes on one day, in the order of their start."""
    rows = [{"date": f"2040-05-01 {6 + n // 2:02}:{n % 2 * 30:02}:00", "capacity": 5} for n in range(20)]
    return altegio_sandbox.add_events(1001, rows)


def listed(call, **query) -> list[int]:
    rows = call("GET", LIST, query=[*DAY, *query.items()]).json["data"]
    return [row["id"] for row in rows]


def test_a_cap_on_the_limit_is_silent_in_both_families(call, ids, altegio_sandbox):
    altegio_sandbox.fault("cap_limit", limit=4, route="list_activities")
    assert listed(call, limit=10, offset=3) == ids[3:7]
    answer = call("GET", "/locations/1001/events", query=[*DAY, ("limit", 10), ("page", 2)]).json
    assert [int(one["id"]) for one in answer["data"]] == ids[4:8]


def test_a_short_page_in_the_middle(call, ids, altegio_sandbox):
    altegio_sandbox.fault("short_page", rows=2, nth=2)
    assert [listed(call, limit=5, offset=n) for n in (0, 5, 10)] == [ids[:5], ids[5:7], ids[10:15]]


@pytest.mark.parametrize(("form", "meta"), [("list", []), ("empty", {}), ("absent", None)])
def test_odd_meta(call, ids, altegio_sandbox, form, meta):
    altegio_sandbox.fault("meta", form=form)
    assert call("GET", LIST, query=DAY).json.get("meta") == meta


def test_a_wrong_total(call, ids, altegio_sandbox):
    altegio_sandbox.fault("meta", form="wrong", by=-5)
    assert call("GET", LIST, query=DAY).json["meta"]["pagination"]["total"] == 15


def test_orders(call, ids, altegio_sandbox):
    altegio_sandbox.fault("order", by="descending")
    assert listed(call) == ids[::-1]
    altegio_sandbox.clear_faults()
    altegio_sandbox.fault("order", by="unstable")
    first, second = listed(call), listed(call)
    assert first != second
    assert sorted(first) == sorted(second) == sorted(ids)


def test_rows_come_and_go_in_front_of_the_page(call, ids, altegio_sandbox):
    altegio_sandbox.fault("churn", inserts=1, deletes=2, every=2, route="list_activities")
    assert listed(call, limit=10, offset=10) == ids[10:]
    # Two of the first ten are gone and one has come: what was at place 11 is at place 10 now.
    assert listed(call, limit=10, offset=10) == ids[11:]
    events = {one["id"]: one for one in altegio_sandbox.truth(1001)["events"]}
    assert sum(events[number]["deleted"] for number in ids[:10]) == 2
    assert len(events) == 21


def test_the_end_of_the_range_can_be_inclusive(call, ids, altegio_sandbox):
    to_noon = between("2040-05-01 00:00:00", "2040-05-01 12:00:00")
    assert len(call("GET", LIST, query=to_noon).json["data"]) == 12
    altegio_sandbox.fault("inclusive_to")
    assert len(call("GET", LIST, query=to_noon).json["data"]) == 13


@pytest.mark.parametrize("status", [500, 502, 503, 504])
@pytest.mark.parametrize("body", ["object", "html", "empty"])
def test_server_errors(call, ids, altegio_sandbox, status, body):
    altegio_sandbox.fault("status", status=status, body=body, times=1)
    answer = call("GET", LIST, query=DAY)
    assert answer.status == status
    if body == "object":
        assert answer.json["success"] is False
    else:
        assert answer.content[:6] == (b"<html>" if body == "html" else b"")
    assert call("GET", LIST, query=DAY).status == 200


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ("object", {"success": False, "data": None, "meta": {"message": "no", "errors": {"phone": ["bad"]}}}),
        ("list", {"success": False, "data": None, "meta": {"message": "no", "errors": [{"phone": "bad"}]}}),
        ("top", {"errors": {"message": "no", "phone": ["bad"]}}),
        ("fields", {"errors": [{"field_name": "phone", "field_value": None, "error_message": "bad"}]}),
    ],
)
def test_shapes_of_error_bodies(call, altegio_sandbox, shape, expected):
    altegio_sandbox.fault("status", status=422, body=shape, message="no", errors={"phone": ["bad"]})
    assert call("GET", LIST, query=DAY).json == expected


def test_the_shape_of_a_conflict(call, altegio_sandbox):
    altegio_sandbox.fault("status", status=409, body="conflict")
    assert call("GET", LIST, query=DAY).json["meta"]["conflict"] is True


@pytest.mark.parametrize(("effect", "booked"), [("lose_answer_before", 0), ("lose_answer_after", 1)])
def test_a_lost_answer_before_and_after_it_took_effect(call, ids, altegio_sandbox, effect, booked):
    altegio_sandbox.fault(effect, route="create_event_appointment")
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        call("POST", f"{LIST}/{ids[0]}/records", booking_body("companies"))
    assert len(altegio_sandbox.truth(1001)["appointments"]) == booked


def test_a_lost_answer_sends_not_one_byte(altegio_sandbox):
    altegio_sandbox.fault("lose_answer_before")
    address = urlsplit(altegio_sandbox.url)
    head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
    with socket.create_connection((address.hostname, address.port), timeout=5) as connection:
        connection.sendall(f"GET /api/v2{LIST} HTTP/1.1\r\nHost: 127.0.0.1\r\n{head}\r\n".encode())
        with contextlib.suppress(ConnectionResetError):
            assert connection.recv(100) == b""


def test_a_late_effect(call, ids, altegio_sandbox):
    altegio_sandbox.fault("late_effect", seconds=0, route="create_event_appointment", times=1)
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        call("POST", f"{LIST}/{ids[0]}/records", booking_body("companies"))
    assert len(altegio_sandbox.truth(1001)["appointments"]) == 1
    altegio_sandbox.fault("late_effect", seconds=3600, route="create_event_appointment", times=1)
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        call("POST", f"{LIST}/{ids[0]}/records", booking_body("companies"))
    assert len(altegio_sandbox.truth(1001)["appointments"]) == 1


def test_a_body_shorter_than_its_length_says(call, ids, altegio_sandbox):
    altegio_sandbox.fault("truncate")
    with pytest.raises(IncompleteRead):
        call("GET", LIST, query=DAY)


def test_whole_http_with_half_a_json(call, ids, altegio_sandbox):
    altegio_sandbox.fault("cut_json")
    answer = call("GET", LIST, query=DAY)
    assert answer.status == 200
    with pytest.raises(json.JSONDecodeError):
        assert answer.json


def test_good_statuses_with_bad_bodies(call, ids, altegio_sandbox):
    seen = {}
    for effect in ("empty", "html", "success_false", "hidden_errors"):
        altegio_sandbox.fault(effect, times=1)
        seen[effect] = call("GET", LIST, query=DAY)
    assert {answer.status for answer in seen.values()} == {200}
    assert seen["empty"].content == b""
    assert seen["html"].content.startswith(b"<html>")
    assert seen["success_false"].json["success"] is False
    assert seen["hidden_errors"].json["success"] is True
    assert seen["hidden_errors"].json["data"]["errors"]


def test_a_delete_that_is_accepted_only(call, ids, altegio_sandbox):
    altegio_sandbox.fault("accepted", route="delete_event")
    assert call("DELETE", f"{LIST}/{ids[0]}").status == 202
    assert listed(call) == ids[1:]


def test_a_redirect(call, altegio_sandbox):
    altegio_sandbox.fault("redirect", url="http://127.0.0.1:9/elsewhere", status=307)
    answer = call("GET", LIST, query=DAY)
    assert (answer.status, answer.headers["location"]) == (307, "http://127.0.0.1:9/elsewhere")


def test_odd_dates(call, ids, altegio_sandbox):
    altegio_sandbox.fault("wrong_offset", offset="+0000")
    assert call("GET", LIST, query=DAY).json["data"][0]["datetime"] == "2040-05-01T06:00:00+0000"
    seen = {}
    for form in ("iso", "milliseconds", "colon"):
        altegio_sandbox.clear_faults()
        altegio_sandbox.fault("dates", form=form)
        seen[form] = call("GET", LIST, query=DAY).json["data"][0]["date"]
    assert seen == {
        "iso": "2040-05-01T06:00:00+0300",
        "milliseconds": "2040-05-01T06:00:00.000",
        "colon": "2040-05-01T06:00:00+03:00",
    }


def test_rows_with_missing_new_and_wrong_fields(call, altegio_sandbox):
    patch = {"staff": "__missing__", "length": "an hour", "capacity": None, "mood": {"good": True}}
    altegio_sandbox.add_events(1001, [{"date": "2040-05-01 10:00:00", "patch": patch}])
    (row,) = call("GET", LIST, query=DAY).json["data"]
    assert "staff" not in row
    assert (row["length"], row["capacity"], row["mood"]) == ("an hour", None, {"good": True})


def test_faults_of_a_booking(call, ids, altegio_sandbox):
    path = f"/locations/1001/events/{ids[0]}/appointments"
    altegio_sandbox.fault("record_without_event", route="create_event_appointment", nth=1)
    altegio_sandbox.fault("late_client_id", seconds=3600, route="create_event_appointment", nth=2)
    altegio_sandbox.fault("mask_phones", route="list_appointments")
    lost, late, plain = (call("POST", path, booking_body("locations")).json["data"] for _ in range(3))
    assert [one["attributes"]["activity_id"] for one in (lost, late, plain)] == [0, ids[0], ids[0]]
    assert [bool(one["attributes"]["client_id"]) for one in (lost, late, plain)] == [True, False, True]
    query = {"filter[activity_id]": ids[0], "include": "client"}
    answer = call("GET", "/locations/1001/appointments", query=query).json
    assert [one["id"] for one in answer["data"]] == [late["id"], plain["id"]]
    assert [one["attributes"]["phone"] for one in answer["included"]] == ["3712*****01"]


@pytest.mark.parametrize(
    ("rule", "struck"),
    [
        ({"nth": 3}, [3]),
        ({"every": 2}, [2, 4, 6]),
        ({"times": 2}, [1, 2]),
        ({"every": 2, "times": 1}, [2]),
        ({"location": 1001}, [1, 2, 3, 4, 5, 6]),
        ({"location": 1002}, []),
        ({"route": "get_event"}, []),
    ],
)
def test_when_a_fault_applies(call, altegio_sandbox, rule, struck):
    altegio_sandbox.fault("status", status=503, **rule)
    statuses = [call("GET", LIST, query=DAY).status for _ in range(6)]
    assert [number for number, status in enumerate(statuses, 1) if status == 503] == struck


def test_chance_comes_from_a_seed(call, altegio_sandbox):
    def struck(seed):
        altegio_sandbox.clear_faults()
        altegio_sandbox.fault("status", status=503, probability=0.5, seed=seed)
        return [call("GET", LIST, query=DAY).status for _ in range(20)]

    assert struck(1) == struck(1) != struck(2)
    assert {200, 503} == set(struck(1))


def test_an_unknown_effect_is_refused(altegio_sandbox):
    with pytest.raises(ValueError, match="unknown effect 'nonsense'"):
        altegio_sandbox.fault("nonsense")


@pytest.mark.parametrize("form", ["seconds", "date", None])
def test_a_429_by_a_fault(call, altegio_sandbox, form):
    altegio_sandbox.fault("status", status=429, retry_after=form, seconds=7)
    answer = call("GET", LIST, query=DAY)
    assert answer.status == 429
    after = answer.headers.get("retry-after")
    if form == "seconds":
        assert int(after) >= 7
    elif form == "date":
        assert parsedate_to_datetime(after)
    else:
        assert after is None
    assert altegio_sandbox.stats()["limited"] == 1


@pytest.mark.parametrize("path", [LIST, "/locations/1001/events", "/locations/1001/appointments"])
def test_timestamps_that_disagree_with_the_dates(call, ids, altegio_sandbox, path):
    call("POST", f"/locations/1001/events/{ids[0]}/appointments", booking_body("locations"))

    def timestamps():
        query = DAY if "appointments" not in path else {"filter[activity_id]": ids[0]}
        rows = call("GET", path, query=query).json["data"]
        return {row["id"]: (row.get("attributes") or row)["timestamp"] for row in rows}

    true = timestamps()
    altegio_sandbox.fault("wrong_timestamp", by=-3600)
    assert {number: true[number] - at for number, at in timestamps().items()} == dict.fromkeys(true, 3600)
    altegio_sandbox.clear_faults()
    altegio_sandbox.fault("wrong_timestamp", by=60, each=2)
    late = {number for number, at in timestamps().items() if at != true[number]}
    assert late == {number for number in true if int(number) % 2 == 0}


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("list", []),
        ("empty", {}),
        ("absent", None),
        ("asked", {"pagination": {"page": 1, "offset": 0, "limit": 9}}),
        ("wrong", {"pagination": {"page": 1, "offset": 0, "limit": 2}}),
    ],
)
def test_pages_of_appointments_are_capped_and_their_metadata_odd(call, ids, altegio_sandbox, form, expected):
    path = f"/locations/1001/events/{ids[0]}/appointments"
    for number in range(5):
        call("POST", path, booking_body("locations", phone=f"3712000000{number}"))
    query = {"filter[activity_id]": ids[0], "limit": 9}
    altegio_sandbox.fault("cap_limit", limit=2)
    answer = call("GET", "/locations/1001/appointments", query=query).json
    assert (len(answer["data"]), answer["meta"]["pagination"]["limit"]) == (2, 2)
    altegio_sandbox.fault("meta", form=form)
    assert call("GET", "/locations/1001/appointments", query=query).json.get("meta") == expected
    altegio_sandbox.fault("short_page", rows=1)
    assert len(call("GET", "/locations/1001/appointments", query=query).json["data"]) == 1
