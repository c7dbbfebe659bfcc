"""Keeps the rows of earlier runs that a run does not read again.

The API's lists omit deleted events, so a deleted event would be lost with the file that a run replaces. It is kept
instead: the last row that was read, with ``is_deleted``. A row that the run cannot read at all (an event that nobody
booked, in a run that works from appointments) is kept unchanged.

**Memory**: the ids of the window in a compressed bitmap (about two bytes each), and one row group of an older file.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NamedTuple, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq
from pyroaring import BitMap64

from altegio_provider.tables.convert.arrays import array_of
from altegio_provider.tables.dataset.folder import Folder
from altegio_provider.tables.dataset.manifest import DatasetError, ManifestEntry
from altegio_provider.tables.dataset.storage_errors import WriteConflictError
from altegio_provider.tables.dataset.windows import UtcWindow, remainders

__all__ = ["PreviousFile", "PreviousRows", "previous_files"]

log = logging.getLogger(__name__)

T = TypeVar("T")

#: How often the files are listed again if another run deletes or replaces one meanwhile.
_TRIES = 10
_RETRY_SECONDS = 0.5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEYS = {"id": pa.types.is_int64, "starts_at": pa.types.is_timestamp, "is_deleted": pa.types.is_boolean}
_INSTANT = pa.timestamp("us", tz="UTC")


class PreviousFile(NamedTuple):
    """An older file, and the parts of the window for which it has the current rows.

    :param name: the file's name.
    :param parts: the parts of the window.
    """

    name: str
    parts: list[UtcWindow]


def previous_files(window: UtcWindow, entries: Iterable[ManifestEntry]) -> list[PreviousFile]:
    """Return the files with the current rows of a window, the latest first.

    :param window: the window.
    :param entries: the location's files.
    """
    order = sorted((one for one in entries if one.is_readable), key=lambda entry: entry.written_at, reverse=True)
    files = []
    for entry, rest in zip(order, remainders([entry.window for entry in order]), strict=True):
        parts = [
            UtcWindow(max(one.start, window.start), min(one.end, window.end)) for one in rest if one.overlaps(window)
        ]
        if parts:
            files.append(PreviousFile(entry.name, parts))
    return files


class PreviousRows:
    """Records the ids that a run reads, and then returns the rows of earlier runs that it lacks.

    :param folder: the location's folder.
    :param previous_files: returns the files with the current rows of the window. Called when the rows are needed.
    :param marks_deleted: whether a row that the run does not read is deleted. That is so if the run reads a complete
        list. A run that works from appointments is not complete: then missing rows stay unchanged, and a row that
        was marked as deleted stays marked.
    """

    def __init__(
        self, folder: Folder, previous_files: Callable[[], Sequence[PreviousFile]], *, marks_deleted: bool
    ) -> None:
        self._folder = folder
        self._previous_files = previous_files
        #: See ``marks_deleted`` above; it may be changed until the first batch comes.
        self.marks_deleted = marks_deleted
        self._ids = BitMap64()
        #: The run's list is complete from this start on. Missing rows that start earlier stay unchanged.
        self.complete_from = _EPOCH.replace(year=1)
        #: How many rows were added marked as deleted, and how many unchanged.
        self.deleted = self.kept = 0

    def track(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the run's batches and record their ids.

        :param batches: the batches as converted from the API's rows.
        """
        gone: set[tuple[int, int]] | None = None
        for batch in batches:
            if gone is None:
                gone = set() if self.marks_deleted else self._gone()
            ids = batch.column("id").to_pylist()
            self._ids.update([_unsigned(number) for number in ids if number is not None])
            if gone:
                rows = zip(ids, _microseconds(batch["starts_at"]), batch["is_deleted"].to_pylist(), strict=True)
                flags = [
                    flag or (number is not None and (_unsigned(number), start) in gone) for number, start, flag in rows
                ]
                index = batch.schema.get_field_index("is_deleted")
                batch = batch.set_column(index, batch.schema.field(index), array_of(pa.bool_(), flags))
            yield batch

    def missing_rows(self, schema: pa.Schema) -> Iterator[pa.Table]:
        """Yield the rows that the run lacks, each id once. Rows not marked as deleted take precedence.

        :param schema: the schema of the rows. A column that an older file does not have in this type is null.
        """
        if not _has_keys(schema):
            log.warning("Rows cannot be marked as deleted without the columns %s", ", ".join(_KEYS))
            return
        for were_deleted in (False, True):
            # Each id that is yielded is recorded, so the same row of another file is skipped.
            yield from self._retry_when_files_go(partial(self._rows_of, were_deleted, schema))

    def _rows_of(self, were_deleted: bool, schema: pa.Schema) -> Iterator[pa.Table]:
        for source in self._previous_files():
            with self._opened(source) as file:
                for table in self._missing_in(file, source.parts, were_deleted):
                    yield _with_schema(table, schema)

    def _retry_when_files_go(self, read: Callable[[], Iterator[T]]) -> Iterator[T]:
        """Start again if another run has cut or replaced a file since the files were listed."""
        for _ in range(_TRIES):
            try:
                yield from read()
                return
            except (WriteConflictError, FileNotFoundError):
                self._folder.sleep(_RETRY_SECONDS)
        yield from read()

    def _missing_in(self, file: pq.ParquetFile, parts: list[UtcWindow], were_deleted: bool) -> Iterator[pa.Table]:
        complete_from = _us(self.complete_from)
        for group, keys in _keys_of(file, parts):
            flags: list[bool] = []  # for each row that is taken: whether it is marked as deleted now
            is_taken = []
            for key in keys:
                takes = key is not None and key.was_deleted == were_deleted and key.number not in self._ids
                is_taken.append(takes)
                if key is not None and takes:
                    self._ids.add(key.number)
                    flags.append(key.was_deleted or (self.marks_deleted and key.start >= complete_from))
            if flags:
                self.deleted += sum(flags)
                self.kept += len(flags) - sum(flags)
                table = file.read_row_group(group).filter(array_of(pa.bool_(), is_taken))
                index = table.schema.get_field_index("is_deleted")
                yield table.set_column(index, table.schema.field(index), array_of(pa.bool_(), flags))

    def _gone(self) -> set[tuple[int, int]]:
        """Return the id and start of each row that is marked as deleted. Usually these are few."""
        return set(self._retry_when_files_go(self._deleted_rows))

    def _deleted_rows(self) -> Iterator[tuple[int, int]]:
        for source in self._previous_files():
            with self._opened(source) as file:
                for _, keys in _keys_of(file, source.parts):
                    yield from ((key.number, key.start) for key in keys if key is not None and key.was_deleted)

    @contextmanager
    def _opened(self, source: PreviousFile) -> Iterator[pq.ParquetFile]:
        try:
            with self._folder.open(source.name) as opened:
                yield pq.ParquetFile(opened)
        except FileNotFoundError:
            raise
        except (pa.ArrowException, OSError) as error:
            if getattr(error, "errno", None) is not None:
                raise  # an error of the disk or the network
            raise DatasetError(
                f"{self._folder.path_of(source.name)} is damaged ({type(error).__name__}), so this run cannot keep its "
                "rows. Restore the file from a backup, or delete it to go on without these rows."
            ) from error


