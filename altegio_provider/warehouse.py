"""Loads Arrow batches into a table of a warehouse, in one transaction; no row becomes a Python object.

The rows go into a temporary table first; what they replace is deleted and they are inserted in SQL, and only then
is committed: a reader sees all of a load or nothing of it, and a load done twice changes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Literal, NamedTuple, Protocol

import pyarrow as pa

from altegio_provider.tables.json_text import json_texts

__all__ = ["AdbcWarehouse", "DuckDbWarehouse", "LoadRange", "Mode", "Warehouse", "load"]

Mode = Literal["upsert", "replace_range", "append"]

_STAGING = "altegio_incoming"


class LoadRange(NamedTuple):
    """What a ``replace_range`` replaces: one location's rows that start in ``[start, end)``."""

    location_id: int
    start: datetime
    end: datetime


class Warehouse(Protocol):
    """A connection to a database that takes Arrow."""

    def transaction(self) -> Any:
        """A context manager: committed at its end, rolled back on an error."""

    def stage(self, batches: pa.RecordBatchReader, name: str) -> pa.Schema:
        """Put the batches into a new temporary table, and return the columns that it has."""

    def columns(self, table: str) -> pa.Schema | None:
        """The columns of a table, or ``None`` where there is none."""

    def type_of(self, table: str, column: str) -> str:
        """A column's type, as SQL writes it."""

    def run(self, sql: str) -> None:
        """Run a statement."""

    def count(self, table: str) -> int:
        """How many rows a table has."""

    def fetch(self, sql: str) -> pa.Table:
        """Ask a query."""


def load(
    warehouse: Warehouse,
    batches: pa.RecordBatchReader,
    table: str,
    *,
    mode: Mode,
    key: Sequence[str],
    ranges: Sequence[LoadRange] = (),
) -> int:
    """Load the batches into a table and return how many rows there were.

    The table is made where it is missing, and gets the columns that it lacks.

    A class that was moved can be there twice: alive at its new time, and marked as deleted at the old one. Where both
    would have one key, the row counts that was seen last, and a row that is only kept as deleted replaces none that was
    seen after it.

    :param mode: ``upsert`` replaces rows of the same key, ``replace_range`` these and all rows of the ranges,
        ``append`` none.
    :raises ValueError: a column has another type than the table's, a key column is missing, or keys are not unique.
    """
    target = quoted(table)
    with warehouse.transaction():
        incoming = warehouse.stage(batches, _STAGING)
        missing = [name for name in key if name not in incoming.names]
        if mode == "upsert" and missing:
            raise ValueError(f"key: the rows have no column {', '.join(missing)}")
        present = warehouse.columns(target)
        if present is None:
            warehouse.run(f"CREATE TABLE {target} AS SELECT * FROM {_STAGING} LIMIT 0")
        else:
            _widen(warehouse, target, present, incoming)
        tells_deleted = {"is_deleted", "extracted_at"} <= set(incoming.names)
        if mode == "upsert":
            if tells_deleted:
                _keep_latest(warehouse, key)
            _check_unique(warehouse, key)
        if mode != "append" and not missing:
            same = _same(target, _STAGING, key)
            is_outdated = f"({_STAGING}.is_deleted AND {_STAGING}.extracted_at < {target}.extracted_at)"
            if mode == "upsert" and tells_deleted:
                warehouse.run(f"DELETE FROM {_STAGING} USING {target} WHERE {same} AND {is_outdated}")
            spared = f" AND NOT {is_outdated}" if tells_deleted else ""
            warehouse.run(f"DELETE FROM {target} USING {_STAGING} WHERE {same}{spared}")
        if mode == "replace_range":
            for one in ranges:
                warehouse.run(
                    f"DELETE FROM {target} WHERE location_id = {int(one.location_id)} "
                    f"AND starts_at >= TIMESTAMPTZ '{one.start.isoformat()}' "
                    f"AND starts_at < TIMESTAMPTZ '{one.end.isoformat()}'"
                )
        names = ", ".join(quoted(name) for name in incoming.names)
        warehouse.run(f"INSERT INTO {target} ({names}) SELECT {names} FROM {_STAGING}")
        rows = warehouse.count(_STAGING)
        warehouse.run(f"DROP TABLE {_STAGING}")
        return rows


def _same(one: str, other: str, key: Sequence[str]) -> str:
    return " AND ".join(f"{one}.{quoted(name)} = {other}.{quoted(name)}" for name in key)


def _keep_latest(warehouse: Warehouse, key: Sequence[str]) -> None:
    """Of staged rows of one key, keep the one that was seen last; of two, the one that is alive."""
    warehouse.run(
        f"DELETE FROM {_STAGING} USING {_STAGING} AS other WHERE {_same(_STAGING, 'other', key)} "
        f"AND ({_STAGING}.extracted_at < other.extracted_at OR ({_STAGING}.extracted_at = other.extracted_at "
        f"AND {_STAGING}.is_deleted AND NOT other.is_deleted))"
    )


def quoted(name: str) -> str:
    """Quote an identifier; a dot parts a schema from its table.

    :raises ValueError: the name is empty or holds a control character.
    """
    parts = name.split(".")
    if not all(part and part.isprintable() for part in parts):
        raise ValueError(f"{name!r} is no name of a table or column")
    return ".".join('"' + part.replace('"', '""') + '"' for part in parts)


