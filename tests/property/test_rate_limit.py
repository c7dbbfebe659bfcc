"""The schedule of requests, on a virtual clock: never over a window, never idle when a window has room."""

from __future__ import annotations

import itertools
import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from altegio_provider.api.ratelimit.limiter import Limiter, Rate, SlotStore, rates_of_limits
from altegio_provider.api.ratelimit.stores import FileSlotStore, MemorySlotStore


class VirtualClock:
    """Time that passes only when somebody waits."""

    def __init__(self, now: float = 1000.0, oversleep: float = 0.0) -> None:
        self.now = now
        self.oversleep = oversleep

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds + self.oversleep


def limiter_on(clock: VirtualClock, rates: list[Rate], slots: SlotStore | None = None) -> Limiter:
    return Limiter(slots or MemorySlotStore(clock), rates, clock=clock, sleep=clock.sleep)


def most_in_any(times: list[float], seconds: float) -> int:
    """The most requests that a server's sliding window of that length ever held."""
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def test_four_hundred_requests_take_at_most_three_hundredths_more_than_the_least() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock, rates_of_limits(5, 200))
    started = clock.now
    times = [(limiter.acquire(), clock.now)[1] for _ in range(400)]
    assert most_in_any(times, 1.0) <= 5
    assert most_in_any(times, 60.0) <= 200
    # The least is 99 s after the first: 40 bursts a second apart, twice, the second time a minute later.
    assert times[-1] - started <= 100 * 1.03
    assert times[-1] - started >= 99


@settings(max_examples=25)
@given(
    seed=st.integers(0, 2**32),
    per_second=st.integers(1, 8),
    per_minute=st.integers(10, 250),
    busy=st.floats(0.0, 1.0),
    oversleep=st.floats(0.0, 0.05),
)
def test_an_hour_of_traffic_keeps_both_windows_and_wastes_none(seed, per_second, per_minute, busy, oversleep) -> None:
    chance = random.Random(seed)
    clock = VirtualClock(chance.random() * 1000, oversleep)
    rates = rates_of_limits(per_second, per_minute)
    limiter = limiter_on(clock, rates)
    begin = clock.now
    times: list[float] = []
    while clock.now < begin + 3600:
        wanted = clock.now
        limiter.acquire()
        went = clock.now
        if went > wanted + oversleep + 1e-6:
            # It waited: a moment earlier, one of the windows was full.
            earlier = went - oversleep - 1e-6
            assert any(sum(at + rate.seconds > earlier for at in times[-rate.limit :]) >= rate.limit for rate in rates)
        times.append(went)
        if chance.random() > busy:
            clock.now += chance.expovariate(per_minute / 60)
    assert most_in_any(times, 1.0) <= per_second
    assert most_in_any(times, 60.0) <= per_minute


@settings(max_examples=30)
@given(
    seed=st.integers(0, 2**32),
    asked=st.floats(0.1, 90.0),
    used_by_others=st.integers(0, 200),
)
def test_after_a_429_all_wait_and_then_go_evenly(seed, asked, used_by_others) -> None:
    chance = random.Random(seed)
    clock = VirtualClock()
    slots = MemorySlotStore(clock)
    workers = [limiter_on(clock, rates_of_limits(5, 200), slots) for _ in range(3)]
    for _ in range(200 - used_by_others):
        chance.choice(workers).acquire()
    told_at = clock.now
    workers[0].pause(asked)
    times = []
    for _ in range(150):
        chance.choice(workers).acquire()
        times.append(clock.now)
    assert times[0] >= told_at + asked
    gaps = [later - earlier for earlier, later in itertools.pairwise(times) if later < told_at + asked + 60]
    assert all(gap >= 60 / 200 for gap in gaps)


def test_a_pause_is_never_shortened() -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock, rates_of_limits(5, 200))
    limiter.pause(30)
    limiter.pause(1)
    limiter.acquire()
    assert clock.now >= 1030


@settings(max_examples=20)
@given(seed=st.integers(0, 2**32), late=st.floats(0.02, 0.8))
def test_a_late_write_takes_its_place_when_it_really_went(seed, late) -> None:
    chance = random.Random(seed)
    clock = VirtualClock()
    limiter = limiter_on(clock, rates_of_limits(5, 200))
    written = []
    for _ in range(100):
        slot = limiter.acquire()
        if chance.random() < 0.3:
            clock.now += late
        limiter.mark_sent(slot)
        written.append(clock.now)
    assert most_in_any(written, 1.0) <= 5


@settings(max_examples=10)
@given(seed=st.integers(0, 2**32))
def test_a_file_keeps_the_same_schedule_as_memory(tmp_path_factory, seed) -> None:
    chance = random.Random(seed)
    pauses = [chance.expovariate(4) for _ in range(300)]
    schedules = []
    path: Path = tmp_path_factory.mktemp("limit") / "slots.sqlite"
    for make in (lambda clock: MemorySlotStore(clock), lambda clock: FileSlotStore(path, clock)):
        clock = VirtualClock()
        slots = make(clock)
        limiters = [limiter_on(clock, rates_of_limits(5, 200), slots) for _ in range(2)]
        times = []
        for number, pause in enumerate(pauses):
            clock.now += pause * (number % 3 == 0)
            if number == 150:
                limiters[0].pause(7)
            limiters[number % 2].acquire()
            times.append(clock.now)
        slots.close()
        schedules.append(times)
    assert schedules[0] == pytest.approx(schedules[1])


def test_stamps_from_before_a_restart_of_the_host_do_not_block(tmp_path) -> None:
    before = FileSlotStore(tmp_path / "slots.sqlite", VirtualClock(1_000_000))
    for _ in range(5):
        before.take(rates_of_limits(5, 200), Rate(1, 0.3))
    before.pause(60, 60)
    before.close()
    after = VirtualClock(10)
    limiter = limiter_on(after, rates_of_limits(5, 200), FileSlotStore(tmp_path / "slots.sqlite", after))
    limiter.acquire()
    limiter.close()
    assert after.now == 10


@pytest.mark.parametrize("limits", [(0, 0), (None, None)])
def test_no_limit_lets_everything_go_at_once(limits) -> None:
    clock = VirtualClock()
    limiter = limiter_on(clock, rates_of_limits(*limits))
    for _ in range(1000):
        limiter.acquire()
    assert clock.now == 1000


@pytest.mark.parametrize("limit", [-1, 2.5, "five", "2.5", True])
def test_a_limit_that_is_no_whole_number_is_refused(limit) -> None:
    with pytest.raises(ValueError, match="requests_per_second"):
        rates_of_limits(limit, 200)
