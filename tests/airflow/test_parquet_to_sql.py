"""Loading the dataset into DuckDB and PostgreSQL: all of it or nothing, once, and once again the same."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.tables.convert.activities import ActivityConverter
from altegio_provider.tables.dataset.dataset import ParquetDataset
from altegio_provider.transfers.parquet_to_sql import ParquetToSqlOperator
from altegio_provider.warehouse.connections import open_warehouse
from tests.services import connection_of, postgres_uri

pytest.importorskip("duckdb")
DAY = datetime(2026, 11, 10, tzinfo=UTC)


def write(root, day=DAY, rows=5, location_id=1001, **fields):
    """Write a day of activities and return the files."""
    events = [
        {
            "id": 1000 * day.day + number,
            "date": f"{day + timedelta(hours=number):%Y-%m-%d %H:%M:%S}",
            "capacity": 10,
            "labels": [{"id": 1, "title": "new"}],
            **fields,
        }
        for number in range(rows)
    ]
    with ParquetDataset(root, location_id).writer(day, day + timedelta(days=1)) as writer:
        for batch in ActivityConverter(location_id, "UTC").batches(events):
            writer.write(batch)
    return writer.result.files


@pytest.fixture(params=["duckdb", "postgres"])
def warehouse(request, tmp_path, monkeypatch):
    """A connection id, and a function that asks it."""
    where = str(tmp_path / "warehouse.duckdb") if request.param == "duckdb" else postgres_uri()
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", connection_of(request.param, where))
    table = f"activities_{uuid.uuid4().hex[:10]}"

    def ask(sql: str) -> list[tuple]:
        with open_warehouse("warehouse") as opened:
            if request.param == "duckdb":
                return opened._connection.execute(sql).fetchall()
            with opened._connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall()

    yield table, ask
    with open_warehouse("warehouse") as opened, opened.transaction():
        opened.run(f"DROP TABLE IF EXISTS {table}")


def load(source_path, table, **arguments):
    operator = ParquetToSqlOperator(
        task_id="load", source_path=source_path, table=table, conn_id="warehouse", **arguments
    )
    return operator.execute({})


def test_a_dataset_is_loaded_once_however_often(warehouse, tmp_path) -> None:
    table, ask = warehouse
    write(tmp_path)
    write(tmp_path, DAY + timedelta(days=1), rows=3)
    for _ in range(2):
        assert load(str(tmp_path), table) == {"table": table, "rows": 8, "files": 2}
        assert ask(f"SELECT count(*), count(DISTINCT id), CAST(sum(capacity) AS BIGINT) FROM {table}") == [(8, 8, 80)]


def test_an_upsert_replaces_the_same_keys(warehouse, tmp_path) -> None:
    table, ask = warehouse
    write(tmp_path)
    load(str(tmp_path), table)
    write(tmp_path, rows=2, capacity=99)
    load(str(tmp_path), table)
    assert ask(f"SELECT capacity, count(*) FROM {table} GROUP BY 1 ORDER BY 1") == [(10, 3), (99, 2)]


def test_replacing_a_range_drops_what_is_gone(warehouse, tmp_path) -> None:
    table, ask = warehouse
    write(tmp_path)
    write(tmp_path, DAY + timedelta(days=1), rows=3)
    write(tmp_path, location_id=1002)
    load(str(tmp_path), table)
    (file,) = write(tmp_path, rows=2)
    load(file, table, mode="replace_range")
    assert ask(f"SELECT location_id, count(*) FROM {table} GROUP BY 1 ORDER BY 1") == [(1001, 5), (1002, 5)]


def test_appending_appends(warehouse, tmp_path) -> None:
    table, ask = warehouse
    files = write(tmp_path)
    for _ in range(2):
        load({"files": files, "rows": 5}, table, mode="append")
    assert ask(f"SELECT count(*) FROM {table}") == [(10,)]


def frame(**columns) -> pa.RecordBatchReader:
    table = pa.table(columns)
    return pa.RecordBatchReader.from_batches(table.schema, table.to_batches())


def put(reader, table, **arguments) -> int:
    from altegio_provider.warehouse import load

    with open_warehouse("warehouse") as opened:
        return load(opened, reader, table, **{"mode": "upsert", "key": ("id",), **arguments})


def seen(*rows) -> pa.RecordBatchReader:
    """Rows of (id, capacity, seen on which day, is_deleted)."""
    ids, capacities, days, flags = zip(*rows, strict=True)
    moments = pa.array([DAY + timedelta(days=day) for day in days], pa.timestamp("us", tz="UTC"))
    return frame(id=list(ids), capacity=list(capacities), extracted_at=moments, is_deleted=list(flags))


@pytest.mark.parametrize("mode", ["upsert", "replace_range"])
def test_what_was_moved_stays_alive_whatever_is_loaded_last(warehouse, mode) -> None:
    """A moved class is alive at its new time, and kept as deleted at its old one."""
    table, ask = warehouse
    old, new = (7, 10, 1, True), (7, 20, 2, False)
    latest = f"SELECT DISTINCT ON (id) id, capacity FROM {table} ORDER BY id, extracted_at DESC, is_deleted"
    for order in ((old, new), (new, old)):
        for row in order:
            put(seen(row), table, mode=mode)
        assert ask(latest) == [(7, 20)]
    put(seen(old, new, (8, 1, 1, False)), table, mode=mode)
    assert ask(latest) == [(7, 20), (8, 1)]
    put(seen((7, 20, 2, True)), table, mode=mode)
    assert ask(f"SELECT is_deleted FROM {table} WHERE id = 7 AND capacity = 20") == [(True,)]


def test_a_new_column_is_added(warehouse) -> None:
    table, ask = warehouse
    put(frame(id=[1]), table)
    put(frame(id=[2], price=[1.5]), table)
    assert ask(f"SELECT id, price FROM {table} ORDER BY id") == [(1, None), (2, 1.5)]


@pytest.mark.parametrize(
    ("columns", "key", "text"),
    [
        ({"id": [2, 3], "price": ["free", "free"]}, ("id",), "price"),
        ({"id": [2, 2], "price": [1.0, 2.0]}, ("id",), "not unique"),
        ({"number": [2]}, ("id",), "no column id"),
    ],
)
def test_what_does_not_fit_is_refused_whole(warehouse, columns, key, text) -> None:
    table, ask = warehouse
    put(frame(id=[1], price=[1.0]), table)
    with pytest.raises(ValueError, match=text):
        put(frame(**columns), table, key=key)
    assert ask(f"SELECT id, price FROM {table}") == [(1, 1.0)]
    put(frame(id=[4], price=[4.0]), table)


def test_a_load_that_breaks_in_the_middle_leaves_the_table(warehouse) -> None:
    table, ask = warehouse
    put(frame(id=[1]), table)

    def breaking():
        yield pa.record_batch({"id": [2]})
        raise OSError("the disk is gone")

    with pytest.raises(Exception, match=r"disk|Invalid|Error"):
        put(pa.RecordBatchReader.from_batches(pa.schema([("id", pa.int64())]), breaking()), table)
    assert ask(f"SELECT id FROM {table}") == [(1,)]


def grow(table: pa.Table) -> pa.Table:
    """A schema of a later version: one more column, one more member in the labels, a column that is gone."""
    labels = pa.array(
        [[{"id": 1, "title": "new", "weight": 5}]] * len(table),
        pa.list_(pa.struct([("id", pa.int64()), ("title", pa.string()), ("weight", pa.int64())])),
    )
    place = table.schema.get_field_index("labels")
    return (
        table.set_column(place, "labels", labels)
        .append_column("seats_left", pa.array([7] * len(table)))
        .drop(["color"])
    )


@pytest.mark.parametrize("grown_day", [0, 1], ids=["grown first", "grown last"])
@pytest.mark.parametrize("mode", ["upsert", "replace_range"])
@pytest.mark.parametrize("is_there", [False, True])
def test_a_dataset_whose_schema_grew_is_loaded_in_either_order(warehouse, tmp_path, grown_day, mode, is_there) -> None:
    table, ask = warehouse
    if is_there:
        write(tmp_path, DAY - timedelta(days=1), rows=1)
        load(str(tmp_path), table)
    for number in (0, 1):
        (file,) = write(tmp_path, DAY + timedelta(days=number), color="#fff")
        if number == grown_day:
            footer = {"altegio": pq.read_metadata(file).metadata[b"altegio"]}
            pq.write_table(grow(pq.read_table(file)).replace_schema_metadata(footer), file)
    files = [file for file in sorted(map(str, tmp_path.rglob("*.parquet"))) if "/20261109T" not in file]
    assert load({"files": files}, table, mode=mode)["rows"] == 10
    counts = ask(f"SELECT count(*), count(seats_left), count(color) FROM {table} WHERE starts_at >= '2026-11-10'")
    assert counts == [(10, 5, 5)]


@pytest.mark.parametrize("together", [True, False])
def test_an_older_dataset_whose_empty_texts_and_flags_are_numbers_now_is_loaded(warehouse, tmp_path, together) -> None:
    table, ask = warehouse
    old, new = (tmp_path / name for name in ("old.parquet", "new.parquet"))
    text = pa.array([None, None], pa.string())
    pq.write_table(pa.table({"id": [1, 2], "source": text, "prepaid_status": text, "is_mobile": [True, False]}), old)
    pq.write_table(pa.table({"id": [2, 3], "source": [4, 5], "prepaid_status": [1, 0], "is_mobile": [2, 0]}), new)
    for files in [[old, new]] if together else [[old], [new]]:
        load({"files": [str(file) for file in files]}, table, key=(), mode="append")
    rows = ask(f"SELECT id, source, prepaid_status, is_mobile FROM {table} ORDER BY id, is_mobile DESC")
    assert rows == [(1, None, None, 1), (2, 4, 1, 2), (2, None, None, 0), (3, 5, 0, 0)]


def test_files_that_cannot_be_one_table_are_named_with_the_column(warehouse, tmp_path) -> None:
    table, ask = warehouse
    write(tmp_path)
    load(str(tmp_path), table)
    first, second = (tmp_path / name for name in ("a.parquet", "b.parquet"))
    pq.write_table(pa.table({"id": [1], "price": [1.5]}), first)
    pq.write_table(pa.table({"id": [2], "price": ["free"]}), second)
    with pytest.raises(ValueError, match=r"'price'.*double.*a\.parquet.*string.*b\.parquet.*Nothing was loaded"):
        load({"files": [str(first), str(second)]}, table, key=("id",))
    assert ask(f"SELECT count(*) FROM {table}") == [(5,)]


def test_files_that_tell_no_range_cannot_replace_one(warehouse, tmp_path) -> None:
    table, _ = warehouse
    file = tmp_path / "mine.parquet"
    pq.write_table(pa.table({"location_id": [1], "id": [1]}), file)
    with pytest.raises(AltegioValidationError, match="replace_range"):
        load(str(file), table, mode="replace_range")
    assert load(str(file), table)["rows"] == 1


def test_a_dataset_with_rows_without_an_id_is_loaded_once(warehouse, tmp_path) -> None:
    table, ask = warehouse
    write(tmp_path, id=None)
    for mode in ("upsert", "upsert", "replace_range"):
        load(str(tmp_path), table, mode=mode)
        assert ask(f"SELECT count(*) FROM {table}") == [(5,)]
    write(tmp_path, id=None, capacity=99)
    load(str(tmp_path), table)
    assert ask(f"SELECT capacity, count(*) FROM {table} GROUP BY 1") == [(99, 5)]


@pytest.mark.parametrize("host", [None, "", ":memory:"])
def test_a_database_that_is_gone_when_the_task_ends_is_refused(tmp_path, monkeypatch, host) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "duckdb", "host": host}))
    write(tmp_path)
    with pytest.raises(AltegioValidationError, match="in memory"):
        load(str(tmp_path), "activities")


@pytest.mark.parametrize("source_path", ["", "/nowhere", "/nowhere/x.parquet", {"files": []}])
def test_a_source_that_is_none_is_refused(warehouse, source_path) -> None:
    table, _ = warehouse
    with pytest.raises(AltegioValidationError):
        load(source_path, table)


def test_a_mode_that_is_none_is_refused(warehouse, tmp_path) -> None:
    with pytest.raises(AltegioValidationError, match="mode"):
        load(str(tmp_path), warehouse[0], mode="merge")


def test_a_connection_that_takes_no_arrow_is_refused(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", json.dumps({"conn_type": "mysql", "host": "127.0.0.1"}))
    write(tmp_path)
    with pytest.raises(AltegioValidationError, match="duckdb"):
        load(str(tmp_path), "activities")
