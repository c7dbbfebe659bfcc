"""The manifest of a location's files, and the files' footers, from which the manifest can be restored."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from altegio_provider.tables.dataset.conflict_retry import retry_on_conflict
from altegio_provider.tables.dataset.file_writer import FOOTER_KEY
from altegio_provider.tables.dataset.folder import Folder, ListedFile
from altegio_provider.tables.dataset.storage_errors import WriteConflictError
from altegio_provider.tables.dataset.windows import UtcWindow, remainders

__all__ = [
    "MANIFEST",
    "DatasetError",
    "ManifestEntry",
    "all_files",
    "current_files",
    "entry_from_footer",
    "list_entries",
    "load_manifest",
    "manifest_bytes",
    "read_parquet_footer",
]

log = logging.getLogger(__name__)

#: Readers of Parquet datasets ignore names that begin with an underscore.
MANIFEST = "_manifest.json"
#: How much of a file's end is read at once. A footer is shorter, unless the file has very many row groups.
_FOOTER_BYTES = 256 * 1024
_READ_AGAIN_SECONDS = 0.2
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class DatasetError(ValueError):
    """The files of a dataset are in a state that a run cannot continue from. Nothing was changed."""


@dataclass(frozen=True)
class ManifestEntry:
    """A data file of one location, as described by the manifest or its footer.

    :param name: the file's name.
    :param location_id: the location.
    :param window: the window of the rows' starts.
    :param rows: how many rows it has.
    :param bytes: its size.
    :param written_at: when it was written. Where windows overlap, the later file has the current rows.
    :param run_id: the run that wrote it.
    :param notes: small JSON values that the run stored.
    :param stamp: changes when the file is replaced; empty if unknown.
    :param is_readable: whether its footer could be read.
    """

    name: str
    location_id: int
    window: UtcWindow
    rows: int
    bytes: int
    written_at: datetime
    run_id: str
    notes: Mapping[str, Any] = field(default_factory=dict)
    stamp: str = ""
    is_readable: bool = True

    def footer(self) -> dict[str, Any]:
        """Return the JSON values that the file's footer stores."""
        return {
            "location_id": self.location_id,
            "from": self.window.start.isoformat(),
            "to": self.window.end.isoformat(),
            "written_at": self.written_at.isoformat(),
            "run_id": self.run_id,
            "notes": dict(self.notes),
        }


def manifest_bytes(location_id: int, entries: Iterable[ManifestEntry]) -> bytes:
    """Return the manifest as JSON text.

    :param location_id: the location.
    :param entries: its current files.
    """
    files = [
        {
            "name": entry.name,
            "from": entry.window.start.isoformat(),
            "to": entry.window.end.isoformat(),
            "rows": entry.rows,
            "bytes": entry.bytes,
            "written_at": entry.written_at.isoformat(),
            "run_id": entry.run_id,
            "notes": dict(entry.notes),
            "stamp": entry.stamp,
        }
        for entry in sorted(entries, key=lambda entry: entry.window)
    ]
    return json.dumps({"format": 1, "location_id": location_id, "files": files}, indent=1).encode()


def load_manifest(folder: Folder) -> tuple[dict[str, ManifestEntry] | None, str | None]:
    """Return the entries of the manifest by file name, and the manifest's version for :meth:`Folder.publish`.

    :param folder: the location's folder.
    :returns: ``None`` in place of the entries if the manifest does not exist or cannot be read.
    """
    for is_last in (False, False, True):
        content, version = folder.read_versioned(MANIFEST)
        if content is None:
            return None, version
        try:
            manifest = json.loads(content)
            common = {"location_id": manifest["location_id"]}
            entries = (
                _make_entry(file | common, file["name"], file["bytes"], file["rows"]) for file in manifest["files"]
            )
            return {entry.name: entry for entry in entries}, version
        except (ValueError, KeyError, TypeError, AttributeError):
            # Some filesystems show an incomplete file while it is being written.
            if not is_last and not folder.is_local:
                folder.sleep(_READ_AGAIN_SECONDS)
    return None, version


def list_entries(folder: Folder, known: Mapping[str, ManifestEntry]) -> dict[str, ManifestEntry]:
    """Return the entries of all existing data files by name, from the manifest or else from their footers.

    :param folder: the location's folder.
    :param known: the manifest's entries by name. An entry is used if the file has not been replaced since.
    :raises FileNotFoundError: a file was deleted meanwhile.
    :raises WriteConflictError: a file was replaced meanwhile.
    """
    entries: dict[str, ManifestEntry] = {}
    for listed in folder.listing():
        if UtcWindow.named(listed.name) is not None:
            entry = known.get(listed.name)
            is_known = entry is not None and entry.stamp and (entry.bytes, entry.stamp) == (listed.bytes, listed.stamp)
            entries[listed.name] = entry if entry is not None and is_known else entry_from_footer(folder, listed)
    return entries


