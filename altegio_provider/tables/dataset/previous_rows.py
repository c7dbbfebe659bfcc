"""What earlier runs saw in a window, and a run that reads the window again does not.

A class that is deleted is left out of the API's lists, and so would be lost with the file that a run replaces. Here it
stays: as the row that was seen last, with ``is_deleted``. What a run cannot see at all (classes that nobody booked,
where it works from bookings) stays as it was.

**Memory**: the ids of the window in a compressed bitmap (about two bytes for each), and one row group of an older file.
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

#: A file that another run takes away meanwhile is looked for again so often.
_TRIES = 10
_RETRY_SECONDS = 0.5
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_KEYS = {"id": pa.types.is_int64, "starts_at": pa.types.is_timestamp, "is_deleted": pa.types.is_boolean}
_INSTANT = pa.timestamp("us", tz="UTC")


class PreviousFile(NamedTuple):
    """An older file, and the parts of the window for which it is the one that counts."""

    name: str
    parts: list[UtcWindow]


def previous_files(window: UtcWindow, entries: Iterable[ManifestEntry]) -> list[PreviousFile]:
    """Return the files that hold what was known of a window, the one written last first."""
    order = sorted((one for one in entries if one.is_readable), key=lambda entry: entry.written_at, reverse=True)
    previous_files = []
    for entry, rest in zip(order, remainders([entry.window for entry in order]), strict=True):
        parts = [
            UtcWindow(max(one.start, window.start), min(one.end, window.end)) for one in rest if one.overlaps(window)
        ]
        if parts:
            previous_files.append(PreviousFile(entry.name, parts))
    return previous_files


class PreviousRows:
    """Watches what a run brings, and then gives what it lacks.

    :param folder: where the older files are.
    :param previous_files: tells which of them hold what was known of the window; asked when the rows are wanted.
    :param marks_deleted: whether a row that the run does not bring is gone. A list tells that; what works from
        bookings does not: then missing rows stay as they were, and a row that had been deleted is not taken for alive.
    """

    def __init__(
        self, folder: Folder, previous_files: Callable[[], Sequence[PreviousFile]], *, marks_deleted: bool
    ) -> None:
        self._folder = folder
        self._previous_files = previous_files
        self._marks_deleted = marks_deleted
        self._ids = BitMap64()
        #: Rows that start before this moment were perhaps not listed any more when the run read, and stay as they were.
        self.complete_from = _EPOCH.replace(year=1)
        #: Rows that were added marked as deleted, and as they were.
        self.deleted = self.kept = 0

    def track(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Pass the run's batches on, as they come from the API, and remember their ids."""
        gone = set() if self._marks_deleted else self._gone()
        for batch in batches:
            ids = batch.column("id").to_pylist()
            self._ids.update([_unsigned(number) for number in ids if number is not None])
            if gone:
                rows = zip(ids, _microseconds(batch["starts_at"]), batch["is_deleted"].to_pylist(), strict=True)
                flags = [
                    flag or (number is not None and (_unsigned(number), start) in gone) for number, start, flag in rows
                ]
                place = batch.schema.get_field_index("is_deleted")
                batch = batch.set_column(place, batch.schema.field(place), array_of(pa.bool_(), flags))
            yield batch

    def missing_rows(self, schema: pa.Schema) -> Iterator[pa.Table]:
        """Yield the rows that the run lacks, each id once: those that were alive before those that were not.

        Columns that the older files do not have in the schema's type are null.
        """
        if not _has_keys(schema):
            log.warning("Nothing can be marked as deleted without the columns %s", ", ".join(_KEYS))
            return
        for were_deleted in (False, True):
            # An id is taken once, so that the same rows of other files are passed over.
            yield from self._retry_when_files_go(partial(self._rows_of, were_deleted, schema))

    def _rows_of(self, were_deleted: bool, schema: pa.Schema) -> Iterator[pa.Table]:
        for source in self._previous_files():
            with self._opened(source) as file:
                for table in self._missing_in(file, source.parts, were_deleted):
                    yield _with_schema(table, schema)

    def _retry_when_files_go(self, read: Callable[[], Iterator[T]]) -> Iterator[T]:
        """Begin anew where another run has cut or replaced a file after it was looked for."""
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
            flags: list[bool] = []  # of those that are taken: whether they are deleted now
            is_taken = []
            for key in keys:
                takes = key is not None and key.was_deleted == were_deleted and key.number not in self._ids
                is_taken.append(takes)
                if key is not None and takes:
                    self._ids.add(key.number)
                    flags.append(key.was_deleted or (self._marks_deleted and key.start >= complete_from))
            if flags:
                self.deleted += sum(flags)
                self.kept += len(flags) - sum(flags)
                table = file.read_row_group(group).filter(array_of(pa.bool_(), is_taken))
                place = table.schema.get_field_index("is_deleted")
                yield table.set_column(place, table.schema.field(place), array_of(pa.bool_(), flags))

    def _gone(self) -> set[tuple[int, int]]:
        """The id and start of each row that is known to be deleted: few, as a rule."""
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
                raise  # the disk's or the network's own
            raise DatasetError(
                f"{self._folder.path_of(source.name)} is damaged ({type(error).__name__}), and this run would lose "
                "what it holds of its range. Put it back from a copy, or delete it."
            ) from error


class _Key(NamedTuple):
    number: int
    start: int  # microseconds since the epoch
    was_deleted: bool


def _keys_of(file: pq.ParquetFile, parts: Sequence[UtcWindow]) -> Iterator[tuple[int, list[_Key | None]]]:
    """Each row group's number and rows; ``None`` for a row that has no id, or does not start in any of the parts."""
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
