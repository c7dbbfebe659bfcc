"""A Parquet dataset in which each run replaces its own range, and no reader sees a partial run.

::

    <root>/location-1001/20261120T000000Z--20261121T000000Z.parquet     the rows that start in that window
    <root>/location-1001/_manifest.json                                 the current files, with rows and bytes

The windows of a location's files do not overlap. A run writes one file for its window. If an earlier run had the same
window, the new file replaces the earlier one in one step. If the window overlaps others (a ``lookback``, a backfill),
the other files are cut to the remaining parts of their windows. :mod:`~altegio_provider.tables.dataset.commit`
describes the steps, and the state that a killed writer leaves.

A reader of the manifest sees the state before a run or after it. If a file that the manifest names is gone when it is
opened, read the manifest again. A reader of ``**/*.parquet`` sees complete files only. While a run that overlaps other
windows is committed, such a reader sees the rows of the overlap twice, from the new file's appearance to the old one's
deletion, or until the next run if the writer is killed in between. It never misses these rows.
"""

from __future__ import annotations

import re
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import pyarrow as pa

from altegio_provider.tables.dataset.commit import NewFile, check_can_commit, commit, with_size
from altegio_provider.tables.dataset.conflict_retry import retry_on_conflict
from altegio_provider.tables.dataset.file_writer import FileWriter
from altegio_provider.tables.dataset.folder import Folder
from altegio_provider.tables.dataset.manifest import (
    DatasetError,
    ManifestEntry,
    all_files,
    current_files,
    entry_from_footer,
)
from altegio_provider.tables.dataset.previous_rows import PreviousFile, PreviousRows, previous_files
from altegio_provider.tables.dataset.saved_answers import SavedAnswers
from altegio_provider.tables.dataset.storage_errors import disk_errors
from altegio_provider.tables.dataset.windows import UtcWindow

__all__ = ["DataFile", "DatasetError", "ParquetDataset", "RunResult", "RunWriter", "read_manifest"]

_LOCATION = re.compile(r"location-(\d+)")


class DataFile(NamedTuple):
    """A current file of a dataset, as the manifest describes it.

    :param path: the full path or URL.
    :param location_id: the location.
    :param start: the window's start, an aware UTC ``datetime``.
    :param end: its end, not included.
    :param rows: how many rows the file has.
    :param bytes: its size.
    :param written_at: when the rows were written, an aware UTC ``datetime``.
    :param notes: small JSON values that the run stored with the file.
    """

    path: str
    location_id: int
    start: datetime
    end: datetime
    rows: int
    bytes: int
    written_at: datetime
    notes: Mapping[str, Any]


class RunResult(NamedTuple):
    """The result of a run: the paths of its files, and how many rows and bytes they have."""

    files: list[str]
    rows: int
    bytes: int


