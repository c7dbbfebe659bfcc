"""Appointments that are made and deleted through the API while somebody lists them."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from altegio_provider.api import AltegioClient, RetryPolicy

LOCATION = 77
NOON = (datetime.now(UTC) + timedelta(days=5)).replace(hour=12, minute=0, second=0, microsecond=0)
NEWCOMER = {"client": {"name": "New", "phone": "+37120000001"}, "clients_count": 1}


@pytest.fixture
def client(altegio_sandbox):
    with AltegioClient(
        altegio_sandbox.url,
        "sandbox-partner",
        "sandbox-user",
        route_family="locations",
        requests_per_second=0,
        requests_per_minute=0,
        retry=RetryPolicy(sleep=lambda seconds: None),
    ) as client:
        yield client


def class_with(sandbox, records):
    sandbox.add_location(LOCATION, staff=[{"id": 1, "name": "A"}], services=[{"id": 2}])
    booked = {"first_records": records, "first_seats": records}
    event = {"date": NOON.replace(tzinfo=None).isoformat(), "length": 3600, "capacity": 500, **booked}
    return sandbox.add_events(LOCATION, [event])[0]


@settings(max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    records=st.integers(1, 100),
    page_size=st.sampled_from([10, 25]),
    has_range=st.booleans(),
    concurrency=st.sampled_from([1, 3]),
    seed=st.integers(0, 2**16),
)
def test_every_appointment_that_was_there_throughout_comes_exactly_once(
    altegio_sandbox, client, records, page_size, has_range, concurrency, seed
):
    event_id = class_with(altegio_sandbox, records)
    there = {row["id"] for row in client.event_appointments(LOCATION, event_id)}
    assert len(there) == records
    where = {"date_from": NOON, "date_to": NOON + timedelta(hours=1)} if has_range else {"event_id": event_id}
    chance = random.Random(seed)
    seen = []
    gone = set()
    for row in client.list_appointments(LOCATION, **where, page_size=page_size, concurrency=concurrency):
        seen.append(row["id"])
        if len(seen) % page_size == 0:
            client.create_event_appointment(LOCATION, event_id, NEWCOMER)
            victim = chance.choice(sorted(there - gone))
            client.delete_appointment(LOCATION, victim)
            gone.add(victim)
    assert [number for number, times in Counter(seen).items() if times > 1] == []
    assert there - gone <= set(seen)
