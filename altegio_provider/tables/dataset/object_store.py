"""Reads and writes files of a remote filesystem. Requests are retried; errors say what to do.

Paths are those of the filesystem, without a protocol: ``bucket/folder/file``. Reads are consistent: a file is read in
one request, or its stamp is compared before and after.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from tenacity import Retrying, retry_if_exception, stop_after_attempt, wait_random_exponential

from altegio_provider.tables.dataset.conditional_writes import ConditionalWrites, conditional_writes
from altegio_provider.tables.dataset.storage_errors import (
    NO_BUCKET,
    StorageError,
    StorePath,
    WriteConflictError,
    diagnose,
    is_conflict,
    is_retryable,
    status_of,
    store_error,
)

__all__ = ["STAMPS", "ObjectStore", "stamp_of"]

log = logging.getLogger(__name__)

Result = TypeVar("Result")

#: Stores that show an upload only when it is complete, and that need no folders.
_ATOMIC_UPLOAD = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss"}
#: The keys under which filesystems list a value that changes with the file, the most reliable first. On stores with
#: conditional writes, the first of them is the version.
STAMPS = ("ETag", "generation", "etag", "LastModified", "last_modified", "mtime", "updated", "modified", "created")
#: Retryable requests are repeated for up to two minutes, in addition to the libraries' own retries.
_TRIES = 9
_LONGEST_WAIT_SECONDS = 30
#: The error codes of stores that do not support conditional requests.
_UNSUPPORTED = {"NotImplemented", "InvalidRequest", "InvalidArgument", "MethodNotAllowed", "UnsupportedHeader"}


class ObjectStore:
    """One folder of a remote filesystem.

    :param path: the folder, a path of ``universal_pathlib``.
    :param sleep: waits the given number of seconds between two attempts.
    """

    def __init__(self, path: Any, sleep: Callable[[float], None] = time.sleep) -> None:
        self._path = path
        self._sleep = sleep
        self._root: str = path.path.rstrip("/")
        self.uploads_whole = path.protocol in _ATOMIC_UPLOAD
        self._ignores_conditions = False

    @cached_property
    def _fs(self) -> Any:
        try:
            return self._path.fs
        except ImportError as error:
            raise StorageError(
                f"cannot open {self._path.protocol}://: {error}. Install the extra s3, gcs or azure of the provider."
            ) from None

    @cached_property
    def _known_conditional_writes(self) -> ConditionalWrites | None:
        return conditional_writes(self._fs)

    @property
    def _conditional(self) -> ConditionalWrites | None:
        return None if self._ignores_conditions else self._known_conditional_writes

    @property
    def has_conditional_writes(self) -> bool:
        """Whether the store supports conditional writes, so that versions are compared."""
        return self._conditional is not None

    def check(self, name: str) -> None:
        """Check that the folder is writable, and that the store obeys conditions.

        :param name: the name of an empty file that is written for this and is kept.
        :raises StorageError: the folder is not writable.
        """
        conditional = self._conditional
        if conditional is None:
            return

        def create() -> bool:
            try:
                conditional.write(self._full(name), b"", "")
            except WriteConflictError:
                return True
            except Exception as error:
                if not _is_unsupported(error):
                    raise
            return False

        # The first attempt may create the file. If the second one succeeds too, the store ignores conditions.
        if not self._do("write", name, create, writes=True) and not self._do("write", name, create):
            log.warning(
                "%s has no conditional writes. Do not let runs of one location overlap in time.",
                self._path,
            )
            self._ignores_conditions = True

    def check_bucket(self) -> None:
        """Check that the bucket exists, if the store allows to find out.

        :raises StorageError: it does not exist.
        """
        bucket = self._root.partition("/")[0]
        conditional = self._known_conditional_writes
        if conditional is not None and conditional.is_missing(bucket):
            place = self._place()
            raise store_error("use", place, NO_BUCKET)

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """Return the listing's entries; none if the folder does not exist.

        :param kind: ``file`` or ``directory``.
        """

        def listing() -> list[dict[str, Any]]:
            # Others write there too, so a cached listing is outdated.
            self._fs.invalidate_cache(self._root)
            try:
                found: list[dict[str, Any]] = self._fs.ls(self._root, detail=True)
            except FileNotFoundError:
                self.check_bucket()
                return []
            return [entry for entry in found if entry["type"] == kind and self._is_in(entry)]

        return self._do("list", "", listing)

    def read(self, name: str) -> bytes:
        """Return a small file's content.

        :param name: the file's name.
        :raises FileNotFoundError: the file does not exist.
        """
        return self.read_versioned(name)[0]

    def read_versioned(self, name: str) -> tuple[bytes, str | None]:
        """Return a small file's content, and its version if the store has conditional writes.

        :param name: the file's name.
        :raises FileNotFoundError: the file does not exist.
        """
        path = self._full(name)

        def whole() -> tuple[bytes, str | None]:
            if self._conditional is not None:
                return self._conditional.read(path)
            return self._fs.cat_file(path), None

        return self._do("read", name, whole)

    def tail(self, name: str, start: int) -> bytes:
        """Return the end of a file, in one request.

        :param name: the file's name.
        :param start: the offset of the first byte.
        :raises FileNotFoundError: the file does not exist.
        """
        path = self._full(name)
        content: bytes = self._do("read", name, lambda: self._fs.cat_file(path, start=start))
        return content

    def download(self, name: str, target: Path) -> None:
        """Copy a file to the local disk.

        :param name: the file's name.
        :param target: the local file.
        :raises FileNotFoundError: the file does not exist.
        :raises WriteConflictError: the file was replaced during the copy.
        """
        path = self._full(name)

        def copy() -> None:
            before = stamp_of(self.info(name))
            self._fs.get_file(path, str(target))
            if stamp_of(self.info(name)) != before:
                raise WriteConflictError

        self._do("read", name, copy)

    def info(self, name: str) -> dict[str, Any]:
        """Return a file's current listing entry.

        :param name: the file's name.
        :raises FileNotFoundError: the file does not exist.
        """
        path = self._full(name)

        def look() -> dict[str, Any]:
            self._fs.invalidate_cache(self._root)
            found: dict[str, Any] = self._fs.info(path)
            if found["type"] != "file":
                raise FileNotFoundError(path)
            return found

        return self._do("read", name, look)

    def upload(self, source: Path, name: str, version: str | None = None, hidden: str = "") -> None:
        """Upload a local file; it becomes visible when it is complete.

        :param source: the local file.
        :param name: the name to upload it under.
        :param version: the version to replace; empty: the name must not exist; ``None``: replace any file. Without
            conditional writes, the version is ignored.
        :param hidden: a temporary name, for filesystems that show an upload before it is complete.
        :raises WriteConflictError: the name has another version, or exists although it must not.
        """
        path = self._full(name)
        conditional = self._conditional

        def put() -> None:
            if not self.uploads_whole:
                self._fs.makedirs(self._root, exist_ok=True)
                self._fs.put_file(str(source), self._full(hidden))
                self._fs.mv(self._full(hidden), path)
            elif conditional is None or version is None:
                self._fs.put_file(str(source), path)
            elif version:
                # Read into memory: this case concerns only the manifest and the remains of killed runs.
                conditional.write(path, source.read_bytes(), version)
            else:
                try:
                    self._fs.put_file(str(source), path, mode="create")
                except Exception as error:
                    if is_conflict(error):
                        raise WriteConflictError from None
                    raise
            self._fs.invalidate_cache(self._root)

        self._do("write", name, put, writes=True)

    def delete(self, name: str, version: str = "") -> None:
        """Delete a file. A file that does not exist causes no error.

        :param name: the file's name.
        :param version: delete it only if it has this version; empty: in any case.
        :raises WriteConflictError: it has another version.
        """
        path = self._full(name)
        conditional = self._conditional

        def remove() -> None:
            try:
                if version and conditional is not None:
                    conditional.delete(path, version)
                    return
            except WriteConflictError:
                raise
            except Exception as error:
                if not _is_unsupported(error):
                    raise
            self._fs.rm_file(path)

        try:
            self._do("delete", name, remove)
        except FileNotFoundError:
            pass
        finally:
            self._fs.invalidate_cache(self._root)

    def age_seconds(self, name: str) -> float | None:
        """Return the seconds since a file was last changed, ``None`` if that is unknown.

        :param name: the file's name.
        """
        path = self._full(name)
        try:
            modified: datetime = self._do("read", name, lambda: self._fs.modified(path))
        except (NotImplementedError, FileNotFoundError, AttributeError):
            return None
        return (datetime.now(UTC) - modified.astimezone(UTC)).total_seconds()

    def _do(self, doing: str, name: str, call: Callable[[], Result], *, writes: bool = False) -> Result:
        """Make a request, and repeat it if its error is retryable.

        :param writes: whether it creates a file. Then "not found" can only concern the bucket.
        """
        tries = Retrying(
            retry=retry_if_exception(is_retryable),
            wait=wait_random_exponential(max=_LONGEST_WAIT_SECONDS),
            stop=stop_after_attempt(_TRIES),
            sleep=self._sleep,
            reraise=True,
        )
        try:
            return tries(call)
        except FileNotFoundError:
            if not writes:
                raise
            place = self._place(name)
            raise store_error(doing, place, NO_BUCKET) from None
        except (StorageError, WriteConflictError, NotImplementedError, AttributeError):
            raise
        except Exception as error:
            place = self._place(name)
            raise store_error(doing, place, diagnose(error, place), tries.statistics.get("attempt_number", 1)) from None

    def _place(self, name: str = "") -> StorePath:
        return StorePath.of(str(self._path / name if name else self._path))

    def _full(self, name: str) -> str:
        return f"{self._root}/{name}"

    def _is_in(self, entry: dict[str, Any]) -> bool:
        """Return whether an entry is in this folder: some filesystems list all names with the same prefix."""
        parts: list[str] = entry["name"].strip("/").split("/")
        return len(parts) < 2 or parts[-2] == self._root.rpartition("/")[2]


def _is_unsupported(error: BaseException) -> bool:
    status, code = status_of(error)
    return status == 501 or code in _UNSUPPORTED


def stamp_of(entry: dict[str, Any]) -> str:
    """Return the value of a listing entry that changes with the file; empty if it has none.

    :param entry: a listing entry of the filesystem.
    """
    return next((str(entry[key]) for key in STAMPS if entry.get(key)), "")
