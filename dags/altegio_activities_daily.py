"""Every activity of every location, each day, into one Parquet dataset.

One mapped task per location writes the classes that start in the data interval. Set in the environment:

* ``ALTEGIO_DATA``: where the dataset is, as any ``ObjectStoragePath`` URL (default ``./data``);
* ``ALTEGIO_LOCATIONS``: each location's number and time zone (default: the sandbox's three).

The tasks run in the pool ``altegio`` (``airflow pools set altegio 4 "Altegio's API"``). For another range, trigger
the DAG with ``{"date_from": "2026-11-01", "date_to": "2026-11-08"}``: days on each location's own clock.
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
    # On Airflow 3 a plain "@daily" gives an interval of zero length; this one is the day before.
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
