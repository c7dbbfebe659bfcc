"""Loads the dataset of events into the warehouse, and builds three tables for analysts from it.

It runs after each update of the asset ``altegio_activities``, and loads the files of the asset events and all other
files of that dataset that the warehouse lacks. Triggered by hand, it loads the whole dataset. Environment variables:

* ``ALTEGIO_WAREHOUSE``: the connection to the warehouse (default ``altegio_warehouse``): of type ``duckdb``, as in
  ``AIRFLOW_CONN_ALTEGIO_WAREHOUSE='{"conn_type": "duckdb", "host": "/data/warehouse.duckdb"}'``, or of type ``adbc``;
* ``ALTEGIO_DATA``: the root of the datasets (default ``./data``).

The tables: ``altegio_activities`` (as extracted), ``altegio_occupancy`` (by day, location and service),
``altegio_no_show`` (the same, from the ``altegio_appointments`` that ``altegio_appointments_daily`` loads),
``altegio_fill_curve`` (by days before the start) and the ``altegio_snapshots`` that it is made of. The SQL is in
``sql/warehouse``. A failed check fails the run and leaves the analysts' tables unchanged.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from altegio_provider.compat import Asset, dag, task
from altegio_provider.transfers.parquet_to_sql import ParquetToSqlOperator

DATA = os.environ.get("ALTEGIO_DATA", "data").rstrip("/")
WAREHOUSE = os.environ.get("ALTEGIO_WAREHOUSE", "altegio_warehouse")
SQL = Path(__file__).parent / "sql" / "warehouse"


@dag(
    schedule=[Asset(name="altegio_activities", uri="altegio://activities")],
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - no timetable looks at it
    catchup=False,
    # DuckDB lets one process write at a time.
    max_active_runs=1,
    default_args={"retries": 2, "retry_delay": timedelta(minutes=1)},
    tags=["altegio"],
    doc_md=__doc__,
)
def altegio_warehouse_load() -> None:
    @task
    def arrived(**context: Any) -> dict[str, Any]:
        from altegio_provider.warehouse.build import files_of_events, files_to_xcom, loaded_files

        events = (context.get("triggering_asset_events") or {}).values()
        extras = [event.extra for of_asset in events for event in of_asset]
        return files_to_xcom(files_of_events(extras, f"{DATA}/activities", loaded_files(WAREHOUSE)))

    files = arrived()
    load = ParquetToSqlOperator(
        task_id="load",
        source_path=files,
        table="altegio_activities",
        mode="replace_range",
        conn_id=WAREHOUSE,
    )

    @task
    def build(files: dict[str, Any]) -> None:
        from altegio_provider.warehouse.build import build_tables

        build_tables(WAREHOUSE, SQL, files)

    load >> build(files)


altegio_warehouse_load()
