"""From nothing to a warehouse: the sandbox, Airflow on SQLite, the daily DAG for a week of three locations, and DuckDB.

Run by ``make demo``. Everything it makes is in ``.demo``; nothing else of the machine is touched.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

REPOSITORY = Path(__file__).resolve().parent.parent
DEMO = REPOSITORY / ".demo"
DATA = DEMO / "data"
WAREHOUSE = DEMO / "warehouse.duckdb"
QUESTION = """
  SELECT service_title AS class, sum(classes) AS classes, sum(seats) AS seats,
         sum(booked_seats) AS booked, round(100 * sum(booked_seats) / sum(seats)) AS percent
  FROM altegio_occupancy GROUP BY service_title ORDER BY percent DESC, class
"""
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

console = Console(width=max(100, min(Console().width, 120)), highlight=False)


def main() -> int:
    began = time.monotonic()
    shutil.rmtree(DEMO, ignore_errors=True)
    DATA.mkdir(parents=True)
    monday = last_monday()
    with sandbox() as url:
        environment = airflow_environment(url)
        step("Airflow: a database of its own (SQLite)")
        airflow(environment, "db", "migrate")
        airflow(environment, "pools", "set", "altegio", "4", "Requests to Altegio")
        step(f"Airflow: the DAG altegio_activities_daily for {monday:%d %B} to {monday + timedelta(6):%d %B %Y}")
        week = {"date_from": f"{monday:%Y-%m-%d}", "date_to": f"{monday + timedelta(7):%Y-%m-%d}"}
        airflow(environment, "dags", "test", "altegio_activities_daily", "--conf", json.dumps(week))
        show(DATA / "activities")
        step("Airflow: the DAG altegio_warehouse_load, which starts when the daily one is done")
        airflow(environment, "dags", "test", "altegio_warehouse_load")
    ask(QUESTION)
    console.print(f"\nDone in {time.monotonic() - began:.0f} s. To look further:\n")
    tell("  .venv/bin/python -c \"import pandas; print(pandas.read_parquet('.demo/data/activities').info())\"")
    tell("  .venv/bin/python -c \"import duckdb; duckdb.connect('.demo/warehouse.duckdb').sql('SHOW TABLES').show()\"")
    tell("  make sandbox     the imitated API, for your own experiments")
    return 0


def last_monday() -> datetime:
    """The Monday of the last whole week."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    return today - timedelta(days=today.weekday() + 7)


def tell(text: str) -> None:
    console.print(text, markup=False, soft_wrap=True)


def step(text: str) -> None:
    console.print(f"[bold]▸ {text}[/bold]")


@contextlib.contextmanager
def sandbox() -> Iterator[str]:
    """Start the imitated API on a free port and return its base URL."""
    step("The sandbox: an imitation of the Altegio API, on this machine only")
    command = [sys.executable, "-m", "altegio_provider.sandbox", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)
    try:
        assert process.stdout is not None
        for line in process.stdout:
            if found := re.search(r"http\S+", line):
                console.print(f"  {found[0]}")
                yield found[0]
                return
        raise SystemExit("The sandbox did not start; what it said is above.")
    finally:
        process.terminate()
        process.wait()


def airflow_environment(url: str) -> dict[str, str]:
    """Airflow's settings for the demo, in place of whatever this shell has."""
    connection = {
        "conn_type": "altegio",
        "host": url,
        "password": "sandbox-partner",
        "extra": {"user_token": "sandbox-user"},
    }
    kept = {name: value for name, value in os.environ.items() if "AIRFLOW" not in name}
    return {
        **kept,
        "AIRFLOW_HOME": str(DEMO / "airflow"),
        "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW_CONN_ALTEGIO_DEFAULT": json.dumps(connection),
        "AIRFLOW_CONN_ALTEGIO_WAREHOUSE": json.dumps({"conn_type": "duckdb", "host": str(WAREHOUSE)}),
        "ALTEGIO_DATA": str(DATA),
    }


def airflow(environment: dict[str, str], *arguments: str) -> None:
    """Run an Airflow command; its output goes to a file, and is shown where it fails."""
    log = DEMO / "airflow.log"
    with log.open("a") as output:
        command = [sys.executable, "-m", "airflow", *arguments]
        done = subprocess.run(command, env=environment, cwd=DEMO, stdout=output, stderr=output, check=False)
    if done.returncode:
        console.print("\n".join(log.read_text().splitlines()[-40:]), markup=False)
        raise SystemExit(f"airflow {' '.join(arguments)} failed; the whole output is in {log}")


def show(root: Path) -> None:
    """Print what a person wants to see of the dataset."""
    import pandas as pd

    frame = pd.read_parquet(root)
    files = sorted(root.rglob("*.parquet"))
    step(f"{len(frame)} classes in {len(files)} files")
    for file in files:
        tell(f"  {file.relative_to(REPOSITORY)}  ({file.stat().st_size:,} bytes)")

    frame["day"] = frame["starts_at_local"].dt.date
    counts = frame.pivot_table(index="day", columns="location_id", values="id", aggfunc="count", fill_value=0)
    table = Table("day", *(f"location {number}" for number in counts.columns), title="Classes by day and location")
    for day, row in counts.iterrows():
        table.add_row(f"{day:%a %d %b}", *(str(int(number)) for number in row))
    console.print(table)

    columns = {
        "starts_at_local": "starts",
        "location_id": "location",
        "service_title": "class",
        "staff_name": "teacher",
        "capacity": "seats",
        "records_count": "booked",
    }
    table = Table(*columns.values(), title="The first rows")
    for row in frame.sort_values("starts_at")[list(columns)].head(6).itertuples(index=False):
        table.add_row(*(f"{value:%a %H:%M}" if isinstance(value, datetime) else str(value) for value in row))
    console.print(table)

    step("Bookings by weekday")
    bookings = frame.groupby(frame["starts_at_local"].dt.day_of_week)["records_count"].sum()
    for weekday, number in bookings.items():
        bar = "█" * round(40 * number / bookings.max())
        console.print(f"  {DAYS[int(weekday)]:<10} {bar} {int(number)}")


def ask(question: str) -> None:
    """Ask the warehouse, and print its answer as a table and as bars of its last column."""
    import duckdb

    step("The warehouse: which classes are full?")
    tell(question.strip("\n"))
    with duckdb.connect(str(WAREHOUSE), read_only=True) as warehouse:
        answer = warehouse.execute(question)
        table = Table(*(column[0] for column in answer.description or ()))
        rows = answer.fetchall()
    for row in rows:
        table.add_row(*(str(value if isinstance(value, str) else int(value)) for value in row))
    console.print(table)
    width = max(len(row[0]) for row in rows)
    for name, *_, percent in rows:
        console.print(f"  {name:<{width}} {'█' * round(percent * 0.4)} {percent:.0f} %", markup=False)


if __name__ == "__main__":
    sys.exit(main())
