"""What loading into a warehouse needs of Airflow: connections, and paths of datasets.

Imported when a task runs, never when a DAG is parsed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from datetime import datetime
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.compat import BaseHook
from altegio_provider.extraction import storage_path
from altegio_provider.tables.dataset import read_manifest
from altegio_provider.warehouse import AdbcWarehouse, DuckDbWarehouse, LoadRange, Warehouse

__all__ = ["Source", "open_warehouse", "source_files"]


class Source(NamedTuple):
    """The files to load."""

    files: list[str]

    @property
    def ranges(self) -> list[LoadRange]:
        """Each file's location and range, from its footer."""
        ranges = []
        for file in self.files:
            said = _footer(file)
            if {"location_id", "from", "to"} <= said.keys():
                start, end = (datetime.fromisoformat(said[name]) for name in ("from", "to"))
                ranges.append(LoadRange(said["location_id"], start, end))
        return ranges

    def batches(self) -> pa.RecordBatchReader:
        """The rows of all files, one row group after the other."""
        schema = _schema(self.files[0])

        def read() -> Iterator[pa.RecordBatch]:
            for file in self.files:
                with _open(file) as opened:
                    for batch in pq.ParquetFile(opened).iter_batches():
                        yield batch.cast(schema)

        return pa.RecordBatchReader.from_batches(schema, read())


def source_files(source_path: str | Mapping[str, Any]) -> Source:
    """Return the files that count.

    :raises AltegioValidationError: there are none.
    """
    if isinstance(source_path, Mapping):
        files = list(source_path.get("files") or [])
    elif str(source_path).endswith(".parquet"):
        files = [str(source_path)]
    else:
        files = [file.path for file in read_manifest(storage_path(source_path))]
    if not files or not all(storage_path(file).exists() for file in files):
        raise AltegioValidationError(
            "source_path names no dataset, or a file of it is gone.",
            errors={"source_path": ["give the root of a dataset, a .parquet file, or the summary of an extract"]},
            hint="",
        )
    return Source(files)


@contextmanager
def open_warehouse(conn_id: str) -> Iterator[Warehouse]:
    """Open the warehouse of a connection.

    :raises AltegioValidationError: the connection is of a type that takes no Arrow.
    """
    kind = "duckdb" if conn_id == "duckdb_default" else BaseHook.get_connection(conn_id).conn_type
    if kind == "duckdb":
        from airflow.providers.duckdb.hooks.duckdb import DuckDBHook

        with closing(DuckDBHook(duckdb_conn_id=conn_id).get_conn()) as connection:
            yield DuckDbWarehouse(connection)
    elif kind == "adbc":
        from airflow.providers.apache.arrow.hooks.adbc import AdbcHook

        with closing(AdbcHook(adbc_conn_id=conn_id).get_conn()) as connection:
            yield AdbcWarehouse(connection)
    else:
        raise AltegioValidationError(
            f"the connection {conn_id!r} is of type {kind!r}.",
            errors={"conn_id": ["use one of type duckdb, or of type adbc to PostgreSQL"]},
            hint="",
        )


def _open(file: str) -> Any:
    path: Any = storage_path(file)
    return path.open("rb")


def _schema(file: str) -> pa.Schema:
    with _open(file) as opened:
        return pq.read_schema(opened).remove_metadata()


def _footer(file: str) -> dict[str, Any]:
    with _open(file) as opened:
        metadata = pq.read_metadata(opened).metadata or {}
    said: dict[str, Any] = json.loads(metadata.get(b"altegio", b"{}"))
    return said
