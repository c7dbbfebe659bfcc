"""Files in a folder become bookings: the example DAG, through Airflow, against the sandbox."""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

LOCATION = 88
START = (datetime.now(UTC) + timedelta(days=20)).replace(hour=15, minute=0, second=0, microsecond=0, tzinfo=None)
REPORTS = ("report.csv", "report.parquet", "rejected.csv")
DRY_RUN = tuple(f"dry_run/{name}" for name in REPORTS)
HEADINGS = ("event_id", "name", "surname", "phone", "email")
#: A task that is tried again waits for two minutes, a sensor that looks again for half a one: both are faults here.
SECONDS = 110


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("book ings")


@pytest.fixture
def inbox(folder):
    """The folder that the DAG looks into; nothing is in it, and nothing in the ledger."""
    for path in folder.glob("ledger.db*"):
        path.unlink()
    shutil.rmtree(folder / "inbox", ignore_errors=True)
    (folder / "inbox").mkdir()
    return folder / "inbox"


@pytest.fixture(scope="module")
def run(folder, repository, airflow_db, _altegio_sandbox_server):
    """Run an Airflow command, with a person who answers, and return what it said."""
    connection = {
        "conn_type": "altegio",
        "host": _altegio_sandbox_server.url,
        "password": "sandbox-partner",
        "extra": {"user_token": "sandbox-user", "location_id": LOCATION, "timezone": "Europe/Riga"},
    }
    settings = {
        "AIRFLOW_CONN_ALTEGIO_DEFAULT": json.dumps(connection),
        "ALTEGIO_INBOX": str(folder / "inbox"),
        "ALTEGIO_INBOX_QUIET": "0",
        "ALTEGIO_LEDGER": f"sqlite:///{folder / 'ledger.db'}",
    }
    log = folder / "airflow.log"
    command = [sys.executable, "-m", "tests.airflow.airflow_with_a_person"]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        log.open("w") as output,
        subprocess.Popen(command, cwd=repository, env=os.environ | settings, stderr=output, **pipes) as process,
        ThreadPoolExecutor(1) as reader,
    ):

        def run(*arguments):
            begin = log.stat().st_size
            print(json.dumps(arguments), file=process.stdin, flush=True)
            code = reader.submit(process.stdout.readline)
            try:
                code = code.result(timeout=SECONDS)
            except TimeoutError:
                process.kill()
            said = log.read_bytes()[begin:].decode()
            assert code == "0\n", said
            return said

        try:
            run("pools", "set", "altegio", "4", "Altegio")
            yield run
        finally:
            process.kill()


@pytest.fixture
def sandbox(altegio_sandbox):
    altegio_sandbox.add_location(LOCATION, timezone="Europe/Riga")
    altegio_sandbox.add_events(LOCATION, [{"id": 501, "date": START.isoformat(), "capacity": 50}])
    return altegio_sandbox


def drop(inbox, name, *phones):
    with (inbox / name).open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADINGS)
        writer.writerows((501, "Jānis", "Ozols", phone, f"c{phone[1:]}@example.com") for phone in phones)


def booked(sandbox):
    return sorted(one["client"]["phone"] for one in sandbox.truth(LOCATION)["appointments"])


def files(inbox):
    """Where each file is: the folder that the DAG put it into, and the rest of its path but for the run's name."""
    paths = (path.relative_to(inbox).parts for path in inbox.rglob("*") if path.is_file())
    return {"/".join((parts[0], *parts[2:])) for parts in paths}


def test_a_file_is_booked_and_put_aside_with_its_report(inbox, run, sandbox):
    drop(inbox, "good.csv", "+37120000001", "+37120000002")
    said = run("dags", "test", "altegio_bookings_import")
    assert "No approval is wanted" in said
    assert "UP_FOR_RESCHEDULE" not in said  # what is there is seen at the first look
    assert booked(sandbox) == ["+37120000001", "+37120000002"]
    assert files(inbox) == {f"done/good.csv/{name}" for name in ("good.csv", *REPORTS, *DRY_RUN)}


def test_a_person_says_for_each_file_whether_it_is_booked(inbox, run, sandbox):
    drop(inbox, "approved.csv", "+37120000001")
    drop(inbox, "declined.csv", "+37120000002")
    said = run("dags", "test", "altegio_bookings_import", "--conf", json.dumps({"approve": True}))
    assert "Skipping downstream tasks" in said
    assert booked(sandbox) == ["+37120000001"]
    approved = {f"done/approved.csv/{name}" for name in ("approved.csv", *REPORTS, *DRY_RUN)}
    assert files(inbox) == approved | {f"declined/declined.csv/{name}" for name in ("declined.csv", *DRY_RUN)}
