"""A Parquet dataset in which every run replaces its own range, and no reader ever sees half of one.

::

    <root>/location-1001/20261120T000000Z--20261121T000000Z.parquet     the rows that start in that window
    <root>/location-1001/_manifest.json                                 the files that count, with rows and bytes

The files of a location have windows that do not overlap. A run writes one file for its window. Where that is the
window of an earlier run, the file takes the earlier one's place in one step. Where it overlaps others (a ``lookback``,
a backfill), the others are cut down to what is left of their windows: the new files appear, then the manifest names
them, then the old ones go. So who reads the manifest sees one state or the other; who reads ``**/*.parquet`` sees,
for that moment, rows of the overlap twice.

A writer that is killed leaves hidden files only, or, between these steps, files that overlap; each carries in its
footer when it was written, and the next run cuts the older ones down as its own last step would have.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from altegio_provider.tables.parquet import FileWriter
from altegio_provider.tables.storage import Folder

__all__ = ["DataFile", "ParquetDataset", "RunWriter", "read_manifest"]

_MANIFEST = "_manifest.json"
_NAME = re.compile(r"(\d{8}T\d{6}(?:\.\d{6})?Z)--(\d{8}T\d{6}(?:\.\d{6})?Z)\.parquet")
_LOCATION = re.compile(r"location-(\d+)")


class Span(NamedTuple):
    """A half-open range of UTC instants, which names a file."""

    start: datetime
    end: datetime

    @property
    def file_name(self) -> str:
        return f"{_stamp(self.start)}--{_stamp(self.end)}.parquet"

    def without(self, other: Span) -> list[Span]:
        """What is left of this range outside another one."""
        if other.end <= self.start or self.end <= other.start:
            return [self]
        left, right = Span(self.start, other.start), Span(other.end, self.end)
        return [part for part in (left, right) if part.start < part.end]


class DataFile(NamedTuple):
    """A file that counts, as the manifest has it."""

    path: str
    location_id: int
    start: datetime
    end: datetime
    rows: int
    bytes: int
    written_at: str
    notes: Mapping[str, Any]


class RunResult(NamedTuple):
    """What a run wrote."""

    files: list[str]
    rows: int
    bytes: int


class RunWriter:
    """Takes the record batches of one run."""

    def __init__(self, file: FileWriter) -> None:
        self._file = file
        #: What was written; there once the run is committed.
        self.result = RunResult([], 0, 0)

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows.

        :raises ValueError: their schema is not that of the rows before.
        """
        self._file.write(batch)


