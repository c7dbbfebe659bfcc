"""Files of clients become bookings: put a file into the inbox, and its clients are booked, each exactly once.

For each file: it is checked whole with nothing sent (the dry run), a person approves if that is wanted, its clients are
booked, and it is put aside with its reports. Several files that lie there at once go side by side. The columns, and
what to do with what is left over, are in ``docs/howto/import-bookings.md``.

Where a file goes: ``done/<run>/`` when it was booked, ``declined/<run>/`` when the person said no, and
``failed/<run>/`` otherwise: more faulty rows than ``max_rejected`` (then nothing was sent), rows in doubt, a file that
cannot be read. It does not stay in the inbox, for there it would fail again and again; mend ``rejected.csv`` and put
that into the inbox, or the file itself once more: what is booked is not booked again. A run that somebody ends by hand
leaves its file in ``work/<run>/``.

Set in the environment:

* ``ALTEGIO_INBOX``: the folder (default ``./data/inbox``), on a disk that all workers see;
* ``ALTEGIO_INBOX_QUIET``: a file that changes within so many seconds is still being written (default 5);
* ``ALTEGIO_APPROVE``: ``true`` to ask a person each time (Airflow 3.1 or newer), under "Required Actions";
* ``ALTEGIO_MAX_REJECTED``: so many rows (``5``) or such a share (``0.05``) may be faulty (default 0);
* ``ALTEGIO_REGION``: the country of phones that have no ``+``, such as ``LV``;
* ``ALTEGIO_FILE_MODE``: who may read the reports, as permissions such as ``0640`` (default ``0600``: only the user who
  runs the workers, for ``rejected.csv`` has people in it);
* ``ALTEGIO_SETTLE``: so many seconds pass before a booking whose answer was lost is looked for (default 20);
* ``ALTEGIO_LEDGER``: the ledger's database, an Airflow connection id or a URL. Needed where tasks run on several hosts
  (default on one host: a file in ``AIRFLOW_HOME``).

The DAG's params ``approve`` and ``max_rejected`` are the same for one run. The tasks that ask Altegio run in the pool
``altegio``. One run waits at a time; the next one begins when it ends.
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
# What is booked is what was checked, and what the person approved of.
CHECKED = '{{ ti.xcom_pull(task_ids="one_file.check", map_indexes=ti.map_index).source_fingerprint }}'
# What the person who approves is told: no names, for Airflow keeps it.
FOUND = """
{%- set found = ti.xcom_pull(task_ids="one_file.check", map_indexes=ti.map_index) -%}
{{ found.rows }} rows: {{ found.not_sent }} would be booked, {{ found.already_created }} are booked already,
{{ found.duplicate }} say what an earlier row says, {{ found.rejected }} are faulty ({{ params.max_rejected }} may be).

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
                raise AirflowFailException(f"Not everything of this file was booked. It is in {folder} with its report")

        check >> approve >> book >> put_aside(source) >> put_aside_unbooked(source)

    one_file.expand_kwargs(take(files.output))


altegio_bookings_import()
