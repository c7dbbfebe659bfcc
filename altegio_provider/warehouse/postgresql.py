"""PostgreSQL as a warehouse, through Arrow Database Connectivity (ADBC)."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from altegio_provider.tables.convert.characters import replace_unstorable
from altegio_provider.tables.convert.json_text import json_text_array
from altegio_provider.tables.convert.unify import ColumnConflictError, canonical_type
from altegio_provider.warehouse.base import WAIT_SECONDS, WarehouseBusyError, WarehouseError, clean_up_after
from altegio_provider.warehouse.identifiers import Identifier, TableName, column_list

__all__ = ["AdbcWarehouse"]

log = logging.getLogger(__name__)

#: PostgreSQL truncates longer names, so two names could become equal.
_LONGEST_NAME = 63
_MOST_PARTS = 2
_LOCK_TIMEOUT = "55P03"
_NUL, _MARK = "\0", "\ufffd"


class AdbcWarehouse:
    """A PostgreSQL database, through ADBC. Lists and structs become JSON text.

    A load holds the transaction-level advisory lock ``hashtextextended('altegio:schema.table', 0)``, so loads of one
    table run one after the other. PostgreSQL releases the lock when the transaction or the connection ends, even if
    the client is killed.

    :param connection: an ADBC connection of the PostgreSQL driver.
    :param wait_seconds: how long a load waits for another one, and a change of a table for its readers.
    """

    def __init__(self, connection: Any, wait_seconds: float = WAIT_SECONDS) -> None:
        self._connection = connection
        self._wait_seconds = wait_seconds

    @contextmanager
    def transaction(self) -> Iterator[None]:
        self._connection.adbc_connection.set_autocommit(False)
        try:
            # A load that has waited for the lock must see what the load before it has committed.
            self.run("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
            self.fetch("SELECT set_config('lock_timeout', $1, true)", [str(round(self._wait_seconds * 1000))])
            yield
        except BaseException as error:
            clean_up_after(error, self._connection.rollback)
            raise
        self._connection.commit()

    def lock(self, name: str) -> None:
        key = f"altegio:{name}"
        if not self._value("SELECT pg_try_advisory_xact_lock(hashtextextended($1, 0))", [key]):
            log.info("Another load holds the lock of %s. Waiting up to %.0f s", name, self._wait_seconds)
            self.fetch("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))::text", [key])

    def lock_table(self, name: TableName) -> TableName:
        while True:
            place = self._place(name)
            self.lock(place.plain)
            if self._place(name) == place:
                return place

    def find(self, name: TableName) -> TableName | None:
        _check_names(name.parts)
        rows = self._rows(
            "SELECT nspname::text, relname::text FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace "
            "WHERE pg_class.oid = to_regclass($1)",
            [str(name)],
        )
        return TableName.of(*rows[0]) if rows else None

    def columns(self, table: TableName) -> pa.Schema:
        return self.fetch(f"SELECT * FROM {table} LIMIT 0").schema.remove_metadata()

    def type_of(self, table: TableName, column: Identifier) -> str:
        return str(
            self._value(
                "SELECT format_type(atttypid, atttypmod) FROM pg_attribute "
                "WHERE attrelid = to_regclass($1) AND attname = $2 AND NOT attisdropped",
                [str(table), column.name],
            )
        )

    def to_storable(self, batches: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """Return the batches with nested columns as JSON text, and without U+0000, which PostgreSQL refuses.

        :param batches: the rows to load.
        """
        schema = pa.schema(
            [(field.name, pa.string() if pa.types.is_nested(field.type) else field.type) for field in batches.schema]
        )
        return pa.RecordBatchReader.from_batches(schema, _flat(batches, schema))

    def stage(self, table: TableName, schema: pa.Schema) -> pa.Schema:
        _check_names([Identifier(name) for name in schema.names])
        self._ingest(table, pa.RecordBatchReader.from_batches(schema, []), "create")
        return self.columns(table)

    def fill(self, table: TableName, batches: pa.RecordBatchReader) -> None:
        self._ingest(table, batches, "append")

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        with self._cursor() as cursor:
            cursor.execute(sql, tuple(parameters) or None)

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        with self._cursor() as cursor:
            cursor.execute(sql, tuple(parameters) or None)
            return cursor.fetch_arrow_table()

    def equal_rows(self, one: str, other: str, columns: Sequence[str]) -> str:
        # PostgreSQL can join on texts by hash, but not on IS NOT DISTINCT FROM.
        return (
            f"ROW({column_list(list(columns), f'{one}.')})::text = ROW({column_list(list(columns), f'{other}.')})::text"
        )

    def _ingest(self, table: TableName, batches: pa.RecordBatchReader, mode: str) -> None:
        with self._cursor() as cursor:
            cursor.adbc_ingest(table.parts[-1].name, batches, mode=mode, temporary=True)

    def _place(self, name: TableName) -> TableName:
        """Return the full name that a table has, or would get."""
        found = self.find(name)
        if found is not None:
            return found
        if len(name.parts) > _MOST_PARTS:
            raise ValueError(f"the table {name.plain!r} cannot be created: use table or schema.table in PostgreSQL")
        schema = name.parts[0].name if len(name.parts) > 1 else self._value("SELECT current_schema()::text")
        if schema is None or not self._rows("SELECT 1 FROM pg_namespace WHERE nspname = $1", [schema]):
            raise ValueError(f"the table {name.plain!r} cannot be created: its schema does not exist. Create it first.")
        return TableName.of(str(schema), name.parts[-1].name)

    def _rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        columns = [column.to_pylist() for column in self.fetch(sql, parameters).columns]
        return list(zip(*columns, strict=True))

    def _value(self, sql: str, parameters: Sequence[Any] = ()) -> Any:
        return self._rows(sql, parameters)[0][0]

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        """Open a cursor, whose errors are translated to :class:`WarehouseError`."""
        from adbc_driver_manager import Error

        cursor = self._connection.cursor()
        try:
            yield cursor
        except BaseException as error:
            clean_up_after(error, cursor.close)
            if isinstance(error, Error):
                raise _warehouse_error(error, self._wait_seconds) from None
            raise
        cursor.close()


def _warehouse_error(error: Any, wait_seconds: float) -> WarehouseError:
    """Translate PostgreSQL's error. Its details are omitted because they show values of rows."""
    if error.sqlstate == _LOCK_TIMEOUT:
        return WarehouseBusyError(
            f"another load or reader held a lock that this load needs for more than {wait_seconds:.0f} s. Nothing was "
            "loaded. pg_stat_activity shows the session. Give the task retries to try again later."
        )
    message = dict(error.details or ()).get("PG_DIAG_MESSAGE_PRIMARY")
    if isinstance(message, bytes):
        message = message.decode(errors="replace")
    code = f" (SQLSTATE {error.sqlstate})" if error.sqlstate else ""
    return WarehouseError(f"PostgreSQL: {message or str(error).partition('DETAIL:')[0].strip()}{code}")


