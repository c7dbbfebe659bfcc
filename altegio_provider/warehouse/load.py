"""Loads Arrow batches into a table of a warehouse, in one transaction and without a Python object for each row.

The rows go into a temporary table first. Then SQL deletes the rows that they replace, inserts them, and the
transaction is committed: a reader sees the whole load or nothing, and a repeated load changes nothing. Loads of one
table run one after the other, in all modes, even if the table does not exist yet.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, get_args

import pyarrow as pa

from altegio_provider.tables.convert.arrays import array_of
from altegio_provider.tables.convert.unify import (
    ColumnConflictError,
    canonical_type,
    cast_batches,
    common_type,
    unify_schemas,
)
from altegio_provider.warehouse.base import Warehouse, WarehouseError
from altegio_provider.warehouse.identifiers import Identifier, TableName, column_list

__all__ = ["LoadRange", "Mode", "load"]

Mode = Literal["upsert", "replace_range", "append"]

_RANGES = pa.schema(
    [
        ("location_id", pa.int64()),
        ("range_start", pa.timestamp("us", tz="UTC")),
        ("range_end", pa.timestamp("us", tz="UTC")),
    ]
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Larger integers are not exact as `double`.
_EXACT_IN_DOUBLE = 2**53


class LoadRange(NamedTuple):
    """The location and the range ``[start, end)`` of a file's rows.

    :param location_id: the location.
    :param start: the start, an aware datetime.
    :param end: the end, not included, an aware datetime.
    """

    location_id: int
    start: datetime
    end: datetime


def load(
    warehouse: Warehouse,
    batches: pa.RecordBatchReader,
    table: str,
    *,
    mode: Mode,
    key: Sequence[str],
    ranges: Sequence[LoadRange] = (),
) -> int:
    """Load the batches into a table.

    The table is created if it does not exist, and gets the columns that it lacks. If the type of a column is too
    narrow, it is widened by the rules of :mod:`~altegio_provider.tables.convert.unify`.

    An event that was moved can occur twice: at its new time, and marked as deleted at the old time. If both rows have
    the same key, the row that was read last is kept. A row that is only kept as deleted does not replace a row that
    was read later.

    A row with null in a key column has no key. A load replaces such rows of the table if they are in one of the
    ranges, or if they equal a loaded row in all columns but ``extracted_at``.

    :param warehouse: the warehouse.
    :param batches: the rows.
    :param table: ``table``, ``schema.table`` or ``database.schema.table``; any characters but a dot in each name.
    :param mode: ``upsert`` replaces rows of the same key, ``replace_range`` also all rows of the ranges, ``append``
        none.
    :param key: the columns that identify a row.
    :param ranges: the locations and ranges of the rows, as far as they are known.
    :returns: how many rows were loaded.
    :raises ColumnConflictError: the types of a column in the rows and in the table have no common type.
    :raises ValueError: a name is invalid, a key column is missing, keys are not unique, or the table has no columns
        ``location_id`` and ``starts_at`` for ``replace_range``. Nothing was loaded.
    :raises WarehouseBusyError: another load held the table for too long.
    :raises WarehouseError: the database refused the rows.
    """
    if mode not in get_args(Mode):
        raise ValueError(f"mode {mode!r} is unknown: use upsert, replace_range or append")
    name = TableName.parse(table)
    with warehouse.transaction():
        return _Load(warehouse, warehouse.lock_table(name), mode, key).run(batches, ranges)


class _Load:
    """One load, inside its transaction."""

    def __init__(self, warehouse: Warehouse, target: TableName, mode: Mode, key: Sequence[str]) -> None:
        self._warehouse = warehouse
        self._target = target
        self._mode = mode
        self._key = key
        self._staging = TableName.temporary()
        self._names: list[str] = []

    def run(self, batches: pa.RecordBatchReader, ranges: Sequence[LoadRange]) -> int:
        is_there = self._warehouse.find(self._target) is not None
        present = self._warehouse.columns(self._target) if is_there else pa.schema([])
        self._stage(batches, present)
        if is_there:
            self._widen(present)
        else:
            self._warehouse.run(f"CREATE TABLE {self._target} AS SELECT * FROM {self._staging} LIMIT 0")
        if self._mode != "append":
            self._replace(ranges)
        names = column_list(self._names)
        self._warehouse.run(f"INSERT INTO {self._target} ({names}) SELECT {names} FROM {self._staging}")
        rows = self._count(f"{self._staging}")
        self._warehouse.run(f"DROP TABLE {self._staging}")
        return rows

    def _stage(self, batches: pa.RecordBatchReader, present: pa.Schema) -> None:
        """Insert the rows into the temporary table, with the types that the table has or will get."""
        batches = self._warehouse.to_storable(batches)
        incoming = unify_schemas([("the rows to load", batches.schema)])
        # A column that is null in all rows has no type of its own: it takes the table's type, or is omitted.
        incoming = pa.schema([(one.name, _known(one, present)) for one in incoming if _known(one, present) is not None])
        for name in incoming.names:
            Identifier(name)  # raises for an invalid name, before anything is sent
        self._check_key(incoming.names)
        staged = self._warehouse.stage(self._staging, incoming)
        wanted = pa.schema([(one.name, self._wanted(one, staged, present)) for one in incoming])
        if not wanted.equals(incoming):
            self._warehouse.run(f"DROP TABLE {self._staging}")
            self._warehouse.stage(self._staging, wanted)
        stream = _Stream(cast_batches(batches, wanted))
        try:
            self._warehouse.fill(self._staging, pa.RecordBatchReader.from_batches(wanted, stream))
        except WarehouseError:
            if stream.failure is None:
                raise
        if stream.failure is not None:
            raise stream.failure  # the database's error has only its text
        self._names = wanted.names

    def _check_key(self, names: Sequence[str]) -> None:
        missing = [name for name in self._key if name not in names]
        if self._mode == "upsert" and not self._key:
            raise ValueError("key is empty: mode upsert needs the columns that identify a row")
        if self._mode == "upsert" and missing:
            raise ValueError(f"key: the rows have no column {', '.join(missing)}")
        if missing:
            self._key = ()

    def _wanted(self, field: pa.Field, staged: pa.Schema, present: pa.Schema) -> pa.DataType:
        """Return the type that a column needs for the values of the rows and of the table."""
        here = staged.field(field.name).type
        if field.name not in present.names:
            return field.type
        there = present.field(field.name).type
        joined = common_type(there, here)
        if joined is None and self._is_empty(Identifier(field.name)):
            return field.type
        if joined is None:
            kind = self._warehouse.type_of(self._target, Identifier(field.name))
            raise ColumnConflictError(
                f"the column {field.name!r} has the type {kind} in the table {self._target.plain} and {field.type} in "
                "the rows to load, and these have no common type. Nothing was loaded. Load into another table, or "
                "change the column's type."
            )
        return field.type if joined.equals(canonical_type(here)) else joined

    def _widen(self, present: pa.Schema) -> None:
        """Add the columns that the table lacks, and widen its columns."""
        staged = self._warehouse.columns(self._staging)
        for field in staged:
            column = Identifier(field.name)
            if field.name not in present.names:
                kind = self._warehouse.type_of(self._staging, column)
                self._warehouse.run(f"ALTER TABLE {self._target} ADD COLUMN {column} {kind}")
                continue
            there, here = present.field(field.name).type, canonical_type(field.type)
            if common_type(there, here) == canonical_type(there):
                continue
            if pa.types.is_integer(there) and pa.types.is_floating(here):
                self._check_exact(column)
            kind = self._warehouse.type_of(self._staging, column)
            using = ""
            if common_type(there, here) is None:
                using = f" USING CAST(NULL AS {kind})"  # the column is null in all rows
            elif pa.types.is_boolean(there):
                using = f" USING CAST(CAST({column} AS INTEGER) AS {kind})"
            try:
                self._warehouse.run(f"ALTER TABLE {self._target} ALTER COLUMN {column} TYPE {kind}{using}")
            except WarehouseError as error:
                raise ColumnConflictError(
                    f"the column {field.name!r} of the table {self._target.plain} needs the type {kind} for the rows "
                    f"to load, and changing it failed: {error}. Nothing was loaded. Change the column's type yourself."
                ) from None

    def _is_empty(self, column: Identifier) -> bool:
        """Return whether a column of the table is null in all rows, so that it can take any type."""
        return not self._count(f"(SELECT 1 FROM {self._target} WHERE {column} IS NOT NULL LIMIT 1) AS filled")

    def _check_exact(self, column: Identifier) -> None:
        bound = _EXACT_IN_DOUBLE
        if self._count(f"{self._target} WHERE {column} > {bound} OR {column} < -{bound}"):
            raise ColumnConflictError(
                f"the column {column.name!r} of the table {self._target.plain} needs the type double for the rows to "
                "load, but has integers that are not exact as double. Nothing was loaded."
            )

    def _replace(self, ranges: Sequence[LoadRange]) -> None:
        """Delete the table's rows that the staged rows replace, and the staged rows that are older than the table's."""
        run, target, staging = self._warehouse.run, self._target, self._staging
        has_deletion_columns = {"is_deleted", "extracted_at"} <= set(self._names)
        if self._mode == "upsert":
            if has_deletion_columns:
                self._keep_latest()
            self._check_unique()
        if self._key:
            same = _same("s", "t", self._key)
            is_outdated = "(s.is_deleted AND s.extracted_at < t.extracted_at)"
            if self._mode == "upsert" and has_deletion_columns:
                run(f"DELETE FROM {staging} AS s USING {target} AS t WHERE {same} AND {is_outdated}")
            spared = f" AND NOT {is_outdated}" if has_deletion_columns else ""
            run(f"DELETE FROM {target} AS t USING {staging} AS s WHERE {same}{spared}")
        self._replace_ranges(ranges)
        if self._key and self._count(f"{staging} AS s WHERE {_keyless('s', self._key)}"):
            told = [name for name in self._names if name != "extracted_at"]
            run(
                f"DELETE FROM {target} AS t USING {staging} AS s WHERE {_keyless('s', self._key)} "
                f"AND {_keyless('t', self._key)} AND {self._warehouse.equal_rows('t', 's', told)}"
            )

    def _replace_ranges(self, ranges: Sequence[LoadRange]) -> None:
        """Delete the table's rows in the ranges; in an upsert, only those without a key."""
        has_columns = _can_hold_ranges(self._warehouse.columns(self._target))
        if self._mode == "replace_range" and ranges and not has_columns:
            raise ValueError(
                "mode replace_range needs the columns location_id (an integer) and starts_at (a timestamp with a time "
                "zone). Nothing was loaded. Use upsert or append."
            )
        if not ranges or not has_columns:
            return
        name = TableName.temporary()
        self._warehouse.stage(name, _RANGES)
        self._warehouse.fill(name, pa.RecordBatchReader.from_batches(_RANGES, [_ranges_batch(ranges)]))
        only = "" if self._mode == "replace_range" else f" AND {_keyless('t', self._key)}"
        self._warehouse.run(
            f"DELETE FROM {self._target} AS t USING {name} AS r WHERE t.location_id = r.location_id "
            f"AND t.starts_at >= r.range_start AND t.starts_at < r.range_end{only}"
        )
        self._warehouse.run(f"DROP TABLE {name}")

    def _keep_latest(self) -> None:
        """Of staged rows with one key, keep the one that was read last; of equally old ones, the one not deleted."""
        self._warehouse.run(
            f"DELETE FROM {self._staging} AS s USING {self._staging} AS o WHERE {_same('s', 'o', self._key)} "
            "AND (s.extracted_at < o.extracted_at OR (s.extracted_at = o.extracted_at "
            "AND s.is_deleted AND NOT o.is_deleted))"
        )

    def _check_unique(self) -> None:
        with_key = f"{self._staging} AS s WHERE NOT {_keyless('s', self._key)}"
        distinct = f"(SELECT DISTINCT {column_list(list(self._key))} FROM {with_key}) AS keys"
        if self._count(distinct) != self._count(with_key):
            raise ValueError(f"key: {', '.join(self._key)} is not unique in the rows to load. Nothing was loaded.")

    def _count(self, rows: str) -> int:
        return int(self._warehouse.fetch(f"SELECT count(*) AS rows FROM {rows}").column(0)[0].as_py())


