"""A list of activities whose rows come and go while it is read: plain values, no HTTP."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from altegio_provider.api.paging.pagination import shows_end
from altegio_provider.api.paging.reader import PageReader
from altegio_provider.api.routes import ListPage, PageSpan, SpanOf
from altegio_provider.common.location_time import TimeRange

Row = dict[str, Any]

START = datetime(2026, 11, 1, tzinfo=UTC)
WINDOW = TimeRange(START, START + timedelta(days=30))

ORDERS: dict[str, Callable[[Row], Any]] = {
    "by start": lambda row: (row["timestamp"], row["id"]),
    "by id": lambda row: row["id"],
    "newest first": lambda row: -row["id"],
    "by name": lambda row: (row["name"], row["id"]),
}


def made_row(number: int, seed: random.Random) -> Row:
    seconds = seed.randrange(int((WINDOW.end - WINDOW.start).total_seconds()))
    return {"id": number, "timestamp": int(START.timestamp()) + seconds, "name": f"class {number * 7919 % 1009}"}


@dataclass
class ChurningList:
    """Answers pages of a sorted list; before every ``churn_every``-th one it changes.

    :param cap: the most rows it returns whatever is asked for.
    :param numbered: pages begin at multiples of the limit that it really uses.
    :param has_pagination: each page comes with the limit and the offset that it was served with.
    """

    size: int
    order: str = "by start"
    cap: int = 10**6
    numbered: bool = False
    total: Callable[[int, random.Random], int | None] = lambda true, seed: true
    churn_every: int = 0
    inserts: int = 1
    deletes: int = 1
    changes: int = 0
    short_pages: bool = False
    is_unstable: bool = False
    has_pagination: bool = False
    seed: int = 0
    rows: list[Row] = field(init=False)
    requests: int = 0

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._lock = threading.Lock()
        # Ids are spaced, so that rows can be inserted anywhere in each order.
        self.rows = [made_row(10 + 10 * number, self._random) for number in range(self.size)]
        self._sort()
        self._touched: set[int] = set()
        self._initial = {row["id"]: row for row in self.rows}

    @property
    def steady(self) -> set[int]:
        """The ids that were there, unchanged, from the beginning to now."""
        return {row["id"] for row in self.rows if row["id"] in self._initial and row["id"] not in self._touched}

    def page(self, window: TimeRange | None, span: PageSpan) -> ListPage:
        with self._lock:
            self.requests += 1
            limit = min(span.limit, self.cap)
            start = span.start // span.limit * limit if self.numbered else span.start
            if self.churn_every and self.requests % self.churn_every == 0:
                self._churn(start)
            listed = self.rows
            if window is not None:
                first, behind = window.start.timestamp(), window.end.timestamp()
                listed = [row for row in self.rows if first <= row["timestamp"] <= behind]
            if self.is_unstable:
                listed = self._random.sample(listed, len(listed))
            page = listed[start : start + limit]
            pagination = {"limit": limit, "offset": start} if self.has_pagination else {}
            if self.short_pages and len(page) > 4 and self._random.random() < 0.3:
                page = page[: max(4, len(page) // 2)]
                pagination = {}
            is_last = shows_end(span, len(page), pagination, self.size + 10**6)
            return ListPage([dict(row) for row in page], self.total(len(listed), self._random), is_last=is_last)

    def _churn(self, start: int) -> None:
        for _ in range(self.deletes):
            in_front = self.rows[: max(start, 1)]
            if in_front:
                self.rows.remove(self._random.choice(in_front))
        for _ in range(self.inserts):
            number = self._random.randrange(1, 10 * self.size + 20)
            if all(row["id"] != number for row in self.rows) and number not in self._initial:
                self.rows.append(made_row(number, self._random))
        for _ in range(self.changes):
            if self.rows:
                row = self._random.choice(self.rows)
                self._touched.add(row["id"])
                row.update(made_row(row["id"], self._random), name=f"changed {self.requests}")
        self._sort()

    def _sort(self) -> None:
        self.rows.sort(key=ORDERS[self.order])


def read_all(
    server: ChurningList, *, span: SpanOf, page_size: int, concurrency: int = 1, window: TimeRange | None = WINDOW
) -> list[int]:
    reader = PageReader(
        server.page,
        span=span,
        page_size=page_size,
        concurrency=concurrency,
        start_us=lambda row: row["timestamp"] * 1_000_000,
    )
    return [row["id"] for rows in reader.read(window) for row in rows]
