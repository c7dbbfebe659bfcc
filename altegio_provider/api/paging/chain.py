"""Joins the pages of one list to a chain without gaps, and says which page to request next.

:class:`Chain` is a state machine on plain values: :mod:`~altegio_provider.api.paging.reader` gives it each page.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from typing import NamedTuple

import orjson
from pyroaring import BitMap64

from altegio_provider.api.routes import PageSpan, Row, SpanOf
from altegio_provider.common.integers import integer_or_none

__all__ = ["Chain", "JoinResult", "OverlapError", "RowIds"]

#: Pages in a row that may bring nothing new before overlapping is given up.
_MAX_STALLS = 8


class OverlapError(Exception):
    """Overlapping pages cannot read this list: the order of its rows changed, or rows go too fast."""


class JoinResult(Enum):
    """What a page was to the chain."""

    EXTENDED = "it joins the chain, and has rows after the last known one"
    NOTHING_NEW = "it joins the chain, and ends at or before the last known row: its position was wrong"
    GAP = "it does not join the chain: there may be rows between them"
    END = "it has the last known row, and no row comes after it"


class _Phase(Enum):
    """What the next page is requested for."""

    READING = auto()  # rows after the chain
    PROBING = auto()  # the end: it begins right at the end of the chain, so that it shows best whether rows follow
    ASKING_BEHIND = auto()  # one row, at the number after the last one
    COMPARING = auto()  # the whole list once more, after no row was behind it


class _Tail(NamedTuple):
    """The page at the end of the chain, and whether it is shorter than what was requested, and than pages can be."""

    rows: list[Row] = []  # noqa: RUF012 - never changed
    is_short_of_request: bool = False
    is_short_of_longest: bool = False


class _PageSizes:
    """How many rows the server returns, which can be fewer than requested."""

    def __init__(self) -> None:
        self.longest = 0
        self.most_requested = 0
        #: Whether a page with fewer rows than requested was followed by more rows.
        self.limit_is_capped = False

    def add(self, requested: int, returned: int) -> None:
        """Note a page's size.

        :param requested: its ``limit``.
        :param returned: how many rows came.
        """
        self.longest = max(self.longest, returned)
        self.most_requested = max(self.most_requested, requested)

    @property
    def is_longest_known(self) -> bool:
        """Whether the server has returned as many rows as were ever requested."""
        return self.longest == self.most_requested


class Chain:
    """Pages joined without a gap between them, and where the next one begins. Make one for each reading of a list.

    :param were_delivered: whether all these rows were delivered before.
    """

    def __init__(self, were_delivered: Callable[[list[Row]], bool]) -> None:
        self._were_delivered = were_delivered
        self._sizes = _PageSizes()
        self._tail = _Tail()
        self._phase = _Phase.READING
        self._is_whole_list = False  # the last page began at the first row and was short
        self._wanted_overlap = 1
        self._position = 0  # the row number after the last row of the tail, as far as it is known
        self._stalls = 0
        #: Pages that brought new rows.
        self.pages = 0
        #: Whether a page shorter than pages can be was followed by more rows.
        self.short_page_had_more = False
        #: Whether the server's own pagination showed that the last page is the end.
        self.is_end_shown = False
        self._trusts_shown_end = True
        #: Whether a page was joined by its number alone, because pages of one row cannot overlap.
        self.joined_without_overlap = False

    @property
    def longest(self) -> int:
        """The number of rows of the longest page: the server can return so many at once."""
        return self._sizes.longest

    @property
    def overlap(self) -> int:
        """How many rows before the end of the chain the next page begins."""
        return max(0, min(self._wanted_overlap, self.longest - 1))

    @property
    def may_be_last(self) -> bool:
        """Whether the last page was shorter than pages can be."""
        return self._tail.is_short_of_longest

    def next_span(self, span: SpanOf, wanted: int) -> PageSpan:
        """Return the page to request next.

        :param span: returns the page of this route family that covers a row number.
        :param wanted: how many rows to request, if so many can be requested.
        """
        if self._phase is _Phase.ASKING_BEHIND:
            return PageSpan(self._position, 1)
        may_be_end = self._tail.is_short_of_request or self._tail.is_short_of_longest
        if may_be_end and self._phase is _Phase.READING:
            self._phase = _Phase.PROBING
        start = max(0, self._position - self.overlap)
        return span(start, self.page_size(wanted), self._phase is not _Phase.READING)

    def page_size(self, wanted: int) -> int:
        """Return how many rows to request: after a short page, no more than the server has returned.

        The server may cap ``limit`` silently. Where pages are numbered, a capped limit moves their beginnings too.

        :param wanted: how many rows to request, if so many can be requested.
        """
        may_be_capped = self._sizes.limit_is_capped or self._tail.is_short_of_request
        return min(wanted, max(self.longest, 1)) if may_be_capped else wanted

    def join(self, span: PageSpan, rows: list[Row], was_guessed: bool, is_last: bool = False) -> JoinResult:
        """Add a page.

        :param span: what was requested.
        :param rows: what was returned.
        :param was_guessed: whether it was requested before its position was known.
        :param is_last: whether the server's own pagination shows that no row comes after these.
        :raises OverlapError: the chain cannot be continued.
        """
        if self._phase is _Phase.ASKING_BEHIND:
            return self._join_behind(rows)
        was_comparing = self._phase is _Phase.COMPARING
        if was_comparing:
            self._phase = _Phase.PROBING
        self._sizes.add(span.limit, len(rows))
        cannot_overlap = not self._tail.rows or (self.overlap == 0 and span.start == self._position)
        link = _Link(len(rows), 0) if cannot_overlap else _link(self._tail.rows, rows)
        if link is None:
            return self._gap(rows, was_guessed)
        if link.new:
            self.is_end_shown = is_last and self._trusts_shown_end
            return self._extend(span, rows, cannot_overlap)
        if is_last and self._trusts_shown_end:
            return JoinResult.END
        return self._nothing_new(span, rows, link.missing, cannot_overlap, was_comparing)

    def distrust_shown_end(self) -> None:
        """Go on after an end that was not one: the server's pagination is not trusted any more."""
        self.is_end_shown = self._trusts_shown_end = False

    def _join_behind(self, rows: list[Row]) -> JoinResult:
        """Add the answer to whether a row has the number after the last one."""
        self._phase = _Phase.PROBING
        if rows:
            return self._stalled(JoinResult.GAP)
        if not self._is_whole_list:
            return JoinResult.END
        self._phase = _Phase.COMPARING
        return JoinResult.NOTHING_NEW

    def _gap(self, rows: list[Row], was_guessed: bool) -> JoinResult:
        if was_guessed and self.may_be_last:
            return JoinResult.GAP  # the page before was short, so this one was requested from too far behind
        self._wanted_overlap = max(1, min(self._wanted_overlap * 2, self.longest // 2))
        if not was_guessed:
            self._move_position(rows)
        return self._stalled(JoinResult.GAP)

    def _extend(self, span: PageSpan, rows: list[Row], without_overlap: bool) -> JoinResult:
        self.joined_without_overlap |= without_overlap and bool(self._tail.rows)
        self._sizes.limit_is_capped |= self._tail.is_short_of_request
        self.short_page_had_more |= self._tail.is_short_of_longest
        self._tail = _Tail(rows, len(rows) < span.limit, self._is_short(span, rows))
        self._position = span.start + len(rows)
        self._stalls = 0
        self._phase = _Phase.READING
        self.pages += 1
        return JoinResult.EXTENDED

    def _nothing_new(
        self, span: PageSpan, rows: list[Row], missing: int, without_overlap: bool, was_comparing: bool
    ) -> JoinResult:
        self._position = span.start + len(rows) + missing
        # The first page begins at the first row even where `limit` is capped.
        self._is_whole_list = bool(rows) and span.start == 0 and len(rows) < span.limit
        if missing or not (self._is_short(span, rows) or without_overlap or self._is_whole_list):
            self._sizes.limit_is_capped |= len(rows) < span.limit
            return self._stalled(JoinResult.NOTHING_NEW)
        if self._phase is _Phase.READING and len(rows) > 1:
            self._phase = _Phase.PROBING
            return JoinResult.NOTHING_NEW
        if not self.short_page_had_more and (self._sizes.is_longest_known or len(rows) == 1):
            return JoinResult.END
        if was_comparing and rows == self._tail.rows:
            return JoinResult.END  # all of them stood in front when nothing was behind
        # This page may be short by chance; a row number that no row has is certain.
        self._phase = _Phase.ASKING_BEHIND
        return JoinResult.NOTHING_NEW

    def _is_short(self, span: PageSpan, rows: list[Row]) -> bool:
        return len(rows) < min(self.longest, span.limit)

    def _move_position(self, rows: list[Row]) -> None:
        """No known row is where the chain ends: go on after rows that were delivered, else go back, at last to 0."""
        if rows and self._were_delivered(rows):
            self._position += len(rows)
            return
        self._position -= max(1, self.longest // 2)
        if self._position <= 0:
            self._position, self._tail = 0, _Tail()

    def _stalled(self, result: JoinResult) -> JoinResult:
        self._stalls += 1
        if self._stalls > _MAX_STALLS:
            raise OverlapError("rows come and go faster than pages can be read")
        return result


class _Link(NamedTuple):
    """How many rows a page, and the page before it, have after the last row that they share."""

    new: int
    missing: int


def _link(tail: list[Row], rows: list[Row]) -> _Link | None:
    """Find how a page joins the page before it, by the unchanged rows that both have.

    :returns: ``None`` if they share none.
    :raises OverlapError: two unchanged rows changed positions.
    """
    positions = {_id_of(row): position for position, row in enumerate(tail)}
    last_in_tail = last_in_rows = -1
    for number, row in enumerate(rows):
        position = positions.get(_id_of(row))
        if position is not None and tail[position] == row:
            if position < last_in_tail:
                raise OverlapError("the server's order of rows is not stable")
            last_in_tail, last_in_rows = position, number
    if last_in_tail < 0:
        return None
    return _Link(len(rows) - 1 - last_in_rows, len(tail) - 1 - last_in_tail)


def _id_of(row: Row) -> int | str | bytes:
    """Return the row's id, or the content of a row without a usable id."""
    key = row.get("id")
    if type(key) is int:
        return key
    if isinstance(key, str) and key:
        number = integer_or_none(key)
        return key if number is None else number
    return orjson.dumps(row, option=orjson.OPT_SORT_KEYS)


class RowIds:
    """The ids of the rows delivered so far.

    A compressed bitmap (pyroaring, MIT): a Python set of a million ids takes more memory than all the rest.
    """

    def __init__(self) -> None:
        self._numbers = BitMap64()
        self._others: set[int | str | bytes] = set()

    def add(self, row: Row) -> bool:
        """Add a row's id, and return whether it is new.

        :param row: with or without an id.
        """
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
        """Return whether every one of these rows was delivered.

        :param rows: with or without ids.
        """
        return all(
            key in (self._numbers if type(key) is int and 0 <= key < 1 << 64 else self._others)
            for key in map(_id_of, rows)
        )
