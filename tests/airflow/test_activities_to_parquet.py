"""The extract through Airflow, against the sandbox: rows, replacement, faults, and what is told."""

from __future__ import annotations

import json
import logging
import time
from datetime import UTC, datetime, timedelta

import pandas as pd
import pyarrow.parquet as pq
import pytest

from altegio_provider.api.errors import AltegioAuthError, AltegioError, AltegioNotFoundError, AltegioValidationError
from altegio_provider.hooks.altegio import AltegioHook
from altegio_provider.tables.dataset.dataset import read_manifest
from altegio_provider.tables.schema import ACTIVITY_SCHEMA
from altegio_provider.transfers.altegio_to_parquet import AltegioActivitiesToParquetOperator

DAY = ("2026-11-10T00:00:00+02:00", "2026-11-11T00:00:00+02:00")


@pytest.fixture
def connect(altegio_sandbox, monkeypatch):
    """Set the default connection, with these fields of the extra."""

    def connect(**extra):
        extra = {"timezone": "Europe/Riga", **extra}
        monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", altegio_sandbox.airflow_connection(**extra))

    connect()
    return connect


def extract(path, date_from=DAY[0], date_to=DAY[1], **arguments):
    arguments = {"location_id": 1001, **arguments}
    operator = AltegioActivitiesToParquetOperator(
        task_id="extract", output_path=str(path), date_from=date_from, date_to=date_to, **arguments
    )
    return operator.execute({})


def true_ids(sandbox, date_from, date_to, location_id=1001):
    first, last = (datetime.fromisoformat(text).timestamp() for text in (date_from, date_to))
    return {
        event["id"]
        for event in sandbox.truth(location_id)["events"]
        if not event["deleted"] and first <= event["timestamp"] < last
    }


def test_a_day_is_there_whole_with_its_summary(connect, altegio_sandbox, tmp_path) -> None:
    summary = extract(tmp_path / "activities")
    frame = pd.read_parquet(tmp_path / "activities")
    assert set(frame["id"]) == true_ids(altegio_sandbox, *DAY)
    assert len(frame) == summary["rows"] == frame["id"].nunique()
    assert pq.read_schema(summary["files"][0]).remove_metadata().equals(ACTIVITY_SCHEMA)
    assert summary["from"] == "2026-11-09T22:00:00+00:00"
    assert summary["to"] == "2026-11-10T22:00:00+00:00"
    assert summary["bytes"] > 0
    assert summary["requests"] == 1
    assert json.loads(json.dumps(summary)) == summary


def test_characters_that_no_warehouse_holds_are_counted_in_summary_and_manifest(
    connect, altegio_sandbox, tmp_path
) -> None:
    altegio_sandbox.add_location(5, timezone="Europe/Riga")
    comments = ["fine", "a\0b", "\0"]
    altegio_sandbox.add_events(5, [{"date": "2026-11-10 09:00:00", "comment": comment} for comment in comments])
    summary = extract(tmp_path, location_id=5)
    assert summary["texts_replaced"] == 2
    assert [file.notes["texts_replaced"] for file in read_manifest(tmp_path)] == [2]
    rows = sorted(pq.read_table(summary["files"][0]).to_pylist(), key=lambda row: row["id"])
    assert [row["comment"] for row in rows] == ["fine", "a\ufffdb", "\ufffd"]
    kept = [row["extra"] and json.loads(row["extra"])["comment"] for row in rows]
    assert kept == [None, "a\ufffd0000b", "\ufffd0000"]


def test_neighbouring_days_share_nothing_and_lose_nothing(connect, altegio_sandbox, tmp_path) -> None:
    altegio_sandbox.fault("inclusive_to")
    altegio_sandbox.add_location(5, timezone="Europe/Riga")
    rows = [{"date": f"2026-11-{day:02} {hour:02}:00:00"} for day in (9, 10, 11, 12) for hour in range(24)]
    ids = altegio_sandbox.add_events(5, rows)
    for day in (9, 10, 11, 12):
        extract(tmp_path, f"2026-11-{day:02}", f"2026-11-{day + 1:02}", location_id=5)
    frame = pd.read_parquet(tmp_path)
    assert sorted(frame["id"]) == sorted(ids)
    assert [file.rows for file in read_manifest(tmp_path)] == [24, 24, 24, 24]


