"""Paging against a list that changes while it is read: nothing steady is lost, nothing comes twice."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from altegio_provider.api.errors import AltegioResponseError
from altegio_provider.api.paging.pagination import shows_end
from altegio_provider.api.routes import COMPANIES, LOCATIONS, PageSpan
from tests.property.churning_list import ORDERS, WINDOW, ChurningList, read_all

TOTALS = {
    "right": lambda true, seed: true,
    "absent": lambda true, seed: None,
    "too low": lambda true, seed: true // 3,
    "too high": lambda true, seed: true * 3 + 50,
    "changing": lambda true, seed: seed.randrange(true * 2 + 1),
}


def check(server: ChurningList, numbered: bool, page_size: int, concurrency: int, has_range: bool = True) -> None:
    span = (LOCATIONS if numbered else COMPANIES).span
    window = WINDOW if has_range else None
    ids = read_all(server, span=span, page_size=page_size, concurrency=concurrency, window=window)
    twice = [number for number, times in Counter(ids).items() if times > 1]
    assert not twice
    missing = server.steady - set(ids)
    assert not missing


@settings(max_examples=300)
@given(
    size=st.integers(0, 400),
    order=st.sampled_from(sorted(ORDERS)),
    cap=st.sampled_from([2, 3, 7, 20, 50, 10**6]),
    numbered=st.booleans(),
    total=st.sampled_from(sorted(TOTALS)),
    churn_every=st.integers(0, 3),
    inserts=st.integers(0, 4),
    deletes=st.integers(0, 4),
    changes=st.integers(0, 2),
    page_size=st.sampled_from([2, 5, 25, 100]),
    concurrency=st.sampled_from([1, 1, 4]),
    has_pagination=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_every_steady_row_comes_exactly_once(
    size,
    order,
    cap,
    numbered,
    total,
    churn_every,
    inserts,
    deletes,
    changes,
    page_size,
    concurrency,
    has_pagination,
    seed,
):
    server = ChurningList(
        size,
        order=order,
        cap=cap,
        numbered=numbered,
        total=TOTALS[total],
        churn_every=churn_every,
        inserts=inserts,
        deletes=deletes,
        changes=changes,
        has_pagination=has_pagination,
        seed=seed,
    )
    check(server, numbered, page_size, concurrency)


@settings(max_examples=60)
@given(
    size=st.integers(0, 300),
    order=st.sampled_from(sorted(ORDERS)),
    inserts=st.integers(0, 2),
    deletes=st.integers(0, 2),
    page_size=st.sampled_from([25, 250]),
    has_pagination=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_every_steady_row_of_a_list_without_a_range_comes_exactly_once(
    size, order, inserts, deletes, page_size, has_pagination, seed
):
    server = ChurningList(
        size,
        order=order,
        numbered=True,
        churn_every=2,
        inserts=inserts,
        deletes=deletes,
        changes=1,
        has_pagination=has_pagination,
        seed=seed,
    )
    check(server, True, page_size, 1, has_range=False)


@settings(max_examples=100)
@given(
    size=st.integers(0, 300),
    numbered=st.booleans(),
    total=st.sampled_from(sorted(TOTALS)),
    page_size=st.sampled_from([25, 100]),
    concurrency=st.sampled_from([1, 4]),
    has_pagination=st.booleans(),
    seed=st.integers(0, 2**16),
)
def test_a_short_page_in_the_middle_is_not_the_end(size, numbered, total, page_size, concurrency, has_pagination, seed):
    server = ChurningList(
        size, numbered=numbered, total=TOTALS[total], short_pages=True, has_pagination=has_pagination, seed=seed
    )
    check(server, numbered, page_size, concurrency)


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("size", [0, 1, 2, 17])
def test_pages_of_one_row_are_read_to_the_end(size, numbered):
    check(ChurningList(size, cap=1, numbered=numbered), numbered, 100, 1)


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("has_range", [True, False])
@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize(("size", "requests"), [(0, 1), (1, 1), (2, 1), (99, 1), (101, 2), (240, 3)])
def test_a_short_page_that_was_served_as_requested_is_the_end(size, requests, numbered, has_range, concurrency):
    server = ChurningList(size, numbered=numbered, total=TOTALS["absent"], has_pagination=True)
    check(server, numbered, 100, concurrency, has_range)
    assert server.requests <= requests + (concurrency > 1 and size > 100) * 2


class LyingList(ChurningList):
    """Says of a page in the middle that it was served as requested, and keeps half of its rows back."""

    def page(self, window, span):
        page = super().page(window, span)
        is_lie = self.requests == 2
        return page._replace(rows=page.rows[: len(page.rows) // 2], is_last=True) if is_lie else page


@pytest.mark.parametrize("numbered", [False, True])
def test_pagination_is_not_trusted_where_a_page_requested_ahead_has_more_rows(numbered):
    server = LyingList(1000, numbered=numbered, has_pagination=True)
    check(server, numbered, 100, 4)


@pytest.mark.parametrize(
    ("pagination", "rows", "is_end"),
    [
        ({"limit": 100, "offset": 200}, 40, True),
        ({"limit": 100, "page": 3}, 40, True),
        ({"limit": 100, "page": 3, "offset": 200, "total": 240}, 40, True),
        ({"limit": 100, "offset": 200}, 0, True),
        ({"limit": 100, "offset": 200}, 100, False),
        ({"limit": 100, "offset": 200}, 99, False),
        ({"limit": 40, "offset": 200}, 40, False),
        ({"limit": 100, "offset": 0}, 40, False),
        ({"limit": 100, "page": 1}, 40, False),
        ({"limit": 100}, 40, False),
        ({"offset": 200}, 40, False),
        ({"total": 240}, 40, False),
        ({"limit": 100, "offset": 200, "total": 241}, 40, False),
        ({}, 0, False),
    ],
)
def test_only_pagination_that_shows_the_request_shows_the_end(pagination, rows, is_end):
    assert shows_end(PageSpan(200, 100), rows, pagination, 99) is is_end


@pytest.mark.parametrize("has_range", [True, False])
@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("size", range(8))
def test_a_list_of_a_few_rows_costs_a_few_requests(size, numbered, has_range):
    server = ChurningList(size, numbered=numbered, total=TOTALS["absent"])
    check(server, numbered, 250 if numbered else 100, 1, has_range)
    assert server.requests <= (4 if numbered and size == 2 else 3)


@pytest.mark.parametrize("concurrency", [1, 4, 8])
@pytest.mark.parametrize("total", sorted(TOTALS))
@pytest.mark.parametrize("numbered", [False, True])
def test_a_quiet_list_costs_at_most_a_tenth_more_than_plain_paging(numbered, total, concurrency):
    page_size = 250 if numbered else 100
    size = 50 * page_size - 13
    server = ChurningList(size, numbered=numbered, total=TOTALS[total])
    check(server, numbered, page_size, concurrency)
    plain = math.ceil(size / page_size)
    assert server.requests <= plain * 1.1 + (concurrency if total in ("too high", "changing") else 0)


def test_a_list_that_loses_half_a_page_a_request_is_read_in_slices():
    server = ChurningList(2000, churn_every=1, deletes=30, inserts=0, seed=3)
    check(server, False, 50, 4)


@pytest.mark.parametrize("size", [1, 40, 300])
def test_a_list_without_a_range_whose_order_is_not_stable_is_read_until_nothing_new_comes(size):
    check(ChurningList(size, is_unstable=True, numbered=True), True, 250, 1, has_range=False)


def test_a_list_without_a_range_that_changes_too_fast_is_an_error_and_not_a_hole():
    server = ChurningList(300, churn_every=1, inserts=3, deletes=3, numbered=True, is_unstable=True)
    with pytest.raises(AltegioResponseError, match="changes faster"):
        check(server, True, 5, 1, has_range=False)


@pytest.mark.parametrize("churned_at", range(2, 6))
def test_a_third_row_behind_a_cap_of_two_is_not_missed_when_the_first_one_goes(churned_at):
    server = ChurningList(3, cap=2, numbered=True, order="by id")
    page = server.page

    def page_after_a_deletion(window, span):
        if server.requests == churned_at:
            server.rows = [row for row in server.rows if row["id"] != 10]
        return page(window, span)

    server.page = page_after_a_deletion
    check(server, True, 250, 1, has_range=False)


@pytest.mark.parametrize("has_range", [True, False])
@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("deleted_at", range(2, 8))
def test_pages_of_one_row_are_read_again_for_the_row_that_slipped_to_a_page_read_before(
    numbered, has_range, deleted_at
):
    server = ChurningList(6, cap=1, numbered=numbered, order="by id")
    page = server.page

    def page_after_a_deletion(window, span):
        if server.requests == deleted_at:
            server.rows = server.rows[1:]
        return page(window, span)

    server.page = page_after_a_deletion
    check(server, numbered, 100, 1, has_range=has_range)


class FlippingList(ChurningList):
    """Its order flips with each answer but the first ones; of a short range of time it returns half of a page.

    :param seconds: how long a range can be of which it does so; the order of such a range is stable.
    """

    seconds = 1
    #: The answer that is short though its range is long.
    also_short = 0

    def page(self, window, span):
        is_short_range = (window.end - window.start).total_seconds() <= self.seconds
        if is_short_range:
            self.rows.sort(key=ORDERS["by id"])
        elif self.requests > 3:
            self.rows.reverse()
        page = super().page(window, span)
        is_half = is_short_range or self.requests == self.also_short
        return page._replace(rows=page.rows[: math.ceil(len(page.rows) / 2)]) if is_half else page


def test_rows_of_one_second_are_read_one_by_one_where_short_pages_are_no_end():
    server = FlippingList(60, order="by id")
    for row in server.rows:
        row["timestamp"] = int(WINDOW.start.timestamp())
    server.also_short = 2
    check(server, False, 8, 1)


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("size", [60, 400])
def test_a_short_answer_is_all_of_a_slice_only_where_nothing_comes_behind(size, numbered):
    server = FlippingList(size, order="by id", numbered=numbered)
    server.seconds = 86_400
    check(server, numbered, 8, 1)
