"""Writes record batches to one Parquet file, in row groups of bounded size."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["FOOTER_KEY", "FileWriter"]

#: The key of the provider's own JSON in a file's footer.
FOOTER_KEY = "altegio"
#: A row group is written when it reaches either limit, so these also limit the memory.
_GROUP_ROWS = 32_768
_GROUP_BYTES = 16 * 1024 * 1024
#: Columns whose values hardly repeat. A dictionary of the values would be larger than the values.
_DISTINCT = {"id", "extra"}


class FileWriter:
    """Writes one Parquet file (zstd, with statistics) from batches of any size.

    :param path: the file on the local disk.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: pq.ParquetWriter | None = None
        self._schema: pa.Schema | None = None
        self._held: list[pa.RecordBatch] = []
        self._held_rows = self._held_bytes = 0
        self.rows = 0

    @property
    def schema(self) -> pa.Schema | None:
        """The schema of the first batch, ``None`` before it."""
        return self._schema

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Add rows. The first batch, which may be empty, sets the schema.

        :param batch: the rows.
        :raises ValueError: a later batch has another schema. The error names the columns.
        """
        schema = batch.schema.remove_metadata()
        if self._schema is None:
            self._writer = pq.ParquetWriter(
                self.path, schema, compression="zstd", use_dictionary=list(_repeating(schema))
            )
            self._schema = schema
        elif not schema.equals(self._schema):
            raise ValueError(f"the schema changed during the run: {_difference(self._schema, schema)}")
        self._held += batch.to_batches() if isinstance(batch, pa.Table) else [batch]
        self._held_rows += batch.num_rows
        self._held_bytes += batch.nbytes
        self.rows += batch.num_rows
        if self._held_rows >= _GROUP_ROWS or self._held_bytes >= _GROUP_BYTES:
            self._flush()

    def close(self, footer: Mapping[str, Any]) -> None:
        """Finish the file.

        :param footer: JSON values to store in its footer.
        :raises ValueError: no batch was written, so the schema is unknown.
        """
        if self._writer is None:
            raise ValueError("no batch was written, so the schema is unknown: write at least an empty batch")
        self._flush()
        self._writer.add_key_value_metadata({FOOTER_KEY: json.dumps(footer)})
        writer, self._writer = self._writer, None
        writer.close()

    def abort(self) -> None:
        """Close an unfinished file. Errors are suppressed, because the error that led here is the one to report."""
        self._held.clear()
        if self._writer is not None:
            with contextlib.suppress(OSError, pa.ArrowException):
                self._writer.close()
            self._writer = None

    def _flush(self) -> None:
        if self._held_rows and self._writer is not None:
            table = pa.Table.from_batches(self._held, schema=self._schema)
            self._writer.write_table(table, row_group_size=_GROUP_ROWS)
        self._held, self._held_rows, self._held_bytes = [], 0, 0


def _repeating(schema: pa.Schema) -> Iterator[str]:
    """Yield the Parquet paths of the columns whose values tend to repeat."""
    for field in schema:
        if field.name not in _DISTINCT and not pa.types.is_timestamp(field.type):
            yield from _leaves(field.name, field.type)


def _leaves(path: str, kind: pa.DataType) -> Iterator[str]:
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    elif pa.types.is_struct(kind):
        for number in range(kind.num_fields):
            yield from _leaves(f"{path}.{kind.field(number).name}", kind.field(number).type)
    else:
        yield path


def _difference(before: pa.Schema, after: pa.Schema) -> str:
    was, became = ({field.name: str(field.type) for field in schema} for schema in (before, after))
    changes = [
        f"{name} was {was.get(name, 'absent')} and became {became.get(name, 'absent')}"
        for name in {**was, **became}
        if was.get(name) != became.get(name)
    ]
    return "; ".join(changes) or "the order of the columns changed"
