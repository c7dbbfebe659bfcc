"""Makes a file appear whole or not at all, on a local disk and on object stores.

A file is always written on the local disk first. There it becomes visible by a rename; on an object store by one
upload, which such a store shows when it is complete; elsewhere by an upload under a hidden name and a rename. (What
``open("wb")`` of a remote filesystem does when its writer fails is to close, and so to publish, the half of it.)
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
#: Between making a staged file and locking it passes less than this.
_LOCKED_AFTER_SECONDS = 60
#: Where a filesystem has no locks, only age tells that a writer is dead.
_DEAD_AFTER_SECONDS = 24 * 3600
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK}
_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
#: Left empty in a folder of an object store by who has seen that it can write there.
_WRITE_CHECK = ".write-check"


class ListedFile(NamedTuple):
    """A file as a listing has it; ``stamp`` changes when the file is replaced (empty where nothing tells)."""

    name: str
    bytes: int
    stamp: str


class StagedFile:
    """A local file being written, invisible to readers. It is locked, so that others see its writer is alive.

    :param path: where it is to be made.
    :param mode: the file's permissions, such as ``0o600``; ``None``: those that the process gives to new files.
    """

    def __init__(self, path: Path, mode: int | None = None) -> None:
        self.path = path
        # Never more than is wanted, not even for a moment; then exactly that, whatever the process' umask is.
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else mode & 0o600)
        if mode is not None:
            os.fchmod(self._file, mode)
        _try_lock(self._file)

    def synced(self) -> Path:
        """Return the path once all that was written is on the disk."""
        os.fsync(self._file)
        return self.path

    def listed(self, name: str) -> ListedFile:
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

    What goes wrong with a disk or a store is a :class:`~altegio_provider.tables.dataset.storage_errors.StorageError`.

    :param path: a ``pathlib.Path``, or a path of the ``universal_pathlib`` kind, as Airflow's ``ObjectStoragePath``.
    :param sleep: waits so many seconds before a request to a store is tried again.
    """

    def __init__(self, path: Any, sleep: Callable[[float], None] = time.sleep) -> None:
        self.path = path
        self.sleep = sleep
        # The class tells nothing: until its version 0.3 every path of universal_pathlib was a pathlib.Path too.
        is_local = getattr(path, "protocol", "") in ("", "file", "local")
        self._local = Path(getattr(path, "path", None) or path) if is_local else None
        self._store = None if is_local else ObjectStore(path, sleep)

    @property
    def is_local(self) -> bool:
        """Whether it is on a disk of this machine, or mounted like one."""
        return self._local is not None

    def path_of(self, name: str) -> str:
        """The full path of a file, as a person or a reader would write it."""
        return str(self.path / name) if self._local is None else str(self._local / name)

    def check(self) -> None:
        """See early whether an object store lets us write here; a disk says so when a file is staged.

        :raises StorageError: it does not.
        """
        if self._store is not None:
            self._store.check(_WRITE_CHECK)

    def check_bucket(self) -> None:
        """See early whether the bucket is there, where there are buckets.

        :raises StorageError: it is not.
        """
        if self._store is not None:
            self._store.check_bucket()

    def listing(self) -> list[ListedFile]:
        """The files in it, by name; none where it does not exist."""
        if self._store is not None:
            return sorted(_listed_remotely(entry) for entry in self._store.entries("file"))
        with disk_errors("list", self._local):
            try:
                with os.scandir(self._local) as entries:
                    return sorted(_listed(entry.name, entry.stat()) for entry in entries if entry.is_file())
            except FileNotFoundError:
                return []

    def folders(self) -> list[str]:
        """The names of the directories in it, sorted."""
        if self._store is not None:
            return sorted(_base(entry["name"]) for entry in self._store.entries("directory"))
        with disk_errors("list", self._local):
            return sorted(entry.name for entry in os.scandir(self._local) if entry.is_dir()) if self._exists() else []

    def open(self, name: str) -> BinaryIO:
        """Open a file for reading bytes: all of it is of one moment, whoever replaces it meanwhile.

        :raises FileNotFoundError: there is none of that name.
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
        return copy  # type: ignore[return-value]  # it reads as a file does, and deletes itself

    def tail(self, listed: ListedFile, size: int) -> BinaryIO:
        """Open the last bytes of a file, at the least so many or all that there are.

        :raises FileNotFoundError: there is none of that name any more.
        """
        if self._store is None:
            return self.open(listed.name)
        return io.BytesIO(self._store.tail(listed.name, max(0, listed.bytes - size)) if listed.bytes else b"")

    def read(self, name: str) -> bytes | None:
        """Return a small file's bytes, or ``None`` where there is no such file."""
        return self.read_versioned(name)[0]

    def read_versioned(self, name: str) -> tuple[bytes | None, str | None]:
        """Return a small file's bytes, and what to give to :meth:`publish` to replace this very file.

        :returns: no bytes where there is no such file; no version where the store has no conditional writes.
        """
        try:
            if self._store is not None:
                return self._store.read_versioned(name)
            with self.open(name) as file:
                return file.read(), None
        except FileNotFoundError:
            return None, "" if self._store is not None and self._store.has_conditional_writes else None

    def listed(self, name: str) -> ListedFile:
        """Return a file as a listing would have it now.

        :raises FileNotFoundError: there is none of that name.
        """
        if self._store is not None:
            return _listed_remotely(self._store.info(name))
        with disk_errors("read", self._at(name)):
            return _listed(name, os.stat(self._at(name)))

    def delete(self, name: str, stamp: str = "") -> None:
        """Delete a file; one that is gone already is fine.

        :param stamp: as it was listed: where the store can tell that it has been replaced since, it stays.
        :raises WriteConflictError: it stayed.
        """
        if self._store is not None:
            self._store.delete(name, stamp)
            return
        with disk_errors("delete", self._at(name)), contextlib.suppress(FileNotFoundError):
            os.unlink(self._at(name))

    def mode_of(self, name: str) -> int | None:
        """Return a file's permissions; ``None`` where there is no such file, or no such thing as in an object store."""
        with contextlib.suppress(OSError):
            return stat.S_IMODE(self._at(name).stat().st_mode) if self._local is not None else None
        return None

    def stage(self, name: str, mode: int | None = None) -> StagedFile:
        """Make a local file to write, which :meth:`publish` lets appear as ``name``. Close it in any case.

        :param mode: its permissions on a disk, such as ``0o600``; ``None``: those of any new file.
        """
        folder = self._staging()
        with disk_errors("write into", folder):
            if self._local is not None:
                folder.mkdir(parents=True, exist_ok=True)
            return StagedFile(folder / f".{name}.{uuid.uuid4().hex}{_SUFFIX}", mode)

    def publish(self, staged: StagedFile, name: str, version: str | None = None) -> None:
        """Let a staged file appear under its name, in place of what was there, in one step.

        :param version: what is to be there, as far as that can be told: nothing (empty), a version (on stores with
            conditional writes), or whatever is (``None``).
        :raises WriteConflictError: it is not.
        """
        if self._store is not None:
            self._store.upload(staged.path, name, version, f".{name}.{uuid.uuid4().hex}{_SUFFIX}")
            return
        with disk_errors("write", self._at(name)):
            if version != "" or not _link_if_absent(staged.synced(), self._at(name)):
                os.replace(staged.synced(), self._at(name))
            self._sync()

    def open_append(self, name: str) -> BinaryIO | None:
        """Open a file of our own to append to, without a buffer; ``None`` on an object store, which has no such thing.

        A file that is made for it can be read by its owner only.
        """
        if self._local is None:
            return None
        with disk_errors("write", self._local / name):
            self._local.mkdir(parents=True, exist_ok=True)
            return open(self._local / name, "ab", buffering=0, opener=lambda path, flags: os.open(path, flags, 0o600))

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Keep other writers out, and say whether that worked: object stores and some network disks have no locks."""
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
        """Delete what writers that were killed have left behind."""
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
        """Whether a file was last changed more than a day ago, as far as can be told."""
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
        """Make renames durable, where directories can be synced."""
        folder = os.open(self._local or ".", os.O_RDONLY)
        try:
            with contextlib.suppress(OSError):
                os.fsync(folder)
        finally:
            os.close(folder)


def _link_if_absent(source: Path, target: Path) -> bool:
    """Let a file appear under a name that nobody has; ``False`` where the file system has no such step.

    :raises WriteConflictError: somebody has it.
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
    """Where files for other filesystems are made: one folder for a user, so that what the dead leave can be found."""
    folder = Path(tempfile.gettempdir()) / f"altegio-staging-{os.getuid()}"
    with disk_errors("make", folder):
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
