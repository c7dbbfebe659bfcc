"""Makes a file appear whole or not at all, on a local disk and on object stores.

A file is always written on the local disk first. There it becomes visible by a rename; on an object store by one
upload, which such a store shows when it is complete; elsewhere by an upload under a hidden name and a rename. (What
``open("wb")`` of a remote filesystem does when its writer fails is to close, and so to publish, the half of it.)
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["Folder"]

#: Stores whose uploads become visible in one step.
_ATOMIC_UPLOAD = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss", "memory"}
_DEAD_AFTER_SECONDS = 24 * 3600


class Folder:
    """One directory of a filesystem.

    :param path: a ``pathlib.Path``, or a path of the ``universal_pathlib`` kind, as Airflow's ``ObjectStoragePath``.
    """

    def __init__(self, path: Any) -> None:
        protocol = getattr(path, "protocol", "")
        self.path = path
        self._local: Path | None = None
        if isinstance(path, Path) or protocol in ("", "file", "local"):
            self._local = Path(getattr(path, "path", None) or path)
        self._uploads_whole = protocol in _ATOMIC_UPLOAD

    def __str__(self) -> str:
        return str(self.path)

    def location_of(self, name: str) -> str:
        """The full path of a file, as a person or a reader would write it."""
        return str(self._local / name) if self._local is not None else str(self.path / name)

    def names(self) -> list[str]:
        """The names of the files in it, sorted; none where it does not exist."""
        if self._local is not None:
            return sorted(os.listdir(self._local)) if self._local.is_dir() else []
        fs, root = self.path.fs, self.path.path
        if not fs.exists(root):
            return []
        return sorted(entry.rstrip("/").rsplit("/", 1)[-1] for entry in fs.ls(root, detail=False, refresh=True))

    def size(self, name: str) -> int:
        """How many bytes a file has."""
        if self._local is not None:
            return (self._local / name).stat().st_size
        return int(self.path.fs.size(self._remote(name)))

    def open(self, name: str) -> Any:
        """Open a file for reading bytes."""
        return open(self._local / name, "rb") if self._local is not None else self.path.fs.open(self._remote(name))

    def read(self, name: str) -> bytes | None:
        """Return a file's bytes, or ``None`` where there is no such file."""
        try:
            with self.open(name) as file:
                content: bytes = file.read()
                return content
        except FileNotFoundError:
            return None

    def delete(self, name: str) -> None:
        """Delete a file; one that is gone already is fine."""
        with contextlib.suppress(FileNotFoundError):
            if self._local is not None:
                (self._local / name).unlink()
            else:
                self.path.fs.rm_file(self._remote(name))

    def stage(self, name: str) -> Path:
        """Return the path of a local file to write, invisible to readers, which :meth:`publish` makes ``name``."""
        if self._local is None:
            handle, path = tempfile.mkstemp(prefix="altegio-", suffix=".part")
            os.close(handle)
            return Path(path)
        self._local.mkdir(parents=True, exist_ok=True)
        return self._local / f".{name}.{uuid.uuid4().hex}.part"

    def publish(self, staged: Path, name: str) -> None:
        """Let a staged file appear under its name, in place of what was there, in one step."""
        if self._local is not None:
            with open(staged, "rb") as file:
                os.fsync(file.fileno())
            os.replace(staged, self._local / name)
            return
        fs = self.path.fs
        fs.makedirs(self.path.path, exist_ok=True)
        if self._uploads_whole:
            fs.put_file(str(staged), self._remote(name))
        else:
            hidden = self._remote(f".{name}.{uuid.uuid4().hex}.part")
            fs.put_file(str(staged), hidden)
            fs.mv(hidden, self._remote(name))
        staged.unlink()

    def write(self, name: str, content: bytes) -> None:
        """Put a small file there in one step."""
        staged = self.stage(name)
        try:
            staged.write_bytes(content)
            self.publish(staged, name)
        finally:
            staged.unlink(missing_ok=True)

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Keep other writers of this host out. (Object stores have no lock: let one task write a location.)"""
        if self._local is None:
            yield
            return
        import fcntl

        self._local.mkdir(parents=True, exist_ok=True)
        with open(self._local / ".lock", "w") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def sweep(self) -> None:
        """Delete what writers that were killed left behind, once it is surely nobody's."""
        if self._local is None:
            return
        for name in self.names():
            if name.startswith(".") and name.endswith(".part"):
                with contextlib.suppress(FileNotFoundError):
                    if time.time() - (self._local / name).stat().st_mtime > _DEAD_AFTER_SECONDS:
                        (self._local / name).unlink()

    def _remote(self, name: str) -> str:
        return f"{self.path.path.rstrip('/')}/{name}"
