"""Checks of what a caller gave: each returns the right form, or raises an error with the argument's name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.api.paging import Window
from altegio_provider.times import as_instant, zone_or_none

__all__ = [
    "checked_count",
    "checked_id",
    "checked_ids",
    "checked_page_size",
    "checked_range",
    "checked_text",
    "checked_zone",
]


def checked_zone(name: str) -> ZoneInfo:
    """Return the time zone of that IANA name.

    :raises AltegioValidationError: there is none. The text does not repeat the name: it may come from a form, where
        somebody typed a token into the wrong field.
    """
    zone = zone_or_none(name)
    if zone is None:
        raise AltegioValidationError(
            "timezone is not an IANA time zone name.",
            errors={"timezone": ["use one such as 'Europe/Riga' or 'UTC'"]},
            hint="",
        )
    return zone


def checked_id(argument: str, value: Any) -> int:
    """Return an id: a whole number of 1 or more, which may come as its digits.

    :raises AltegioValidationError: it is none.
    """
    if isinstance(value, str) and value.isascii() and value.strip().isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _wrong(argument, "must be a whole number of 1 or more")
    return int(value)


def checked_ids(argument: str, values: Sequence[int] | None) -> list[int]:
    """Return a list of ids; ``None`` is none.

    :raises AltegioValidationError: it is no list, or one of them is no id.
    """
    if values is None:
        return []
    if isinstance(values, str | bytes | Mapping) or not isinstance(values, Iterable):
        raise _wrong(argument, f"must be a list of ids, not a {type(values).__name__}")
    return [checked_id(argument, value) for value in values]


def checked_text(argument: str, value: str | None) -> str | None:
    """Return a text, or ``None``.

    :raises AltegioValidationError: it is neither.
    """
    if value is not None and not isinstance(value, str):
        raise _wrong(argument, f"must be text, not a {type(value).__name__}")
    return value


def checked_count(argument: str, value: int | None) -> int | None:
    """Return a whole number of 1 or more, or ``None``.

    :raises AltegioValidationError: it is neither.
    """
    return None if value is None else checked_id(argument, value)


def checked_page_size(value: int | None, usual: int, most: int | None) -> int:
    """Return how many rows to ask for in one request.

    :param usual: where the caller does not say.
    :param most: as many as the API lets one ask for, where that is known.
    :raises AltegioValidationError: it is no whole number of 1 or more, or too many.
    """
    size = checked_count("page_size", value) or usual
    if most is not None and size > most:
        raise _wrong("page_size", f"must be at most {most}, not {size}")
    return size


def checked_range(date_from: datetime | str, date_to: datetime | str, zone: ZoneInfo) -> Window:
    """Return the instants of a half-open range; naive dates are on the wall clock of ``zone``.

    :raises AltegioValidationError: a date is none, or the range is empty or reversed.
    """
    try:
        start = as_instant(date_from, zone, "date_from")
        end = as_instant(date_to, zone, "date_to")
    except ValueError as error:
        raise AltegioValidationError(str(error), hint="") from None
    if start >= end:
        kind = "is empty" if start == end else "is reversed"
        raise AltegioValidationError(
            f"the range {kind}: date_from {start.isoformat()} is not before date_to {end.isoformat()}.",
            errors={"date_from": ["must be before date_to"]},
            hint="",
        )
    return Window(start, end)


def _wrong(argument: str, text: str) -> AltegioValidationError:
    return AltegioValidationError(f"{argument} {text}.", errors={argument: [text]}, hint="")
