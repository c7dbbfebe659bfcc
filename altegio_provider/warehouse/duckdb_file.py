"""DuckDB as a warehouse. One process at a time opens the file, and the loads of one process run one after the other."""

from __future__ import annotations

import logging
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa

from altegio_provider.warehouse.base import WAIT_SECONDS, WarehouseBusyError, WarehouseError, clean_up_after
from altegio_provider.warehouse.identifiers import Identifier, TableName, column_list

__all__ = ["DuckDbWarehouse", "connect_when_free"]

log = logging.getLogger(__name__)

_BETWEEN_TRIES_SECONDS = 0.5
_HELD = "Could not set lock on file"
#: The parts of an error's text that show values of a row.
_VALUES = re.compile(r"""(key|value|string) (".*"|'.*')""", re.DOTALL)
#: One lock for each database that this process has open.
_LOCKS: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)


def connect_when_free(
    connect: Callable[[], Any],
    wait_seconds: float = WAIT_SECONDS,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Any:
    """Open a DuckDB file. Wait while another process has it open.

    :param connect: opens the file.
    :param wait_seconds: how long to wait.
    :param clock: the monotonic time in seconds.
    :param sleep: waits the given number of seconds.
    :raises WarehouseBusyError: another process still had the file open after ``wait_seconds``.
    """
    import duckdb

    began = clock()
    is_logged = False
    while True:
        try:
            return connect()
        except duckdb.IOException as error:
            if _HELD not in str(error):
                raise
            if clock() - began >= wait_seconds:
                raise WarehouseBusyError(
                    f"another process still has the DuckDB file open after {wait_seconds:.0f} s of waiting. Nothing "
                    "was loaded. DuckDB lets one process write at a time: close the other program, or give the tasks "
                    f"that use the file a pool with one slot. ({_error_text(error)})"
                ) from None
        if not is_logged:
            log.info("Another process has the DuckDB file open. Waiting up to %.0f s", wait_seconds)
            is_logged = True
        sleep(_BETWEEN_TRIES_SECONDS)


class DuckDbWarehouse:
    """A DuckDB database that this process has open.

    The transactions of one process on one database run one after the other. The file's lock excludes other processes.

    :param connection: a ``duckdb`` connection.
    :param wait_seconds: how long a transaction waits for another one.
    """

    def __init__(self, connection: Any, wait_seconds: float = WAIT_SECONDS) -> None:
        self._connection = connection
        self._wait_seconds = wait_seconds

    @contextmanager
    def transaction(self) -> Iterator[None]:
        lock = _LOCKS[self._database()]
        if not lock.acquire(timeout=self._wait_seconds):
            raise WarehouseBusyError(
                f"another load of this process did not end within {self._wait_seconds:.0f} s. Nothing was loaded."
            )
        try:
            self._connection.begin()
            try:
                yield
            except BaseException as error:
                clean_up_after(error, self._connection.rollback)
                raise
            self._connection.commit()
        finally:
            lock.release()

    def lock(self, name: str) -> None:
        """Do nothing: a transaction holds the database's only lock from its beginning."""

    def lock_table(self, name: TableName) -> TableName:
        return self.find(name) or self._new(name)

    def find(self, name: TableName) -> TableName | None:
        for place in self._places(name):
            found = self._rows(
                "SELECT database_name, schema_name, table_name FROM duckdb_columns() WHERE lower(database_name) = "
                "lower($1) AND lower(schema_name) = lower($2) AND lower(table_name) = lower($3) LIMIT 1",
                place,
            )
            if found:
                return TableName.of(*found[0])
        return None

    def columns(self, table: TableName) -> pa.Schema:
        return self.fetch(f"SELECT * FROM {table} LIMIT 0").schema

    def type_of(self, table: TableName, column: Identifier) -> str:
        place = [part.name for part in (self.find(table) or table).parts]
        rows = self._rows(
            "SELECT data_type FROM duckdb_columns() WHERE database_name = $1 AND schema_name = $2 AND table_name = $3 "
            "AND lower(column_name) = lower($4)",
            [*place, column.name],
        )
        return str(rows[0][0])

    def to_storable(self, batches: pa.RecordBatchReader) -> pa.RecordBatchReader:
        return batches

    def stage(self, table: TableName, schema: pa.Schema) -> pa.Schema:
        self._take(f"CREATE OR REPLACE TEMP TABLE {table} AS", pa.RecordBatchReader.from_batches(schema, []))
        return self.columns(table)

    def fill(self, table: TableName, batches: pa.RecordBatchReader) -> None:
        self._take(f"INSERT INTO {table} ({column_list(batches.schema.names)})", batches)

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        with _translated_errors():
            self._connection.execute(sql, list(parameters))

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        with _translated_errors():
            return self._connection.sql(sql, params=list(parameters)).to_arrow_table()

    def equal_rows(self, one: str, other: str, columns: Sequence[str]) -> str:
        names = map(Identifier, columns)
        return " AND ".join(f"{one}.{name} IS NOT DISTINCT FROM {other}.{name}" for name in names)

    def _take(self, statement: str, batches: pa.RecordBatchReader) -> None:
        view = TableName.temporary()
        with _translated_errors():
            self._connection.register(view.plain, batches)
            try:
                self._connection.execute(f"{statement} SELECT * FROM {view}")
            except BaseException as error:
                clean_up_after(error, lambda: self._connection.unregister(view.plain))
                raise
            self._connection.unregister(view.plain)

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        with _translated_errors():
            rows: list[tuple[Any, ...]] = self._connection.execute(sql, list(parameters)).fetchall()
            return rows

    def _database(self) -> str:
        ((path,),) = self._rows("SELECT path FROM duckdb_databases() WHERE database_name = current_database()")
        return str(path)

    def _places(self, name: TableName) -> list[list[str]]:
        """Return the database, schema and table that a name can refer to in DuckDB, in order of precedence."""
        parts = [part.name for part in name.parts]
        ((database, schema),) = self._rows("SELECT current_database(), current_schema()")
        if len(parts) == 1:
            return [[database, schema, *parts], ["temp", "main", *parts]]
        if len(parts) == 2:  # a schema and a table, or a database and a table
            return [[database, *parts], [parts[0], "main", parts[1]]]
        return [parts]

    def _new(self, name: TableName) -> TableName:
        for place in self._places(name):
            found = self._rows(
                "SELECT database_name, schema_name FROM duckdb_schemas() WHERE lower(database_name) = lower($1) AND "
                "lower(schema_name) = lower($2)",
                place[:2],
            )
            if found:
                return TableName.of(*found[0], place[2])
        raise ValueError(f"the table {name.plain!r} cannot be created: its schema does not exist. Create it first.")


@contextmanager
def _translated_errors() -> Iterator[None]:
    """Translate DuckDB's errors to :class:`WarehouseError`."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise WarehouseError(f"DuckDB: {_error_text(error)}") from None


def _error_text(error: Exception) -> str:
    """Return an error's text without values of rows."""
    return _VALUES.sub(r"\1 ***", str(error)).strip()