class ParquetDataset:
    """The files of one location below a root.

    :param root: a directory (``pathlib.Path`` or ``ObjectStoragePath``); or one file, where it ends in
        ``.parquet``: then each run replaces that file whole, and there is no manifest.
    :param location_id: the location.
    """

    def __init__(self, root: Any, location_id: int) -> None:
        self._location_id = location_id
        self._is_one_file = str(root).endswith(".parquet")
        self._name = root.name if self._is_one_file else ""
        self._folder = Folder(root.parent if self._is_one_file else root / f"location-{location_id}")

    @contextmanager
    def writer(self, start: datetime, end: datetime, notes: Mapping[str, Any] | None = None) -> Iterator[RunWriter]:
        """Write the rows that start in ``[start, end)``; they become visible when the block ends without error.

        :param notes: small JSON values to keep beside the file in the manifest.
        """
        span = Span(start.astimezone(UTC), end.astimezone(UTC))
        name = self._name or span.file_name
        staged = self._folder.stage(name)
        try:
            file = FileWriter(staged)
            run = RunWriter(file)
            try:
                yield run
            except BaseException:
                file.abort()
                raise
            written_at = datetime.now(UTC).isoformat()
            file.close(
                {
                    "location_id": self._location_id,
                    "from": start.isoformat(),
                    "to": end.isoformat(),
                    "written_at": written_at,
                    "notes": dict(notes or {}),
                }
            )
            size = staged.stat().st_size
            if self._is_one_file:
                self._folder.publish(staged, name)
            else:
                self._commit(span, staged, written_at)
            run.result = RunResult([self._folder.location_of(name)], file.rows, size)
        finally:
            staged.unlink(missing_ok=True)

    def files(self) -> list[DataFile]:
        """The files that the manifest names."""
        manifest = json.loads(self._folder.read(_MANIFEST) or b'{"files": []}')
        return [self._data_file(entry) for entry in manifest["files"]]

    def _commit(self, span: Span, staged: Path, written_at: str) -> None:
        with self._folder.lock():
            known = {entry["name"]: entry for entry in self._manifest()}
            self._check_can_be_cut(span)
            self._folder.publish(staged, span.file_name)
            present = [
                self._entry(name, None if name == span.file_name else known.get(name))
                for name in self._folder.names()
                if _NAME.fullmatch(name)
            ]
            kept, gone = self._cut_to_size(present, span.file_name, written_at)
            content = {"format": 1, "location_id": self._location_id, "files": kept}
            self._folder.write(_MANIFEST, json.dumps(content, indent=1).encode())
            for entry in gone:
                self._folder.delete(entry["name"])
            self._folder.sweep()

    def _manifest(self) -> list[dict[str, Any]]:
        try:
            return list(json.loads(self._folder.read(_MANIFEST) or b'{"files": []}')["files"])
        except (ValueError, KeyError, TypeError):
            return []  # the footers know all that it knew

    def _entry(self, name: str, known: dict[str, Any] | None) -> dict[str, Any]:
        """A file's entry: the manifest's if it is of this file, else made from the file's footer."""
        size = self._folder.size(name)
        if known is not None and known["bytes"] == size:
            return known
        with self._folder.open(name) as file:
            metadata = pq.read_metadata(file)
        said = json.loads((metadata.metadata or {}).get(b"altegio", b"{}"))
        span = _span_of(name)
        return {
            "name": name,
            "from": span.start.isoformat(),
            "to": span.end.isoformat(),
            "rows": metadata.num_rows,
            "bytes": size,
            "written_at": said.get("written_at", ""),
            "notes": said.get("notes", {}),
        }

    def _check_can_be_cut(self, span: Span) -> None:
        for name in self._folder.names():
            if not _NAME.fullmatch(name) or name == span.file_name:
                continue
            other = _span_of(name)
            rest = other.without(span)
            if rest and rest != [other]:
                with self._folder.open(name) as file:
                    schema = pq.read_schema(file)
                if "starts_at" not in schema.names or not pa.types.is_timestamp(schema.field("starts_at").type):
                    raise ValueError(
                        f"the range overlaps {self._folder.location_of(name)}, which has no column starts_at to cut "
                        "it by: keep starts_at in `transform`, use ranges that do not overlap, or another output_path"
                    )

    def _cut_to_size(
        self, present: list[dict[str, Any]], newest: str, written_at: str
    ) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        """Let the newest file keep its window, and cut each older one down to what is left of its own."""
        kept: list[dict[str, Any]] = []
        gone: list[dict[str, Any]] = []
        claimed: list[Span] = []
        newest_first = sorted(present, key=lambda entry: (entry["name"] == newest, entry["written_at"]), reverse=True)
        for entry in newest_first:
            whole = _span_of(entry["name"])
            rest = [whole]
            for taken in claimed:
                rest = [part for span in rest for part in span.without(taken)]
            claimed.append(whole)
            if rest == [whole]:
                kept.append(entry)
                continue
            gone.append(entry)
            for number, part in enumerate(rest):
                kept.append(self._copy(entry, part, number == 0, written_at))
        return sorted(kept, key=lambda entry: str(entry["from"])), gone

    def _copy(self, entry: dict[str, Any], part: Span, with_undated: bool, written_at: str) -> dict[str, Any]:
        """Write the rows of a file that start in a part of its window to a file of their own."""
        staged = self._folder.stage(part.file_name)
        try:
            with self._folder.open(entry["name"]) as source:
                parquet = pq.ParquetFile(source)
                target = FileWriter(staged)
                target.write(pa.RecordBatch.from_pylist([], schema=parquet.schema_arrow.remove_metadata()))
                for batch in parquet.iter_batches():
                    starts = batch.column("starts_at")
                    mask = pc.and_(pc.greater_equal(starts, part.start), pc.less(starts, part.end))
                    target.write(batch.filter(pc.fill_null(mask, with_undated)).replace_schema_metadata(None))
            target.close(
                {
                    "location_id": self._location_id,
                    "from": part.start.isoformat(),
                    "to": part.end.isoformat(),
                    "written_at": written_at,
                    "notes": entry["notes"],
                }
            )
            self._folder.publish(staged, part.file_name)
        finally:
            staged.unlink(missing_ok=True)
        return self._entry(part.file_name, None)

    def _data_file(self, entry: Mapping[str, Any]) -> DataFile:
        return DataFile(
            self._folder.location_of(entry["name"]),
            self._location_id,
            datetime.fromisoformat(entry["from"]),
            datetime.fromisoformat(entry["to"]),
            entry["rows"],
            entry["bytes"],
            entry["written_at"],
            entry["notes"],
        )


def read_manifest(root: Any) -> list[DataFile]:
    """Return the files that count below a root, of all its locations."""
    names = Folder(root).names()
    locations = sorted(int(match[1]) for match in map(_LOCATION.fullmatch, names) if match)
    return [file for location_id in locations for file in ParquetDataset(root, location_id).files()]


def _stamp(moment: datetime) -> str:
    fraction = f".{moment.microsecond:06d}" if moment.microsecond else ""
    return f"{moment:%Y%m%dT%H%M%S}{fraction}Z"


def _span_of(name: str) -> Span:
    match = _NAME.fullmatch(name)
    assert match is not None  # noqa: S101 - the caller chose the name by this pattern
    start, end = (
        datetime.strptime(text, "%Y%m%dT%H%M%S.%fZ" if "." in text else "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        for text in match.groups()
    )
    return Span(start, end)
