"""Reads all rows of a list whose pages promise nothing, each row once.

**The trouble.** The API pages by row number, while rows are created and deleted: one deletion in front of the page
boundary moves a row to a page that was read already. The server may also cap ``limit`` silently, return short pages,
leave out or misstate ``total``, and sort as it likes. So nothing is believed here but the rows that came.

**The idea.** One answer is a picture of one moment: a stretch of the server's order without holes. Two stretches that
share a row join without a hole between them. So each page begins a little *before* the end of the one before
(``overlap``), and is accepted only when it holds an *anchor*: a row of that page, unchanged. Deletions in front make
the anchor go missing; then the page is asked for again from further back, and from there on pages overlap more.
The end is a page that holds the last row known and nothing behind it, and is shorter than pages can be.

**What is guaranteed**, for a server that keeps unchanged rows in one order among themselves, whichever that is, and
returns at least two rows a page: every row that existed, unchanged, from the first request to the last is delivered
exactly once. No id is ever delivered twice. A row that was created, changed or deleted meanwhile is delivered once
or not at all. Reading ends, or fails with an error that says why.

Where the order turns out not to be stable, or rows go faster than overlapping can follow, the range is cut by time
until each slice comes in one answer, which needs no order at all. Pages of a single row cannot overlap: then the
whole is read again until a reading brings nothing new.

**What it costs**, for n rows and pages of p: ``(n - 1) / (p - 1)`` requests and one for the end, where plain paging
takes ``n / p`` (1 % more at p = 100). Under churn, one more for each anchor that is missed. Pages are asked for
ahead only as far as rows are to be expected (the total that the server claims, or how far through the range the
rows have come); a wrong guess costs at most ``concurrency`` requests, and never a row.

**Memory**: the page before, the pages under way, and a compressed bitmap of ids (about two bytes for each).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from enum import Enum
from typing import NamedTuple

import orjson
from pyroaring import BitMap64

from altegio_provider.api.errors import AltegioResponseError
from altegio_provider.api.prefetch import Prefetcher
from altegio_provider.api.routes import Page, PageSpan, Row

__all__ = ["PageReader", "Window"]

log = logging.getLogger(__name__)

#: Pages in a row that may bring nothing new before overlapping is given up for slicing.
_STALLS = 8
#: Whole readings that may each still bring something new, where only agreement proves completeness.
_READINGS = 6
#: Where the end of the list cannot be guessed, one page in so many may be asked for in vain.
_PAGES_PER_GUESS = 16
#: Pages that must look like the end where the server was seen to return short pages in the middle.
_WARY_ENDS = 3


class Window(NamedTuple):
    """A half-open range of instants ``[start, end)``."""

    start: datetime
    end: datetime


class _OutOfStep(Exception):
    """Overlapping cannot follow this server: its order changed, or rows go too fast."""


class PageReader:
    """Reads one window of a list, page by page.

    :param fetch: brings a page of a window; called in threads.
    :param span: the page that a server of this family can be asked for, which covers a row number.
    :param page_size: rows to ask for in one request.
    :param concurrency: requests that may be under way at once.
    :param start_us: when a row's event starts, in microseconds since the epoch, or ``None``.
    """

    def __init__(
        self,
        fetch: Callable[[Window, PageSpan], Page],
        *,
        span: Callable[[int, int], PageSpan],
        page_size: int,
        concurrency: int,
        start_us: Callable[[Row], int | None],
    ) -> None:
        self._fetch = fetch
        self._span = span
        self._page_size = page_size
        self._concurrency = concurrency
        self._start_us = start_us
        self._delivered = _RowIds()
        self._longest = 0
        self._short_pages_lie = False

    def read(self, window: Window) -> Iterator[list[Row]]:
        """Yield the rows of the window in lists of about a page, each row once.

        :raises AltegioError: what a request ended in.
        :raises AltegioResponseError: the rows change faster than they can be read.
        """
        try:
            yield from self._until_agreed(window)
        except _OutOfStep as reason:
            log.warning("Reading the range in slices of time: %s", reason)
            yield from self._in_slices(window)

    def _until_agreed(self, window: Window) -> Iterator[list[Row]]:
        for _ in range(_READINGS):
            chain = _Chain(self._delivered.has_all)
            brought_something = False
            try:
                for rows in self._in_steps(window, chain):
                    brought_something = True
                    yield rows
            finally:
                self._short_pages_lie |= chain.short_pages_lie
            if not (chain.joined_blindly and brought_something):
                return
        raise _OutOfStep("pages hold one row each, and no two readings agree")

    def _in_steps(self, window: Window, chain: _Chain) -> Iterator[list[Row]]:
        """Read the window once, each page overlapping the one before."""
        horizon = _Horizon(window, self._start_us)
        with Prefetcher(lambda span: self._fetch(window, span), self._concurrency) as ahead:
            while True:
                was_guessed = bool(ahead.spans)
                self._look_ahead(ahead, chain, horizon)
                span, page = ahead.take()
                step = chain.join(span, page.rows, was_guessed)
                self._longest = max(self._longest, chain.longest)
                if step is _Step.END:
                    return
                if step is not _Step.NEW:
                    ahead.drop()
                if step is not _Step.APART:
                    fresh = self._fresh(page.rows)
                    horizon.move(fresh, page.total)
                    if fresh:
                        yield fresh

    def _look_ahead(self, ahead: Prefetcher, chain: _Chain, horizon: _Horizon) -> None:
        """Keep pages under way: the next one always, further ones as far as rows are expected."""
        size = chain.page_size(self._page_size)
        if not ahead.spans:
            ahead.ask(self._span(chain.next_start, size))
        if chain.may_end or not chain.pages:
            return
        guesses = 0
        if horizon.was_passed:
            guesses = chain.pages // _PAGES_PER_GUESS - sum(span.start >= horizon.rows for span in ahead.spans)
        while len(ahead.spans) < self._concurrency:
            last = ahead.spans[-1]
            span = self._span(last.start + min(last.limit, chain.longest) - chain.overlap, size)
            if span.start + span.limit <= last.start + last.limit:
                return
            if span.start >= horizon.rows:
                if guesses <= 0:
                    return
                guesses -= 1
            ahead.ask(span)

    def _fresh(self, rows: list[Row]) -> list[Row]:
        return [row for row in rows if self._delivered.add(row)]

    def _in_slices(self, window: Window) -> Iterator[list[Row]]:
        """Halve the window until each slice comes in one answer."""
        rows = self._fetch(window, self._span(0, self._page_size)).rows
        self._longest = max(self._longest, len(rows))
        if fresh := self._fresh(rows):
            yield fresh
        if len(rows) < self._longest and not (rows and self._short_pages_lie):
            return
        seconds = int((window.end - window.start).total_seconds())
        if seconds <= 1 or len(rows) < self._longest:
            yield from self._again_and_again(window)
            return
        middle = window.start + timedelta(seconds=seconds // 2)
        yield from self._in_slices(Window(window.start, middle))
        yield from self._in_slices(Window(middle, window.end))

    def _again_and_again(self, window: Window) -> Iterator[list[Row]]:
        """One answer cannot show all of this slice: read it until a whole reading brings nothing new."""
        for _ in range(_READINGS):
            brought_something = False
            position = 0
            while rows := self._fetch(window, self._span(position, self._longest)).rows:
                if fresh := self._fresh(rows):
                    brought_something = True
                    yield fresh
                position += len(rows)
            if not brought_something:
                return
        raise AltegioResponseError(
            f"the list of {window.start:%Y-%m-%d %H:%M:%S} UTC changes faster than it can be read.",
            hint="Try again when fewer rows are created or deleted.",
        )


class _Step(Enum):
    """What a page was to the chain."""

    NEW = "it joins, with rows behind the last one known"
    OLD = "it joins, and ends before or at the last row known: the place was wrong"
    APART = "it does not join: rows may lie between"
    END = "it holds the last row known, and nothing comes behind it"


class _Chain:
    """Pages joined without a hole between them, and where to ask for the next one.

    :param all_known: whether all these rows were delivered before.
    """

    def __init__(self, all_known: Callable[[list[Row]], bool]) -> None:
        self._all_known = all_known
        self._tail: list[Row] = []
        self._tail_is_short_of = (False, False)  # what was asked for; what the server can return
        self._limit_is_capped = False
        self._wanted_overlap = 1
        self._position = 0  # the row number behind the tail's last row, as far as known
        self._stalls = self._ends = 0
        #: Pages that brought new rows.
        self.pages = 0
        #: The longest page seen: the server can return so many rows at once.
        self.longest = 0
        #: Whether a page shorter than pages can be was followed by more rows.
        self.short_pages_lie = False
        #: Whether a page was joined by its number alone, for pages of one row cannot overlap.
        self.joined_blindly = False

    @property
    def overlap(self) -> int:
        """How many rows before the end of the chain the next page shall begin."""
        return max(0, min(self._wanted_overlap, self.longest - 1))

    @property
    def may_end(self) -> bool:
        """Whether the last page was shorter than pages can be."""
        return self._tail_is_short_of[1]

    @property
    def next_start(self) -> int:
        """The row number at which the next page shall begin."""
        return max(0, self._position - self.overlap)

    def page_size(self, wanted: int) -> int:
        """How many rows to ask for: after a short page no more than was ever returned, for ``limit`` may be capped.

        (Where pages are numbered, a capped limit moves the page's beginning too.)
        """
        may_be_capped = self._limit_is_capped or self._tail_is_short_of[0]
        return min(wanted, max(self.longest, 1)) if may_be_capped else wanted

    def join(self, span: PageSpan, rows: list[Row], was_guessed: bool) -> _Step:
        """Take in a page.

        :param was_guessed: it was asked for before its place was known.
        :raises _OutOfStep: the chain cannot be continued.
        """
        self.longest = max(self.longest, len(rows))
        is_short = len(rows) < min(self.longest, span.limit)
        blind = not self._tail or (self.overlap == 0 and span.start == self._position)
        link = _Link(len(rows), 0) if blind else _link(self._tail, rows)
        if link is None:
            if was_guessed and self.may_end:
                return _Step.APART  # the page before was short, so this one was asked for from too far behind
            self._widen()
            if not was_guessed:
                self._step_aside(rows)
            return self._stalled(_Step.APART)
        if link.new:
            self.joined_blindly |= blind and bool(self._tail)
            self._limit_is_capped |= self._tail_is_short_of[0]
            self.short_pages_lie |= self._tail_is_short_of[1]
            self._tail, self._tail_is_short_of = rows, (len(rows) < span.limit, is_short)
            self._position = span.start + len(rows)
            self._stalls = self._ends = 0
            self.pages += 1
            return _Step.NEW
        self._position = span.start + len(rows) + link.missing
        if link.missing or not (is_short or blind):
            self._limit_is_capped |= len(rows) < span.limit
            return self._stalled(_Step.OLD)
        self._ends += 1
        if self._ends >= (_WARY_ENDS if self.short_pages_lie else 1):
            return _Step.END
        self._wanted_overlap = 1  # the fewer known rows a page begins with, the more a short one still shows
        return _Step.OLD

    def _widen(self) -> None:
        self._wanted_overlap = max(1, min(self._wanted_overlap * 2, self.longest // 2))

    def _step_aside(self, rows: list[Row]) -> None:
        """No anchor where the chain ends: go on where all rows are old ones, else further back, at last to 0."""
        if rows and self._all_known(rows):
            self._position += len(rows)
            return
        self._position -= max(1, self.longest // 2)
        if self._position <= 0:
            self._position, self._tail, self._tail_is_short_of = 0, [], (False, False)

    def _stalled(self, step: _Step) -> _Step:
        self._stalls += 1
        if self._stalls > _STALLS:
            raise _OutOfStep("rows come and go faster than pages can be read")
        return step


class _Link(NamedTuple):
    """How a page joins the one before: how many rows each has behind their last common one."""

    new: int
    missing: int


def _link(tail: list[Row], rows: list[Row]) -> _Link | None:
    """Find how a page joins the one before, by the rows of that one which it holds unchanged.

    :returns: ``None`` where it holds none.
    :raises _OutOfStep: two unchanged rows changed places.
    """
    places = {_id_of(row): place for place, row in enumerate(tail)}
    last_in_tail = last_in_rows = -1
    for number, row in enumerate(rows):
        place = places.get(_id_of(row))
        if place is not None and tail[place] == row:
            if place < last_in_tail:
                raise _OutOfStep("the server's order of rows is not stable")
            last_in_tail, last_in_rows = place, number
    if last_in_tail < 0:
        return None
    return _Link(len(rows) - 1 - last_in_rows, len(tail) - 1 - last_in_tail)


def _id_of(row: Row) -> int | str | bytes:
    """The row's id; a row without a usable one is known by its content."""
    key = row.get("id")
    if type(key) is int:
        return key
    if isinstance(key, str) and key:
        return int(key) if key.isascii() and key.isdigit() else key
    return orjson.dumps(row, option=orjson.OPT_SORT_KEYS)


class _RowIds:
    """The ids delivered so far.

    A compressed bitmap (pyroaring, MIT): a Python set of a million ids would take more memory than all the rest.
    """

    def __init__(self) -> None:
        self._numbers = BitMap64()
        self._others: set[int | str | bytes] = set()

    def add(self, row: Row) -> bool:
        """Add a row's id and say whether it is new."""
        key = _id_of(row)
        if type(key) is int and 0 <= key < 1 << 64:
            if key in self._numbers:
                return False
            self._numbers.add(key)
            return True
        if key in self._others:
            return False
        self._others.add(key)
        return True

    def has_all(self, rows: list[Row]) -> bool:
        """Whether every one of these rows was delivered."""
        return all(
            key in (self._numbers if type(key) is int and 0 <= key < 1 << 64 else self._others)
            for key in map(_id_of, rows)
        )


class _Horizon:
    """How many rows the window seems to hold: a guess that steers prefetching and nothing else."""

    def __init__(self, window: Window, start_us: Callable[[Row], int | None]) -> None:
        self._from_us = round(window.start.timestamp() * 1e6)
        self._length_us = (window.end - window.start) / timedelta(microseconds=1)
        self._start_us = start_us
        self._rows_read = 0
        #: The guess.
        self.rows = 0.0

    @property
    def was_passed(self) -> bool:
        """Whether more rows came than were expected."""
        return self._rows_read >= self.rows

    def move(self, fresh: list[Row], total: int | None) -> None:
        """Take in the new rows of a page, and the total that came with it."""
        self._rows_read += len(fresh)
        if total is not None and total >= self._rows_read:
            self.rows = total
            return
        last_us = self._start_us(fresh[-1]) if fresh else None
        if last_us is not None and last_us > self._from_us:
            self.rows = self._rows_read * self._length_us / (last_us - self._from_us)
