"""Checks of arguments: each function returns the argument in its right form, or raises an error that names it.

A template, a form or a file gives text where a number or a flag belongs, so text is read too.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from altegio_provider.api.bodies.fields import is_text
from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.common.integers import integer_or_none
from altegio_provider.common.location_time import TimeRange, as_instant, zone_or_none

__all__ = [
    "argument_error",
    "checked_concurrency",
    "checked_count",
    "checked_flag",
    "checked_id",
    "checked_ids",
    "checked_instant",
    "checked_integer",
    "checked_mapping",
    "checked_page_size",
    "checked_range",
    "checked_seconds",
    "checked_sort",
    "checked_text",
    "checked_zone",
    "flag_or_none",
    "is_absent",
]

#: The largest integer that every JSON reader and database takes.
_MAX_INTEGER = 2**63 - 1
#: The client keeps this many connections open, so more threads are of no use.
_MAX_THREADS = 64
#: A year.
_MAX_SECONDS = 31_536_000.0
_FLAGS = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


def argument_error(argument: str, problem: str, hint: str = "") -> AltegioValidationError:
    """Return the error for an invalid argument.

    :param argument: its name.
    :param problem: what is wrong with it, as in "must be a whole number"; it must not hold personal data or a token.
    :param hint: what to do about it, where the problem does not say it.
    """
    return AltegioValidationError(f"{argument} {problem}.", errors={argument: [problem]}, hint=hint)


def is_absent(value: Any) -> bool:
    """Whether no value is given: ``None``, an empty text, or the text that a template makes of ``None``.

    :param value: the argument.
    """
    return value is None or (isinstance(value, str) and value.strip() in ("", "None"))


def flag_or_none(value: Any) -> bool | None:
    """Return the flag that a value stands for, or ``None`` if it stands for none.

    In text, upper and lower case are the same: true, yes, on, 1; false, no, off, 0.

    :param value: ``True``, ``False``, or text.
    """
    return value if isinstance(value, bool) else _FLAGS.get(value.strip().lower()) if isinstance(value, str) else None


def checked_flag(argument: str, value: Any, *, default: bool | None = None) -> bool:
    """Return true or false; :func:`flag_or_none` reads the value.

    :param argument: its name.
    :param value: the argument.
    :param default: what to return if no value is given; without it, a value is required.
    :raises AltegioValidationError: it is neither.
    """
    flag = default if default is not None and is_absent(value) else flag_or_none(value)
    if flag is None:
        raise argument_error(argument, "must be true or false")
    return flag


def checked_zone(name: str) -> ZoneInfo:
    """Return a time zone.

    :param name: its IANA name, such as ``Europe/Riga``.
    :raises AltegioValidationError: there is no such zone. The text does not repeat the name: it may come from a form,
        where somebody typed a token into the wrong field.
    """
    zone = zone_or_none(name)
    if zone is None:
        raise argument_error("timezone", "must be an IANA time zone name such as 'Europe/Riga' or 'UTC'")
    return zone


def checked_id(argument: str, value: Any) -> int:
    """Return an id: a whole number of 1 or more.

    :param argument: its name.
    :param value: an integer, or its digits as text.
    :raises AltegioValidationError: it is not an id.
    """
    return checked_integer(argument, value, least=1)


def checked_integer(argument: str, value: Any, *, least: int = 0, most: int = _MAX_INTEGER) -> int:
    """Return an integer.

    :param argument: its name.
    :param value: an integer, also one of NumPy, or its digits as text.
    :param least: the smallest that is allowed.
    :param most: the largest that is allowed.
    :raises AltegioValidationError: it is not an integer, or outside the bounds. The text does not repeat the value.
    """
    number: int | None = None
    if isinstance(value, str):
        number = integer_or_none(value.strip())
    elif not isinstance(value, bool):
        with suppress(TypeError):
            number = operator.index(value)
    if number is None or not least <= number <= most:
        upper = "or more" if most == _MAX_INTEGER else f"to {most}"
        raise argument_error(argument, f"must be a whole number of {least} {upper}")
    return number


def checked_ids(argument: str, values: Sequence[int] | None) -> list[int]:
    """Return a list of ids.

    :param argument: its name.
    :param values: the ids; ``None`` gives an empty list.
    :raises AltegioValidationError: it is not a list, or a value in it is not an id.
    """
    if values is None:
        return []
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise argument_error(argument, f"must be a list of ids, not a {type(values).__name__}")
    return [checked_id(argument, value) for value in values]


def checked_weekdays(values: Sequence[int] | None) -> list[int]:
    """Return a list of weekdays, 1 for Monday to 7 for Sunday; ``None`` is none.

    :param values: the argument.
    :raises AltegioValidationError: it is no list, or one of them is no weekday.
    """
    return [checked_integer("weekdays", value, least=1, most=7) for value in checked_ids("weekdays", values)]


def checked_sort(value: str | None) -> str:
    """Return ``asc``, ``desc``, or an empty text for ``None``.

    :param value: the argument.
    :raises AltegioValidationError: it is none of them.
    """
    if value not in (None, "", "asc", "desc"):
        raise argument_error("sort", "must be 'asc' or 'desc'")
    return value or ""


def checked_mapping(argument: str, value: Any) -> Mapping[str, Any]:
    """Return a mapping.

    :param argument: its name.
    :param value: the mapping; ``None`` gives an empty one.
    :raises AltegioValidationError: it is not a mapping.
    """
    if value is not None and not isinstance(value, Mapping):
        raise argument_error(argument, f"must be a mapping, not a {type(value).__name__}")
    return value or {}


def checked_text(argument: str, value: str | None) -> str | None:
    """Return a text that can be sent, or ``None``.

    :param argument: its name.
    :param value: the text; text from a badly decoded file may hold surrogates, which cannot be sent.
    :raises AltegioValidationError: it is neither.
    """
    if value is not None and not isinstance(value, str):
        raise argument_error(argument, f"must be text, not a {type(value).__name__}")
    if value is not None and not is_text(value):
        raise argument_error(argument, "has a surrogate (half of a character), which cannot be sent")
    return value


def checked_count(argument: str, value: int | None) -> int | None:
    """Return a whole number of 1 or more, or ``None``.

    :param argument: its name.
    :param value: the number, or its digits as text.
    :raises AltegioValidationError: it is neither.
    """
    return None if value is None else checked_id(argument, value)


def checked_concurrency(value: Any) -> int:
    """Return how many requests may run at once.

    :param value: the number, or its digits as text.
    :raises AltegioValidationError: it is not a whole number of 1 to 64.
    """
    return checked_integer("concurrency", value, least=1, most=_MAX_THREADS)


def checked_seconds(argument: str, value: Any, *, least: float = 0.0, most: float = _MAX_SECONDS) -> float:
    """Return a time in seconds.

    :param argument: its name.
    :param value: a number, or its text.
    :param least: the shortest time.
    :param most: the longest time; a year by default.
    :raises AltegioValidationError: it is not a number within the bounds; infinity and NaN are not.
    """
    seconds = -1.0
    if isinstance(value, int | float | str) and not isinstance(value, bool):
        with suppress(ValueError, OverflowError):
            seconds = float(value)
    if not least <= seconds <= most:
        raise argument_error(argument, f"must be a number of seconds from {least:g} to {most:.0f}")
    return seconds


def checked_page_size(value: int | None, usual: int, most: int | None) -> int:
    """Return how many rows to request at once.

    :param value: the number; ``None`` for the usual one.
    :param usual: the usual number.
    :param most: the API's maximum, if it is known.
    :raises AltegioValidationError: it is not a whole number of 1 or more, or above the maximum.
    """
    size = checked_count("page_size", value) or usual
    if most is not None and size > most:
        raise argument_error("page_size", f"must be at most {most}, not {size}")
    return size


def checked_range(date_from: datetime | str, date_to: datetime | str, zone: ZoneInfo) -> TimeRange:
    """Return a half-open range of instants.

    :param date_from: its start; a naive one is on the wall clock of ``zone``.
    :param date_to: its end, not included; likewise.
    :param zone: the location's time zone.
    :raises AltegioValidationError: a date cannot be read, or the range is empty or reversed.
    """
    start, end = checked_instant("date_from", date_from, zone), checked_instant("date_to", date_to, zone)
    if start >= end:
        kind = "empty" if start == end else "reversed"
        raise argument_error(
            "date_from", f"{start.isoformat()} is not before date_to {end.isoformat()}: the range is {kind}"
        )
    return TimeRange(start, end)


def checked_instant(argument: str, value: datetime | str, zone: ZoneInfo) -> datetime:
    """Return an instant in UTC.

    :param argument: its name.
    :param value: the date and time; a naive one is on the wall clock of ``zone``.
    :param zone: the location's time zone.
    :raises AltegioValidationError: it is not a date and time of the years 1000 to 9999.
    """
    try:
        return as_instant(value, zone, argument)
    except ValueError as error:
        raise argument_error(argument, str(error).removeprefix(argument).strip()) from None
