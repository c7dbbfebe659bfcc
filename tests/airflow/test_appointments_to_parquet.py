"""Appointments through the operator, against the sandbox: rows, replacement, people, keys and faults."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta

import duckdb
import pandas as pd
import pyarrow.parquet as pq
import pytest

from altegio_provider.api.errors import AltegioAuthError, AltegioError, AltegioNotFoundError, AltegioValidationError
from altegio_provider.compat import AirflowNotFoundException
from altegio_provider.hooks.altegio import AltegioHook
from altegio_provider.tables.convert.pseudonyms import Pseudonymizer
from altegio_provider.tables.dataset.dataset import read_manifest
from altegio_provider.tables.schema import APPOINTMENT_COLUMNS, APPOINTMENT_SCHEMA
from altegio_provider.transfers.altegio_to_parquet import (
    AltegioActivitiesToParquetOperator,
    AltegioAppointmentsToParquetOperator,
)
from tests.services import connection_of

DAY = ("2026-11-10T00:00:00+02:00", "2026-11-11T00:00:00+02:00")
KEY = "a secret of the studio's own"
FAMILIES = ["companies", "locations"]
PERSONAL = [column.name for column in APPOINTMENT_COLUMNS if column.personal]


@pytest.fixture
def connect(altegio_sandbox, monkeypatch):
    def connect(**extra):
        extra = {"timezone": "Europe/Riga", **extra}
        monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", altegio_sandbox.airflow_connection(**extra))

    connect()
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_KEY", json.dumps({"conn_type": "generic", "password": KEY}))
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_NO_KEY", json.dumps({"conn_type": "generic"}))
    return connect


@pytest.fixture
def studio(connect, altegio_sandbox):
    """Two classes of a past day in each of two locations, and Anna in all of them."""
    for location in (77, 78):
        altegio_sandbox.add_location(
            location, timezone="Europe/Riga", staff=[{"id": 1, "name": "Ilze"}], services=[{"id": 2}]
        )
    rows = [{"date": f"2026-11-10T{hour}:00:00", "length": 3600, "capacity": 9} for hour in (10, 18)]
    classes = {location: altegio_sandbox.add_events(location, rows) for location in (77, 78)}
    for location, ids in classes.items():
        for event_id in ids:
            book(altegio_sandbox, location, event_id, ANNA)
    return classes


ANNA = {"name": "Zzanna", "surname": "Zzbērziņa", "phone": "+37120000001", "email": "Zzanna@example.com", "gender": 2}


def book(sandbox, location, event_id, client, **fields):
    from altegio_provider.api import AltegioClient

    with AltegioClient(
        sandbox.url, "sandbox-partner", "sandbox-user", requests_per_second=0, requests_per_minute=0
    ) as made:
        return made.create_event_appointment(
            location, event_id, {"client": client, "clients_count": 1, "comer": {"name": "Zzoe"}, **fields}
        )


def extract(path, date_from=DAY[0], date_to=DAY[1], **arguments):
    arguments = {"location_id": 1001, **arguments}
    operator = AltegioAppointmentsToParquetOperator(
        task_id="extract", output_path=str(path), date_from=date_from, date_to=date_to, **arguments
    )
    return operator.execute({})


def true_bookings(sandbox, date_from=DAY[0], date_to=DAY[1]):
    """For each class that starts in the range, how many appointments it has, and of how many seats."""
    first, last = (datetime.fromisoformat(text).timestamp() for text in (date_from, date_to))
    events = [event for event in sandbox.truth(1001)["events"] if first <= event["timestamp"] < last]
    return {event["id"]: (event["records"], event["seats"]) for event in events if event["records"]}


def bookings_in(frame):
    assert frame["id"].is_unique
    counted = frame.groupby("activity_id")["clients_count"].agg(["size", "sum"])
    return {number: (records, seats) for number, records, seats in counted.itertuples()}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_past_day_is_there_whole_with_its_summary(connect, altegio_sandbox, tmp_path, family) -> None:
    connect(route_family=family)
    summary = extract(tmp_path / "appointments")
    frame = pd.read_parquet(tmp_path / "appointments")
    assert bookings_in(frame) == true_bookings(altegio_sandbox)
    assert len(frame) == summary["rows"] > 50
    assert set(frame["attendance"]) == {-1, 1}
    assert set(frame["attendance_slug"]) == {"absent", "attended"}
    assert frame["staff_name"].notna().all()
    assert pq.read_schema(summary["files"][0]).remove_metadata().equals(APPOINTMENT_SCHEMA)
    assert (summary["from"], summary["to"]) == ("2026-11-09T22:00:00+00:00", "2026-11-10T22:00:00+00:00")
    assert summary["bytes"] > 0
    assert json.loads(json.dumps(summary)) == summary


def test_neighbouring_ranges_share_nothing_and_lose_nothing(connect, altegio_sandbox, tmp_path) -> None:
    """A class of ten o'clock goes on at half past, and is yet in the first range alone."""
    middle = "2026-11-10T10:30:00+02:00"
    extract(tmp_path, DAY[0], middle)
    extract(tmp_path, middle, DAY[1])
    frame = pd.read_parquet(tmp_path)
    assert bookings_in(frame) == true_bookings(altegio_sandbox)
    assert all(file.rows for file in read_manifest(tmp_path))


