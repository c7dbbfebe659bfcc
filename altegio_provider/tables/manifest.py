"""What is known of a dataset's files: the manifest, and the footers from which it can be made anew."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from altegio_provider.tables.parquet import FOOTER_KEY
from altegio_provider.tables.storage import Folder, Listed
from altegio_provider.tables.windows import Window

__all__ = ["MANIFEST", "DatasetError", "Entry", "as_manifest", "entries_of", "named_in_manifest", "read_footer"]

#: Readers of Parquet pass over names that begin with an underscore.
MANIFEST = "_manifest.json"
_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class DatasetError(ValueError):
    """The dataset is in a state that a run cannot go on from; nothing was changed."""


@dataclass(frozen=True)
class Entry:
    """A data file of one location, as manifest and footer have it.

    :param written_at: orders the files of a location: where windows overlap, the later one counts.
    :param stamp: tells, with the size, whether the file is still the one that this was read from; empty: unknown.
    :param is_readable: whether its footer could be read at all.
    """

    name: str
    location_id: int
    window: Window
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


def as_manifest(location_id: int, entries: Iterable[Entry]) -> bytes:
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


def named_in_manifest(folder: Folder) -> dict[str, Entry]:
    """Return the files that the manifest names; none where there is no manifest, or none that can be read."""
    try:
        manifest = json.loads(folder.read(MANIFEST) or b'{"location_id": 0, "files": []}')
        whose = {"location_id": manifest["location_id"]}
        entries = (_entry_of(said | whose, said["name"], said["bytes"], said["rows"]) for said in manifest["files"])
        return {entry.name: entry for entry in entries}
    except (ValueError, KeyError, TypeError, AttributeError):
        return {}  # the footers know all that it knew


def entries_of(folder: Folder) -> dict[str, Entry]:
    """Return all data files that are there: by the manifest where it is of these very files, else by their footers."""
    known = named_in_manifest(folder)
    entries: dict[str, Entry] = {}
    for listed in folder.listing():
        if Window.named(listed.name) is not None:
            entry = known.get(listed.name)
            is_known = entry is not None and entry.stamp and (entry.bytes, entry.stamp) == (listed.bytes, listed.stamp)
            entries[listed.name] = entry if entry is not None and is_known else read_footer(folder, listed)
    return entries


def read_footer(folder: Folder, listed: Listed) -> Entry:
    """Return what a file's footer says; of a file that is no Parquet, an entry that is not ``is_readable``.

    :raises DatasetError: neither the file's name nor its footer tells a window.
    """
    try:
        with folder.open(listed.name) as file:
            metadata = pq.read_metadata(file)
        said = json.loads((metadata.metadata or {}).get(FOOTER_KEY.encode(), b"{}"))
        return _entry_of({**said, "stamp": listed.stamp}, listed.name, listed.bytes, metadata.num_rows)
    except DatasetError:
        raise
    except (pa.ArrowException, ValueError, KeyError, TypeError):
        return _entry_of({"stamp": listed.stamp}, listed.name, listed.bytes, 0, is_readable=False)


def _entry_of(said: Mapping[str, Any], name: str, size: int, rows: int, *, is_readable: bool = True) -> Entry:
    window = Window.named(name)
    if window is None:
        if "from" not in said or "to" not in said:
            raise DatasetError(f"{name} was not written by the provider: its footer names no window.")
        window = Window.of(datetime.fromisoformat(said["from"]), datetime.fromisoformat(said["to"]))
    written_at = said.get("written_at")
    return Entry(
        name=name,
        location_id=int(said.get("location_id", 0)),
        window=window,
        rows=rows,
        bytes=size,
        written_at=datetime.fromisoformat(written_at) if written_at else _LONG_AGO,
        run_id=str(said.get("run_id", "")),
        notes=dict(said.get("notes") or {}),
        stamp=str(said.get("stamp", "")),
        is_readable=is_readable,
    )
