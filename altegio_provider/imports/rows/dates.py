"""Reads dates: ISO 8601, day first with dots, slashes or hyphens, with the name of the month, and Excel serial numbers.

``03/04/1990`` is the third of April: the day always comes first. ``12/25/1990`` is an error, because it shows that the
file has the month first; the cells of such a file that could be read either way are errors too.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import lru_cache
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

from altegio_provider.imports.model import normalized_text
from altegio_provider.imports.rows.cells import CellError
from altegio_provider.imports.rows.months import MONTHS

_Day = TypeVar("_Day", bound=date)

__all__ = ["birthday", "event_start", "event_times", "has_month_first", "joined"]

_ISO_DATE = re.compile(r"(\d{4})[-./]\s?(\d{1,2})[-./]\s?(\d{1,2})\.?")
_COMPACT_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)")
_DAY_FIRST = re.compile(r"(\d{1,2})([-./])\s?(\d{1,2})\2\s?(\d{4})\.?")
_WORD = r"([^\W\d_]+)\.?"
_DAY_AND_NAME = re.compile(rf"(\d{{1,2}})(?:st|nd|rd|th|[.º])?[\s/-]*(?:de\s)?{_WORD}[\s/,-]*(?:del?\s)?(\d{{4}})\.?")
_NAME_AND_DAY = re.compile(rf"{_WORD}\s(\d{{1,2}})(?:st|nd|rd|th)?,?\s(\d{{4}})")
_SHORT_YEAR = re.compile(r"\d{1,2}[-./]\d{1,2}[-./]\d\d")
_TIME_OF_DAY = r"(\d{1,2})[:.](\d\d)(?:[:.](\d\d(?:[.,]\d+)?))?(?:\s*([ap])\.?m\.?)?"
_TIME = re.compile(_TIME_OF_DAY, re.IGNORECASE)
_END = re.compile(rf"\s*[-\u2010-\u2015\u2212]\s*{_TIME_OF_DAY}", re.IGNORECASE)
_OFFSET = re.compile(r"\s*(?:Z|[+-](\d\d):?(\d\d))", re.IGNORECASE)
_MIDNIGHT = re.compile(r"[ T]00:00(?::00(?:\.0+)?)?")
_FARTHEST_OFFSET_MINUTES = 14 * 60
#: A class over midnight is shorter; a longer one has its end before its start.
_LONGEST_OVER_MIDNIGHT = timedelta(hours=12)
_SERIAL = re.compile(r"\d{5}(?:[.,]\d+)?")
# Excel counts days from here; it takes 1900 for a leap year, which matters before March 1900 only.
_EXCEL_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a wall clock has no zone
_OLDEST_YEAR = 1900
# The API's moments are Unix seconds.
_FIRST_YEAR, _LAST_YEAR = 1970, 2200
_LAST_SERIAL = 2_958_465
_MONTH_FIRST_ADVICE = (
    "could have the day or the month first, and other dates of the file have the month first; write the year, "
    "the month and the day: 1990-12-25"
)
_BIRTHDAY_ADVICE = "must be a date such as 1990-03-31 or 31.03.1990 (the day comes first, the year has four digits)"
_START_ADVICE = "must be a date and time of the location such as 2026-11-20 18:30 or 20.11.2026 18:30"


def birthday(value: Any, today: date, *, is_month_first: bool = False) -> str:
    """Read a birthday and return it as ``YYYY-MM-DD``.

    :param value: text, a date, or an Excel serial number; a time of day is ignored.
    :param today: the latest possible birthday.
    :param is_month_first: whether other dates of the file have the month first.
    :raises CellError: the date is not valid, or not between 1900 and today.
    """
    day = _birthday(value.strip() if isinstance(value, str) else value, is_month_first)
    if not day.year >= _OLDEST_YEAR or day > today:
        raise CellError(f"must be a date from {_OLDEST_YEAR} to today")
    return day.isoformat()


def event_start(value: Any, zone: ZoneInfo, *, is_month_first: bool = False) -> datetime:
    """Read the start of an event and return it naive, in the local time of ``zone``; see :func:`event_times`.

    :param value: text, a datetime, or an Excel serial number.
    :param zone: the location's time zone.
    :param is_month_first: whether other dates of the file have the month first.
    :raises CellError: the value is not a date with a time, or the clock skips that hour.
    """
    return event_times(value, zone, is_month_first=is_month_first)[0]


def event_times(value: Any, zone: ZoneInfo, *, is_month_first: bool = False) -> tuple[datetime, datetime | None]:
    """Read the start of an event, and its end where the text has one: ``07.12.2026 18:00-19:00``.

    Both are naive, in the local time of ``zone``. In an hour that the clock repeats, the first one is meant, unless the
    text has a UTC offset.

    :param value: text, a datetime, or an Excel serial number.
    :param zone: the location's time zone.
    :param is_month_first: whether other dates of the file have the month first.
    :raises CellError: the value is not a date with a time, or the clock skips that hour.
    """
    if isinstance(value, str):
        return _times_of_text(value.strip(), zone, is_month_first)
    if isinstance(value, datetime):
        return _on_clock(_unless_month_first(value, is_month_first), zone), None
    if isinstance(value, float | int | Decimal) and not isinstance(value, bool):
        moment = _unless_month_first(_moment_of_serial(value, _START_ADVICE), is_month_first)
        return _on_clock(moment, zone), None
    raise CellError(_START_ADVICE)


def joined(day: Any, clock: Any) -> str:
    """Return the date of one column and the time of another as one text, which :func:`event_times` reads.

    :param day: text, a date, or an Excel serial number, without a time of day.
    :param clock: text, a time, or a part of a day as spreadsheets store times.
    :raises CellError: one of them is something else.
    """
    return f"{_text_of_day(day)} {_text_of_clock(clock)}"


def has_month_first(value: Any) -> bool:
    """Whether a cell can only be a date with the month before the day, such as ``12/25/1990``.

    :param value: the raw cell.
    """
    if value.__class__ is not str:
        return False
    match = _DAY_FIRST.match(value.lstrip())
    return match is not None and int(match[1]) <= 12 < int(match[3]) <= 31


def _text_of_day(day: Any) -> str:
    if isinstance(day, float | int | Decimal) and not isinstance(day, bool):
        day = _moment_of_serial(day, _START_ADVICE)
    if isinstance(day, datetime):
        if day.time() != time():
            raise CellError("the date has a time already; give the time once")
        day = day.date()
    if isinstance(day, date):
        return day.isoformat()
    if not isinstance(day, str):
        raise CellError(_START_ADVICE)
    text = day.strip()
    if (midnight := _MIDNIGHT.search(text)) and midnight.end() == len(text):
        return text[: midnight.start()]
    if ":" in text:
        raise CellError("the date has a time already; give the time once")
    return text


def _text_of_clock(clock: Any) -> str:
    if isinstance(clock, str):
        return clock.strip()
    if isinstance(clock, datetime) and clock.date() <= date(1900, 1, 1):
        clock = clock.time()
    if isinstance(clock, time):
        return clock.isoformat()
    if isinstance(clock, float | Decimal) and 0 <= clock < 1:
        return f"{_EXCEL_EPOCH + timedelta(seconds=round(float(clock) * 86_400)):%H:%M:%S}"
    raise CellError("must be a time of day such as 18:30")


def _unless_month_first(day: _Day, is_month_first: bool) -> _Day:
    """Refuse a date that a spreadsheet program may have read day first in a file that has the month first."""
    if is_month_first and day.day <= 12 and day.day != day.month:
        raise CellError(_MONTH_FIRST_ADVICE)
    return day


def _birthday(value: Any, is_month_first: bool) -> date:
    if isinstance(value, datetime):
        return _unless_month_first(value.date(), is_month_first)
    if isinstance(value, date):
        return _unless_month_first(value, is_month_first)
    if isinstance(value, str):
        if _SHORT_YEAR.fullmatch(value):
            raise CellError("must have a year of four digits: 31.03.1990")
        if _SERIAL.fullmatch(value):
            return _birthday(float(value.replace(",", ".")), is_month_first)
        if compact := _COMPACT_DATE.fullmatch(value):
            return _date(compact[1], compact[2], compact[3], _BIRTHDAY_ADVICE)
        day, rest, _ = _split_date(value, _BIRTHDAY_ADVICE, is_month_first)
        if not rest or _TIME.match(rest):
            return day
    elif isinstance(value, float | int | Decimal) and not isinstance(value, bool):
        if _COMPACT_DATE.fullmatch(str(value)):
            return _birthday(str(value), is_month_first)
        return _unless_month_first(_moment_of_serial(value, _BIRTHDAY_ADVICE).date(), is_month_first)
    raise CellError(_BIRTHDAY_ADVICE)


@lru_cache(maxsize=4096)
def _times_of_text(text: str, zone: ZoneInfo, is_month_first: bool) -> tuple[datetime, datetime | None]:
    if _SERIAL.fullmatch(text):
        return event_times(float(text.replace(",", ".")), zone, is_month_first=is_month_first)
    day, rest, is_iso = _split_date(text, _START_ADVICE, is_month_first)
    clock = _TIME.match(rest)
    if not clock:
        raise CellError(f"has no time; it {_START_ADVICE}")
    tail = rest[clock.end() :]
    start = _moment(day, clock)
    if not tail:
        return _on_clock(start, zone), None
    end = _END.fullmatch(tail)
    offset = _OFFSET.fullmatch(tail)
    if offset and int(offset[1] or 0) * 60 + int(offset[2] or 0) > _FARTHEST_OFFSET_MINUTES:
        offset = None
    if offset and end:
        # Programs write an offset: 2026-12-07T18:00-05:00. People write an end: 07.12.2026 10:00-11:00.
        if not is_iso:
            offset = None
        elif "T" not in text.upper() and clock[3] is None:
            raise CellError("could have an end or a UTC offset after the time; write the start alone")
    if offset:
        written = tail.strip().upper()
        return _on_clock(datetime.fromisoformat(f"{start.isoformat()}{written}"), zone), None
    if not end:
        raise CellError(_START_ADVICE)
    if end[4] and not clock[4]:
        raise CellError("must have am or pm after both times, or after neither")
    return _on_clock(start, zone), _end_after(start, _moment(day, end))


def _moment(day: date, clock: re.Match[str]) -> datetime:
    hour, minute, second = int(clock[1]), int(clock[2]), float((clock[3] or "0").replace(",", "."))
    if half := (clock[4] or "").lower():
        if not 1 <= hour <= 12:
            raise CellError(_START_ADVICE)
        hour = hour % 12 + (12 if half == "p" else 0)
    if hour > 23 or minute > 59 or second >= 60:
        raise CellError(_START_ADVICE)
    try:
        return datetime.combine(day, time(hour, minute)) + timedelta(seconds=round(second))
    except OverflowError:
        raise CellError(_START_ADVICE) from None


def _end_after(start: datetime, end: datetime) -> datetime:
    if end < start:
        end += timedelta(days=1)
        if end - start > _LONGEST_OVER_MIDNIGHT:
            raise CellError("ends before it starts")
    if end == start:
        raise CellError("ends when it starts")
    return end


def _split_date(text: str, advice: str, is_month_first: bool) -> tuple[date, str, bool]:
    """Return the date at the beginning of the text, the rest without its separator, and whether the date is ISO."""
    iso = _ISO_DATE.match(text)
    if iso:
        day, end = _date(iso[1], iso[2], iso[3], advice), iso.end()
    elif day_first := _DAY_FIRST.match(text):
        day, end = _day_first(day_first[1], day_first[3], day_first[4], advice), day_first.end()
        _unless_month_first(day, is_month_first)
    else:
        text = normalized_text(text)
        day, end = _with_name(text, advice)
    rest = text[end:]
    if rest and rest[0] not in " Tt,\t":
        raise CellError(advice)
    return day, rest.lstrip(" Tt,\t"), iso is not None


def _with_name(text: str, advice: str) -> tuple[date, int]:
    if match := _DAY_AND_NAME.match(text):
        day, name, year = match.groups()
    elif match := _NAME_AND_DAY.match(text):
        name, day, year = match.groups()
    if match is None or name not in MONTHS:
        raise CellError(advice)
    return _date(year, str(MONTHS[name]), day, advice), match.end()


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
        return _rounded(moment.astimezone(UTC)).astimezone(zone).replace(tzinfo=None)
    naive = _rounded(moment.replace(fold=0))
    there_and_back = naive.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None)
    if there_and_back != naive:
        raise CellError("is a time that does not exist: the location's clock skips this hour")
    return naive


def _rounded(moment: datetime) -> datetime:
    """Round to seconds: a spreadsheet's 18:00 can be 17:59:59.9999."""
    return moment.replace(microsecond=0) + timedelta(seconds=moment.microsecond >= 500_000)
