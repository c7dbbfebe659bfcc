"""One event without an idempotency key: older events of the same kind never count as the one that was asked for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from altegio_provider.api import AltegioClient, RetryPolicy
from altegio_provider.api.errors import AltegioConflictError, AltegioOutcomeUnknownError, AltegioServerError
from altegio_provider.api.writes.create_once import create_event_once

LOCATION = 77
START = (datetime.now(UTC) + timedelta(days=20)).replace(hour=15, minute=0, second=0, microsecond=0, tzinfo=None)
EVENT = {"staff_id": 1, "service_id": 2, "date": START.isoformat(), "length": 3600, "capacity": 10}
LOST = ["lose_answer_before", "lose_answer_after", "status_after", "cut_json"]


@pytest.fixture(params=["companies", "locations"])
def client(request, altegio_sandbox):
    altegio_sandbox.add_location(
        LOCATION, timezone="UTC", staff=[{"id": 1}, {"id": 3}], services=[{"id": 2}, {"id": 5}]
    )
    with AltegioClient(
        altegio_sandbox.url,
        "sandbox-partner",
        "sandbox-user",
        route_family=request.param,
        requests_per_second=0,
        requests_per_minute=0,
        retry=RetryPolicy(attempts=2, sleep=lambda seconds: None),
    ) as client:
        yield client


@pytest.fixture
def older(client, altegio_sandbox):
    """Put so many events of the same kind there, and return their ids."""

    def add(count: int) -> set[int]:
        return set(altegio_sandbox.add_events(LOCATION, [EVENT] * count))

    return add


@pytest.fixture
def there(altegio_sandbox):
    """The ids of the events that are there."""
    return lambda: {event["id"] for event in altegio_sandbox.truth(LOCATION)["events"] if not event["deleted"]}


def create(client, sleep=lambda seconds: None, **fields):
    return create_event_once(client, LOCATION, {**EVENT, **fields}, sleep=sleep)["id"]


@pytest.mark.parametrize("effect", LOST)
@pytest.mark.parametrize("count", [1, 2])
def test_older_events_of_the_same_kind_are_not_taken_for_the_lost_one(
    client, older, there, altegio_sandbox, effect, count
) -> None:
    before = older(count)
    altegio_sandbox.fault(effect, route="create_event", times=1)
    created = create(client, force=True)
    assert created not in before
    assert there() == before | {created}


@pytest.mark.parametrize("effect", LOST)
def test_an_older_event_that_is_in_the_way_is_a_conflict_and_not_a_success(
    client, older, there, altegio_sandbox, effect
) -> None:
    before = older(1)
    altegio_sandbox.fault(effect, route="create_event", times=1)
    with pytest.raises(AltegioConflictError):
        create(client)
    assert there() == before


def test_another_class_that_came_into_the_way_leaves_the_lost_one_unknown(client, there, altegio_sandbox) -> None:
    altegio_sandbox.fault("lose_answer_before", route="create_event", times=1)

    def take_the_teacher(seconds: float) -> None:
        altegio_sandbox.add_events(LOCATION, [{**EVENT, "service_id": 5}])

    with pytest.raises(AltegioOutcomeUnknownError):
        create(client, sleep=take_the_teacher)
    assert len(there()) == 1


def test_older_events_that_could_not_be_listed_are_not_taken_for_the_lost_one(
    client, older, there, altegio_sandbox
) -> None:
    before = older(1)
    altegio_sandbox.fault("status", status=403, route="list_activities", times=1)
    altegio_sandbox.fault("lose_answer_before", route="create_event", times=1)
    with pytest.raises(AltegioOutcomeUnknownError):
        create(client, force=True)
    assert there() == before


def test_two_new_ones_at_once_leave_it_unknown_and_nothing_is_sent_again(client, older, there, altegio_sandbox) -> None:
    before = older(1)
    altegio_sandbox.fault("lose_answer_after", route="create_event", times=1)
    others: set[int] = set()
    with pytest.raises(AltegioOutcomeUnknownError):
        create(client, sleep=lambda seconds: others.update(older(1)), force=True)
    assert len(there() - before - others) == 1


def test_a_lost_one_that_comes_while_it_is_sent_again_is_found(client, there, altegio_sandbox, monkeypatch) -> None:
    altegio_sandbox.fault("lose_answer_before", route="create_event", nth=1)
    send, sent = client.create_event, []

    def send_just_after_the_lost_one_arrives(*arguments):
        sent.append(arguments)
        if len(sent) == 2:
            send(*arguments)
        return send(*arguments)

    monkeypatch.setattr(client, "create_event", send_just_after_the_lost_one_arrives)
    created = create(client)
    assert there() == {created}
    assert len(sent) == 2


def test_a_list_that_fails_before_anything_is_sent_is_no_doubt(client, there, altegio_sandbox) -> None:
    altegio_sandbox.fault("status", status=503, route="list_activities")
    with pytest.raises(AltegioServerError) as caught:
        create(client, force=True)
    assert not isinstance(caught.value, AltegioOutcomeUnknownError)
    assert there() == set()


@pytest.mark.parametrize("effect", LOST)
def test_without_a_right_to_list_a_lost_answer_stays_lost_and_is_not_sent_again(
    client, there, altegio_sandbox, effect
) -> None:
    altegio_sandbox.fault("status", status=403, route="list_activities")
    assert create(client, staff_id=3) in there()
    altegio_sandbox.fault(effect, route="create_event")
    with pytest.raises(AltegioOutcomeUnknownError):
        create(client)
    assert len(there()) == (1 if effect == "lose_answer_before" else 2)


def test_an_answer_that_is_lost_each_time_is_given_up(client, there, altegio_sandbox) -> None:
    altegio_sandbox.fault("lose_answer_before", route="create_event")
    waited: list[float] = []
    with pytest.raises(AltegioOutcomeUnknownError):
        create(client, sleep=waited.append)
    assert (len(waited), there()) == (3, set())
