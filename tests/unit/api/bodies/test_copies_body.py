"""The body that copies an event, and which copy of the response belongs to which date."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from altegio_provider.api.bodies.copies import checked_copies, copies_of
from altegio_provider.api.errors import AltegioResponseOutcomeUnknownError, AltegioValidationError

RIGA = ZoneInfo("Europe/Riga")
PATH = "/locations/7/events/5/duplicate"


def test_starts_are_on_the_locations_wall_clock() -> None:
    dates = ["2026-12-01 18:00", datetime(2026, 12, 8, 16, tzinfo=UTC), "2026-12-15T18:00:00+02:00"]
    assert checked_copies(dates, RIGA, with_bookings=False, force=True) == {
        "dates": ["2026-12-01T18:00:00", "2026-12-08T18:00:00", "2026-12-15T18:00:00"],
        "content_type": 1,
        "force": True,
    }
    assert checked_copies(dates, RIGA, with_bookings=True, force=False)["content_type"] == 2


@pytest.mark.parametrize(
    ("dates", "field"),
    [
        ([], "dates"),
        ("2026-12-01 18:00", "dates"),
        ([f"2026-12-01 18:00:{number % 60:02}" for number in range(101)], "dates"),
        (["2026-12-01 18:00", "soon"], "dates.1"),
        (["2026-12-01 18:00", None], "dates.1"),
        (["2026-12-01 18:00", "2026-12-01 18:00:00"], "dates"),
    ],
)
def test_what_cannot_be_sent_is_named(dates, field) -> None:
    with pytest.raises(AltegioValidationError) as caught:
        checked_copies(dates, RIGA, with_bookings=False, force=False)
    assert field in caught.value.errors


BODY = {"dates": ["2026-12-01T18:00:00", "2026-12-08T18:00:00"]}


def copy(number, date):
    return {"id": number, "date": date, "records_count": 0}


def test_each_copy_has_its_date_whatever_the_order() -> None:
    document = {"data": [copy(12, "2026-12-08 18:00:00"), copy(11, "2026-12-01 18:00:00")]}
    assert [one["id"] for one in copies_of(document, PATH, BODY, RIGA)] == [11, 12]


@pytest.mark.parametrize(
    "rows",
    [
        [copy(11, "2026-12-01 18:00:00")],
        [copy(11, "2026-12-01 18:00:00"), copy(12, "2026-12-09 18:00:00")],
        [copy(11, "2026-12-01 18:00:00"), copy(11, "2026-12-08 18:00:00")],
        [copy(11, "2026-12-01 18:00:00"), copy(12, "2026-12-08 18:00:00"), copy(13, "2026-12-08 18:00:00")],
        [copy(11, "2026-12-01 18:00:00"), {"date": "2026-12-08 18:00:00"}],
        [copy(11, None), copy(12, "2026-12-08 18:00:00")],
        {},
    ],
)
def test_a_response_without_a_copy_for_each_date_says_nothing(rows) -> None:
    with pytest.raises(AltegioResponseOutcomeUnknownError):
        copies_of({"data": rows}, PATH, BODY, RIGA)
