"""Runs the services of docker-compose.yaml as processes, kills a worker, and checks the results.

``make scale`` runs it. It takes about nine minutes, six of them because of the rate limit. The daily DAG extracts ten
locations while the clients of a file are booked, on two Celery workers that share the limit through Redis. The worker
that books is killed with SIGKILL. The asset's events start the load of the warehouse. All output is in ``.scale``.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import psycopg2
import pyarrow.parquet as pq
import redis
import scale_bookings
from topology import REPOSITORY, Topology, until

from altegio_provider.api.ratelimit.limiter import Rate
from altegio_provider.tables.dataset.dataset import read_manifest
from scripts.plan import least_seconds

SCALE = REPOSITORY / ".scale"
DATA = SCALE / "airflow" / "data"
LOCATIONS = range(2001, 2011)
ROWS = 8_000
FIRST = datetime(2026, 3, 1)  # noqa: DTZ001 - the locations' clock, which is UTC
LAST = FIRST + timedelta(days=30)
DAILY, LOAD, BOOK = "altegio_activities_daily", "altegio_warehouse_load", "altegio_scale_bookings"
GOAL = 0.97
LIMIT = [Rate(5, 1.0), Rate(200, 60.0)]
SETTINGS = {
    "AIRFLOW__CORE__DAGS_FOLDER": str(SCALE / "dags"),
    "ALTEGIO_LOCATIONS": ",".join(f"{number}=UTC" for number in LOCATIONS),
    # The tasks of a killed worker are detected after half a minute instead of five.
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT": "30",
    "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT_DETECTION_INTERVAL": "5",
    "AIRFLOW__SCHEDULER__TASK_QUEUED_TIMEOUT": "60",
    "AIRFLOW__WORKERS__MIN_HEARTBEAT_INTERVAL": "3",
    # A machine of two cores is busy enough.
    "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "1",
}


def main() -> int:
    began = time.monotonic()
    shutil.rmtree(SCALE, ignore_errors=True)
    shutil.copytree(REPOSITORY / "scripts" / "scale_dags", SCALE / "dags")
    shutil.copytree(REPOSITORY / "dags" / "sql", SCALE / "dags" / "sql")
    for name in (DAILY, LOAD):
        shutil.copy(REPOSITORY / "dags" / f"{name}.py", SCALE / "dags")
    with Topology(SCALE, SETTINGS) as topology:
        tell("PostgreSQL (metadata, warehouse), Redis")
        topology.start_databases()
        tell("Airflow's tables and pools")
        topology.run("init")
        tell("sandbox, api-server, scheduler, dag-processor, triggerer, two Celery workers")
        topology.start("sandbox")
        for service in ("api-server", "scheduler", "dag-processor", "triggerer"):
            topology.start(service)
        for number in (1, 2):
            start_worker(topology, number)
        until(lambda: answers(topology, "/stats"), 60, "The sandbox")
        fill(topology)
        tell("the first scheduled run, which warms everything up")
        until(lambda: states(topology, DAILY) and not unfinished(topology), 400, "The first run", 2.0)
        small = sum(topology.cpu_seconds(name) for name in ("worker-1", "worker-2"))
        small /= query(topology, "postgres", "SELECT count(*) FROM task_instance WHERE state = 'success'")
        fill(topology)
        figures = [("processor time of a small task", f"{small:.1f} s", True), *measure(topology)]
    report(figures)
    print(f"\nDone in {time.monotonic() - began:.0f} s; logs in {SCALE / 'logs'}")
    return 0 if all(good for *_, good in figures) else 1


Figures = list[tuple[str, str, bool]]


def measure(topology: Topology) -> Figures:
    """Extract, kill a worker meanwhile, load, and return the figures."""
    scale_bookings.write_clients(DATA / "clients.csv")
    tell(f"{BOOK}: a file of {scale_bookings.CLIENTS} clients")
    tell(f"{DAILY}: {len(LOCATIONS)} locations with {ROWS:,} events each, one task for each, four at a time")
    conf = json.dumps({"date_from": f"{FIRST:%Y-%m-%d}", "date_to": f"{LAST:%Y-%m-%d}"})
    topology.run("init", f"airflow dags trigger {DAILY} --run-id scale --conf '{conf}'")
    topology.run("init", f"airflow dags trigger {BOOK} --run-id book")
    # Early, so that there is other work left until the killed tasks are retried.
    until(lambda: bookings(topology) >= 20, 300, "The twentieth booking", 1.0)
    pid = query(topology, "postgres", "SELECT pid FROM task_instance WHERE run_id = 'book'")
    victim = next((name for name in ("worker-1", "worker-2") if pid in topology.family(name)), "worker-1")
    processes = topology.kill(victim)
    tell(f"SIGKILL to {victim} and all its {processes} processes, after {bookings(topology)} bookings")
    time.sleep(5)
    start_worker(topology, 3)
    tell("another worker replaces it; the killed tasks are detected and retried")
    ended = "SELECT count(*) FROM dag_run WHERE run_id IN ('scale', 'book') AND state IN ('success', 'failed')"
    until(lambda: query(topology, "postgres", ended), 900, "The end of the first run", 1.0)
    # From here on there may be less work than the limit allows.
    enough_until = time.monotonic()
    ends = [state_at_end(topology, run_id) for run_id in ("scale", "book")]
    seen = answers(topology, "/stats")
    (topology.logs / "stats.json").write_text(json.dumps(seen))
    tell(f"{LOAD}, started by the asset's events")
    until(lambda: not unfinished(topology), 300, "The end of the load", 2.0)

    arrivals = seen["arrivals"]
    meanwhile = [at for at in arrivals if at <= enough_until]
    share = least_seconds(len(meanwhile), LIMIT) / (meanwhile[-1] - meanwhile[0])
    lost, extra = difference(topology)
    booked = scale_bookings.booked_wrongly(answers(topology, f"/truth/{scale_bookings.LOCATION}")["appointments"])
    in_warehouse = query(topology, "warehouse", "SELECT count(*) FROM altegio_activities")
    classes = query(topology, "warehouse", "SELECT CAST(sum(classes) AS BIGINT) FROM altegio_occupancy")
    again = query(
        topology, "postgres", "SELECT count(*) FROM task_instance WHERE run_id IN ('scale', 'book') AND try_number > 1"
    )
    loads = states(topology, LOAD)
    waited = query(
        topology,
        "postgres",
        "SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY extract(epoch FROM start_date - queued_dttm)) "
        "FROM task_instance WHERE state = 'success'",
    )
    total = len(LOCATIONS) * ROWS
    return [
        ("extracts, bookings", ", ".join(ends), ends == ["success"] * 2),
        ("tasks of the killed worker, run again", str(again), again > 0),
        ("requests", f"{len(arrivals):,} in {arrivals[-1] - arrivals[0]:.0f} s", True),
        ("while both runs had work", f"{len(meanwhile):,} in {meanwhile[-1] - meanwhile[0]:.0f} s", True),
        ("share of the allowed rate in use", f"{share:.1%} (goal {GOAL:.0%})", share >= GOAL),
        ("429", f"{seen['limited']} (goal 0)", seen["limited"] == 0),
        ("busiest second, busiest minute", f"{seen['busiest_second']}, {seen['busiest_minute']} (5, 200)", True),
        ("rows of the dataset lost, too many", f"{lost}, {extra} of {total:,} (goal 0, 0)", lost + extra == 0),
        (
            "clients not booked, booked too often",
            "{}, {} of {} (goal 0, 0)".format(*booked, scale_bookings.CLIENTS),
            not any(booked),
        ),
        ("rows in the warehouse", f"{in_warehouse:,} by {len(loads)} loads", in_warehouse == total),
        ("classes in its table of occupancy", f"{classes:,}", classes == total),
        ("from queued to running, median", f"{waited:.1f} s", True),
        ("loads that failed", f"{loads.count('failed')} (goal 0)", "failed" not in loads),
    ]


def report(figures: Figures) -> None:
    """Print the figures."""
    print()
    for name, figure, good in figures:
        print(f"  {name:<36} {figure}{'' if good else '   NOT MET'}")


def start_worker(topology: Topology, number: int) -> None:
    """Start a Celery worker. Several on one machine need different names and ports."""
    topology.start("worker", f"worker-{number}", f"--celery-hostname worker-{number}@localhost --skip-serve-logs")


def fill(topology: Topology) -> None:
    """Reset the sandbox and the limit, and add the locations' events."""
    redis.Redis.from_url(topology.redis(1)).flushdb()
    answers(topology, "/reset", {})
    step = (LAST - FIRST) / ROWS
    location_of_bookings, events = scale_bookings.location_and_events()
    answers(topology, "/locations", location_of_bookings)
    answers(topology, "/events", events)
    for location in LOCATIONS:
        answers(topology, "/locations", {"id": location, "services": [{"id": 1, "title": "Yoga"}]})
        rows = [
            {"location_id": location, "date": f"{FIRST + number * step:%Y-%m-%d %H:%M:%S}", "service_id": 1}
            for number in range(ROWS)
        ]
        answers(topology, "/events", rows)


