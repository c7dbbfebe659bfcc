"""Reads dates: ISO 8601, day first with dots, slashes or hyphens, and Excel serial numbers.

``03/04/1990`` is the third of April: the day always comes first. ``12/25/1990`` is an error, because it shows that the
file has the month first, and its other dates would be read wrongly.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from altegio_provider.imports.rows.cells import CellError

__all__ = ["birthday", "event_start"]

_ISO_DATE = re.compile(r"(\d{4})[-./](\d{1,2})[-./](\d{1,2})")
_COMPACT_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)")
_DAY_FIRST = re.compile(r"(\d{1,2})([-./])\s?(\d{1,2})\2\s?(\d{4})")
_SHORT_YEAR = re.compile(r"\d{1,2}[-./]\d{1,2}[-./]\d\d")
_TIME = re.compile(r"(\d{1,2})[:.](\d\d)(?:[:.](\d\d)(?:[.,]\d+)?)?(?:\s*([ap])\.?m\.?)?", re.IGNORECASE)
_OFFSET = re.compile(r"\s*(?:Z|[+-]\d\d:?\d\d)", re.IGNORECASE)
_SERIAL = re.compile(r"\d{5}(?:[.,]\d+)?")
# Excel counts days from here; it takes 1900 for a leap year, which matters before March 1900 only.
_EXCEL_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a wall clock has no zone
_OLDEST_YEAR = 1900
# The API's moments are Unix seconds.
_FIRST_YEAR, _LAST_YEAR = 1970, 2200
_LAST_SERIAL = 2_958_465
_BIRTHDAY_ADVICE = "must be a date such as 1990-03-31 or 31.03.1990 (the day comes first, the year has four digits)"
_START_ADVICE = "must be a date and time of the location such as 2026-11-20 18:30 or 20.11.2026 18:30"


def birthday(value: Any, today: date) -> str:
    """Read a birthday and return it as ``YYYY-MM-DD``.

    :param value: text, a date, or an Excel serial number; a time of day is ignored.
    :param today: the latest possible birthday.
    :raises CellError: the date is not valid, or not between 1900 and today.
    """
    day = _birthday(value.strip() if isinstance(value, str) else value)
    if not day.year >= _OLDEST_YEAR or day > today:
        raise CellError(f"must be a date from {_OLDEST_YEAR} to today")
    return day.isoformat()


def event_start(value: Any, zone: ZoneInfo) -> datetime:
    """Read the start of an event and return it naive, in the local time of ``zone``.

    In an hour that the clock repeats, the first one is meant, unless the text has a UTC offset.

    :param value: text, a datetime, or an Excel serial number.
    :param zone: the location's time zone.
    :raises CellError: the value is not a date with a time, or the clock skips that hour.
    """
    if isinstance(value, str):
        return _start_of_text(value.strip(), zone)
    if isinstance(value, datetime):
        return _on_clock(value, zone)
    if isinstance(value, float | int | Decimal) and not isinstance(value, bool):
        return _on_clock(_moment_of_serial(value, _START_ADVICE), zone)
    raise CellError(_START_ADVICE)


def _birthday(value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        if _SHORT_YEAR.fullmatch(value):
            raise CellError("must have a year of four digits: 31.03.1990")
        if _SERIAL.fullmatch(value):
            return _moment_of_serial(float(value.replace(",", ".")), _BIRTHDAY_ADVICE).date()
        if compact := _COMPACT_DATE.fullmatch(value):
            return _date(compact[1], compact[2], compact[3], _BIRTHDAY_ADVICE)
        day, rest = _split_date(value, _BIRTHDAY_ADVICE)
        if not rest or _TIME.match(rest):
            return day
    elif isinstance(value, float | int | Decimal) and not isinstance(value, bool):
        if _COMPACT_DATE.fullmatch(str(value)):
            return _birthday(str(value))
        return _moment_of_serial(value, _BIRTHDAY_ADVICE).date()
    raise CellError(_BIRTHDAY_ADVICE)


@lru_cache(maxsize=4096)
def _start_of_text(text: str, zone: ZoneInfo) -> datetime:
    if _SERIAL.fullmatch(text):
        return _on_clock(_moment_of_serial(float(text.replace(",", ".")), _START_ADVICE), zone)
    day, rest = _split_date(text, _START_ADVICE)
    time = _TIME.match(rest)
    if not time:
        raise CellError(f"has no time; it {_START_ADVICE}")
    hour, minute, second = int(time[1]), int(time[2]), int(time[3] or 0)
    if half := (time[4] or "").lower():
        if not 1 <= hour <= 12:
            raise CellError(_START_ADVICE)
        hour = hour % 12 + (12 if half == "p" else 0)
    offset = rest[time.end() :]
    if offset and not _OFFSET.fullmatch(offset):
        raise CellError(_START_ADVICE)
    try:
        moment = datetime.fromisoformat(f"{day}T{hour:02}:{minute:02}:{second:02}{offset.strip().upper()}")
    except ValueError:
        raise CellError(_START_ADVICE) from None
    return _on_clock(moment, zone)


def _split_date(text: str, advice: str) -> tuple[date, str]:
    """Return the date at the beginning of the text, and the rest without its separator."""
    if iso := _ISO_DATE.match(text):
        day, end = _date(iso[1], iso[2], iso[3], advice), iso.end()
    elif day_first := _DAY_FIRST.match(text):
        day, end = _day_first(day_first[1], day_first[3], day_first[4], advice), day_first.end()
    else:
        raise CellError(advice)
    rest = text[end:]
    if rest and rest[0] not in " T,\t":
        raise CellError(advice)
    return day, rest.lstrip(" T,\t")


def _day_first(day: str, month: str, year: str, advice: str) -> date:
    if int(month) > 12 >= int(day):
        raise CellError("must have the day before the month; if the file has the month first, use 1990-12-25")
    return _date(year, month, day, advice)


def _date(year: str, month: str, day: str, advice: str) -> date:
    try:
        return date(int(year), int(month), int(day))
    except ValueError:
        raise CellError(f"is a day that does not exist; it {advice}") from None


def _moment_of_serial(days: float | Decimal, advice: str) -> datetime:
    if days != days or not 1 <= days <= _LAST_SERIAL:
        raise CellError(advice)
    return _EXCEL_EPOCH + timedelta(seconds=round(float(days) * 86_400))


def _on_clock(moment: datetime, zone: ZoneInfo) -> datetime:
    if not _FIRST_YEAR <= moment.year <= _LAST_YEAR:
        raise CellError(_START_ADVICE)
    if moment.tzinfo is not None:
        return moment.astimezone(zone).replace(tzinfo=None, microsecond=0)
    naive = moment.replace(microsecond=0, fold=0)
    there_and_back = naive.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    if there_and_back != naive:
        raise CellError("is a time that does not exist: the location's clock skips this hour")
    return naive