def _widen(warehouse: Warehouse, target: str, present: pa.Schema, incoming: pa.Schema) -> None:
    changed = []
    for field in incoming:
        if field.name not in present.names:
            kind = warehouse.type_of(_STAGING, field.name)
            warehouse.run(f"ALTER TABLE {target} ADD COLUMN {quoted(field.name)} {kind}")
        elif not _alike(present.field(field.name).type, field.type):
            changed.append(f"{field.name} is {present.field(field.name).type} there and {field.type} here")
    if changed:
        raise ValueError(
            f"the table {target} has columns of other types: {'; '.join(changed)}. Load into another table, or change "
            "the column there; nothing was loaded"
        )


def _alike(one: pa.DataType, other: pa.DataType) -> bool:
    """Types that one database writes in one way: time zones have several names, texts several widths."""
    if pa.types.is_timestamp(one) and pa.types.is_timestamp(other):
        return bool((one.tz is None) == (other.tz is None))
    if pa.types.is_large_string(one) or pa.types.is_string(one):
        return bool(pa.types.is_large_string(other) or pa.types.is_string(other))
    return bool(one.equals(other))


def _check_unique(warehouse: Warehouse, key: Sequence[str]) -> None:
    names = ", ".join(quoted(name) for name in key)
    distinct = f"(SELECT DISTINCT {names} FROM {_STAGING}) AS keys"
    if warehouse.count(distinct) != warehouse.count(_STAGING):
        raise ValueError(f"key: {', '.join(key)} is not unique in the rows to load; nothing was loaded")


class DuckDbWarehouse:
    """DuckDB, in this process.

    :param connection: a ``duckdb`` connection.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._connection.begin()
        try:
            yield
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.commit()

    def stage(self, batches: pa.RecordBatchReader, name: str) -> pa.Schema:
        self._connection.register("altegio_batches", batches)
        try:
            self._connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS SELECT * FROM altegio_batches")
        finally:
            self._connection.unregister("altegio_batches")
        schema = self.columns(name)
        assert schema is not None  # noqa: S101 - it was made above
        return schema

    def columns(self, table: str) -> pa.Schema | None:
        import duckdb

        try:
            schema: pa.Schema = self._connection.sql(f"SELECT * FROM {table} LIMIT 0").to_arrow_table().schema
        except duckdb.CatalogException:
            return None
        return schema

    def type_of(self, table: str, column: str) -> str:
        rows: Mapping[str, str] = {row[0]: row[1] for row in self._connection.execute(f"DESCRIBE {table}").fetchall()}
        return rows[column]

    def run(self, sql: str) -> None:
        self._connection.execute(sql)

    def fetch(self, sql: str) -> pa.Table:
        return self._connection.sql(sql).to_arrow_table()

    def count(self, table: str) -> int:
        return int(self._connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


class AdbcWarehouse:
    """PostgreSQL, by Arrow Database Connectivity. Lists and structs become JSON text.

    :param connection: an ADBC connection of the PostgreSQL driver, not in autocommit.
    """

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    @contextmanager
    def transaction(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._connection.rollback()
            raise
        self._connection.commit()

    def stage(self, batches: pa.RecordBatchReader, name: str) -> pa.Schema:
        with self._connection.cursor() as cursor:
            cursor.adbc_ingest(name, _flat(batches), mode="create", temporary=True)
        schema = self.columns(name)
        assert schema is not None  # noqa: S101 - it was made above
        return schema

    def columns(self, table: str) -> pa.Schema | None:
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT to_regclass('{table}') IS NOT NULL")
            if not cursor.fetchone()[0]:
                return None
            cursor.execute(f"SELECT * FROM {table} LIMIT 0")
            schema: pa.Schema = cursor.fetch_arrow_table().schema
            return schema

    def type_of(self, table: str, column: str) -> str:
        with self._connection.cursor() as cursor:
            cursor.execute(
                "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
                f"WHERE attrelid = to_regclass('{table}') AND attname = '{column.replace(chr(39), chr(39) * 2)}'"
            )
            return str(cursor.fetchone()[0])

    def run(self, sql: str) -> None:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)

    def fetch(self, sql: str) -> pa.Table:
        with self._connection.cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetch_arrow_table()

    def count(self, table: str) -> int:
        with self._connection.cursor() as cursor:
            cursor.execute(f"SELECT count(*) FROM {table}")
            return int(cursor.fetchone()[0])


def _flat(batches: pa.RecordBatchReader) -> pa.RecordBatchReader:
    """Turn nested columns into JSON text, which every SQL database has."""
    nested = [number for number, field in enumerate(batches.schema) if pa.types.is_nested(field.type)]
    if not nested:
        return batches
    schema = batches.schema
    for number in nested:
        schema = schema.set(number, pa.field(schema.field(number).name, pa.string()))

    def flattened() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            columns = list(batch.columns)
            for number in nested:
                columns[number] = json_texts(columns[number])
            yield pa.RecordBatch.from_arrays(columns, schema=schema)

    return pa.RecordBatchReader.from_batches(schema, flattened())
