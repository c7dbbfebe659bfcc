"""The demo: the sandbox, Airflow on SQLite, and three DAGs that fill a warehouse and book clients from a file.

Run by ``make demo``. Everything it makes is in ``.demo``; nothing else of the machine is touched.
"""

from __future__ import annotations

import shutil
import sys
import time

from scripts.demo import bookings
from scripts.demo.airflow import running_airflow
from scripts.demo.extract import extract_a_week
from scripts.demo.output import console, print_line, step
from scripts.demo.paths import DATA, DEMO
from scripts.demo.sandbox import running_sandbox
from scripts.demo.warehouse import ask_the_warehouse, load_the_warehouse


def main() -> int:
    began = time.monotonic()
    shutil.rmtree(DEMO, ignore_errors=True)
    DATA.mkdir(parents=True)
    with (
        running_sandbox() as sandbox,
        running_airflow(sandbox.url, bookings.CONNECTION_EXTRA, bookings.SETTINGS) as airflow,
    ):
        step("Airflow: a new SQLite database")
        airflow.run("db", "migrate")
        airflow.run("pools", "set", "altegio", "4", "Requests to Altegio")
        extract_a_week(airflow)
        bookings.book_a_file_twice(sandbox, airflow)
        load_the_warehouse(airflow)
    ask_the_warehouse()
    console.print(f"\nDone in {time.monotonic() - began:.0f} s. To look further:\n")
    print_line("  .venv/bin/python -c \"import pandas; print(pandas.read_parquet('.demo/data/activities').info())\"")
    print_line(
        "  .venv/bin/python -c \"import duckdb; duckdb.connect('.demo/warehouse.duckdb').sql('SHOW TABLES').show()\""
    )
    print_line("  ls -R .demo/data/inbox     the file of clients and its reports")
    print_line("  make sandbox               the imitated API, for your own experiments")
    return 0


if __name__ == "__main__":
    sys.exit(main())
