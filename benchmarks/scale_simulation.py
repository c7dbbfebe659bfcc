"""Simulates one to 10,000 locations: requests, hours and IP addresses, and the bottleneck.

``python -m benchmarks.scale_simulation`` takes about half a minute. The figures stand in ``docs/scaling.md``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from benchmarks.virtual_time import Job, run
from scripts.plan import Plan

EVENTS_PER_DAY = 30
YEARS = 5
DAYS = YEARS * 365
LOCATIONS = (1, 10, 40, 100, 1_000, 10_000)
#: Assumed time from a due task to its first request, and the processor time of a small task (from `make scale`).
START_SECONDS = 4.0
CPU_SECONDS_PER_TASK = 2.2
SLOTS = 16
LATENCY_SECONDS = 0.2


@dataclass(frozen=True)
class Daily:
    """A daily run with one task for each location."""

    locations: int
    addresses: int = 1
    slots: int = SLOTS

    @property
    def plan(self) -> Plan:
        return Plan(self.locations, EVENTS_PER_DAY, 1, window_days=1, addresses=self.addresses)

    def simulate(self) -> tuple[float, float]:
        """Return the minutes, and the used share of the rate limit."""
        of_one = math.ceil(self.locations / self.addresses)
        requests = self.plan.requests // self.locations
        job = Job(of_one, requests, max(1, self.slots // self.addresses), START_SECONDS, LATENCY_SECONDS)
        run(job)
        least = Plan(of_one, EVENTS_PER_DAY, 1, window_days=1).minutes
        return job.seconds / 60, least * 60 / max(job.seconds, 1e-9)

    @property
    def addresses_for_an_hour(self) -> int:
        """The IP addresses that the rate limit requires to finish in an hour."""
        addresses = 1
        while Daily(self.locations, addresses).plan.minutes > 60:
            addresses += 1
        return addresses

    @property
    def cores_for_an_hour(self) -> int:
        """The processor cores that the workers need to start these tasks in an hour."""
        return math.ceil(self.locations * CPU_SECONDS_PER_TASK / 3600)


def clock(minutes: float) -> str:
    """Return minutes as readable text."""
    if minutes < 60:
        return f"{minutes:.1f} min"
    return f"{minutes / 60:.1f} h" if minutes < 48 * 60 else f"{minutes / 1440:.1f} days"


def daily_table() -> None:
    """Print the table of daily runs."""
    print(f"The daily run: {EVENTS_PER_DAY} classes a day in each location, a task each, {SLOTS} slots\n")
    print("locations  requests  least time  simulated  share of limit  addresses for 1 h  cores for 1 h")
    for locations in LOCATIONS:
        daily = Daily(locations)
        minutes, share = daily.simulate()
        print(
            f"{locations:>9,} {daily.plan.requests:>9,} {clock(daily.plan.minutes):>11} {clock(minutes):>10} "
            f"{share:>15.0%} {daily.addresses_for_an_hour:>18} {daily.cores_for_an_hour:>14}"
        )


def backfill_table() -> None:
    """Print the table of backfills of five years."""
    print(f"\nThe backfill: {YEARS} years, month by month, at 150 requests a minute beside the daily run\n")
    print("locations      requests       time  addresses for 1 week   Parquet    tasks")
    for locations in LOCATIONS:
        plan = Plan(locations, EVENTS_PER_DAY, DAYS, window_days=30, requests_per_second=4, requests_per_minute=150)
        addresses = math.ceil(plan.minutes / (7 * 1440))
        print(
            f"{locations:>9,} {plan.requests:>13,} {clock(plan.minutes):>10} {addresses:>21} "
            f"{plan.megabytes / 1000:>6.1f} GB {locations * YEARS * 12:>8,}"
        )


def bottleneck_table() -> None:
    """Print how the bottleneck of 10,000 locations moves from the rate limit to starting tasks."""
    print("\n10,000 locations a day: where the bottleneck moves\n")
    print("addresses  slots  simulated  share of limit  bound by")
    for addresses, slots in ((1, 16), (2, 16), (4, 16), (4, 64), (10, 64), (10, 160), (20, 160), (20, 400)):
        minutes, share = Daily(10_000, addresses, slots).simulate()
        bound = "the limit" if share > 0.9 else "starting tasks"
        print(f"{addresses:>9} {slots:>6} {clock(minutes):>10} {share:>15.0%}  {bound}")


def daily_beside_backfill(requests_per_second: int, requests_per_minute: int) -> tuple[float, int]:
    """Return the seconds of a daily run of forty locations beside a backfill of these limits, and how many requests
    the backfill sent meanwhile: the worst of twelve moments to begin at.
    """
    worst, most = 0.0, 0
    for offset in range(0, 60, 5):
        daily = Job(40, 8, 4, latency_seconds=LATENCY_SECONDS, begins_at=600 + offset)
        backfill = Job(250, 20, 2, 0.0, LATENCY_SECONDS, 0.0, requests_per_second, requests_per_minute)
        run(daily, backfill)
        worst = max(worst, daily.seconds)
        most = max(most, sum(daily.begins_at <= at < daily.ended_at for at in backfill.sent))
    return worst, most


def sharing_table() -> None:
    """A daily run of forty locations beside a backfill that has gone on for ten minutes."""
    print("\nForty locations a day (320 requests, 4 slots) beside a backfill (2 slots): the worst of twelve moments\n")
    print("backfill's limits       daily run   requests of the backfill meanwhile")
    alone = Job(40, 8, 4, latency_seconds=LATENCY_SECONDS)
    run(alone)
    print(f"{'no backfill':<22} {alone.seconds:>8.0f} s")
    for per_second, per_minute in ((5, 200), (4, 150), (3, 100)):
        seconds, meanwhile = daily_beside_backfill(per_second, per_minute)
        print(f"{f'{per_second}/s, {per_minute}/min':<22} {seconds:>8.0f} s {meanwhile:>10}")


def main() -> None:
    """Print the tables."""
    daily_table()
    backfill_table()
    bottleneck_table()
    sharing_table()


if __name__ == "__main__":
    main()