def all_files(folder: Folder) -> dict[str, ManifestEntry]:
    """Return the entries of all existing data files by name, whether they are current or not.

    :param folder: the location's folder.
    """
    return retry_on_conflict(lambda: list_entries(folder, load_manifest(folder)[0] or {}), folder.sleep)


def current_files(folder: Folder) -> dict[str, ManifestEntry]:
    """Return the entries that the manifest names, by file name. If it is missing or damaged, use the footers instead.

    :param folder: the location's folder.
    :raises DatasetError: the manifest is missing or damaged, and the files do not show which rows are current.
    """

    def look() -> dict[str, ManifestEntry]:
        known, _ = load_manifest(folder)
        entries = {} if known is not None else list_entries(folder, {})
        if entries:
            # The first run of a location writes its file before the manifest, and on some filesystems the manifest
            # is missing for a moment while it is replaced.
            known, _ = load_manifest(folder)
        return _entries_by_footers(folder, entries) if known is None else known

    return retry_on_conflict(look, folder.sleep)


def _entries_by_footers(folder: Folder, entries: Mapping[str, ManifestEntry]) -> dict[str, ManifestEntry]:
    """Return the current files without a manifest: those that no later file overlaps."""
    if not entries:
        return {}
    where = folder.path_of(MANIFEST)
    order = sorted(entries.values(), key=lambda entry: entry.written_at, reverse=True)
    left = remainders([entry.window for entry in order])
    for entry, rest in zip(order, left, strict=True):
        if rest and (rest != [entry.window] or not entry.is_readable):
            what = "overlaps a newer file" if entry.is_readable else "is not a readable Parquet file"
            raise DatasetError(
                f"{where} is missing or damaged, and {entry.name} beside it {what}, so it is unknown which rows are "
                "current. Run an extract of this location, with any range: it restores the manifest."
            )
    log.warning("%s is missing or damaged. The files' footers are used instead, until the next run restores it.", where)
    counting = sorted((entry for entry, rest in zip(order, left, strict=True) if rest), key=lambda entry: entry.window)
    return {entry.name: entry for entry in counting}


def read_parquet_footer(folder: Folder, listed: ListedFile) -> pq.FileMetaData:
    """Read a file's Parquet footer, usually in one request.

    :param folder: the file's folder.
    :param listed: the file.
    :raises FileNotFoundError: the file does not exist any more.
    :raises pyarrow.ArrowException: the file is not a Parquet file.
    """
    with folder.tail(listed, _FOOTER_BYTES) as file:
        try:
            return pq.read_metadata(file)
        except pa.ArrowInvalid:
            if listed.bytes <= _FOOTER_BYTES:
                raise
    with folder.open(listed.name) as file:
        return pq.read_metadata(file)


def entry_from_footer(folder: Folder, listed: ListedFile) -> ManifestEntry:
    """Return a file's entry, made from its footer. For a file that is not Parquet, ``is_readable`` is false.

    :param folder: the file's folder.
    :param listed: the file.
    :raises DatasetError: neither the file's name nor its footer has a window.
    :raises FileNotFoundError: the file does not exist any more.
    :raises WriteConflictError: the file was replaced meanwhile.
    """
    try:
        metadata = read_parquet_footer(folder, listed)
        footer = json.loads((metadata.metadata or {}).get(FOOTER_KEY.encode(), b"{}"))
        return _make_entry({**footer, "stamp": listed.stamp}, listed.name, listed.bytes, metadata.num_rows)
    except DatasetError:
        raise
    except (pa.ArrowException, ValueError, KeyError, TypeError):
        if folder.listed(listed.name).stamp != listed.stamp:
            raise WriteConflictError from None
        return _make_entry({"stamp": listed.stamp}, listed.name, listed.bytes, 0, is_readable=False)


def _make_entry(
    footer: Mapping[str, Any], name: str, size: int, rows: int, *, is_readable: bool = True
) -> ManifestEntry:
    window = UtcWindow.named(name)
    if window is None:
        if "from" not in footer or "to" not in footer:
            raise DatasetError(f"{name} was not written by this provider: its footer does not name a range.")
        window = UtcWindow.of(datetime.fromisoformat(footer["from"]), datetime.fromisoformat(footer["to"]))
    written_at = footer.get("written_at")
    return ManifestEntry(
        name=name,
        location_id=int(footer.get("location_id", 0)),
        window=window,
        rows=rows,
        bytes=size,
        written_at=datetime.fromisoformat(written_at) if written_at else _LONG_AGO,
        run_id=str(footer.get("run_id", "")),
        notes=dict(footer.get("notes") or {}),
        stamp=str(footer.get("stamp", "")),
        is_readable=is_readable,
    )
