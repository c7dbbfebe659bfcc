"""A private copy of a file: what was checked is what is booked, whoever changes the file meanwhile.

A file is read several times (for its encoding, its delimiter, its headings, its rows), and it may lie where others
write. So it is copied once, and everything is read from the copy.
"""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import weakref
from collections.abc import Callable
from typing import IO, Any, cast

__all__ = ["SourceCopy"]

_CHUNK_BYTES = 1 << 20


class SourceCopy:
    """The bytes of a file at one moment, in a file without a name that only this process can read.

    :param open_file: opens the original.
    :param name: of the original, for errors.
    :raises OSError: the copy cannot be written: the disk of temporary files is full, for one.
    """

    def __init__(self, open_file: Callable[[], IO[bytes]], name: str) -> None:
        digest = hashlib.sha256()
        self._file = _unlinked_file(name)
        #: Deletes the copy. It is deleted too when nobody uses it any more.
        self.close = weakref.finalize(self, os.close, self._file)
        try:
            with open_file() as original:
                while chunk := original.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    _write(self._file, chunk, name)
        except BaseException:
            self.close()
            raise
        #: SHA-256 of the content, as hexadecimal digits.
        self.digest = digest.hexdigest()

    def open(self) -> IO[bytes]:
        """Open the copy from its beginning. Several may be open at once, as long as it is not closed."""
        return cast("IO[bytes]", io.BufferedReader(_View(self), _CHUNK_BYTES))

    def read_at(self, place: int, size: int) -> bytes:
        """Return so many bytes from there, or fewer at the end."""
        return os.pread(self._file, size, place)

    @property
    def size(self) -> int:
        """How many bytes it has."""
        return os.fstat(self._file).st_size


def _unlinked_file(name: str) -> int:
    try:
        file, path = tempfile.mkstemp(prefix="altegio-source-")
        os.unlink(path)
    except OSError as error:
        raise _copy_error(error, name) from None
    return file


def _write(file: int, chunk: bytes, name: str) -> None:
    left = memoryview(chunk)
    try:
        while left:
            left = left[os.write(file, left) :]
    except OSError as error:
        raise _copy_error(error, name) from None


def _copy_error(error: OSError, name: str) -> OSError:
    where = tempfile.tempdir or "the folder of temporary files"
    return OSError(error.errno, f"{name} cannot be copied to {where} for reading ({error.strerror})")


class _View(io.RawIOBase):
    """Reads a copy that others read too, at a place of its own."""

    def __init__(self, copy: SourceCopy) -> None:
        self._snapshot = copy
        self._place = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._snapshot.read_at(self._place, len(buffer))
        buffer[: len(data)] = data
        self._place += len(data)
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._place, os.SEEK_END: self._snapshot.size}[whence]
        if base + offset < 0:
            raise OSError("seek before the beginning of a file")
        self._place = base + offset
        return self._place

    def tell(self) -> int:
        return self._place
