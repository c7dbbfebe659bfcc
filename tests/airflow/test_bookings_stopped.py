"""An import that is told to stop, or cannot write its report: what is booked is known, the next run does the rest."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
from airflow.sdk.io import attach
from fsspec.implementations.memory import MemoryFileSystem

from altegio_provider.compat import AirflowException, AirflowFailException
from altegio_provider.operators.appointments import AltegioCreateAppointmentsOperator
from altegio_provider.tables.dataset.storage_errors import StorageError
from tests.small_disk import small_disk

LOCATION = 77
START = (datetime.now(UTC) + timedelta(days=20)).replace(hour=15, minute=0, second=0, microsecond=0, tzinfo=None)
EVENTS = range(501, 509)
ROUTE = {"route": "create_event_appointment"}
#: Runs the operator with the signal handler that a task of Airflow 3 has.
TASK = """
import json, signal, sys
from altegio_provider.operators.appointments import AltegioCreateAppointmentsOperator

operator = AltegioCreateAppointmentsOperator(task_id="book", **json.loads(sys.argv[1]))
signal.signal(signal.SIGTERM, lambda *_: operator.on_kill())
try:
    operator.execute({})
except Exception as error:
    print(type(error).__name__, error)
"""


class Terminated(BaseException):
    """Raised by a signal handler while the task works, as Airflow's ``execution_timeout`` does it."""


def furnish(sandbox):
    sandbox.add_location(LOCATION, timezone="Europe/Riga", staff=[{"id": 1, "name": "Anna"}])
    events = [{"id": number, "date": START.isoformat(), "staff_id": 1, "capacity": 99} for number in EVENTS]
    sandbox.add_events(LOCATION, events)


@pytest.fixture(autouse=True)
def location(altegio_sandbox, monkeypatch):
    furnish(altegio_sandbox)
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", altegio_sandbox.airflow_connection(timezone="Europe/Riga"))


def people(count):
    return [
        {
            "event_id": EVENTS[number % len(EVENTS)],
            "name": f"Client{number}",
            "surname": "Ozols",
            "phone": f"+3712000{number:04}",
            "email": "",
        }
        for number in range(count)
    ]


def arguments(tmp_path, rows, **options):
    return {
        "source": rows,
        "location_id": LOCATION,
        "report_path": str(tmp_path / "report"),
        "ledger_url": f"sqlite:///{tmp_path / 'ledger.db'}",
        "defaults": {"email": ""},
        "settle_seconds": 0.05,
        **options,
    }


def run(tmp_path, rows, **options):
    given = arguments(tmp_path, rows, **options)
    return AltegioCreateAppointmentsOperator(task_id="book", **given).execute({})


def booked(sandbox):
    truth = sandbox.truth(LOCATION)["appointments"]
    return Counter((one["event_id"], one["client"]["phone"]) for one in truth)


def asked_for(rows):
    return Counter((row["event_id"], row["phone"]) for row in rows)


def outcomes(tmp_path):
    return pq.read_table(tmp_path / "report" / "report.parquet").to_pylist()


def stopped(operator, is_time, stop):
    """Run the operator in this thread, and stop it when it is time; return what it ended with."""
    has_ended = threading.Event()

    def watch():
        while not has_ended.wait(0.02):
            if is_time():
                stop()
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        operator.execute({})
    except (AirflowException, Terminated) as error:
        return error
    finally:
        has_ended.set()
        watcher.join()


def check_that_the_rest_is_booked(tmp_path, sandbox, rows):
    by_status = Counter(row["status"] for row in outcomes(tmp_path))
    assert by_status["created"] == sum(booked(sandbox).values())
    assert 3 <= by_status["created"] < len(rows)
    assert by_status["created"] + by_status["not_sent"] == len(rows)
    result = run(tmp_path, rows, concurrency=8)
    assert result["already_created"] == by_status["created"]
    assert result["created"] == by_status["not_sent"]
    assert booked(sandbox) == asked_for(rows)


@pytest.fixture
def slow_sandbox(altegio_sandbox):
    altegio_sandbox.reset(latency_seconds=0.1)
    furnish(altegio_sandbox)
    return altegio_sandbox


def test_a_process_told_to_end_finishes_what_is_under_way_and_leaves_the_rest_to_the_next(tmp_path, slow_sandbox):
    rows = people(60)
    command = [sys.executable, "-c", TASK, json.dumps(arguments(tmp_path, rows, concurrency=2))]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, "text": True}
    with subprocess.Popen(command, **pipes) as process:
        while sum(booked(slow_sandbox).values()) < 3:
            assert process.poll() is None, process.communicate()[0]
            time.sleep(0.02)  # a real process is watched from outside
        process.send_signal(signal.SIGTERM)
        told, _ = process.communicate(timeout=60)
    assert "AirflowException" in told
    assert "the import was stopped" in told
    check_that_the_rest_is_booked(tmp_path, slow_sandbox, rows)


