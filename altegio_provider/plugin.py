"""Template macros: the bounds of a day or a month on a location's own clock.

Installing the package registers them (entry point ``airflow.plugins``), so every template has them::

    date_from="{{ macros.altegio.day_start(ds, 'Europe/Riga') }}"
    date_to="{{ macros.altegio.day_end(ds, 'Europe/Riga') }}"

Ranges are half-open, as everywhere in this package: the end of a day is the start of the next one. A day on which
the clock changes has 23 or 25 hours, and where the change is at midnight a day may begin at 01:00.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import wraps
from typing import Any

from altegio_provider.common.location_time import as_instant, load_zone, parse_datetime
from altegio_provider.compat import AirflowPlugin

__all__ = ["AltegioPlugin", "day_end", "day_start", "macros_in", "month_end", "month_start"]

Day = str | date
#: A day outside of these years has neighbours that not every clock can show.
_FIRST_YEAR, _LAST_YEAR = 1000, 9998


def day_start(day: Day, timezone: str) -> str:
    """Return the first moment of a day, as ISO 8601 text with offset.

    :param day: ``ds``, a date, or ISO 8601 text; an aware moment (``data_interval_start``, ``ts``) means the day
        that it falls on in ``timezone``.
    :param timezone: the location's IANA time zone, for example ``Europe/Riga``.
    :raises ValueError: no such time zone, or no date, with the argument's name in the text.
    """
    return _midnight(_day_of(day, timezone), timezone)


def day_end(day: Day, timezone: str) -> str:
    """Return the first moment after a day: the start of the next one. See :func:`day_start`."""
    return _midnight(_day_of(day, timezone) + timedelta(days=1), timezone)


def month_start(day: Day, timezone: str) -> str:
    """Return the first moment of the month that a day is in. See :func:`day_start`."""
    return _midnight(_day_of(day, timezone).replace(day=1), timezone)


def month_end(day: Day, timezone: str) -> str:
    """Return the first moment after the month that a day is in: the start of the next. See :func:`day_start`."""
    in_next_month = _day_of(day, timezone).replace(day=28) + timedelta(days=4)
    return _midnight(in_next_month.replace(day=1), timezone)


def macros_in(timezone: str) -> list[Callable[..., str]]:
    """Return the four macros with the time zone already in them, for a plugin of an installation's own.

    :param timezone: the IANA time zone of all its locations.
    :raises ValueError: no such time zone.
    """
    load_zone(timezone)
    return [_with_zone(macro, timezone) for macro in _MACROS]


def _with_zone(macro: Callable[[Day, str], str], timezone: str) -> Callable[..., str]:
    @wraps(macro)
    def bound(day: Day, timezone: str = timezone) -> str:
        return macro(day, timezone)

    return bound


def _day_of(day: Any, timezone: str) -> date:
    if isinstance(day, str):
        try:
            day = parse_datetime(day)
        except ValueError as error:
            raise ValueError(f"day {day!r} is not an ISO 8601 date such as '2026-11-20'") from error
    if isinstance(day, datetime):
        zone = load_zone(timezone)
        day = as_instant(day, zone, "day").astimezone(zone).date() if day.tzinfo else day.date()
    if isinstance(day, date):
        if not _FIRST_YEAR <= day.year <= _LAST_YEAR:
            raise ValueError(f"day {day} is too far away: use one between the years {_FIRST_YEAR} and {_LAST_YEAR}")
        return day
    raise ValueError(f"day must be a date or ISO 8601 text, not {type(day).__name__}")


def _midnight(day: date, timezone: str) -> str:
    zone = load_zone(timezone)
    # By way of UTC, for a midnight that the clock skips: what it says at that instant is the day's first moment.
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC).astimezone(zone).isoformat()


_MACROS: list[Callable[[Day, str], str]] = [day_start, day_end, month_start, month_end]


class AltegioPlugin(AirflowPlugin):
    """``macros.altegio``: :func:`day_start`, :func:`day_end`, :func:`month_start`, :func:`month_end`."""

    name = "altegio"
    macros = _MACROS