def answers(topology: Topology, path: str, body: Any = None) -> Any:
    """Send a request to the sandbox's control plane; return ``None`` while it does not answer."""
    data = None if body is None else json.dumps(body).encode()
    try:
        request = urllib.request.Request(topology.sandbox_control + path, data, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)
    except OSError:
        return None


def bookings(topology: Topology) -> int:
    """Return the number of bookings in the sandbox."""
    seen = answers(topology, "/stats")["answers"]
    booked = [one for one in seen if one["route"].endswith("create_event_appointment") and one["status"] < 300]
    return sum(one["times"] for one in booked)


def difference(topology: Topology) -> tuple[int, int]:
    """Return how many events of the sandbox the dataset lacks, and how many rows it has too many."""
    lost = extra = 0
    ids: dict[int, list[int]] = {number: [] for number in LOCATIONS}
    for file in read_manifest(DATA / "activities"):
        ids[file.location_id] += pq.read_table(file.path, columns=["id"]).column("id").to_pylist()
    for location, found in ids.items():
        truth = {event["id"] for event in answers(topology, f"/truth/{location}")["events"]}
        lost += len(truth - set(found))
        extra += len(found) - len(truth & set(found))
    return lost, extra


@contextmanager
def cursor(topology: Topology, service: str) -> Iterator[Any]:
    """Open a cursor on one of the databases."""
    with closing(psycopg2.connect(topology.database(service))) as connection, connection.cursor() as opened:
        yield opened


