"""The bookings of made classes: as many as the classes say, and the same each time."""

from __future__ import annotations

from tests.sandbox.wire import booking_body

LIST = "/locations/1001/appointments"
DAY = {"filter[date_intersect_from]": "2026-11-10T00:00:00", "filter[date_intersect_to]": "2026-11-11T00:00:00"}


def test_a_past_day_can_be_rebuilt_from_its_appointments(call):
    range_ = {"filter[from]": "2026-11-10 00:00:00", "filter[to]": "2026-11-11 00:00:00"}
    classes = {row["id"]: row for row in call("GET", "/companies/1001/activities", query=range_).json["data"]}
    records = call("GET", LIST, query=DAY | {"include": "client"}).json["data"]
    counted: dict[int, int] = {}
    for record in records:
        counted[record["attributes"]["activity_id"]] = counted.get(record["attributes"]["activity_id"], 0) + 1
    assert counted == {number: row["records_count"] for number, row in classes.items() if row["records_count"]}
    for number in counted:
        event = call("GET", f"/locations/1001/events/{number}").json["data"]["attributes"]
        of_event = call("GET", LIST, query={"filter[activity_id]": number}).json["data"]
        assert sum(one["attributes"]["clients_count"] for one in of_event) == event["clients_count"]


def test_they_are_the_same_after_a_reset_and_in_any_order(call, altegio_sandbox):
    before = call("GET", LIST, query=DAY).json["data"]
    altegio_sandbox.reset()
    one = before[7]
    (again,) = [
        other
        for other in call("GET", LIST, query={"filter[activity_id]": one["attributes"]["activity_id"]}).json["data"]
        if other["id"] == one["id"]
    ]
    assert again == one


def test_one_can_be_deleted_by_its_number_alone(call, altegio_sandbox):
    one = call("GET", LIST, query=DAY).json["data"][0]
    altegio_sandbox.reset()
    assert call("DELETE", f"{LIST}/{one['id']}").status == 204
    assert call("DELETE", f"{LIST}/{one['id']}").status == 404


def test_the_truth_tells_bookings_of_the_api_alone(call, altegio_sandbox):
    number = call("GET", LIST, query=DAY).json["data"][0]["attributes"]["activity_id"]
    free = altegio_sandbox.add_events(1001, [{"date": "2026-11-10 12:00:00"}])[0]
    for event_id in (free, number):
        call("POST", f"/locations/1001/events/{event_id}/appointments", booking_body("locations"))
    assert free in {one["event_id"] for one in altegio_sandbox.truth(1001)["appointments"]}
    assert len(altegio_sandbox.truth(1001)["appointments"]) <= 2


def test_odd_filters_of_appointments_find_nothing_or_are_refused(call):
    for name in ("activity_id", "client_id"):
        assert call("GET", LIST, query={f"filter[{name}]": "9" * 18}).json["data"] == []
        for number in ("9" * 4000, "x", "0", ""):
            assert call("GET", LIST, query={f"filter[{name}]": number}).status == 422
    bounds = {"filter[date_intersect_from]": "2000-01-01T00:00:00", "filter[date_intersect_to]": "2000-01-02T00:00:00"}
    assert call("GET", LIST, query=bounds).json["data"] == []
