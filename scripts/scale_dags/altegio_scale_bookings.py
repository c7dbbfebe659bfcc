"""The booking import of ``make scale``: a file of clients, booked while the extracts run, by workers that may die.

The name of Airflow must be in this file: it looks for DAGs only where it is.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta

from altegio_provider.compat import dag, retry_policy
from altegio_provider.operators.appointments import AltegioCreateAppointmentsOperator


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - no timetable looks at it
    default_args={"retries": 3, "retry_delay": timedelta(seconds=10), "retry_policy": retry_policy()},
)
def altegio_scale_bookings() -> None:
    folder = os.environ.get("ALTEGIO_DATA", "data")
    AltegioCreateAppointmentsOperator(
        task_id="book",
        source=f"{folder}/clients.csv",
        location_id=2100,
        report_path=f"{folder}/report",
        timezone="UTC",
    )


altegio_scale_bookings()
