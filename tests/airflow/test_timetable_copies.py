"""A weekly row of a timetable is one class and its copies: each exactly once, whatever becomes of an answer."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from altegio_provider.operators.events import AltegioCreateEventsOperator

LOCATION = 77
NEXT_YEAR = datetime.now(UTC).year + 1
FIRST = datetime(NEXT_YEAR, 3, 1)  # noqa: DTZ001 - a wall clock has no zone
LAST = FIRST + timedelta(days=40 * 7 - 1)
COPY = "duplicate_event"
ROW = {
    "staff_id": 1,
    "service_id": 2,
    "date": f"{FIRST:%Y-%m-%d} 18:30",
    "length": 3600,
    "capacity": 12,
    "comment": "Bring a towel",
    "repeat_until": f"{LAST:%Y-%m-%d}",
}


@pytest.fixture(autouse=True)
def location(altegio_sandbox, monkeypatch):
    altegio_sandbox.add_location(
        LOCATION, timezone="Europe/Riga", staff=[{"id": 1}, {"id": 3}], services=[{"id": 2}, {"id": 4}]
    )
    connection = altegio_sandbox.airflow_connection(
        timezone="Europe/Riga", route_family="locations", location_id=LOCATION
    )
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", connection)


@pytest.fixture
def publish(tmp_path):
    def publish(*rows, **options):
        return AltegioCreateEventsOperator(
            task_id="publish",
            source=[dict(row) for row in rows],
            report_path=str(tmp_path / "report"),
            ledger_url=f"sqlite:///{tmp_path / 'ledger.db'}",
            **{"settle_seconds": 0.05, **options},
        ).execute({})

    return publish


def requests(sandbox):
    counts = Counter()
    for one in sandbox.stats()["answers"]:
        counts[one["route"].rpartition(".")[2]] += one["times"]
    return counts


def classes(sandbox):
    """Return how often each class is there: its start, team member, service, seats."""
    return Counter(
        (one["date"].replace("T", " ")[:16], one["staff_id"], one["service_id"], one["capacity"])
        for one in sandbox.truth(LOCATION)["events"]
    )


def term(row=ROW, weeks=40):
    start = datetime.fromisoformat(row["date"])
    days = [start + timedelta(days=7 * week) for week in range(weeks)]
    return Counter((f"{day:%Y-%m-%d %H:%M}", row["staff_id"], row["service_id"], row["capacity"]) for day in days)


def test_forty_classes_of_a_term_are_two_requests_and_keep_their_hours(publish, tmp_path, altegio_sandbox):
    result = publish(ROW)
    assert result["created"] == 40
    assert classes(altegio_sandbox) == term()
    assert requests(altegio_sandbox) == {"create_event": 1, COPY: 1}
    report = pq.read_table(tmp_path / "report" / "report.parquet").to_pylist()
    by_id = {one["id"]: one["date"].replace("T", " ")[:16] for one in altegio_sandbox.truth(LOCATION)["events"]}
    assert [by_id[row["record_id"]] for row in report] == sorted(by_id.values())
    assert publish(ROW)["already_created"] == 40
    assert classes(altegio_sandbox) == term()


def test_each_row_has_copies_of_its_own(publish, altegio_sandbox):
    other = {**ROW, "service_id": 4, "capacity": 5, "date": f"{FIRST:%Y-%m-%d} 20:00", "comment": ""}
    third = {**ROW, "staff_id": 3}
    assert publish(ROW, other, third)["created"] == 120
    assert classes(altegio_sandbox) == term() + term(other) + term(third)
    assert requests(altegio_sandbox)[COPY] == 3


def test_more_classes_than_a_request_takes_go_in_several(publish, altegio_sandbox):
    daily = {**ROW, "weekdays": "1,2,3,4,5,6,7"}
    assert publish(daily)["created"] == 280
    assert len(classes(altegio_sandbox)) == sum(classes(altegio_sandbox).values()) == 280
    assert requests(altegio_sandbox)[COPY] == 3


@pytest.mark.parametrize("status", [403, 404, 405])
def test_a_server_without_the_route_gets_the_classes_one_by_one(publish, altegio_sandbox, status):
    altegio_sandbox.switch(missing_routes={COPY: status})
    assert publish(ROW)["created"] == 40
    assert classes(altegio_sandbox) == term()
    assert requests(altegio_sandbox) == {"create_event": 40, COPY: 1}


def test_a_busy_date_rejects_its_class_and_no_other(publish, altegio_sandbox):
    busy = FIRST + timedelta(days=14)
    altegio_sandbox.add_events(
        LOCATION, [{"date": f"{busy:%Y-%m-%d}T18:00:00", "staff_id": 1, "service_id": 4, "length": 3600}]
    )
    result = publish(ROW, max_rejected=1)
    assert (result["created"], result["rejected"]) == (39, 1)
    assert classes(altegio_sandbox) & term() == term() - Counter([(f"{busy:%Y-%m-%d} 18:30", 1, 2, 12)])


LOST = [
    {"effect": "lose_answer_after"},
    {"effect": "lose_answer_before"},
    {"effect": "status", "status": 502},
    {"effect": "status_after", "status": 502, "body": "html"},
    {"effect": "cut_json"},
    {"effect": "late_effect", "seconds": 0.01},
    {"effect": "partial_effect"},
    {"effect": "partial_effect", "rows": [0, 3, 38]},
    {"effect": "partial_effect", "rows": 7, "answer": "short"},
]


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: "-".join(map(str, fault.values())))
def test_a_lost_or_partial_answer_is_settled_and_nothing_is_created_twice(publish, altegio_sandbox, fault):
    fault = dict(fault)
    altegio_sandbox.fault(fault.pop("effect"), route=COPY, times=1, **fault)
    assert publish(ROW, settle_seconds=0.3)["created"] == 40
    assert classes(altegio_sandbox) == term()
    # One list shows all of the classes: some pages, and what shows that the last one was the last.
    assert requests(altegio_sandbox)["list_activities"] <= 6


def test_a_class_of_an_earlier_run_is_not_copied(publish, altegio_sandbox):
    """Somebody may have changed it since."""
    assert publish({**ROW, "repeat_until": f"{FIRST:%Y-%m-%d}"})["created"] == 1
    result = publish(ROW)
    assert (result["already_created"], result["created"]) == (1, 39)
    assert classes(altegio_sandbox) == term()
    assert requests(altegio_sandbox) == {"create_event": 2, COPY: 1}
