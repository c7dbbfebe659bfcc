"""Imports that are killed again and again, two at once at the end, on a server that loses answers: each row once.

``make torture`` runs it in full: 2,000 rows (6,000 in batches), twenty kills, both families, ledgers on SQLite and
PostgreSQL. In batches, up to fifty rows share a request, and any of them may be there after a lost answer.
"""

from __future__ import annotations

import csv
import os
import random
import subprocess
import sys
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pyarrow.parquet as pq
import pytest

from tests.services import empty_database

IS_FULL = bool(os.environ.get("ALTEGIO_TORTURE"))
ROWS, KILLS, EVENTS = (2_000, 20, 40) if IS_FULL else (200, 3, 8)
#: Rows in batches: so many that each event has several.
BATCHED_ROWS, BATCHED_EVENTS, BATCH = (6_000, 20, 50) if IS_FULL else (1_000, 5, 50)
LOCATION = 77
START = (datetime.now(UTC) + timedelta(days=20)).replace(hour=6, minute=0, second=0, microsecond=0, tzinfo=None)
# The engine without Airflow around it, for it starts quickly; the operator adds nothing to what happens to a row.
IMPORT = """
import sys
from pathlib import Path
from zoneinfo import ZoneInfo
from altegio_provider.api import AltegioClient
from altegio_provider.imports.engine.bookings import BookingImport
from altegio_provider.imports.engine.file_import import ImportOptions
from altegio_provider.imports.ledger.ledger import Ledger
from altegio_provider.imports.engine.report import write_report
from altegio_provider.imports.files.open_source import open_source
from altegio_provider.imports.engine.row_store import RowStore

url, family, source, report, ledger_url = sys.argv[1:]
client = AltegioClient(
    url, "sandbox-partner", "sandbox-user", route_family=family, requests_per_second=0, requests_per_minute=0
)
with client, open_source(source) as rows, Ledger(ledger_url, 77, "booking") as ledger, RowStore() as spool:
    options = ImportOptions(settle_seconds=0.5)
    halt = BookingImport(client, 77, ZoneInfo("Europe/Riga"), spool, ledger, options).run(rows)
    write_report(spool, rows.columns, Path(report))
sys.exit(halt and halt.reason)
"""
LEDGERS = ["sqlite", "postgresql+psycopg"] if IS_FULL else ["sqlite"]


@pytest.fixture(params=LEDGERS)
def ledger_url(request, tmp_path):
    with empty_database(request.param, tmp_path) as url:
        yield url


class Load(NamedTuple):
    """What is imported: under which family, and whether in batches."""

    family: str
    rows: int
    events: int
    #: Requests that book all rows, where no answer is lost.
    bookings: int
    fields: dict[str, str]


LOADS = {
    "companies": Load("companies", ROWS, EVENTS, ROWS, {"surname": "Ozols"}),
    "locations": Load("locations", ROWS, EVENTS, ROWS, {"surname": "Ozols"}),
    "batches": Load("locations", BATCHED_ROWS, BATCHED_EVENTS, BATCHED_ROWS // BATCH, {}),
}


@pytest.fixture(params=LOADS)
def load(request, altegio_sandbox):
    load = LOADS[request.param]
    altegio_sandbox.add_location(
        LOCATION, timezone="Europe/Riga", staff=[{"id": n, "name": f"T{n}"} for n in range(1, load.events + 1)],
        services=[{"id": 2, "title": "Yoga"}],
    )  # fmt: skip
    altegio_sandbox.add_events(
        LOCATION,
        [
            {"id": 500 + n, "date": START.isoformat(), "staff_id": n, "service_id": 2, "length": 3600,
             "capacity": load.rows}
            for n in range(1, load.events + 1)
        ],
    )  # fmt: skip
    for route in ("create_event_appointment", "bulk_create_event_appointments"):
        altegio_sandbox.fault("lose_answer_after", route=route, probability=0.05, seed=1)
        altegio_sandbox.fault("lose_answer_before", route=route, probability=0.05, seed=2)
        altegio_sandbox.fault("status", status=500, route=route, probability=0.0125, seed=3)
        altegio_sandbox.fault("status_after", status=502, body="html", route=route, probability=0.0125, seed=4)
        altegio_sandbox.fault(
            "status", status=429, retry_after="seconds", seconds=0, route=route, probability=0.0125, seed=5
        )
        altegio_sandbox.fault("html", route=route, probability=0.0125, seed=6)
    altegio_sandbox.fault("partial_effect", route=route, probability=0.05, seed=7)
    altegio_sandbox.fault("partial_effect", rows=[1, 7, 30, 49], route=route, probability=0.05, seed=8, answer="short")
    altegio_sandbox.fault("partial_effect", rows=20, rest_seconds=0.1, route=route, probability=0.05, seed=9)
    return load


def write_source(path, load):
    rows = [
        {
            "event_id": 501 + number % load.events,
            "name": f"Client{number}",
            "phone": f"+3712{number:07}",
            "email": f"client{number}@example.com",
            **load.fields,
        }
        for number in range(load.rows)
    ]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return Counter((row["event_id"], row["phone"].lstrip("+")) for row in rows)


def kill_after(process, sandbox, requests):
    """Kill the import after so many more requests, wherever it is then; whether it was still running."""
    enough = sandbox.stats()["requests"] + requests
    while process.poll() is None:
        if sandbox.stats()["requests"] >= enough:
            process.kill()
            process.communicate()
            return True
        time.sleep(0.02)  # a real process is watched from outside
    process.communicate()
    return False


def test_every_row_is_booked_once_whatever_dies(tmp_path, load, ledger_url, altegio_sandbox):
    asked_for = write_source(tmp_path / "clients.csv", load)
    report = tmp_path / "report"

    def start():
        arguments = [altegio_sandbox.url, load.family, str(tmp_path / "clients.csv"), str(report), ledger_url]
        command = [sys.executable, "-c", IMPORT, *arguments]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

    chance = random.Random(7)
    kills = sum(
        kill_after(
            start(),
            altegio_sandbox,
            chance.randint(load.events + 1, load.events + max(2, load.bookings // (KILLS + 2))),
        )
        for _ in range(KILLS)
    )
    assert kills == KILLS
    both = [start(), start()]
    for process in both:
        _, complaint = process.communicate(timeout=900)
        assert process.returncode == 0, complaint[-2000:]
    last = start()
    _, complaint = last.communicate(timeout=900)
    assert last.returncode == 0, complaint[-2000:]

    appointments = altegio_sandbox.truth(LOCATION)["appointments"]
    booked = Counter((one["event_id"], str(one["client"]["phone"]).lstrip("+")) for one in appointments)
    assert booked == asked_for
    rows = pq.read_table(report / "report.parquet").to_pylist()
    assert [row["line"] for row in rows] == list(range(2, load.rows + 2))
    assert {row["status"] for row in rows} == {"already_created"}
    assert {row["record_id"] for row in rows} == {one["id"] for one in appointments}
