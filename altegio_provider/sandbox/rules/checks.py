"""Checks of single values, and complaints by field in the API's form."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import date
from typing import Any

from altegio_provider.sandbox.data.state import LARGEST
from altegio_provider.sandbox.forms.render import wall

__all__ = [
    "Check",
    "Errors",
    "allow",
    "is_bool",
    "is_day",
    "is_ids",
    "is_int",
    "is_number",
    "is_objects",
    "is_text",
    "is_wall",
    "matches",
    "or_null",
    "refuse_unknown",
    "require",
]

Errors = dict[str, list[str]]
Check = Callable[[Any], bool]

_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


def is_int(least: int, most: int = LARGEST) -> Check:
    """Return a check for a whole number within bounds."""
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def is_text(most: int | None = None, least: int = 0) -> Check:
    """Return a check for text of some length."""
    return lambda value: isinstance(value, str) and least <= len(value) and (most is None or len(value) <= most)


def or_null(check: Check) -> Check:
    """Return a check that null passes too."""
    return lambda value: value is None or check(value)


def matches(pattern: re.Pattern[str]) -> Check:
    """Return a check for text that a pattern matches whole."""
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def is_bool(value: Any) -> bool:
    """Whether it is true or false."""
    return isinstance(value, bool)


def is_number(value: Any) -> bool:
    """Whether it is a number."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_ids(value: Any) -> bool:
    """Whether it is an array of ids."""
    return isinstance(value, list) and all(map(is_int(1), value))


def is_objects(value: Any) -> bool:
    """Whether it is an array of objects."""
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def is_wall(value: Any) -> bool:
    """Whether it is a moment on the location's clock."""
    try:
        return isinstance(value, str) and wall(value) is not None
    except ValueError:
        return False


def is_day(value: Any) -> bool:
    """Whether it is a date."""
    try:
        return isinstance(value, str) and _DAY.fullmatch(value) is not None and bool(date.fromisoformat(value))
    except ValueError:
        return False


def require(errors: Errors, body: dict[str, Any], name: str, check: Check, rule: str, where: str = "") -> None:
    """Complain about a field that is missing or wrong."""
    if name not in body:
        errors[where + name] = ["is required"]
    elif not check(body[name]):
        errors[where + name] = [rule]


def allow(errors: Errors, body: dict[str, Any], name: str, check: Check, rule: str, where: str = "") -> None:
    """Complain about a field that is there and wrong."""
    if name in body and not check(body[name]):
        errors[where + name] = [rule]


def refuse_unknown(errors: Errors, body: dict[str, Any], known: Collection[str], where: str = "") -> None:
    """Complain about fields that are not known."""
    for name in body.keys() - set(known):
        errors[where + str(name)] = ["this field was not expected"]