def query(topology: Topology, service: str, sql: str) -> Any:
    """Return the single value of a query."""
    with cursor(topology, service) as opened:
        opened.execute(sql)
        return opened.fetchone()[0]


def states(topology: Topology, dag_id: str) -> list[str]:
    """Return the states of a DAG's runs."""
    with cursor(topology, "postgres") as opened:
        opened.execute("SELECT state FROM dag_run WHERE dag_id = %s", (dag_id,))
        return [state for (state,) in opened.fetchall()]


def unfinished(topology: Topology) -> int:
    """Return the number of running DAG runs and of asset events without a run."""
    runs = "SELECT count(*) FROM dag_run WHERE state NOT IN ('success', 'failed')"
    return int(query(topology, "postgres", runs)) + int(
        query(topology, "postgres", "SELECT count(*) FROM asset_dag_run_queue")
    )


def state_at_end(topology: Topology, run_id: str) -> str:
    """Wait for a run to end, and return its state."""
    ended = f"SELECT max(state) FROM dag_run WHERE run_id = '{run_id}' AND state IN ('success', 'failed')"
    return str(until(lambda: query(topology, "postgres", ended), 900, f"The end of {run_id}", 2.0))


def tell(text: str) -> None:
    print(f"{datetime.now(UTC):%H:%M:%S} {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
