"""Warehouses for tests: a DuckDB file and a schema of PostgreSQL, each of its own."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from altegio_provider.warehouse import AdbcWarehouse, DuckDbWarehouse, Warehouse, load
from altegio_provider.warehouse.duckdb_file import connect_when_free

KINDS = ("duckdb", "postgresql")


@contextmanager
def opened(kind: str, where: str, **options: Any) -> Iterator[Warehouse]:
    """A connection to a warehouse: a DuckDB file, or PostgreSQL's URI.

    :param options: ``wait_seconds``; for DuckDB also ``sleep``.
    """
    if kind == "duckdb":
        import duckdb

        connection = connect_when_free(lambda: duckdb.connect(where), **options)
        try:
            yield DuckDbWarehouse(connection)
        finally:
            connection.close()
        return
    import adbc_driver_postgresql.dbapi as driver

    with driver.connect(where) as connection:
        yield AdbcWarehouse(connection, **options)


class WarehouseTarget:
    """An empty warehouse.

    :param kind: one of :data:`KINDS`.
    :param where: what :func:`opened` takes.
    """

    def __init__(self, kind: str, where: str) -> None:
        self.kind = kind
        self.where = where

    @property
    def schema(self) -> str:
        """The schema of PostgreSQL that it is."""
        return self.where.rpartition("search_path%3D")[2]

    def opened(self, **options: Any) -> Any:
        return opened(self.kind, self.where, **options)

    def load(self, rows: pa.RecordBatchReader | pa.Table, table: str = "activities", **arguments: Any) -> int:
        """Load in a connection of its own."""
        reader = rows.to_reader() if isinstance(rows, pa.Table) else rows
        with self.opened() as warehouse:
            return load(warehouse, reader, table, **{"mode": "upsert", "key": ("id",), **arguments})

    def ask(self, sql: str) -> list[tuple[Any, ...]]:
        with self.opened() as warehouse:
            columns = [column.to_pylist() for column in warehouse.fetch(sql).columns]
            return list(zip(*columns, strict=True))

    def run(self, *statements: str) -> None:
        with self.opened() as warehouse, warehouse.transaction():
            for statement in statements:
                warehouse.run(statement)


@contextmanager
def place(kind: str, folder: Path) -> Iterator[WarehouseTarget]:
    """A warehouse that goes afterwards."""
    if kind == "duckdb":
        yield WarehouseTarget(kind, str(folder / f"{uuid.uuid4().hex}.duckdb"))
        return
    from tests.services import postgres_uri

    schema, uri = f"altegio_{uuid.uuid4().hex[:12]}", postgres_uri()
    whole = WarehouseTarget(kind, uri)
    whole.run(f"CREATE SCHEMA {schema}")
    try:
        yield WarehouseTarget(kind, f"{uri}?options=-csearch_path%3D{schema}")
    finally:
        whole.run(f"DROP SCHEMA {schema} CASCADE")
