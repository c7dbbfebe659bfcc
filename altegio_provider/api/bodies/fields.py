"""Describes the fields of bodies as data, and checks a body against them. It reports all problems at once."""

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

#: The problems of each field, as in ``client.phone``; never its value.
FieldErrors = dict[str, list[str]]
Check = Callable[[Any], bool]

_MAX_INTEGER = 2**63 - 1  # the largest number that every JSON reader takes
_MAX_DEPTH = 50
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class FieldRule(NamedTuple):
    """What a value must be: a text that follows "must be", and a check."""

    text: str
    fits: Check


#: Defaults: the field is not sent, or a missing value is an error.
OMITTED, REQUIRED = object(), object()


class Field(NamedTuple):
    """A field of a body.

    :param rule: what its value must be.
    :param default: the value that is sent if none is given; or ``OMITTED``, or ``REQUIRED``.
    :param to_wire: converts a valid value to the one that is sent.
    """

    rule: FieldRule
    default: Any = OMITTED
    to_wire: Callable[[Any], Any] = lambda value: value


FieldTable = Mapping[str, Field]


def is_none(value: Any) -> bool:
    """Return whether no value is given. An empty text is a value: it clears a field.

    :param value: the value.
    """
    return value is None


def is_none_or_empty(value: Any) -> bool:
    """Return whether no value is given. An empty text is no value.

    :param value: the value.
    """
    return value is None or value == ""


def wire_form(
    given: Mapping[str, Any],
    fields: FieldTable,
    errors: FieldErrors,
    *,
    where: str = "",
    is_blank: Check = is_none_or_empty,
) -> dict[str, Any]:
    """Return the fields as they are sent, and add their problems to ``errors``.

    :param given: the fields.
    :param fields: the fields that are allowed.
    :param errors: receives the problems.
    :param where: the prefix of a field's name in an error, as in ``client.``.
    :param is_blank: returns whether a value counts as not given.
    """
    body: dict[str, Any] = {}
    for name in given.keys() - fields.keys():
        if not is_blank(given[name]):
            errors[f"{where}{name}"] = [f"is unknown; the fields are {', '.join(fields)}"]
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
    """Return a check for integers.

    :param least: the smallest that passes.
    :param most: the largest that passes.
    """
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_number(least: float = -math.inf, most: float = math.inf) -> Check:
    """Return a check for numbers; NaN does not pass.

    :param least: the smallest that passes.
    :param most: the largest that passes.
    """
    return lambda value: (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and abs(value) <= _MAX_INTEGER
        and least <= value <= most
    )


def is_text(value: Any) -> bool:
    """Return whether a value is text that JSON can hold: without the surrogates of a badly decoded file.

    :param value: the value.
    """
    return isinstance(value, str) and not any("\ud800" <= character <= "\udfff" for character in value)


def matches(pattern: re.Pattern[str]) -> Check:
    """Return a check for text that matches a pattern.

    :param pattern: the pattern.
    """
    return lambda value: is_text(value) and pattern.fullmatch(value) is not None


def is_date(value: Any) -> bool:
    """Return whether a value is a date, or text of the form YYYY-MM-DD.

    :param value: the value.
    """
    if isinstance(value, date):
        return True
    try:
        return isinstance(value, str) and _DAY.fullmatch(value) is not None and bool(date.fromisoformat(value))
    except ValueError:
        return False


def is_flag(value: Any) -> bool:
    """Return whether a value is true or false.

    :param value: the value.
    """
    return isinstance(value, bool)


def is_ids(value: Any) -> bool:
    """Return whether a value is a list of ids.

    :param value: the value.
    """
    return isinstance(value, list | tuple) and all(map(is_integer(1), value))


def is_mapping(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Return whether a value is a mapping.

    :param value: the value.
    """
    return isinstance(value, Mapping)


def is_json(value: Any, depth: int = 0) -> bool:
    """Return whether a value can be sent as JSON. One that is nested too deeply cannot.

    :param value: the value.
    :param depth: how deeply it is nested itself.
    """
    if depth > _MAX_DEPTH:
        return False
    if isinstance(value, dict):
        return all(is_text(name) and is_json(one, depth + 1) for name, one in value.items())
    if isinstance(value, list | tuple):
        return all(is_json(one, depth + 1) for one in value)
    return value is None or is_flag(value) or is_text(value) or is_number()(value)
