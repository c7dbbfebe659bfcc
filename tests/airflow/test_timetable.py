"""A timetable becomes events, each exactly once, and the example DAG publishes a term and takes it back."""

from __future__ import annotations

import csv
import json
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from altegio_provider.compat import AirflowFailException
from altegio_provider.imports.engine.timetable import occurrences
from altegio_provider.operators.events import AltegioCreateEventsOperator

LOCATION = 77
NEXT_YEAR = datetime.now(UTC).year + 1
HEADINGS = ("staff_id", "service_id", "date", "length", "capacity", "repeat_until", "weekdays")


@pytest.fixture(params=["companies", "locations"])
def family(request, altegio_sandbox, monkeypatch):
    altegio_sandbox.add_location(
        LOCATION,
        timezone="Europe/Riga",
        staff=[{"id": 1, "name": "Anna"}, {"id": 3, "name": "Zoë"}],
        services=[{"id": 2, "title": "Yoga"}],
    )
    connection = altegio_sandbox.airflow_connection(
        timezone="Europe/Riga", route_family=request.param, location_id=LOCATION
    )
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", connection)
    return request.param


def timetable(path, *rows):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(HEADINGS)
        writer.writerows(rows)
    return path


def publish(tmp_path, source, **options):
    return AltegioCreateEventsOperator(
        task_id="publish",
        source=source if isinstance(source, list) else str(source),
        report_path=str(tmp_path / "report"),
        ledger_url=f"sqlite:///{tmp_path / 'ledger.db'}",
        **{"settle_seconds": 0.05, **options},
    ).execute({})


def starts(sandbox):
    return sorted(event["date"].replace("T", " ")[:16] for event in sandbox.truth(LOCATION)["events"])


def term(tmp_path):
    """Tuesdays and Thursdays over the change to summer time, and one single class."""
    return timetable(
        tmp_path / "term.csv",
        (1, 2, f"{NEXT_YEAR}-03-20 18:30", 3600, 12, f"{NEXT_YEAR}-04-05", "tue,thu"),
        (3, 2, f"05.04.{NEXT_YEAR} 10:00", 5400, 8, "", ""),
    )


def classes_of_term():
    days = [datetime(NEXT_YEAR, 3, 20) + timedelta(days=n) for n in range(17)]  # noqa: DTZ001 - wall clocks
    weekly = [f"{day:%Y-%m-%d} 18:30" for day in days if day.weekday() in (1, 3)]
    return sorted([*weekly, f"{NEXT_YEAR}-04-05 10:00"])


def test_a_term_keeps_its_hours_over_the_change_of_the_clock(tmp_path, family, altegio_sandbox):
    source = term(tmp_path)
    result = publish(tmp_path, source)
    assert result["created"] == len(classes_of_term())
    assert starts(altegio_sandbox) == classes_of_term()
    assert publish(tmp_path, source)["already_created"] == len(classes_of_term())
    assert starts(altegio_sandbox) == classes_of_term()
    report = pq.read_table(tmp_path / "report" / "report.parquet").to_pylist()
    assert {row["record_id"] for row in report} == {e["id"] for e in altegio_sandbox.truth(LOCATION)["events"]}
    assert {(row["line"], row["staff_id"]) for row in report} == {(2, 1), (3, 3)}


@pytest.mark.parametrize("effect", ["lose_answer_after", "lose_answer_before", "late_effect"])
def test_a_class_whose_answer_was_lost_is_looked_for(tmp_path, family, altegio_sandbox, effect):
    extra = {"seconds": 0.01} if effect == "late_effect" else {}
    altegio_sandbox.fault(effect, route="create_event", nth=2, **extra)
    result = publish(tmp_path, term(tmp_path), settle_seconds=0.3)
    assert result["created"] == len(classes_of_term())
    assert starts(altegio_sandbox) == classes_of_term()


def test_faulty_rows_are_named_and_nothing_is_created(tmp_path, family, altegio_sandbox):
    source = timetable(
        tmp_path / "term.csv",
        (1, 2, f"{NEXT_YEAR}-03-20 18:30", 3600, 12, "", ""),
        (1, 2, f"{NEXT_YEAR}-03-20", "an hour", 0, "", "someday"),
        (1, 2, f"{NEXT_YEAR}-03-20 12:30", 3600, 12, f"{NEXT_YEAR}-03-01", ""),
        (1, 2, f"{NEXT_YEAR}-03-20 12:30", 3600, 12, "", "a" + "\u0315\u0300" * 50_000),  # takes seconds to normalise
    )
    with pytest.raises(AirflowFailException, match="3 of 4 rows are rejected"):
        publish(tmp_path, source)
    assert not starts(altegio_sandbox)
    reasons = [" ".join(r["reasons"]) for r in pq.read_table(tmp_path / "report" / "report.parquet").to_pylist()]
    assert all(name in reasons[1] for name in ("date", "length", "capacity", "weekdays"))
    assert "repeat_until" in reasons[2]
    assert reasons[3] == "weekdays: must have at most 10,000 characters"


