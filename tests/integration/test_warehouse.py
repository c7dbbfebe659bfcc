"""What a load makes of columns, names, rows without a key and characters, in DuckDB and in PostgreSQL."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from altegio_provider.tables.convert.activities import ActivityConverter
from altegio_provider.tables.convert.characters import unescape
from altegio_provider.tables.convert.unify import ColumnConflictError
from altegio_provider.warehouse import LoadRange, WarehouseError, load
from tests.integration.warehouses import place

DAY = datetime(2026, 11, 10, tzinfo=UTC)
NEXT = DAY + timedelta(days=1)
INSTANT = pa.timestamp("us", tz="UTC")
LABELS = pa.list_(pa.struct([("id", pa.int64())]))
NAMED_LABELS = pa.list_(pa.struct([("id", pa.int64()), ("title", pa.string())]))


def array(values: list[Any], kind: pa.DataType) -> pa.Array:
    return pa.array(values, kind)


# Columns and their types.


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (array([1], pa.int32()), array([2**40], pa.int64()), [1, 2**40]),
        (array([2**40], pa.int64()), array([1], pa.int32()), [2**40, 1]),
        (array([1], pa.int64()), array([1.5], pa.float64()), [1, 1.5]),
        (array([1.5], pa.float64()), array([1], pa.int64()), [1.5, 1]),
        (array([0.5], pa.float32()), array([0.1], pa.float64()), [0.5, 0.1]),
        (array([1], pa.int8()), array([3], pa.uint32()), [1, 3]),
        (array(["a"], pa.large_string()), array(["b"], pa.string()), ["a", "b"]),
        (array(["a"], pa.string()).dictionary_encode(), array(["b"], pa.string()), ["a", "b"]),
        (array([DAY], pa.timestamp("s", tz="Europe/Riga")), array([NEXT], pa.timestamp("ns", tz="UTC")), [DAY, NEXT]),
        (array([True], pa.bool_()), array([3], pa.int64()), [1, 3]),
        (array([3], pa.int64()), array([True], pa.bool_()), [3, 1]),
        (array([None], pa.null()), array([7], pa.int64()), [None, 7]),
        (array([7], pa.int64()), array([None], pa.null()), [7, None]),
    ],
    ids=str,
)
def test_a_column_is_widened(warehouse, before, after, expected) -> None:
    warehouse.load(pa.table({"id": [1], "value": before}))
    warehouse.load(pa.table({"id": [2], "value": after}))
    assert warehouse.ask("SELECT id, value FROM activities ORDER BY id") == list(enumerate(expected, 1))


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (array([1], pa.int64()), array(["1"], pa.string())),
        (array([True], pa.bool_()), array(["1"], pa.string())),
        (array([DAY.replace(tzinfo=None)], pa.timestamp("us")), array([DAY], INSTANT)),
        (array([2**53 + 1], pa.int64()), array([1.5], pa.float64())),
        (array([1.5], pa.float64()), array([2**53 + 1], pa.int64())),
        (array([DAY.date()], pa.date32()), array([DAY], INSTANT)),
    ],
    ids=str,
)
def test_a_change_that_would_lose_something_is_refused_by_the_columns_name(warehouse, before, after) -> None:
    warehouse.load(pa.table({"id": [1], "value": before}))
    with pytest.raises(ColumnConflictError, match=r"'value'.*Nothing was loaded") as raised:
        warehouse.load(pa.table({"id": [2], "value": after}))
    assert str(2**53 + 1) not in str(raised.value)
    assert warehouse.ask("SELECT id FROM activities") == [(1,)]
    assert warehouse.ask("SELECT value FROM activities") == [(before.to_pylist()[0],)]


def test_members_of_nested_columns_are_joined(warehouse) -> None:
    warehouse.load(pa.table({"id": [1], "labels": array([[{"id": 5}]], LABELS)}))
    warehouse.load(pa.table({"id": [2], "labels": array([[{"id": 6, "title": "new"}]], NAMED_LABELS)}))
    warehouse.load(pa.table({"id": [3], "labels": array([[{"id": 7}]], LABELS)}))
    rows = [labels for (labels,) in warehouse.ask("SELECT labels FROM activities ORDER BY id")]
    first, second, third = (json.loads(row) if isinstance(row, str) else row for row in rows)
    assert second == [{"id": 6, "title": "new"}]
    assert [first[0]["id"], third[0]["id"]] == [5, 7]


@pytest.mark.parametrize(
    ("kind", "values", "told"),
    [
        (pa.list_(pa.int64(), 2), [[1, 2]], [1, 2]),
        (pa.large_list(pa.dictionary(pa.int8(), pa.string())), [["a"]], ["a"]),
        (pa.struct([("at", pa.date32()), ("flag", pa.bool_())]), [{"at": DAY.date(), "flag": True}], None),
    ],
    ids=str,
)
def test_nested_columns_of_other_layouts_can_be_loaded(warehouse, kind, values, told) -> None:
    warehouse.load(pa.table({"id": [1], "value": pa.array(values, kind)}))
    ((value,),) = warehouse.ask("SELECT value FROM activities")
    value = json.loads(value) if isinstance(value, str) else value
    assert value == told or value in ({"at": DAY.date(), "flag": True}, {"at": "2026-11-10", "flag": True})


def test_a_nested_column_that_json_has_no_form_for_is_named(tmp_path) -> None:
    values = pa.array([[("a", 1)]], pa.map_(pa.string(), pa.int64()))
    with place("postgresql", tmp_path) as made, pytest.raises(ColumnConflictError, match=r"'value' has the type map"):
        made.load(pa.table({"id": [1], "value": values}))


def test_a_table_with_a_column_that_the_rows_lack_keeps_it(warehouse) -> None:
    warehouse.load(pa.table({"id": [1], "price": [1.5]}))
    warehouse.load(pa.table({"price": [2.5], "id": [2]}))
    warehouse.load(pa.table({"id": [3]}))
    assert warehouse.ask("SELECT id, price FROM activities ORDER BY id") == [(1, 1.5), (2, 2.5), (3, None)]


def test_a_column_that_cannot_be_widened_there_is_named(warehouse) -> None:
    warehouse.load(pa.table({"id": [1], "value": array([1], pa.int32())}))
    view = "CREATE VIEW seen AS SELECT value FROM activities"
    warehouse.run(view if warehouse.kind == "postgresql" else "CREATE INDEX seen ON activities (value)")
    with pytest.raises(ColumnConflictError, match=r"'value'.*(BIGINT|bigint).*Nothing was loaded"):
        warehouse.load(pa.table({"id": [2], "value": array([2**40], pa.int64())}))
    assert warehouse.ask("SELECT id FROM activities") == [(1,)]


def test_a_column_that_is_there_twice_is_named(warehouse) -> None:
    table = pa.Table.from_arrays([array([1], pa.int64())] * 2, names=["id", "id"])
    with pytest.raises(ColumnConflictError, match="'id' more than once"):
        warehouse.load(table)


# Errors.


def test_the_error_of_reading_is_raised_and_not_what_the_database_makes_of_it(warehouse) -> None:
    warehouse.load(pa.table({"id": [1]}))

    def breaking() -> Any:
        yield pa.record_batch({"id": [2]})
        raise FileNotFoundError("the file is gone")

    with pytest.raises(FileNotFoundError, match="the file is gone"):
        warehouse.load(pa.RecordBatchReader.from_batches(pa.schema([("id", pa.int64())]), breaking()))
    assert warehouse.ask("SELECT id FROM activities") == [(1,)]


def test_an_error_of_the_database_shows_no_value_of_a_row(warehouse) -> None:
    warehouse.run("CREATE TABLE activities (id BIGINT, name TEXT UNIQUE, place TEXT NOT NULL)")
    warehouse.load(pa.table({"id": [1], "name": ["Anna +37120000000"], "place": ["Riga"]}))
    for row in ({"id": [2], "name": ["Anna +37120000000"], "place": ["Riga"]}, {"id": [3], "name": ["Anna"]}):
        with pytest.raises(WarehouseError, match=r"(?i)constraint") as raised:
            warehouse.load(pa.table(row))
        assert "Anna" not in str(raised.value)
        assert raised.value.__cause__ is None
        assert raised.value.__suppress_context__
    assert warehouse.ask("SELECT id FROM activities") == [(1,)]


def test_a_clean_up_that_fails_does_not_hide_the_first_error(warehouse) -> None:
    def lose_the_connection() -> None:
        with warehouse.opened() as opened, opened.transaction():
            opened.fetch("SELECT 1")
            opened._connection.close()
            raise OSError("first")

    with pytest.raises(OSError, match="first") as raised:
        lose_the_connection()
    assert "Cleaning up failed as well" in "".join(raised.value.__notes__)


# Names.


@pytest.mark.parametrize(
    "table",
    [
        "x'y",
        'a"b',
        "table",
        "schema",
        "batches",
        "Ünïcode 表",
        "a; DROP TABLE b --",
        "select",
        "$1",
        "%s",
        "altegio_incoming",
    ],
)
def test_any_name_of_a_table_is_that_name(warehouse, table) -> None:
    batches = schema = "variables of these names are not tables"  # noqa: F841
    for number in (1, 2):
        assert warehouse.load(pa.table({"id": [number]}), table) == 1
    with warehouse.opened() as opened:
        from altegio_provider.warehouse import TableName

        found = opened.find(TableName.of(table))
        assert found is not None
        assert found.parts[-1].name == table
        assert opened.fetch(f"SELECT id FROM {found} ORDER BY id").column(0).to_pylist() == [1, 2]


def test_sql_in_a_tables_name_does_not_run(warehouse) -> None:
    canary = "CREATE TABLE canary (id BIGINT)"
    for table in (f"a'; {canary}; --", f'a"; {canary}; --', "a'||(select '' from pg_sleep(4))||'b"):
        assert warehouse.load(pa.table({"id": [1]}), table) == 1
    with pytest.raises(WarehouseError):
        warehouse.ask("SELECT * FROM canary")


@pytest.mark.parametrize("table", ["", ".", "a.", ".b", "a.b.c.d", "a\0b", "a\nb", "a.\x1b[31m"])
def test_a_name_that_no_table_has_is_refused(warehouse, table) -> None:
    with pytest.raises(ValueError, match="table"):
        warehouse.load(pa.table({"id": [1]}), table)


@pytest.mark.parametrize(
    "column", ["x'y", 'a"b', "p.q", "new\nline", "a; DROP TABLE activities --", "Ü", "select", "$1", "", "a\0b"]
)
def test_any_name_of_a_column_is_that_name(warehouse, column) -> None:
    if not column or "\0" in column:
        with pytest.raises(ValueError, match="name"):
            warehouse.load(pa.table({"id": [1], column: [1]}))
        return
    rows = pa.table({"id": [1], column: [5]})
    warehouse.load(pa.table({"id": [0]}))
    for _ in range(2):
        warehouse.load(rows, key=("id", column))
    warehouse.load(pa.table({"id": [2], column: [0.5]}))
    with warehouse.opened() as opened:
        table = opened.fetch("SELECT * FROM activities ORDER BY id")
    assert table.schema.names == ["id", column]
    assert table.column(column).to_pylist() == [None, 5, 0.5]


def test_a_schema_with_an_odd_name(warehouse) -> None:
    warehouse.run("""CREATE SCHEMA "it's \"\"my\"\" own" """)
    try:
        table = """it's "my" own.activities"""
        for number in (1, 2):
            warehouse.load(pa.table({"id": [number], f"value {number}": [1]}), table)
        assert warehouse.ask("""SELECT count(*) FROM "it's \"\"my\"\" own".activities""") == [(2,)]
    finally:
        warehouse.run("""DROP SCHEMA "it's \"\"my\"\" own" CASCADE""")


