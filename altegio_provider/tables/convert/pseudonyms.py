"""Keyed hashes of phones and e-mail addresses: they join the rows of one person without identifying the person.

There are so few phone numbers that anybody could compute a plain hash of each. So the hash is an HMAC, which is as
secret as its key. The same key gives the same hash in every run and location. To find a client's rows, hash the
phone's digits with the key::

    hmac.new(key.encode(), b"13155550175", "sha256").hexdigest()
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from typing import Any

__all__ = ["Pseudonymizer", "canonical_email", "canonical_phone"]

_SHORTEST_KEY = 16
_PUNCTUATION = dict.fromkeys(map(ord, " \t\u00a0()-./\u2010\u2011\u2012\u2013"))
_E164 = re.compile(r"[1-9][0-9]{8,14}", re.ASCII)
_ADDRESS = re.compile(r"[^@\s*]+@[^@\s*]+")


class Pseudonymizer:
    """Hashes phones and e-mail addresses with one key: HMAC-SHA256, as 64 hexadecimal digits.

    :param key: the secret, of 16 bytes or more.
    :raises ValueError: the key is shorter.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) < _SHORTEST_KEY:
            raise ValueError(f"the key must have {_SHORTEST_KEY} characters or more")
        self._key = key

    def hash_phone(self, value: Any) -> str | None:
        """Return the hash of a phone's digits, ``None`` if it is masked, incomplete or not a phone.

        :param value: as for :func:`canonical_phone`.
        """
        return self._hash(canonical_phone(value))

    def hash_email(self, value: Any) -> str | None:
        """Return the hash of a lower-case e-mail address, ``None`` if it is masked or not an address.

        :param value: as for :func:`canonical_email`.
        """
        return self._hash(canonical_email(value))

    def _hash(self, text: str) -> str | None:
        return hmac.digest(self._key, text.encode(), "sha256").hex() if text else None


def canonical_phone(value: Any) -> str:
    """Return the 9 to 15 digits of E.164 without ``+``; empty if the value is not a complete phone.

    :param value: text with or without ``+`` or ``00`` and with the usual punctuation, or a whole number.
    """
    if type(value) is int:
        value = str(value)
    if type(value) is not str:
        return ""
    text = value if value.isascii() else unicodedata.normalize("NFKC", value)
    digits = text.strip().translate(_PUNCTUATION)
    digits = digits.removeprefix("+") if digits.startswith("+") else digits.removeprefix("00")
    return digits if _E164.fullmatch(digits) else ""


def canonical_email(value: Any) -> str:
    """Return an e-mail address, trimmed and in lower case; empty if the value is masked or not an address.

    :param value: any JSON value.
    """
    if type(value) is not str:
        return ""
    text = unicodedata.normalize("NFKC", value).strip().lower()
    return text if _ADDRESS.fullmatch(text) and text.isprintable() else ""
