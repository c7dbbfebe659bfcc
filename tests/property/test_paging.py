"""Paging against a list that changes while it is read: nothing steady is lost, nothing comes twice."""

from __future__ import annotations

import math
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from altegio_provider.api.routes import COMPANIES, LOCATIONS
from tests.property.churning_list import ORDERS, ChurningList, read_all

TOTALS = {
    "right": lambda true, seed: true,
    "absent": lambda true, seed: None,
    "too low": lambda true, seed: true // 3,
    "too high": lambda true, seed: true * 3 + 50,
    "changing": lambda true, seed: seed.randrange(true * 2 + 1),
}


def check(server: ChurningList, numbered: bool, page_size: int, concurrency: int) -> None:
    span = (LOCATIONS if numbered else COMPANIES).span
    ids = read_all(server, span=span, page_size=page_size, concurrency=concurrency)
    twice = [number for number, times in Counter(ids).items() if times > 1]
    assert not twice
    missing = server.steady - set(ids)
    assert not missing


@settings(max_examples=400)
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
    seed=st.integers(0, 2**16),
)
def test_every_steady_row_comes_exactly_once(
    size, order, cap, numbered, total, churn_every, inserts, deletes, changes, page_size, concurrency, seed
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
        seed=seed,
    )
    check(server, numbered, page_size, concurrency)


@settings(max_examples=100)
@given(
    size=st.integers(0, 300),
    numbered=st.booleans(),
    total=st.sampled_from(sorted(TOTALS)),
    page_size=st.sampled_from([25, 100]),
    concurrency=st.sampled_from([1, 4]),
    seed=st.integers(0, 2**16),
)
def test_a_short_page_in_the_middle_is_not_the_end(size, numbered, total, page_size, concurrency, seed):
    server = ChurningList(size, numbered=numbered, total=TOTALS[total], short_pages=True, seed=seed)
    check(server, numbered, page_size, concurrency)


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("size", [0, 1, 2, 17])
def test_pages_of_one_row_are_read_to_the_end(size, numbered):
    check(ChurningList(size, cap=1, numbered=numbered), numbered, 100, 1)


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
