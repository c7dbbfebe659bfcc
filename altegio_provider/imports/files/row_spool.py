"""Keeps rows on the disk that must be read twice, where their source is slow to read again or cannot be."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterable, Iterator
from itertools import islice

from altegio_provider.imports.model import SourceRow

__all__ = ["RowSpool"]

_ROWS_AT_ONCE = 500


class RowSpool:
    """Rows in a temporary file without a name, which only this process can read.

    :param rows: the rows. Each is written when :meth:`fill` yields it.
    """

    def __init__(self, rows: Iterable[SourceRow]) -> None:
        self._rows = rows
        self._file = tempfile.TemporaryFile(prefix="altegio-rows-")  # noqa: SIM115 - closed by close()
        self._batches = 0

    def fill(self) -> Iterator[SourceRow]:
        """Read the rows and write them into the file. Yield each."""
        rows = iter(self._rows)
        while batch := list(islice(rows, _ROWS_AT_ONCE)):
            pickle.dump([(row.line, row.values) for row in batch], self._file, pickle.HIGHEST_PROTOCOL)
            self._batches += 1
            yield from batch

    def __iter__(self) -> Iterator[SourceRow]:
        """Yield the rows from the file."""
        self._file.seek(0)
        for _ in range(self._batches):
            # The file has no name and only this process writes it, so nothing else can be in it.
            for line, values in pickle.load(self._file):  # noqa: S301
                yield SourceRow(line, values)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()