def test_a_task_broken_off_by_an_exception_finishes_what_is_under_way_too(tmp_path, slow_sandbox):
    rows = people(60)
    operator = AltegioCreateAppointmentsOperator(task_id="book", **arguments(tmp_path, rows, concurrency=2))

    def on_term(*_):
        operator.on_kill()
        raise Terminated

    before = signal.signal(signal.SIGTERM, on_term)
    try:
        error = stopped(
            operator,
            lambda: sum(booked(slow_sandbox).values()) >= 3,
            lambda: os.kill(os.getpid(), signal.SIGTERM),
        )
    finally:
        signal.signal(signal.SIGTERM, before)
    assert isinstance(error, Terminated)
    check_that_the_rest_is_booked(tmp_path, slow_sandbox, rows)


def stopped_while_settling(tmp_path, sandbox, rows):
    """Lose the answer of the second row, and stop while it is waited for."""
    sandbox.fault("lose_answer_after", nth=2, **ROUTE)
    operator = AltegioCreateAppointmentsOperator(task_id="book", **arguments(tmp_path, rows, settle_seconds=60))
    return stopped(operator, lambda: booked(sandbox) == asked_for(rows), operator.on_kill)


def test_a_task_stopped_while_it_waits_for_things_to_settle_may_be_tried_again(tmp_path, altegio_sandbox):
    rows = people(8)
    error = stopped_while_settling(tmp_path, altegio_sandbox, rows)
    assert type(error) is AirflowException
    assert "1 are in doubt: the import was stopped" in str(error)
    assert run(tmp_path, rows)["rows"] == 8
    assert {row["status"] for row in outcomes(tmp_path)} == {"created", "already_created"}
    assert booked(altegio_sandbox) == asked_for(rows)


def test_a_report_that_cannot_be_written_is_written_by_the_next_run(tmp_path, altegio_sandbox, monkeypatch):
    rows = people(12)

    def is_full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    attach("memory", fs=MemoryFileSystem())
    monkeypatch.setattr(MemoryFileSystem, "put_file", is_full)
    with pytest.raises(OSError, match="No space left"):
        run(tmp_path, rows, report_path="memory://reports/today")
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OSError, match="Not a directory"):
        run(tmp_path, rows, report_path=str(tmp_path / "file" / "report"))
    assert booked(altegio_sandbox) == asked_for(rows)
    assert run(tmp_path, rows)["already_created"] == 12
    ids = {one["id"] for one in altegio_sandbox.truth(LOCATION)["appointments"]}
    assert {row["record_id"] for row in outcomes(tmp_path)} == ids
    assert booked(altegio_sandbox) == asked_for(rows)


def test_a_row_in_doubt_is_called_so_where_the_file_is_not_sent_at_all(tmp_path, altegio_sandbox):
    rows = people(4)
    stopped_while_settling(tmp_path, altegio_sandbox, rows)
    with pytest.raises(AirflowFailException, match="1 of 5 rows are rejected"):
        run(tmp_path, [*rows, {**rows[0], "phone": "1"}])
    by_status = Counter(row["status"] for row in outcomes(tmp_path))
    assert by_status == {"already_created": 3, "in_doubt": 1, "rejected": 1}
    assert run(tmp_path, rows, dry_run=True)["in_doubt"] == 1
    assert run(tmp_path, rows)["created"] == 1


def test_what_the_server_does_not_tell_today_may_be_asked_again(tmp_path, altegio_sandbox):
    rows = people(4)
    altegio_sandbox.fault("lose_answer_after", nth=2, **ROUTE)
    altegio_sandbox.fault("late_client_id", seconds=1000, **ROUTE)
    with pytest.raises(AirflowException, match="1 rows are in doubt") as failure:
        run(tmp_path, rows)
    assert not isinstance(failure.value, AirflowFailException)
    altegio_sandbox.advance(1000)
    assert run(tmp_path, rows)["created"] == 1
    assert booked(altegio_sandbox) == asked_for(rows)


@pytest.mark.parametrize("leave", [0, 8_192])
def test_a_report_that_its_disk_does_not_hold_is_written_by_the_next_run(tmp_path, altegio_sandbox, leave):
    """The rejected rows are the large part: with a little space, the reports before them can be written."""
    faulty = [{**row, "phone": "1", "remarks": "x" * 20_000} for row in people(12)]
    rows = [*({**row, "remarks": ""} for row in people(12)), *faulty]
    options = {"max_rejected": 12, "column_mapping": {"remarks": None}}
    with small_disk(tmp_path / "report", "1m") as disk:
        disk.fill(leave=leave)
        with pytest.raises(StorageError, match=r"cannot write .*: the disk is full\. Free some space") as failure:
            run(tmp_path, rows, **options)
        assert str(disk.folder) in str(failure.value)
        assert booked(altegio_sandbox) == asked_for(people(12))
        assert not [path for path in disk.folder.iterdir() if path.name.startswith(".")]
        assert not (disk.folder / "rejected.csv").exists()
        disk.clear()
        assert run(tmp_path, rows, **options)["already_created"] == 12
        assert Counter(row["status"] for row in outcomes(tmp_path)) == {"already_created": 12, "rejected": 12}
        assert (disk.folder / "rejected.csv").stat().st_size > 12 * 20_000
    assert booked(altegio_sandbox) == asked_for(people(12))
