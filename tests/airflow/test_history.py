"""The past of `locations`: read from the list, or rebuilt from bookings where a server refuses it."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from altegio_provider.api.errors import AltegioAuthError, AltegioPastNotListedError, AltegioValidationError
from altegio_provider.tables.dataset.dataset import read_manifest
from altegio_provider.transfers.altegio_to_parquet import AltegioActivitiesToParquetOperator

PAST = ("2026-03-02T00:00:00+02:00", "2026-03-05T00:00:00+02:00")


@pytest.fixture
def connect(altegio_sandbox, monkeypatch):
    """Set the default connection, with these fields of the extra."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)

    def connect(**extra):
        extra = {"timezone": "Europe/Riga", "route_family": "locations", **extra}
        monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", altegio_sandbox.airflow_connection(**extra))

    connect()
    return connect


@pytest.fixture
def studio(altegio_sandbox):
    """A location where nothing is but what a test adds to it, or changes: by number, and start on the wall clock."""
    altegio_sandbox.add_location(5, timezone="Europe/Riga", services=[{"id": 2, "title": "Yoga"}])

    there = set()

    def add(number, date, seats=1, **fields):
        booked = {"first_records": min(seats, 1), "first_seats": seats, "service_id": 2}
        put = altegio_sandbox.replace_events if number in there else altegio_sandbox.add_events
        put(5, [{"id": number, "date": date, **booked, **fields}])
        there.add(number)

    return add


def extract(path, date_from=PAST[0], date_to=PAST[1], location_id=5, history=True, **arguments):
    operator = AltegioActivitiesToParquetOperator(
        task_id="extract",
        output_path=str(path),
        date_from=date_from,
        date_to=date_to,
        location_id=location_id,
        history=history,
        **arguments,
    )
    return operator.execute({})


def asked(sandbox):
    return sum(one["times"] for one in sandbox.stats()["answers"] if one["route"].endswith("get_event"))


def test_a_made_month_has_every_class_that_was_booked(connect, altegio_sandbox, tmp_path) -> None:
    window = ("2026-03-01T00:00:00+02:00", "2026-04-01T00:00:00+03:00")
    summary = extract(tmp_path, *window, location_id=1001)
    first, last = (datetime.fromisoformat(text).timestamp() for text in window)
    inside = [e for e in altegio_sandbox.truth(1001)["events"] if first <= e["timestamp"] < last]
    booked = {one["id"] for one in inside if one["records"]}
    frame = pd.read_parquet(tmp_path)
    assert set(frame["id"]) == booked
    assert frame["id"].is_unique
    assert len(booked) > 300
    assert frame["service_title"].notna().all()
    assert asked(altegio_sandbox) - len(booked) < 5, "each event is asked for once"
    (file,) = read_manifest(tmp_path)
    assert file.notes["source"] == "history"
    assert "nobody booked" in file.notes["lacks"]
    assert file.rows == summary["rows"] == len(frame)
    assert [path.name for path in tmp_path.rglob(".answers*")] == []


def test_an_event_belongs_where_it_starts(connect, studio, tmp_path) -> None:
    studio(1, "2026-03-01 23:30:00", length=7200)  # goes on into the range
    studio(2, "2026-03-02 00:00:00")
    studio(3, "2026-03-04 23:59:59")
    studio(4, "2026-03-05 00:00:00")
    extract(tmp_path)
    assert sorted(pd.read_parquet(tmp_path)["id"]) == [2, 3]


def test_deleted_events_are_marked_and_missing_ones_counted(connect, altegio_sandbox, studio, tmp_path) -> None:
    for number in (1, 2, 3):
        studio(number, f"2026-03-03 0{number}:00:00", patch={"deleted": number == 2})
    altegio_sandbox.fault("status", status=404, route="get_event", times=1)
    extract(tmp_path, concurrency=1)
    frame = pd.read_parquet(tmp_path).set_index("id")
    assert frame["is_deleted"].to_dict() == {2: True, 3: False}
    assert read_manifest(tmp_path)[0].notes["not_found"] == 1


def test_what_bookings_do_not_show_stays_as_it_was_seen(connect, altegio_sandbox, studio, tmp_path) -> None:
    """Seen while it was to come: a class nobody books, one that is deleted, one that is booked and then moved."""
    for number, seats in ((1, 1), (2, 0), (3, 1), (4, 1)):
        studio(number, f"2026-03-03 0{number}:00:00", seats=seats)
    connect(route_family="companies")  # its list may be asked for this day, as the other's could while it was to come
    extract(tmp_path, history=False)
    altegio_sandbox.delete_event(5, 3)
    extract(tmp_path, history=False)
    seen = pd.read_parquet(tmp_path).set_index("id")
    connect()
    studio(4, "2026-03-04 10:00:00", seats=2)
    # The bookings of a deleted class are listed here, and it answers as if nothing were.
    studio(3, "2026-03-03 03:00:00")
    summary = extract(tmp_path)
    frame = pd.read_parquet(tmp_path).set_index("id")
    assert frame.index.is_unique
    assert frame["is_deleted"].to_dict() == {1: False, 2: False, 3: True, 4: False}
    assert frame.loc[2, "extracted_at"] == seen.loc[2, "extracted_at"]
    assert frame.loc[4, "starts_at_local"] == pd.Timestamp("2026-03-04 10:00")
    assert summary["deleted"] == 0
    assert summary["rows"] == 4


