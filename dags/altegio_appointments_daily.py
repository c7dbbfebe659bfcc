"""Writes the appointments of all locations to a Parquet dataset and the warehouse, every day, without personal data.

Each run reads the day before, and again the week before that day, because attendance is marked late. From these rows
``altegio_warehouse_load`` computes the no-show rate. Environment variables:

* ``ALTEGIO_DATA`` and ``ALTEGIO_LOCATIONS``: as for ``altegio_activities_daily``;
* ``ALTEGIO_WAREHOUSE``: as for ``altegio_warehouse_load``;
* ``ALTEGIO_HASH_KEY``: the connection whose password is the key for hashes of phones and e-mails (default: none, and
  the dataset has no hashes; ``docs/schema.md``).

For another range, trigger the DAG with ``{"date_from": "2026-11-01", "date_to": "2026-11-08"}``: days in the time zone
of each location. The week before them is read too.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from altegio_provider.common.locations import locations_from_environment
from altegio_provider.compat import Asset, CronDataIntervalTimetable, dag, retry_policy, task
from altegio_provider.transfers.altegio_to_parquet import AltegioAppointmentsToParquetOperator
from altegio_provider.transfers.parquet_to_sql import ParquetToSqlOperator

DATA = os.environ.get("ALTEGIO_DATA", "data").rstrip("/")
WAREHOUSE = os.environ.get("ALTEGIO_WAREHOUSE", "altegio_warehouse")
HASH_KEY = os.environ.get("ALTEGIO_HASH_KEY")


@dag(
    # On Airflow 3 a plain "@daily" has a data interval of zero length. This one is the day before.
    schedule=CronDataIntervalTimetable("0 0 * * *", timezone="UTC"),
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - the timetable's zone
    catchup=False,
    max_active_runs=1,
    params={"date_from": "", "date_to": ""},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=2), "retry_policy": retry_policy()},
    tags=["altegio"],
    doc_md=__doc__,
)
def altegio_appointments_daily() -> None:
    @task
    def locations() -> list[dict[str, str]]:
        return locations_from_environment()

    extracted = AltegioAppointmentsToParquetOperator.partial(
        task_id="extract",
        output_path=f"{DATA}/appointments",
        date_from="{{ params.date_from or data_interval_start }}",
        date_to="{{ params.date_to or data_interval_end }}",
        lookback=timedelta(days=7),
        hash_key_conn_id=HASH_KEY,
        outlets=[Asset(name="altegio_appointments", uri="altegio://appointments")],
        pool="altegio",
    ).expand_kwargs(locations())

    @task
    def written(summaries: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
        return {"files": [file for summary in summaries for file in summary["files"]]}

    ParquetToSqlOperator(
        task_id="load",
        source_path=written(extracted.output),
        table="altegio_appointments",
        mode="replace_range",
        conn_id=WAREHOUSE,
    )


altegio_appointments_daily()
