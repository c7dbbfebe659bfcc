"""Whether another run lives: never the living for dead, and the dead not for ever for living."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import psutil
import pytest

from altegio_provider.imports.ledger.liveness import LivenessMonitor, Owner

TELL = """
import sys
from altegio_provider.imports.ledger.liveness import Owner
print(*Owner.of_this_process(), sep="|", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def clock():
    class Clock:
        now = 1000.0

        def __call__(self):
            return self.now

    return Clock()


@pytest.fixture
def other():
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", TELL], **pipes) as process:
        process.owner = Owner(*process.stdout.readline().strip().split("|"))
        yield process
        process.kill()


def test_a_run_of_another_process_lives_as_long_as_the_process(clock, other):
    watch = LivenessMonitor(clock)
    assert not watch.is_dead(other.owner, 0)
    clock.now += 10_000
    assert not watch.is_dead(other.owner, 0)
    other.send_signal(signal.SIGKILL)
    os.waitid(os.P_PID, other.pid, os.WEXITED | os.WNOWAIT)
    assert watch.is_dead(other.owner, 0), "a process that nobody has asked for its end is dead too"
    other.wait()
    assert watch.is_dead(other.owner, 0)


def test_a_clock_that_is_set_anew_kills_nobody(clock, other, monkeypatch):
    boot_time = psutil.boot_time()
    monkeypatch.setattr("psutil._pslinux.boot_time", lambda: boot_time + 3600, raising=False)
    monkeypatch.setattr("psutil._pslinux.BOOT_TIME", boot_time + 3600, raising=False)
    assert not LivenessMonitor(clock).is_dead(other.owner, 0)


def test_a_process_that_has_the_number_of_a_dead_one_is_another(clock, other):
    number, _, birth = other.owner.process.partition(":")
    assert LivenessMonitor(clock).is_dead(other.owner._replace(process=f"{number}:{int(float(birth)) - 1}"), 0)


def test_a_run_of_this_process_lives_until_it_ends(clock):
    watch, owner = LivenessMonitor(clock), Owner.of_this_process()
    assert not watch.is_dead(owner, 0)
    owner.end()
    assert watch.is_dead(owner, 0)


def test_a_run_on_another_host_is_dead_when_it_has_been_silent_for_a_minute_of_watching(clock):
    watch, owner = LivenessMonitor(clock), Owner("run", "elsewhere", "1:1")
    assert not watch.is_dead(owner, 7)
    clock.now += 59
    assert not watch.is_dead(owner, 7)
    assert not watch.is_dead(owner, 8)
    clock.now += 59
    assert not watch.is_dead(owner, 8)
    clock.now += 1
    assert watch.is_dead(owner, 8)


def test_a_run_of_another_user_is_not_taken_for_dead_for_being_out_of_sight(clock, other, monkeypatch):
    def forbidden(*_, **__):
        raise PermissionError

    monkeypatch.setattr("altegio_provider.imports.ledger.liveness.Path.read_text", forbidden)
    monkeypatch.setattr("psutil.Process", lambda _: (_ for _ in ()).throw(psutil.AccessDenied()))
    owner = other.owner._replace(host=Owner.of_this_process().host)
    watch = LivenessMonitor(clock)
    assert not watch.is_dead(owner, 0)
    clock.now += 60
    assert watch.is_dead(owner, 0)