class _Key(NamedTuple):
    number: int
    start: int  # microseconds since the epoch
    was_deleted: bool


def _keys_of(file: pq.ParquetFile, parts: Sequence[UtcWindow]) -> Iterator[tuple[int, list[_Key | None]]]:
    """Yield each row group's number and keys; ``None`` for a row without an id, or that starts outside of the parts."""
    if not _has_keys(file.schema_arrow):
        return
    bounds = [(_us(part.start), _us(part.end)) for part in parts]
    for group in range(file.num_row_groups):
        table = file.read_row_group(group, columns=list(_KEYS))
        starts = _microseconds(table.column("starts_at"))
        rows = zip(table["id"].to_pylist(), starts, table["is_deleted"].to_pylist(), strict=True)
        yield (
            group,
            [
                _Key(_unsigned(number), start, bool(was_deleted))
                if number is not None and start is not None and any(first <= start < behind for first, behind in bounds)
                else None
                for number, start, was_deleted in rows
            ],
        )


def _has_keys(schema: pa.Schema) -> bool:
    return all(name in schema.names and is_kind(schema.field(name).type) for name, is_kind in _KEYS.items())


def _with_schema(table: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        table.column(field.name)
        if field.name in table.schema.names and table.schema.field(field.name).type.equals(field.type)
        else pa.nulls(table.num_rows, field.type)
        for field in schema
    ]
    return pa.Table.from_arrays(columns, schema=schema)


def _microseconds(starts: pa.Array | pa.ChunkedArray) -> list[int | None]:
    values: list[int | None] = starts.cast(_INSTANT, safe=False).cast(pa.int64()).to_pylist()
    return values


def _us(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _unsigned(number: int) -> int:
    return number % 2**64
