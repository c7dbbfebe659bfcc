"""Reads phones and e-mail addresses with the libraries ``phonenumbers`` and ``email_validator``."""

from __future__ import annotations

import re
import unicodedata
from decimal import Decimal
from functools import lru_cache
from typing import Any

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from altegio_provider.imports.model import ImportFileError
from altegio_provider.imports.rows.cells import CellError, is_scientific, line_of_text
from altegio_provider.imports.rows.phone_fast_path import (
    E164,
    is_surely_valid,
    is_valid_as_written,
    plain_e164,
)

__all__ = ["checked_region", "email", "phone"]

_PHONE = re.compile(r"\+?[\d\s().\-/\u2010-\u2015\u2212]+")
_NO_DIGIT = re.compile(r"\D")
_SPREADSHEET_DECIMALS = re.compile(r"(\d{7,15})[.,]0")
_PLAIN_LOCAL_PART = re.compile(r"[A-Za-z0-9_]+(?:[.+-][A-Za-z0-9_]+)*")
_LONGEST_LOCAL_PART = 64


def checked_region(region: str | None) -> str | None:
    """Return the country of phones without ``+``, in capitals.

    :param region: two letters, such as ``LV``; or ``None``.
    :raises ImportFileError: the country is unknown.
    """
    if region is None:
        return None
    if not isinstance(region, str) or region.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise ImportFileError(f"default_region {region!r} is not a country code such as 'LV' or 'DE'.")
    return region.upper()


def phone(value: Any, region: str | None) -> str:
    """Read a phone and return it in E.164: ``+`` and 9 to 15 digits.

    :param value: text, or a number if a spreadsheet converted it.
    :param region: the country of numbers without ``+``.
    :raises CellError: the number is not valid.
    """
    text = _digits_of(value)
    if text.startswith("00"):
        text = "+" + text[2:]
    if region is None and not text.startswith("+"):
        raise CellError("must begin with + and the country code, such as +13155550175; or set default_region")
    abroad = "" if text.startswith("+") else _with_lost_plus(text)
    at_home = _e164(text, region)
    if at_home and abroad and at_home != abroad:
        raise CellError(
            f"could be a number in {region}, or a number of another country without its +; write it with + and the "
            "country code"
        )
    written = at_home or abroad
    if not written:
        raise CellError(_advice(region))
    if not E164.fullmatch(written):
        raise CellError("must have 9 to 15 digits including the country code, as the API requires")
    return written


def _e164(text: str, region: str | None) -> str:
    """The number in E.164, or an empty text where it is not valid."""
    plain = plain_e164(text, region)
    if is_surely_valid(plain):
        return plain
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException:
        return ""
    if number.extension or not phonenumbers.is_valid_number(number):
        return ""
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _with_lost_plus(text: str) -> str:
    """What digits without ``+`` are if only the ``+`` was lost: spreadsheet programs drop it. Empty where not valid."""
    number = "+" + (text if text.isdecimal() else _NO_DIGIT.sub("", text))
    is_valid = is_valid_as_written(number)
    if is_valid is None:
        number = _e164(number, None)
        return number if E164.fullmatch(number) else ""
    return number if is_valid else ""


def email(value: Any) -> str:
    """Read an e-mail address and return it normalised. The domain is not looked up.

    :param value: text.
    :raises CellError: the address is not valid.
    """
    text = line_of_text(value).removeprefix("mailto:")
    local, _, domain = text.rpartition("@")
    # The library is slow, so its results for domains are cached; plain names before the @ are always valid.
    if len(local) <= _LONGEST_LOCAL_PART and _PLAIN_LOCAL_PART.fullmatch(local) and len(text) < 200:
        return f"{local}@{_checked_domain(domain)}"
    return _checked_email(text)


@lru_cache(maxsize=4096)
def _checked_domain(domain: str) -> str:
    return _checked_email(f"a@{domain}").partition("@")[2]


def _checked_email(text: str) -> str:
    try:
        # ".test" is allowed: it is used in examples.
        return validate_email(text, check_deliverability=False, test_environment=True).normalized
    except EmailNotValidError:
        raise CellError("must be one e-mail address, such as anna@example.com") from None


def _digits_of(value: Any) -> str:
    if isinstance(value, float | int | Decimal) and not isinstance(value, bool):
        if value != value or value < 0 or value >= 10**15 or value != int(value):
            raise CellError("must be a phone number; format the column as text in the spreadsheet")
        return str(int(value))
    text = line_of_text(value)
    if not text.isascii():
        text = unicodedata.normalize("NFKC", text)
    # In spreadsheet programs an apostrophe marks a number as text; some programs write it into the file.
    text = text.removeprefix("'").removeprefix("tel:").lstrip()
    if E164.fullmatch(text):
        return text
    if is_scientific(text):
        raise CellError(
            "is a phone that a spreadsheet has shortened, and its last digits are lost; format the column as text and "
            "copy the numbers from their source again"
        )
    if decimals := _SPREADSHEET_DECIMALS.fullmatch(text):
        return decimals[1]
    if not _PHONE.fullmatch(text):
        raise CellError("must be one phone: digits, spaces, hyphens, brackets and a leading +")
    return text


def _advice(region: str | None) -> str:
    where = f", or a number in {region}" if region else ""
    return f"is not a valid phone number; expected a number such as +13155550175{where}"
