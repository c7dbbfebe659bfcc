"""The files of a remote filesystem: requests that are tried again where that may help, and errors that say what to do.

Paths are those of the filesystem, without a protocol: ``bucket/folder/file``. What is read comes from one moment: in
one request, or with a look afterwards at whether the file is still the one that it was before.
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

#: Stores whose uploads become visible in one step, when they are complete, and where folders need not be made.
_ATOMIC_UPLOAD = {"s3", "s3a", "gs", "gcs", "abfs", "abfss", "az", "adl", "oss"}
#: What a filesystem may call the thing that changes whenever a file does, the surest first. Where there are conditional
#: writes, the first that is there is the version.
STAMPS = ("ETag", "generation", "etag", "LastModified", "last_modified", "mtime", "updated", "modified", "created")
#: Requests that may pass are tried again for up to two minutes, beside what the libraries do themselves.
_TRIES = 9
_LONGEST_WAIT_SECONDS = 30
#: How some stores tell that they have no conditional requests.
_NOT_KNOWN = {"NotImplemented", "InvalidRequest", "InvalidArgument", "MethodNotAllowed", "UnsupportedHeader"}


class ObjectStore:
    """A remote filesystem.

    :param path: a path on it, of the ``universal_pathlib`` kind.
    :param sleep: waits so many seconds between two tries.
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
        """Whether a version that is given is looked at."""
        return self._conditional is not None

    def check(self, name: str) -> None:
        """See whether files can be written, before there is something that would be lost otherwise.

        :param name: a small file that is left there, of which nothing is read.
        :raises StorageError: they cannot.
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
                if not _is_not_known(error):
                    raise
            return False

        # The first may find no such file. Where the second writes it again, the store passes over conditions.
        if not self._do("write", name, create, writes=True) and not self._do("write", name, create):
            log.warning("%s has no conditional writes: runs of one location should not overlap in time", self._path)
            self._ignores_conditions = True

    def check_bucket(self) -> None:
        """See whether there is such a bucket, as far as can be told.

        :raises StorageError: there is none.
        """
        bucket = self._root.partition("/")[0]
        conditional = self._known_conditional_writes
        if conditional is not None and conditional.is_missing(bucket):
            place = self._place()
            raise store_error("use", place, NO_BUCKET)

    def entries(self, kind: str) -> list[dict[str, Any]]:
        """What a listing says of the files (``file``) or folders (``directory``) in it; nothing where it is missing."""

        def listing() -> list[dict[str, Any]]:
            # Others write there too: what was listed before is not what is there now.
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

        :raises FileNotFoundError: there is none.
        """
        return self.read_versioned(name)[0]

    def read_versioned(self, name: str) -> tuple[bytes, str | None]:
        """Return a small file's content, and its version where the store has conditional writes.

        :raises FileNotFoundError: there is none.
        """
        path = self._full(name)

        def whole() -> tuple[bytes, str | None]:
            if self._conditional is not None:
                return self._conditional.read(path)
            return self._fs.cat_file(path), None

        return self._do("read", name, whole)

    def tail(self, name: str, start: int) -> bytes:
        """Return what a file holds from a place on, in one request.

        :raises FileNotFoundError: there is none.
        """
        path = self._full(name)
        content: bytes = self._do("read", name, lambda: self._fs.cat_file(path, start=start))
        return content

    def download(self, name: str, target: Path) -> None:
        """Copy a file as it is at one moment to the local disk.

        :raises FileNotFoundError: there is none.
        :raises WriteConflictError: it was replaced meanwhile.
        """
        path = self._full(name)

        def copy() -> None:
            before = stamp_of(self.info(name))
            self._fs.get_file(path, str(target))
            if stamp_of(self.info(name)) != before:
                raise WriteConflictError

        self._do("read", name, copy)

    def info(self, name: str) -> dict[str, Any]:
        """Return what a listing would say of a file now.

        :raises FileNotFoundError: there is none.
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
        """Let a local file appear under a name, whole, in place of what was there.

        :param version: the version to replace, empty: there must be none; ``None``: whatever is there. Without
            conditional writes it is as if it were ``None``.
        :param hidden: the name to upload it under first, where an upload is visible before it is complete.
        :raises WriteConflictError: it is not what is there.
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
                # Whole in memory: what is replaced so is the manifest, or what a killed run has left.
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
        """Delete a file; one that is gone already is fine.

        :param version: delete it only where it has this version; empty: in any case.
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
                if not _is_not_known(error):
                    raise
            self._fs.rm_file(path)

        try:
            self._do("delete", name, remove)
        except FileNotFoundError:
            pass
        finally:
            self._fs.invalidate_cache(self._root)

    def age_seconds(self, name: str) -> float | None:
        """How long ago a file was last changed; ``None`` where that cannot be told."""
        path = self._full(name)
        try:
            modified: datetime = self._do("read", name, lambda: self._fs.modified(path))
        except (NotImplementedError, FileNotFoundError, AttributeError):
            return None
        return (datetime.now(UTC) - modified.astimezone(UTC)).total_seconds()

    def _do(self, doing: str, name: str, call: Callable[[], Result], *, writes: bool = False) -> Result:
        """Make a request, several times where that may help.

        :param writes: whether it makes a file, so that what is not found can only be the bucket.
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
        """Whether an entry lies in this very folder: some filesystems list by a mere beginning of the name."""
        parts: list[str] = entry["name"].strip("/").split("/")
        return len(parts) < 2 or parts[-2] == self._root.rpartition("/")[2]


def _is_not_known(error: BaseException) -> bool:
    status, code = status_of(error)
    return status == 501 or code in _NOT_KNOWN


def stamp_of(entry: dict[str, Any]) -> str:
    """What changes when a file does, from what a listing says of it; empty where nothing tells."""
    return next((str(entry[key]) for key in STAMPS if entry.get(key)), "")
