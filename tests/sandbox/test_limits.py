"""The two sliding windows, on a clock of the test's own; and on the wire what needs no waiting."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altegio_provider.sandbox.limits import SlidingWindows
from tests.sandbox.wire import between

DAY = between("2040-05-01 00:00:00", "2040-05-02 00:00:00")


class Hands:
    """A clock that is set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_the_sixth_in_a_second_waits_for_the_first_to_leave():
    hands = Hands()
    windows = SlidingWindows(5, 200, hands)
    for step in range(5):
        hands.now = 1000 + step / 8
        assert windows.wait("a") == 0
    hands.now = 1000.75
    assert windows.wait("a") == 0.25
    # What was refused does not count, so the next moment is the one that was named.
    hands.now = 1001.0
    assert windows.wait("a") == 0


def test_the_minute_binds_after_forty_seconds_at_full_speed():
    hands = Hands()
    windows = SlidingWindows(5, 200, hands)
    for number in range(200):
        hands.now = 1000 + number * 0.25
        assert windows.wait("a") == 0
    hands.now = 1050.0
    assert windows.wait("a") == 10.0
    assert windows.wait("b") == 0


@given(st.lists(st.integers(0, 40), min_size=1, max_size=120), st.integers(1, 6), st.integers(5, 20))
def test_never_more_than_the_limit_and_never_less_than_allowed(gaps, per_second, per_minute):
    hands = Hands()
    windows = SlidingWindows(per_second, per_minute, hands)
    allowed: list[float] = []
    for now in itertools.accumulate(gap / 8 for gap in gaps):
        hands.now = now
        full = any(
            sum(now - window < at for at in allowed) >= limit for limit, window in ((per_second, 1), (per_minute, 60))
        )
        assert (windows.wait("a") > 0) is full
        if not full:
            allowed.append(now)


@pytest.mark.parametrize("form", ["seconds", "date", None])
def test_the_429_on_the_wire(call, altegio_sandbox, form):
    # Minutes only: how fast this machine sends six requests does not matter.
    altegio_sandbox.reset(per_second=0, per_minute=5, retry_after=form)
    answers = [call("GET", "/companies/1001/activities", query=DAY) for _ in range(7)]
    assert [answer.status for answer in answers] == [200] * 5 + [429] * 2
    after = answers[-1].headers.get("retry-after")
    assert (after is None) is (form is None)
    if form == "seconds":
        assert 50 <= int(after) <= 61
    stats = altegio_sandbox.stats()
    assert (stats["requests"], stats["limited"]) == (7, 2)
    assert len(stats["arrivals"]) == 7


def test_all_tokens_share_the_limit_and_the_control_plane_is_outside_it(call, altegio_sandbox):
    altegio_sandbox.reset(per_second=0, per_minute=2)
    wrong = {"Accept": "application/vnd.api.v2+json", "Authorization": "Bearer a, User b"}
    statuses = [call("GET", "/companies/1001/activities", query=DAY, headers=wrong).status for _ in range(2)]
    assert statuses == [401, 401]
    assert call("GET", "/locations/1002/events", query=DAY).status == 429
    for _ in range(5):
        altegio_sandbox.stats()
