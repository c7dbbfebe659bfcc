"""Measures bulk booking: rows per second without a limit, memory by number of rows, and the time at the API's limit.

``python -m benchmarks.imports`` takes about seven minutes because of the limit. With ``--batches`` it measures only
rows that share requests, in two minutes.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from benchmarks.servers import sandbox

LOCATION = 77
EVENTS = 40
#: Rows that share a request.
BATCH = 50
#: The first 200 requests take 40 s at five a second, the next 200 start with the second minute: 99 s, rounded to 100.
LEAST_SECONDS = 100.0


def main() -> None:
    """Print each figure with its goal."""
    one_by_one()
    batches()


def batches() -> None:
    """Print the figures of rows that share requests."""
    rows = 10_000
    free = {count: measure(count, EVENTS, limited=False, in_batches=True) for count in (1_000, rows)}
    print(
        f"{rows} rows in batches without limit: {rows / free[rows]['seconds']:.0f} rows/s, "
        f"{rows / free[rows]['cpu_seconds']:.0f} rows/s of this process's CPU time (goal: 5,000)"
    )
    ratio = free[rows]["peak_mb"] / free[1_000]["peak_mb"]
    print(f"peak memory: {free[1_000]['peak_mb']:.0f} MB at 1,000 rows, {ratio:.2f} times that at {rows} (goal: 1.1)")
    one = measure(rows, EVENTS, limited=True, in_batches=True)
    least = least_seconds(rows // BATCH + EVENTS)
    print(
        f"{rows} rows in batches over {EVENTS} events at the limit: {one['requests']} requests (goal: 240), "
        f"{one['seconds']:.0f} s, {one['seconds'] / least:.3f} of the least (goal: 1.1), 429s: {one['limited']}"
    )


def least_seconds(requests: int) -> float:
    """Return the seconds from the first to the last of some requests at 5 a second and 200 a minute."""
    minutes, rest = divmod(requests - 1, 200)
    return minutes * 60 + rest / 5


def one_by_one() -> None:
    """Print the figures of rows with a request each."""
    free = {rows: measure(rows, EVENTS, limited=False) for rows in (1_000, 10_000)}
    print(f"10,000 rows without limit: {10_000 / free[10_000]['seconds']:.0f} rows/s (goal: 300)")
    ratio = free[10_000]["peak_mb"] / free[1_000]["peak_mb"]
    print(f"peak memory: {free[1_000]['peak_mb']:.0f} MB at 1,000 rows, {ratio:.2f} times that at 10,000 (goal: 1.1)")
    for rows, events, check_seats in ((396, 4, True), (400, 4, False)):
        one = measure(rows, events, limited=True, check_seats=check_seats)
        beside = f" and {events} events asked for their seats" if check_seats else ", seats not asked for"
        ratio = one["seconds"] / LEAST_SECONDS
        print(f"{rows} rows at the limit{beside}: {ratio:.3f} of the least (goal: 1.03), 429s: {one['limited']}")


def measure(
    rows: int, events: int, *, limited: bool, check_seats: bool = True, in_batches: bool = False
) -> dict[str, Any]:
    """Import rows in a new process into a new sandbox."""
    with sandbox(*([] if limited else ["--no-limits"])) as url, tempfile.TemporaryDirectory() as folder:
        control = url.replace("/api/v2", "/_sandbox")
        _fill(control, events, rows)
        source = Path(folder, "clients.csv")
        _write(source, rows, events, in_batches=in_batches)
        command = [sys.executable, "-m", "benchmarks.imports", "--worker", url, "--source", str(source)]
        command += ["--limited"] * limited + ["--check-seats"] * check_seats
        command += ["--batches"] * in_batches
        told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        with urllib.request.urlopen(f"{control}/stats") as answer:
            stats = json.load(answer)
        if told["created"] != rows:
            raise SystemExit(f"{told['created']} of {rows} rows were created")
        seconds = stats["arrivals"][-1] - stats["arrivals"][0] if limited else told["seconds"]
        return {**told, "seconds": seconds, "limited": stats["limited"], "requests": stats["requests"]}


def work(url: str, source: str, *, limited: bool, check_seats: bool, in_batches: bool) -> None:
    """Import the file and print the result."""
    from altegio_provider.api import AltegioClient
    from altegio_provider.imports.engine.bookings import BookingImport
    from altegio_provider.imports.engine.file_import import ImportOptions
    from altegio_provider.imports.engine.report import write_report
    from altegio_provider.imports.engine.row_store import RowStore
    from altegio_provider.imports.files.open_source import open_source
    from altegio_provider.imports.ledger.ledger import Ledger

    family = "locations" if in_batches else "companies"
    limits: dict[str, Any] = {} if limited else {"requests_per_second": 0, "requests_per_minute": 0}
    options = ImportOptions(concurrency=8, check_seats=check_seats)
    folder = Path(source).parent
    began, cpu_began = time.perf_counter(), time.process_time()
    with (
        AltegioClient(url, "sandbox-partner", "sandbox-user", route_family=family, **limits) as client,
        open_source(source) as rows,
        Ledger(f"sqlite:///{folder / 'ledger.db'}", LOCATION, BookingImport.kind) as ledger,
        RowStore() as store,
    ):
        halt = BookingImport(client, LOCATION, ZoneInfo("Europe/Riga"), store, ledger, options).run(rows)
        write_report(store, rows.columns, folder / "report")
        counts = {str(status): count for status, count in store.counts().items()}
    if halt is not None:
        raise SystemExit(halt.reason)
    # Not ru_maxrss: it starts with the parent process' value.
    peak = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    peak_mb = int(peak[1]) / 1024 if peak else 0.0
    print(
        json.dumps(
            {
                **counts,
                "seconds": time.perf_counter() - began,
                "cpu_seconds": time.process_time() - cpu_began,
                "peak_mb": peak_mb,
            }
        )
    )


def _fill(control: str, events: int, capacity: int) -> None:
    start = (datetime.now(UTC) + timedelta(days=20)).strftime("%Y-%m-%dT09:00:00")
    staff = [{"id": number, "name": f"Teacher {number}"} for number in range(1, events + 1)]
    location = {"id": LOCATION, "timezone": "Europe/Riga", "staff": staff, "services": [{"id": 2, "title": "Yoga"}]}
    rows = [
        {"location_id": LOCATION, "id": 500 + number, "date": start, "staff_id": number, "service_id": 2}
        | {"length": 3600, "capacity": capacity}
        for number in range(1, events + 1)
    ]
    for path, body in (("locations", location), ("events", rows)):
        request = urllib.request.Request(
            f"{control}/{path}", json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        urllib.request.urlopen(request).close()


def _write(path: Path, rows: int, events: int, *, in_batches: bool) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        # A surname cannot be said in a batch.
        surname = [] if in_batches else ["Ozola"]
        writer.writerow(("event_id", "name", *(["surname"] * len(surname)), "phone", "email"))
        for number in range(rows):
            event_id = 501 + number % events
            writer.writerow((event_id, "Anna", *surname, f"+3712{number:07}", f"client{number}@example.com"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--worker")
    parser.add_argument("--source")
    parser.add_argument("--limited", action="store_true")
    parser.add_argument("--check-seats", action="store_true")
    parser.add_argument("--batches", action="store_true")
    given = parser.parse_args()
    if given.worker:
        work(given.worker, given.source, limited=given.limited, check_seats=given.check_seats, in_batches=given.batches)
    elif given.batches:
        batches()
    else:
        main()