def test_a_schema_that_is_not_there_is_named(warehouse) -> None:
    with pytest.raises(ValueError, match="its schema does not exist"):
        warehouse.load(pa.table({"id": [1]}), "nowhere.activities")


def test_postgresql_refuses_names_that_it_would_cut(tmp_path) -> None:
    with place("postgresql", tmp_path) as made:
        for table, column in (("a" * 64, "id"), ("activities", "ж" * 32)):
            with pytest.raises(ValueError, match="63 bytes"):
                made.load(pa.table({column: [1]}), table, mode="append", key=())
        made.load(pa.table({"ж" * 31: [1]}), "a" * 63, mode="append", key=())


# Rows that were moved, and that are kept as deleted at their old place.


def sights(*rows: tuple[int, int, int, bool]) -> pa.Table:
    """Rows of (id, capacity, seen on which day, is_deleted)."""
    ids, capacities, days, flags = zip(*rows, strict=True)
    moments = pa.array([DAY + timedelta(days=day) for day in days], INSTANT)
    return pa.table({"id": ids, "capacity": capacities, "extracted_at": moments, "is_deleted": flags})


ALIVE, GONE = (7, 20, 2, False), (7, 10, 1, True)


@pytest.mark.parametrize(
    ("loads", "expected"),
    [
        ([[ALIVE], [GONE]], ALIVE),
        ([[GONE], [ALIVE]], ALIVE),
        ([[GONE, ALIVE]], ALIVE),
        ([[(7, 10, 2, True), ALIVE]], ALIVE),
        ([[ALIVE], [(7, 10, 2, True)]], (7, 10, 2, True)),
        ([[ALIVE], [(7, 5, 1, False)]], (7, 5, 1, False)),
        ([[(7, 5, 1, False), ALIVE]], ALIVE),
    ],
    ids=str,
)
def test_an_upsert_leaves_one_row_of_a_key(warehouse, loads, expected) -> None:
    for rows in loads:
        warehouse.load(sights(*rows, (8, 1, 0, False)))
    seen = warehouse.ask("SELECT id, capacity, is_deleted FROM activities ORDER BY id")
    assert seen == [(expected[0], expected[1], expected[3]), (8, 1, False)]


