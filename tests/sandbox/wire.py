"""What is sent to the sandbox and what comes back, in plain values."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

HEADERS = {
    "Accept": "application/vnd.api.v2+json",
    "Authorization": "Bearer sandbox-partner, User sandbox-user",
    "Content-Type": "application/json",
}


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)

    @property
    def errors(self) -> dict[str, list[str]]:
        return self.json["meta"]["errors"]


Call = Callable[..., Answer]


@dataclass
class Family:
    """Where a family's routes are."""

    name: str
    booking: str

    def events(self, location_id: int = 1001) -> str:
        return f"/{self.name}/{location_id}/{'activities' if self.name == 'companies' else 'events'}"

    def event(self, event_id: int, location_id: int = 1001) -> str:
        return f"{self.events(location_id)}/{event_id}"

    def bookings(self, event_id: int) -> str:
        return f"{self.event(event_id)}/{self.booking}"

    @property
    def created(self) -> int:
        return 200 if self.name == "companies" else 201


def event_body(**changes: Any) -> dict[str, Any]:
    """A new event that both families take; far in the future, where no seeded class is."""
    return {
        "staff_id": 1001,
        "service_id": 1101,
        "resource_instance_ids": [],
        "label_ids": [],
        "date": "2040-05-01 10:00:00",
        "length": 3600,
        "capacity": 3,
        **changes,
    }


def booking_body(family: str, clients_count: int = 1, **client: Any) -> dict[str, Any]:
    """A booking that the family takes."""
    if family == "companies":
        person = {"name": "Līga", "phone": "+37120000001", "email": "", "surname": "", "gender": 0}
    else:
        optional = ("id", "email", "surname", "gender", "patronymic", "birthday", "custom_field_values", "agreements")
        person = {"name": "Līga", "phone": "37120000001", **dict.fromkeys(optional)}
    return {"client": {**person, **client}, "clients_count": clients_count}


def between(start: str, end: str) -> list[tuple[str, str]]:
    """The filter of a range."""
    return [("filter[from]", start), ("filter[to]", end)]
