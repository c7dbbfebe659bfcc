"""Started by new and changed classes of a location, and reads them (Airflow 3).

The triggerer reads the list of the next thirty days once a minute; what is other than before is an asset event, and
starts this DAG. Set in the environment: ``ALTEGIO_LOCATION`` (default 1001).
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
        """The ids of what is new or changed, each once: one run may stand for several asset events."""
        messages = [event.extra["payload"] for events in triggering_asset_events.values() for event in events]
        return sorted({event_id for message in messages for event_id in [*message["new"], *message["changed"]]})

    AltegioGetEventOperator.partial(task_id="read", location_id=LOCATION).expand(event_id=changed_classes())


altegio_event_watcher()
