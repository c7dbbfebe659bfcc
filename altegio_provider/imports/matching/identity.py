"""Whether two notations can mean one phone, one e-mail, one name, where parts of one of them may be hidden.

Each comparison answers ``True`` or ``False`` where it is sure, and ``None`` where what is shown does not tell.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from altegio_provider.imports.model import normalized_text

__all__ = ["are_named_alike", "compare_emails", "compare_phones", "is_clear_phone"]

#: What stands between the digits of a number; whatever else does stands for digits.
_BETWEEN_DIGITS = re.compile(r"(?<!\.)\.(?!\.)|[\s()+/\u2010-\u2015-]")
_HIDDEN = "*"
_HIDDEN_IN_TEXT = re.compile(r"[*\u2022\u25cf\u2026#]|\.\.")
#: So many last digits tell a number, whatever stands before them for country and trunk.
_TELLING_DIGITS = 9
#: With so many digits a number can be whole, and with so many equal ones at the end it may be the same.
_FEWEST_DIGITS = 7
#: A country's code has no more digits.
_LONGEST_CODE = 4


def compare_phones(sent: Any, shown: Any) -> bool | None:
    """Compare a phone that was sent, in E.164, with one that is shown in any notation."""
    mine, theirs = _places(sent), _places(shown)
    if not mine or not theirs:
        return None
    if _HIDDEN in theirs or len(theirs) < _FEWEST_DIGITS:
        return None if _could_be(mine, theirs) else False
    if any(mine == form or mine.endswith(form) for form in _forms(theirs) if len(form) >= _FEWEST_DIGITS):
        return True
    if mine[-_TELLING_DIGITS:] == theirs[-_TELLING_DIGITS:]:
        return True
    return None if mine[-_FEWEST_DIGITS:] == theirs[-_FEWEST_DIGITS:] else False


def is_clear_phone(shown: Any) -> bool:
    """Whether a phone is there, whole and not masked."""
    places = _places(shown)
    return len(places) >= _FEWEST_DIGITS and _HIDDEN not in places


def compare_emails(sent: Any, shown: Any) -> bool | None:
    """Compare two e-mail addresses."""
    mine, theirs = normalized_text(str(sent or "")), normalized_text(str(shown or ""))
    if not mine or "@" not in theirs or _HIDDEN_IN_TEXT.search(theirs):
        return None
    return mine == theirs


def are_named_alike(client: Mapping[str, Any], shown: Mapping[str, Any]) -> bool:
    """Whether the names are equal as far as both are known, in any order; a name shown may be the whole of it."""
    mine, theirs = _words(client), _words(shown)
    return not theirs or mine == theirs or theirs == _words({"name": client.get("name")})


def _words(person: Mapping[str, Any]) -> list[str]:
    name = normalized_text(f"{person.get('name') or ''} {person.get('surname') or ''}")
    return [] if _HIDDEN_IN_TEXT.search(name) else sorted(name.split())


def _places(phone: Any) -> str:
    """The digits of a number, with one mark wherever some are hidden."""
    text = unicodedata.normalize("NFKC", str(phone or ""))
    text = "".join(str(unicodedata.digit(char, char)) for char in text)
    return re.sub(r"\D+", _HIDDEN, _BETWEEN_DIGITS.sub("", text))


def _forms(digits: str) -> set[str]:
    """A number as it is written, and without the prefix that stands for "in this country" or "abroad"."""
    return {digits, digits.lstrip("0"), digits[1:] if digits[:1] in ("0", "8") else digits}


def _could_be(digits: str, masked: str) -> bool:
    """Whether what is shown at the ends of a number is what the number has there; the code may be left out."""
    head, tail = masked.split(_HIDDEN)[0], masked.split(_HIDDEN)[-1]
    if _HIDDEN not in masked:
        return digits.endswith(masked) or digits.startswith(masked)
    return digits.endswith(tail) and any(
        digits.startswith(form, place) for form in _forms(head) for place in range(_LONGEST_CODE)
    )
