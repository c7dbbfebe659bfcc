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
from collections.abc import Callable, Generator, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from altegio_provider.api.chain import Chain, OutOfStep, RowIds, Step
from altegio_provider.api.errors import AltegioResponseError
from altegio_provider.api.prefetch import Prefetcher
from altegio_provider.api.routes import Page, PageSpan, Row, SpanOf

__all__ = ["PageReader", "Window"]

log = logging.getLogger(__name__)

#: Whole readings that may each still bring something new, where only agreement proves completeness.
_READINGS = 6
#: Where the end of the list cannot be guessed, one page in so many may be asked for in vain.
_PAGES_PER_GUESS = 16


class Window(NamedTuple):
    """A half-open range of instants ``[start, end)``."""

    start: datetime
    end: datetime


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
        span: SpanOf,
        page_size: int,
        concurrency: int,
        start_us: Callable[[Row], int | None],
    ) -> None:
        self._fetch = fetch
        self._span = span
        self._page_size = page_size
        self._concurrency = concurrency
        self._start_us = start_us
        self._delivered = RowIds()
        self._longest = 0
        self._short_pages_lie = False

    def read(self, window: Window) -> Iterator[list[Row]]:
        """Yield the rows of the window in lists of about a page, each row once.

        :raises AltegioError: what a request ended in.
        :raises AltegioResponseError: the rows change faster than they can be read.
        """
        try:
            yield from self._until_agreed(window)
        except OutOfStep as reason:
            log.warning("Reading the range in slices of time: %s", reason)
            yield from self._in_slices(window)

    def _until_agreed(self, window: Window) -> Iterator[list[Row]]:
        for _ in range(_READINGS):
            chain = Chain(self._delivered.has_all)
            brought_something = False
            try:
                for rows in self._in_steps(window, chain):
                    brought_something = True
                    yield rows
            finally:
                self._short_pages_lie |= chain.short_pages_lie
            if not (chain.joined_blindly and brought_something):
                return
        raise OutOfStep("pages hold one row each, and no two readings agree")

    def _in_steps(self, window: Window, chain: Chain) -> Iterator[list[Row]]:
        """Read the window once, each page overlapping the one before."""
        horizon = _Horizon(window, self._start_us)
        with Prefetcher(lambda span: self._fetch(window, span), self._concurrency) as ahead:
            while True:
                was_guessed = bool(ahead.spans)
                self._look_ahead(ahead, chain, horizon)
                span, page = ahead.take()
                step = chain.join(span, page.rows, was_guessed)
                self._longest = max(self._longest, chain.longest)
                if step is Step.END:
                    return
                if step is not Step.NEW:
                    ahead.drop()
                if step is not Step.APART:
                    fresh = self._fresh(page.rows)
                    horizon.move(fresh, page.total)
                    if fresh:
                        yield fresh

    def _look_ahead(self, ahead: Prefetcher, chain: Chain, horizon: _Horizon) -> None:
        """Keep pages under way: the next one always, further ones as far as rows are expected."""
        if not ahead.spans:
            ahead.ask(chain.next_span(self._span, self._page_size))
        if chain.may_end or not chain.pages:
            return
        guesses = 0
        if horizon.was_passed:
            guesses = chain.pages // _PAGES_PER_GUESS - sum(span.start >= horizon.rows for span in ahead.spans)
        while len(ahead.spans) < self._concurrency:
            last = ahead.spans[-1]
            behind = last.start + min(last.limit, chain.longest)
            span = self._span(behind - chain.overlap, chain.page_size(self._page_size), False)
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
        rows = self._fetch(window, self._span(0, self._page_size, False)).rows
        self._longest = max(self._longest, len(rows))
        if fresh := self._fresh(rows):
            yield fresh
        if len(rows) < self._longest and not (rows and self._short_pages_lie):
            return
        seconds = int((window.end - window.start).total_seconds())
        if seconds <= 1 or len(rows) < self._longest:
            agreed = yield from self._again_and_again(window)
            if agreed:
                return
        if seconds <= 1:
            raise AltegioResponseError(
                f"the list of {window.start:%Y-%m-%d %H:%M:%S} UTC changes faster than it can be read.",
                hint="Try again when fewer rows are created or deleted.",
            )
        middle = window.start + timedelta(seconds=seconds // 2)
        yield from self._in_slices(Window(window.start, middle))
        yield from self._in_slices(Window(middle, window.end))

    def _again_and_again(self, window: Window) -> Generator[list[Row], None, bool]:
        """One answer cannot show all of this slice: read it until a whole reading brings nothing new."""
        size = 1 if self._short_pages_lie else self._longest
        for _ in range(_READINGS):
            brought_something = False
            position = 0
            while rows := self._fetch(window, PageSpan(position, size)).rows:
                if fresh := self._fresh(rows):
                    brought_something = True
                    yield fresh
                position += size
            if not brought_something:
                return True
        return False


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
