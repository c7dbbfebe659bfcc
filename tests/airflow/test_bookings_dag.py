"""Files in a folder become bookings: the example DAG, through Airflow, against the sandbox.

What a person is asked runs in a whole Airflow: before Airflow 3.3 ``airflow dags test`` cannot wait for the answer.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from urllib.parse import quote

import pytest

from tests.airflow.running_airflow import running_airflow

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
def settings(folder, _altegio_sandbox_server):
    """The environment of the DAG."""
    connection = {
        "conn_type": "altegio",
        "host": _altegio_sandbox_server.url,
        "password": "sandbox-partner",
        "extra": {"user_token": "sandbox-user", "location_id": LOCATION, "timezone": "Europe/Riga"},
    }
    return {
        "AIRFLOW_CONN_ALTEGIO_DEFAULT": json.dumps(connection),
        "ALTEGIO_INBOX": str(folder / "inbox"),
        "ALTEGIO_INBOX_QUIET": "0",
        "ALTEGIO_LEDGER": f"sqlite:///{folder / 'ledger.db'}",
    }


@pytest.fixture(scope="module")
def run(folder, settings, repository, airflow_db):
    """Run an Airflow command, and return what it said."""
    log = folder / "airflow.log"
    command = [sys.executable, "-m", "scripts.airflow_commands"]
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
    assert "No approval needed" in said
    assert "UP_FOR_RESCHEDULE" not in said  # what is there is seen at the first look
    assert booked(sandbox) == ["+37120000001", "+37120000002"]
    assert files(inbox) == {f"done/good.csv/{name}" for name in ("good.csv", *REPORTS, *DRY_RUN)}


def test_a_person_says_for_each_file_whether_it_is_booked(inbox, settings, sandbox, repository, tmp_path):
    drop(inbox, "approved.csv", "+37120000001")
    drop(inbox, "declined.csv", "+37120000002")
    home, dags = tmp_path / "airflow", tmp_path / "dags"
    home.mkdir()
    dags.mkdir()
    shutil.copy(repository / "dags" / "altegio_bookings_import.py", dags)
    answers = {"/approved.csv/": "Approve", "/declined.csv/": "Reject"}
    with running_airflow(home, dags, settings | {"ALTEGIO_APPROVE": "true"}) as airflow:
        airflow.call("POST", "pools", {"name": "altegio", "slots": 4})
        airflow.unpause("altegio_bookings_import")
        runs = "dags/altegio_bookings_import/dagRuns"

        def questions():
            asked = airflow.call("GET", "dags/~/dagRuns/~/hitlDetails")["hitl_details"]
            # Airflow's scheduler fails a task whose answer is there before it has seen that the task waits.
            waiting = airflow.seen_by_the_scheduler("one_file.approve")
            return asked if len(asked) == waiting == len(answers) else None

        for question in airflow.wait_for(questions, "a question for each file"):
            asks = question["task_instance"]
            path = f"{runs}/{quote(asks['dag_run_id'])}/taskInstances/{asks['task_id']}/{asks['map_index']}/hitlDetails"
            choice = next(answer for part, answer in answers.items() if part in question["body"])
            # As Airflow's page does: on 3.1 a question has the DAG's params too, and wants them back.
            asked = question["params"].items()
            params = {name: param["value"] if isinstance(param, dict) else param for name, param in asked}
            airflow.call("PATCH", path, {"chosen_options": [choice], "params_input": params})

        def ended():
            run = airflow.call("GET", f"{runs}/{quote(asks['dag_run_id'])}")
            return run["state"] if run["end_date"] else None

        assert airflow.wait_for(ended, "the end of the run") == "success"
        tasks = airflow.call("GET", f"{runs}/{quote(asks['dag_run_id'])}/taskInstances")["task_instances"]
        assert max(task["try_number"] for task in tasks) == 1
    assert booked(sandbox) == ["+37120000001"]
    approved = {f"done/approved.csv/{name}" for name in ("approved.csv", *REPORTS, *DRY_RUN)}
    assert files(inbox) == approved | {f"declined/declined.csv/{name}" for name in ("declined.csv", *DRY_RUN)}
