"""Converts one raw cell to a value. Errors say what is expected and never repeat the content of the cell.

Each function takes any raw value that is not blank: text, or a number, date or list if the file has types.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, TypeVar

from altegio_provider.imports.files.row_source import is_blank
from altegio_provider.imports.model import normalized_text
from altegio_provider.imports.rows.vocabularies import BOOLEANS, GENDER_LETTERS, GENDERS

__all__ = [
    "TOO_LONG",
    "CellError",
    "custom_value",
    "flag",
    "gender",
    "gender_letter",
    "is_scientific",
    "label_ids",
    "line_of_text",
    "long_text",
    "person_name",
    "shape_of",
    "too_long",
    "whole_number",
]

_T = TypeVar("_T")

# No field has a longer value. Normalising a text of combining marks takes time quadratic in its length.
_LONGEST_CELL = 10_000
TOO_LONG = f"must have at most {_LONGEST_CELL:,} characters"
_LONGEST_LINE = 255
_LONGEST_TEXT = 4_000
_LARGEST_ID = 2**63 - 1
_SCIENTIFIC = re.compile(r"[+-]?\d+([.,]\d*)?[eE][+-]?\d+")
# Three zeros after a comma could mean thousands.
_WHOLE = re.compile(r"(\d+)([.,]00?)?")
_INVISIBLE = dict.fromkeys(
    map(ord, "\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\u2066\u2067\u2068\u2069\ufeff\u00ad")
)
#: How workbooks write control characters.
_ESCAPED_SPACE = re.compile(r"_x00(?:0[9AaDd]|20)_")
#: What programs write for a cell without a value. "Null" and "Nan" are names.
_NO_NAME = frozenset({"NULL", "null", "nan", "NaN", "None", "none", "NaT", "<NA>", "N/A", "n/a", "\\N"})
_SPREADSHEET_ERRORS = {"#n/a", "#ref!", "#value!", "#name?", "#div/0!", "#num!", "#null!", "#####"}


class CellError(ValueError):
    """The content of a cell is invalid. The text says what is expected and never repeats the content."""


def line_of_text(value: Any) -> str:
    """Read a text of one line: normalised (NFC), stripped, runs of spaces and breaks made one space."""
    text = _as_text(value, _LONGEST_LINE)
    return text if text.isascii() and " " not in text and text.isprintable() else " ".join(text.split())


def long_text(value: Any) -> str:
    """Read a text that may have several lines."""
    return _as_text(value, _LONGEST_TEXT)


def person_name(value: Any) -> str:
    """Read a part of a name; a phone or an e-mail there means that columns are mixed up."""
    text = line_of_text(value)
    if not isinstance(value, str) or "@" in text or sum(map(str.isdigit, text)) > 4:
        raise CellError("must be a name; this looks like the value of another column")
    if "?" in text:
        raise CellError("has a question mark: letters were lost when the file was saved; export it again as UTF-8")
    if text in _NO_NAME or text[0] == "#":
        raise CellError("must be a name; this is what programs write for a cell without a value, or for an error")
    return text


def whole_number(value: Any) -> int:
    """Read a whole number of 1 or more, also as a spreadsheet writes it: ``3.0`` or ``3,0``."""
    number: int | None = None
    if isinstance(value, str):
        text = value.strip()
        if is_scientific(text):
            raise CellError("must be a whole number; format the column as text so that no digits are lost")
        match = _WHOLE.fullmatch(text)
        number = int(match[1]) if match and len(text) < 40 else None
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        number = int(value) if _is_whole(value) else None
    if number is None or not 1 <= number <= _LARGEST_ID:
        raise CellError("must be a whole number of 1 or more")
    return number


def gender(value: Any, letters: Mapping[str, int]) -> int:
    """Read a gender: 0 unknown, 1 male, 2 female, as a number, a word or a letter.

    :param value: the raw cell.
    :param letters: what the letters of the column mean; see
        :func:`~altegio_provider.imports.rows.vocabularies.meaning_of_gender_letters`.
    """
    if isinstance(value, str) and (letter := gender_letter(value)):
        if letter not in letters:
            raise CellError(
                "must be a word such as male or female, or 0, 1, 2: a letter alone is a man in one language and a "
                "woman in another, and the other letters of the column do not tell which is meant"
            )
        return letters[letter]
    return _translated(value, GENDERS, "must be 0 (unknown), 1 (male), 2 (female), or a word such as male, женский")


def gender_letter(value: str) -> str:
    """Return the letter of a gender that depends on the other letters of its column, or an empty text.

    :param value: the raw cell.
    """
    letter = value.strip().rstrip(".").lower()
    return letter if letter in GENDER_LETTERS else ""


def flag(value: Any) -> bool:
    """Read yes or no, as a word, a number or a truth value."""
    if isinstance(value, bool):
        return value
    return _translated(value, BOOLEANS, "must be yes or no: true, 1, ja, да; false, 0, nein, нет")


def label_ids(value: Any) -> list[int]:
    """Read the ids of labels: a list, or text such as ``12, 15``."""
    if isinstance(value, str):
        parts: list[Any] = [part for part in re.split(r"[,;|\s]+", value.strip().strip("[]")) if part]
    else:
        parts = list(value) if isinstance(value, list | tuple) else [value]
    try:
        return list(dict.fromkeys(map(whole_number, parts)))
    except CellError:
        raise CellError("must be ids of labels, each a whole number of 1 or more: 12, 15") from None


def custom_value(value: Any) -> Any:
    """Read the value of a custom field: numbers and truth values stay what they are; a list may hold several."""
    if isinstance(value, list | tuple):
        return [_plain_value(one) for one in value]
    return _plain_value(value)


def too_long(given: Mapping[str, Any]) -> list[str]:
    """Return the fields whose cells are longer than a cell can be. Such a row is not read any further."""
    return [name for name, value in given.items() if value.__class__ is str and len(value) > _LONGEST_CELL]


def is_scientific(text: str) -> bool:
    """Whether a spreadsheet wrote a long number in short, and so lost digits: ``7.9161E+10``."""
    return _SCIENTIFIC.fullmatch(text) is not None


def shape_of(value: Any) -> str:
    """Describe a cell without showing what is in it."""
    if is_blank(value):
        return "empty"
    if isinstance(value, str):
        return _shape_of_text(value.strip())
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int | float | Decimal):
        digits = sum(map(str.isdigit, str(value)))
        return f"number of {digits} digits"
    if isinstance(value, datetime):
        return "date and time"
    if isinstance(value, date):
        return "date"
    if isinstance(value, list | tuple):
        return f"list of {len(value)}"
    return "object" if isinstance(value, Mapping) else type(value).__name__


def _plain_value(value: Any) -> Any:
    if isinstance(value, bool):
        return value
    if isinstance(value, int | float):
        if not abs(value) <= _LARGEST_ID:
            raise CellError("must be a smaller number, or text")
        return int(value) if _is_whole(value) else value
    return long_text(value)


def _shape_of_text(text: str) -> str:
    if is_scientific(text):
        return "number in scientific notation"
    digits, letters = sum(map(str.isdigit, text)), sum(map(str.isalpha, text))
    if digits == len(text):
        return f"{digits} digits"
    if text[0] == "+" and digits == len(text) - 1:
        return f"+ and {digits} digits"
    if letters == len(text):
        return f"text of {letters} letters"
    others = len(text) - digits - letters
    parts = [
        f"{count} {what}" for count, what in ((letters, "letters"), (digits, "digits"), (others, "signs")) if count
    ]
    return f"text of {', '.join(parts)}" + (", with @" if "@" in text else "")


def _as_text(value: Any, longest: int) -> str:
    if isinstance(value, str):
        text = value.strip()
        if len(text) > _LONGEST_CELL:
            raise CellError(f"must have at most {longest} characters")
        if not (text.isprintable() and unicodedata.is_normalized("NFC", text)) or "\ufffd" in text:
            text = _cleaned(text)
        if "_x00" in text:
            text = _ESCAPED_SPACE.sub(" ", text).strip()
        if text[:2] == '="' and text[-1] == '"' and len(text) > 3:
            text = text[2:-1].strip()  # so that a spreadsheet program takes it for text
        if text[:1] == "#" and text.lower() in _SPREADSHEET_ERRORS:
            raise CellError("is a spreadsheet error; correct the formula")
    elif isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        text = str(int(value)) if _is_whole(value) else str(value)
    elif isinstance(value, date):
        text = value.isoformat()
    else:
        raise CellError("must be text")
    if not text:
        raise CellError("contains no visible characters")
    if len(text) > longest:
        raise CellError(f"must have at most {longest} characters")
    return text


def _cleaned(text: str) -> str:
    text = unicodedata.normalize("NFC", text.translate(_INVISIBLE).replace("\r\n", "\n").replace("\r", "\n")).strip()
    if any(unicodedata.category(sign) in ("Cc", "Cs") and not sign.isspace() for sign in text) or "\ufffd" in text:
        raise CellError("contains characters that are not text; check the file's encoding")
    return text


def _is_whole(value: int | float | Decimal) -> bool:
    return bool(value == value and -(2**63) < value < 2**63 and int(value) == value)


def _translated(value: Any, words: Mapping[str, _T], advice: str) -> _T:
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool) and _is_whole(value):
        value = str(int(value))
    if isinstance(value, str):
        found = words.get(value)
        if found is None:
            word = normalized_text(value)
            found = words.get(word.removesuffix(".0").removesuffix(",0"))
        if found is not None:
            return found
    raise CellError(advice)
