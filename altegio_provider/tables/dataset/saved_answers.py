"""Saves the API's answers next to a dataset, so that a retry does not repeat the requests of a run that died.

The answers are in hidden files of JSON lines, which readers of Parquet datasets ignore. On a disk each attempt has one
file, to which each answer is appended at once. Object stores cannot append, so a file is uploaded for each hundred
answers.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from datetime import UTC, datetime, timedelta
from types import TracebackType
from typing import Any, Self

from altegio_provider.tables.dataset.folder import Folder, ListedFile
from altegio_provider.tables.dataset.storage_errors import disk_errors

__all__ = ["SavedAnswers"]

_PREFIX = ".answers-"
_SUFFIX = ".jsonl"
#: On an object store, the retry of a killed run repeats at most this many requests.
_LINES_PER_UPLOAD = 100


class SavedAnswers:
    """The saved answers of one job, each with its number. Use it as a context manager; it is thread-safe.

    :param folder: the location's folder in the dataset.
    :param job: the job's name, in characters that are valid in a file name.
    :param fresh_for: answers of an attempt that began longer ago than this are not used.
    """

    def __init__(self, folder: Folder, job: str, fresh_for: timedelta) -> None:
        self._folder = folder
        self._prefix = f"{_PREFIX}{job}."
        #: When the first of the attempts began whose answers are used.
        self.began_at = datetime.now(UTC)
        self._lock = threading.Lock()
        self._held: list[bytes] = []
        self._attempt = uuid.uuid4().hex
        self._uploads = 0
        self._discard_stale()
        self._earlier: list[tuple[datetime, str]] = []
        for listed in self._files(self._prefix):
            began_at = self._beginning_of(listed.name)
            if began_at is None or self.began_at - began_at > fresh_for:
                folder.delete(listed.name)
            else:
                self._earlier.append((began_at, listed.name))
        self.began_at = min([self.began_at, *(began_at for began_at, _ in self._earlier)])
        self._head = json.dumps({"began_at": self.began_at.isoformat()}).encode() + b"\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._upload()

    def answers(self) -> Iterator[tuple[int, Any]]:
        """Yield the answers of earlier attempts, each with its number. A number may occur twice."""
        for _, name in self._earlier:
            # The file is gone if an attempt that was considered dead has completed the job meanwhile.
            with suppress(FileNotFoundError), self._folder.open(name) as file:
                for line in file:
                    answer = _read(line)
                    if answer is not None:
                        yield answer

    def add(self, number: int, value: Any) -> None:
        """Save an answer.

        :param number: the answer's number, such as an event's id.
        :param value: the answer, a JSON value.
        :raises StorageError: the disk is full, or the disk or store is not writable.
        """
        line = json.dumps([number, value], separators=(",", ":")).encode() + b"\n"
        with self._lock:
            if not self._held:
                line = self._head + line
            name = f"{self._prefix}{self._attempt}{_SUFFIX}"
            if (file := self._folder.open_append(name)) is not None:
                # Opened for each answer, because answers still arrive after the run has failed.
                with disk_errors("write", self._folder.path_of(name)), file:
                    while line:  # a disk that is almost full writes only a part at first
                        line = line[file.write(line) :]
                self._head = b""
                return
            self._held.append(line)
            if len(self._held) >= _LINES_PER_UPLOAD:
                self._upload()

    def clear(self) -> None:
        """Delete the saved answers. Call it when the job is done."""
        with self._lock:
            self._held.clear()
        for listed in self._files(self._prefix):
            self._folder.delete(listed.name)

    def _upload(self) -> None:
        if not self._held:
            return
        name = f"{self._prefix}{self._attempt}-{self._uploads}{_SUFFIX}"
        with closing(self._folder.stage(name, 0o600)) as staged:
            with disk_errors("write into", staged.path.parent):
                staged.path.write_bytes(b"".join(self._held))
            self._folder.publish(staged, name)
        self._uploads += 1
        self._held.clear()

    def _beginning_of(self, name: str) -> datetime | None:
        try:
            with self._folder.open(name) as file:
                return datetime.fromisoformat(json.loads(file.readline())["began_at"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def _files(self, prefix: str) -> list[ListedFile]:
        listing = self._folder.listing()
        return [one for one in listing if one.name.startswith(prefix) and one.name.endswith(_SUFFIX)]

    def _discard_stale(self) -> None:
        """Delete the files of jobs that were never resumed."""
        for listed in self._files(_PREFIX):
            if self._folder.is_old(listed.name):
                self._folder.delete(listed.name)


def _read(line: bytes) -> tuple[int, Any] | None:
    """Return a line's answer, ``None`` for the first line and for a line that a killed writer left incomplete."""
    try:
        number, value = json.loads(line)
    except (ValueError, TypeError):
        return None
    return (number, value) if isinstance(number, int) else None
