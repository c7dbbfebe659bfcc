"""Removes personal data and secrets from text before it gets into an error or a log.

The values of a request come back in many forms: escaped for HTML, URLs or JSON, in another Unicode form, in capitals, a
phone number in national form, a birthday in another order, a comment cut off. So a text is decoded first, and compared
in a normalised form. The result is printable and on one line.
"""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from itertools import permutations
from typing import Any
from urllib.parse import unquote

__all__ = ["NON_PERSONAL_FIELDS", "mask_secrets", "personal_values", "redact", "single_line"]

_CAP = 300
#: The longest escape of one character.
_LONGEST_ESCAPE = 8
#: A phone number or an e-mail address at the end of a text that was cut is shorter than this.
_CUT_MARGIN = 100
#: A shorter secret is searched as a whole word, because it may be a part of many words.
_SHORT_SECRET = 8
#: The number of characters that identify a part of a longer secret, without spaces and with them.
_PIECE_OF_WORD, _PIECE_OF_TEXT = 8, 16
#: The number of digits that identify a part of a phone number or another number.
_PIECE_OF_NUMBER = 6
#: Text may be escaped several times.
_ROUNDS = 3
_ESCAPE = re.compile(
    r"\\{1,8}(?:u([0-9a-fA-F]{4})|u\{([0-9a-fA-F]{1,6})\}|U([0-9a-fA-F]{8})|x([0-9a-fA-F]{2}))|%u([0-9a-fA-F]{4})"
)
_PERCENT = re.compile(r"(?:%[0-9a-fA-F]{2})+")
_EMAIL = re.compile(r"[^\s@\"'<>,;:&=]{1,64}(?:@|%40)[^\s@\"'<>,;:&]{1,255}")
# Nine digits or more, however they are grouped, are a phone number. This removes ids of nine digits or more too: better
# to lose an id than to show a phone number. A date is kept.
_DATE = r"(?:\d{4}-\d\d-\d\d|\d\d[./]\d\d[./]\d{4})(?!\d)"
_PHONE = re.compile(rf"(?<!\d)(?<!\d[-./])(?!{_DATE})(?:%2[Bb]|\+)?\(?\d(?:[\s()./‐‑–-]{{0,3}}\d){{8,}}")
_TOKEN = re.compile(r"(?i)\b(bearer\s+|user\s+(?=\S*\d)(?=\S{8}))[\w.~+/=-]{4,}")
_PERSONAL_FIELD = re.compile(
    r"""(?isx) (["'])((?!field_name["'\\])[\w.\[\]-]*(?:name|phone|email|birthday|national_id|token|field_value)\]?
    |comment|patronymic)(\\*\1\s*(?::|=>)\s*\\*)(["'])(?:\\.|(?!\4)[^\\])*\4?"""
)
_DIGITS = re.compile(r"\d(?:[\W_]{0,3}\d)*")
_ISO_DAY = re.compile(r"(\d{4})-(\d\d)-(\d\d)")
_NAMES = ("name", "surname", "patronymic")
#: Fields of bodies whose values are no personal data. Values of all other fields are removed.
NON_PERSONAL_FIELDS = frozenset(
    (
        *("id", "client_id", "comer_id", "company_id", "location_id", "staff_id", "service_id", "record_id"),
        *("reschedule_activity_id", "label_ids", "labels", "resource_instance_ids"),
        *("date", "dates", "length", "capacity", "technical_break_duration", "color", "force", "content_type"),
        *("clients_count", "with_comer", "gender", "agreements", "is_trial_service", "send_sms_now", "code"),
        *("attendance_service_item", "attendance_good_items"),
    )
)


def redact(text: str, secrets: tuple[str, ...] = (), cap: int = _CAP, *, was_cut: bool = False) -> str:
    """Return the beginning of a text on one line, without tokens, phone numbers, e-mails and personal JSON fields.

    :param text: the text.
    :param secrets: strings that must not appear in any form.
    :param cap: how many characters to keep.
    :param was_cut: whether the text is itself the beginning of a longer one.
    """
    most = cap * 8
    raw = text[: most * _LONGEST_ESCAPE]
    is_cut = was_cut or len(raw) < len(text)
    text = mask_secrets(_decoded(raw), secrets)
    if is_cut:
        text = text[: max(0, len(text) - max(map(len, secrets), default=0))]
    is_cut = is_cut or len(text) > most
    text = text[:most]
    text = _TOKEN.sub(r"\1***", text)
    text = _PERSONAL_FIELD.sub(r"\1\2\3\4***\4", text)
    text = _EMAIL.sub("***", text)
    text = _PHONE.sub("***", text)
    if is_cut:
        text = text[:-_CUT_MARGIN]
    return text[:cap] + "…" if is_cut or len(text) > cap else text


def mask_secrets(text: str, secrets: Iterable[str]) -> str:
    """Return a text with ``***`` in place of each secret and each longer part of one, in any form.

    :param text: the text, without escapes.
    :param secrets: tokens, and the personal data of a request.
    """
    folded, places = _folded_with_positions(text)
    spans: list[tuple[int, int]] = []
    for secret in filter(None, secrets):
        sought = _folded_with_positions(secret)[0].strip()
        spans += [(places[start], places[end - 1] + 1) for start, end in _occurrences(sought, folded)]
        spans += _days_like(secret, text)
    numbers = {piece for secret in secrets for piece in _pieces(_digits_of(secret), _PIECE_OF_NUMBER)}
    if numbers:
        spans += _numbers_like(numbers, text)
    return _masked(text, spans)


