"""What is put back of an event that is read, changed and replaced, however its answer was written."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from altegio_provider.api.bodies.event import replacement_body
from altegio_provider.api.errors import AltegioValidationError
from tests.unit.api.scripted import ok

EVENT = {"staff_id": 5, "service_id": 7, "length": 3600, "capacity": 10, "timestamp": 1785582000}
TIES = {"staff": {"data": {"type": "staff", "id": "5"}}}


@pytest.mark.parametrize(
    "date", ["2026-08-01T14:00:00+0000", "2026-08-01 14:00:00", "2026-08-01T11:00:00Z", "2026-08-01T14:00:00.000", None]
)
def test_an_event_is_put_back_at_its_own_time_however_it_was_written(new_client, server, date) -> None:
    attributes = {**EVENT, "date": date}
    server.script(ok({"type": "activity", "id": "3", "attributes": attributes, "relationships": TIES}))
    event = new_client(server.url, route_family="locations").get_event(7, 3, joined=True)
    body = replacement_body(event, {"capacity": 12}, ZoneInfo("Europe/Riga"))
    assert (body["date"], body["capacity"]) == (datetime.fromisoformat("2026-08-01 14:00"), 12)
    assert (body["label_ids"], body["resource_instance_ids"]) == ([], [])


def test_labels_that_an_answer_does_not_show_are_not_dropped_unsaid(new_client, server) -> None:
    server.script(ok({"type": "activity", "id": "3", "attributes": EVENT}))
    event = new_client(server.url, route_family="locations").get_event(7, 3, joined=True)
    with pytest.raises(AltegioValidationError, match="label_ids"):
        replacement_body(event, {"capacity": 12}, ZoneInfo("Europe/Riga"))
