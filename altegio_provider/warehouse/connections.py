"""Opens what a load needs: the files of a dataset, and the warehouse of an Airflow connection.

Import it when a task runs, not when a DAG is parsed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property, partial
from typing import Any, BinaryIO, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from altegio_provider.api.arguments import argument_error
from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.compat import get_connection, get_hook_lineage_collector
from altegio_provider.operators.arguments import storage_path
from altegio_provider.tables.convert.unify import cast_batches, conflicting_columns, unify_schemas
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
    """The files to load. Each file's footer is read once, when it is first needed.

    :param files: their paths.
    """

    def __init__(self, files: Sequence[str]) -> None:
        self.files = list(files)
        #: Whether a file was missing when it was opened, because another run has cut or replaced it.
        self.has_changed = False

    @cached_property
    def _footers(self) -> list[_Footer]:
        return [self._footer(file) for file in self.files]

    @property
    def ranges(self) -> list[LoadRange]:
        """The location and range of each file whose footer has them."""
        return [footer.range for footer in self._footers if footer.range is not None]

    def check_ranges(self) -> None:
        """Check that every file's footer has its location and range.

        :raises AltegioValidationError: a file's footer does not.
        """
        without_range = [file for file, footer in zip(self.files, self._footers, strict=True) if footer.range is None]
        if without_range:
            raise argument_error(
                "mode",
                f"replace_range cannot be used with {without_range[0]}: {len(without_range)} of {len(self.files)} "
                "files do not name their location and range",
                "Only files that an extract of this provider wrote name them. Use upsert or append for others.",
            )

    def batches(self) -> pa.RecordBatchReader:
        """Return the rows of all files, row group by row group, with the union of the files' columns.

        :raises ColumnConflictError: the types of a column have no common type.
        """
        schemas = [footer.schema for footer in self._footers]
        # A column that is null in all rows of a file takes the type that it has in others.
        conflicts = conflicting_columns(schemas)
        schemas = [footer.schema_without_types(conflicts & footer.empty_columns) for footer in self._footers]
        schema = unify_schemas(zip(self.files, schemas, strict=True))

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
        footer: dict[str, Any] = json.loads((metadata.metadata or {}).get(FOOTER_KEY.encode(), b"{}"))
        window = None
        if {"location_id", "from", "to"} <= footer.keys():
            start, end = (datetime.fromisoformat(footer[name]) for name in ("from", "to"))
            window = LoadRange(footer["location_id"], start, end)
        return _Footer(metadata.schema.to_arrow_schema().remove_metadata(), window, _empty_columns(metadata))


def _empty_columns(metadata: pq.FileMetaData) -> frozenset[str]:
    """Return the columns that are null in all rows, as the statistics of the row groups show."""
    filled = set()
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            statistics = column.statistics
            nulls = statistics.null_count if statistics is not None and statistics.has_null_count else 0
            if nulls < group.num_rows:
                filled.add(column.path_in_schema)
    return frozenset(set(metadata.schema.names) - filled)


class _Footer(NamedTuple):
    """What a file's footer has: its columns, those that are null in all rows, and its location and range."""

    schema: pa.Schema
    range: LoadRange | None
    empty_columns: frozenset[str]

    def schema_without_types(self, names: Collection[str]) -> pa.Schema:
        """Return the schema with the type ``null`` for some columns."""
        return pa.schema([field.with_type(pa.null()) if field.name in names else field for field in self.schema])


