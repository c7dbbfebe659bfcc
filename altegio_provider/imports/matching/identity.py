"""Compares phones, e-mails and names of a sent row with those that the API shows, which may be masked.

A comparison returns ``True`` or ``False`` if it is certain, and ``None`` if the shown value does not decide it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from typing import Any

from altegio_provider.imports.model import normalized_text

__all__ = ["are_named_alike", "compare_emails", "compare_phones", "is_clear_phone"]

#: Separators between the digits of a phone. Any other character stands for hidden digits.
_BETWEEN_DIGITS = re.compile(r"(?<!\.)\.(?!\.)|[\s()+/\u2010-\u2015-]")
_HIDDEN = "*"
_HIDDEN_IN_TEXT = re.compile(r"[*\u2022\u25cf\u2026#]|\.\.")
#: So many equal last digits make two phones equal, whatever their country code and trunk prefix.
_TELLING_DIGITS = 9
#: A phone with fewer digits is incomplete. With so many equal last digits two phones may be equal.
_FEWEST_DIGITS = 7
#: The maximum number of digits of a country code.
_LONGEST_CODE = 4


def compare_phones(sent: Any, shown: Any) -> bool | None:
    """Compare a phone that was sent with one that the API shows.

    :param sent: the phone in E.164.
    :param shown: the phone in any notation, perhaps masked.
    """
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
    """Return whether a phone is complete and not masked.

    :param shown: the phone that the API shows.
    """
    places = _places(shown)
    return len(places) >= _FEWEST_DIGITS and _HIDDEN not in places


def compare_emails(sent: Any, shown: Any) -> bool | None:
    """Compare an e-mail address that was sent with one that the API shows.

    :param sent: the address that was sent.
    :param shown: the address that the API shows, perhaps masked.
    """
    mine, theirs = normalized_text(str(sent or "")), normalized_text(str(shown or ""))
    if not mine or "@" not in theirs or _HIDDEN_IN_TEXT.search(theirs):
        return None
    return mine == theirs


def are_named_alike(client: Mapping[str, Any], shown: Mapping[str, Any]) -> bool:
    """Return whether two names are equal as far as both are known, in any order of their words.

    The shown name can be the ``name`` alone, without the ``surname``. A missing or masked name is equal to any.

    :param client: the client as it was sent.
    :param shown: the client that the API shows.
    """
    mine, theirs = _words(client), _words(shown)
    return not theirs or mine == theirs or theirs == _words({"name": client.get("name")})


def _words(person: Mapping[str, Any]) -> list[str]:
    name = normalized_text(f"{person.get('name') or ''} {person.get('surname') or ''}")
    return [] if _HIDDEN_IN_TEXT.search(name) else sorted(name.split())


def _places(phone: Any) -> str:
    """Return the digits of a phone, with one mark for each run of hidden digits."""
    text = unicodedata.normalize("NFKC", str(phone or ""))
    text = "".join(str(unicodedata.digit(char, char)) for char in text)
    return re.sub(r"\D+", _HIDDEN, _BETWEEN_DIGITS.sub("", text))


def _forms(digits: str) -> set[str]:
    """Return a phone as it is written, and without its trunk or international prefix."""
    return {digits, digits.lstrip("0"), digits[1:] if digits[:1] in ("0", "8") else digits}


def _could_be(digits: str, masked: str) -> bool:
    """Return whether a phone has the shown first and last digits. The shown phone may lack the country code."""
    head, tail = masked.split(_HIDDEN)[0], masked.split(_HIDDEN)[-1]
    if _HIDDEN not in masked:
        return digits.endswith(masked) or digits.startswith(masked)
    return digits.endswith(tail) and any(
        digits.startswith(form, place) for form in _forms(head) for place in range(_LONGEST_CODE)
    )