@pytest.mark.parametrize(("day", "hours"), [("2026-10-25", 25), ("2026-03-29", 23)])
@pytest.mark.parametrize("family", ["companies"])
def test_a_day_on_which_the_clock_changes_loses_nothing(connect, altegio_sandbox, tmp_path, day, hours, family) -> None:
    altegio_sandbox.add_location(6, timezone="Europe/Riga")
    begin = pd.Timestamp(day, tz="Europe/Riga")
    moments = pd.date_range(begin, periods=hours * 2, freq="30min")
    rows = [
        {"id": number, "date": f"{moment:%Y-%m-%d %H:%M:%S}", "patch": {"timestamp": int(moment.timestamp())}}
        for number, moment in enumerate(moments, 1)
    ]
    altegio_sandbox.add_events(6, rows)
    middle = (begin + pd.Timedelta(hours=3, minutes=40)).isoformat()
    end = (begin + pd.Timedelta(hours=hours)).isoformat()
    extract(tmp_path / "a", begin.isoformat(), middle, location_id=6)
    extract(tmp_path / "b", middle, end, location_id=6)
    before, after = (pd.read_parquet(tmp_path / part)["id"].tolist() for part in "ab")
    assert sorted(before + after) == list(range(1, hours * 2 + 1))
    assert len(before) == 8


def live(frame):
    return set(frame.loc[~frame["is_deleted"], "id"])


@pytest.mark.parametrize("where", ["", "day.parquet"])
def test_a_second_run_replaces_the_first_and_marks_what_has_gone(connect, altegio_sandbox, tmp_path, where) -> None:
    first = extract(tmp_path / where)
    gone = min(true_ids(altegio_sandbox, *DAY))
    altegio_sandbox.delete_event(1001, gone)
    second, third = (extract(tmp_path / where) for _ in range(2))
    frame = pd.read_parquet(tmp_path / where).set_index("id")
    assert set(frame.index[~frame["is_deleted"]]) == true_ids(altegio_sandbox, *DAY)
    assert list(frame.index[frame["is_deleted"]]) == [gone]
    assert frame.loc[gone, "extracted_at"] < frame["extracted_at"].max()
    assert [summary["deleted"] for summary in (first, second, third)] == [0, 1, 1]
    assert third["rows"] == first["rows"] == len(frame)
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


def test_what_comes_back_is_alive_and_what_moves_is_not_gone(connect, altegio_sandbox, tmp_path) -> None:
    altegio_sandbox.add_location(5, timezone="Europe/Riga")
    rows = [{"id": number, "date": f"2026-11-10 {number:02}:00:00"} for number in (1, 2, 3)]
    altegio_sandbox.add_events(5, rows)
    extract(tmp_path, location_id=5)
    altegio_sandbox.delete_event(5, 1)
    altegio_sandbox.delete_event(5, 2)
    altegio_sandbox.replace_events(5, [{"id": 3, "date": "2026-11-10 20:00:00"}])
    extract(tmp_path, location_id=5)
    altegio_sandbox.replace_events(5, [rows[0]])
    assert extract(tmp_path, location_id=5)["deleted"] == 1
    frame = pd.read_parquet(tmp_path)
    assert live(frame) == {1, 3}
    assert sorted(frame["id"]) == [1, 2, 3]
    assert frame.set_index("id")["starts_at_local"].dt.hour.to_dict() == {1: 1, 2: 2, 3: 20}


def test_a_transform_that_leaves_rows_out_does_not_make_them_deleted(connect, altegio_sandbox, tmp_path) -> None:
    extract(tmp_path)
    gone = min(true_ids(altegio_sandbox, *DAY))
    altegio_sandbox.delete_event(1001, gone)
    summary = extract(tmp_path, transform=lambda frame: frame.assign(free=1).iloc[:3])
    frame = pd.read_parquet(tmp_path)
    assert (len(frame), summary["rows"], summary["deleted"]) == (4, 4, 1)
    assert frame.loc[frame["is_deleted"], "id"].tolist() == [gone]
    assert frame["free"].isna().sum() == 1


def test_a_run_with_filters_or_without_marks_replaces_its_window(connect, altegio_sandbox, tmp_path) -> None:
    extract(tmp_path)
    service = int(pd.read_parquet(tmp_path)["service_id"].iloc[0])
    assert "deleted" not in extract(tmp_path, service_ids=[service])
    assert set(pd.read_parquet(tmp_path)["service_id"]) == {service}
    extract(tmp_path)
    altegio_sandbox.delete_event(1001, min(true_ids(altegio_sandbox, *DAY)))
    extract(tmp_path, mark_deleted=False)
    assert set(pd.read_parquet(tmp_path)["id"]) == true_ids(altegio_sandbox, *DAY)


