"""Tells most phones valid in microseconds, from the tables of ``phonenumbers`` and without its parser.

The library's own way takes several times as long, which counts in a file of a million rows. Whatever is not plain and
usual is left to it; a property test proves that both ways lead to the same number.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

import phonenumbers

__all__ = ["E164", "is_surely_valid", "is_valid_as_written", "plain_e164"]

#: A phone as the API takes it: 9 to 15 digits.
E164 = re.compile(r"\+[1-9][0-9]{8,14}")

_NOTHING = re.compile(r"(?!)")
_PUNCTUATION = dict.fromkeys(map(ord, " ()-."))


class _CountryRules(NamedTuple):
    """What is needed of a country to tell most of its numbers valid.

    :param abroad: what one dials for another country.
    :param trunk: what may stand before a number at home, and is no part of it.
    :param is_trunk_dropped: whether no more than that is to be done with it.
    :param every: what all numbers look like.
    :param leading: how those begin that are this country's, where it shares its code.
    :param usual: the lengths and the looks of the usual kinds.
    """

    abroad: re.Pattern[str]
    trunk: re.Pattern[str]
    is_trunk_dropped: bool
    every: re.Pattern[str]
    leading: re.Pattern[str]
    usual: tuple[tuple[frozenset[int], re.Pattern[str]], ...]


def plain_e164(text: str, region: str | None) -> str:
    """What a number would be if it only needed its punctuation and trunk prefix dropped, and the country's code.

    Empty where it needs more.
    """
    digits = text.translate(_PUNCTUATION)
    if region is None or digits.startswith("+"):
        return digits
    code = phonenumbers.country_code_for_region(region)
    rules = _rules_of(code)
    is_main = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code][0] == region
    # Digits that begin with the code may have it already: that is for the library to say.
    if not is_main or digits.startswith(str(code)) or rules.abroad.match(digits):
        return ""
    trunk = rules.trunk.match(digits)
    if trunk and rules.is_trunk_dropped and not rules.every.fullmatch(digits):
        digits = digits[trunk.end() :]
    return f"+{code}{digits}"


def is_surely_valid(text: str) -> bool:
    """Whether a number in E.164 is valid and stays as it is, told without parsing it, which takes most of the time.

    It says no where parsing could change the number: where a prefix could be stripped from the national part, or where
    that begins with a nought, which is a part of the number in some countries.
    """
    return is_valid_as_written(text) is True


def is_valid_as_written(text: str) -> bool | None:
    """Return whether a number in E.164 is valid, or ``None`` where only parsing it tells; see :func:`is_surely_valid`.

    :param text: ``+`` and digits.
    """
    if not E164.fullmatch(text):
        return False
    for length in (1, 2, 3):
        code = int(text[1 : 1 + length])
        if code in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            break
    else:
        return False
    national = text[1 + length :]
    rules = _rules_of(code)
    if national[0] == "0" or rules.trunk.match(national):
        return None
    if rules.leading.match(national) and rules.every.fullmatch(national):
        for lengths, pattern in rules.usual:
            if len(national) in lengths and pattern.fullmatch(national):
                return True
    return phonenumbers.is_valid_number(phonenumbers.PhoneNumber(country_code=code, national_number=int(national)))


@cache
def _rules_of(code: int) -> _CountryRules:
    # Where countries share a code, the library asks the first of them first: what fits there is valid.
    region = phonenumbers.COUNTRY_CODE_TO_REGION_CODE[code][0]
    metadata = phonenumbers.PhoneMetadata.metadata_for_region_or_calling_code(code, region)
    general = metadata.general_desc if metadata is not None else None
    if metadata is None or general is None or not general.national_number_pattern:
        return _CountryRules(_NOTHING, _NOTHING, False, _NOTHING, _NOTHING, ())
    usual = tuple(
        (frozenset(kind.possible_length), re.compile(kind.national_number_pattern))
        for kind in (metadata.mobile, metadata.fixed_line)
        if kind is not None and kind.national_number_pattern and kind.possible_length
    )
    return _CountryRules(
        _pattern(metadata.international_prefix),
        _pattern(metadata.national_prefix_for_parsing),
        metadata.national_prefix_transform_rule is None,
        _pattern(general.national_number_pattern),
        re.compile(metadata.leading_digits or ""),
        usual,
    )


def _pattern(text: str | None) -> re.Pattern[str]:
    return re.compile(text) if text else _NOTHING