@pytest.mark.parametrize(
    "change",
    [
        {"date": f"{NEXT_YEAR}-03-20 19:30"},
        {"staff_id": 3},
        {"service_id": 4},
    ],
)
def test_a_row_that_changed_under_its_external_id_is_told_of(tmp_path, family, altegio_sandbox, change):
    row = {"staff_id": 1, "service_id": 2, "date": f"{NEXT_YEAR}-03-20 18:30", "length": 3600, "capacity": 12}
    row |= {"repeat_until": f"{NEXT_YEAR}-03-27", "external_id": "yoga"}
    assert publish(tmp_path, [row])["created"] == 2
    with pytest.raises(AirflowFailException, match="2 of 2 rows are rejected"):
        publish(tmp_path, [row | change])
    report = pq.read_table(tmp_path / "report" / "report.parquet").to_pylist()
    assert all("external_id was used for different data before" in one["reasons"][0] for one in report)
    longer = publish(tmp_path, [row | {"repeat_until": f"{NEXT_YEAR}-04-03"}])
    assert (longer["already_created"], longer["created"]) == (2, 1)
    assert starts(altegio_sandbox) == [f"{NEXT_YEAR}-{day} 18:30" for day in ("03-20", "03-27", "04-03")]


def test_a_busy_team_member_is_a_rejection_in_the_api_s_words(tmp_path, family, altegio_sandbox):
    source = timetable(
        tmp_path / "term.csv",
        (1, 2, f"{NEXT_YEAR}-03-20 18:30", 3600, 12, "", ""),
        (1, 2, f"{NEXT_YEAR}-03-20 18:45", 3600, 12, "", ""),
    )
    assert publish(tmp_path, source, max_rejected=1)["rejected"] == 1
    assert len(starts(altegio_sandbox)) == 1


def test_the_dag_publishes_a_term_and_takes_it_back(tmp_path, family, altegio_sandbox, airflow, airflow_db):
    airflow("pools", "set", "altegio", "4", "Altegio")
    source = timetable(tmp_path / "term.csv", (1, 2, f"{NEXT_YEAR}-03-24 18:30", 3600, 12, f"{NEXT_YEAR}-03-31", ""))
    published = [f"{NEXT_YEAR}-03-24 18:30", f"{NEXT_YEAR}-03-31 18:30"]
    connection = altegio_sandbox.airflow_connection(timezone="Europe/Riga", route_family=family, location_id=LOCATION)
    for take_back, there in ((False, published), (True, []), (False, published)):
        airflow(
            "dags",
            "test",
            "altegio_timetable_publish",
            "--conf",
            json.dumps({"timetable": str(source), "take_back": take_back}),
            AIRFLOW_CONN_ALTEGIO_DEFAULT=connection,
            ALTEGIO_DATA=str(tmp_path / family),
            ALTEGIO_LEDGER=f"sqlite:///{tmp_path / 'ledger.db'}",
        )
        events = altegio_sandbox.truth(LOCATION)["events"]
        assert sorted(e["date"].replace("T", " ")[:16] for e in events if not e["deleted"]) == there


days = st.dates(min_value=datetime(2026, 1, 1).date(), max_value=datetime(2027, 12, 31).date())  # noqa: DTZ001


@given(days, st.integers(0, 120), st.frozensets(st.integers(0, 6)))
def test_occurrences_are_all_such_days_of_the_range_at_one_time(first, length, weekdays):
    start = datetime(first.year, first.month, first.day, 7, 15)  # noqa: DTZ001 - a wall clock
    last = first + timedelta(days=length)
    found = list(occurrences(start, last, weekdays or None))
    wanted = weekdays or {first.weekday()}
    assert [moment.date() for moment in found] == [
        first + timedelta(days=n) for n in range(length + 1) if (first + timedelta(days=n)).weekday() in wanted
    ]
    assert {(moment.hour, moment.minute) for moment in found} <= {(7, 15)}
