"""The limit that hosts share, in a real Redis: one budget, whoever asks, whatever their own limits are."""

from __future__ import annotations

import threading
import uuid

import pytest
import redis

from altegio_provider.api.errors import AltegioConnectionError
from altegio_provider.api.rate_limit import Rate
from altegio_provider.api.rate_logs import RedisPlaceLog
from tests.services import redis_url

HOUR = 3600.0
NEVER = Rate(1, 0.0)


@pytest.fixture
def hosts():
    """A function that opens the log of one budget once more, as another host would."""
    url, name = redis_url(), f"altegio-test-{uuid.uuid4().hex}"
    opened: list[RedisPlaceLog] = []

    def open_log() -> RedisPlaceLog:
        opened.append(RedisPlaceLog(url, name))
        return opened[-1]

    yield open_log
    with redis.Redis.from_url(url) as client:
        client.delete(name, f"{name}:pause")
    for log in opened:
        log.close()


def test_hosts_that_ask_at_once_get_no_place_twice_and_none_too_many(hosts) -> None:
    rates, taken = [Rate(50, HOUR)], []

    def host(log: RedisPlaceLog) -> None:
        for _ in range(40):
            wait, key = log.take(rates, NEVER)
            if wait == 0:
                taken.append(key)
            else:
                assert 0 < wait <= HOUR

    threads = [threading.Thread(target=host, args=(hosts(),)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 50


def test_the_narrower_window_decides(hosts) -> None:
    log = hosts()
    assert [log.take([Rate(2, 60.0), Rate(3, HOUR)], NEVER)[0] for _ in range(2)] == [0, 0]
    assert 59 < log.take([Rate(2, 60.0), Rate(3, HOUR)], NEVER)[0] <= 60
    assert log.take([Rate(3, HOUR)], NEVER)[0] == 0
    assert 3599 < log.take([Rate(2, 60.0), Rate(3, HOUR)], NEVER)[0] <= HOUR


def test_a_host_of_a_lower_limit_counts_what_others_sent(hosts) -> None:
    daily, backfill = hosts(), hosts()
    for _ in range(3):
        assert daily.take([Rate(5, HOUR)], NEVER)[0] == 0
    assert backfill.take([Rate(3, HOUR)], NEVER)[0] > 0
    assert daily.take([Rate(5, HOUR)], NEVER)[0] == 0


def test_a_pause_holds_everybody_and_is_never_shortened(hosts) -> None:
    one, other = hosts(), hosts()
    one.pause(100.0, 0.0)
    other.pause(1.0, 0.0)
    assert 99 < other.take([Rate(5, 1.0)], NEVER)[0] <= 100
    assert 99 < one.take([], NEVER)[0] <= 100


def test_after_a_pause_places_are_evenly_spaced(hosts) -> None:
    log = hosts()
    log.pause(0.0, 60.0)
    gentle = Rate(1, 30.0)
    assert log.take([Rate(5, 1.0)], gentle)[0] == 0
    assert 29 < log.take([Rate(5, 1.0)], gentle)[0] <= 30


def test_a_place_that_was_used_late_counts_from_then(hosts) -> None:
    log = hosts()
    _, key = log.take([Rate(1, HOUR)], NEVER)
    waits = [log.take([Rate(1, HOUR)], NEVER)[0] for _ in range(100)]
    log.restamp(key)
    log.restamp("somebody's who is unknown")
    assert log.take([Rate(1, HOUR)], NEVER)[0] > waits[-1]
    assert log.take([Rate(2, HOUR)], NEVER)[0] == 0


def test_without_redis_nothing_is_sent() -> None:
    log = RedisPlaceLog("redis://127.0.0.1:1/0", "nobody")
    with pytest.raises(AltegioConnectionError, match="rate limit"):
        log.take([Rate(5, 1.0)], NEVER)