def test_a_range_keeps_the_sights_of_all_files(warehouse) -> None:
    """Where ranges are replaced, a row that is kept as deleted stands beside the one that was seen later."""
    for rows in ([ALIVE], [GONE]):
        warehouse.load(sights(*rows), mode="replace_range")
    assert warehouse.ask("SELECT capacity FROM activities ORDER BY 1") == [(10,), (20,)]


# Rows without a key.


def classes(*rows: tuple[Any, ...], day: datetime = DAY) -> pa.Table:
    """Rows of (id, hour or None, title, day on which it was seen)."""
    ids, hours, titles, seen = zip(*rows, strict=True)
    return pa.table(
        {
            "location_id": [1] * len(rows),
            "id": array(list(ids), pa.int64()),
            "starts_at": array([None if h is None else day + timedelta(hours=h) for h in hours], INSTANT),
            "title": array(list(titles), pa.string()),
            "labels": array([[{"id": 5}]] * len(rows), LABELS),
            "extracted_at": array([DAY + timedelta(days=number) for number in seen], INSTANT),
        }
    )


def load_day(warehouse: Any, table: pa.Table, day: datetime = DAY, mode: str = "upsert") -> int:
    ranges = [LoadRange(1, day, day + timedelta(days=1))]
    return warehouse.load(table, mode=mode, key=("location_id", "id"), ranges=ranges)


