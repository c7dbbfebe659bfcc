"""One budget for all processes of a host, measured by the server that they talk to."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest

from altegio_provider.api.errors import AltegioConnectionError, AltegioValidationError
from altegio_provider.api.ratelimit.limiter import rates_of_limits
from altegio_provider.api.ratelimit.stores import MemorySlotStore, open_slot_store
from tests.unit.api.scripted import answer

#: A process that says when it is ready, waits for the word, and sends so many requests by so many threads.
SENDER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from altegio_provider.api import AltegioClient

url, requests, threads = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
with AltegioClient(url, "partner-token", "user-token", requests_per_second=5, requests_per_minute=200) as client:
    print("ready", flush=True)
    sys.stdin.readline()
    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda number: client.get_event(7, number + 1), range(requests)))
print("done", flush=True)
"""


@pytest.fixture
def shared_tmp(tmp_path, monkeypatch):
    """A temporary directory for this test's processes, where the file of the budget comes to lie."""
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@contextmanager
def senders(url: str, *loads: tuple[int, int]):
    """Processes that are ready to send ``(requests, threads)`` each; they go when they are written a line."""
    command = [sys.executable, "-c", SENDER, url]
    processes = [
        subprocess.Popen(
            [*command, str(requests), str(threads)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for requests, threads in loads
    ]
    try:
        for process in processes:
            assert process.stdout.readline() == "ready\n"
        yield processes
        for process in processes:
            assert process.wait(30) == 0
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def go(process: subprocess.Popen) -> None:
    process.stdin.write("go\n")
    process.stdin.flush()


def most_in_any_second(times: list[float]) -> int:
    times = sorted(times)
    return max(sum(at < later < at + 1.0 for later in times) + 1 for at in times)


def test_two_processes_with_threads_never_send_more_than_five_in_a_second(shared_tmp, server) -> None:
    with senders(server.url, (9, 1), (9, 3)) as processes:
        for process in processes:
            go(process)
    arrivals = [request.at for request in server.requests]
    assert len(arrivals) == 18
    assert most_in_any_second(arrivals) == 5
    # Eighteen need three seconds and a little more; the limit must not cost more than that.
    assert max(arrivals) - min(arrivals) < 4.5
    assert len({request.connection for request in server.requests}) >= 2


def test_a_429_seen_by_one_process_pauses_the_other(shared_tmp, server) -> None:
    server.script(answer(429, "", headers=[("Retry-After", "1")]))
    with senders(server.url, (1, 1), (1, 1)) as (first, second):
        go(first)
        while not server.requests:
            time.sleep(0.005)
        # The first has sent and is told to wait a second. It writes that down as soon as it has read the answer.
        slots = open_slot_store(server.url, rates_of_limits(5, 200), None)
        while slots.take([], rates_of_limits(5, 200)[0])[0] == 0:
            time.sleep(0.005)
        slots.close()
        go(second)
    told, *later = sorted(request.at for request in server.requests)
    assert len(later) == 2
    assert min(later) >= told + 1.0
    # After a pause they go evenly spaced, at the pace of the minute (0.3 s), and not at once; a busy machine may
    # keep the first one back a little.
    assert later[1] - later[0] >= 0.2


def test_a_process_that_is_killed_leaves_nothing_that_stops_the_others(shared_tmp, server) -> None:
    with senders(server.url, (3, 1), (3, 1)) as (killed, other):
        killed.kill()
        killed.wait(10)
        killed.returncode = 0
        go(other)
    assert len(server.requests) == 3


def test_the_file_lies_where_nobody_else_can_write(shared_tmp) -> None:
    open_slot_store("https://api.alteg.io/api/v2", rates_of_limits(5, 200), None).close()
    (directory,) = shared_tmp.iterdir()
    assert directory.stat().st_mode & 0o077 == 0
    assert str(os.getuid()) in directory.name


def test_a_directory_of_somebody_else_is_not_used(shared_tmp, monkeypatch) -> None:
    open_slot_store("https://api.alteg.io/api/v2", rates_of_limits(5, 200), None).close()
    (directory,) = shared_tmp.iterdir()
    somebody = os.getuid() + 1
    directory.rename(directory.with_name(f"altegio-rate-limit-{somebody}"))
    monkeypatch.setattr(os, "getuid", lambda: somebody)
    with pytest.raises(AltegioValidationError, match="belongs to another user"):
        open_slot_store("https://api.alteg.io/api/v2", rates_of_limits(5, 200), None)


def test_without_limits_there_is_nothing_to_share(shared_tmp) -> None:
    assert isinstance(open_slot_store("https://api.alteg.io/api/v2", [], None), MemorySlotStore)
    assert list(shared_tmp.iterdir()) == []


@pytest.mark.parametrize("spelling", ["https://API.alteg.io/api/v2", "https://api.alteg.io:443/api/v1"])
def test_every_spelling_of_a_server_has_the_same_budget(shared_tmp, spelling) -> None:
    for url in ("https://api.alteg.io/api/v2", spelling):
        open_slot_store(url, rates_of_limits(5, 200), None).close()
    (directory,) = shared_tmp.iterdir()
    assert len(list(directory.iterdir())) == 1


def test_a_damaged_file_is_named(shared_tmp) -> None:
    open_slot_store("https://api.alteg.io/api/v2", rates_of_limits(5, 200), None).close()
    (directory,) = shared_tmp.iterdir()
    (file,) = directory.iterdir()
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(AltegioConnectionError, match=file.name):
        open_slot_store("https://api.alteg.io/api/v2", rates_of_limits(5, 200), None)
