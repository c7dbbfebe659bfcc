"""Rows under headings, as every kind of file gives them, and what is refused of any file."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import IO, Any, Self

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

#: More columns than this are another kind of file, or a wrong delimiter.
MAX_COLUMNS = 100
#: More rows than a sheet of Excel has are no list of clients: at the API's limit they would take days to send.
MAX_ROWS = 1_048_576
#: A heading longer than this is none, and is not shown in an error.
_LONGEST_HEADING = 1_000
_NUMBERS_ONLY = re.compile(r"[+(]?\d[\d\s()./:,+-]*")

#: Opens the file anew, for reading bytes from its beginning.
OpenFile = Callable[[], IO[bytes]]


class RowSource(ABC):
    """Rows under headings. Each iteration starts anew; it is also a context manager, which closes it.

    :param name: the file or thing, fit for an error or a log.
    :param columns: the headings, in order, each once.
    :param how: how it is read: the format, and what was found out of delimiter and encoding.
    """

    def __init__(self, name: str, columns: list[str], how: str) -> None:
        self.name = name
        self.columns = columns
        self.how = how
        #: SHA-256 of a file's content, as hexadecimal digits; ``None`` where it is no file.
        self.digest: str | None = None
        self._let_go: Callable[[], object] = lambda: None

    def with_copy(self, copy: SourceCopy) -> Self:
        """Say that the rows come from this copy of a file, which goes when the source is closed."""
        self.digest, self._let_go = copy.digest, copy.close
        return self

    @abstractmethod
    def __iter__(self) -> Iterator[SourceRow]:
        """Yield the rows that are not blank.

        :raises ImportFileError: what cannot be read lies further down in the file.
        """

    def close(self) -> None:
        """Let go of what is open."""
        self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def checked_columns(headings: list[Any], name: str) -> list[str]:
    """Return the headings, stripped, if they can be those of a list of clients.

    :raises ImportFileError: there are none, too many, one twice, or they are no headings.
    """
    if len(headings) > MAX_COLUMNS:
        raise ImportFileError(
            f"{name} has {len(headings):,} columns, and {MAX_COLUMNS} are taken at the most. Keep those to import."
        )
    if any(isinstance(heading, str) and len(heading) > _LONGEST_HEADING for heading in headings):
        raise ImportFileError(
            f"{name} has a heading longer than {_LONGEST_HEADING:,} characters. Its first row must name the columns."
        )
    texts = [heading.strip("\ufeff \t\r\n\xa0") if isinstance(heading, str) else None for heading in headings]
    if not texts:
        raise ImportFileError(f"{name} has no columns. Its first row must name them.")
    odd = sum(not text or looks_like_data(text) for text in texts)
    if odd:
        raise ImportFileError(
            f"{name} seems to begin with data: {odd} of {len(texts)} headings are no names. "
            "Its first row must name the columns."
        )
    names = [text for text in texts if text]
    if twice := sorted({text for text in names if names.count(text) > 1}):
        raise ImportFileError(
            f"{name} has the heading {', '.join(map(repr, twice))} more than once. Rename or drop one."
        )
    return names


def checked_count(rows: int, name: str) -> None:
    """Check that a file has no more rows than are taken.

    :raises ImportFileError: it has.
    """
    if rows > MAX_ROWS:
        raise ImportFileError(f"{name} has more than {MAX_ROWS:,} rows. Split it.")


def looks_like_data(heading: str) -> bool:
    """Whether a heading is a phone, an e-mail, a number or a date: then it is none."""
    return "@" in heading or _NUMBERS_ONLY.fullmatch(heading) is not None


def is_blank(value: Any) -> bool:
    """Whether a cell holds nothing: null, NaN (pandas' too), or text of spaces."""
    if value is None:
        return True
    if isinstance(value, str):
        return not value or value.isspace()
    if isinstance(value, float):
        return value != value
    return (isinstance(value, Decimal) and value.is_nan()) or type(value).__name__ in ("NaTType", "NAType")
