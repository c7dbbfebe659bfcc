"""Simulates workers that share the rate limit on a virtual clock, with the limiter's own arithmetic."""

from __future__ import annotations

import heapq
import random
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count

from altegio_provider.api.ratelimit.limiter import Rate, rates_of_limits
from altegio_provider.api.ratelimit.stores import MemorySlotStore

__all__ = ["Job", "Run", "run"]

_NO_PAUSE = Rate(1, 0.0)


@dataclass
class Job:
    """Tasks of one kind, which run in a number of slots.

    :param tasks: the number of tasks.
    :param requests: the requests of each task, one after the other.
    :param slots: the number of simultaneous tasks.
    :param start_seconds: from a free slot to the task's first request: scheduler, process, imports.
    :param latency_seconds: from a request to its response.
    :param begins_at: seconds from the start of the simulation.
    """

    tasks: int
    requests: int
    slots: int
    start_seconds: float = 0.0
    latency_seconds: float = 0.2
    begins_at: float = 0.0
    requests_per_second: int = 5
    requests_per_minute: int = 200
    #: The time of each request; set by :func:`run`.
    sent: list[float] = field(default_factory=list)
    ended_at: float = 0.0

    @property
    def seconds(self) -> float:
        """The seconds from the job's start to its last response."""
        return self.ended_at - self.begins_at


@dataclass
class Run:
    """The virtual clock, and the slot store that all jobs of one IP address share."""

    now: float = 0.0

    def __post_init__(self) -> None:
        self.log = MemorySlotStore(lambda: self.now)


def run(*jobs: Job, seed: int = 1) -> None:
    """Run the jobs behind one IP address to their end. Slots that wake at the same time continue in random order."""
    shared = Run()
    chance = random.Random(seed)
    numbers = count()
    waiting: list[tuple[float, float, int, Iterator[float]]] = []
    for job in jobs:
        left = deque(range(job.tasks))
        slots = [_slot(job, left, shared) for _ in range(min(job.slots, job.tasks))]
        waiting += [(job.begins_at, chance.random(), next(numbers), slot) for slot in slots]
    heapq.heapify(waiting)
    while waiting:
        at, _, number, slot = heapq.heappop(waiting)
        shared.now = at
        seconds = next(slot, None)
        if seconds is not None:
            heapq.heappush(waiting, (at + seconds, chance.random(), number, slot))


def _slot(job: Job, left: deque[int], shared: Run) -> Iterator[float]:
    """Run one slot, and yield the seconds until it continues."""
    rates = rates_of_limits(job.requests_per_second, job.requests_per_minute)
    while left:
        left.popleft()
        yield job.start_seconds
        for _ in range(job.requests):
            while (wait := shared.log.take(rates, _NO_PAUSE)[0]) > 0:
                yield wait
            job.sent.append(shared.now)
            yield job.latency_seconds
    job.ended_at = max(job.ended_at, shared.now)
