"""Runs of one location at the same moment, on a store with conditional writes: any windows, any moments, some die."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from altegio_provider.tables.dataset.storage_errors import StorageError
from tests.stores.days import days_of_all_files, runs_by_day, write
from tests.stores.quick_store import QuickStore

DAYS = 6
#: More than a run makes: one that is to come in between there comes afterwards.
REQUESTS = 25
#: Looking and writing at the end; before, a run only looks whether it may begin.
LAST_REQUESTS = range(8, REQUESTS)

spans = st.tuples(st.integers(0, DAYS - 1), st.integers(1, DAYS)).map(lambda at: range(at[0], min(sum(at), DAYS)))
places = st.integers(1, REQUESTS)
late_places = st.sampled_from(LAST_REQUESTS)


class Killed(Exception):
    """The process is gone, and makes no request any more."""


@contextmanager
def before(store: QuickStore, place: int, act: Any) -> Iterator[None]:
    """Act before the request of this number, or afterwards where there are fewer."""
    outer = store.before_request
    left = place

    def on_request() -> None:
        nonlocal left
        left -= 1
        if left == 0:
            store.before_request = outer
            act()
            store.before_request = on_request

    store.before_request = on_request
    try:
        yield
    finally:
        store.before_request = outer
    if left > 0:
        act()


def no_sleep(seconds: float) -> None:
    pass


@pytest.mark.parametrize(
    ("there", "first", "second"),
    [
        pytest.param([], range(2), range(2, 4), id="neighbours"),
        pytest.param([range(6)], range(2), range(2, 4), id="neighbours that cut one file"),
        pytest.param([range(6)], range(2, 4), range(2), id="one that is what the other cuts off"),
        pytest.param([range(6)], range(3), range(2, 4), id="overlapping ones"),
        pytest.param([range(2), range(2, 4)], range(1, 3), range(4), id="one within the other"),
        pytest.param([range(6)], range(2, 4), range(6), id="one that replaces what the other has cut"),
        pytest.param([range(4)], range(4), range(4), id="the same window"),
    ],
)
def test_a_run_may_come_in_between_at_any_moment(there, first, second):
    for place in range(1, REQUESTS):
        root = QuickStore().root("data")
        before_all = {}
        for number, days in enumerate(there):
            write(root, days, run=-number)
            before_all |= dict.fromkeys(days, -number)
        with before(root.fs, place, lambda root=root: write(root, second, run=2, sleep=no_sleep)):
            write(root, first, run=1, sleep=no_sleep)
        one_way = before_all | dict.fromkeys(first, 1) | dict.fromkeys(second, 2)
        other_way = before_all | dict.fromkeys(second, 2) | dict.fromkeys(first, 1)
        assert runs_by_day(root) in (one_way, other_way), place
        assert days_of_all_files(root) == sorted(one_way), place


@settings(max_examples=25)
@given(st.lists(spans, max_size=2), spans, spans, spans, late_places, late_places)
@example([range(6)], range(2), range(2, 4), range(4, 6), 16, 16)
@example([range(6)], range(3), range(2, 4), range(6), 10, 10)
def test_three_runs_at_once_end_as_if_one_had_come_after_the_other(there, first, second, third, place, other_place):
    root = QuickStore().root("data")
    state: dict[int, int] = {}
    for number, days in enumerate(there):
        write(root, days, run=-number)
        state |= dict.fromkeys(days, -number)

    def and_third() -> None:
        write(root, third, run=3, sleep=no_sleep)

    def and_second() -> None:
        with before(root.fs, other_place, and_third):
            write(root, second, run=2, sleep=no_sleep)

    with before(root.fs, place, and_second):
        write(root, first, run=1, sleep=no_sleep)

    runs = {1: first, 2: second, 3: third}
    seen = runs_by_day(root)
    assert seen.keys() == state.keys() | {day for days in runs.values() for day in days}
    for day, run in seen.items():
        covering = [number for number, days in runs.items() if day in days]
        assert run in covering if covering else run == state[day]
    assert days_of_all_files(root) == sorted(seen)


@settings(max_examples=40)
@given(st.lists(spans, max_size=2), spans, places, st.booleans())
@example([range(6)], range(2, 4), 9, False)
def test_a_run_that_dies_happened_or_did_not_and_the_next_one_tidies_up(there, days, place, another_comes):
    root = QuickStore().root("data")
    state: dict[int, int] = {}
    for number, span in enumerate(there):
        write(root, span, run=-number)
        state |= dict.fromkeys(span, -number)

    left = place

    def die() -> None:
        nonlocal left
        left -= 1
        if left <= 0:
            raise Killed

    root.fs.before_request = die
    with suppress(Killed, StorageError):
        write(root, days, run=1, sleep=no_sleep)
    root.fs.before_request = None
    possible = [state, state | dict.fromkeys(days, 1)]
    if there:
        assert runs_by_day(root) in possible
        assert set(days_of_all_files(root)) >= state.keys()
    if another_comes:
        write(root, range(8, 9), run=2)
        assert runs_by_day(root) in [one | {8: 2} for one in possible]
        assert days_of_all_files(root) == sorted(runs_by_day(root))


@settings(max_examples=25)
@given(spans, spans, places)
def test_a_reader_sees_the_state_before_a_run_or_after_it(there, days, place):
    root = QuickStore().root("data")
    write(root, there, run=0)
    seen: list[dict[int, int]] = []
    with before(root.fs, place, lambda: seen.append(runs_by_day(root))):
        write(root, days, run=1, sleep=no_sleep)
    old = dict.fromkeys(there, 0)
    assert seen in ([old], [old | dict.fromkeys(days, 1)])


@settings(max_examples=40)
@given(spans, spans, late_places)
def test_rows_of_earlier_runs_are_kept_though_their_file_is_cut_meanwhile(kept, other, place):
    root = QuickStore().root("data")
    write(root, range(DAYS), run=0)
    with before(root.fs, place, lambda: write(root, other, run=2, sleep=no_sleep)):
        write(root, kept, keeps=True, sleep=no_sleep)
    seen = runs_by_day(root)
    assert sorted(seen) == list(range(DAYS))
    assert all(run == (2 if day in other else 0) for day, run in seen.items() if day not in kept or day not in other)