TITLES = "SELECT id, title FROM activities ORDER BY id NULLS FIRST, title"


@pytest.mark.parametrize("mode", ["upsert", "replace_range"])
def test_rows_without_a_key_are_there_once_however_often_they_are_loaded(warehouse, mode) -> None:
    """Two that differ, two that are equal, and one that does not say when it starts, beside one with a key."""
    rows = (None, 1, "a"), (None, 2, "b"), (None, 3, "c"), (None, 3, "c"), (None, None, "d"), (9, 4, "e")
    for seen in (0, 1):
        assert load_day(warehouse, classes(*((*row, seen) for row in rows)), mode=mode) == 6
        found = [(None, "a"), (None, "b"), (None, "c"), (None, "c"), (None, "d"), (9, "e")]
        assert warehouse.ask(TITLES) == found
    assert warehouse.ask("SELECT count(DISTINCT extracted_at) FROM activities") == [(1,)]


@pytest.mark.parametrize("mode", ["upsert", "replace_range"])
def test_rows_without_a_key_are_replaced_by_those_of_their_range(warehouse, mode) -> None:
    load_day(warehouse, classes((None, 1, "old", 0), (7, 2, "kept", 0)))
    load_day(warehouse, classes((None, 1, "next day", 0), day=NEXT), NEXT)
    load_day(warehouse, classes((None, 1, "new", 1), (7, 2, "kept", 1)), mode=mode)
    assert warehouse.ask(TITLES) == [(None, "new"), (None, "next day"), (7, "kept")]


def test_a_row_without_a_key_replaces_none_that_has_one(warehouse) -> None:
    load_day(warehouse, classes((7, 2, "same", 0), (8, 2, "same", 0)))
    load_day(warehouse, classes((None, 2, "same", 0)))
    assert warehouse.ask(TITLES) == [(None, "same"), (7, "same"), (8, "same")]


def test_without_ranges_equal_rows_without_a_key_are_one(warehouse) -> None:
    for title in ("a", "b", "a"):
        warehouse.load(classes((None, 1, title, 0)), key=("location_id", "id"))
    assert warehouse.ask(TITLES) == [(None, "a"), (None, "b")]


