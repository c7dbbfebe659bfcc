"""The extract as a process of its own: killed in the middle of its writing, and watched for its memory."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pandas as pd
import pytest

from altegio_provider.tables.dataset.dataset import read_manifest

BEGIN = datetime(2020, 1, 1)  # noqa: DTZ001 - a wall clock
EXTRACT = """
import resource, sys
from altegio_provider.transfers.altegio_to_parquet import AltegioActivitiesToParquetOperator
operator = AltegioActivitiesToParquetOperator(
    task_id="extract", output_path=sys.argv[1], location_id=1, date_from="2020-01-01", date_to="2030-01-01",
)
rows = operator.execute({})["rows"]
print(rows, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
PADDING = {"instructions": "Please come ten minutes early. " * 20, "service": {"id": 2, "title": "Yoga"}}


class Pages:
    """A server of so many made-up rows; it can be told to hold one page back."""

    def __init__(self, rows: int) -> None:
        self.rows = rows
        self.held_from = rows + 1
        self.is_holding = threading.Event()
        self.may_go_on = threading.Event()

    def page(self, offset: int, limit: int) -> bytes:
        if offset >= self.held_from:
            self.is_holding.set()
            self.may_go_on.wait(30)
        rows = [
            {"id": number + 1, "date": f"{BEGIN + timedelta(minutes=20 * number):%Y-%m-%d %H:%M:%S}", **PADDING}
            for number in range(offset, min(offset + limit, self.rows))
        ]
        return json.dumps({"data": rows, "meta": {"pagination": {"total": self.rows}}}).encode()


@contextmanager
def served(pages: Pages) -> Iterator[str]:
    """Serve the pages and give the Airflow connection to them."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            query = parse_qs(urlsplit(self.path).query)
            body = pages.page(int(query["offset"][0]), int(query["limit"][0]))
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda *_: None  # a client that was killed is no error here
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    extra = {"user_token": "u", "requests_per_second": 0, "requests_per_minute": 0}
    yield json.dumps(
        {
            "conn_type": "altegio",
            "host": f"http://127.0.0.1:{server.server_port}/api/v2",
            "password": "p",
            "extra": extra,
        }
    )
    pages.may_go_on.set()
    server.shutdown()
    server.server_close()


def extract(connection: str, path: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", EXTRACT, str(path)],
        env={**os.environ, "AIRFLOW_CONN_ALTEGIO_DEFAULT": connection},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def result_of(process: subprocess.Popen[str]) -> tuple[int, int]:
    out, _ = process.communicate(timeout=200)
    assert process.returncode == 0
    rows, peak_kib = out.split()[-2:]
    return int(rows), int(peak_kib)


@pytest.mark.parametrize("has_older_run", [False, True])
def test_a_killed_task_leaves_nothing_that_looks_like_data(tmp_path, has_older_run) -> None:
    pages = Pages(500)
    with served(pages) as connection:
        if has_older_run:
            assert result_of(extract(connection, tmp_path))[0] == 500
        # Enough rows that row groups are on the disk already when the process is killed.
        pages.rows, pages.held_from = 60_000, 50_000
        process = extract(connection, tmp_path)
        assert pages.is_holding.wait(120)
        process.send_signal(signal.SIGKILL)
        process.communicate()
        litter = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size > 100_000]
        assert litter, "it was killed before it wrote anything"
        visible = sorted(tmp_path.rglob("*.parquet"))
        assert len(visible) == has_older_run
        assert not set(litter) & set(visible)
        assert sum(file.rows for file in read_manifest(tmp_path)) == 500 * has_older_run
        if has_older_run:
            assert len(pd.read_parquet(tmp_path)) == 500
        pages.held_from, pages.rows = 10**9, 700
        pages.may_go_on.set()
        assert result_of(extract(connection, tmp_path))[0] == 700
    frame = pd.read_parquet(tmp_path)
    assert sorted(frame["id"]) == list(range(1, 701))


def test_memory_does_not_grow_with_the_rows(tmp_path) -> None:
    peaks = []
    for rows in (20_000, 200_000):
        with served(Pages(rows)) as connection:
            written, peak = result_of(extract(connection, tmp_path / str(rows)))
        assert written == rows
        peaks.append(peak)
    assert peaks[1] <= peaks[0] * 1.15
