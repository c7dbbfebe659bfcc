"""Events of both families, as raw HTTP."""

from __future__ import annotations

import pytest

from tests.sandbox.wire import HEADERS, between, event_body

DAY = between("2026-11-10 00:00:00", "2026-11-11 00:00:00")
FUTURE = between("2040-05-01 00:00:00", "2040-05-02 00:00:00")


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in HEADERS.items() if key != name}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        (without("Accept"), 400),
        (HEADERS | {"Accept": "application/json"}, 400),
        (without("Authorization"), 401),
        (HEADERS | {"Authorization": "Bearer sandbox-partner"}, 401),
        (HEADERS | {"Authorization": "Bearer sandbox-partner, User wrong"}, 401),
        (HEADERS | {"Authorization": "Bearer wrong, User sandbox-user"}, 401),
        (HEADERS, 200),
    ],
)
def test_both_headers_are_demanded(call, headers, status):
    assert call("GET", "/companies/1001/activities", query=DAY, headers=headers).status == status


def test_a_location_that_is_not_there_and_one_without_a_right(call, family, altegio_sandbox):
    altegio_sandbox.add_location(4001, forbidden=True)
    assert call("GET", family.events(4000), query=FUTURE).status == 404
    assert call("GET", family.events(4001), query=FUTURE).status == 403
    assert call("POST", family.events(4001), event_body()).status == 403


def test_an_error_has_the_documented_body(call, family):
    answer = call("GET", family.events(4000), query=FUTURE)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json.keys() == {"success", "data", "meta"}
    assert (answer.json["success"], answer.json["data"]) == (False, None)
    assert answer.json["meta"]["message"]


def test_a_page_of_companies(call):
    answer = call("GET", "/companies/1001/activities", query=[*DAY, ("limit", 3), ("offset", 2)]).json
    everything = call("GET", "/companies/1001/activities", query=DAY).json["data"]
    assert answer["success"] is True
    assert answer["data"] == everything[2:5]
    assert answer["meta"]["pagination"] == {"total": len(everything), "limit": 3, "offset": 2}
    row = everything[0]
    assert isinstance(row["id"], int)
    assert row["date"].startswith("2026-11-10 ")
    assert row["datetime"] == row["date"].replace(" ", "T") + "+0200"
    assert row["staff"]["id"] == row["staff_id"]
    assert row["service"]["category"]["title"]


def test_pages_of_companies_and_of_locations_hold_the_same_events(call, altegio_sandbox):
    rows = [{"date": f"2040-05-01 {hour:02}:00:00", "first_records": 2, "first_seats": 3} for hour in range(6, 20)]
    ids = altegio_sandbox.add_events(1001, rows)
    flat = call("GET", "/companies/1001/activities", query=FUTURE).json["data"]
    found = []
    for page in (1, 2, 3, 4):
        answer = call("GET", "/locations/1001/events", query=[*FUTURE, ("page", page), ("limit", 5)]).json
        assert "meta" not in answer
        found += answer["data"]
    assert [row["id"] for row in flat] == [int(resource["id"]) for resource in found] == ids
    assert {resource["type"] for resource in found} == {"activity"}
    # Records and the seats that they take are two numbers.
    assert {row["records_count"] for row in flat} == {2}
    assert {resource["attributes"]["clients_count"] for resource in found} == {3}
    assert found[0]["attributes"]["date"] == "2040-05-01T06:00:00+0300"


@pytest.mark.parametrize("query", [[], DAY[:1], DAY[1:]])
def test_a_missing_range_is_400(call, family, query):
    assert call("GET", family.events(), query=query).status == 400


def test_only_locations_refuses_the_past_and_a_range_the_wrong_way_round(call):
    reversed_ = between("2040-05-02 00:00:00", "2040-05-01 00:00:00")
    for query in (DAY, reversed_):
        assert call("GET", "/companies/1001/activities", query=query).status == 200
        assert call("GET", "/locations/1001/events", query=query).status == 422


@pytest.mark.parametrize("limit", ["0", "251", "x"])
def test_locations_has_a_largest_page(call, limit):
    assert call("GET", "/locations/1001/events", query=[*FUTURE, ("limit", limit)]).status == 422


def test_filters_of_each_family_are_written_its_own_way(call, altegio_sandbox):
    altegio_sandbox.add_events(1001, [{"date": f"2040-05-01 1{n}:00:00", "staff_id": 1001 + n} for n in range(3)])
    two = {1001, 1002}

    def staff(path, *values):
        answer = call("GET", path, query=[*FUTURE, *(("filter[master_ids][]", value) for value in values)])
        rows = answer.json["data"] if answer.status == 200 else []
        return {(row.get("attributes") or row)["staff_id"] for row in rows}

    assert staff("/companies/1001/activities", "1001,1002") == two
    assert staff("/companies/1001/activities", "1001", "1002") == {1002}
    assert staff("/locations/1001/events", "1001", "1002") == two
    assert staff("/locations/1001/events", "1001,1002") == set()


