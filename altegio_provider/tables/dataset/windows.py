"""Windows of time: how they name files, and what is left of them where they overlap."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import NamedTuple

__all__ = ["UtcWindow", "remainders"]

_NAME = re.compile(r"(\d{8}T\d{6}(?:\.\d{6})?Z)--(\d{8}T\d{6}(?:\.\d{6})?Z)\.parquet")


class UtcWindow(NamedTuple):
    """A half-open range of UTC instants, which names a file."""

    start: datetime
    end: datetime

    @classmethod
    def of(cls, start: datetime, end: datetime) -> UtcWindow:
        """Make one of aware datetimes.

        :raises ValueError: one is naive, or the range is empty.
        """
        if start.tzinfo is None or end.tzinfo is None:
            raise ValueError("the window's start and end need a time zone")
        window = cls(start.astimezone(UTC), end.astimezone(UTC))
        if window.start >= window.end:
            raise ValueError(f"the window is empty: it starts at {start.isoformat()} and ends at {end.isoformat()}")
        return window

    @classmethod
    def named(cls, name: str) -> UtcWindow | None:
        """Return the window of a file of that name, or ``None`` where it is no data file's name."""
        match = _NAME.fullmatch(name)
        try:
            return cls(*map(_read, match.groups())) if match else None
        except ValueError:
            return None

    @property
    def file_name(self) -> str:
        """``20261120T000000Z--20261121T000000Z.parquet``: no ``key=value``, which readers would take for a column."""
        return f"{_written(self.start)}--{_written(self.end)}.parquet"

    def overlaps(self, other: UtcWindow) -> bool:
        """Whether they share an instant."""
        return self.start < other.end and other.start < self.end

    def without(self, other: UtcWindow) -> list[UtcWindow]:
        """What is left of this one outside another."""
        if not self.overlaps(other):
            return [self]
        parts = (UtcWindow(self.start, other.start), UtcWindow(other.end, self.end))
        return [part for part in parts if part.start < part.end]


def remainders(windows: Sequence[UtcWindow]) -> list[list[UtcWindow]]:
    """For each window, what is left of it outside those before it; the first keeps all.

    :param windows: the one that takes precedence first.
    """
    left = [[window] for window in windows]
    for group in _overlapping(windows):
        for place, number in enumerate(group):
            for earlier in group[:place]:
                left[number] = [part for window in left[number] for part in window.without(windows[earlier])]
    return left


def _overlapping(windows: Sequence[UtcWindow]) -> Iterator[list[int]]:
    """The numbers of windows that hang together by overlaps, group by group, each group in the order given."""
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
