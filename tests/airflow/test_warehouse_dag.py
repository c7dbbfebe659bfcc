"""From the asset's event to the analysts' tables, on DuckDB and PostgreSQL, and what the checks keep out."""

from __future__ import annotations

import uuid
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from altegio_provider.compat import AirflowNotFoundException
from altegio_provider.tables.convert.activities import ActivityConverter
from altegio_provider.tables.convert.appointments import AppointmentConverter
from altegio_provider.tables.dataset.dataset import ParquetDataset
from altegio_provider.transfers.parquet_to_sql import ParquetToSqlOperator
from altegio_provider.warehouse import TableName
from altegio_provider.warehouse.build import DataCheckError, build_tables, files_of_events, files_to_xcom, loaded_files
from altegio_provider.warehouse.connections import open_warehouse
from tests.services import connection_of, postgres_uri

SQL = Path(__file__).resolve().parents[2] / "dags" / "sql" / "warehouse"
DAY = datetime(2026, 11, 10, tzinfo=UTC)
TABLES = ["activities", "snapshots", "occupancy", "no_show", "fill_curve", "appointments"]


@pytest.fixture(params=["duckdb", "postgres"])
def ask(request, tmp_path, monkeypatch):
    """A function that asks the warehouse, which is empty at first."""
    if request.param == "postgres":
        uri = postgres_uri()
        schema = f"test_{uuid.uuid4().hex[:10]}"
        import adbc_driver_postgresql.dbapi as driver

        with closing(driver.connect(uri)) as connection, connection.cursor() as cursor:
            cursor.execute(f"CREATE SCHEMA {schema}")
            connection.commit()
        uri += f"?options=-csearch_path%3D{schema}"
    else:
        uri = str(tmp_path / "warehouse.duckdb")
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_WAREHOUSE", connection_of(request.param, uri))

    def ask(sql: str) -> list[tuple]:
        with open_warehouse("altegio_warehouse") as opened:
            if request.param == "duckdb":
                return opened._connection.execute(sql).fetchall()
            with opened._connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()

    yield ask
    if request.param == "postgres":
        with open_warehouse("altegio_warehouse") as opened, opened.transaction():
            opened.run(f"DROP SCHEMA {schema} CASCADE")


def write(root, rows, day=DAY, location_id=1001, extracted_at=None, batches=ActivityConverter) -> None:
    """Write a day of activities, or of what else."""
    window = (day, day + timedelta(days=1))
    dataset = ParquetDataset(root, location_id)
    previous = dataset.previous_rows(*window) if batches is ActivityConverter else None
    made = batches(location_id, "UTC", extracted_at).batches(rows)
    with dataset.writer(*window, previous=previous) as writer:
        for batch in previous.track(made) if previous else made:
            writer.write(batch)


def event(number, hour=9, service=7, capacity=10, booked=4, day=DAY, **fields) -> dict:
    return {
        "id": number,
        "date": f"{day + timedelta(hours=hour):%Y-%m-%d %H:%M:%S}",
        "service": {"id": service, "title": f"service {service}"},
        "service_id": service,
        "capacity": capacity,
        "records_count": booked,
        **fields,
    }


def load(root, *extras) -> None:
    """Do what the DAG does."""
    told = files_to_xcom(files_of_events(extras, str(root)))
    ParquetToSqlOperator(
        task_id="load",
        source_path=told,
        table="altegio_activities",
        mode="replace_range",
        conn_id="altegio_warehouse",
    ).execute({})
    build_tables("altegio_warehouse", SQL, told)


def test_occupancy_is_by_day_location_and_service(ask, tmp_path) -> None:
    write(tmp_path, [event(1), event(2, hour=11, booked=6), event(3, service=8, booked=0)])
    write(tmp_path, [event(4, booked=10)], location_id=1002)
    for _ in range(2):
        load(tmp_path)
        rows = ask("SELECT location_id, service_id, classes, seats, booked_seats, occupancy FROM altegio_occupancy "
                   "ORDER BY location_id, service_id")  # fmt: skip
        assert rows == [(1001, 7, 2, 20, 10, 0.5), (1001, 8, 1, 10, 0, 0.0), (1002, 7, 1, 10, 10, 1.0)]
    assert ask("SELECT count(*) FROM altegio_no_show") == [(0,)]
    assert ask("SELECT count(*) FROM altegio_snapshots") == [(4,)]


