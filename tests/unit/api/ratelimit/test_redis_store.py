"""The limit that hosts share, in a real Redis: one budget, whoever asks, whatever their own limits are."""

from __future__ import annotations

import threading
import time
import traceback
import uuid

import pytest
import redis

from altegio_provider.api.errors import AltegioNotSentError, AltegioValidationError
from altegio_provider.api.ratelimit.limiter import Rate
from altegio_provider.api.ratelimit.stores import RedisSlotStore, open_slot_store
from tests.services import free_port, private_redis, redis_url

HOUR = 3600.0
NEVER = Rate(1, 0.0)


@pytest.fixture
def hosts():
    """A function that opens the log of one budget once more, as another host would."""
    url, name = redis_url(), f"altegio-test-{uuid.uuid4().hex}"
    opened: list[RedisSlotStore] = []

    def open_log() -> RedisSlotStore:
        opened.append(RedisSlotStore(url, name))
        return opened[-1]

    yield open_log
    with redis.Redis.from_url(url) as client:
        client.delete(name, f"{name}:pause")
    for log in opened:
        log.close()


def test_hosts_that_ask_at_once_get_no_place_twice_and_none_too_many(hosts) -> None:
    rates, taken = [Rate(50, HOUR)], []

    def host(log: RedisSlotStore) -> None:
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
    spaced = Rate(1, 30.0)
    assert log.take([Rate(5, 1.0)], spaced)[0] == 0
    assert 29 < log.take([Rate(5, 1.0)], spaced)[0] <= 30


def test_a_place_that_was_used_late_counts_from_then(hosts) -> None:
    log = hosts()
    _, key = log.take([Rate(1, HOUR)], NEVER)
    waits = [log.take([Rate(1, HOUR)], NEVER)[0] for _ in range(100)]
    log.restamp(key)
    log.restamp("somebody's who is unknown")
    assert log.take([Rate(1, HOUR)], NEVER)[0] > waits[-1]
    assert log.take([Rate(2, HOUR)], NEVER)[0] == 0


BUDGET = "https://api.alteg.io/api/v2"
WRONG = {
    "memory": (["--maxmemory", "1"], "", "out of memory", True),
    "password": (["--requirepass", "right"], ":wrong@", "refuses the password", False),
    "no password": (["--requirepass", "right"], "", "refuses the password", False),
    "rights": (["--user default on nopass ~* +@all -evalsha -eval"], "", "lacks a permission", False),
    "replica": (["--replicaof", "127.0.0.1", "1"], "", "read-only replica", True),
}


@pytest.mark.parametrize(("options", "login", "text", "retryable"), WRONG.values(), ids=WRONG)
def test_redis_does_not_do_it_and_the_error_says_why(options, login, text, retryable) -> None:
    with private_redis(*" ".join(options).split()) as server:
        log = RedisSlotStore(server.url.replace("redis://", f"redis://{login}"), "limit")
        with pytest.raises(AltegioNotSentError, match=text) as caught:
            log.take([Rate(5, 1.0)], NEVER)
        log.close()
    assert caught.value.transient is retryable
    assert "is up" not in str(caught.value)
    assert "wrong@" not in str(caught.value)


@pytest.fixture
def cluster():
    """A Redis Cluster of two nodes, each with half of the slots."""
    buses = [str(free_port()) for _ in range(2)]
    options = ["--cluster-enabled", "yes", "--cluster-require-full-coverage", "yes", "--cluster-port"]
    with private_redis(*options, buses[0]) as one, private_redis(*options, buses[1]) as other:
        clients = [redis.Redis.from_url(node.url) for node in (one, other)]
        clients[0].execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 8191)
        clients[1].execute_command("CLUSTER", "ADDSLOTSRANGE", 8192, 16383)
        clients[1].execute_command("CLUSTER", "SET-CONFIG-EPOCH", 2)
        clients[0].execute_command("CLUSTER", "MEET", "127.0.0.1", other.port, buses[1])
        until = time.monotonic() + 20
        while any(client.cluster("INFO")["cluster_state"] != "ok" for client in clients):
            assert time.monotonic() < until
            time.sleep(0.02)
        yield one, other
        for client in clients:
            client.close()


def test_a_cluster_keeps_one_budget_whichever_node_is_named(cluster) -> None:
    rates = [Rate(4, HOUR)]
    logs = [open_slot_store(BUDGET, rates, node.url) for node in cluster]
    taken = [log.take(rates, NEVER) for log in logs * 3]
    assert [wait == 0 for wait, _ in taken] == [True] * 4 + [False] * 2
    for log, (_, key) in zip(logs, taken, strict=False):
        log.restamp(key)
    logs[0].pause(2 * HOUR, 0.0)
    assert logs[1].take([], NEVER)[0] > HOUR
    for log in logs:
        log.close()


@pytest.mark.parametrize(
    "url",
    [
        "redis://:secret-pass@localhost:port/0",
        "redis://:secret/pass@localhost/0",
        "redis://:secret-pass@localhost:6379/0?socket_timeout=soon",
        "redis://:secret-pass@localhost:6379/0?colour=red",
        "http://:secret-pass@localhost",
        "secret-pass",
        b"redis://localhost",
        6379,
        "redis://[::1",
    ],
)
def test_a_url_that_is_none_is_named_without_its_password(url) -> None:
    with pytest.raises(AltegioValidationError, match="rate_limit_url must be a URL of Redis") as caught:
        open_slot_store(BUDGET, [Rate(5, 1.0)], url)
    assert "secret" not in "".join(traceback.format_exception(caught.value))


def test_without_redis_nothing_is_sent() -> None:
    log = RedisSlotStore("redis://127.0.0.1:1/0", "nobody")
    with pytest.raises(AltegioNotSentError, match="rate limit"):
        log.take([Rate(5, 1.0)], NEVER)
