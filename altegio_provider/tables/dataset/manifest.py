"""What is known of a dataset's files: the manifest, and the footers from which it can be made anew."""

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

#: Readers of Parquet pass over names that begin with an underscore.
MANIFEST = "_manifest.json"
#: So much of a file's end is read at once: more than a footer has, unless the file has very many row groups.
_FOOTER_BYTES = 256 * 1024
_READ_AGAIN_SECONDS = 0.2
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class DatasetError(ValueError):
    """The dataset is in a state that a run cannot go on from; nothing was changed."""


@dataclass(frozen=True)
class ManifestEntry:
    """A data file of one location, as manifest and footer have it.

    :param written_at: orders the files of a location: where windows overlap, the later one counts.
    :param stamp: tells, with the size, whether the file is still the one that this was read from; empty: unknown.
    :param is_readable: whether its footer could be read at all.
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
        """What the file's own footer says of it."""
        return {
            "location_id": self.location_id,
            "from": self.window.start.isoformat(),
            "to": self.window.end.isoformat(),
            "written_at": self.written_at.isoformat(),
            "run_id": self.run_id,
            "notes": dict(self.notes),
        }


def manifest_bytes(location_id: int, entries: Iterable[ManifestEntry]) -> bytes:
    """Return the manifest's text."""
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
    """Return the files that the manifest names, and the manifest's version, as :meth:`Folder.publish` takes it.

    :returns: ``None`` for the files where there is no manifest, or none that can be read.
    """
    for is_last in (False, False, True):
        content, version = folder.read_versioned(MANIFEST)
        if content is None:
            return None, version
        try:
            manifest = json.loads(content)
            whose = {"location_id": manifest["location_id"]}
            entries = (
                _make_entry(footer | whose, footer["name"], footer["bytes"], footer["rows"])
                for footer in manifest["files"]
            )
            return {entry.name: entry for entry in entries}, version
        except (ValueError, KeyError, TypeError, AttributeError):
            # Some filesystems show a file while it is being written.
            if not is_last and not folder.is_local:
                folder.sleep(_READ_AGAIN_SECONDS)
    return None, version


def list_entries(folder: Folder, known: Mapping[str, ManifestEntry]) -> dict[str, ManifestEntry]:
    """Return all data files that are there, with what is known of these very files, or else what their footers say.

    :param known: by name, as the manifest has them.
    :raises FileNotFoundError: a file went meanwhile; so does :class:`WriteConflictError`.
    """
    entries: dict[str, ManifestEntry] = {}
    for listed in folder.listing():
        if UtcWindow.named(listed.name) is not None:
            entry = known.get(listed.name)
            is_known = entry is not None and entry.stamp and (entry.bytes, entry.stamp) == (listed.bytes, listed.stamp)
            entries[listed.name] = entry if entry is not None and is_known else entry_from_footer(folder, listed)
    return entries


def all_files(folder: Folder) -> dict[str, ManifestEntry]:
    """Return all data files that are there, whether they count or not."""
    return retry_on_conflict(lambda: list_entries(folder, load_manifest(folder)[0] or {}), folder.sleep)


def current_files(folder: Folder) -> dict[str, ManifestEntry]:
    """Return the files that the manifest names; where it is missing or damaged, what the footers tell instead.

    :raises DatasetError: the manifest is missing or damaged, and the files do not tell which rows count.
    """

    def look() -> dict[str, ManifestEntry]:
        known, _ = load_manifest(folder)
        entries = {} if known is not None else list_entries(folder, {})
        if entries:
            # The first run of a location brings it after its file, and some filesystems take it away for a moment.
            known, _ = load_manifest(folder)
        return _entries_by_footers(folder, entries) if known is None else known

    return retry_on_conflict(look, folder.sleep)


def _entries_by_footers(folder: Folder, entries: Mapping[str, ManifestEntry]) -> dict[str, ManifestEntry]:
    """Which files count, without a manifest: of two that overlap, the one that was written later."""
    if not entries:
        return {}
    where = folder.path_of(MANIFEST)
    order = sorted(entries.values(), key=lambda entry: entry.written_at, reverse=True)
    left = remainders([entry.window for entry in order])
    for entry, rest in zip(order, left, strict=True):
        if rest and (rest != [entry.window] or not entry.is_readable):
            what = "overlaps a newer file" if entry.is_readable else "is no readable Parquet file"
            raise DatasetError(
                f"{where} is missing or damaged, and {entry.name} beside it {what}: which rows count cannot be told. "
                "Run an extract of this location, of any range: it writes the manifest anew."
            )
    log.warning("%s is missing or damaged: the footers of the files are read instead, until the next run", where)
    counting = sorted((entry for entry, rest in zip(order, left, strict=True) if rest), key=lambda entry: entry.window)
    return {entry.name: entry for entry in counting}


def read_parquet_footer(folder: Folder, listed: ListedFile) -> pq.FileMetaData:
    """Read a file's footer, in one request as a rule.

    :raises FileNotFoundError: the file is gone.
    :raises pyarrow.ArrowException: it is no Parquet file.
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
    """Return what a file's footer says; of a file that is no Parquet, an entry that is not ``is_readable``.

    :raises DatasetError: neither the file's name nor its footer tells a window.
    :raises FileNotFoundError: the file is gone.
    :raises WriteConflictError: it was replaced meanwhile.
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
            raise DatasetError(f"{name} was not written by the provider: its footer names no window.")
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
