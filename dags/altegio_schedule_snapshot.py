"""Writes the future events of all locations to the dataset, every day: their seats so far, and deleted events.

One mapped task for each location writes the events from now to ``days`` days ahead (a param of the DAG; default
``ALTEGIO_SNAPSHOT_DAYS`` or 30) to the dataset of ``altegio_activities_daily``, under either route family. The column
``extracted_at`` has the time of the snapshot. An event that was deleted since the last snapshot stays, with
``is_deleted``.

If the server does not list the past, only this DAG keeps the events without bookings
(``docs/howto/history.md``). Each snapshot that ``altegio_warehouse_load`` loads adds a point to the fill curve.

``ALTEGIO_DATA`` and ``ALTEGIO_LOCATIONS`` are those of ``altegio_activities_daily``, and so is the pool
(``airflow pools set altegio 4 "Altegio's API"``).
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from altegio_provider.common.locations import locations_from_environment
from altegio_provider.compat import Asset, dag, retry_policy, task
from altegio_provider.transfers.altegio_to_parquet import AltegioActivitiesToParquetOperator

DATA = os.environ.get("ALTEGIO_DATA", "data").rstrip("/")
DAYS = int(os.environ.get("ALTEGIO_SNAPSHOT_DAYS", "30"))
# The start of the task, not of the data interval: an older server lists no event that began before.
NOW = "macros.datetime.now().astimezone().replace(microsecond=0)"

activities = Asset(name="altegio_activities", uri="altegio://activities")


@dag(
    schedule="@daily",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - no timetable looks at it
    catchup=False,
    max_active_runs=1,
    params={"days": DAYS},
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=2),
        "retry_policy": retry_policy(),
        "priority_weight": 10,  # before altegio_backfill
    },
    tags=["altegio"],
    doc_md=__doc__,
)
def altegio_schedule_snapshot() -> None:
    @task
    def locations() -> list[dict[str, str]]:
        return locations_from_environment()

    AltegioActivitiesToParquetOperator.partial(
        task_id="snapshot",
        output_path=f"{DATA}/activities",
        date_from=f"{{{{ {NOW}.isoformat() }}}}",
        date_to=f"{{{{ ({NOW} + macros.timedelta(days=params.days)).isoformat() }}}}",
        outlets=[activities],
        pool="altegio",
    ).expand_kwargs(locations())


altegio_schedule_snapshot()
