"""The example DAGs that wait and watch: through Airflow, against the sandbox."""

from __future__ import annotations

import json
import runpy
import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from zoneinfo import ZoneInfo

import pytest

from altegio_provider.triggers.payloads import EventsChanged

LOCATION = 80
RIGA = ZoneInfo("Europe/Riga")
START = (datetime.now(UTC) + timedelta(days=9)).replace(hour=9, minute=0, second=0, microsecond=0)


@pytest.fixture
def fills_up(altegio_sandbox):
    """A class of one seat, which somebody takes once it has been looked at twice: by the worker, and the triggerer."""
    altegio_sandbox.add_location(LOCATION, timezone="Europe/Riga")
    row = {"date": f"{START.astimezone(RIGA):%Y-%m-%d %H:%M:%S}", "capacity": 1, "staff_id": 4, "service_id": 2}
    (event_id,) = altegio_sandbox.add_events(LOCATION, [row])
    is_over = threading.Event()

    def fill() -> None:
        while not is_over.wait(0.05):
            answers = altegio_sandbox.stats()["answers"]
            if sum(answer["times"] for answer in answers if answer["route"].endswith("get_event")) > 1:
                altegio_sandbox.replace_events(
                    LOCATION, [{**row, "id": event_id, "first_records": 1, "first_seats": 1}]
                )
                return

    thread = threading.Thread(target=fill)
    thread.start()
    yield event_id
    is_over.set()
    thread.join()


def test_when_the_class_is_full_another_is_opened_the_day_after(airflow, airflow_db, altegio_sandbox, fills_up) -> None:
    airflow(
        "dags",
        "test",
        "altegio_class_full",
        "--conf",
        json.dumps({"event_id": fills_up}),
        AIRFLOW_CONN_ALTEGIO_DEFAULT=altegio_sandbox.airflow_connection(timezone="Europe/Riga"),
        ALTEGIO_LOCATION=str(LOCATION),
        ALTEGIO_POKE_INTERVAL="0.2",
    )
    first, second = sorted(altegio_sandbox.truth(LOCATION)["events"], key=lambda event: event["timestamp"])
    assert first["id"] == fills_up
    assert second["timestamp"] == (START + timedelta(days=1)).timestamp()
    assert (second["capacity"], second["staff_id"], second["service_id"], second["seats"]) == (1, 4, 2, 0)


def test_the_watched_dag_reads_each_class_of_its_asset_events_once(repository, monkeypatch) -> None:
    monkeypatch.setenv("ALTEGIO_LOCATION", str(LOCATION))
    module = runpy.run_path(str(repository / "dags" / "altegio_event_watcher.py"))
    dag = module["altegio_event_watcher"]()

    def told(**ids):
        kinds = {kind: ids.get(kind, []) for kind in ("new", "changed", "gone", "in_view")}
        message = EventsChanged(location_id=LOCATION, **kinds, seen_at=START, watched_until=START)
        return SimpleNamespace(extra={"from_trigger": True, "payload": message.payload()})

    events = {"asset": [told(new=[5], gone=[9]), told(changed=[5, 3])]}
    assert dag.get_task("changed_classes").python_callable(events) == [3, 5]
    (asset,) = dag.timetable.asset_condition.objects
    assert asset.uri == f"altegio://locations/{LOCATION}/events"
