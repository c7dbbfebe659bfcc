"""Reads new and changed events of a location, soon after they change.

Airflow's triggerer lists the events of the next thirty days once a minute. A difference to the previous list is an
asset event, which starts this DAG. Environment variable: ``ALTEGIO_LOCATION`` (default 1001).
"""

from __future__ import annotations

import os
from datetime import datetime, timedelta
from typing import Any

from altegio_provider.assets import watched_events
from altegio_provider.compat import dag, retry_policy, task
from altegio_provider.operators.events import AltegioGetEventOperator

LOCATION = int(os.environ.get("ALTEGIO_LOCATION", "1001"))
PACE = float(os.environ.get("ALTEGIO_POKE_INTERVAL", "60"))


@dag(
    schedule=[watched_events(LOCATION, poke_interval=PACE)],
    start_date=datetime(2026, 1, 1),  # noqa: DTZ001 - nothing is scheduled by time
    catchup=False,
    default_args={"retries": 3, "retry_delay": timedelta(minutes=2), "retry_policy": retry_policy()},
    tags=["altegio"],
    doc_md=__doc__,
)
def altegio_event_watcher() -> None:
    @task
    def changed_classes(triggering_asset_events: Any) -> list[int]:
        """Return the ids of new and changed events, each once: several asset events can start one run."""
        messages = [event.extra["payload"] for events in triggering_asset_events.values() for event in events]
        return sorted({event_id for message in messages for event_id in [*message["new"], *message["changed"]]})

    AltegioGetEventOperator.partial(task_id="read", location_id=LOCATION).expand(event_id=changed_classes())


altegio_event_watcher()
