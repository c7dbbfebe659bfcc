"""Rows of a timetable: days of the week and lengths as people write them."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from pydantic import ValidationError

from altegio_provider.imports.engine.timetable import _Row
from altegio_provider.imports.rows.typed_row import RowContext

ROW = {"staff_id": 1, "service_id": 2, "date": "2026-12-07 18:00", "length": 3600, "capacity": 10}
CONTEXT = RowContext(ZoneInfo("Europe/Riga"), None, datetime(2026, 11, 20, tzinfo=UTC).date())


def row(**values):
    return _Row.model_validate(ROW | values, context=CONTEXT)


@pytest.mark.parametrize(
    ("raw", "days"),
    [
        (1.0, {0}),
        ("1.0", {0}),
        ("1.0, 3.0", {0, 2}),
        ("1,3", {0, 2}),
        ("Mon-Fri", {0, 1, 2, 3, 4}),
        ("mon \u2013 wed, sat", {0, 1, 2, 5}),
        ("пн-ср", {0, 1, 2}),
        ("1-3", {0, 1, 2}),
        ("Mo., Mi.", {0, 2}),
    ],
)
def test_days_of_the_week_are_read_as_people_write_them(raw, days):
    assert row(weekdays=raw).weekdays == days


@pytest.mark.parametrize("raw", ["someday", "0", "8", "1.5", "fri-mon", "mon-", "mon-wed-fri", ","])
def test_days_that_are_none_are_faults(raw):
    with pytest.raises(ValidationError, match="day"):
        row(weekdays=raw)


@pytest.mark.parametrize("minutes", [1, 60, 90, 299])
def test_a_length_in_minutes_is_a_fault_that_says_the_unit(minutes):
    with pytest.raises(ValidationError, match=f"in seconds.*write {minutes * 60}"):
        row(length=str(minutes))
    assert row(length=300).length == 300


def test_the_last_day_of_a_workbook_is_read_from_its_report_too():
    for raw in (datetime(2026, 12, 20), "2026-12-20 00:00:00", "20.12.2026", 46376):  # noqa: DTZ001 - wall clocks
        assert f"{row(repeat_until=raw).repeat_until}" == "2026-12-20"
