"""Calculates how long an extract takes: ``python -m scripts.plan --locations 40 --events-per-day 30 --days 1825``.

This is arithmetic only: the requests follow from the paging in :mod:`~altegio_provider.api.paging.reader`, the time
from the API's limit for one IP address, the size from typical rows in the dataset (``docs/performance.md``).
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Sequence
from dataclasses import dataclass

from altegio_provider.api.ratelimit.limiter import Rate, rates_of_limits

__all__ = ["Plan", "least_seconds", "main", "requests_for_rows"]

#: Measured with the sandbox's data: ``docs/performance.md``. Most of a file with few rows describes its 43 columns.
_BYTES_PER_FILE = 17_000
_BYTES_PER_ROW = 23


def requests_for_rows(rows: int, page_size: int) -> int:
    """Return the requests for a window of unchanged rows: its pages, and one that proves the end."""
    if rows == 0:
        return 1
    return max(1, math.ceil((rows - 1) / max(1, page_size - 1))) + 1


def least_seconds(requests: int, rates: Sequence[Rate]) -> float:
    """Return the seconds from the first request to the last if every window of the limit is full."""
    steps = sorted(rates, key=lambda rate: -rate.seconds)
    seconds, left = 0.0, requests - 1
    for rate in steps:
        if left > 0:
            seconds += left // rate.limit * rate.seconds
            left %= rate.limit
    return seconds


@dataclass(frozen=True)
class Plan:
    """An extract to be planned.

    :param locations: the number of locations.
    :param events_per_day: activities a day in each location.
    :param days: the number of days.
    :param window_days: days in one run's range: 1 for daily runs, 30 or so for a backfill.
    :param page_size: rows for each request.
    :param addresses: the number of IP addresses that share the work.
    """

    locations: int
    events_per_day: float
    days: int
    window_days: int = 30
    page_size: int = 100
    addresses: int = 1
    requests_per_second: int | None = 5
    requests_per_minute: int | None = 200

    @property
    def rows(self) -> int:
        """All activities."""
        return round(self.locations * self.events_per_day * self.days)

    @property
    def requests(self) -> int:
        """All requests."""
        whole, rest = divmod(self.days, self.window_days)
        full = requests_for_rows(round(self.events_per_day * self.window_days), self.page_size)
        last = requests_for_rows(round(self.events_per_day * rest), self.page_size) if rest else 0
        return self.locations * (whole * full + last)

    @property
    def minutes(self) -> float:
        """The minutes at the rate limit."""
        rates = rates_of_limits(self.requests_per_second, self.requests_per_minute)
        return least_seconds(math.ceil(self.requests / self.addresses), rates) / 60

    @property
    def files(self) -> int:
        """The number of Parquet files: one for each run."""
        return self.locations * math.ceil(self.days / self.window_days)

    @property
    def megabytes(self) -> float:
        """The size of the Parquet dataset in megabytes."""
        return (self.files * _BYTES_PER_FILE + self.rows * _BYTES_PER_ROW) / 1e6

    def __str__(self) -> str:
        hours, minutes = divmod(math.ceil(self.minutes), 60)
        return "\n".join(
            (
                f"activities     {self.rows:>12,}",
                f"requests       {self.requests:>12,}   ({self.page_size} a page, {self.window_days} days a run)",
                f"time           {f'{hours} h {minutes:02} min':>12}   (at the limit, {self.addresses} IP address(es))",
                f"Parquet        {self.megabytes:>9,.1f} MB   (in {self.files:,} files)",
            )
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a plan."""
    parser = argparse.ArgumentParser(
        prog="python -m scripts.plan", description="How many requests, minutes and megabytes an extract takes."
    )
    parser.add_argument("--locations", type=_positive, required=True)
    parser.add_argument("--events-per-day", type=float, required=True, help="activities a day in each location")
    parser.add_argument("--days", type=_positive, required=True, help="days in all")
    parser.add_argument("--window-days", type=_positive, default=30, help="days in one run (default: %(default)s)")
    parser.add_argument("--page-size", type=_positive, default=100, help="rows a request (default: %(default)s)")
    parser.add_argument("--addresses", type=_positive, default=1, help="IP addresses that share the work")
    parser.add_argument("--requests-per-second", type=int, default=5)
    parser.add_argument("--requests-per-minute", type=int, default=200)
    print(Plan(**vars(parser.parse_args(arguments))))


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError("must be 1 or more")
    return number


if __name__ == "__main__":
    main()
