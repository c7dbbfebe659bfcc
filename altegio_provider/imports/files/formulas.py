"""Keeps spreadsheet programs from taking a cell of ours for a formula, and undoes that when the file is read again.

A program that opens CSV runs a cell that begins with ``=``, ``+``, ``-`` or ``@``. Such a cell gets an apostrophe at
its front, which makes it a text. A program that cuts the lines at another delimiter than ours begins a cell behind each
semicolon, tab, quotation mark or line break too, so these places are treated alike. Whatever stood there with
apostrophes already gets one more, so that taking one away restores every text exactly.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

__all__ = ["REPORT_COLUMNS", "REPORT_PREFIX", "escaped", "escaped_row", "unescaped"]

#: The columns that our own report of rejected rows has beside those of the file begin so.
REPORT_PREFIX = "altegio_"
#: A file that has one of them is our own report, mended.
REPORT_COLUMNS = frozenset({f"{REPORT_PREFIX}line", f"{REPORT_PREFIX}reasons"})

# Behind spaces too, which some programs cut; and in full width, which some programs fold.
_FORMULA = r"'*[ \xa0]*[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]"
_BEGINNING = r"(?:\A|(?<=[,;|\t\r\n\"]))"
_TO_ESCAPE = re.compile(rf"{_BEGINNING}(?={_FORMULA})")
_ESCAPED = re.compile(rf"{_BEGINNING}'(?={_FORMULA})")


def escaped(text: str) -> str:
    """Return a text that no spreadsheet program takes for a formula; :func:`restored` undoes it."""
    return _TO_ESCAPE.sub("'", text)


def unescaped(text: str) -> str:
    """Return the text that :func:`neutral` was given."""
    return _ESCAPED.sub("", text)


def escaped_row(cells: Iterable[Any]) -> Iterator[Any]:
    """Yield the cells of a row, its texts neutral; what is not text is written as text first, for it may be any."""
    for cell in cells:
        yield cell if cell is None or isinstance(cell, int | float) else escaped(str(cell))
