"""Tells whether another run is alive: by its process on this host, by its heartbeats on other hosts."""

from __future__ import annotations

import os
import socket
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import psutil

__all__ = ["LivenessMonitor", "Owner"]


#: The runs of this process that have not ended.
_RUNNING: set[str] = set()


class Owner(NamedTuple):
    """A run: its id, its host (with the process namespace, because containers can share host names) and its process."""

    run_id: str
    host: str
    process: str

    @classmethod
    def of_this_process(cls) -> Owner:
        """Return a new run of this process."""
        run_id = uuid.uuid4().hex
        _RUNNING.add(run_id)
        return cls(run_id, _host(), _process(os.getpid()) or "")

    def end(self) -> None:
        """Mark the run as ended. Its process may go on."""
        _RUNNING.discard(self.run_id)


class LivenessMonitor:
    """Tells whether a run is dead.

    A run on this host is alive as long as its process runs. A run of this process is alive until it ends. A run on
    another host writes heartbeats to the ledger. It is dead if this monitor sees no new heartbeat for
    :data:`DEAD_AFTER_SECONDS`. Only the monitor's own clock is used; no two clocks are compared.

    :param clock: monotonic seconds.
    """

    #: Seconds between two heartbeats of a run.
    HEARTBEAT_SECONDS = 5.0
    #: A run without a heartbeat for this many seconds is considered dead.
    DEAD_AFTER_SECONDS = 60.0

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._seen: dict[str, tuple[int, float]] = {}

    def is_dead(self, owner: Owner, heartbeat: int) -> bool:
        """Whether the run is certainly dead.

        :param owner: the run.
        :param heartbeat: the number of its latest heartbeat.
        """
        if owner.host == _host():
            if owner.process == _process(os.getpid()):
                return owner.run_id not in _RUNNING
            there = _process(int(owner.process.split(":")[0]))
            if there is not None:
                return there != owner.process
        last, since = self._seen.get(owner.run_id, (None, 0.0))
        if last != heartbeat:
            self._seen[owner.run_id] = (heartbeat, self._clock())
            return False
        return self._clock() - since >= self.DEAD_AFTER_SECONDS


def _host() -> str:
    try:
        namespace = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        namespace = 0
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        boot = ""
    return f"{socket.gethostname()}:{boot}:{namespace}"


def _process(pid: int) -> str | None:
    """Return the process id with its start time, because ids are reused; an empty text if there is no such process.

    ``None`` if this user cannot see the process.
    """
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return ""
    except PermissionError:
        pass  # it exists and belongs to another user
    try:
        # The kernel's own count since the start of the system: a time of day would change when a clock is set.
        state, *fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
        return "" if state in ("Z", "X") else f"{pid}:{fields[18]}"
    except OSError:
        return _process_elsewhere(pid)


def _process_elsewhere(pid: int) -> str | None:
    try:
        process = psutil.Process(pid)
        return "" if process.status() == psutil.STATUS_ZOMBIE else f"{pid}:{process.create_time():.2f}"
    except psutil.Error:
        return None
