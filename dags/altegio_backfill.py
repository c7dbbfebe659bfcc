"""Writes past events of all locations to the dataset, month by month, without delaying the daily run.

Trigger it with ``{"date_from": "2021-01-01"}``, and with ``date_to`` if it should not read until today: days in the
time zone of each location. Each location has one task for each month that its manifest does not cover yet, the latest
first. Trigger it again to continue where it stopped. Five years of forty locations are 2,400 tasks: sixty mapped tasks
for each location, below Airflow's ``max_map_length`` of 1,024. When a location is done, one asset event starts the
load into the warehouse.

Three settings give the daily run priority:

* the backfill has its own pool (``airflow pools set altegio_backfill 2 "Altegio's past"``) and a lower priority;
* it reads one month of a location at a time;
* it has its own connection ``altegio_backfill``: a copy of the daily one with ``requests_per_second`` 4 and
  ``requests_per_minute`` 150. Both connections share one budget, and each counts all requests against its own limit:
  the backfill uses what the daily run leaves of 150, and waits if nothing is left (``docs/scaling.md``).

``ALTEGIO_DATA`` and ``ALTEGIO_LOCATIONS`` are those of ``altegio_activities_daily``. ``ALTEGIO_HISTORY`` is
``history`` of the operator: ``auto`` (the default), ``true`` or ``false`` (``docs/howto/history.md``).
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

from altegio_provider.common.locations import locations_from_environment
from altegio_provider.compat import Asset, dag, retry_policy, task
from altegio_provider.transfers.altegio_to_parquet import AltegioActivitiesToParquetOperator

DATA = os.environ.get("ALTEGIO_DATA", "data").rstrip("/")
HISTORY = os.environ.get("ALTEGIO_HISTORY", "auto").lower()

activities = Asset(name="altegio_activities", uri="altegio://activities")


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - no timetable looks at it
    catchup=False,
    max_active_runs=1,
    params={"date_from": "", "date_to": ""},
    default_args={
        "retries": 3,
        "retry_delay": timedelta(minutes=5),
        "retry_policy": retry_policy(),
        "priority_weight": 1,
        "weight_rule": "absolute",
    },
    tags=["altegio"],
    doc_md=__doc__,
)
def altegio_backfill() -> None:
    @task
    def missing(location_id: str, timezone: str, **context: Any) -> list[dict[str, str]]:
        from altegio_provider.transfers.backfill import missing_months

        params = context["params"]
        return missing_months(f"{DATA}/activities", location_id, timezone, params["date_from"], params["date_to"])

    @task(outlets=[activities], trigger_rule="none_failed_min_one_success")
    def tell(location_id: str, **context: Any) -> None:
        from altegio_provider.transfers.extract import add_summary_to_outlets

        add_summary_to_outlets(context, [activities], {"path": f"{DATA}/activities", "location_id": int(location_id)})

    for location in locations_from_environment():
        location_id, timezone = location["location_id"], location["timezone"]
        extract = AltegioActivitiesToParquetOperator.partial(
            task_id=f"extract_{location_id}",
            location_id=location_id,
            timezone=timezone,
            output_path=f"{DATA}/activities",
            history=HISTORY,
            altegio_conn_id="altegio_backfill",
            pool="altegio_backfill",
            max_active_tis_per_dagrun=1,
        ).expand_kwargs(missing.override(task_id=f"missing_{location_id}")(location_id, timezone))
        extract >> tell.override(task_id=f"tell_{location_id}")(location_id)


altegio_backfill()
