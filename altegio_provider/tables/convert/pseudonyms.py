"""Keyed hashes of phones and e-mail addresses: they join where the same person booked, and name nobody.

There are few enough phones that anybody could hash them all; so the hash is an HMAC, and as secret as its key. The
same key gives the same hash in every run and location. To find a client's rows without personal data, whoever has
the key hashes the phone's digits::

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
    """Hashes with one key: HMAC-SHA256, as 64 hexadecimal digits.

    :param key: the secret, of 16 bytes or more.
    :raises ValueError: it is shorter.
    """

    __slots__ = ("_key",)

    def __init__(self, key: bytes) -> None:
        if len(key) < _SHORTEST_KEY:
            raise ValueError(f"the key must have {_SHORTEST_KEY} characters or more")
        self._key = key

    def hash_phone(self, value: Any) -> str | None:
        """Hash a phone's digits; ``None`` for one that is masked, cut short, or none."""
        return self._hash(canonical_phone(value))

    def hash_email(self, value: Any) -> str | None:
        """Hash an e-mail address in small letters; ``None`` for one that is masked or none."""
        return self._hash(canonical_email(value))

    def _hash(self, text: str) -> str | None:
        return hmac.digest(self._key, text.encode(), "sha256").hex() if text else None


def canonical_phone(value: Any) -> str:
    """Return the 9 to 15 digits of E.164 without ``+``; empty where the value is no whole phone.

    :param value: text with or without ``+`` or ``00`` and with any of the usual punctuation, or a whole number.
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
    """Return an address trimmed and in small letters; empty where the value is masked or no address."""
    if type(value) is not str:
        return ""
    text = unicodedata.normalize("NFKC", value).strip().lower()
    return text if _ADDRESS.fullmatch(text) and text.isprintable() else ""
