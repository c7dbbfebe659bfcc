"""Creates the events of a timetable, or deletes those that it created.

Trigger it with ``{"timetable": "/path/to/timetable.csv"}``: one row for each event, with ``staff_id``, ``service_id``,
``date`` (location time), ``length`` (seconds), ``capacity``, and for weekly events ``repeat_until`` and ``weekdays``.
The same file again creates nothing twice. With ``{"timetable": ..., "take_back": true}`` the events that this file
created are deleted. Environment variables:

* ``ALTEGIO_DATA``: the folder of the reports (default ``./data``);
* ``ALTEGIO_LEDGER``: the ledger's database, an Airflow connection id or a URL. It is required if tasks run on several
  hosts (default on one host: a file in ``AIRFLOW_HOME``).

The tasks run in the pool ``altegio``.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from altegio_provider.compat import dag, retry_policy, task
from altegio_provider.operators.events import AltegioCreateEventsOperator, AltegioDeleteEventOperator

REPORTS = f"{os.environ.get('ALTEGIO_DATA', 'data').rstrip('/')}/timetables"


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - the timetable's zone
    catchup=False,
    max_active_runs=1,
    params={"timetable": "timetable.csv", "take_back": False},
    default_args={"retries": 2, "retry_delay": timedelta(minutes=2), "retry_policy": retry_policy()},
    render_template_as_native_obj=True,
    tags=["altegio"],
    doc_md=__doc__,
)
def altegio_timetable_publish() -> None:
    publish = AltegioCreateEventsOperator(
        task_id="publish",
        source="{{ params.timetable }}",
        report_path=f"{REPORTS}/{{{{ run_id }}}}",
        # The ledger knows the created events: a dry run reports them and sends nothing.
        dry_run="{{ params.take_back }}",
        pool="altegio",
    )

    @task
    def to_take_back(summary: dict, params: dict) -> list[int]:
        if not params["take_back"]:
            return []
        import pyarrow.parquet as pq

        rows = pq.read_table(summary["report"]["report.parquet"], columns=["status", "record_id"]).to_pylist()
        return [row["record_id"] for row in rows if row["status"] == "already_created"]

    @task
    def update_ledger(summary: dict, events: list[int]) -> int:
        from altegio_provider.operators import bulk_run

        return bulk_run.delete_ledger_entries(None, summary["location_id"], "event", events)

    events = to_take_back(publish.output)
    take_back = AltegioDeleteEventOperator.partial(task_id="take_back", pool="altegio").expand(event_id=events)
    take_back >> update_ledger(publish.output, events)


altegio_timetable_publish()
