"""Time that passes at once."""

from __future__ import annotations

from http.client import RemoteDisconnected

import pytest

from tests.sandbox.wire import between, booking_body

DAY = between("2040-05-01 00:00:00", "2040-05-02 00:00:00")


@pytest.fixture
def path(altegio_sandbox) -> str:
    event_id = altegio_sandbox.add_events(1001, [{"date": "2040-05-01 10:00:00"}])[0]
    return f"/locations/1001/events/{event_id}/appointments"


def test_the_limit_lets_in_again_when_the_minute_is_over(call, altegio_sandbox):
    altegio_sandbox.reset(per_second=0, per_minute=2)

    def statuses():
        return [call("GET", "/companies/1001/activities", query=DAY).status for _ in range(3)]

    assert statuses() == [200, 200, 429]
    altegio_sandbox.advance(61)
    assert statuses() == [200, 200, 429]


def test_a_late_effect_comes_at_its_time_and_not_before(call, path, altegio_sandbox):
    altegio_sandbox.fault("late_effect", seconds=100, route="create_event_appointment")
    with pytest.raises((RemoteDisconnected, ConnectionResetError)):
        call("POST", path, booking_body("locations"))
    seen = []
    for seconds in (0, 50, 51):
        altegio_sandbox.advance(seconds)
        seen.append((len(altegio_sandbox.truth(1001)["appointments"]), altegio_sandbox.stats()["pending"]))
    assert seen == [(0, 1), (0, 1), (1, 0)]


def test_the_number_of_a_client_comes_seconds_later(call, path, altegio_sandbox):
    altegio_sandbox.fault("late_client_id", seconds=15, route="create_event_appointment")
    call("POST", path, booking_body("locations"))
    query = {"filter[activity_id]": path.split("/")[-2], "include": "client"}

    def seen():
        answer = call("GET", "/locations/1001/appointments", query=query).json
        return bool(answer["data"][0]["attributes"]["client_id"]), len(answer["included"])

    altegio_sandbox.advance(10)
    assert seen() == (False, 0)
    altegio_sandbox.advance(6)
    assert seen() == (True, 1)


@pytest.mark.parametrize("effect", ["success_false", "hidden_errors"])
@pytest.mark.parametrize("before", [True, False])
def test_a_bad_body_of_what_took_effect_or_did_not(call, path, altegio_sandbox, effect, before):
    altegio_sandbox.fault(effect, before=before)
    call("POST", path, booking_body("locations"))
    assert len(altegio_sandbox.truth(1001)["appointments"]) == (0 if before else 1)


def test_time_does_not_run_backwards(altegio_sandbox):
    with pytest.raises(ValueError, match="0 or more"):
        altegio_sandbox.advance(-1)
