"""Makes a file appear whole or not at all, on a local disk and on object stores.

A file is always written on the local disk first. There it becomes visible by a rename; on an object store by one
upload, which such a store shows when it is complete; elsewhere by an upload under a hidden name and a rename. (What
``open("wb")`` of a remote filesystem does when its writer fails is to close, and so to publish, the half of it.)
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

__all__ = ["Folder", "Listed", "Staged"]

#: Stores whose uploads become visible in one step, when they are complete.
_ATOMIC_UPLOAD = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss"}
#: What a filesystem may call the thing that changes whenever a file does, the surest first.
_STAMPS = ("ETag", "etag", "generation", "LastModified", "last_modified", "mtime", "updated", "modified", "created")
_SUFFIX = ".part"
#: Between making a staged file and locking it passes less than this.
_LOCKED_AFTER_SECONDS = 60
#: Where a filesystem has no locks, only age tells that a writer is dead.
_DEAD_AFTER_SECONDS = 24 * 3600
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}


class Listed(NamedTuple):
    """A file as a listing has it; ``stamp`` changes when the file is replaced (empty where nothing tells)."""

    name: str
    bytes: int
    stamp: str


class Staged:
    """A local file being written, invisible to readers. It is locked, so that others see its writer is alive.

    :param path: where it is to be made.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
        _try_lock(self._file)

    def synced(self) -> Path:
        """Return the path once all that was written is on the disk."""
        os.fsync(self._file)
        return self.path

    def listed(self, name: str) -> Listed:
        """How it will be listed once it is published on the local disk: a rename changes neither size nor time."""
        return _listed(name, os.stat(self.path))

    def close(self) -> None:
        """Let go of it, and delete it where it was not published."""
        if self._file >= 0:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            os.close(self._file)
            self._file = -1


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

    @property
    def is_local(self) -> bool:
        """Whether it is on a disk of this machine, or mounted like one."""
        return self._local is not None

    def location_of(self, name: str) -> str:
        """The full path of a file, as a person or a reader would write it."""
        return str(self.path / name) if self._local is None else str(self._local / name)

    def listing(self) -> list[Listed]:
        """The files in it, by name; none where it does not exist."""
        if self._local is not None:
            try:
                with os.scandir(self._local) as entries:
                    return sorted(_listed(entry.name, entry.stat()) for entry in entries if entry.is_file())
            except FileNotFoundError:
                return []
        fs, root = self.path.fs, self.path.path
        fs.invalidate_cache(root)
        try:
            entries = fs.ls(root, detail=True)
        except FileNotFoundError:
            return []
        return sorted(_listed_remotely(entry) for entry in entries if entry["type"] == "file")

    def folders(self) -> list[str]:
        """The names of the directories in it, sorted."""
        if self._local is not None:
            return sorted(entry.name for entry in os.scandir(self._local) if entry.is_dir()) if self._exists() else []
        try:
            entries = self.path.fs.ls(self.path.path, detail=True)
        except FileNotFoundError:
            return []
        return sorted(_base(entry["name"]) for entry in entries if entry["type"] == "directory")

    def open(self, name: str) -> Any:
        """Open a file for reading bytes.

        :raises FileNotFoundError: there is none of that name.
        """
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
                os.unlink(self._local / name)
            else:
                self.path.fs.rm_file(self._remote(name))

    def stage(self, name: str) -> Staged:
        """Make a local file to write, which :meth:`publish` lets appear as ``name``. Close it in any case."""
        folder = self._staging()
        if self._local is not None:
            folder.mkdir(parents=True, exist_ok=True)
        return Staged(folder / f".{name}.{uuid.uuid4().hex}{_SUFFIX}")

    def publish(self, staged: Staged, name: str) -> None:
        """Let a staged file appear under its name, in place of what was there, in one step."""
        if self._local is not None:
            os.replace(staged.synced(), self._local / name)
            self._sync()
            return
        fs = self.path.fs
        fs.makedirs(self.path.path, exist_ok=True)
        if self._uploads_whole:
            fs.put_file(str(staged.path), self._remote(name))
        else:
            hidden = self._remote(f".{name}.{uuid.uuid4().hex}{_SUFFIX}")
            fs.put_file(str(staged.path), hidden)
            fs.mv(hidden, self._remote(name))
        fs.invalidate_cache(self.path.path)

    def appending(self, name: str) -> BinaryIO | None:
        """Open a file to append to, without a buffer; ``None`` on an object store, which has no such thing."""
        if self._local is None:
            return None
        self._local.mkdir(parents=True, exist_ok=True)
        return open(self._local / name, "ab", buffering=0)

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Keep other writers out, and say whether that worked: object stores and some network disks have no locks."""
        if self._local is None:
            yield False
            return
        self._local.mkdir(parents=True, exist_ok=True)
        with open(self._local / ".lock", "w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                yield False
            else:
                yield True

    def sweep(self) -> None:
        """Delete what writers that were killed have left behind."""
        folder = self._staging()
        for path in folder.glob(f".*{_SUFFIX}") if folder.is_dir() else ():
            with contextlib.suppress(FileNotFoundError):
                if _is_dead(path):
                    os.unlink(path)
        if self._local is None and not self._uploads_whole:
            for listed in self.listing():
                if listed.name.startswith(".") and listed.name.endswith(_SUFFIX) and self.is_old(listed.name):
                    self.delete(listed.name)

    def is_old(self, name: str) -> bool:
        """Whether a file was last changed more than a day ago, as far as can be told."""
        try:
            if self._local is not None:
                return time.time() - (self._local / name).stat().st_mtime > _DEAD_AFTER_SECONDS
            modified = self.path.fs.modified(self._remote(name))
        except (NotImplementedError, FileNotFoundError, AttributeError):
            return False
        return bool((datetime.now(UTC) - modified.astimezone(UTC)).total_seconds() > _DEAD_AFTER_SECONDS)

    def _staging(self) -> Path:
        return self._local or _private_folder()

    def _exists(self) -> bool:
        return self._local is not None and self._local.is_dir()

    def _sync(self) -> None:
        """Make renames durable, where directories can be synced."""
        folder = os.open(self._local or ".", os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):
                os.fsync(folder)
        finally:
            os.close(folder)

    def _remote(self, name: str) -> str:
        return f"{self.path.path.rstrip('/')}/{name}"


def _listed(name: str, status: os.stat_result) -> Listed:
    return Listed(name, status.st_size, str(status.st_mtime_ns))


def _listed_remotely(entry: dict[str, Any]) -> Listed:
    stamp = next((str(entry[key]) for key in _STAMPS if entry.get(key)), "")
    return Listed(_base(entry["name"]), int(entry["size"] or 0), stamp)


def _base(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]


def _private_folder() -> Path:
    """Where files for other filesystems are made: one folder for a user, so that what the dead leave can be found."""
    folder = Path(tempfile.gettempdir()) / f"altegio-staging-{os.getuid()}"
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        return Path(tempfile.mkdtemp(prefix="altegio-staging-"))  # somebody else's: not to be trusted
    return folder


def _try_lock(file: int) -> bool | None:
    """Whether the file could be locked; ``None`` where there are no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return None if error.errno in _NO_LOCKS else False
    return True


def _is_dead(path: Path) -> bool:
    age = time.time() - path.stat().st_mtime
    if age < _LOCKED_AFTER_SECONDS:
        return False
    with open(path, "rb") as file:
        could_lock = _try_lock(file.fileno())
    return age > _DEAD_AFTER_SECONDS if could_lock is None else could_lock
