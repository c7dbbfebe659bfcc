"""Converts flat rows to Arrow record batches. No value is lost, and no value stops the conversion.

The rows of a batch are converted column by column. A column whose values all have the expected type is converted at
once; any other column is converted value by value. A value without a column, or of another type than its column, goes
into ``extra``, under the same path as in the API's row.
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

#: Rows converted at once. Dicts need much more memory than Arrow, so few of them are held.
_ROWS = 1_000
#: The form of a field's name. A key of another form may hold personal data, and is not logged.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,60}(\.[A-Za-z_][A-Za-z0-9_]{0,60})*", re.ASCII)


class RowConverter:
    """Converts the rows of one location to record batches, and counts the values that did not fit.

    A subclass for each table names its columns. The counters are totals of all rows so far.

    :param location_id: the location whose rows these are.
    :param timezone: its IANA time zone.
    :param extracted_at: when the run began to read, an aware datetime; default: now.
    :raises ValueError: the time zone does not exist.
    """

    #: The table's name, such as ``activities``.
    table: ClassVar[str]
    #: The table's columns. They include ``id`` and the columns that every table has.
    columns: ClassVar[tuple[Column, ...]]
    schema: ClassVar[pa.Schema]
    #: For log lines: on which condition a value is kept in ``extra``; empty if always.
    _extra_note = ""

    def __init__(self, location_id: int, timezone: str, extracted_at: datetime | None = None) -> None:
        self._location_id = location_id
        self._timezone = timezone
        self._timestamps = TimestampReader(load_zone(timezone))
        self.extracted_at = extracted_at or datetime.now(UTC)
        self._known = known_keys(self.columns)
        self._column = {column.name: column for column in self.columns}
        self.rows = 0
        #: Rows whose ``id`` is missing or not a whole number.
        self.rows_without_id = 0
        #: For each column or object, how many values did not fit and went to ``extra``.
        self.mismatches: Counter[str] = Counter()
        #: For each column, how many texts had characters that a warehouse cannot store. ``extra`` has the originals.
        self.replacements: Counter[str] = Counter()
        #: For each field without a column, how many rows had it. At most a hundred names are kept.
        self.unknown_fields: Counter[str] = Counter()

    @property
    def extracted_at(self) -> datetime:
        """When the reading began; it may be set until the first batch is made."""
        return datetime.fromtimestamp(self._extracted_us / 1_000_000, UTC)

    @extracted_at.setter
    def extracted_at(self, moment: datetime) -> None:
        self._extracted_us = round(moment.timestamp() * 1_000_000)

    @property
    def start_disagreements(self) -> int:
        """Rows whose ``timestamp`` disagreed with ``date`` in the location's time zone."""
        return self._timestamps.clock.disagreements

    @property
    def rows_without_start(self) -> int:
        """Rows without a readable start."""
        return self._timestamps.clock.unknown

    def batches(self, rows: Iterable[Row], rows_per_batch: int = _ROWS) -> Iterator[pa.RecordBatch]:
        """Yield record batches. Without rows, yield one empty batch, which has the schema.

        :param rows: flat rows, read as they are needed.
        :param rows_per_batch: the size of all batches but the last, which may be smaller.
        """
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
        """Return the rows as one record batch of the table's schema.

        :param rows: flat rows.
        """
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
        """Return the columns that only this table has, or converts in its own way."""
        return {}

    def _common_columns(self, builder: BatchBuilder) -> dict[str, pa.Array]:
        """Return the columns that every table has and that do not come from a single field."""
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
        """Log what did not fit. Log lines name fields and columns, never values.

        :param log: a logger.
        """
        for column, times in self.mismatches.items():
            log.warning(
                "%d of %d rows: the value of %s did not fit its column and was written to `extra`%s",
                times,
                self.rows,
                column,
                self._extra_note,
            )
        for column, times in self.replacements.items():
            log.warning(
                "%d of %d rows: %s had characters that a warehouse cannot store (U+0000 or an unpaired surrogate). "
                "Each was replaced by U+FFFD, and the original was written to `extra`%s",
                times,
                self.rows,
                column,
                self._extra_note,
            )
        if named := sorted(filter(_NAME.fullmatch, self.unknown_fields)):
            log.info("Fields without a column were written to `extra`%s: %s", self._extra_note, ", ".join(named))
        if self.rows_without_id:
            log.warning("%d of %d rows have no numeric `id`", self.rows_without_id, self.rows)
        if self.start_disagreements:
            log.warning(
                "%d of %d rows: `timestamp` disagrees with `date` in the time zone %s, and `date` was used. "
                "If all rows disagree, check the connection's time zone.",
                self.start_disagreements,
                self.rows,
                self._timezone,
            )
        if self.rows_without_start:
            log.warning("%d of %d rows have no readable start", self.rows_without_start, self.rows)


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    # `pa.concat_batches` exists only since pyarrow 19.
    return batches[0] if len(batches) == 1 else pa.Table.from_batches(batches).combine_chunks().to_batches()[0]