def test_seats_taken_count_before_bookings(ask, tmp_path) -> None:
    write(tmp_path, [event(1, booked=3, clients_count=5)])
    load(tmp_path)
    assert ask("SELECT booked_seats FROM altegio_occupancy") == [(5,)]


def test_a_class_that_was_moved_counts_where_it_was_seen_last(ask, tmp_path) -> None:
    later = DAY + timedelta(days=1)
    write(tmp_path, [event(1), event(2)], extracted_at=DAY)
    write(tmp_path, [event(1, day=later)], day=later, extracted_at=later)
    load(tmp_path)
    assert ask("SELECT CAST(day AS TEXT), classes FROM altegio_occupancy ORDER BY day") == [
        ("2026-11-10", 1),
        ("2026-11-11", 1),
    ]


def test_a_class_that_is_gone_counts_no_more_and_one_that_was_moved_once(ask, tmp_path) -> None:
    later = DAY + timedelta(days=1)
    write(tmp_path, [event(1), event(2), event(3)], extracted_at=DAY)
    load(tmp_path)
    write(tmp_path, [event(1)], extracted_at=later)
    write(tmp_path, [event(3, day=later)], day=later, extracted_at=later)
    for _ in range(2):
        load(tmp_path)
        assert ask("SELECT CAST(day AS TEXT), classes, seats FROM altegio_occupancy ORDER BY day") == [
            ("2026-11-10", 1, 10),
            ("2026-11-11", 1, 10),
        ]
        assert ask("SELECT id, count(*) FROM altegio_snapshots GROUP BY id ORDER BY id") == [(1, 2), (2, 1), (3, 2)]
        # The old day is loaded alone, after the new one.
        day = {"path": str(tmp_path), "location_id": 1001, "from": DAY.isoformat(), "to": later.isoformat()}
        load("/nowhere", day)


def test_a_class_without_a_start_is_loaded_once(ask, tmp_path) -> None:
    write(tmp_path, [event(1), event(2) | {"date": "soon"}])
    load(tmp_path)
    load(tmp_path)
    assert ask("SELECT count(*) FROM altegio_activities") == [(2,)]


def test_the_fill_curve_grows_with_every_extract(ask, tmp_path) -> None:
    for days, booked in ((5, 1), (2, 4), (1, 7)):
        write(tmp_path, [event(1, hour=9, booked=booked)], extracted_at=DAY + timedelta(hours=8) - timedelta(days=days))
        load(tmp_path)
    rows = ask("SELECT days_before, classes, booked_seats, fill FROM altegio_fill_curve ORDER BY days_before")
    assert rows == [(1, 1, 7, 0.7), (2, 1, 4, 0.4), (5, 1, 1, 0.1)]


def test_no_shows_are_counted_where_appointments_are_loaded(ask, tmp_path) -> None:
    write(tmp_path / "activities", [event(1), event(2, service=8)])
    attendance = [(1, -1), (1, 1), (1, 1), (1, 0), (2, 1), (2, 2), (0, -1), (99, -1)]
    rows = [
        {"id": number, "activity_id": one, "attendance": mark, "client_id": 170, "date": "2026-11-10T09:00:00"}
        for number, (one, mark) in enumerate(attendance, 1)
    ]
    gone = {**rows[0], "id": 9, "deleted": True}
    write(tmp_path / "appointments", [*rows, gone], batches=AppointmentConverter)
    for _ in range(2):
        ParquetToSqlOperator(
            task_id="load",
            source_path=str(tmp_path / "appointments"),
            table="altegio_appointments",
            mode="replace_range",
            conn_id="altegio_warehouse",
        ).execute({})
        load(tmp_path / "activities")
        found = ask("SELECT service_id, appointments, absent, no_show_rate FROM altegio_no_show ORDER BY service_id")
        assert found == [(7, 3, 1, pytest.approx(1 / 3)), (8, 1, 0, 0.0)]
        assert ask("SELECT count(*) FROM altegio_appointments WHERE activity_id IS NULL") == [(1,)]


