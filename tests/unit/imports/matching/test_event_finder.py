"""The events that rows name by their start: what a reason shows of those that do not match."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from altegio_provider.api import AltegioClient
from altegio_provider.imports.matching.event_finder import EventFinder
from altegio_provider.imports.model import EventReference

LOCATION = 77
NOON = (datetime.now(UTC) + timedelta(days=5)).replace(hour=12, minute=0, second=0, microsecond=0, tzinfo=None)
ONE_OCLOCK = NOON + timedelta(hours=1)


@pytest.fixture(params=["companies", "locations"])
def finder(request, altegio_sandbox):
    altegio_sandbox.add_location(
        LOCATION,
        timezone="Europe/Riga",
        staff=[{"id": 11, "name": "Ines Grauda"}, {"id": 12, "name": "Maris Grauds"}],
        services=[{"id": 21, "title": "Yoga\r\n2026-01-01 ERROR forged\x1b[31m"}],
    )
    events = [{"id": 500 + staff, "staff_id": staff, "service_id": 21, "capacity": 5} for staff in (11, 12)]
    altegio_sandbox.add_events(LOCATION, [{**event, "date": NOON.isoformat()} for event in events])
    with AltegioClient(
        altegio_sandbox.url,
        "sandbox-partner",
        "sandbox-user",
        route_family=request.param,
        timezone="Europe/Riga",
        requests_per_second=0,
        requests_per_minute=0,
    ) as client:
        yield EventFinder(client, LOCATION, ZoneInfo("Europe/Riga"))


@pytest.mark.parametrize(
    "reference",
    [
        EventReference(NOON, 21, None, None, None),
        EventReference(NOON, 22, None, None, None),
        EventReference(ONE_OCLOCK, 21, None, None, None),
    ],
    ids=["several", "same time", "same day"],
)
def test_a_reason_names_the_candidates_by_their_ids_and_shows_no_text_of_the_api(finder, reference):
    reason = finder.find(reference)
    for event_id, staff_id in ((511, 11), (512, 12)):
        assert f"{event_id} (service 21, team member {staff_id})" in reason
    assert reason.isprintable()
    assert not [word for word in ("Ines", "Maris", "Yoga", "forged") if word in reason]
