"""Collects the values of each row that have no column, and writes them as JSON text for the column ``extra``."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import orjson

from altegio_provider.tables.convert.characters import escape

__all__ = ["ExtraFields", "json_text"]


class ExtraFields:
    """The values of a batch's rows that have no column, each under its path in the row.

    :param count: how many rows the batch has.
    :param is_allowed: decides by path and value whether a value may be kept; default: every value.
    """

    def __init__(self, count: int, is_allowed: Callable[[tuple[str, ...], Any], bool] | None = None) -> None:
        self._rows: dict[int, dict[str, Any]] = {}
        self._count = count
        self._is_allowed = is_allowed

    def put(self, number: int, path: tuple[str, ...], value: Any) -> None:
        """Keep a value of a row, if it is allowed.

        :param number: the row's index in the batch.
        :param path: the keys that lead to the value through the row's objects.
        :param value: any JSON value.
        """
        if self._is_allowed is not None and not self._is_allowed(path, value):
            return
        place = self._rows.setdefault(number, {})
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = value

    def texts(self) -> list[str | None]:
        """Return each row's values as JSON text, ``None`` for a row without any."""
        texts: list[str | None] = [None] * self._count
        for number, row in self._rows.items():
            texts[number] = json_text(row)
        return texts


#: If orjson's text contains one of these, the value may need another form: orjson writes NaN as null and U+0000 as an
#: escape, and U+FFFD (in UTF-8) may itself have to be escaped.
_NEEDS_OWN_WRITER = (b"null", b"\\u0000", "\ufffd".encode())


def json_text(value: Any) -> str:
    """Return any value that Python's JSON parsers produce as text that every JSON parser reads.

    NaN and the infinities, which JSON does not have, become the texts ``"NaN"``, ``"Infinity"`` and ``"-Infinity"``.
    Whole numbers keep all their digits. Characters that databases refuse, in texts and in keys, are escaped as by
    :func:`~altegio_provider.tables.convert.characters.escape`.

    :param value: the value.
    """
    try:
        text = orjson.dumps(value)
    except TypeError:
        return _iterative_json_text(value)
    return _iterative_json_text(value) if any(sign in text for sign in _NEEDS_OWN_WRITER) else text.decode()


def _iterative_json_text(value: Any) -> str:
    """Return the same text for any depth and any number, with an explicit stack instead of recursion."""
    parts: list[str] = []
    # What is still to be written, in reverse order: either finished text, or a value.
    stack: list[tuple[bool, Any]] = [(False, value)]
    while stack:
        is_text, item = stack.pop()
        if is_text:
            parts.append(item)
        elif isinstance(item, dict):
            stack.append((True, "}"))
            for place, (key, member) in reversed(list(enumerate(item.items()))):
                stack += [(False, member), (True, f"{',' if place else ''}{_quoted(key)}:")]
            parts.append("{")
        elif isinstance(item, list):
            stack.append((True, "]"))
            for place, member in reversed(list(enumerate(item))):
                stack += [(False, member), (True, "," if place else "")]
            parts.append("[")
        elif isinstance(item, float) and not math.isfinite(item):
            parts.append('"NaN"' if math.isnan(item) else '"Infinity"' if item > 0 else '"-Infinity"')
        else:
            parts.append(_quoted(item) if isinstance(item, str) else json.dumps(item))
    return "".join(parts)


def _quoted(text: str) -> str:
    return json.dumps(escape(text), ensure_ascii=False)
