"""Runs one contender's job in a new process, and measures it.

:mod:`benchmarks.throughput` runs ``python -m benchmarks.run_contender NAME URL ROWS``, which prints JSON.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.contenders import CONTENDERS
from benchmarks.job import LOCATION_ID, TIMEZONE, Job

__all__ = ["Result", "run_contender"]


class Result(NamedTuple):
    """The measurement of a job, in the client's process only.

    :param seconds: from the start of the job, including its imports.
    :param cpu_seconds: user and system.
    :param peak_mb: the process' peak memory in megabytes.
    :param rows: how many rows were read.
    :param distinct: how many different ids they have.
    """

    seconds: float
    cpu_seconds: float
    peak_mb: float
    rows: int
    distinct: int


def run_contender(name: str, url: str, rows: int, folder: Path) -> Result:
    """Run the job of one contender in this process."""
    contender = CONTENDERS[name]
    job = Job(url, rows, folder)
    if contender.loaded:
        importlib.import_module(contender.loaded)
    began, used = time.perf_counter(), _cpu_seconds()
    brought = contender.run(job)
    seconds, cpu_seconds = time.perf_counter() - began, _cpu_seconds() - used
    # Linux counts kilobytes, macOS bytes.
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e3 if sys.platform == "linux" else 1e6)
    ids = _ids_in(folder.glob(contender.files)) if brought is None else brought
    return Result(seconds, cpu_seconds, peak_mb, len(ids), len(set(ids)))


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def _ids_in(files: Iterable[Path]) -> list[int]:
    import pyarrow.parquet as pq

    return [number for file in files for number in pq.ParquetFile(file).read(["id"])["id"].to_pylist()]


def connection(url: str) -> str:
    """Return an Airflow connection to the server, without limits."""
    extra: dict[str, Any] = {"user_token": "sandbox-user", "location_id": LOCATION_ID, "timezone": TIMEZONE}
    extra |= {"requests_per_second": 0, "requests_per_minute": 0}
    return json.dumps({"conn_type": "altegio", "host": url, "password": "sandbox-partner", "extra": extra})


if __name__ == "__main__":
    _, chosen, address, number = sys.argv
    os.environ["AIRFLOW_CONN_ALTEGIO_DEFAULT"] = connection(address)
    with tempfile.TemporaryDirectory() as scratch:
        result = run_contender(chosen, address, int(number), Path(scratch))
    print(json.dumps(result._asdict()))
