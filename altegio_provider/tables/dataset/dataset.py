"""A Parquet dataset in which every run replaces its own range, and no reader ever sees half of one.

::

    <root>/location-1001/20261120T000000Z--20261121T000000Z.parquet     the rows that start in that window
    <root>/location-1001/_manifest.json                                 the files that count, with rows and bytes

The files of a location have windows that do not overlap. A run writes one file for its window. Where that is the
window of an earlier run, the file takes the earlier one's place in one step. Where it overlaps others (a ``lookback``,
a backfill), the others are cut down to what is left of their windows;
:mod:`~altegio_provider.tables.dataset.commit` says in which steps, and what a writer that is killed leaves.

Who reads the manifest sees the state before a run or the one after it; a file that it names may be gone by the time
it is opened, and then the manifest is to be read again. Who reads ``**/*.parquet`` sees each file whole. Where a run
overlaps files of other windows, such a reader sees rows of the overlap twice from the new file's appearance to the old
one's deletion, and after a run that was killed in between until the next one; it never sees none of them.
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
    """A file that counts, as the manifest has it.

    :param path: the full path or URL.
    :param start: the window's start, an aware UTC ``datetime``.
    :param end: its end, not included.
    :param written_at: when the rows were written, an aware UTC ``datetime``.
    :param notes: what the run left beside the file.
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
    """What a run wrote: the paths of its files, and how many rows and bytes they have."""

    files: list[str]
    rows: int
    bytes: int


class RunWriter:
    """Takes the record batches of one run."""

    def __init__(self, file: FileWriter) -> None:
        self._file = file
        #: What was written; there once the run is committed.
        self.result = RunResult([], 0, 0)

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Add rows.

        :raises ValueError: their schema is not that of the rows before; the differing columns are named.
        :raises StorageError: the disk is full.
        """
        with disk_errors("write into", self._file.path.parent):
            self._file.write(batch)


class ParquetDataset:
    """The files of one location below a root.

    :param root: a directory (``pathlib.Path``, ``ObjectStoragePath`` or another of the ``universal_pathlib`` kind);
        or one file, where it ends in ``.parquet``: then each run replaces that file whole, and there is no manifest.
    :param location_id: the location.
    :param sleep: waits so many seconds before a request to a store is tried again.
    """

    def __init__(self, root: Any, location_id: int, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self.location_id = location_id
        self._is_one_file = str(root).endswith(".parquet")
        self._file_name = root.name if self._is_one_file else ""
        self._folder = Folder(root.parent if self._is_one_file else root / f"location-{location_id}", sleep)

    def previous_rows(self, start: datetime, end: datetime, *, marks_deleted: bool = True) -> PreviousRows:
        """Return what is there of ``[start, end)``, for a run that is not to lose what it does not bring.

        :param start: an aware datetime; so is ``end``.
        :param marks_deleted: as for :class:`~altegio_provider.tables.dataset.previous_rows.PreviousRows`.
        """
        window = UtcWindow.of(start, end)
        return PreviousRows(self._folder, lambda: self._previous_files(window), marks_deleted=marks_deleted)

    def saved_answers(self, job: str, start: datetime, end: datetime, fresh_for: timedelta) -> SavedAnswers:
        """Return the answers that earlier attempts at a job got for ``[start, end)``, to go on with.

        :param job: its name.
        :param fresh_for: answers of an attempt that began longer ago are not used.
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
        """Write the rows that start in ``[start, end)``; they become visible when the block ends without error.

        At least one batch must be written, if an empty one: it tells the schema.

        :param start: an aware datetime; so is ``end``.
        :param notes: small JSON values to keep beside the file in the manifest, as they are when the block ends.
        :param previous: adds what the run lacks of earlier ones; without it the run replaces all of its window.
        :param mode: the permissions of the file on a disk, such as ``0o600``; ``None``: those of any new file.
        :raises DatasetError: the window overlaps a file that cannot be cut, or what is there is another location's.
            Raised before anything is written.
        :raises StorageError: the disk or the store does not let us write, or a disk is full.
        :raises ValueError: the window is empty or naive, or nothing was written.
        """
        window = UtcWindow.of(start, end)
        self._folder.delete_abandoned()  # what a killed run has left may be what a disk is full of
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
        """The files that count, by window: those that the manifest names, or the one file where there is but one."""
        if not self._is_one_file:
            return [self._data_file(entry) for entry in current_files(self._folder).values()]
        entries = retry_on_conflict(self._file_entries, self._folder.sleep)
        return [self._data_file(entry) for entry in entries]

    def _file_entries(self) -> list[ManifestEntry]:
        """The one file, where it is there."""
        listing = [listed for listed in self._folder.listing() if listed.name == self._file_name]
        return [entry_from_footer(self._folder, listed) for listed in listing]

    def _previous_files(self, window: UtcWindow) -> list[PreviousFile]:
        if not self._is_one_file:
            return previous_files(window, all_files(self._folder).values())
        with suppress(DatasetError):  # a file that somebody else wrote is replaced as it is
            return previous_files(window, retry_on_conflict(self._file_entries, self._folder.sleep))
        return []

    def _commit(self, window: UtcWindow, finish: Callable[[datetime], NewFile]) -> ManifestEntry:
        return commit(self._folder, self.location_id, window, finish)

    def _publish(self, finish: Callable[[datetime], NewFile]) -> ManifestEntry:
        entry, staged = finish(datetime.now(UTC))

        # Where there is none yet, one alone can put it there; the others look again.
        retry_on_conflict(lambda: self._folder.publish(staged, entry.name, self._check_file()), self._folder.sleep)
        self._folder.delete_abandoned()
        return entry

    def _check_file(self) -> str | None:
        """Look at the one file that a run replaces, and return the version to publish it with.

        :raises DatasetError: it holds another location, whose rows this run would take for deleted.
        """
        listing = [listed for listed in self._folder.listing() if listed.name == self._file_name]
        for listed in listing:
            try:
                location_id = entry_from_footer(self._folder, listed).location_id
            except DatasetError:
                continue  # somebody else wrote it: it is replaced as it is
            if location_id != self.location_id:
                raise DatasetError(
                    f"{self._folder.path_of(self._file_name)} holds location {location_id}, which a run of "
                    f"location {self.location_id} would replace. Give each location a file of its own, or give a "
                    "folder as output_path: it takes many locations."
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
    """Return the files that count below a root, of all its locations, by location and window.

    :param root: as for :class:`ParquetDataset`; also one file.
    :raises DatasetError: the root is one file that the provider did not write.
    """
    if str(root).endswith(".parquet"):
        return ParquetDataset(root, 0).files()
    locations = sorted(int(match[1]) for match in map(_LOCATION.fullmatch, Folder(root).folders()) if match)
    return [file for location_id in locations for file in ParquetDataset(root, location_id).files()]