def _check_names(names: Sequence[Identifier]) -> None:
    for name in names:
        if len(name.name.encode()) > _LONGEST_NAME:
            raise ValueError(f"the name {name.name!r} is too long: PostgreSQL allows {_LONGEST_NAME} bytes")


def _flat(batches: pa.RecordBatchReader, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    mended: Counter[str] = Counter()
    for batch in batches:
        columns = []
        for name, column in zip(schema.names, batch.columns, strict=True):
            is_nested = pa.types.is_nested(column.type)
            flat = _json_texts(name, column) if is_nested else column
            if pa.types.is_string(flat.type):
                flat, count = _without_nul(flat, is_json=is_nested)
                mended[name] += count
            columns.append(flat)
        yield pa.RecordBatch.from_arrays(columns, schema=schema)
    for name, count in mended.items():
        if count:
            log.warning(
                "%d texts of the column %r had U+0000, which PostgreSQL refuses. It was replaced by U+FFFD", count, name
            )


def _json_texts(name: str, column: pa.Array) -> pa.Array:
    try:
        return json_text_array(column.cast(canonical_type(column.type)))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise ColumnConflictError(
            f"the column {name!r} has the type {column.type}, which cannot be converted to JSON text for PostgreSQL. "
            "Nothing was loaded."
        ) from None


def _without_nul(texts: pa.Array, *, is_json: bool) -> tuple[pa.Array, int]:
    """Return the texts with U+0000 replaced by U+FFFD, and how many texts were changed."""
    has_nul = pc.fill_null(pc.match_substring(texts, "\\u0000" if is_json else _NUL), False)
    if not pc.any(has_nul).as_py():
        return texts, 0
    if not is_json:
        return pc.replace_substring(texts, _NUL, _MARK), pc.sum(has_nul).as_py()
    made = [text and _mended_json(text) for text in texts.to_pylist()]
    changed = [one != other for one, other in zip(texts.to_pylist(), made, strict=True)]
    return pa.array(made, pa.string()), sum(changed)


def _mended_json(text: str) -> str:
    value = json.loads(text) if "\\u0000" in text else None
    mended = _mended(value)
    return text if mended == value else json.dumps(mended, ensure_ascii=False, separators=(",", ":"))


def _mended(value: object) -> object:
    if isinstance(value, dict):
        return {replace_unstorable(key): _mended(member) for key, member in value.items()}
    if isinstance(value, list):
        return [_mended(item) for item in value]
    return replace_unstorable(value)
