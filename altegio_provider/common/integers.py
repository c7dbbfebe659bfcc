"""Reads an integer from text. It uses the standard library alone, so that every ring may import it."""

from __future__ import annotations

from typing import Any

__all__ = ["integer_or_none"]

#: Digits of the largest 64-bit integer. Python refuses to read texts of some thousands of digits.
_MAX_DIGITS = 19


def integer_or_none(text: Any) -> int | None:
    """Return the integer that a text of at most 19 ASCII digits writes, or ``None`` for anything else.

    :param text: any value; only text can be such an integer.
    """
    is_integer = isinstance(text, str) and text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS
    return int(text) if is_integer else None
