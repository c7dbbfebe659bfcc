"""Measures bulk booking: rows per second without a limit, memory by number of rows, and the time at the API's limit.

``python -m benchmarks.imports`` takes about five minutes because of the limit.
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
#: The first 200 requests take 40 s at five a second, the next 200 start with the second minute: 99 s, rounded to 100.
LEAST_SECONDS = 100.0


def main() -> None:
    """Print each figure with its goal."""
    free = {rows: measure(rows, EVENTS, limited=False) for rows in (1_000, 10_000)}
    print(f"10,000 rows without limit: {10_000 / free[10_000]['seconds']:.0f} rows/s (goal: 300)")
    ratio = free[10_000]["peak_mb"] / free[1_000]["peak_mb"]
    print(f"peak memory: {free[1_000]['peak_mb']:.0f} MB at 1,000 rows, {ratio:.2f} times that at 10,000 (goal: 1.1)")
    for rows, events, check_seats in ((396, 4, True), (400, 4, False)):
        one = measure(rows, events, limited=True, check_seats=check_seats)
        beside = f" and {events} events asked for their seats" if check_seats else ", seats not asked for"
        ratio = one["seconds"] / LEAST_SECONDS
        print(f"{rows} rows at the limit{beside}: {ratio:.3f} of the least (goal: 1.03), 429s: {one['limited']}")


def measure(rows: int, events: int, *, limited: bool, check_seats: bool = True) -> dict[str, Any]:
    """Import rows in a new process into a new sandbox."""
    with sandbox(*([] if limited else ["--no-limits"])) as url, tempfile.TemporaryDirectory() as folder:
        control = url.replace("/api/v2", "/_sandbox")
        _fill(control, events, rows)
        source = Path(folder, "clients.csv")
        _write(source, rows, events)
        command = [sys.executable, "-m", "benchmarks.imports", "--worker", url, "--source", str(source)]
        command += ["--limited"] * limited + ["--check-seats"] * check_seats
        told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
        with urllib.request.urlopen(f"{control}/stats") as answer:
            stats = json.load(answer)
        if told["created"] != rows:
            raise SystemExit(f"{told['created']} of {rows} rows were created")
        seconds = stats["arrivals"][-1] - stats["arrivals"][0] if limited else told["seconds"]
        return {**told, "seconds": seconds, "limited": stats["limited"]}


def work(url: str, source: str, *, limited: bool, check_seats: bool) -> None:
    """Import the file and print the result."""
    from altegio_provider.api import AltegioClient
    from altegio_provider.imports.engine.bookings import BookingImport
    from altegio_provider.imports.engine.file_import import ImportOptions
    from altegio_provider.imports.engine.report import write_report
    from altegio_provider.imports.engine.row_store import RowStore
    from altegio_provider.imports.files.open_source import open_source
    from altegio_provider.imports.ledger.ledger import Ledger

    limits = {} if limited else {"requests_per_second": 0, "requests_per_minute": 0}
    options = ImportOptions(concurrency=8, check_seats=check_seats)
    folder = Path(source).parent
    began = time.perf_counter()
    with (
        AltegioClient(url, "sandbox-partner", "sandbox-user", **limits) as client,
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
    print(json.dumps({**counts, "seconds": time.perf_counter() - began, "peak_mb": peak_mb}))


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


def _write(path: Path, rows: int, events: int) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("event_id", "name", "surname", "phone", "email"))
        for number in range(rows):
            event_id = 501 + number % events
            writer.writerow((event_id, "Anna", "Ozola", f"+3712{number:07}", f"client{number}@example.com"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--worker")
    parser.add_argument("--source")
    parser.add_argument("--limited", action="store_true")
    parser.add_argument("--check-seats", action="store_true")
    given = parser.parse_args()
    if given.worker:
        work(given.worker, given.source, limited=given.limited, check_seats=given.check_seats)
    else:
        main()
