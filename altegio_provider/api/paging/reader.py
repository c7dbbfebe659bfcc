"""Reads all rows of a list from unreliable pages, each row once.

**The problem.** The API pages by row number while rows are created and deleted: a deletion before the page boundary
moves a row to a page that has already been read. The server may also cap ``limit`` silently, return short pages, leave
out or misstate ``total``, and sort in any order. So the reader trusts the rows that came, and one thing besides.

**What is trusted.** ``meta.pagination`` of a response, if it has the ``limit`` and the offset (or page) of the request:
the API documents that these are the request's as served. So a page with fewer rows than that ``limit`` is the last one,
and a short list costs one request. If ``total`` is there, it must agree. Under ``companies`` nothing documents this, so
it is trusted only for pages shorter than the API's default of 100 rows, which no server is known to cap, or shorter
than a page that the server has returned. If a page that was requested ahead has further rows, the pagination is not
trusted any more.

**What is never trusted**: a short page without that; ``total`` alone; the order of rows; that a page begins where the
page before it ended.

**The method.** One response shows one moment: a part of the server's order without gaps. Two parts that share a row
join without a gap. So each page begins a little *before* the end of the page before it (``overlap``), and is accepted
only if it has an *anchor*: an unchanged row of that page. After deletions before the boundary the anchor is missing;
then the page is requested again from further back, and later pages overlap more. The end is a page that has the last
known row with nothing after it, and is shorter than pages can be.

**What is guaranteed**, for a server that keeps unchanged rows in one order among themselves, whichever that is, and
returns at least two rows of a page: every row that exists unchanged from the first request to the last is returned
exactly once. No id is ever returned twice. A row that is created, changed or deleted meanwhile is returned once or not
at all. Reading ends, or fails with an error that says why.

If the order is not stable, or rows go faster than overlapping can follow, the range is halved by time until each part
comes in one response, which needs no order. A response with fewer rows than pages can have is accepted as all of a part
only if no row has the number after its last row (two more requests for such a part). Pages of one row cannot overlap:
then the whole list is read again until a reading brings nothing new. The same is done for a list without a range of
time, unless its pages join in a new attempt.

**The cost**, for n rows and pages of p rows: ``(n - 1) / (p - 1)`` requests and one for the end; plain paging needs
``n / p`` (1 % fewer at p = 100). Pages that have numbers instead of offsets can overlap only if they get smaller: three
more requests for twenty full pages, and more if the rows are not sorted by their start, because then the end cannot be
estimated. When rows change, one more request for each missing anchor. Pages are requested ahead only as far as rows are
expected (by the total that the server claims, or by how far the rows have come in the range); a wrong estimate costs
at most ``concurrency`` requests, and never a row.

**Memory**: the page before, the pages that are being requested, and a compressed bitmap of ids (about two bytes each).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from datetime import timedelta

from altegio_provider.api.errors import AltegioNotFoundError, AltegioResponseError, AltegioValidationError
from altegio_provider.api.paging.chain import Chain, JoinResult, OverlapError, RowIds
from altegio_provider.api.paging.prefetch import Prefetcher
from altegio_provider.api.routes import ListPage, PageSpan, Row, SpanOf
from altegio_provider.common.location_time import TimeRange

__all__ = ["PageReader"]

log = logging.getLogger(__name__)

#: How often a list is read again that is complete only when a reading brings nothing new.
_MAX_READINGS = 6
#: How many new attempts to join the pages of a list without a range of time are made.
_MAX_RESTARTS = 3
#: A row number beyond the end of any list.
_NO_SUCH_ROW = 10_000_000
#: How often a page may have the same rows as the page before it.
_MAX_REPEATS = 8
#: The requested range is wider than the window where the clock is turned back, always by less than this.
_CLOCK_CHANGE_US = 4 * 3600 * 1_000_000
#: Where the end of the list cannot be estimated, one page in so many may be requested in vain.
_PAGES_PER_GUESS = 16


class PageReader:
    """Reads one window of a list, page by page. Make one for each reading.

    :param fetch: returns a page of a window, or of the whole list for ``None``; called in threads.
    :param span: returns the page of this route family that covers a row number.
    :param page_size: rows to request at once.
    :param concurrency: how many requests may run at once.
    :param start_us: returns when a row's event starts, in microseconds since the epoch, or ``None``.
    """

    def __init__(
        self,
        fetch: Callable[[TimeRange | None, PageSpan], ListPage],
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
        self._short_page_had_more = False

    def read(self, window: TimeRange | None) -> Iterator[list[Row]]:
        """Yield the rows of the window in lists of about a page, each row once.

        :param window: the range of time; ``None`` for a list without one.
        :raises AltegioError: a request failed.
        :raises AltegioResponseError: the rows change faster than they can be read.
        """
        try:
            yield from self._read_overlapping(window)
        except OverlapError as reason:
            log.warning(
                "Reading the %s, because %s", "list again" if window is None else "range in parts of time", reason
            )
            yield from (self._read_again() if window is None else self._read_by_halving(window))

    def _read_overlapping(self, window: TimeRange | None) -> Iterator[list[Row]]:
        for _ in range(_MAX_READINGS):
            chain = Chain(self._delivered.has_all)
            had_new_rows = False
            try:
                for rows in self._read_once(window, chain):
                    had_new_rows = True
                    yield rows
            finally:
                self._short_page_had_more |= chain.short_page_had_more
            if not (chain.joined_without_overlap and had_new_rows):
                return
        raise OverlapError("pages have one row each, and no two readings agree")

    def _read_once(self, window: TimeRange | None, chain: Chain) -> Iterator[list[Row]]:
        """Read the window once; each page overlaps the page before it."""
        estimate = _RowEstimate(window, self._start_us)
        first: tuple[PageSpan, ListPage] | None = None
        with Prefetcher(lambda span: self._fetch(window, span), self._concurrency) as ahead:
            while True:
                was_guessed = bool(ahead.spans)
                self._prefetch(ahead, chain, estimate)
                span, page = ahead.next_page()
                first = first or (span, page)
                if span.start > 0 and page.rows == first[1].rows and self._ignores_paging(window, page.rows):
                    if len(page.rows) != first[0].limit:
                        return
                    raise OverlapError("the server answers every page with the same rows")
                step = chain.join(span, page.rows, was_guessed, page.is_last)
                self._longest = max(self._longest, chain.longest)
                if step is JoinResult.END:
                    return
                if step is not JoinResult.EXTENDED:
                    ahead.cancel()
                if step is not JoinResult.GAP:
                    new_rows = self._new_rows(page.rows)
                    estimate.update(new_rows, page.total)
                    if new_rows:
                        yield new_rows
                if chain.is_end_shown:
                    if self._has_nothing_new(ahead):
                        return
                    chain.distrust_shown_end()

    def _has_nothing_new(self, ahead: Prefetcher) -> bool:
        """Return whether the pages that were requested ahead have only rows that were delivered."""
        while ahead.spans:
            if not self._delivered.has_all(ahead.next_page()[1].rows):
                ahead.cancel()
                return False
        return True

    def _prefetch(self, ahead: Prefetcher, chain: Chain, estimate: _RowEstimate) -> None:
        """Request the next page, and further ones as far as rows are expected."""
        if not ahead.spans:
            ahead.request(chain.next_span(self._span, self._page_size))
        if chain.may_be_last or not chain.pages:
            return
        guesses = 0
        if estimate.is_exceeded:
            guesses = chain.pages // _PAGES_PER_GUESS - sum(span.start >= estimate.rows for span in ahead.spans)
        while len(ahead.spans) < self._concurrency:
            last = ahead.spans[-1]
            behind = last.start + min(last.limit, chain.longest)
            span = self._span(behind - chain.overlap, chain.page_size(self._page_size), False)
            if span.start + span.limit <= last.start + last.limit:
                return
            if span.start >= estimate.rows:
                if guesses <= 0:
                    return
                guesses -= 1
            ahead.request(span)

    def _new_rows(self, rows: list[Row]) -> list[Row]:
        return [row for row in rows if self._delivered.add(row)]

    def _ignores_paging(self, window: TimeRange | None, rows: list[Row]) -> bool:
        """Return whether the server returns these rows wherever a page begins, so that one response has all rows."""
        if not rows:
            return False
        try:
            return self._fetch(window, self._span(_NO_SUCH_ROW, self._page_size, False)).rows == rows
        except (AltegioValidationError, AltegioNotFoundError):
            return False

    def _read_by_halving(self, window: TimeRange, of: list[Row] | None = None) -> Iterator[list[Row]]:
        """Halve the window until each part comes in one response.

        :param of: the rows of the window that this is a half of.
        """
        page = self._fetch(window, self._span(0, self._page_size, False))
        rows = page.rows
        if rows and rows == of and self._are_outside(window, rows):
            raise AltegioResponseError(
                "the server answers every range of time with the same rows.",
                hint="It ignores the API's filters: check the `host` of the connection.",
            )
        self._longest = max(self._longest, len(rows))
        if new_rows := self._new_rows(rows):
            yield new_rows
        if page.is_last:
            return
        if len(rows) < self._longest:
            is_whole = yield from self._is_whole(window, rows)
            if is_whole:
                return
        seconds = int((window.end - window.start).total_seconds())
        if seconds <= 1:
            agreed = yield from self._read_until_stable(window)
            if agreed:
                return
            raise _changes_too_fast(f"the list of {window.start:%Y-%m-%d %H:%M:%S} UTC")
        middle = window.start + timedelta(seconds=seconds // 2)
        yield from self._read_by_halving(TimeRange(window.start, middle), rows)
        yield from self._read_by_halving(TimeRange(middle, window.end), rows)

    def _is_whole(self, window: TimeRange, rows: list[Row]) -> Generator[list[Row], None, bool]:
        """Return whether the rows of a short response are all rows of the window, in whichever order.

        They are if no row has the number after the last one, and the same rows come before and after that request.
        """
        if not rows:
            return True
        behind = self._fetch(window, PageSpan(len(rows), 1)).rows
        if behind:
            self._short_page_had_more |= behind != rows
            return behind == rows  # it ignores paging, and returns all rows for any page
        again = self._fetch(window, self._span(0, self._page_size, False)).rows
        if new_rows := self._new_rows(again):
            yield new_rows
        return len(again) == len(rows) and all(row in rows for row in again)

    def _are_outside(self, window: TimeRange, rows: list[Row]) -> bool:
        from_us, behind_us = _microseconds(window)
        starts = [start for row in rows if (start := self._start_us(row)) is not None]
        return len(starts) == len(rows) and not any(
            from_us - _CLOCK_CHANGE_US <= start < behind_us + _CLOCK_CHANGE_US for start in starts
        )

    def _read_again(self) -> Iterator[list[Row]]:
        """Join the pages of a list without a range once more, or read it until a reading brings nothing new."""
        for _ in range(_MAX_RESTARTS):
            with suppress(OverlapError):
                yield from self._read_overlapping(None)
                return
        if not (yield from self._read_until_stable(None)):
            raise _changes_too_fast("the list")

    def _read_until_stable(self, window: TimeRange | None) -> Generator[list[Row], None, bool]:
        """Read what does not come in one response until a whole reading brings nothing new."""
        size = 1 if self._short_page_had_more else self._longest
        for _ in range(_MAX_READINGS):
            had_new_rows = False
            position = repeats = 0
            before: list[Row] = []
            while rows := self._fetch(window, PageSpan(position, size)).rows:
                repeats = repeats + 1 if rows == before else 0
                if repeats > _MAX_REPEATS:
                    raise AltegioResponseError(
                        "the server answers every page with the same rows.",
                        hint="It ignores paging: set a larger `page_size`, or check the connection's `host`.",
                    )
                before = rows
                if new_rows := self._new_rows(rows):
                    had_new_rows = True
                    yield new_rows
                position += size
            if not had_new_rows:
                return True
        return False


def _microseconds(window: TimeRange) -> tuple[int, int]:
    return round(window.start.timestamp() * 1e6), round(window.end.timestamp() * 1e6)


def _changes_too_fast(what: str) -> AltegioResponseError:
    return AltegioResponseError(
        f"{what} changes faster than it can be read.", hint="Try again when fewer rows are created or deleted."
    )


class _RowEstimate:
    """An estimate of how many rows the window has. It only controls how many pages are requested ahead."""

    def __init__(self, window: TimeRange | None, start_us: Callable[[Row], int | None]) -> None:
        self._window = window
        self._start_us = start_us
        self._rows_read = 0
        #: The estimate.
        self.rows = 0.0

    @property
    def is_exceeded(self) -> bool:
        """Whether more rows came than were expected."""
        return self._rows_read >= self.rows

    def update(self, new_rows: list[Row], total: int | None) -> None:
        """Update the estimate with a page.

        :param new_rows: its new rows.
        :param total: the total that came with it.
        """
        self._rows_read += len(new_rows)
        if total is not None and total >= self._rows_read:
            self.rows = total
            return
        last_us = self._start_us(new_rows[-1]) if new_rows else None
        if self._window is None or last_us is None:
            return
        from_us, behind_us = _microseconds(self._window)
        if last_us > from_us:
            self.rows = self._rows_read * (behind_us - from_us) / (last_us - from_us)
