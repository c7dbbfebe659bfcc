"""Measures CPU, memory and rows per second of all contenders: each run in a new process, interleaved, medians of three.

The server answers at once and has no limit, so the machine is the bottleneck. All figures are of the client's process
only. ``python -m benchmarks throughput`` takes about ten minutes.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import NamedTuple

from benchmarks.contenders import CONTENDERS
from benchmarks.goals import Goal
from benchmarks.job import PAGE
from benchmarks.run_contender import Result
from benchmarks.servers import pages, used_by

__all__ = ["main"]

ROWS = 100_000
MANY_ROWS = 1_000_000
ROUNDS = 3
_WARM_UP_ROWS = 2_000
_DAGS = Path(__file__).with_name("dags")

Results = dict[str, list[Result]]


class Load(NamedTuple):
    """The server's work for one contender."""

    requests: int
    cpu_seconds: float


def main(contenders: Sequence[str], rows: int, rounds: int, *, with_many_rows: bool) -> list[Goal]:
    """Measure and print the table.

    :param contenders: names of :data:`~benchmarks.contenders.CONTENDERS`.
    :returns: the goals that concern these contenders.
    """
    with _environment() as environment:
        with pages(_WARM_UP_ROWS) as url:
            for name in contenders:  # compiles the imported modules
                _run(name, url, _WARM_UP_ROWS, environment)
        results: Results = {name: [] for name in contenders}
        loads: dict[str, Load] = {}
        with pages(rows) as url:
            for turn in range(rounds):
                for name in contenders:
                    before = used_by(url)
                    results[name].append(_run(name, url, rows // CONTENDERS[name].share, environment))
                    after = used_by(url)
                    loads[name] = Load(after.requests - before.requests, after.cpu_seconds - before.cpu_seconds)
                _say(f"round {turn + 1} of {rounds}")
        many = None
        if with_many_rows:
            with pages(MANY_ROWS) as url:
                many = _run("operator", url, MANY_ROWS, environment)
    print(_table(results, loads, many))
    return _goals(results, loads, rows, many)


@contextlib.contextmanager
def _environment() -> Iterator[dict[str, str]]:
    """Set up a separate Airflow with a database for XCom. Bytecode is kept, and usage statistics are off."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("AIRFLOW", "_AIRFLOW"))}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="altegio-bench-") as home:
        environment |= {
            "AIRFLOW_HOME": home,
            "AIRFLOW__CORE__DAGS_FOLDER": str(_DAGS),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__LOGGING__LOGGING_LEVEL": "WARNING",
            "RUNTIME__DLTHUB_TELEMETRY": "false",
        }
        command = [sys.executable, "-m", "airflow", "db", "migrate"]
        subprocess.run(command, env=environment, check=True, capture_output=True)
        yield environment


def _run(name: str, url: str, rows: int, environment: dict[str, str]) -> Result:
    command = [sys.executable, "-m", "benchmarks.run_contender", name, url, str(rows)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")
    result = Result(**json.loads(done.stdout.splitlines()[-1]))
    if not result.rows == result.distinct == rows:
        raise SystemExit(f"{name} brought {result.rows} rows with {result.distinct} ids; there are {rows}")
    return result


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _per_row_us(result: Result) -> float:
    return result.cpu_seconds / result.rows * 1e6


def _speed(result: Result) -> float:
    return result.rows / result.seconds


def _times_floor(results: Results, name: str, floor: str = "floor") -> float:
    """Return the ratio of CPU time per row to the floor's, in the same round."""
    rounds = zip(results[name], results[floor], strict=True)
    return median(_per_row_us(one) / _per_row_us(least) for one, least in rounds)


def _times_speed(results: Results, name: str, other: str) -> float:
    """Return the ratio of rows per second to the other's, in the same round."""
    return median(_speed(one) / _speed(two) for one, two in zip(results[name], results[other], strict=True))


def _table(results: Results, loads: dict[str, Load], many: Result | None) -> str:
    heads = ("rows", "rows/s", "CPU us/row", "of floor", "peak MB", "requests", "server us/row")
    lines = [f"{'':<18}" + "".join(f"{head:>14}" for head in heads)]
    for name, rounds in results.items():
        rows, load = rounds[0].rows, loads[name]
        cells = (
            f"{rows:,}",
            f"{median(map(_speed, rounds)):,.0f}",
            f"{median(map(_per_row_us, rounds)):.1f}",
            f"{_times_floor(results, name):.2f}" if "floor" in results else "-",
            f"{median(one.peak_mb for one in rounds):.0f}",
            f"{load.requests:,}",
            f"{load.cpu_seconds / rows * 1e6:.1f}",
        )
        lines.append(f"{name:<18}" + "".join(f"{cell:>14}" for cell in cells))
    if many:
        figures = (f"{many.rows:,}", f"{_speed(many):,.0f}", f"{_per_row_us(many):.1f}", "-", f"{many.peak_mb:.0f}")
        lines.append(f"{'operator':<18}" + "".join(f"{figure:>14}" for figure in figures))
    return "\n".join(lines)


def _goals(results: Results, loads: dict[str, Load], rows: int, many: Result | None) -> list[Goal]:
    goals: list[Goal] = []
    if "operator" not in results:
        return goals
    for floor in ("floor", "floor, no pandas"):
        if floor in results:
            figure = _times_floor(results, "operator", floor)
            goals.append(Goal(f"operator's CPU a row, times the {floor}'s", figure, 1.6))
    for other, times in (("dlt", 4), ("dlt, Arrow", 2)):
        if other in results:
            figure = _times_speed(results, "operator", other)
            goals.append(Goal(f"operator's rows a second, times those of {other}", figure, times, at_least=True))
    peaks = {name: median(one.peak_mb for one in rounds) for name, rounds in results.items()}
    goals += [
        Goal(f"{name}'s peak memory at {rows:,} rows, MB", peaks[name], 250)
        for name in ("operator", "hook")
        if name in peaks
    ]
    if many:
        name = f"operator's peak memory at {many.rows:,} rows, times that at {rows:,}"
        goals.append(Goal(name, many.peak_mb / peaks["operator"], 1.15))
    goals.append(Goal("requests, times those of plain offset paging", loads["operator"].requests / (rows / PAGE), 1.1))
    return goals