def test_a_second_run_replaces_the_first(connect, altegio_sandbox, tmp_path) -> None:
    """People who were there by mistake are gone when the range is read again without them."""
    extract(tmp_path, include_personal_data=True)
    before = pd.read_parquet(tmp_path)
    assert [file.notes for file in read_manifest(tmp_path)] == [
        {"table": "appointments", "texts_replaced": 0, "personal_data": True}
    ]
    connect(route_family="locations")
    AltegioHook().delete_appointment(1001, before["id"].iloc[0].item())
    extract(tmp_path)
    after = pd.read_parquet(tmp_path)
    assert [file.notes for file in read_manifest(tmp_path)] == [
        {"table": "appointments", "texts_replaced": 0, "personal_data": False}
    ]
    assert before["client_name"].notna().all()
    assert after["client_name"].isna().all()
    assert set(after["id"]) == set(before["id"].iloc[1:])
    assert len(list(tmp_path.rglob("*.parquet"))) == 1


def test_nobody_is_in_the_dataset_the_log_or_the_summary(studio, altegio_sandbox, tmp_path, caplog, capsys) -> None:
    with caplog.at_level(logging.DEBUG):
        summary = extract(tmp_path, location_id=77, hash_key_conn_id="altegio_key")
    frame = pd.read_parquet(tmp_path)
    assert len(frame) == 2
    assert frame[PERSONAL].isna().all(axis=None)
    told = frame.to_csv() + caplog.text + capsys.readouterr().out + json.dumps(summary)
    assert "Wrote 2 rows" in told
    assert not [value for value in ("Zzanna", "Zzb", "20000001", "zzanna", "Zzoe", KEY) if value in told]


def test_people_are_there_when_they_are_asked_for_and_in_no_log(studio, tmp_path, caplog, capsys) -> None:
    with caplog.at_level(logging.DEBUG):
        summary = extract(tmp_path, location_id=77, include_personal_data=True)
    frame = pd.read_parquet(tmp_path)
    assert set(frame["client_name"]) == {"Zzanna"}
    assert set(frame["client_surname"]) == {"Zzbērziņa"}
    assert set(frame["client_email"]) == {"Zzanna@example.com"}
    assert set(frame["comer_name"]) == {"Zzoe"}
    assert set(frame["client_phone"]) == {"+37120000001"}
    assert "Zz" not in caplog.text + capsys.readouterr().out + json.dumps(summary)


def test_hashes_join_across_runs_and_locations_and_nothing_else(studio, tmp_path, monkeypatch) -> None:
    for location in (77, 78):
        extract(tmp_path / "one", location_id=location, hash_key_conn_id="altegio_key")
    extract(tmp_path / "two", location_id=77, hash_key_conn_id="altegio_key", include_personal_data=True)
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_KEY", json.dumps({"conn_type": "generic", "password": KEY[::-1]}))
    extract(tmp_path / "three", location_id=77, hash_key_conn_id="altegio_key")
    one, two, three = (pd.read_parquet(tmp_path / name) for name in ("one", "two", "three"))
    ours = Pseudonymizer(KEY.encode())
    for frame in (one, two):
        assert set(frame["client_phone_hash"]) == {ours.hash_phone(ANNA["phone"])}
        assert set(frame["client_email_hash"]) == {ours.hash_email(ANNA["email"])}
    assert set(one["location_id"]) == {77, 78}
    assert not set(three["client_phone_hash"]) & set(one["client_phone_hash"])


def test_masked_phones_have_no_hash(studio, altegio_sandbox, tmp_path) -> None:
    altegio_sandbox.fault("mask_phones", route="list_appointments")
    extract(tmp_path, location_id=77, hash_key_conn_id="altegio_key")
    frame = pd.read_parquet(tmp_path)
    assert frame[["client_phone_hash", "client_email_hash"]].isna().all(axis=None)
    assert frame["client_id"].notna().all()