def test_a_retry_asks_for_what_was_not_answered_alone(connect, altegio_sandbox, tmp_path) -> None:
    window = ("2026-03-01T00:00:00+02:00", "2026-03-20T00:00:00+02:00")
    altegio_sandbox.fault("status", status=403, route="get_event", nth=150)
    with pytest.raises(AltegioAuthError):
        extract(tmp_path, *window, location_id=1001)
    assert not list(tmp_path.rglob("*.parquet"))
    answered = asked(altegio_sandbox)
    altegio_sandbox.clear_faults()
    began = datetime.now(UTC)
    summary = extract(tmp_path, *window, location_id=1001)
    assert asked(altegio_sandbox) - answered <= summary["rows"] - 140
    frame = pd.read_parquet(tmp_path)
    assert frame["id"].is_unique
    assert frame["extracted_at"].max() < pd.Timestamp(began), "it is as old as its oldest answer"
    assert not list(tmp_path.rglob(".answers*"))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [({"staff_ids": [4]}, "staff_ids"), ({"capacity": 0}, "capacity"), ({"search": "a"}, "search")],
)
def test_filters_are_refused_where_the_past_is_rebuilt(connect, altegio_sandbox, tmp_path, arguments, text) -> None:
    with pytest.raises(AltegioValidationError, match=text):
        extract(tmp_path, **arguments)
    assert altegio_sandbox.stats()["requests"] == 0


def test_the_family_that_lists_the_past_needs_no_history(connect, altegio_sandbox, tmp_path) -> None:
    connect(route_family="companies")
    with pytest.raises(AltegioValidationError, match="history is only for"):
        extract(tmp_path)
    assert altegio_sandbox.stats()["requests"] == 0


def test_a_server_that_joins_nothing_to_one_event_is_asked_without(connect, altegio_sandbox, studio, tmp_path) -> None:
    studio(1, "2026-03-03 10:00:00")
    altegio_sandbox.fault("status", status=422, route="get_event", times=1)
    extract(tmp_path, concurrency=1)
    assert pd.read_parquet(tmp_path)["id"].tolist() == [1]


def test_what_the_list_of_the_future_cannot_show_is_not_gone(connect, altegio_sandbox, studio, tmp_path) -> None:
    """The range begins now, and classes begin while it is read: an older server does not list them any more."""
    altegio_sandbox.switch(include_deleted="refused")
    now = datetime.now(UTC)
    for number, seconds in ((1, -30), (2, 600), (3, 900)):
        moment = pd.Timestamp(now + timedelta(seconds=seconds)).tz_convert("Europe/Riga")
        studio(number, f"{moment:%Y-%m-%d %H:%M:%S}")
    window = ((now - timedelta(minutes=1)).isoformat(), (now + timedelta(hours=1)).isoformat())
    connect(route_family="companies")
    extract(tmp_path, *window, history=False)
    altegio_sandbox.delete_event(5, 2)
    connect()
    summary = extract(tmp_path, *window, history=False)
    frame = pd.read_parquet(tmp_path).set_index("id")
    assert frame["is_deleted"].to_dict() == {1: False, 2: True, 3: False}
    assert (summary["rows"], summary["deleted"]) == (3, 1)


OLD = [{"include_deleted": "refused"}, {"include_deleted": "ignored"}, {"server": "older"}]


def listed(sandbox):
    return sum(one["times"] for one in sandbox.stats()["answers"] if one["route"].endswith("list_activities"))


def test_three_thousand_past_classes_cost_sixteen_requests_at_the_most(connect, altegio_sandbox, studio, tmp_path):
    moments = pd.date_range("2026-02-02 08:00", periods=3000, freq="27min")
    rows = [{"id": 1 + n, "date": f"{at:%Y-%m-%d %H:%M:%S}", "service_id": 2} for n, at in enumerate(moments)]
    altegio_sandbox.add_events(5, rows)
    before = altegio_sandbox.stats()["requests"]
    summary = extract(tmp_path, "2026-02-01T00:00:00+02:00", "2026-04-01T00:00:00+03:00", history="auto")
    assert altegio_sandbox.stats()["requests"] - before == summary["requests"] <= 16
    assert summary["rows"] == 3000
    assert pd.read_parquet(tmp_path)["id"].nunique() == 3000
    assert read_manifest(tmp_path)[0].notes["source"] == "list"


