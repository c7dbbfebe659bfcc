"""Plain requests to a target, made after the document; no client of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest
import requests

from tests.contract.contract import Contract, Operation
from tests.contract.target import Target
from tests.contract.wiretap import BASE

__all__ = ["ACCEPT", "NOBODY", "Request", "Requester"]

ACCEPT = "application/vnd.api.v2+json"
#: An id that no location has, and no event, appointment, team member or service.
NOBODY = 987_654_321_987
#: A number that is kept for stories and films.
PHONE = "12025550143"

Query = Sequence[tuple[str, Any]]


@dataclass
class Request:
    """What a request of an operation holds."""

    ids: dict[str, int]
    query: list[tuple[str, Any]] = field(default_factory=list)
    body: Any = None


class Requester:
    """Sends one family's operations, and takes back what it made.

    :param url: the base URL to send to: the target's own, or that of a wiretap before it.
    """

    def __init__(self, target: Target, family: str, contract: Contract, url: str) -> None:
        self.target = target
        self.family = family
        self.contract = contract
        self._url = url
        self._session = requests.Session()
        self._session.trust_env = False
        #: The events that are taken back in the end.
        self.made: list[int] = []
        self._hours = 0
        self._catalogue: tuple[int, int] | None = None

    def operation(self, name: str) -> Operation:
        """The family's operation of that name."""
        operations = self.contract.operations
        return operations.get(f"{name}_{self.family}") or operations[name]

    def demand_writing(self) -> None:
        """Skip the test where nothing may be changed."""
        if not self.target.may_write:
            pytest.skip("writing steps run with ALTEGIO_CONTRACT_WRITE=1 alone")

    def send(
        self,
        operation: Operation | str,
        body: Any = None,
        *,
        query: Query = (),
        headers: Mapping[str, str | None] | None = None,
        **ids: int,
    ) -> requests.Response:
        """Send one request; a body of bytes goes as it is."""
        if isinstance(operation, str):
            operation = self.operation(operation)
        if operation.writes:
            self.demand_writing()
        path = operation.path.format(**{"location_id": self.target.location_id, **ids})
        defaults: dict[str, str | None] = {
            "Accept": ACCEPT,
            "Authorization": f"Bearer {self.target.partner_token}, User {self.target.user_token}",
        }
        content = {"data": body} if isinstance(body, bytes) else {} if body is None else {"json": body}
        if isinstance(body, bytes):
            defaults["Content-Type"] = "application/json"
        return self._session.request(
            operation.method,
            self._url.removesuffix(BASE) + operation.base + path if operation.base != BASE else self._url + path,
            params=list(query),
            headers={**defaults, **(headers or {})},
            timeout=60,
            **content,
        )

    def good(self, operation: Operation) -> Request:
        """A request of an operation that the target takes; what it needs is made."""
        ids = {"location_id": self.target.location_id}
        if "{event_id}" in operation.path or operation.name == "delete_appointment":
            ids["event_id"] = self.event() if self.target.may_write else self.listed()["id"]
        if operation.name == "delete_appointment":
            return Request({**ids, "appointment_id": self.appointment(ids["event_id"])})
        if "{record_id}" in operation.path:
            ids["record_id"] = self.appointment(ids["event_id"])
        match operation.name:
            case "list_activities":
                return Request(ids, self.ahead())
            case "create_event" | "update_event":
                return Request(ids, body=self.event_body())
            case "create_event_appointment":
                return Request(ids, body=self.booking())
            case "bulk_create_event_appointments":
                return Request(ids, body=self.bulk(1))
            case "duplicate_event":
                return Request(ids, body=self.copies(1))
            case "update_event_appointment":
                return Request(ids, body=self.change())
            case "reschedule_event_appointment":
                return Request(ids, body={"reschedule_activity_id": self.event()})
        return Request(ids)

    def send_good(self, operation: Operation, **changes: Any) -> requests.Response:
        """Send a good request, but for what is changed in it: ``query``, ``body``, ``headers``, ids."""
        good = self.good(operation)
        body, query = changes.pop("body", good.body), changes.pop("query", good.query)
        answer = self.send(
            operation, body, query=query, headers=changes.pop("headers", None), **{**good.ids, **changes}
        )
        if operation.name in ("create_event", "duplicate_event") and answer.ok:
            made = answer.json()["data"]
            self.made += [int(one["id"]) for one in (made if isinstance(made, list) else [made])]
        return answer

    def ahead(self, days: int = 1) -> list[tuple[str, Any]]:
        """The range of the day on which events are made."""
        last = self.target.day + timedelta(days=days)
        return [("filter[from]", f"{self.target.day} 00:00:00"), ("filter[to]", f"{last} 00:00:00")]

    def event_body(self, **changes: Any) -> dict[str, Any]:
        """A new event that both families take, each at another hour."""
        staff_id, service_id = self.catalogue()
        self._hours += 1
        return {
            "staff_id": staff_id,
            "service_id": service_id,
            "resource_instance_ids": [],
            "label_ids": [],
            "date": f"{self.target.day} {self._hours:02}:00:00",
            "length": 1800,
            "capacity": 3,
            **changes,
        }

    def booking(self, clients_count: int = 1, **client: Any) -> dict[str, Any]:
        """A booking that the family takes."""
        if self.family == "companies":
            person = {"name": "Contract Test", "phone": f"+{PHONE}", "email": "", "surname": "", "gender": 0}
        else:
            keys = ("id", "email", "surname", "gender", "patronymic", "birthday", "custom_field_values", "agreements")
            person = {"name": "Contract Test", "phone": PHONE, **dict.fromkeys(keys)}
        return {"client": {**person, **client}, "clients_count": clients_count}

    def bulk(self, rows: int) -> dict[str, Any]:
        """Many bookings, one seat each."""
        phones = [str(int(PHONE) - number) for number in range(rows)]
        return {"records": [{"name": "Contract Test", "phone": phone, "clients_count": 1} for phone in phones]}

    def copies(self, dates: int) -> dict[str, Any]:
        """Copies of an event, each at another hour."""
        starts = [self.event_body()["date"].replace(" ", "T") for _ in range(dates)]
        return {"dates": starts, "content_type": 1, "force": False}

    def change(self, **changes: Any) -> dict[str, Any]:
        """A change of an appointment that leaves it as it is."""
        return {"attendance_service_item": {"cost_per_unit": 0, "discount_percent": 0, "manual_cost": 0}, **changes}

    def event(self, **changes: Any) -> int:
        """Make an event and return its id."""
        answer = self.send("create_event", {**self.event_body(**changes), "force": True})
        answer.raise_for_status()
        self.made.append(int(answer.json()["data"]["id"]))
        return self.made[-1]

    def appointment(self, event_id: int, clients_count: int = 1, **client: Any) -> int:
        """Book an event and return the appointment's id."""
        answer = self.send("create_event_appointment", self.booking(clients_count, **client), event_id=event_id)
        answer.raise_for_status()
        return int(answer.json()["data"]["id"])

    def listed(self) -> dict[str, Any]:
        """An event that the list shows, flat; its ``id`` is a number."""
        today = self.target.day - timedelta(days=299)
        query = [("filter[from]", f"{today} 00:00:00"), ("filter[to]", f"{today + timedelta(days=60)} 00:00:00")]
        rows = self.send("list_activities", query=query).json()["data"]
        if not rows:
            pytest.skip("the location has no event in the next 60 days")
        row = {**rows[0], **rows[0].get("attributes", {})}
        return {**row, "id": int(row["id"])}

    def catalogue(self) -> tuple[int, int]:
        """A team member and a service."""
        if self._catalogue is None:
            staff_id, service_id = self.target.staff_id, self.target.service_id
            if not (staff_id and service_id):
                row = self.listed()
                staff_id, service_id = staff_id or row["staff_id"], service_id or row["service_id"]
            self._catalogue = staff_id, service_id
        return self._catalogue

    def close(self) -> None:
        """Delete the events that were made."""
        if not self.target.is_sandbox and not self.target.is_mock:
            for event_id in self.made:
                self.send("delete_event", event_id=event_id)
        self._session.close()
