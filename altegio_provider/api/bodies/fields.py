"""Fields of a body as data: for each a rule and a wire form; one reader names all that is wrong at once."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, NamedTuple, TypeGuard

__all__ = [
    "OMITTED",
    "REQUIRED",
    "Field",
    "FieldErrors",
    "FieldRule",
    "FieldTable",
    "is_date",
    "is_flag",
    "is_ids",
    "is_integer",
    "is_json",
    "is_mapping",
    "is_none",
    "is_none_or_empty",
    "is_number",
    "is_text",
    "matches",
    "wire_form",
]

#: For each field, as in ``client.phone``, what is wrong with it; never its value.
FieldErrors = dict[str, list[str]]
Check = Callable[[Any], bool]

_MAX_INTEGER = 2**63 - 1  # the largest number that every JSON reader takes
_MAX_DEPTH = 50
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class FieldRule(NamedTuple):
    """What a value must be: in words that follow "must be", and as a check."""

    text: str
    fits: Check


#: What stands on the wire where nothing is given: nothing at all, or it is an error.
OMITTED, REQUIRED = object(), object()


class Field(NamedTuple):
    """One field of a body.

    :param default: what stands on the wire where nothing is given; ``OMITTED`` or ``REQUIRED`` too.
    :param to_wire: turns a value that fits into the one on the wire.
    """

    rule: FieldRule
    default: Any = OMITTED
    to_wire: Callable[[Any], Any] = lambda value: value


FieldTable = Mapping[str, Field]


def is_none(value: Any) -> bool:
    """Whether nothing is given, where an empty text is something: it clears a field."""
    return value is None


def is_none_or_empty(value: Any) -> bool:
    """Whether nothing is given, where an empty text is nothing."""
    return value is None or value == ""


def wire_form(
    given: Mapping[str, Any],
    fields: FieldTable,
    errors: FieldErrors,
    *,
    where: str = "",
    is_blank: Check = is_none_or_empty,
) -> dict[str, Any]:
    """Return the given fields as they are sent, and note in ``errors`` what is wrong with them.

    :param where: what stands before a field's name in an error, as in ``client.``.
    :param is_blank: whether a value is as good as none.
    """
    body: dict[str, Any] = {}
    for name in given.keys() - fields.keys():
        if not is_blank(given[name]):
            errors[f"{where}{name}"] = [f"is no field here; there are {', '.join(fields)}"]
    for name, field in fields.items():
        value = given.get(name)
        if is_blank(value):
            if field.default is REQUIRED:
                errors[where + name] = [f"is required: {field.rule.text}"]
            elif field.default is not OMITTED:
                body[name] = field.default
        elif field.rule.fits(value):
            body[name] = field.to_wire(value)
        else:
            errors[where + name] = [f"must be {field.rule.text}"]
    return body


def is_integer(least: int, most: int = _MAX_INTEGER) -> Check:
    """A check for whole numbers between these."""
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_number(least: float = -math.inf, most: float = math.inf) -> Check:
    """A check for numbers between these; NaN is none."""
    return lambda value: (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= _MAX_INTEGER
        and least <= value <= most
    )


def is_text(value: Any) -> bool:
    """Whether it is text that JSON can hold; a badly decoded file leaves halves of characters behind."""
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def matches(pattern: re.Pattern[str]) -> Check:
    """A check for text of a pattern."""
    return lambda value: is_text(value) and pattern.fullmatch(value) is not None


def is_date(value: Any) -> bool:
    """Whether it is a date, or text that names one as YYYY-MM-DD."""
    if isinstance(value, date):
        return True
    try:
        return isinstance(value, str) and _DAY.fullmatch(value) is not None and bool(date.fromisoformat(value))
    except ValueError:
        return False


def is_flag(value: Any) -> bool:
    """Whether it is true or false."""
    return isinstance(value, bool)


def is_ids(value: Any) -> bool:
    """Whether it is a list of ids."""
    return isinstance(value, list | tuple) and all(map(is_integer(1), value))


def is_mapping(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is a mapping."""
    return isinstance(value, Mapping)


def is_json(value: Any, depth: int = 0) -> bool:
    """Whether it can be sent as JSON, all that is in it too; nested so deep that readers give up, it cannot."""
    if depth > _MAX_DEPTH:
        return False
    if isinstance(value, dict):
        return all(is_text(name) and is_json(one, depth + 1) for name, one in value.items())
    if isinstance(value, list | tuple):
        return all(is_json(one, depth + 1) for one in value)
    return value is None or is_flag(value) or is_text(value) or is_number()(value)
