"""Writes record batches into one Parquet file, in row groups of bounded size."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

__all__ = ["FileWriter"]

#: A row group is written when it reaches either; so much is held in memory, and no more.
_GROUP_ROWS = 32_768
_GROUP_BYTES = 32 * 1024 * 1024


class FileWriter:
    """One Parquet file (zstd), from batches of any size.

    :param path: the file on the local disk.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self._schema: pa.Schema | None = None
        self._held: list[pa.RecordBatch] = []
        self._held_rows = self._held_bytes = 0
        self.rows = 0

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows; the first batch sets the schema.

        :raises ValueError: a later batch has another schema; the differing columns are named.
        """
        if self._schema is None:
            self._schema = batch.schema
            self._writer = pq.ParquetWriter(self._path, batch.schema, compression="zstd")
        elif not batch.schema.equals(self._schema):
            raise ValueError(f"the schema changed in the middle of the run: {_difference(self._schema, batch.schema)}")
        self._held.append(batch)
        self._held_rows += batch.num_rows
        self._held_bytes += batch.nbytes
        self.rows += batch.num_rows
        if self._held_rows >= _GROUP_ROWS or self._held_bytes >= _GROUP_BYTES:
            self._flush()

    def close(self, metadata: Mapping[str, Any]) -> None:
        """Finish the file, with this JSON in its footer under the key ``altegio``."""
        if self._writer is None:
            raise ValueError("nothing was written, not even an empty batch to tell the schema")
        self._flush()
        self._writer.add_key_value_metadata({"altegio": json.dumps(metadata)})
        self._writer.close()

    def abort(self) -> None:
        """Let go of the file, which is not to be used."""
        self._held.clear()
        if self._writer is not None:
            self._writer.close()

    def _flush(self) -> None:
        if self._held_rows and self._writer is not None:
            self._writer.write_table(pa.Table.from_batches(self._held), row_group_size=_GROUP_ROWS)
        self._held, self._held_rows, self._held_bytes = [], 0, 0


def _difference(before: pa.Schema, after: pa.Schema) -> str:
    was, became = ({field.name: str(field.type) for field in schema} for schema in (before, after))
    changes = [
        f"{name} was {was.get(name, 'absent')} and became {became.get(name, 'absent')}"
        for name in {**was, **became}
        if was.get(name) != became.get(name)
    ]
    return "; ".join(changes) or "the columns changed places"
