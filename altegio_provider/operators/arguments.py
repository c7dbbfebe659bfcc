"""Checks of operator arguments. A template may have turned an argument into text.

Each error names the argument. This module is imported when a task runs, never when a DAG is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from altegio_provider.api.arguments import (
    argument_error,
    checked_id,
    checked_ids,
    checked_instant,
    checked_zone,
    is_absent,
)
from altegio_provider.common.location_time import TimeRange
from altegio_provider.compat import ObjectStoragePath

__all__ = [
    "PRIVATE",
    "checked_choice",
    "checked_share",
    "has_password",
    "ids_of",
    "mode_of",
    "number_of",
    "storage_path",
    "window_of",
]

#: Permissions of files with personal data: only their owner reads them.
PRIVATE = 0o600
_OCTAL = re.compile(r"(0o)?[0-7]{3,4}")
_LONGEST_LOOKBACK = timedelta(days=36_525)
_PASSWORD = re.compile(r"://[^/@]*:[^@]*@")


def window_of(date_from: datetime | str, date_to: datetime | str, lookback: timedelta, timezone: str) -> TimeRange:
    """Return the window to read, which begins earlier by ``lookback``.

    :param date_from: the start.
    :param date_to: the end, not included.
    :param lookback: how far before ``date_from`` to read again.
    :param timezone: the IANA time zone of naive datetimes.
    :raises AltegioValidationError: the range is empty or reversed, or an argument is invalid.
    """
    if not isinstance(lookback, timedelta) or not timedelta(0) <= lookback <= _LONGEST_LOOKBACK:
        raise argument_error("lookback", f"must be a timedelta of 0 to {_LONGEST_LOOKBACK.days} days")
    for argument, value in (("date_from", date_from), ("date_to", date_to)):
        if is_absent(value):
            raise argument_error(
                argument,
                "is empty",
                "A run that was triggered by hand or by an asset has no data interval: set date_from and date_to.",
            )
    zone = checked_zone(timezone)
    start, end = checked_instant("date_from", date_from, zone), checked_instant("date_to", date_to, zone)
    if start >= end:
        raise argument_error(
            "date_from",
            f"{start.isoformat()} is not before date_to {end.isoformat()}: the range is "
            + ("empty" if start == end else "reversed"),
            "On Airflow 3 a plain cron schedule such as '@daily' has a data interval of zero length; schedule the "
            "DAG with CronDataIntervalTimetable('@daily', timezone='UTC'), or give date_from and date_to.",
        )
    return TimeRange(checked_instant("date_from", start - lookback, zone), end)


def storage_path(output_path: str, argument: str = "output_path") -> ObjectStoragePath:
    """Return the path to write to.

    :param output_path: a path or URL.
    :param argument: the name of the argument, for the error.
    :raises AltegioValidationError: the path is empty, holds a password, or no installed library can open it.
    """
    if not isinstance(output_path, str) or not output_path.strip():
        raise argument_error(argument, "is empty")
    if not output_path.isprintable():
        raise argument_error(argument, "has a control character or a surrogate (half of a character)")
    if has_password(output_path):
        raise argument_error(
            argument,
            "contains a password, which Airflow would store and show",
            "Put it into a connection, and use the connection in the URL: s3://my_connection@bucket/folder.",
        )
    try:
        path = ObjectStoragePath(output_path)
        # Airflow 3.1 looks for the library only now. When 3.1 is dropped, this goes.
        path.fs  # noqa: B018
        return path
    except (ValueError, ImportError) as error:
        kind = type(error).__name__
    raise argument_error(argument, f"cannot be opened ({kind}): no library for this kind of URL is installed")


def has_password(url: str) -> bool:
    """Return whether a URL contains a password, as ``scheme://user:password@host`` does.

    :param url: the URL.
    """
    return _PASSWORD.search(url) is not None


def ids_of(argument: str, value: Any) -> list[int] | None:
    """Return a list of ids. A template may have turned it into text: ``[5, 10]`` or ``5,10``.

    :param argument: the name of the argument, for the error.
    :param value: the argument.
    :raises AltegioValidationError: an id is not an integer of 1 or more.
    """
    if is_absent(value):
        return None
    if isinstance(value, str):
        parts = value.strip().removeprefix("[").removesuffix("]").split(",")
        value = [part for part in parts if part.strip()]
    elif isinstance(value, int):
        value = [value]
    return checked_ids(argument, value)


def number_of(argument: str, value: Any) -> int | None:
    """Return an integer of 1 or more, or ``None`` if the argument is absent. A template may have turned it into text.

    :param argument: the name of the argument, for the error.
    :param value: the argument.
    :raises AltegioValidationError: it is not an integer of 1 or more.
    """
    return None if is_absent(value) else checked_id(argument, value)


def mode_of(file_mode: Any, default: int | None) -> int | None:
    """Return the permissions of files.

    :param file_mode: a number such as ``0o640``, or its octal digits as text.
    :param default: the result if ``file_mode`` is absent.
    :raises AltegioValidationError: ``file_mode`` is invalid, or does not let the owner read and write.
    """
    if file_mode in (None, "", "None"):
        return default
    if isinstance(file_mode, str):
        file_mode = int(file_mode, 8) if _OCTAL.fullmatch(file_mode) else -1
    if isinstance(file_mode, bool) or not isinstance(file_mode, int) or not 0 <= file_mode <= 0o777:
        raise argument_error("file_mode", "must be permissions such as 0o640 or '0640'")
    if file_mode & 0o600 != 0o600:
        raise argument_error("file_mode", "must let the owner read and write")
    return file_mode


def checked_share(argument: str, value: Any) -> int | float:
    """Return a number of rows (``int``) or a share of the rows (``float``). A template may have turned it into text.

    :param argument: the name of the argument, for the error.
    :param value: the argument.
    :raises AltegioValidationError: it is neither a number of rows nor a share.
    """
    if isinstance(value, str):
        try:
            value = float(value) if "." in value else int(value)
        except ValueError:
            value = None
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
        raise argument_error(argument, "must be a number of rows such as 5, or a share of the rows such as 0.05")
    if isinstance(value, float) and value > 1:
        raise argument_error(
            argument, f"{value} is not a share between 0.0 and 1.0; use an integer for a number of rows"
        )
    return value


def checked_choice(argument: str, value: Any, choices: Sequence[str]) -> Any:
    """Return the value if it is one of the allowed ones.

    :param argument: the name of the argument, for the error.
    :param value: the argument.
    :param choices: the allowed values.
    :raises AltegioValidationError: it is not one of them.
    """
    if value not in choices:
        raise argument_error(argument, f"must be one of {', '.join(choices)}")
    return value