def single_line(text: str) -> str:
    """Return a text without control characters and line breaks, which could forge log lines or control a terminal.

    Use it for text from outside (the API, a file's name) that goes to a log or a report.

    :param text: the text.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(map(_printable, text))


def personal_values(body: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the personal data and the free texts of a request's body, which a response may repeat anywhere.

    :param body: the body of any request.
    """
    return tuple(dict.fromkeys(_personal(body or {}, "")))


def _personal(value: Any, field: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, one in value.items():
            if name not in NON_PERSONAL_FIELDS:
                yield from _personal(one, str(name))
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _personal(one, field)
    elif isinstance(value, str):
        if any(map(str.isalnum, value)):
            yield value
            if field in _NAMES:
                yield from (word for word in value.split() if len(word) > 1)
    elif isinstance(value, date):
        yield value.isoformat()
    elif isinstance(value, int | float) and len(_digits_of(str(value))) >= _PIECE_OF_NUMBER:
        yield str(value)


def _decoded(text: str) -> str:
    """Return a text without the escapes of HTML, URLs and JSON, in the Unicode form NFKC, on one line."""
    for _ in range(_ROUNDS):
        plain = _PERCENT.sub(lambda found: unquote(found[0], errors="replace"), html.unescape(text))
        plain = _ESCAPE.sub(lambda found: _character("".join(filter(None, found.groups()))), plain)
        if plain == text:
            break
        text = plain
    # Surrogates that were escaped one by one become one character.
    text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return single_line(unicodedata.normalize("NFKC", text))


def _character(code: str) -> str:
    number = int(code, 16)
    return chr(number) if number <= 0x10FFFF else "\ufffd"


@lru_cache(maxsize=4096)
def _printable(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Cc", "Zl", "Zp"):
        return " "
    if category == "Cs":
        return "\ufffd"
    return "" if category == "Cf" else character


@lru_cache(maxsize=4096)
def _folded(character: str) -> str:
    """Return a character as it is compared: without accent and case, and without backslashes."""
    if character == "\\":
        return ""
    plain = "".join(one for one in unicodedata.normalize("NFKD", character) if unicodedata.category(one) != "Mn")
    return " " if plain.isspace() else plain.casefold()


def _folded_with_positions(text: str) -> tuple[str, list[int]]:
    """Return a text as it is compared, and for each of its characters the position in the original text."""
    folded: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        for one in _folded(character) if character.isprintable() else " ":
            if one != " " or folded[-1:] != [" "]:
                folded.append(one)
                places.append(place)
    return "".join(folded), places


def _occurrences(sought: str, text: str) -> Iterator[tuple[int, int]]:
    """Yield where a secret or a part of it is; both are normalised."""
    if not sought:
        return
    whole = re.escape(sought) if len(sought) >= _SHORT_SECRET else rf"(?<![^\W_]){re.escape(sought)}(?![^\W_])"
    yield from (found.span() for found in re.finditer(whole, text))
    length = _PIECE_OF_TEXT if " " in sought else _PIECE_OF_WORD
    if len(sought) > length:
        pieces = set(_pieces(sought, length))
        for start in range(len(text) - length + 1):
            if text[start : start + length] in pieces:
                yield start, start + length


def _pieces(text: str, length: int) -> Iterator[str]:
    return (text[start : start + length] for start in range(len(text) - length + 1))


def _digits_of(text: str) -> str:
    return "".join(str(unicodedata.decimal(one)) for one in text if one.isdecimal())


def _numbers_like(pieces: set[str], text: str) -> Iterator[tuple[int, int]]:
    """Yield where digits, however they are grouped, are a part of a secret's number."""
    for run in _DIGITS.finditer(text):
        places = [place for place in range(*run.span()) if text[place].isdecimal()]
        digits = _digits_of(run[0])
        for start, piece in enumerate(_pieces(digits, _PIECE_OF_NUMBER)):
            if piece in pieces:
                yield places[start], places[start + _PIECE_OF_NUMBER - 1] + 1


def _days_like(secret: str, text: str) -> Iterator[tuple[int, int]]:
    """Yield where a date is written in another order, with another separator or with the month's name."""
    found = _ISO_DAY.fullmatch(secret.strip())
    if found:
        for pattern in _forms_of_day(*found.groups()):
            yield from (one.span() for one in re.finditer(pattern, text))


def _forms_of_day(year: str, month: str, day: str) -> Iterator[str]:
    short_year = rf"(?:{year[:2]})?{year[2:]}"
    loose = {"y": short_year, "m": f"0?{int(month)}", "d": f"0?{int(day)}(?:st|nd|rd|th)?"}
    for order in permutations("ymd"):
        written = r"[\s./,_-]{1,3}".join(loose[part] for part in order)
        yield rf"(?<!\d){written}(?!\d)"
        yield rf"(?<!\d){''.join({'y': short_year, 'm': month, 'd': day}[part] for part in order)}(?!\d)"
    word = r"[^\W\d_]{3,12}"
    for order in (("d", "w", "y"), ("w", "d", "y"), ("y", "w", "d"), ("y", "d", "w")):
        parts = ({**loose, "w": word}[part] for part in order)
        # "17 de mayo de 1990", "17th of May, 1990"
        yield r"(?<!\w)" + r"\W{1,3}(?:[^\W\d_]{2}\W)?".join(parts) + r"(?!\w)"


def _masked(text: str, spans: Iterable[tuple[int, int]]) -> str:
    shown: list[str] = []
    end = 0
    for start, stop in sorted(spans):
        if stop <= end:
            continue
        if start > end or not shown:
            shown += [text[end:start], "***"]
        end = stop
    return "".join([*shown, text[end:]])
