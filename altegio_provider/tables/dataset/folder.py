"""Publishes files atomically, on a local disk and on object stores: a reader sees a complete file or none.

A file is always written to the local disk first. There it becomes visible by a rename. On an object store it becomes
visible by an upload, which such a store shows only when it is complete; on other filesystems by an upload under a
hidden name and a rename. (``open("wb")`` of a remote filesystem is not used: if its writer fails, it closes the file
and thereby publishes a part of it.)
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import io
import os
import stat
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from altegio_provider.tables.dataset.object_store import ObjectStore, stamp_of
from altegio_provider.tables.dataset.storage_errors import WriteConflictError, disk_errors

__all__ = ["Folder", "ListedFile", "StagedFile"]

_SUFFIX = ".part"
#: A staged file is locked within this time after it was created.
_LOCKED_AFTER_SECONDS = 60
#: On a filesystem without locks, a staged file of this age belongs to a dead writer.
_DEAD_AFTER_SECONDS = 24 * 3600
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
#: An empty file in a folder of an object store, written to check that the folder is writable.
_WRITE_CHECK = ".write-check"


class ListedFile(NamedTuple):
    """A file as listed by the disk or store.

    :param name: the file's name.
    :param bytes: its size.
    :param stamp: changes when the file is replaced; empty if the store has no such value.
    """

    name: str
    bytes: int
    stamp: str


class StagedFile:
    """A local file that is being written and is invisible to readers. A lock shows others that its writer is alive.

    :param path: the path to create it at.
    :param mode: the file's permissions, such as ``0o600``; ``None``: those that the process gives to new files.
    """

    def __init__(self, path: Path, mode: int | None = None) -> None:
        self.path = path
        # The permissions are never wider than requested, and are then set exactly, whatever the umask is.
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode & 0o600)
        if mode is not None:
            os.fchmod(self._file, mode)
        _try_lock(self._file)

    def synced(self) -> Path:
        """Write all data to the disk and return the path."""
        os.fsync(self._file)
        return self.path

    def listed(self, name: str) -> ListedFile:
        """Return how the file will be listed once it is published on a local disk: a rename keeps size and time.

        :param name: the name to publish it under.
        """
        return _listed(name, os.stat(self.path))

    def close(self) -> None:
        """Close the file, and delete it if it was not published."""
        if self._file >= 0:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)
            os.close(self._file)
            self._file = -1


class Folder:
    """One directory of a local disk or an object store.

    Errors of the disk or store are :class:`~altegio_provider.tables.dataset.storage_errors.StorageError`.

    :param path: a ``pathlib.Path``, or a path of ``universal_pathlib`` such as Airflow's ``ObjectStoragePath``.
    :param sleep: waits the given number of seconds before a request to a store is repeated.
    """

    def __init__(self, path: Any, sleep: Callable[[float], None] = time.sleep) -> None:
        self.path = path
        self.sleep = sleep
        # Do not test the class: before universal_pathlib 0.3 every remote path was an instance of pathlib.Path too.
        is_local = getattr(path, "protocol", "") in ("", "file", "local")
        self._local = Path(getattr(path, "path", None) or path) if is_local else None
        self._store = None if is_local else ObjectStore(path, sleep)

    @property
    def is_local(self) -> bool:
        """Whether it is on a disk of this machine, or on a mounted filesystem."""
        return self._local is not None

    def path_of(self, name: str) -> str:
        """Return the full path or URL of a file.

        :param name: the file's name.
        """
        return str(self.path / name) if self._local is None else str(self._local / name)

    def check(self) -> None:
        """Check that an object store is writable here. (On a disk, :meth:`stage` shows that.)

        :raises StorageError: it is not.
        """
        if self._store is not None:
            self._store.check(_WRITE_CHECK)

    def check_bucket(self) -> None:
        """Check that the bucket exists, if the folder is in one.

        :raises StorageError: it does not exist.
        """
        if self._store is not None:
            self._store.check_bucket()

    def listing(self) -> list[ListedFile]:
        """Return the files by name; none if the folder does not exist."""
        if self._store is not None:
            return sorted(_listed_remotely(entry) for entry in self._store.entries("file"))
        with disk_errors("list", self._local):
            try:
                with os.scandir(self._local) as entries:
                    return sorted(_listed(entry.name, entry.stat()) for entry in entries if entry.is_file())
            except FileNotFoundError:
                return []

    def folders(self) -> list[str]:
        """Return the sorted names of the subfolders."""
        if self._store is not None:
            return sorted(_base(entry["name"]) for entry in self._store.entries("directory"))
        with disk_errors("list", self._local):
            return sorted(entry.name for entry in os.scandir(self._local) if entry.is_dir()) if self._exists() else []

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading bytes. The content is consistent even if the file is replaced meanwhile.

        :param name: the file's name.
        :raises FileNotFoundError: the file does not exist.
        :raises WriteConflictError: it was replaced while it was copied from a store.
        """
        if self._store is None:
            return open(self._at(name), "rb")
        folder = _private_folder()
        with contextlib.ExitStack() as stack:
            with disk_errors("write into", folder):
                copy = stack.enter_context(tempfile.NamedTemporaryFile(dir=folder, prefix=".", suffix=_SUFFIX))
                _try_lock(copy.fileno())
                self._store.download(name, Path(copy.name))
            stack.pop_all()
        return copy  # type: ignore[return-value]  # it is read like a file, and deletes itself when closed

    def tail(self, listed: ListedFile, size: int) -> BinaryIO:
        """Open the last bytes of a file for reading.

        :param listed: the file.
        :param size: read at least this many bytes, or the whole file.
        :raises FileNotFoundError: the file does not exist any more.
        """
        if self._store is None:
            return self.open(listed.name)
        return io.BytesIO(self._store.tail(listed.name, max(0, listed.bytes - size)) if listed.bytes else b"")

    def read(self, name: str) -> bytes | None:
        """Return a small file's bytes, ``None`` if the file does not exist.

        :param name: the file's name.
        """
        return self.read_versioned(name)[0]

    def read_versioned(self, name: str) -> tuple[bytes | None, str | None]:
        """Return a small file's bytes, and the version with which :meth:`publish` replaces exactly this file.

        :param name: the file's name.
        :returns: ``None`` for the bytes if the file does not exist, ``None`` for the version if the disk or store has
            no conditional writes.
        """
        try:
            if self._store is not None:
                return self._store.read_versioned(name)
            with self.open(name) as file:
                return file.read(), None
        except FileNotFoundError:
            return None, "" if self._store is not None and self._store.has_conditional_writes else None

    def listed(self, name: str) -> ListedFile:
        """Return a file as it would be listed now.

        :param name: the file's name.
        :raises FileNotFoundError: the file does not exist.
        """
        if self._store is not None:
            return _listed_remotely(self._store.info(name))
        with disk_errors("read", self._at(name)):
            return _listed(name, os.stat(self._at(name)))

    def delete(self, name: str, stamp: str = "") -> None:
        """Delete a file. A file that does not exist causes no error.

        :param name: the file's name.
        :param stamp: its stamp when it was listed. A store with conditional writes keeps a file that was replaced
            since.
        :raises WriteConflictError: the file was replaced and was kept.
        """
        if self._store is not None:
            self._store.delete(name, stamp)
            return
        with disk_errors("delete", self._at(name)), contextlib.suppress(FileNotFoundError):
            os.unlink(self._at(name))

    def mode_of(self, name: str) -> int | None:
        """Return a file's permissions, ``None`` if the file does not exist or is on an object store.

        :param name: the file's name.
        """
        with contextlib.suppress(OSError):
            return stat.S_IMODE(self._at(name).stat().st_mode) if self._local is not None else None
        return None

    def stage(self, name: str, mode: int | None = None) -> StagedFile:
        """Create a local file to write, which :meth:`publish` makes visible. Close it in any case.

        :param name: the name that it will be published under.
        :param mode: its permissions on a disk, such as ``0o600``; ``None``: those of any new file.
        """
        folder = self._staging()
        with disk_errors("write into", folder):
            if self._local is not None:
                folder.mkdir(parents=True, exist_ok=True)
            return StagedFile(folder / f".{name}.{uuid.uuid4().hex}{_SUFFIX}", mode)

    def publish(self, staged: StagedFile, name: str, version: str | None = None) -> None:
        """Make a staged file visible under its name in one step, replacing an existing file.

        :param staged: the file.
        :param name: its name.
        :param version: what must exist under the name: nothing (empty), this version (on stores with conditional
            writes), or anything (``None``).
        :raises WriteConflictError: something else exists there.
        """
        if self._store is not None:
            self._store.upload(staged.path, name, version, f".{name}.{uuid.uuid4().hex}{_SUFFIX}")
            return
        with disk_errors("write", self._at(name)):
            if version != "" or not _link_if_absent(staged.synced(), self._at(name)):
                os.replace(staged.synced(), self._at(name))
            self._sync()

    def open_append(self, name: str) -> BinaryIO | None:
        """Open a file for appending without a buffer. A new file is readable only by its owner.

        :param name: the file's name.
        :returns: ``None`` on an object store, where files cannot be appended to.
        """
        if self._local is None:
            return None
        with disk_errors("write", self._local / name):
            self._local.mkdir(parents=True, exist_ok=True)
            return open(self._local / name, "ab", buffering=0, opener=lambda path, flags: os.open(path, flags, 0o600))

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Lock the folder against other writers while the block runs.

        The block receives whether there is a lock: object stores and some network filesystems have none.
        """
        if self._local is None:
            yield False
            return
        with contextlib.ExitStack() as stack:
            with disk_errors("write into", self._local):
                self._local.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(open(self._local / ".lock", "w"))
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
            except OSError as error:
                if error.errno not in _NO_LOCKS:
                    raise
                yield False
            else:
                yield True

    def delete_abandoned(self) -> None:
        """Delete the staged files of killed writers."""
        folder = self._staging()
        with disk_errors("look into", folder):
            for path in folder.glob(f".*{_SUFFIX}") if folder.is_dir() else ():
                with contextlib.suppress(FileNotFoundError):
                    if _is_dead(path):
                        os.unlink(path)
        if self._store is not None and not self._store.uploads_whole:
            for listed in self.listing():
                if listed.name.startswith(".") and listed.name.endswith(_SUFFIX) and self.is_old(listed.name):
                    self.delete(listed.name)

    def is_old(self, name: str) -> bool:
        """Return whether a file was last changed more than a day ago; false if that is unknown.

        :param name: the file's name.
        """
        age: float | None = None
        if self._store is not None:
            age = self._store.age_seconds(name)
        else:
            with contextlib.suppress(FileNotFoundError):
                age = time.time() - self._at(name).stat().st_mtime
        return age is not None and age > _DEAD_AFTER_SECONDS

    def _at(self, name: str) -> Path:
        return (self._local or Path()) / name

    def _staging(self) -> Path:
        return self._local or _private_folder()

    def _exists(self) -> bool:
        return self._local is not None and self._local.is_dir()

    def _sync(self) -> None:
        """Make renames durable, if the filesystem can sync directories."""
        folder = os.open(self._local or ".", os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):
                os.fsync(folder)
        finally:
            os.close(folder)


def _link_if_absent(source: Path, target: Path) -> bool:
    """Link a file to a name that does not exist yet; return ``False`` if the filesystem has no links.

    :raises WriteConflictError: the name exists.
    """
    try:
        os.link(source, target)
    except FileExistsError:
        raise WriteConflictError from None
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        return False
    return True


def _listed(name: str, status: os.stat_result) -> ListedFile:
    return ListedFile(name, status.st_size, str(status.st_mtime_ns))


def _listed_remotely(entry: dict[str, Any]) -> ListedFile:
    return ListedFile(_base(entry["name"]), int(entry["size"] or 0), stamp_of(entry))


def _base(path: str) -> str:
    return path.rstrip("/").rsplit("/", 1)[-1]


def _private_folder() -> Path:
    """Return the user's folder for staged files of remote filesystems, where files of killed writers are found."""
    folder = Path(tempfile.gettempdir()) / f"altegio-staging-{os.getuid()}"
    with disk_errors("make", folder):
        folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if status.st_uid != os.getuid() or status.st_mode & 0o077:
        return Path(tempfile.mkdtemp(prefix="altegio-staging-"))  # another user owns the folder or can read it
    return folder


def _try_lock(file: int) -> bool | None:
    """Lock the file and return whether that succeeded; ``None`` if the filesystem has no locks."""
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
