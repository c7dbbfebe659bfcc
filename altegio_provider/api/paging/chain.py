"""Joins pages to a chain without holes: what :mod:`~altegio_provider.api.paging.reader` decides page by page.

A state machine on plain values: it is told of each page and says where to ask next.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import NamedTuple

import orjson
from pyroaring import BitMap64

from altegio_provider.api.routes import PageSpan, Row, SpanOf
from altegio_provider.common.integers import integer_or_none

__all__ = ["Chain", "JoinResult", "OverlapError", "RowIds"]

#: Pages in a row that may bring nothing new before overlapping is given up.
_MAX_STALLS = 8


class OverlapError(Exception):
    """Overlapping cannot follow this server: its order changed, or rows go too fast."""


class JoinResult(Enum):
    """What a page was to the chain."""

    EXTENDED = "it joins, with rows behind the last one known"
    NOTHING_NEW = "it joins, and ends before or at the last row known: the place was wrong"
    GAP = "it does not join: rows may lie between"
    END = "it holds the last row known, and nothing comes behind it"


class Chain:
    """Pages joined without a hole between them, and where to ask for the next one.

    :param were_delivered: whether all these rows were delivered before.
    """

    def __init__(self, were_delivered: Callable[[list[Row]], bool]) -> None:
        self._were_delivered = were_delivered
        self._tail: list[Row] = []
        self._tail_is_short_of = (False, False)  # what was asked for; what the server can return
        self._limit_is_capped = False
        self._most_asked = 0
        self._wanted_overlap = 1
        self._position = 0  # the row number behind the tail's last row, as far as known
        self._stalls = 0
        self._is_probing_end = self._is_confirming_end = False
        self._is_whole = self._was_empty_behind = False
        #: Pages that brought new rows.
        self.pages = 0
        #: The longest page seen: the server can return so many rows at once.
        self.longest = 0
        #: Whether a page shorter than pages can be was followed by more rows.
        self.short_page_had_more = False
        #: Whether a page was joined by its number alone, for pages of one row cannot overlap.
        self.joined_without_overlap = False

    @property
    def overlap(self) -> int:
        """How many rows before the end of the chain the next page shall begin."""
        return max(0, min(self._wanted_overlap, self.longest - 1))

    @property
    def may_be_last(self) -> bool:
        """Whether the last page was shorter than pages can be."""
        return self._tail_is_short_of[1]

    def next_span(self, span: SpanOf, wanted: int) -> PageSpan:
        """Return the page to ask for next.

        :param span: the page that a server of this family can be asked for, which covers a row number.
        :param wanted: how many rows to ask for, if they may be had.
        """
        if self._is_confirming_end:
            return PageSpan(self._position, 1)
        # Where this may be the end, a page that begins right here shows best whether something comes behind.
        self._is_probing_end |= any(self._tail_is_short_of)
        return span(max(0, self._position - self.overlap), self.page_size(wanted), self._is_probing_end)

    def page_size(self, wanted: int) -> int:
        """How many rows to ask for: after a short page no more than was ever returned, for ``limit`` may be capped.

        (Where pages are numbered, a capped limit moves the page's beginning too.)
        """
        may_be_capped = self._limit_is_capped or self._tail_is_short_of[0]
        return min(wanted, max(self.longest, 1)) if may_be_capped else wanted

    def join(self, span: PageSpan, rows: list[Row], was_guessed: bool) -> JoinResult:
        """Take in a page.

        :param was_guessed: it was asked for before its place was known.
        :raises OverlapError: the chain cannot be continued.
        """
        if self._is_confirming_end:
            self._is_confirming_end = False
            if rows:
                return self._stalled(JoinResult.GAP)
            self._was_empty_behind = self._is_whole
            return JoinResult.NOTHING_NEW if self._is_whole else JoinResult.END
        was_empty_behind, self._was_empty_behind = self._was_empty_behind, False
        self.longest = max(self.longest, len(rows))
        self._most_asked = max(self._most_asked, span.limit)
        is_short = len(rows) < min(self.longest, span.limit)
        blind = not self._tail or (self.overlap == 0 and span.start == self._position)
        link = _Link(len(rows), 0) if blind else _link(self._tail, rows)
        if link is None:
            if was_guessed and self.may_be_last:
                return JoinResult.GAP  # the page before was short, so this one was asked for from too far behind
            self._widen()
            if not was_guessed:
                self._move_position(rows)
            return self._stalled(JoinResult.GAP)
        if link.new:
            self.joined_without_overlap |= blind and bool(self._tail)
            self._limit_is_capped |= self._tail_is_short_of[0]
            self.short_page_had_more |= self._tail_is_short_of[1]
            self._tail, self._tail_is_short_of = rows, (len(rows) < span.limit, is_short)
            self._position = span.start + len(rows)
            self._stalls = 0
            self._is_probing_end = False
            self.pages += 1
            return JoinResult.EXTENDED
        self._position = span.start + len(rows) + link.missing
        # The first page begins at the first row even where `limit` is capped.
        self._is_whole = bool(rows) and span.start == 0 and len(rows) < span.limit
        if link.missing or not (is_short or blind or self._is_whole):
            self._limit_is_capped |= len(rows) < span.limit
            return self._stalled(JoinResult.NOTHING_NEW)
        if not self._is_probing_end and len(rows) > 1:
            self._is_probing_end = True
            return JoinResult.NOTHING_NEW
        is_size_known = self.longest == self._most_asked
        if not self.short_page_had_more and (is_size_known or len(rows) == 1):
            return JoinResult.END
        if was_empty_behind and rows == self._tail:
            return JoinResult.END  # all of them stood in front when nothing was behind
        # This one may be short in the same way; whether there is a row of that number cannot be.
        self._is_confirming_end = True
        return JoinResult.NOTHING_NEW

    def _widen(self) -> None:
        self._wanted_overlap = max(1, min(self._wanted_overlap * 2, self.longest // 2))

    def _move_position(self, rows: list[Row]) -> None:
        """No anchor where the chain ends: go on where all rows are old ones, else further back, at last to 0."""
        if rows and self._were_delivered(rows):
            self._position += len(rows)
            return
        self._position -= max(1, self.longest // 2)
        if self._position <= 0:
            self._position, self._tail, self._tail_is_short_of = 0, [], (False, False)

    def _stalled(self, step: JoinResult) -> JoinResult:
        self._stalls += 1
        if self._stalls > _MAX_STALLS:
            raise OverlapError("rows come and go faster than pages can be read")
        return step


class _Link(NamedTuple):
    """How a page joins the one before: how many rows each has behind their last common one."""

    new: int
    missing: int


def _link(tail: list[Row], rows: list[Row]) -> _Link | None:
    """Find how a page joins the one before, by the rows of that one which it holds unchanged.

    :returns: ``None`` where it holds none.
    :raises OverlapError: two unchanged rows changed places.
    """
    places = {_id_of(row): place for place, row in enumerate(tail)}
    last_in_tail = last_in_rows = -1
    for number, row in enumerate(rows):
        place = places.get(_id_of(row))
        if place is not None and tail[place] == row:
            if place < last_in_tail:
                raise OverlapError("the server's order of rows is not stable")
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
        number = integer_or_none(key)
        return key if number is None else number
    return orjson.dumps(row, option=orjson.OPT_SORT_KEYS)


class RowIds:
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
