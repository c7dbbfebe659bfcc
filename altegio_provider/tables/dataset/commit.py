"""Adds a run's file to the files of its location, in steps that each leave a consistent dataset.

1. All new files are written under hidden names: the run's file, the remaining parts of older files that it overlaps,
   and the manifest. A full disk or a crash during this step changes nothing that a reader sees.
2. The run's file appears under its name, in one step; then the remaining parts of the older files.
3. The manifest is replaced. For readers of the manifest, this is the moment of the commit.
4. The older files that were cut or are covered are deleted.

A writer that is killed between these steps leaves files that overlap. The next run completes the commit: where windows
overlap, the file that was written later has the current rows.

On a local disk a lock excludes other writers meanwhile. S3, Google Cloud Storage and Azure have conditional writes:
the manifest is replaced, the parts appear, and the cut files are deleted only if nobody has changed them since this
writer read them. If another writer was faster, this one reads again and repeats from step 1; its own file is in place
by then. On other stores the writer reads again after step 3, and repeats the steps if there are files that its
manifest does not name. There, two simultaneous runs of one location are safe if their windows do not overlap.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from altegio_provider.tables.convert.arrays import constant
from altegio_provider.tables.dataset.conflict_retry import retry_on_conflict
from altegio_provider.tables.dataset.file_writer import FileWriter
from altegio_provider.tables.dataset.folder import Folder, ListedFile, StagedFile
from altegio_provider.tables.dataset.manifest import (
    MANIFEST,
    DatasetError,
    ManifestEntry,
    list_entries,
    load_manifest,
    manifest_bytes,
    read_parquet_footer,
)
from altegio_provider.tables.dataset.storage_errors import WriteConflictError, disk_errors
from altegio_provider.tables.dataset.windows import UtcWindow, remainders

__all__ = ["START_COLUMN", "NewFile", "check_can_commit", "commit", "with_size"]

#: The column by which a file is cut into parts.
START_COLUMN = "starts_at"
_ATTEMPTS = 10

#: A file that is not visible yet, with its manifest entry.
NewFile = tuple[ManifestEntry, StagedFile]


def check_can_commit(folder: Folder, location_id: int, window: UtcWindow) -> None:
    """Check before a run that its file can be committed.

    :param folder: the location's folder.
    :param location_id: the location.
    :param window: the run's window.
    :raises DatasetError: a file that the window overlaps cannot be cut, or the files belong to another location.
    :raises StorageError: the folder is not writable.
    """
    folder.check()
    retry_on_conflict(partial(_replaceable_entries, folder, location_id, window), folder.sleep)


def commit(folder: Folder, location_id: int, window: UtcWindow, finish: Callable[[datetime], NewFile]) -> ManifestEntry:
    """Add a run's file to the dataset.

    :param folder: the location's folder.
    :param location_id: the location.
    :param window: the run's window.
    :param finish: completes the staged file, given the time of writing for its footer.
    :returns: the file's manifest entry.
    :raises DatasetError: a file that the window overlaps cannot be cut. Nothing was changed.
    :raises StorageError: the disk or the store does not accept a file.
    """
    with folder.lock() as is_locked:
        present = retry_on_conflict(partial(_replaceable_entries, folder, location_id, window), folder.sleep)
        latest = max((entry.written_at for entry in present.values()), default=datetime.min.replace(tzinfo=UTC))
        # The clocks of hosts differ, but a later commit must always have a later time.
        unpublished = [finish(max(datetime.now(UTC), latest + timedelta(microseconds=1)))]
        new = unpublished[0][0]
        write_changes = partial(_write_changes, folder, location_id, unpublished)
        # Conditional writes and the lock exclude interference. Elsewhere, read the folder once more to detect it.
        for _ in range(_ATTEMPTS):
            if retry_on_conflict(write_changes, folder.sleep) or is_locked or _manifest_is_complete(folder):
                break
        folder.delete_abandoned()
        return new


def _replaceable_entries(folder: Folder, location_id: int, window: UtcWindow) -> dict[str, ManifestEntry]:
    """Return the existing files, after checking that a run of this window can replace or cut them."""
    entries = list_entries(folder, load_manifest(folder)[0] or {})
    for entry in entries.values():
        if entry.location_id not in (0, location_id):
            raise DatasetError(
                f"{folder.path_of(entry.name)} has rows of location {entry.location_id}, but this run is for location "
                f"{location_id}. Use a separate folder for each location."
            )
    _check_can_be_cut(folder, window, entries.values())
    return entries


def _manifest_is_complete(folder: Folder) -> bool:
    """Return whether the manifest names all existing files."""
    known, _ = load_manifest(folder)
    there = {listed.name for listed in folder.listing() if UtcWindow.named(listed.name) is not None}
    return known is not None and there == known.keys()


def _write_changes(folder: Folder, location_id: int, unpublished: list[NewFile]) -> bool:
    """Publish the run's file, cut the files that it overlaps, and write the manifest. Called again after a conflict.

    :param unpublished: the run's file; empty once it is published.
    :returns: whether the manifest was replaced by a conditional write.
    :raises WriteConflictError: another writer has replaced the manifest or a file.
    """
    known, version = load_manifest(folder)
    there = list_entries(folder, known or {})
    entries = there | {entry.name: entry for entry, _ in unpublished}
    with ExitStack() as stack:
        order = sorted(entries.values(), key=_later_first)
        kept: list[ManifestEntry] = []
        gone: list[ManifestEntry] = []
        cuts: list[NewFile] = []
        for entry, rest in zip(order, remainders([entry.window for entry in order]), strict=True):
            if rest == [entry.window]:
                kept.append(entry)
                continue
            if unpublished and entry is unpublished[0][0]:
                # A run of an overlapping window committed first and is the later one. So this run's file is cut.
                folder.publish(unpublished.pop()[1], entry.name)
                raise WriteConflictError
            gone.append(entry)
            for part in rest:
                cuts.append(_cut(folder, entry, part, part == rest[0], stack))
                kept.append(cuts[-1][0])
        manifest = folder.stage(MANIFEST)
        stack.callback(manifest.close)
        with disk_errors("write", manifest.path):
            manifest.path.write_bytes(manifest_bytes(location_id, kept))
        if unpublished:
            folder.publish(unpublished[0][1], unpublished[0][0].name)
            unpublished.clear()
        for entry, staged in cuts:
            folder.publish(staged, entry.name, there[entry.name].stamp if entry.name in there else "")
        folder.publish(manifest, MANIFEST, version)
        for entry in gone:
            if entry.name not in {one.name for one in kept}:
                folder.delete(entry.name, entry.stamp)
    return version is not None


def _later_first(entry: ManifestEntry) -> tuple[timedelta, timedelta]:
    """Sort key: the latest file first, and a part of a file before the file itself, whose rows it repeats."""
    return datetime.max.replace(tzinfo=UTC) - entry.written_at, entry.window.end - entry.window.start


def _cut(folder: Folder, entry: ManifestEntry, part: UtcWindow, with_rows_outside: bool, stack: ExitStack) -> NewFile:
    """Write the rows of a file that start in a part of its window to a new file.

    :param with_rows_outside: include the rows that start outside of the file's window or have no start.
    """
    # A part has the permissions of the whole file.
    staged = folder.stage(part.file_name, folder.mode_of(entry.name))
    stack.callback(staged.close)
    writer = FileWriter(staged.path)
    stack.callback(writer.abort)
    with disk_errors("write", staged.path), folder.open(entry.name) as source:
        file = pq.ParquetFile(source)
        schema = file.schema_arrow.remove_metadata()
        writer.write(pa.RecordBatch.from_arrays([pa.nulls(0, kind) for kind in schema.types], schema=schema))
        kind = schema.field(START_COLUMN).type
        for batch in file.iter_batches(batch_size=8_192):
            starts = batch.column(START_COLUMN)
            mask = _within(starts, part, kind)
            if with_rows_outside:
                mask = pc.or_(mask, pc.invert(_within(starts, entry.window, kind)))
            writer.write(batch.filter(mask).replace_schema_metadata(None))
        made = replace(entry, name=part.file_name, window=part, rows=writer.rows, stamp="")
        writer.close(made.footer())
    return with_size(folder, made, staged), staged


def with_size(folder: Folder, entry: ManifestEntry, staged: StagedFile) -> ManifestEntry:
    """Return the entry with the file's size and, on a local disk, its stamp. A store sets the stamp on upload.

    :param folder: the location's folder.
    :param entry: the file's entry.
    :param staged: the file.
    """
    listed = staged.listed(entry.name)
    return replace(entry, bytes=listed.bytes, stamp=listed.stamp if folder.is_local else "")


def _within(starts: pa.Array, window: UtcWindow, kind: pa.DataType) -> pa.Array:
    first, behind = (_scalar(moment, kind) for moment in window)
    is_within = pc.and_(pc.greater_equal(starts, first), pc.less(starts, behind))
    return pc.fill_null(is_within, constant(pa.bool_(), False, 1)[0])


def _scalar(moment: datetime, kind: pa.DataType) -> pa.Scalar:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    us = (moment - epoch) // timedelta(microseconds=1)
    # A column of a coarser unit is compared in microseconds.
    return constant(pa.timestamp("us", tz=kind.tz), us, 1)[0]


def _check_can_be_cut(folder: Folder, window: UtcWindow, entries: Iterable[ManifestEntry]) -> None:
    for entry in entries:
        rest = entry.window.without(window)
        if not rest:
            continue
        where = folder.path_of(entry.name)
        if not entry.is_readable:
            raise DatasetError(f"{where} is not a readable Parquet file. Delete it, or extract its range again.")
        if rest != [entry.window]:
            schema = read_parquet_footer(
                folder, ListedFile(entry.name, entry.bytes, entry.stamp)
            ).schema.to_arrow_schema()
            kind = schema.field(START_COLUMN).type if START_COLUMN in schema.names else None
            if kind is None or not pa.types.is_timestamp(kind) or kind.tz is None:
                raise DatasetError(
                    f"the range overlaps {where}, and that file cannot be cut: it has no column {START_COLUMN!r} of "
                    f"timestamps with a time zone. Keep {START_COLUMN!r} in `transform`, use ranges that do not "
                    "overlap, or use another output_path."
                )