def test_without_a_key_nobody_is_asked_for_and_the_log_says_so_once(
    studio, altegio_sandbox, tmp_path, caplog, capsys
) -> None:
    with caplog.at_level(logging.DEBUG):
        extract(tmp_path, location_id=77)
    frame = pd.read_parquet(tmp_path)
    assert frame["client_phone_hash"].isna().all()
    assert frame["client_id"].notna().all()
    assert "include%5B%5D=staff" in caplog.text
    assert "include=client" not in caplog.text
    assert capsys.readouterr().out.count("hash_key_conn_id is not set") == 1


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"location_id": 4242}, AltegioNotFoundError, "location"),
        ({"date_from": DAY[1], "date_to": DAY[0]}, AltegioValidationError, "reversed"),
        ({"timezone": "Riga"}, AltegioValidationError, "timezone"),
        ({"page_size": 251}, AltegioValidationError, "page_size"),
        ({"hash_key_conn_id": "altegio_no_key"}, AltegioValidationError, "altegio_no_key"),
        ({"hash_key_conn_id": "no_such"}, AirflowNotFoundException, "no_such"),
        ({"include_personal_data": "maybe"}, AltegioValidationError, "include_personal_data"),
    ],
)
def test_bad_input_is_one_clear_error_and_touches_nothing(connect, tmp_path, arguments, error, text) -> None:
    with pytest.raises(error, match=text):
        extract(tmp_path / "out", **arguments)
    assert not list(tmp_path.rglob("*.parquet"))


@pytest.mark.parametrize("name", ["", "one.parquet"])
def test_a_dataset_of_activities_is_not_replaced(connect, tmp_path, name) -> None:
    arguments = {"task_id": "extract", "output_path": str(tmp_path / name), "location_id": 1001}
    AltegioActivitiesToParquetOperator(**arguments, date_from=DAY[0], date_to=DAY[1]).execute({})
    (file,) = tmp_path.rglob("*.parquet")
    before = file.read_bytes()
    with pytest.raises(AltegioValidationError, match="output_path has activities"):
        extract(tmp_path / name)
    assert file.read_bytes() == before


def test_a_user_without_the_right_is_told_so(connect, altegio_sandbox, tmp_path) -> None:
    altegio_sandbox.add_location(79, forbidden=True)
    with pytest.raises(AltegioAuthError, match="right"):
        extract(tmp_path, location_id=79)


def test_a_fault_that_stays_leaves_the_old_dataset_readable(connect, altegio_sandbox, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda seconds: None)
    extract(tmp_path)
    before = pd.read_parquet(tmp_path)
    altegio_sandbox.fault("status", status=503)
    with pytest.raises(AltegioError, match="Tried 8 times"):
        extract(tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path), before)
    assert [path.name for path in tmp_path.rglob("*.part")] == []


def test_an_empty_range_gives_a_file_with_the_schema(connect, altegio_sandbox, tmp_path) -> None:
    altegio_sandbox.add_location(7)
    assert extract(tmp_path, location_id=7)["rows"] == 0
    assert list(pd.read_parquet(tmp_path).columns) == APPOINTMENT_SCHEMA.names


def test_lookback_takes_in_what_was_marked_late(connect, tmp_path) -> None:
    extract(tmp_path / "both", "2026-11-09T00:00:00+02:00", DAY[1])
    extract(tmp_path / "looked", lookback=timedelta(days=1))
    both, looked = (pd.read_parquet(tmp_path / name) for name in ("both", "looked"))
    assert set(both["id"]) == set(looked["id"])
    assert looked["starts_at"].min() < datetime(2026, 11, 9, 12, tzinfo=UTC)


def test_the_daily_dag_brings_three_locations_into_the_warehouse(
    connect, airflow, airflow_db, altegio_sandbox, tmp_path
) -> None:
    airflow("pools", "set", "altegio", "4", "Altegio")
    where = str(tmp_path / "warehouse.duckdb")
    airflow(
        "dags",
        "test",
        "altegio_appointments_daily",
        "--conf",
        json.dumps({"date_from": "2026-11-10", "date_to": "2026-11-11"}),
        AIRFLOW_CONN_ALTEGIO_WAREHOUSE=connection_of("duckdb", where),
        ALTEGIO_DATA=str(tmp_path / "my data"),
        ALTEGIO_HASH_KEY="altegio_key",
    )
    frame = pd.read_parquet(tmp_path / "my data" / "appointments")
    days = frame.groupby("location_id")["starts_at_local"].agg(lambda starts: starts.dt.date.nunique())
    assert days.to_dict() == {1001: 8, 1002: 8, 1003: 8}
    with duckdb.connect(where, read_only=True) as warehouse:
        counted = warehouse.execute(
            "SELECT count(*), count(client_phone_hash), count(client_phone), count(activity_id) "
            "FROM altegio_appointments"
        ).fetchone()
    assert counted == (len(frame), len(frame), 0, len(frame))


def test_rows_without_what_was_asked_for_are_counted_in_the_manifest_and_said_once(
    connect, altegio_sandbox, tmp_path, caplog
) -> None:
    """A server that keeps only the last of several bare keys: 299 rows without a name must not look like success."""
    altegio_sandbox.switch(bracket_include="refused", bare_include="last")
    extract(tmp_path)
    frame = pd.read_parquet(tmp_path)
    assert frame["staff_name"].isna().all()
    (file,) = read_manifest(tmp_path)
    assert file.notes["rows_without"].keys() == {"staff", "services"}
    assert all(count >= file.rows for count in file.notes["rows_without"].values())
    assert sum("'staff'" in text for text in caplog.messages) == 1