def source_files(source_path: str | Mapping[str, Any], sleep: Callable[[float], None] = time.sleep) -> LoadSource:
    """Return the files to load.

    :param source_path: a dataset's root, a ``.parquet`` file, or the summary of an extract.
    :param sleep: waits the given number of seconds before the manifest is read again, if a file that it names is gone.
    :raises AltegioValidationError: there are no files, or one does not exist.
    :raises DatasetError: a manifest is missing or damaged, and the files do not show which rows are current.
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
            # A run that cuts a file also replaces the manifest.
            files = retry_on_conflict(partial(_files_of, root), sleep)
        except FileNotFoundError:
            files = []
    if not files or not is_there:
        raise argument_error(
            "source_path",
            "does not name a dataset, or one of its files does not exist",
            "Give the root of a dataset, a .parquet file, or the summary of an extract.",
        )
    return LoadSource(files)


@contextmanager
def open_warehouse(conn_id: str, wait_seconds: float = WAIT_SECONDS) -> Iterator[Warehouse]:
    """Open the warehouse of a connection.

    :param conn_id: a connection of type ``duckdb`` to a file, or of type ``adbc`` to PostgreSQL.
    :param wait_seconds: how long to wait while another process has the DuckDB file open, and for other loads.
    :raises AltegioValidationError: the connection has another type, or leads to a DuckDB database in memory or to
        another database than PostgreSQL.
    :raises WarehouseBusyError: another process had the DuckDB file open for too long.
    """
    kind = "duckdb" if conn_id == "duckdb_default" else get_connection(conn_id).conn_type
    if kind == "duckdb":
        with _closing(_duckdb(conn_id, wait_seconds)) as connection:
            yield DuckDbWarehouse(connection, wait_seconds)
    elif kind == "adbc":
        from airflow.providers.apache.arrow.hooks.adbc import AdbcHook

        with _closing(AdbcHook(adbc_conn_id=conn_id).get_conn()) as connection:
            vendor = connection.adbc_get_info().get("vendor_name")
            if vendor != "PostgreSQL":
                raise _wrong_connection(f"{conn_id!r} leads to {vendor}, which is not supported")
            yield AdbcWarehouse(connection, wait_seconds)
    else:
        raise _wrong_connection(f"{conn_id!r} has the type {kind!r}, which is not supported")


def _duckdb(conn_id: str, wait_seconds: float) -> Any:
    from airflow.providers.duckdb.hooks.duckdb import IN_MEMORY_DATABASE, DuckDBHook

    hook = DuckDBHook(duckdb_conn_id=conn_id)
    if hook.get_database() in ("", IN_MEMORY_DATABASE):
        raise argument_error(
            "conn_id",
            f"{conn_id!r} leads to a DuckDB database in memory, which is lost when the task ends",
            "Give the connection a file as its host, such as /data/warehouse.duckdb.",
        )
    connection = connect_when_free(hook.get_conn, wait_seconds)
    # DuckDB must not use a Python variable in place of a missing table of the same name.
    connection.execute("SET python_enable_replacements = false")
    return connection


def _wrong_connection(problem: str) -> AltegioValidationError:
    return argument_error("conn_id", problem, "Use one of type duckdb, or of type adbc to PostgreSQL.")


@contextmanager
def _closing(connection: Any) -> Iterator[Any]:
    """Close a connection at the end of the block. If that fails after an error, the first error is raised."""
    try:
        yield connection
    except BaseException as error:
        clean_up_after(error, connection.close)
        raise
    connection.close()


def _open(file: str) -> BinaryIO:
    """Open a file for reading, with consistent content.

    :raises FileNotFoundError: it does not exist.
    """
    path = storage_path(file)
    folder = Folder(path.parent)
    opened = retry_on_conflict(lambda: folder.open(path.name), folder.sleep, tries_without_file=1)
    get_hook_lineage_collector().add_input_asset(context=path, uri=str(path))
    return opened


def _metadata(file: str) -> pq.FileMetaData:
    """Read a file's Parquet footer.

    :raises FileNotFoundError: the file does not exist.
    """
    path = storage_path(file)
    folder = Folder(path.parent)
    return read_parquet_footer(folder, folder.listed(path.name))


def _files_of(root: Any) -> list[str]:
    """Return the current files of a dataset, after checking that all of them exist.

    :raises FileNotFoundError: one does not exist.
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
