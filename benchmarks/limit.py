"""Measures 400 requests at the API's limit against a server that counts both windows: threads, processes, Redis.

``python -m benchmarks limit`` takes about seven minutes because of the limit.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import threading

from altegio_provider.api import AltegioClient
from benchmarks.goals import Goal, format_goals
from benchmarks.servers import sandbox, stats_of

__all__ = ["main"]

REQUESTS = 400
#: 40 bursts of five, one second apart, and the same again a minute later: 60 + 39 s, rounded to 100.
LEAST_SECONDS = 100.0
CASES = {
    "1 process, 1 thread": (1, 1, None),
    "1 process, 8 threads": (1, 8, None),
    "4 processes": (4, 2, None),
    "4 processes through Redis": (4, 2, "redis://127.0.0.1:6379/0"),
}


def work(url: str, requests: int, threads: int, rate_limit_url: str | None) -> None:
    """Send requests from several threads."""
    left = threading.Semaphore(requests)
    with AltegioClient(url, "sandbox-partner", "sandbox-user", rate_limit_url=rate_limit_url) as client:

        def run() -> None:
            while left.acquire(blocking=False):
                client.get_event(1001, 4_342_001)

        workers = [threading.Thread(target=run) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()


def measure(name: str) -> list[Goal]:
    """Measure one case, print a line and return the goals."""
    processes, threads, rate_limit_url = CASES[name]
    with sandbox() as url:
        command = [sys.executable, "-m", "benchmarks.limit", "--worker", url, "--threads", str(threads)]
        command += ["--requests", str(REQUESTS // processes)]
        command += ["--redis", rate_limit_url] if rate_limit_url else []
        workers = [subprocess.Popen(command) for _ in range(processes)]
        failed = sum(worker.wait() != 0 for worker in workers)
        stats = stats_of(url)
    arrivals = stats["arrivals"]
    seconds = arrivals[-1] - arrivals[0]
    ratio = seconds / LEAST_SECONDS
    print(
        f"{name:<28}{len(arrivals):>4} requests in {seconds:6.1f} s = {ratio:.3f} of the least, "
        f"{stats['limited']} times 429, {failed} processes failed",
        flush=True,
    )
    return [
        Goal(f"{name}: seconds for {len(arrivals)} requests, times the least", ratio, 1.03),
        Goal(f"{name}: requests lost, processes failed, or answered 429", stats["limited"] + failed, 0),
    ]


def main() -> list[Goal]:
    """Print a line for each case and return the goals."""
    return [goal for name in CASES for goal in measure(name)]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    parser.add_argument("--threads", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--requests", type=int, default=REQUESTS, help=argparse.SUPPRESS)
    parser.add_argument("--redis", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(options.worker, options.requests, options.threads, options.redis)
    else:
        print(format_goals(main()))
