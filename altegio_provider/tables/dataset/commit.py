"""Lets a run's file take its place among the files of its location, in steps of which each leaves a sound dataset.

1. All that is new is made under hidden names: the run's file, what is left of older files that it overlaps, and the
   manifest. A full disk or a crash until here changes nothing that a reader sees.
2. The run's file appears under its name, in one step; then what is left of the older ones.
3. The manifest is replaced: for who reads it, this is the moment of the run.
4. The older files that were cut, or are covered, go.

A writer that is killed between these steps leaves files that overlap, and the next run does with them what this one
would have: where windows overlap, the file written later counts, for the cut itself as well as for who cuts.

On a local disk a lock keeps other writers out meanwhile. S3, Google Cloud Storage and Azure have conditional writes: a
manifest is replaced, what is cut appears, and what was cut is deleted, only as it was when the writer looked; where
somebody else was quicker, it looks again and takes another turn from 1, with its own file in its place already. On
other stores the writer looks again after step 3, and repeats 1 to 4 where files have come that its manifest does not
name; two runs of one location at the very same time are safe there as long as their windows do not overlap.
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

#: The column by which a file is cut.
START_COLUMN = "starts_at"
_LOOKS = 10

#: A file that is not visible yet, and what is known of it.
NewFile = tuple[ManifestEntry, StagedFile]


def check_can_commit(folder: Folder, location_id: int, window: UtcWindow) -> None:
    """See early whether a run of this window will be able to take its place.

    :raises DatasetError: a file would have to be cut, and cannot be; or the files are another location's.
    :raises StorageError: nothing can be written there.
    """
    folder.check()
    retry_on_conflict(partial(_replaceable_entries, folder, location_id, window), folder.sleep)


def commit(folder: Folder, location_id: int, window: UtcWindow, finish: Callable[[datetime], NewFile]) -> ManifestEntry:
    """Let a run's file take its place.

    :param finish: completes the staged file, given the moment of writing for its footer.
    :raises DatasetError: a file would have to be cut, and cannot be; nothing was changed.
    """
    with folder.lock() as is_locked:
        present = retry_on_conflict(partial(_replaceable_entries, folder, location_id, window), folder.sleep)
        latest = max((entry.written_at for entry in present.values()), default=datetime.min.replace(tzinfo=UTC))
        # Clocks of several hosts differ; what is committed later must be later all the same.
        unpublished = [finish(max(datetime.now(UTC), latest + timedelta(microseconds=1)))]
        new = unpublished[0][0]
        write_changes = partial(_write_changes, folder, location_id, unpublished)
        # Where a store has conditional writes, nobody can have come in between. Otherwise one more look tells.
        for _ in range(_LOOKS):
            if retry_on_conflict(write_changes, folder.sleep) or is_locked or _manifest_is_complete(folder):
                break
        folder.delete_abandoned()
        return new


def _replaceable_entries(folder: Folder, location_id: int, window: UtcWindow) -> dict[str, ManifestEntry]:
    """The files that are there, which a run of this window can replace or cut."""
    entries = list_entries(folder, load_manifest(folder)[0] or {})
    for entry in entries.values():
        if entry.location_id not in (0, location_id):
            raise DatasetError(
                f"{folder.path_of(entry.name)} holds rows of location {entry.location_id}, and this run is of "
                f"location {location_id}. Give each location a folder of its own."
            )
    _check_can_be_cut(folder, window, entries.values())
    return entries


def _manifest_is_complete(folder: Folder) -> bool:
    """Whether the manifest names all files that are there."""
    known, _ = load_manifest(folder)
    there = {listed.name for listed in folder.listing() if UtcWindow.named(listed.name) is not None}
    return known is not None and there == known.keys()


def _write_changes(folder: Folder, location_id: int, unpublished: list[NewFile]) -> bool:
    """Make windows disjoint, and the manifest tell what is there. Called again where others came in between.

    :param unpublished: the run's file, until it is there.
    :returns: whether the manifest was written under the condition that nobody else had written it meanwhile.
    :raises WriteConflictError: somebody had, or has replaced a file.
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
                # A run of an overlapping window was quicker, and counts as the later one. Now it is to be cut itself.
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
    """What was written later first; a part that was cut from a file before the file itself, which it repeats."""
    return datetime.max.replace(tzinfo=UTC) - entry.written_at, entry.window.end - entry.window.start


def _cut(folder: Folder, entry: ManifestEntry, part: UtcWindow, with_rows_outside: bool, stack: ExitStack) -> NewFile:
    """Make a file of the rows of another that start in a part of its window.

    :param with_rows_outside: take also the rows that do not start in the file's window at all, or do not say when.
    """
    # Who could not read the whole shall not read a part of it.
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
    """Return the entry with size and stamp; elsewhere than on the local disk the stamp shows only after upload."""
    listed = staged.listed(entry.name)
    return replace(entry, bytes=listed.bytes, stamp=listed.stamp if folder.is_local else "")


def _within(starts: pa.Array, window: UtcWindow, kind: pa.DataType) -> pa.Array:
    first, behind = (_scalar(moment, kind) for moment in window)
    is_within = pc.and_(pc.greater_equal(starts, first), pc.less(starts, behind))
    return pc.fill_null(is_within, constant(pa.bool_(), False, 1)[0])


def _scalar(moment: datetime, kind: pa.DataType) -> pa.Scalar:
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    us = (moment - epoch) // timedelta(microseconds=1)
    # Coarser units than the window's are compared in microseconds.
    return constant(pa.timestamp("us", tz=kind.tz), us, 1)[0]


def _check_can_be_cut(folder: Folder, window: UtcWindow, entries: Iterable[ManifestEntry]) -> None:
    for entry in entries:
        rest = entry.window.without(window)
        if not rest:
            continue
        where = folder.path_of(entry.name)
        if not entry.is_readable:
            raise DatasetError(
                f"{where} is no readable Parquet file, so no run of the provider wrote it whole. Delete it, or "
                "extract its window again."
            )
        if rest != [entry.window]:
            schema = read_parquet_footer(
                folder, ListedFile(entry.name, entry.bytes, entry.stamp)
            ).schema.to_arrow_schema()
            kind = schema.field(START_COLUMN).type if START_COLUMN in schema.names else None
            if kind is None or not pa.types.is_timestamp(kind) or kind.tz is None:
                raise DatasetError(
                    f"the range overlaps {where}, which has no column {START_COLUMN!r} with instants to cut it by. "
                    f"Keep {START_COLUMN!r} in `transform`, use ranges that do not overlap, or another output_path."
                )