def test_appending_appends_them(warehouse) -> None:
    for _ in range(2):
        load_day(warehouse, classes((None, 1, "a", 0)), mode="append")
    assert warehouse.ask(TITLES) == [(None, "a")] * 2


def test_what_a_load_cannot_go_by_is_told(warehouse) -> None:
    warehouse.load(pa.table({"id": [1]}))
    with pytest.raises(ValueError, match="no column number, place"):
        warehouse.load(pa.table({"id": [1]}), key=("id", "number", "place"))
    with pytest.raises(ValueError, match="id is not unique"):
        warehouse.load(pa.table({"id": [1, 2, 2]}))
    with pytest.raises(ValueError, match=r"location_id.*starts_at"):
        load_day(warehouse, pa.table({"id": [1]}), mode="replace_range")
    with pytest.raises(ValueError, match="key"):
        warehouse.load(pa.table({"id": [1]}), key=())
    with pytest.raises(ValueError, match="mode"):
        warehouse.load(pa.table({"id": [1]}), mode="merge")
    assert warehouse.ask("SELECT id FROM activities") == [(1,)]


# Characters.

texts = st.text(st.characters() | st.sampled_from("\0\ud800\udfff\ufffd"), max_size=6)
rows = st.fixed_dictionaries(
    {
        "name": texts,
        "staff": st.fixed_dictionaries({"name": texts}),
        "labels": st.lists(texts.map(lambda text: {"id": 1, "title": text}), max_size=2),
    },
    optional={"odd": texts | st.dictionaries(texts, texts, max_size=1)},
)


def test_whatever_text_the_api_sends_can_be_loaded_and_told(warehouse) -> None:
    extra = "extra::jsonb::text" if warehouse.kind == "postgresql" else "CAST(json(extra) AS VARCHAR)"

    @settings(max_examples=25)
    @given(st.lists(rows, min_size=1, max_size=4))
    def check(page: list[dict[str, Any]]) -> None:
        batch = ActivityConverter(1, "UTC").batch([{**row, "id": number} for number, row in enumerate(page)])
        reader = pa.RecordBatchReader.from_batches(batch.schema, [batch])
        assert load(opened, reader, "activities", mode="upsert", key=("id",)) == len(page)
        found = opened.fetch(f"SELECT name, {extra} AS extra, labels FROM activities ORDER BY id LIMIT {len(page)}")
        for sent, row in zip(page, found.to_pylist(), strict=True):
            kept = restored(json.loads(row["extra"])) if row["extra"] else {}
            assert kept.get("name", row["name"]) == sent["name"]
            assert kept.get("odd") == sent.get("odd")
            labels = json.loads(row["labels"]) if isinstance(row["labels"], str) else row["labels"]
            rest = kept.get("labels", [{}] * len(labels))
            assert [more.get("title", label["title"]) for more, label in zip(rest, labels, strict=True)] == [
                label["title"] for label in sent["labels"]
            ]

    with warehouse.opened() as opened:
        check()


def restored(value: Any) -> Any:
    if isinstance(value, dict):
        return {unescape(key): restored(member) for key, member in value.items()}
    if isinstance(value, list):
        return [restored(member) for member in value]
    return unescape(value) if isinstance(value, str) else value


def test_texts_of_other_files_are_mended_for_postgresql_and_counted(tmp_path, caplog) -> None:
    nested = pa.list_(pa.struct([("title", pa.string())]))
    table = pa.table(
        {
            "id": [1, 2, 3],
            "name": ["a\0b", "fine", None],
            "labels": array([[{"title": "c\0"}], [{"title": "\\u0000"}], None], nested),
        }
    )
    with place("postgresql", tmp_path) as made, caplog.at_level(logging.WARNING):
        made.load(table)
        found = made.ask("SELECT name, labels, labels::jsonb IS NULL FROM activities ORDER BY id")
    assert [row[0] for row in found] == ["a\ufffdb", "fine", None]
    assert [json.loads(row[1] or "null") for row in found] == [[{"title": "c\ufffd"}], [{"title": "\\u0000"}], None]
    assert [record.getMessage() for record in caplog.records] == [
        "1 texts of the column 'name' had U+0000, which PostgreSQL refuses. It was replaced by U+FFFD",
        "1 texts of the column 'labels' had U+0000, which PostgreSQL refuses. It was replaced by U+FFFD",
    ]
