"""The time windows of a dataset's files: how they name files, and which parts remain where they overlap."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

__all__ = ["UtcWindow", "remainders"]

_NAME = re.compile(r"(\d{8}T\d{6}(?:\.\d{6})?Z)--(\d{8}T\d{6}(?:\.\d{6})?Z)\.parquet")


class UtcWindow(NamedTuple):
    """A half-open range of UTC instants, which names a file.

    :param start: the start, an aware UTC datetime.
    :param end: the end, not included, an aware UTC datetime.
    """

    start: datetime
    end: datetime

    @classmethod
    def of(cls, start: datetime, end: datetime) -> UtcWindow:
        """Make a window from aware datetimes of any time zone.

        :param start: the start.
        :param end: the end, not included.
        :raises ValueError: a datetime is naive, or the range is empty.
        """
        if start.tzinfo is None or end.tzinfo is None:
            raise ValueError("start and end must have a time zone")
        window = cls(start.astimezone(UTC), end.astimezone(UTC))
        if window.start >= window.end:
            raise ValueError(f"the range is empty: it starts at {start.isoformat()} and ends at {end.isoformat()}")
        return window

    @classmethod
    def named(cls, name: str) -> UtcWindow | None:
        """Return the window in a file's name, ``None`` if it is not the name of a data file.

        :param name: the file's name.
        """
        match = _NAME.fullmatch(name)
        try:
            return cls(*map(_read, match.groups())) if match else None
        except ValueError:
            return None

    @property
    def file_name(self) -> str:
        """``20261120T000000Z--20261121T000000Z.parquet``; not ``key=value``, which readers would take for a column."""
        return f"{_written(self.start)}--{_written(self.end)}.parquet"

    def overlaps(self, other: UtcWindow) -> bool:
        """Return whether the windows share an instant.

        :param other: another window.
        """
        return self.start < other.end and other.start < self.end

    def without(self, other: UtcWindow) -> list[UtcWindow]:
        """Return the parts of this window outside of another: none, one or two.

        :param other: another window.
        """
        if not self.overlaps(other):
            return [self]
        parts = (UtcWindow(self.start, other.start), UtcWindow(other.end, self.end))
        return [part for part in parts if part.start < part.end]


def remainders(windows: Sequence[UtcWindow]) -> list[list[UtcWindow]]:
    """Return for each window its parts outside of the windows before it.

    :param windows: in order of precedence, so the first one remains whole.
    """
    left = [[window] for window in windows]
    for group in _overlapping(windows):
        for place, number in enumerate(group):
            for earlier in group[:place]:
                left[number] = [part for window in left[number] for part in window.without(windows[earlier])]
    return left


def _overlapping(windows: Sequence[UtcWindow]) -> Iterator[list[int]]:
    """Yield groups of windows that are connected by overlaps, as indexes in the given order."""
    group: list[int] = []
    end = datetime.min.replace(tzinfo=UTC)
    for number in sorted(range(len(windows)), key=lambda number: windows[number].start):
        if windows[number].start >= end:
            yield sorted(group)
            group = []
        group.append(number)
        end = max(end, windows[number].end)
    yield sorted(group)


def _written(moment: datetime) -> str:
    fraction = f".{moment.microsecond:06d}" if moment.microsecond else ""
    return f"{moment.year:04d}{moment:%m%dT%H%M%S}{fraction}Z"


def _read(text: str) -> datetime:
    return datetime.strptime(text, "%Y%m%dT%H%M%S.%fZ" if "." in text else "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
