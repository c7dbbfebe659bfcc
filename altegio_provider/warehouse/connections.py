"""What loading into a warehouse needs of Airflow: connections, and paths of datasets.

Imported when a task runs, never when a DAG is parsed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property, partial
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.compat import BaseHook, get_hook_lineage_collector
from altegio_provider.operators.arguments import storage_path
from altegio_provider.tables.convert.unify import cast_batches, unify_schemas
from altegio_provider.tables.dataset.conflict_retry import retry_on_conflict
from altegio_provider.tables.dataset.dataset import read_manifest
from altegio_provider.tables.dataset.file_writer import FOOTER_KEY
from altegio_provider.tables.dataset.folder import Folder
from altegio_provider.tables.dataset.manifest import read_parquet_footer
from altegio_provider.warehouse import AdbcWarehouse, DuckDbWarehouse, LoadRange, Warehouse
from altegio_provider.warehouse.base import WAIT_SECONDS, clean_up_after
from altegio_provider.warehouse.duckdb_file import connect_when_free

__all__ = ["LoadSource", "open_warehouse", "source_files"]


class LoadSource:
    """The files to load.

    :param files: their paths. Each file's footer is read once, when it is first needed.
    """

    def __init__(self, files: Sequence[str]) -> None:
        self.files = list(files)
        #: Whether a file was gone when it was to be read: a run has cut or replaced it meanwhile.
        self.has_changed = False

    @cached_property
    def _footers(self) -> list[_Footer]:
        return [self._footer(file) for file in self.files]

    @property
    def ranges(self) -> list[LoadRange]:
        """Each file's location and range, from its footer; nothing of a file that does not tell them."""
        return [footer.range for footer in self._footers if footer.range is not None]

    def check_ranges(self) -> None:
        """Check that every file tells its location and range.

        :raises AltegioValidationError: one does not.
        """
        silent = [file for file, footer in zip(self.files, self._footers, strict=True) if footer.range is None]
        if silent:
            raise AltegioValidationError(
                f"mode replace_range cannot replace what {silent[0]} holds.",
                errors={"mode": [f"{len(silent)} of {len(self.files)} files do not tell their location and range"]},
                hint="Only files that an extract of this provider wrote tell them; use upsert or append for others.",
            )

    def batches(self) -> pa.RecordBatchReader:
        """The rows of all files, one row group after the other, with the columns of all of them.

        :raises ColumnConflictError: files have a column of one name with types that cannot be joined.
        """
        schema = unify_schemas(zip(self.files, (footer.schema for footer in self._footers), strict=True))

        def read() -> Iterator[pa.RecordBatch]:
            for file in self.files:
                with self._open(file) as opened:
                    yield from cast_batches(pq.ParquetFile(opened).iter_batches(), schema)

        return pa.RecordBatchReader.from_batches(schema, read())

    def _open(self, file: str) -> BinaryIO:
        try:
            return _open(file)
        except FileNotFoundError:
            self.has_changed = True
            raise

    def _footer(self, file: str) -> _Footer:
        try:
            metadata = _metadata(file)
        except FileNotFoundError:
            self.has_changed = True
            raise
        said: dict[str, Any] = json.loads((metadata.metadata or {}).get(FOOTER_KEY.encode(), b"{}"))
        window = None
        if {"location_id", "from", "to"} <= said.keys():
            start, end = (datetime.fromisoformat(said[name]) for name in ("from", "to"))
            window = LoadRange(said["location_id"], start, end)
        return _Footer(metadata.schema.to_arrow_schema().remove_metadata(), window)


class _Footer(NamedTuple):
    schema: pa.Schema
    range: LoadRange | None


def source_files(source_path: str | Mapping[str, Any], sleep: Callable[[float], None] = time.sleep) -> LoadSource:
    """Return the files that count.

    :param sleep: waits so many seconds before the manifest is read again, where a file that it names is gone.
    :raises AltegioValidationError: there are none, or one of them is gone.
    :raises DatasetError: a manifest is missing or damaged, and which files count cannot be told without it.
    """
    is_there = True
    if isinstance(source_path, Mapping):
        files = list(source_path.get("files") or [])
        is_there = all(storage_path(file).exists() for file in files)
    elif str(source_path).endswith(".parquet"):
        files = [str(source_path)]
        is_there = storage_path(source_path).exists()
    else:
        root = storage_path(source_path)
        try:
            # A run that cuts a file writes the manifest anew at the same time.
            files = retry_on_conflict(partial(_files_of, root), sleep)
        except FileNotFoundError:
            files = []
    if not files or not is_there:
        raise AltegioValidationError(
            "source_path names no dataset, or a file of it is gone.",
            errors={"source_path": ["give the root of a dataset, a .parquet file, or the summary of an extract"]},
            hint="",
        )
    return LoadSource(files)


