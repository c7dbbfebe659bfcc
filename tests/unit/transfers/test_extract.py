"""The extracting operators' arguments: right or refused with their name, before anything is touched."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.operators.arguments import ids_of, number_of, storage_path, window_of
from altegio_provider.transfers.extract import ProgressLogger

NO_LOOKBACK = timedelta(0)


def test_a_naive_range_is_on_the_locations_clock() -> None:
    window = window_of("2026-11-20", "2026-11-21", NO_LOOKBACK, "Europe/Riga")
    assert window.start == datetime(2026, 11, 19, 22, tzinfo=UTC)
    assert window.end == datetime(2026, 11, 20, 22, tzinfo=UTC)


def test_lookback_widens_the_range_backwards_only() -> None:
    window = window_of("2026-11-20T00:00Z", "2026-11-21T00:00Z", timedelta(days=7), "UTC")
    assert window == (datetime(2026, 11, 13, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))


def test_an_empty_range_names_the_timetable_that_mends_it() -> None:
    with pytest.raises(AltegioValidationError, match="CronDataIntervalTimetable") as caught:
        window_of("2026-11-20T00:00Z", "2026-11-20T00:00Z", NO_LOOKBACK, "UTC")
    assert "date_from" in caught.value.errors


@pytest.mark.parametrize(
    ("date_from", "date_to", "lookback", "timezone", "argument"),
    [
        ("2026-11-21", "2026-11-20", NO_LOOKBACK, "UTC", "date_from"),
        ("None", "2026-11-20", NO_LOOKBACK, "UTC", "date_from"),
        ("2026-11-20", None, NO_LOOKBACK, "UTC", "date_to"),
        ("yesterday", "2026-11-20", NO_LOOKBACK, "UTC", "date_from"),
        ("2026-11-20", "2026-11-21", timedelta(days=-1), "UTC", "lookback"),
        ("2026-11-20", "2026-11-21", 7, "UTC", "lookback"),
        ("2026-11-20", "2026-11-21", NO_LOOKBACK, "Riga", "timezone"),
    ],
)
def test_a_wrong_range_is_refused_with_the_arguments_name(date_from, date_to, lookback, timezone, argument) -> None:
    with pytest.raises(AltegioValidationError, match=argument):
        window_of(date_from, date_to, lookback, timezone)


@pytest.mark.parametrize(
    ("value", "ids"),
    [("5,10", [5, 10]), ("[5, 10]", [5, 10]), ([5, "10"], [5, 10]), (5, [5]), (None, None), ("None", None), ("", None)],
)
def test_ids_may_come_from_a_template(value, ids) -> None:
    assert ids_of("staff_ids", value) == ids


@pytest.mark.parametrize("value", ["five", [5, "x"], object(), True])
def test_ids_that_are_none_are_refused(value) -> None:
    with pytest.raises(AltegioValidationError, match="staff_ids"):
        ids_of("staff_ids", value)


def test_a_number_may_come_from_a_template() -> None:
    assert number_of("capacity", "12") == 12
    with pytest.raises(AltegioValidationError, match="capacity"):
        number_of("capacity", "a dozen")


@pytest.mark.parametrize("path", ["", "  ", "nosuch://bucket/x"])
def test_a_path_that_leads_nowhere_is_refused(path) -> None:
    with pytest.raises(AltegioValidationError, match="output_path"):
        storage_path(path)


def test_progress_is_told_every_few_seconds_only(caplog) -> None:
    now = [0.0]
    hook = SimpleNamespace(
        get_conn=lambda: SimpleNamespace(stats=SimpleNamespace(requests=10)),
        settings=SimpleNamespace(requests_per_minute=200),
    )
    progress = ProgressLogger(hook, logging.getLogger("test"), clock=lambda: now[0])
    with caplog.at_level(logging.INFO, "test"):
        for _ in range(100):
            now[0] += 0.11
            progress.report(50)
    assert len(caplog.messages) == 2
    assert "rows/s" in caplog.messages[0]
    assert "of the rate limit" in caplog.messages[0]