class RunWriter:
    """Receives the record batches of one run."""

    def __init__(self, file: FileWriter) -> None:
        self._file = file
        #: The result; set once the run is committed.
        self.result = RunResult([], 0, 0)

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Add rows.

        :param batch: the rows.
        :raises ValueError: their schema differs from the rows before. The error names the columns.
        :raises StorageError: the disk is full.
        """
        with disk_errors("write into", self._file.path.parent):
            self._file.write(batch)


class ParquetDataset:
    """The files of one location in a dataset. Use it to write a run and to list the current files.

    :param root: the dataset's directory (``pathlib.Path``, ``ObjectStoragePath`` or another path of
        ``universal_pathlib``), or one file, if it ends in ``.parquet``. Then each run replaces that file, and there
        is no manifest.
    :param location_id: the location.
    :param sleep: waits the given number of seconds before a request to a store is repeated.
    """

    def __init__(self, root: Any, location_id: int, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.location_id = location_id
        self._is_one_file = str(root).endswith(".parquet")
        self._file_name = root.name if self._is_one_file else ""
        self._folder = Folder(root.parent if self._is_one_file else root / f"location-{location_id}", sleep)

    def previous_rows(self, start: datetime, end: datetime, *, marks_deleted: bool = True) -> PreviousRows:
        """Return the existing rows of ``[start, end)``, for a run that keeps the rows that it does not read again.

        :param start: the start, an aware datetime.
        :param end: the end, an aware datetime.
        :param marks_deleted: as for :class:`~altegio_provider.tables.dataset.previous_rows.PreviousRows`.
        :raises ValueError: the range is empty or a datetime is naive.
        """
        window = UtcWindow.of(start, end)
        return PreviousRows(self._folder, lambda: self._previous_files(window), marks_deleted=marks_deleted)

    def saved_answers(self, job: str, start: datetime, end: datetime, fresh_for: timedelta) -> SavedAnswers:
        """Return the answers that earlier attempts at a job have saved for ``[start, end)``.

        :param job: the job's name.
        :param start: the start, an aware datetime.
        :param end: the end, an aware datetime.
        :param fresh_for: answers of an attempt that began longer ago than this are not used.
        :raises ValueError: the range is empty or a datetime is naive.
        """
        window = UtcWindow.of(start, end).file_name.removesuffix(".parquet")
        return SavedAnswers(self._folder, f"{job}-{self.location_id}-{window}", fresh_for)

    @contextmanager
    def writer(
        self,
        start: datetime,
        end: datetime,
        notes: Mapping[str, Any] | None = None,
        previous: PreviousRows | None = None,
        mode: int | None = None,
    ) -> Iterator[RunWriter]:
        """Write the rows that start in ``[start, end)``. They become visible when the block ends without an error.

        Write at least one batch, which may be empty: the first batch sets the schema.

        :param start: the start, an aware datetime.
        :param end: the end, an aware datetime.
        :param notes: small JSON values to store in the manifest, with the content that they have when the block ends.
        :param previous: adds the rows of earlier runs that this run lacks; without it the run replaces its window.
        :param mode: the permissions of the file on a disk, such as ``0o600``; ``None``: those of any new file.
        :raises DatasetError: the window overlaps a file that cannot be cut, or the files belong to another location.
            Raised before anything is written.
        :raises StorageError: the disk is full, or the disk or store is not writable.
        :raises ValueError: the range is empty, a datetime is naive, or no batch was written.
        """
        window = UtcWindow.of(start, end)
        self._folder.delete_abandoned()  # files of killed runs may be what fills the disk
        if self._is_one_file:
            self._folder.check_bucket()
            retry_on_conflict(self._check_file, self._folder.sleep)
        else:
            check_can_commit(self._folder, self.location_id, window)
        name = self._file_name or window.file_name
        run_id = uuid.uuid4().hex
        with closing(self._folder.stage(name, mode)) as staged:
            file = FileWriter(staged.path)
            run = RunWriter(file)
            try:
                yield run

                def finish(written_at: datetime) -> NewFile:
                    if previous is not None and file.schema is not None:
                        for rows in previous.missing_rows(file.schema):
                            run.write(rows)
                    entry = ManifestEntry(
                        name, self.location_id, window, file.rows, 0, written_at, run_id, dict(notes or {})
                    )
                    with disk_errors("write into", file.path.parent):
                        file.close(entry.footer())
                    return with_size(self._folder, entry, staged), staged

                entry = self._publish(finish) if self._is_one_file else self._commit(window, finish)
            finally:
                file.abort()
        run.result = RunResult([self._folder.path_of(name)], entry.rows, entry.bytes)

    def files(self) -> list[DataFile]:
        """Return the current files by window: those that the manifest names, or the dataset's one file.

        :raises DatasetError: the manifest is missing or damaged, and the files do not show which rows are current.
        """
        if not self._is_one_file:
            return [self._data_file(entry) for entry in current_files(self._folder).values()]
        entries = retry_on_conflict(self._file_entries, self._folder.sleep)
        return [self._data_file(entry) for entry in entries]

    def _file_entries(self) -> list[ManifestEntry]:
        """Return the entry of the dataset's one file, if it exists."""
        listing = [listed for listed in self._folder.listing() if listed.name == self._file_name]
        return [entry_from_footer(self._folder, listed) for listed in listing]

    def _previous_files(self, window: UtcWindow) -> list[PreviousFile]:
        if not self._is_one_file:
            return previous_files(window, all_files(self._folder).values())
        with suppress(DatasetError):  # the file of another program is replaced without being read
            return previous_files(window, retry_on_conflict(self._file_entries, self._folder.sleep))
        return []

    def _commit(self, window: UtcWindow, finish: Callable[[datetime], NewFile]) -> ManifestEntry:
        return commit(self._folder, self.location_id, window, finish)

    def _publish(self, finish: Callable[[datetime], NewFile]) -> ManifestEntry:
        entry, staged = finish(datetime.now(UTC))

        # If the file does not exist yet, only one writer can create it. The others read again.
        retry_on_conflict(lambda: self._folder.publish(staged, entry.name, self._check_file()), self._folder.sleep)
        self._folder.delete_abandoned()
        return entry

    def _check_file(self) -> str | None:
        """Check the file that the run replaces, and return the version to publish it with.

        :raises DatasetError: it belongs to another location.
        """
        listing = [listed for listed in self._folder.listing() if listed.name == self._file_name]
        for listed in listing:
            try:
                location_id = entry_from_footer(self._folder, listed).location_id
            except DatasetError:
                continue  # the file of another program is replaced without being read
            if location_id != self.location_id:
                raise DatasetError(
                    f"{self._folder.path_of(self._file_name)} has rows of location {location_id}, and a run for "
                    f"location {self.location_id} would replace them. Use a separate file for each location, or a "
                    "folder as output_path: a folder can hold many locations."
                )
        return None if listing else ""

    def _data_file(self, entry: ManifestEntry) -> DataFile:
        return DataFile(
            self._folder.path_of(entry.name),
            entry.location_id,
            entry.window.start,
            entry.window.end,
            entry.rows,
            entry.bytes,
            entry.written_at,
            entry.notes,
        )


def read_manifest(root: Any) -> list[DataFile]:
    """Return the current files of all locations of a dataset, by location and window.

    :param root: as for :class:`ParquetDataset`.
    :raises DatasetError: the root is a file that the provider did not write, or a manifest is missing or damaged and
        the files do not show which rows are current.
    """
    if str(root).endswith(".parquet"):
        return ParquetDataset(root, 0).files()
    locations = sorted(int(match[1]) for match in map(_LOCATION.fullmatch, Folder(root).folders()) if match)
    return [file for location_id in locations for file in ParquetDataset(root, location_id).files()]
