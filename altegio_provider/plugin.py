"""Template macros for the start and end of a day or month in a location's time zone.

Airflow registers them when the package is installed (entry point ``airflow.plugins``). Use them in any template::

    date_from="{{ macros.altegio.day_start(ds, 'Europe/Riga') }}"
    date_to="{{ macros.altegio.day_end(ds, 'Europe/Riga') }}"

Ranges are half-open, as everywhere in this package: the end of a day is the start of the next one. A day with a clock
change has 23 or 25 hours, and if the change is at midnight, the day may start at 01:00.
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
#: The days before and after any day of these years can be shown in every time zone.
_FIRST_YEAR, _LAST_YEAR = 1000, 9998


def day_start(day: Day, timezone: str) -> str:
    """Return the start of a day, as ISO 8601 text with offset.

    :param day: ``ds``, a date, or ISO 8601 text. An aware datetime (``data_interval_start``, ``ts``) stands for its
        day in ``timezone``.
    :param timezone: the location's IANA time zone, for example ``Europe/Riga``.
    :raises ValueError: the time zone does not exist, or ``day`` is not a date. The text names the argument.
    """
    return _midnight(_day_of(day, timezone), timezone)


def day_end(day: Day, timezone: str) -> str:
    """Return the end of a day, which is the start of the next one, as ISO 8601 text with offset.

    :param day: as for :func:`day_start`.
    :param timezone: as for :func:`day_start`.
    :raises ValueError: as for :func:`day_start`.
    """
    return _midnight(_day_of(day, timezone) + timedelta(days=1), timezone)


def month_start(day: Day, timezone: str) -> str:
    """Return the start of a day's month, as ISO 8601 text with offset.

    :param day: as for :func:`day_start`.
    :param timezone: as for :func:`day_start`.
    :raises ValueError: as for :func:`day_start`.
    """
    return _midnight(_day_of(day, timezone).replace(day=1), timezone)


def month_end(day: Day, timezone: str) -> str:
    """Return the end of a day's month, which is the start of the next one, as ISO 8601 text with offset.

    :param day: as for :func:`day_start`.
    :param timezone: as for :func:`day_start`.
    :raises ValueError: as for :func:`day_start`.
    """
    in_next_month = _day_of(day, timezone).replace(day=28) + timedelta(days=4)
    return _midnight(in_next_month.replace(day=1), timezone)


def macros_in(timezone: str) -> list[Callable[..., str]]:
    """Return the four macros with a default time zone, for a plugin of your own Airflow installation.

    :param timezone: the IANA time zone of all locations.
    :raises ValueError: the time zone does not exist.
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
            raise ValueError(f"day {day} is out of range: use a day between the years {_FIRST_YEAR} and {_LAST_YEAR}")
        return day
    raise ValueError(f"day must be a date or ISO 8601 text, not {type(day).__name__}")


def _midnight(day: date, timezone: str) -> str:
    zone = load_zone(timezone)
    # The conversion to UTC and back handles a midnight that a clock change skips: the day then starts at 01:00.
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC).astimezone(zone).isoformat()


_MACROS: list[Callable[[Day, str], str]] = [day_start, day_end, month_start, month_end]


class AltegioPlugin(AirflowPlugin):
    """The plugin that registers ``macros.altegio`` with the functions of this module."""

    name = "altegio"
    macros = _MACROS