def test_included_resources_are_tied_by_relationships(call, altegio_sandbox):
    altegio_sandbox.add_events(1001, [{"date": "2040-05-01 10:00:00", "label_ids": [1401], "resource_ids": [1201]}])
    include = [("include", name) for name in ("staff", "service", "labels", "resource_instances")]
    answer = call("GET", "/locations/1001/events", query=[*FUTURE, *include]).json
    (event,) = answer["data"]
    there = {(one["type"], one["id"]) for one in answer["included"]}
    for name in ("staff", "service", "labels", "resource_instances"):
        linked = event["relationships"][name]["data"]
        for one in linked if isinstance(linked, list) else [linked]:
            assert (one["type"], one["id"]) in there
    assert len(there) == 4


def test_a_life_of_an_event(call, family):
    created = call("POST", family.events(), event_body())
    assert created.status == family.created
    resource = created.json["data"]
    path = family.event(resource["id"])
    assert (resource["type"], resource["attributes"]["date"]) == ("activity", "2040-05-01T10:00:00+0300")
    assert call("GET", path).status == 200
    replaced = call("PUT", path, event_body(capacity=7, comment=None))
    assert (replaced.status, replaced.json["data"]["attributes"]["capacity"]) == (200, 7)
    deleted = call("DELETE", path)
    expected = (200, b"null") if family.name == "companies" else (204, b"")
    assert (deleted.status, deleted.content) == expected
    # Soft: it can be read, and nothing else.
    assert call("GET", path).status == 200
    assert call("DELETE", path).status == 404
    assert call("PUT", path, event_body()).status == 404
    assert call("GET", family.events(), query=FUTURE).json["data"] == []


@pytest.mark.parametrize("field", ["staff_id", "service_id"])
def test_an_unknown_team_member_or_service_is_404(call, family, field):
    assert call("POST", family.events(), event_body(**{field: 99})).status == 404


def test_a_busy_team_member_is_409_unless_forced(call, family):
    call("POST", family.events(), event_body())
    clash = event_body(date="2040-05-01 10:55:00")
    assert call("POST", family.events(), clash).status == 409
    assert call("POST", family.events(), event_body(date="2040-05-01 11:00:00")).status == family.created
    assert call("POST", family.events(), {**clash, "force": True}).status == family.created


def test_a_busy_room_is_409(call, family):
    call("POST", family.events(), event_body(resource_instance_ids=[1201]))
    other = event_body(staff_id=1002, date="2040-05-01 10:30:00")
    assert call("POST", family.events(), {**other, "resource_instance_ids": [1201]}).status == 409
    assert call("POST", family.events(), {**other, "resource_instance_ids": [1202]}).status == family.created


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("staff_id", 0),
        ("staff_id", "1001"),
        ("staff_id", True),
        ("label_ids", None),
        ("resource_instance_ids", ["1"]),
        ("date", "2040-05-01T10:00:00"),
        ("length", 0),
        ("capacity", 0),
        ("technical_break_duration", 200),
        ("technical_break_duration", 3900),
        ("comment", "x" * 256),
        ("comment", None),
        ("instructions", "x" * 501),
        ("color", "9c27b0"),
        ("force", 1),
    ],
)
def test_a_wrong_field_of_an_event_is_named(call, family, field, value):
    answer = call("POST", family.events(), event_body(**{field: value}))
    assert (answer.status, set(answer.errors)) == (422, {field})


@pytest.mark.parametrize(("field", "value"), [("length", 86_700), ("length", 3601), ("color", "#9C27B0")])
def test_locations_is_the_stricter_family(call, field, value):
    body = event_body(**{field: value})
    assert call("POST", "/companies/1001/activities", body).status == 200
    answer = call("POST", "/locations/1001/events", {**body, "date": "2040-06-01 10:00:00"})
    assert (answer.status, set(answer.errors)) == (422, {field})


def test_every_missing_field_is_reported_at_once(call, family):
    required = {"staff_id", "service_id", "resource_instance_ids", "label_ids", "date", "length", "capacity"}
    answer = call("POST", family.events(), {})
    assert (answer.status, set(answer.errors)) == (422, required)


def test_a_body_that_is_no_json(call, family):
    assert call("POST", family.events(), b'{"staff_id": ').status == 400
    assert call("POST", family.events(), b"[]").status == 422


def test_unknown_paths_and_methods_answer_like_the_api(call):
    assert call("GET", "/companies/1001/nothing").json["success"] is False
    assert call("GET", "/companies/1001/nothing").status == 404
    assert call("PATCH", "/companies/1001/activities").status == 405


def test_a_day_has_the_same_classes_however_one_comes_to_it(call, altegio_sandbox):
    whole = call("GET", "/companies/1003/activities", query=DAY).json["data"]
    assert 5 < len(whole) < 25
    altegio_sandbox.reset()
    week = between("2026-11-08 00:00:00", "2026-11-15 00:00:00")
    again = call("GET", "/companies/1003/activities", query=[*week, ("limit", 1000)]).json["data"]
    assert [row for row in again if row["date"].startswith("2026-11-10")] == whole
    altegio_sandbox.reset(seed=2)
    assert call("GET", "/companies/1003/activities", query=DAY).json["data"] != whole
