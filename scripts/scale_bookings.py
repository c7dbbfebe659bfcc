"""The clients that ``make scale`` books, and the check that each is booked once."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

__all__ = ["LOCATION", "booked_wrongly", "location_and_events", "write_clients"]

LOCATION = 2100
CLIENTS = 300
EVENTS = range(9_000_001, 9_000_021)


def location_and_events() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Return a location and events of the next month for the sandbox."""
    start = datetime.now(UTC).replace(hour=15, minute=0, second=0, microsecond=0, tzinfo=None) + timedelta(days=20)
    location = {"id": LOCATION, "services": [{"id": 1, "title": "Yoga"}], "staff": [{"id": 1, "name": "Anna"}]}
    events = [
        {"location_id": LOCATION, "id": number, "date": start.isoformat(), "capacity": 50, "service_id": 1}
        for number in EVENTS
    ]
    return location, events


def write_clients(path: Path) -> None:
    """Write the file to import."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("event_id", "name", "surname", "phone", "email"))
        for number in range(CLIENTS):
            event_id, phone = _booking(number)
            writer.writerow((event_id, f"Client{number}", "Ozols", f"+{phone}", f"client{number}@example.com"))


def booked_wrongly(appointments: list[dict[str, Any]]) -> tuple[int, int]:
    """Return how many clients of the file are not booked, and how many bookings there are too many."""
    there = Counter((one["event_id"], str(one["client"]["phone"]).lstrip("+")) for one in appointments)
    wanted = Counter(_booking(number) for number in range(CLIENTS))
    return (wanted - there).total(), (there - wanted).total()


def _booking(number: int) -> tuple[int, str]:
    return EVENTS[number % len(EVENTS)], f"3712000{number:04}"
