"""Flat rows to Arrow record batches: whatever comes, nothing is lost and nothing stops.

A page is turned column by column. A column whose values all have the type that it expects is made in one go; only
one that has not is looked at value by value. What has no column, or does not fit its own, goes into ``extra``, at
the place in the row where the API had it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, ClassVar

import pyarrow as pa

from altegio_provider.common.location_time import load_zone
from altegio_provider.tables.convert.arrays import array_of, constant
from altegio_provider.tables.convert.batch_builder import BatchBuilder, Row, known_keys
from altegio_provider.tables.convert.extra_fields import ExtraFields
from altegio_provider.tables.convert.timestamps import TimestampReader
from altegio_provider.tables.schema import Column

__all__ = ["RowConverter"]

#: Rows turned at once: dicts are large, Arrow is not.
_ROWS = 1_000
#: What a field's name looks like; anything else may be a value that came as a key, and is in no log.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}(\.[A-Za-z_][A-Za-z0-9_]{0,60})*", re.ASCII)


class RowConverter:
    """Turns the rows of one location into record batches, and counts what did not fit.

    The counters are of all rows so far.

    :param location_id: the location that was asked.
    :param timezone: its IANA time zone.
    :param extracted_at: when the reading began, aware; default: now.
    :raises ValueError: there is no such time zone.
    """

    #: What the rows are, in a word.
    table: ClassVar[str]
    #: The columns to make; among them ``id`` and those that every table has.
    columns: ClassVar[tuple[Column, ...]]
    schema: ClassVar[pa.Schema]
    #: Which of what is left over does stand in ``extra``, where it is not all; for the log.
    _extra_note = ""

    def __init__(self, location_id: int, timezone: str, extracted_at: datetime | None = None) -> None:
        self._location_id = location_id
        self._timezone = timezone
        self._timestamps = TimestampReader(load_zone(timezone))
        self._extracted_us = round((extracted_at or datetime.now(UTC)).timestamp() * 1_000_000)
        self._known = known_keys(self.columns)
        self._column = {column.name: column for column in self.columns}
        self.rows = 0
        #: Rows whose ``id`` is missing or no whole number: they cannot be told apart by it.
        self.rows_without_id = 0
        #: For each column or object, how many values did not fit and went to ``extra``.
        self.mismatches: Counter[str] = Counter()
        #: For each column, how many values had characters that a warehouse cannot hold; the originals are in `extra`.
        self.replacements: Counter[str] = Counter()
        #: Fields that the schema does not know, with how many rows had them; the first hundred names are kept.
        self.unknown_fields: Counter[str] = Counter()

    @property
    def start_disagreements(self) -> int:
        """Rows whose ``timestamp`` was not the moment that ``date`` names in the time zone."""
        return self._timestamps.clock.disagreements

    @property
    def rows_without_start(self) -> int:
        """Rows that do not say when they start."""
        return self._timestamps.clock.unknown

    def batches(self, rows: Iterable[Row], rows_per_batch: int = _ROWS) -> Iterator[pa.RecordBatch]:
        """Yield record batches of so many rows, the last one shorter; at least one, if empty."""
        iterator = iter(rows)
        chunk = list(islice(iterator, min(rows_per_batch, _ROWS)))
        gathered = [self.batch(chunk)]
        while chunk:
            waiting = sum(batch.num_rows for batch in gathered)
            if waiting >= rows_per_batch:
                yield _joined(gathered)
                gathered, waiting = [], 0
            chunk = list(islice(iterator, min(rows_per_batch - waiting, _ROWS)))
            if chunk:
                gathered.append(self.batch(chunk))
        if gathered:
            yield _joined(gathered)

    def batch(self, rows: Sequence[Row]) -> pa.RecordBatch:
        """Return one record batch of these rows, of the table's schema."""
        extra_fields = self._extra_fields(len(rows))
        builder = BatchBuilder(rows, self._known, extra_fields, self.mismatches, self.unknown_fields, self.replacements)
        arrays = {**self._common_columns(builder), **self._table_columns(builder)}
        for column in self.columns:
            if column.name not in arrays and column.name != "extra":
                arrays[column.name] = builder.column(column)
        if arrays["is_deleted"].null_count:
            flags = [bool(flag) for flag in arrays["is_deleted"].to_pylist()]
            arrays["is_deleted"] = array_of(pa.bool_(), flags) or arrays["is_deleted"]
        arrays["extra"] = array_of(pa.string(), builder.extra_fields.texts())
        self.rows += len(rows)
        self.rows_without_id += arrays["id"].null_count
        return pa.RecordBatch.from_arrays([arrays[name] for name in self.schema.names], schema=self.schema)

    def _extra_fields(self, count: int) -> ExtraFields:
        return ExtraFields(count)

    def _table_columns(self, builder: BatchBuilder) -> dict[str, pa.Array]:  # noqa: ARG002 - for tables that have some
        """The columns that this table alone makes in a way of its own."""
        return {}

    def _common_columns(self, builder: BatchBuilder) -> dict[str, pa.Array]:
        """The columns that every table has, and that are no field's own."""
        count = len(builder.rows)
        starts = self._timestamps.starts(builder.columns)
        for number, field in starts.lossy:
            builder.extra_fields.put(number, (field,), builder.rows[number][field])
        return {
            "location_id": builder.column(self._column["location_id"], [self._location_id] * count),
            "timezone": constant(pa.string(), self._timezone, count),
            "starts_at": array_of(self._column["starts_at"].type, starts.instants),
            "starts_at_local": array_of(self._column["starts_at_local"].type, starts.walls),
            "created_at": builder.timestamps(self._column["created_at"], self._timestamps.created),
            "extracted_at": constant(self._column["extracted_at"].type, self._extracted_us, count),
        }

    def warn(self, log: Any) -> None:
        """Tell a logger, once, what did not add up. It names fields and columns, never a value."""
        for column, times in self.mismatches.items():
            log.warning(
                "%d of %d rows: the value of %s did not fit its column and stands in `extra`%s",
                times,
                self.rows,
                column,
                self._extra_note,
            )
        for column, times in self.replacements.items():
            log.warning(
                "%d of %d rows: %s had characters that a warehouse cannot hold (U+0000 or half of a surrogate pair); "
                "each became U+FFFD, and the original stands in `extra`%s",
                times,
                self.rows,
                column,
                self._extra_note,
            )
        if named := sorted(filter(_NAME.fullmatch, self.unknown_fields)):
            log.info("Fields without a column, which stand in `extra`%s: %s", self._extra_note, ", ".join(named))
        if self.rows_without_id:
            log.warning("%d of %d rows have no `id` that is a number", self.rows_without_id, self.rows)
        if self.start_disagreements:
            log.warning(
                "%d of %d rows: `timestamp` is not the moment that `date` names in %s; `date` was taken. "
                "Where it is all rows, check the time zone.",
                self.start_disagreements,
                self.rows,
                self._timezone,
            )
        if self.rows_without_start:
            log.warning("%d of %d rows do not say when they start", self.rows_without_start, self.rows)


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    # `pa.concat_batches` would do, from pyarrow 19 on.
    return batches[0] if len(batches) == 1 else pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
