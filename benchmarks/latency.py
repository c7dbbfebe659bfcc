"""Measures by ``concurrency`` how fast a list is read, and which share of the rate limit is used.

The servers delay their responses by a given time, so the machine is mostly idle. ``python -m benchmarks latency`` takes
about six minutes.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Any, NamedTuple

from altegio_provider.api import AltegioClient
from altegio_provider.api.ratelimit.limiter import Rate
from benchmarks.goals import Goal
from benchmarks.job import FIRST_START, LOCATION_ID, PAGE, STEP
from benchmarks.servers import pages, sandbox, stats_of
from scripts.plan import least_seconds

__all__ = ["main"]

PAGES = 50
CONCURRENCIES = (1, 2, 4, 8)
NO_LIMITS = {"requests_per_second": 0, "requests_per_minute": 0}

#: The API's windows; the limiter's own windows are slightly longer.
LIMITS = [Rate(5, 1.0), Rate(200, 60.0)]
LIMITED_CASES = ((1.0, 1), (1.0, 2), (1.0, 4), (1.0, 8), (1.0, 12), (0.5, 4), (0.25, 4))
#: The sandbox has about fifteen events a day: with small pages, this range takes 300 requests.
LIMITED_RANGE = (datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 6, 28, tzinfo=UTC))
SMALL_PAGE = 10


class Use(NamedTuple):
    """The used share of the rate limit, with the number of requests, seconds and refusals."""

    share: float
    requests: int
    seconds: float
    refused: int


def read(url: str, start: datetime, end: datetime, **options: Any) -> float:
    """Read a range in a new process, and return the seconds that it took."""
    task = {"date_from": start.isoformat(), "date_to": end.isoformat(), **options}
    command = [sys.executable, "-m", "benchmarks.latency", url, json.dumps(task)]
    return float(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout)


def _read(url: str, date_from: str, date_to: str, page_size: int, concurrency: int, limits: dict[str, Any]) -> float:
    with AltegioClient(url, "sandbox-partner", "sandbox-user", **limits) as client:
        began = time.perf_counter()
        rows = client.list_activities(LOCATION_ID, date_from, date_to, page_size=page_size, concurrency=concurrency)
        ids = [row["id"] for row in rows]
        seconds = time.perf_counter() - began
    assert ids, "no rows were read"
    assert len(ids) == len(set(ids)), "a row was read twice"
    return seconds


def without_limit() -> list[Goal]:
    """Read 50 pages at 200 ms each."""
    print(f"200 ms an answer, no limit, {PAGES} pages of {PAGE} rows")
    rows = 1 + PAGES * (PAGE - 1)
    seconds: dict[int, float] = {}
    with pages(rows, latency_seconds=0.2) as url:
        for concurrency in CONCURRENCIES:
            seconds[concurrency] = read(
                url,
                FIRST_START,
                FIRST_START + rows * STEP,
                page_size=PAGE,
                concurrency=concurrency,
                limits=NO_LIMITS,
            )
            share = seconds[concurrency] / seconds[1]
            print(f"  concurrency {concurrency:>2}: {seconds[concurrency]:6.1f} s = {share:.2f}", flush=True)
    return [Goal("200 ms an answer: seconds with concurrency 8, times those with 1", seconds[8] / seconds[1], 0.25)]


def _use(case: tuple[float, int]) -> Use:
    latency, concurrency = case
    with sandbox("--latency-ms", str(latency * 1000)) as url:
        read(url, *LIMITED_RANGE, page_size=SMALL_PAGE, concurrency=concurrency, limits={})
        stats = stats_of(url)
    arrivals = stats["arrivals"]
    seconds = arrivals[-1] - arrivals[0]
    return Use(least_seconds(len(arrivals), LIMITS) / seconds, len(arrivals), seconds, stats["limited"])


def with_limit() -> list[Goal]:
    """Send 300 requests at the API's limits. All cases run at once, because they mostly wait."""
    print("5 requests a second and 200 a minute")
    with ThreadPoolExecutor(len(LIMITED_CASES)) as pool:
        uses = dict(zip(LIMITED_CASES, pool.map(_use, LIMITED_CASES), strict=True))
    for (latency, concurrency), use in uses.items():
        print(
            f"  {latency * 1000:>5,.0f} ms an answer, concurrency {concurrency:>2}: {use.requests} requests in "
            f"{use.seconds:6.1f} s = {use.share:6.1%} of the limit, {use.refused} times 429"
        )
    return [
        Goal("1,000 ms an answer, concurrency 8: share of the limit used", uses[1.0, 8].share, 0.95, at_least=True),
        Goal("1,000 ms an answer: times 429", sum(use.refused for use in uses.values()), 0),
    ]


def main() -> list[Goal]:
    """Print both tables and return the goals."""
    return without_limit() + with_limit()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url")
    parser.add_argument("task", type=json.loads)
    given = parser.parse_args()
    print(_read(given.url, **given.task))