def test_lookback_reads_the_days_before_again(connect, altegio_sandbox, tmp_path) -> None:
    before = ("2026-11-09T00:00:00+02:00", DAY[0])
    extract(tmp_path, *before)
    gone = min(true_ids(altegio_sandbox, *before))
    altegio_sandbox.delete_event(1001, gone)
    extract(tmp_path, lookback=timedelta(days=1))
    frame = pd.read_parquet(tmp_path)
    assert live(frame) == true_ids(altegio_sandbox, before[0], DAY[1])
    assert set(frame["id"]) - live(frame) == {gone}
    assert frame["id"].is_unique


def test_no_rows_still_give_an_empty_dataset(connect, altegio_sandbox, tmp_path) -> None:
    altegio_sandbox.add_location(7)
    summary = extract(tmp_path, location_id=7)
    assert summary["rows"] == 0
    frame = pd.read_parquet(tmp_path)
    assert frame.empty
    assert list(frame.columns) == ACTIVITY_SCHEMA.names


@pytest.mark.parametrize("before", [None, b"", b"no Parquet"])
def test_one_file_is_written_where_the_path_names_one(connect, altegio_sandbox, tmp_path, before) -> None:
    if before is not None:
        (tmp_path / "day.parquet").write_bytes(before)
    extract(tmp_path / "day.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["day.parquet"]
    assert set(pd.read_parquet(tmp_path / "day.parquet")["id"]) == true_ids(altegio_sandbox, *DAY)


def test_filters_may_be_text_from_a_template(connect, tmp_path) -> None:
    extract(tmp_path / "all")
    everything = pd.read_parquet(tmp_path / "all")
    wanted = sorted(everything["staff_id"].unique())[:2]
    extract(tmp_path / "some", staff_ids=",".join(map(str, wanted)))
    some = pd.read_parquet(tmp_path / "some")
    assert set(some["id"]) == set(everything.loc[everything["staff_id"].isin(wanted), "id"])


def test_a_transform_adds_a_column(connect, tmp_path) -> None:
    extract(tmp_path, transform=lambda frame: frame.assign(free=frame["capacity"] - frame["records_count"]))
    frame = pd.read_parquet(tmp_path)
    assert (frame["free"] == frame["capacity"] - frame["records_count"]).all()


def test_both_families_give_the_same_columns(connect, altegio_sandbox, tmp_path) -> None:
    begin = datetime.now(UTC) + timedelta(days=3)
    window = (begin.isoformat(), (begin + timedelta(days=7)).isoformat())
    extract(tmp_path / "companies", *window)
    connect(route_family="locations")
    extract(tmp_path / "locations", *window)
    flat, resources = (
        pd.read_parquet(tmp_path / name).set_index("id").sort_index() for name in ("companies", "locations")
    )
    assert list(flat.columns) == list(resources.columns)
    same = [
        "starts_at",
        "starts_at_local",
        "length_seconds",
        "capacity",
        "staff_id",
        "staff_name",
        "service_id",
        "service_title",
        "service_category_id",
        "price_min",
        "timezone",
        "color",
    ]
    pd.testing.assert_frame_equal(flat[same], resources[same])
    assert resources["booked_seats"].notna().all()


def test_server_faults_are_ridden_out(connect, altegio_sandbox, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    for effect in ("truncate", "html", "empty", "success_false", "lose_answer_before", "cut_json"):
        altegio_sandbox.fault(effect, route="list_activities", times=1)
    altegio_sandbox.fault("status", status=502, body="html", times=1)
    summary = extract(tmp_path)
    assert summary["retries"] > 0
    assert set(pd.read_parquet(tmp_path)["id"]) == true_ids(altegio_sandbox, *DAY)


def test_a_fault_that_stays_leaves_the_old_dataset_readable(connect, altegio_sandbox, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    extract(tmp_path)
    before = pd.read_parquet(tmp_path)
    altegio_sandbox.fault("status", status=503)
    with pytest.raises(AltegioError, match="Tried 8 times"):
        extract(tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path), before)
    assert [path.name for path in tmp_path.rglob("*.part")] == []


def test_churn_while_reading_loses_nothing_that_stays(connect, altegio_sandbox, tmp_path) -> None:
    altegio_sandbox.add_location(8, timezone="Europe/Riga")
    begin = datetime(2026, 11, 10)  # noqa: DTZ001 - a wall clock
    rows = [{"date": f"{begin + timedelta(seconds=30 * number):%Y-%m-%d %H:%M:%S}"} for number in range(2000)]
    ids = set(altegio_sandbox.add_events(8, rows))
    altegio_sandbox.fault("churn", every=2, inserts=2, deletes=2)
    altegio_sandbox.fault("meta", form="changing")
    extract(tmp_path, location_id=8)
    frame = pd.read_parquet(tmp_path)
    steady = ids & true_ids(altegio_sandbox, *DAY, location_id=8)
    assert len(steady) < 2000
    assert steady <= set(frame["id"])
    assert frame["id"].is_unique


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"location_id": 4242}, AltegioNotFoundError, "location"),
        ({"location_id": "riga"}, AltegioValidationError, "location_id"),
        ({"date_from": "2026-11-11", "date_to": "2026-11-10"}, AltegioValidationError, "CronDataIntervalTimetable"),
        ({"date_from": DAY[0], "date_to": DAY[0]}, AltegioValidationError, "CronDataIntervalTimetable"),
        ({"timezone": "Riga"}, AltegioValidationError, "timezone"),
        ({"staff_ids": "Anna"}, AltegioValidationError, "staff_ids"),
        ({"capacity": "many"}, AltegioValidationError, "capacity"),
        ({"page_size": 0}, AltegioValidationError, "page_size"),
        ({"transform": "no.such"}, AltegioValidationError, "transform"),
        ({"path": "nosuch://bucket"}, AltegioValidationError, "output_path"),
    ],
)
def test_bad_input_is_one_clear_error_and_touches_nothing(connect, tmp_path, arguments, error, text) -> None:
    arguments = {"path": tmp_path / "out", **arguments}
    with pytest.raises(error, match=text):
        extract(**arguments)
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.mark.parametrize("family", ["companies", "locations"])
def test_a_day_that_is_over_is_read_alike_under_both_families(connect, altegio_sandbox, tmp_path, family) -> None:
    connect(route_family=family)
    extract(tmp_path)
    assert set(pd.read_parquet(tmp_path)["id"]) == true_ids(altegio_sandbox, *DAY)