@pytest.mark.parametrize("mark_deleted", [True, False])
def test_past_classes_that_nobody_booked_and_deleted_ones_come_from_the_list(
    connect, altegio_sandbox, studio, tmp_path, mark_deleted
):
    for number, seats in ((1, 0), (2, 3), (3, 1)):
        studio(number, f"2026-03-03 0{number}:00:00", seats=seats)
    altegio_sandbox.delete_event(5, 3)
    extract(tmp_path, history="auto", mark_deleted=mark_deleted)
    frame = pd.read_parquet(tmp_path).set_index("id")
    assert frame["is_deleted"].to_dict() == {1: False, 2: False} | ({3: True} if mark_deleted else {})
    assert asked(altegio_sandbox) == 0


def test_the_list_of_the_past_takes_filters(connect, altegio_sandbox, studio, tmp_path):
    for number in (1, 2, 3):
        studio(number, f"2026-03-0{number + 1} 10:00:00", staff_id=number)
    extract(tmp_path / "staff", history="auto", staff_ids="2,3")
    assert sorted(pd.read_parquet(tmp_path / "staff")["id"]) == [2, 3]
    extract(tmp_path / "days", history="auto", weekdays="1, 3")  # the second of March is a Monday
    assert sorted(pd.read_parquet(tmp_path / "days")["id"]) == [1, 3]


@pytest.mark.parametrize("switches", OLD)
def test_an_older_server_s_past_is_rebuilt_and_that_is_said(
    connect, altegio_sandbox, studio, tmp_path, caplog, capsys, switches
):
    altegio_sandbox.switch(**switches)
    studio(1, "2026-03-03 10:00:00")
    studio(2, "2026-03-03 11:00:00", seats=0)
    extract(tmp_path, history="auto")
    assert pd.read_parquet(tmp_path)["id"].tolist() == [1]
    (file,) = read_manifest(tmp_path)
    assert file.notes["source"] == "history"
    assert "nobody booked" in file.notes["lacks"]
    said = caplog.text + capsys.readouterr().out
    assert said.count("does not list the past") == 1
    assert not list(tmp_path.rglob(".saved*")) + list(tmp_path.rglob(".spool*"))


@pytest.mark.parametrize("switches", OLD)
def test_of_a_range_that_goes_on_the_rest_comes_from_the_list(connect, altegio_sandbox, studio, tmp_path, switches):
    altegio_sandbox.switch(**switches)
    now = pd.Timestamp(datetime.now(UTC)).tz_convert("Europe/Riga")
    for number, hours, seats in ((1, -30, 1), (2, -20, 0), (3, 20, 1), (4, 30, 0)):
        studio(number, f"{now + pd.Timedelta(hours=hours):%Y-%m-%d %H:%M:%S}", seats=seats)
    extract(tmp_path, (now - timedelta(days=2)).isoformat(), (now + timedelta(days=2)).isoformat(), history="auto")
    assert sorted(pd.read_parquet(tmp_path)["id"]) == [1, 3, 4]


@pytest.mark.parametrize("switches", OLD)
def test_history_false_and_filters_want_a_server_that_lists_the_past(
    connect, altegio_sandbox, studio, tmp_path, switches
):
    altegio_sandbox.switch(**switches)
    with pytest.raises(AltegioPastNotListedError, match=r"future events only.*history='auto'"):
        extract(tmp_path, history=False)
    with pytest.raises(AltegioValidationError, match="combined with filters"):
        extract(tmp_path, history="auto", staff_ids=[1])
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.mark.parametrize("value", ["always", 2, "history"])
def test_history_is_one_of_three_words(connect, altegio_sandbox, tmp_path, value):
    with pytest.raises(AltegioValidationError, match="history must be 'auto', true or false"):
        extract(tmp_path, history=value)
    assert altegio_sandbox.stats()["requests"] == 0


def test_the_snapshot_dag_writes_what_is_to_come_of_each_location(
    airflow, airflow_db, altegio_sandbox, tmp_path
) -> None:
    airflow("pools", "set", "altegio", "4", "Altegio")
    began = datetime.now(UTC)
    airflow(
        "dags",
        "test",
        "altegio_schedule_snapshot",
        "--conf",
        json.dumps({"days": 3}),
        AIRFLOW_CONN_ALTEGIO_DEFAULT=altegio_sandbox.airflow_connection(route_family="locations"),
        ALTEGIO_DATA=str(tmp_path),
        ALTEGIO_LOCATIONS="1001=Europe/Riga,1003=Asia/Tbilisi",
    )
    frame = pd.read_parquet(tmp_path / "activities")
    assert set(frame["location_id"]) == {1001, 1003}
    for file in read_manifest(tmp_path / "activities"):
        assert began - timedelta(seconds=1) <= file.start < file.written_at
        assert file.end - file.start == pytest.approx(timedelta(days=3), abs=timedelta(seconds=1))
        events = altegio_sandbox.truth(file.location_id)["events"]
        shown = {e["id"] for e in events if file.start.timestamp() + 60 < e["timestamp"] < file.end.timestamp()}
        assert shown <= set(frame["id"])
        assert len(shown) > 20
    assert frame["extracted_at"].between(pd.Timestamp(began), pd.Timestamp(datetime.now(UTC))).all()
