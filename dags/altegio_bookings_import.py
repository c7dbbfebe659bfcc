"""Books the clients of each file in a folder, the inbox, each client exactly once.

Each file is checked in a dry run, approved by a person if ``approve`` is set, booked, and moved with its reports out of
the inbox. Several files are processed in parallel. ``docs/howto/import-bookings.md`` describes the columns and what to
do with rejected rows and rows in doubt.

A file is moved to ``done/<run>/`` if it was booked, to ``declined/<run>/`` if the person rejected it, and to
``failed/<run>/`` if more rows are faulty than ``max_rejected`` allows (then nothing was sent), rows are in doubt, or
the file cannot be read. To try again, correct ``rejected.csv`` and put it into the inbox, or put the file there again:
a row that is booked is not booked again. If somebody ends a run by hand, its file stays in ``work/<run>/``.

Environment variables:

* ``ALTEGIO_INBOX``: the folder (default ``./data/inbox``), on a disk that all workers see;
* ``ALTEGIO_INBOX_QUIET``: a file that changed within this many seconds is still being written (default 5);
* ``ALTEGIO_APPROVE``: ``true`` to ask a person for each file, under "Required Actions";
* ``ALTEGIO_MAX_REJECTED``: how many rows (``5``) or which share of the rows (``0.05``) may be faulty (default 0);
* ``ALTEGIO_REGION``: the country of phones without ``+``, such as ``LV``;
* ``ALTEGIO_FILE_MODE``: the permissions of the reports, such as ``0640`` (default ``0600``: only the user who runs the
  workers can read them, because ``rejected.csv`` holds personal data);
* ``ALTEGIO_SETTLE``: seconds to wait before searching for a booking whose response was lost (default 20);
* ``ALTEGIO_LEDGER``: the ledger's database, an Airflow connection id or a URL. It is required if tasks run on several
  hosts (default on one host: a file in ``AIRFLOW_HOME``).

The DAG's params ``approve`` and ``max_rejected`` replace these variables for one run. The tasks that call Altegio run
in the pool ``altegio``. One run waits for files at a time; the next one begins when it ends.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

from altegio_provider.compat import AirflowFailException, dag, retry_policy, task, task_group
from altegio_provider.operators.appointments import AltegioCreateAppointmentsOperator
from altegio_provider.operators.approval import AltegioApprovalOperator
from altegio_provider.sensors.inbox import AltegioInboxSensor

INBOX = os.environ.get("ALTEGIO_INBOX", "data/inbox")
QUIET_SECONDS = float(os.environ.get("ALTEGIO_INBOX_QUIET", "5"))
BOOKINGS: dict[str, Any] = {
    "default_region": os.environ.get("ALTEGIO_REGION"),
    "settle_seconds": float(os.environ.get("ALTEGIO_SETTLE", "20")),
    "max_rejected": "{{ params.max_rejected }}",
    "file_mode": os.environ.get("ALTEGIO_FILE_MODE"),
    "pool": "altegio",
}
# The file is booked only if it is still the one that was checked and approved.
CHECKED = '{{ ti.xcom_pull(task_ids="one_file.check", map_indexes=ti.map_index).source_fingerprint }}'
# The details for the person who approves. No personal data, because Airflow stores it.
FOUND = """
{%- set found = ti.xcom_pull(task_ids="one_file.check", map_indexes=ti.map_index) -%}
{{ found.rows }} rows: {{ found.not_sent }} would be booked, {{ found.already_created }} are booked already,
{{ found.duplicate }} repeat an earlier row, {{ found.rejected }} are faulty ({{ params.max_rejected }} allowed).

The report: {{ found.report["report.csv"] }}
"""


@dag(
    schedule="@continuous",
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - no timetable looks at it
    catchup=False,
    max_active_runs=1,
    params={
        "approve": os.environ.get("ALTEGIO_APPROVE", "").lower() == "true",
        "max_rejected": os.environ.get("ALTEGIO_MAX_REJECTED", "0"),
    },
    default_args={"retries": 3, "retry_delay": timedelta(minutes=2), "retry_policy": retry_policy()},
    tags=["altegio"],
    doc_md=__doc__,
)
def altegio_bookings_import() -> None:
    files = AltegioInboxSensor(
        task_id="wait_for_files",
        folder=INBOX,
        quiet_seconds=QUIET_SECONDS,
        poke_interval=30,
        timeout=timedelta(days=1).total_seconds(),
        soft_fail=True,
    )

    @task
    def take(names: list[str], run_id: str) -> list[dict[str, str]]:
        from pathlib import Path

        from altegio_provider.imports.files import inbox

        return [
            {
                "source": str(path),
                "dry_run_report": str(path.with_name("dry_run") / "report.csv"),
                "report": str(path.with_name("report.csv")),
            }
            for path in inbox.take(Path(INBOX).absolute(), run_id, names)
        ]

    @task_group
    def one_file(source: str, dry_run_report: str, report: str) -> None:
        check = AltegioCreateAppointmentsOperator(
            task_id="check", source=source, report_path=dry_run_report, dry_run=True, **BOOKINGS
        )
        approve = AltegioApprovalOperator(
            task_id="approve",
            is_wanted="{{ params.approve }}",
            subject="Book the clients of this file?",
            body=FOUND,
        )
        book = AltegioCreateAppointmentsOperator(
            task_id="book", source=source, report_path=report, source_fingerprint=CHECKED, **BOOKINGS
        )

        @task
        def put_aside(source: str) -> str:
            from pathlib import Path

            from altegio_provider.imports.files import inbox

            return str(inbox.put_aside(Path(source), inbox.DONE))

        @task(trigger_rule="all_done")
        def put_aside_unbooked(source: str, **context: Any) -> None:
            from pathlib import Path

            from altegio_provider.imports.files import inbox

            ti = context["ti"]
            answer = ti.xcom_pull(task_ids="one_file.approve", map_indexes=ti.map_index)
            if answer and "Reject" in answer["chosen_options"]:
                inbox.put_aside(Path(source), inbox.DECLINED)
            elif folder := inbox.put_aside(Path(source), inbox.FAILED):
                raise AirflowFailException(
                    f"Not all rows of this file were booked. The file and its report are in {folder}"
                )

        check >> approve >> book >> put_aside(source) >> put_aside_unbooked(source)

    one_file.expand_kwargs(take(files.output))


altegio_bookings_import()
