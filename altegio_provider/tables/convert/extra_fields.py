"""What of each row is in no column, and its JSON text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import orjson

from altegio_provider.tables.convert.characters import escape

__all__ = ["ExtraFields", "json_text"]


class ExtraFields:
    """Keeps what the rows of one page have left, each value at the place where it came.

    :param count: how many rows the page has.
    :param is_allowed: tells by its path and itself whether a value may be kept; default: all may.
    """

    def __init__(self, count: int, is_allowed: Callable[[tuple[str, ...], Any], bool] | None = None) -> None:
        self._rows: dict[int, dict[str, Any]] = {}
        self._count = count
        self._is_allowed = is_allowed

    def put(self, number: int, path: tuple[str, ...], value: Any) -> None:
        """Keep a value of a row; the path leads to it through the row's objects."""
        if self._is_allowed is not None and not self._is_allowed(path, value):
            return
        place = self._rows.setdefault(number, {})
        for name in path[:-1]:
            place = place.setdefault(name, {})
        place[path[-1]] = value

    def texts(self) -> list[str | None]:
        """The JSON text of the fields that each row has left; ``None`` where there is nothing left."""
        texts: list[str | None] = [None] * self._count
        for number, row in self._rows.items():
            texts[number] = json_text(row)
        return texts


#: What orjson's text has where the value may need another form: not-a-number is written as null, U+0000 as an escape,
#: and U+FFFD (in UTF-8) may have to be escaped itself.
_NEEDS_OWN_WRITER = (b"null", b"\\u0000", "\ufffd".encode())


def json_text(value: Any) -> str:
    """Write any JSON value, and what Python's parsers take for one, as text that every JSON parser reads.

    Not-a-number and the infinities, which JSON does not have, become the texts ``"NaN"``, ``"Infinity"`` and
    ``"-Infinity"``; whole numbers keep all their digits. Characters that databases refuse, in texts and in keys, have
    the form of :func:`~altegio_provider.tables.convert.characters.escape`.
    """
    try:
        text = orjson.dumps(value)
    except TypeError:
        return _iterative_json_text(value)
    return _iterative_json_text(value) if any(sign in text for sign in _NEEDS_OWN_WRITER) else text.decode()


def _iterative_json_text(value: Any) -> str:
    """The same for any depth and any number: it keeps a stack of its own, where the quick ones would run out."""
    parts: list[str] = []
    # What is still to be written, the last one first: either a text as it stands, or a value.
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