def test_an_event_loads_what_it_names_and_no_more(ask, tmp_path) -> None:
    later = DAY + timedelta(days=1)
    write(tmp_path, [event(1)])
    write(tmp_path, [event(2, day=later)], day=later)
    write(tmp_path, [event(3)], location_id=1002)
    window = {"path": str(tmp_path), "location_id": 1001, "from": DAY.isoformat(), "to": later.isoformat()}
    load("/nowhere", window)
    assert ask("SELECT id FROM altegio_activities") == [(1,)]
    load("/nowhere", {"path": str(tmp_path)})
    assert ask("SELECT id FROM altegio_activities ORDER BY id") == [(1,), (2,), (3,)]


def test_what_an_event_forgot_comes_with_the_next_one(ask, tmp_path) -> None:
    later = DAY + timedelta(days=1)
    first = {"path": str(tmp_path), "location_id": 1001, "from": DAY.isoformat(), "to": later.isoformat()}
    write(tmp_path, [event(1)])
    load(tmp_path, first)
    write(tmp_path, [event(2)], location_id=1002)
    write(tmp_path, [event(3)], location_id=1003)
    named = files_of_events([first], "/nowhere", loaded_files("altegio_warehouse"))
    assert [file.location_id for file in named] == [1001, 1002, 1003]
    write(tmp_path, [event(4)])
    load(tmp_path)
    assert files_of_events([{**first, "location_id": 9}], "/nowhere", loaded_files("altegio_warehouse")) == []


@pytest.mark.parametrize(
    ("statement", "check"),
    [
        ("INSERT INTO altegio_activities SELECT * FROM altegio_activities WHERE id = 1", "keys_are_unique"),
        ("UPDATE altegio_activities SET capacity = -1 WHERE id = 1", "seats_are_not_negative"),
        ("DELETE FROM altegio_activities WHERE id = 1", "counts_equal_the_manifest"),
    ],
)
def test_a_check_that_fails_leaves_the_tables_as_they_were(ask, tmp_path, statement, check) -> None:
    write(tmp_path, [event(1), event(2)])
    load(tmp_path)
    with open_warehouse("altegio_warehouse") as opened, opened.transaction():
        opened.run(statement)
        opened.run("UPDATE altegio_occupancy SET booked_seats = 77")
    with pytest.raises(DataCheckError, match=check):
        build_tables("altegio_warehouse", SQL, files_to_xcom(files_of_events([], str(tmp_path))))
    assert ask("SELECT booked_seats FROM altegio_occupancy") == [(77,)]


def test_the_dag_loads_builds_and_checks(airflow, airflow_db, tmp_path) -> None:
    write(tmp_path / "my data" / "activities", [event(1), event(2, service=8)])
    where = str(tmp_path / "warehouse.duckdb")
    airflow(
        "dags",
        "test",
        "altegio_warehouse_load",
        AIRFLOW_CONN_ALTEGIO_WAREHOUSE=connection_of("duckdb", where),
        ALTEGIO_DATA=str(tmp_path / "my data"),
    )
    with duckdb.connect(where, read_only=True) as warehouse:
        assert warehouse.execute("SELECT sum(classes), sum(seats) FROM altegio_occupancy").fetchone() == (2, 20)


@pytest.mark.parametrize("table", ["it's", 'a"b', "files", "told", "warehouse"])
def test_a_file_that_needs_a_table_waits_for_it_by_any_name(ask, tmp_path, table) -> None:
    """The names of variables are no tables, and a quote is a part of a name."""
    (tmp_path / "10.sql").write_text(f"-- needs: {table}\nCREATE TABLE built AS SELECT 1 AS one")
    told = {"files": [], "ranges": []}
    with open_warehouse("altegio_warehouse") as opened:
        for is_there in (False, True):
            build_tables("altegio_warehouse", tmp_path, told)
            assert (opened.find(TableName.of("built")) is not None) == is_there
            with opened.transaction():
                opened.run(f"CREATE TABLE IF NOT EXISTS {TableName.of(table)} (id INT)")


def test_a_warehouse_without_a_connection_is_not_one_in_memory() -> None:
    with pytest.raises(AirflowNotFoundException, match="altegio_warehouse"), open_warehouse("altegio_warehouse"):
        pass
