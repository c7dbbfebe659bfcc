"""Idempotent writes on a real socket whose responses are lost: how often they are made, and what ends them."""

from __future__ import annotations

import pytest

from altegio_provider.api.errors import AltegioNotFoundError, AltegioOutcomeUnknownError
from altegio_provider.api.writes.repeatable import delete_until_gone, repeat_until_answered, reschedule_until_seen
from tests.unit.api.scripted import answer, hang_up, ok

MOVED = {"id": 31, "clients_count": 2}
MISSING = answer(404, {"success": False, "data": None, "meta": {"message": "Not found"}})


@pytest.fixture
def client(new_client, server):
    return new_client(server.url, route_family="locations", retry={"attempts": 1})


@pytest.fixture
def slept() -> list[float]:
    return []


def requests_of(server) -> list[str]:
    return [request.method for request in server.requests]


def answer_moves(server, *actions, listed=()) -> None:
    """Do these with the moves, one after the other, and answer each reading of the list with these rows."""
    left = list(actions)

    def act(conversation) -> None:
        if conversation.request.method == "PATCH":
            left.pop(0)(conversation)
        else:
            is_first = ("page", "1") in conversation.request.query
            ok(list(listed) if is_first else [])(conversation)

    server.otherwise = act


def test_a_write_is_made_three_times_at_most_with_a_wait_in_between(server, client, slept) -> None:
    server.otherwise = hang_up
    with pytest.raises(AltegioOutcomeUnknownError):
        repeat_until_answered(lambda: client.delete_appointment(7, 31), settle_seconds=3, sleep=slept.append)
    assert requests_of(server) == ["DELETE"] * 3
    assert slept == [3, 3]


@pytest.mark.parametrize("lost", [1, 2])
def test_not_found_after_a_lost_deletion_means_that_it_took_effect(server, client, slept, lost) -> None:
    server.script(*[hang_up] * lost, MISSING)
    delete_until_gone(lambda: client.delete_appointment(7, 31), settle_seconds=4, sleep=slept.append)
    assert requests_of(server) == ["DELETE"] * (lost + 1)
    assert slept == [4] * lost


def test_not_found_at_the_first_deletion_is_an_error(server, client, slept) -> None:
    server.script(MISSING)
    with pytest.raises(AltegioNotFoundError):
        delete_until_gone(lambda: client.delete_appointment(7, 31), sleep=slept.append)
    assert slept == []


def move(client, slept, **options):
    return reschedule_until_seen(client, 7, 5, 31, 6, settle_seconds=2, sleep=slept.append, **options)


@pytest.mark.parametrize(("given", "sent"), [({}, True), ({"with_comer": False}, False)])
def test_the_visitor_moves_too_unless_it_is_said_otherwise(server, client, slept, given, sent) -> None:
    server.script(ok(MOVED))
    assert move(client, slept, **given)["id"] == 31
    assert server.requests[0].json["with_comer"] is sent


def test_a_lost_move_is_looked_for_after_a_wait_and_not_made_again_where_it_is_seen(server, client, slept) -> None:
    answer_moves(server, hang_up, listed=[MOVED])
    assert move(client, slept, clients_count=2)["id"] == 31
    assert requests_of(server).count("PATCH") == 1
    assert slept == [2]


def test_a_move_that_is_not_seen_is_made_three_times_and_then_unknown(server, client, slept) -> None:
    answer_moves(server, hang_up, MISSING, hang_up, listed=[{**MOVED, "id": 32}])
    with pytest.raises(AltegioOutcomeUnknownError):
        move(client, slept)
    assert requests_of(server).count("PATCH") == 3
    assert slept == [2, 2]


def test_a_move_with_other_seats_is_not_taken_for_this_one(server, client, slept) -> None:
    answer_moves(server, hang_up, ok({**MOVED, "clients_count": 3}), listed=[MOVED])
    assert move(client, slept, clients_count=3)["clients_count"] == 3
    assert requests_of(server).count("PATCH") == 2


def test_an_appointment_that_is_not_there_at_the_first_move_is_an_error(server, client, slept) -> None:
    server.script(MISSING)
    with pytest.raises(AltegioNotFoundError):
        move(client, slept)
    assert requests_of(server) == ["PATCH"]


def test_a_move_whose_effect_cannot_be_read_is_unknown(server, client, slept) -> None:
    server.script(hang_up, answer(403, {"success": False, "data": None, "meta": {"message": "no rights"}}))
    with pytest.raises(AltegioOutcomeUnknownError):
        move(client, slept)
    assert requests_of(server) == ["PATCH", "GET"]
