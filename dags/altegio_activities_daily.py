"""Writes the events of all locations to one Parquet dataset, every day.

One mapped task for each location writes the events that start in the data interval. Environment variables:

* ``ALTEGIO_DATA``: the root of the datasets, a path or an ``ObjectStoragePath`` URL (default ``./data``);
* ``ALTEGIO_LOCATIONS``: the id and time zone of each location (default: the three locations of the sandbox).

The tasks run in the pool ``altegio`` (``airflow pools set altegio 4 "Altegio's API"``). For another range, trigger
the DAG with ``{"date_from": "2026-11-01", "date_to": "2026-11-08"}``: days in the time zone of each location.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from altegio_provider.common.locations import locations_from_environment
from altegio_provider.compat import Asset, CronDataIntervalTimetable, dag, retry_policy, task
from altegio_provider.transfers.altegio_to_parquet import AltegioActivitiesToParquetOperator

DATA = os.environ.get("ALTEGIO_DATA", "data").rstrip("/")

activities = Asset(name="altegio_activities", uri="altegio://activities")


@dag(
    # On Airflow 3 a plain "@daily" has a data interval of zero length. This one is the day before.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - the timetable's zone
    catchup=False,
    max_active_runs=1,
    params={"date_from": "", "date_to": ""},
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=2),
        "retry_policy": retry_policy(),
        "priority_weight": 10,  # before altegio_backfill
    },
    tags=["altegio"],
    doc_md=__doc__,
)
def altegio_activities_daily() -> None:
    @task
    def locations() -> list[dict[str, str]]:
        return locations_from_environment()

    AltegioActivitiesToParquetOperator.partial(
        task_id="extract",
        output_path=f"{DATA}/activities",
        date_from="{{ params.date_from or data_interval_start }}",
        date_to="{{ params.date_to or data_interval_end }}",
        outlets=[activities],
        pool="altegio",
    ).expand_kwargs(locations())


altegio_activities_daily()
