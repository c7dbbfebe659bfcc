"""The base class of all sources of rows, and the checks that every file must pass."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import IO, Any, Self

from altegio_provider.imports.files.row_spool import RowSpool
from altegio_provider.imports.files.source_copy import SourceCopy
from altegio_provider.imports.model import ImportFileError, SourceRow

__all__ = [
    "MAX_COLUMNS",
    "MAX_ROWS",
    "OpenFile",
    "RowSource",
    "checked_columns",
    "checked_count",
    "is_blank",
    "looks_like_data",
]

#: Maximum number of columns. More columns mean another kind of file or a wrong delimiter.
MAX_COLUMNS = 100
#: Maximum number of rows, that of an Excel sheet: at the API's limit more would take days to send.
MAX_ROWS = 1_048_576
#: Maximum length of a heading. A longer one is not shown in an error.
_LONGEST_HEADING = 1_000
_NUMBERS_ONLY = re.compile(r"[+(]?\d[\d\s()./:,+-]*")

#: Opens the file again, to read bytes from its beginning.
OpenFile = Callable[[], IO[bytes]]


class RowSource(ABC):
    """Rows under headings. Each iteration starts at the first row. Use it as a context manager, which closes it.

    :param name: the name of the source, for errors and logs.
    :param columns: the headings, in order, without duplicates.
    :param how: a description of how it is read: the format, the delimiter and the encoding.
    """

    def __init__(self, name: str, columns: list[str], how: str) -> None:
        self.name = name
        self.columns = columns
        self.how = how
        #: SHA-256 of a file's content, as hexadecimal digits; ``None`` if the source is not a file.
        self.digest: str | None = None
        self._let_go: Callable[[], object] = lambda: None
        self._spool: RowSpool | None = None

    def with_copy(self, copy: SourceCopy) -> Self:
        """Set the copy of the file that the rows are read from. It is deleted when the source is closed.

        :param copy: the copy.
        """
        self.digest, self._let_go = copy.digest, copy.close
        return self

    #: Whether reading the rows a second time is slow or impossible, so that they are kept when they are read twice.
    is_read_once = False

    def __iter__(self) -> Iterator[SourceRow]:
        """Yield the rows that are not blank.

        :raises ImportFileError: a later part of the file cannot be read.
        """
        return self._rows() if self._spool is None else iter(self._spool)

    def in_advance(self) -> Iterator[SourceRow]:
        """Yield the rows before they are read for the import, to learn from whole columns what single cells mean.

        :raises ImportFileError: a part of the file cannot be read.
        """
        if not self.is_read_once:
            return iter(self)
        self._spool = RowSpool(self._rows())
        return self._spool.fill()

    @abstractmethod
    def _rows(self) -> Iterator[SourceRow]:
        """Yield the rows that are not blank."""

    def close(self) -> None:
        """Close the source and delete its copy."""
        if self._spool is not None:
            self._spool.close()
        self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def checked_columns(headings: list[Any], name: str) -> list[str]:
    """Return the stripped headings.

    :param headings: the cells of the first row.
    :param name: the file, for errors.
    :raises ImportFileError: there are no headings, too many, duplicates, or they look like data.
    """
    if len(headings) > MAX_COLUMNS:
        raise ImportFileError(
            f"{name} has {len(headings):,} columns; the maximum is {MAX_COLUMNS}. Keep only the columns to import."
        )
    if any(isinstance(heading, str) and len(heading) > _LONGEST_HEADING for heading in headings):
        raise ImportFileError(
            f"{name} has a heading longer than {_LONGEST_HEADING:,} characters. "
            "The first row must have the names of the columns."
        )
    texts = [heading.strip("\ufeff \t\r\n\xa0") if isinstance(heading, str) else None for heading in headings]
    if not texts:
        raise ImportFileError(f"{name} has no columns. Its first row must name them.")
    odd = sum(not text or looks_like_data(text) for text in texts)
    if odd:
        raise ImportFileError(
            f"{name} seems to begin with data: {odd} of {len(texts)} headings are not names. "
            "The first row must have the names of the columns."
        )
    names = [text for text in texts if text]
    if twice := sorted({text for text in names if names.count(text) > 1}):
        raise ImportFileError(
            f"{name} has the heading {', '.join(map(repr, twice))} more than once. Rename or remove one."
        )
    return names


def checked_count(rows: int, name: str) -> None:
    """Check that a file does not have too many rows.

    :param rows: the number of rows so far.
    :param name: the file, for errors.
    :raises ImportFileError: the file has more than :data:`MAX_ROWS`.
    """
    if rows > MAX_ROWS:
        raise ImportFileError(f"{name} has more than {MAX_ROWS:,} rows. Split the file.")


def looks_like_data(heading: str) -> bool:
    """Whether a heading is a phone, an e-mail, a number or a date, and therefore not a heading.

    :param heading: the heading.
    """
    return "@" in heading or _NUMBERS_ONLY.fullmatch(heading) is not None


def is_blank(value: Any) -> bool:
    """Whether a cell is empty: null, NaN (also of pandas), or only spaces.

    :param value: the raw cell.
    """
    if value is None:
        return True
    if isinstance(value, str):
        return not value or value.isspace()
    if isinstance(value, float):
        return value != value
    return (isinstance(value, Decimal) and value.is_nan()) or type(value).__name__ in ("NaTType", "NAType")