def test_tokens_are_in_no_error_and_no_log(connect, altegio_sandbox, tmp_path, caplog) -> None:
    connect(user_token="wrong-user-token")
    with caplog.at_level(logging.DEBUG), pytest.raises(AltegioAuthError) as caught:
        extract(tmp_path)
    assert "wrong-user-token" not in caplog.text + str(caught.value) + repr(caught.value)
    assert "sandbox-partner" not in caplog.text + str(caught.value)
    assert "user token" in str(caught.value)


def test_the_hook_gives_frames_whole_and_in_chunks(connect, altegio_sandbox) -> None:
    hook = AltegioHook()
    whole = hook.get_activities_df(1001, *DAY)
    arrow = hook.get_activities_df(1001, *DAY, dtype_backend="pyarrow")
    chunks = list(hook.get_activities_df_by_chunks(1001, *DAY, chunksize=5))
    hook.close()
    assert set(whole["id"]) == true_ids(altegio_sandbox, *DAY)
    assert [len(chunk) for chunk in chunks[:-1]] == [5] * (len(chunks) - 1)
    assert sum(map(len, chunks)) == len(whole)
    assert str(arrow.dtypes["id"]) == "int64[pyarrow]"


def test_the_connection_is_tested_in_both_families(connect, altegio_sandbox) -> None:
    connect(location_id=1001)
    good, text = AltegioHook().test_connection()
    assert good, text
    assert "'locations' answers too" in text
    altegio_sandbox.fault("status", status=404, location=1001, nth=1)
    good, text = AltegioHook().test_connection()
    assert not good
    assert "Set route_family to 'locations'" in text
    connect(location_id=4242)
    assert AltegioHook().test_connection()[0] is False
    connect()
    good, text = AltegioHook().test_connection()
    assert not good
    assert "location_id" in text


def test_who_tests_the_connection_to_a_server_that_fails_does_not_wait_for_minutes(connect, altegio_sandbox) -> None:
    connect(location_id=1001)
    altegio_sandbox.fault("status", status=429, retry_after=60)
    began = time.monotonic()
    good, text = AltegioHook().test_connection()
    assert (good, "429" in text) == (False, True)
    assert time.monotonic() - began < 30