@contextmanager
def open_warehouse(conn_id: str, wait_seconds: float = WAIT_SECONDS) -> Iterator[Warehouse]:
    """Open the warehouse of a connection.

    :param wait_seconds: how long to wait while another process has a DuckDB file open, and for other loads.
    :raises AltegioValidationError: the connection is of a type that takes no Arrow, leads to a database that is gone
        when the task ends, or to another database than PostgreSQL.
    :raises WarehouseBusyError: another process had the DuckDB file open for too long.
    """
    kind = "duckdb" if conn_id == "duckdb_default" else BaseHook.get_connection(conn_id).conn_type
    if kind == "duckdb":
        with _closing(_duckdb(conn_id, wait_seconds)) as connection:
            yield DuckDbWarehouse(connection, wait_seconds)
    elif kind == "adbc":
        from airflow.providers.apache.arrow.hooks.adbc import AdbcHook

        with _closing(AdbcHook(adbc_conn_id=conn_id).get_conn()) as connection:
            vendor = connection.adbc_get_info().get("vendor_name")
            if vendor != "PostgreSQL":
                raise _wrong_connection(f"the connection {conn_id!r} leads to {vendor}.")
            yield AdbcWarehouse(connection, wait_seconds)
    else:
        raise _wrong_connection(f"the connection {conn_id!r} is of type {kind!r}.")


def _duckdb(conn_id: str, wait_seconds: float) -> Any:
    from airflow.providers.duckdb.hooks.duckdb import IN_MEMORY_DATABASE, DuckDBHook

    hook = DuckDBHook(duckdb_conn_id=conn_id)
    if hook.get_database() in ("", IN_MEMORY_DATABASE):
        raise AltegioValidationError(
            f"the connection {conn_id!r} leads to a DuckDB database in memory, which is gone when the task ends.",
            errors={"conn_id": ["give the connection a file as its host, such as /data/warehouse.duckdb"]},
            hint="",
        )
    connection = connect_when_free(hook.get_conn, wait_seconds)
    # A table that is not there must not be taken for a variable of that name.
    connection.execute("SET python_enable_replacements = false")
    return connection


def _wrong_connection(text: str) -> AltegioValidationError:
    return AltegioValidationError(
        text, errors={"conn_id": ["use one of type duckdb, or of type adbc to PostgreSQL"]}, hint=""
    )


@contextmanager
def _closing(connection: Any) -> Iterator[Any]:
    """Close a connection; where that fails after an error, the error is raised that came first."""
    try:
        yield connection
    except BaseException as error:
        clean_up_after(error, connection.close)
        raise
    connection.close()


def _open(file: str) -> BinaryIO:
    """Open a file for reading, all of it as it is at one moment.

    :raises FileNotFoundError: it is gone.
    """
    path = storage_path(file)
    folder = Folder(path.parent)
    opened = retry_on_conflict(lambda: folder.open(path.name), folder.sleep, tries_without_file=1)
    get_hook_lineage_collector().add_input_asset(context=path, uri=str(path))
    return opened


def _metadata(file: str) -> pq.FileMetaData:
    """Read a file's footer.

    :raises FileNotFoundError: it is gone.
    """
    path = storage_path(file)
    folder = Folder(path.parent)
    return read_parquet_footer(folder, folder.listed(path.name))


def _files_of(root: Any) -> list[str]:
    """The files that count in a dataset, all of which are there.

    :raises FileNotFoundError: one is not.
    """
    files = read_manifest(root)
    there: dict[int, set[str]] = {}
    for file in files:
        if file.location_id not in there:
            listing = Folder(storage_path(file.path).parent).listing()
            there[file.location_id] = {listed.name for listed in listing}
        if storage_path(file.path).name not in there[file.location_id]:
            raise FileNotFoundError(file.path)
    return [file.path for file in files]