class _Stream:
    """Batches for a database driver. It keeps the error of reading them, because drivers report only its text."""

    def __init__(self, batches: Iterable[pa.RecordBatch]) -> None:
        self._batches = batches
        self.failure: Exception | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            yield from self._batches
        except Exception as error:
            self.failure = error
            raise


def _known(field: pa.Field, present: pa.Schema) -> pa.DataType | None:
    """Return the type of a column to load, ``None`` if neither the rows nor the table have one."""
    if not pa.types.is_null(field.type):
        return field.type
    there = present.field(field.name).type if field.name in present.names else None
    return None if isinstance(there, pa.BaseExtensionType) else there


def _ranges_batch(ranges: Sequence[LoadRange]) -> pa.RecordBatch:
    columns: list[list[int]] = [
        [one.location_id for one in ranges],
        [_microseconds(one.start) for one in ranges],
        [_microseconds(one.end) for one in ranges],
    ]
    arrays = [array_of(kind, column) for kind, column in zip(_RANGES.types, columns, strict=True)]
    return pa.RecordBatch.from_arrays(arrays, schema=_RANGES)


def _microseconds(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _same(one: str, other: str, key: Sequence[str]) -> str:
    return " AND ".join(f"{one}.{name} = {other}.{name}" for name in map(Identifier, key))


def _keyless(alias: str, key: Sequence[str]) -> str:
    return "(" + " OR ".join(f"{alias}.{Identifier(name)} IS NULL" for name in key) + ")"


def _can_hold_ranges(columns: pa.Schema) -> bool:
    if not {"location_id", "starts_at"} <= set(columns.names):
        return False
    start = columns.field("starts_at").type
    return bool(
        pa.types.is_integer(columns.field("location_id").type) and pa.types.is_timestamp(start) and start.tz is not None
    )
