"""Waits until an event is full, then creates an equal event on the next day.

Trigger it for an event: ``{"event_id": 10126531}``. It waits in Airflow's triggerer and checks once a minute. If the
event is not full after a day, the run is skipped. If the event is deleted, the run fails.
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

from altegio_provider.compat import dag, retry_policy, task
from altegio_provider.operators.events import AltegioCreateEventOperator
from altegio_provider.sensors.events import AltegioEventSensor

LOCATION = int(os.environ.get("ALTEGIO_LOCATION", "1001"))
PACE = float(os.environ.get("ALTEGIO_POKE_INTERVAL", "60"))


@dag(
    schedule=None,
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - nothing is scheduled
    params={"event_id": 0},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=2), "retry_policy": retry_policy()},
    tags=["altegio"],
    doc_md=__doc__,
)
def altegio_class_full() -> None:
    full = AltegioEventSensor(
        task_id="wait_until_full",
        location_id=LOCATION,
        event_id="{{ params.event_id }}",
        condition="full",
        deferrable=True,
        poke_interval=PACE,
        timeout=timedelta(days=1),
        soft_fail=True,
    )

    @task
    def another_like_it(full_class: dict[str, Any]) -> dict[str, Any]:
        from altegio_provider.hooks.altegio import AltegioHook

        hook = AltegioHook()
        event = hook.get_event(LOCATION, full_class["event_id"])
        hook.close()
        starts_at = datetime.fromisoformat(full_class["starts_at"]) + timedelta(days=1)
        same = {name: event[name] for name in ("staff_id", "service_id", "length", "capacity")}
        return {**same, "date": starts_at.isoformat()}

    # No retries: the operator itself searches for a lost event before it sends a second time.
    AltegioCreateEventOperator(
        task_id="open_another", location_id=LOCATION, event=another_like_it(full.output), retries=0
    )


altegio_class_full()
