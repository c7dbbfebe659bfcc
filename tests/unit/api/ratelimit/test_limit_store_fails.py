"""The store of the limit fails: before the bytes nothing is sent, after them nothing changes."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator

import pytest
import redis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from altegio_provider.api.errors import AltegioNotSentError, AltegioRateLimitError
from altegio_provider.api.http.retry import RetryPolicy
from altegio_provider.api.http.transport import Transport
from altegio_provider.api.ratelimit.limiter import Limiter, Rate, SlotStore
from altegio_provider.api.ratelimit.stores import FileSlotStore, MemorySlotStore, RedisSlotStore
from tests.services import PrivateRedis, private_redis
from tests.unit.api.conftest import PARTNER, USER, Clock
from tests.unit.api.scripted import answer

RATES = [Rate(100, 60.0)]
BOOKING = ("POST", "/companies/7/activities/5/records")
BOOKED = {"success": True, "data": {"id": 1}, "meta": []}


@pytest.fixture(scope="module")
def own_redis() -> Iterator[PrivateRedis]:
    """A Redis that the tests of this module stop and start."""
    with private_redis() as server:
        yield server


@pytest.fixture
def store(own_redis) -> PrivateRedis:
    """That Redis, running and empty."""
    own_redis.stop()
    own_redis.start()
    return own_redis


@pytest.fixture
def transport_on(server, waits) -> Iterator:
    """Make a transport to the scripted server whose limit is kept in a given log."""
    made: list[Transport] = []

    def make(slots: SlotStore, clock, *, sleep=None, between=waits.append) -> Transport:
        limiter = Limiter(slots, RATES, clock=clock, sleep=sleep or clock.sleep)
        retry = RetryPolicy(sleep=between, attempts=3)
        made.append(Transport(server.url, PARTNER, USER, limiter=limiter, retry=retry, timeout=5, verify=True))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


def test_redis_stops_after_the_bytes_and_the_answer_counts(server, store, transport_on, caplog) -> None:
    looks: list[float] = []

    def clock() -> float:
        looks.append(1000.0 + len(looks))
        if len(looks) == 3:  # asked, taken, sent: a second has passed since the slot was taken
            store.stop()
        return looks[-1]

    slots = RedisSlotStore(store.url, "limit")
    with caplog.at_level(logging.WARNING):
        assert transport_on(slots, clock, sleep=lambda _: None).request(*BOOKING, body={}) == BOOKED
    assert len(server.requests) == 1
    assert "rate limit" in caplog.text


def test_redis_is_down_before_the_bytes_and_nothing_is_sent(server, store, transport_on, waits) -> None:
    slots = RedisSlotStore(store.url, "limit")
    transport = transport_on(slots, Clock())
    transport.request(*BOOKING, body={})
    store.stop()
    with pytest.raises(AltegioNotSentError, match="rate limit") as caught:
        transport.request(*BOOKING, body={})
    assert (caught.value.method, caught.value.path) == BOOKING
    assert (caught.value.transient, caught.value.attempts) == (True, 3)
    assert len(waits) == 2
    assert len(server.requests) == 1


def test_redis_comes_back_while_a_request_is_tried_again(
    server,
    store,
    transport_on,
) -> None:
    slots = RedisSlotStore(store.url, "limit")
    store.stop()
    started = []

    def come_back(seconds: float) -> None:
        if not started:
            store.start()
        started.append(seconds)

    transport = transport_on(slots, Clock(), between=come_back)
    assert transport.request(*BOOKING, body={}) == BOOKED
    assert (len(started), len(server.requests)) == (1, 1)


def test_redis_is_down_when_a_429_comes_and_this_process_pauses_all_the_same(server, store, transport_on) -> None:
    clock = Clock()
    slots = RedisSlotStore(store.url, "limit")

    def refuse(conversation) -> None:
        store.stop()
        answer(429, "", headers=[("Retry-After", "7")])(conversation)

    server.script(refuse)
    transport = transport_on(slots, clock, between=lambda _: store.start())
    assert transport.request(*BOOKING, body={}) == BOOKED
    assert len(server.requests) == 2
    # Redis has forgotten the pause, for it was down; the process has not.
    assert sum(clock.waited) == pytest.approx(7, abs=1)


def test_closing_with_a_store_that_is_gone_raises_nothing(server, store, transport_on) -> None:
    transport = transport_on(RedisSlotStore(store.url, "limit"), Clock())
    transport.request(*BOOKING, body={})
    store.stop()
    transport.close()


def test_a_limits_file_that_is_damaged_in_use_is_named_and_nothing_is_sent(server, transport_on, tmp_path) -> None:
    path = tmp_path / "limit.sqlite"
    clock = Clock()
    transport = transport_on(FileSlotStore(path, clock), clock)
    transport.request(*BOOKING, body={})
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(AltegioNotSentError, match=r"limit\.sqlite"):
        transport.request(*BOOKING, body={})
    assert len(server.requests) == 1


class Flaky:
    """Places in memory, behind something that fails when it is told to."""

    def __init__(self, clock, failures: list[BaseException | None]) -> None:
        self.failures = failures
        self._store = MemorySlotStore(clock)

    def _call(self, name, *arguments):
        failure = self.failures.pop(0) if self.failures else None
        if failure is not None:
            raise failure
        return getattr(self._store, name)(*arguments)

    def take(self, rates, spaced):
        return self._call("take", rates, spaced)

    def restamp(self, key):
        return self._call("restamp", key)

    def pause(self, seconds, spaced_seconds):
        return self._call("pause", seconds, spaced_seconds)

    def close(self):
        return self._call("close")


FAULTS = st.sampled_from(
    [
        None,
        AltegioNotSentError("the store is down."),
        redis.exceptions.ConnectionError("Error 111"),
        redis.exceptions.ResponseError("OOM command not allowed"),
        sqlite3.OperationalError("database or disk is full"),
        OSError(28, "No space left on device"),
        ValueError("odd"),
        RecursionError(),
    ]
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(failures=st.lists(FAULTS, max_size=12), throttled=st.integers(0, 2))
def test_whatever_the_store_does_the_outcome_is_what_the_server_saw(server, failures, throttled) -> None:
    ticks = iter(range(10_000))
    limiter = Limiter(Flaky(lambda: float(next(ticks)), failures), RATES, clock=lambda: float(next(ticks)), sleep=print)
    retry = RetryPolicy(sleep=lambda _: None, attempts=3)
    transport = Transport(server.url, PARTNER, USER, limiter=limiter, retry=retry, timeout=5, verify=True)
    before = len(server.requests)
    server.script(*[answer(429, "")] * throttled)
    try:
        transport.request(*BOOKING, body={})
        assert len(server.requests) - before == throttled + 1
    except (AltegioNotSentError, AltegioRateLimitError):
        assert len(server.requests) - before <= throttled
    finally:
        server._script.clear()
        transport.close()
