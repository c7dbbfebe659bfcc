"""Characters that a warehouse cannot store: U+0000, which PostgreSQL refuses, and unpaired surrogates.

An unpaired surrogate has no UTF-8 form, so neither Arrow nor Parquet can store it. Parquet and DuckDB can store
U+0000, but PostgreSQL refuses it, and its ``jsonb`` refuses ``\\u0000`` in JSON text too.

In a column each such character is replaced by U+FFFD (the replacement character). The original text goes to ``extra``
in a form that every database can store: U+FFFD followed by the character's code in four hexadecimal digits.
:func:`escape` writes this form, and :func:`unescape` restores the original.
"""

from __future__ import annotations

import re
from typing import Any, Final

__all__ = ["escape", "is_storable", "replace_unstorable", "unescape"]

_MARK: Final = "\ufffd"
_REFUSED = re.compile("[\0\ud800-\udfff]")
# U+FFFD is escaped too if four hexadecimal digits follow it; otherwise it would be read as an escape.
_TO_ESCAPE = re.compile("[\0\ud800-\udfff]|\ufffd(?=[0-9a-f]{4})")
_ESCAPE = re.compile("\ufffd([0-9a-f]{4})")


def is_storable(text: str) -> bool:
    """Return whether every warehouse can store the text unchanged.

    :param text: any text.
    """
    return _REFUSED.search(text) is None


def replace_unstorable(value: Any) -> Any:
    """Return a text with each character that cannot be stored replaced by U+FFFD. Other values stay unchanged.

    :param value: any JSON value. In a list of objects, the texts of each object are treated the same way.
    """
    if type(value) is str:
        return value if is_storable(value) else _REFUSED.sub(_MARK, value)
    if type(value) is list:
        return [
            {key: replace_unstorable(member) if type(member) is str else member for key, member in item.items()}
            if type(item) is dict
            else item
            for item in value
        ]
    return value


def escape(text: str) -> str:
    """Return a text that every database can store and from which :func:`unescape` restores the original.

    ``"a\\0b"`` becomes ``"a\\ufffd0000b"``. A text without such characters is returned unchanged.

    :param text: any text.
    """
    return _TO_ESCAPE.sub(lambda match: f"{_MARK}{ord(match[0]):04x}", text)


def unescape(text: str) -> str:
    """Return the original of a text that :func:`escape` wrote. Use it on the texts and the keys of ``extra``.

    :param text: an escaped text.
    """
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
