"""What the client sends fits the document, and what the document promises is an answer or an error of the client."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest

from altegio_provider.api import AltegioClient, errors
from tests.contract.contract import OPERATIONS, WITHOUT_CLIENT, Operation, each_operation_of_the_client
from tests.contract.requester import NOBODY, Requester

#: An appointment with every field that both families take, in the client's one form.
FULL_CLIENT = {
    "id": 4711,
    "name": "Contract",
    "surname": "Test",
    "patronymic": "Middle",
    "phone": "+12025550143",
    "email": "contract@example.com",
    "gender": 2,
    "birthday": "1990-02-28",
    "agreements": {"is_newsletter_allowed": False, "is_personal_data_processing_allowed": True},
    "custom_field_values": [{"code": "source", "value": "contract"}],
}
PERSON = {"name": "Contract Test", "phone": "+12025550143"}
PRICE = {"cost_per_unit": 12.5, "discount_percent": 10, "manual_cost": 11.25}


class Calls:
    """The client's operations, each with the least and with the most that can be given."""

    def __init__(self, client: AltegioClient, requester: Requester) -> None:
        self.client = client
        self.requester = requester
        self.location_id = requester.target.location_id
        self.is_strict = client.route_family == "locations"

    def list_activities(self) -> Iterator[Any]:
        begin = f"{self.requester.target.day}T00:00:00"
        end = f"{self.requester.target.day + timedelta(days=1)}T00:00:00"
        yield list(self.client.list_activities(self.location_id, begin, end))
        search = {} if self.is_strict else {"search": "йога & pilates"}
        staff_id, service_id = self.requester.catalogue()
        yield list(
            self.client.list_activities(
                self.location_id,
                f"{begin}+05:30",
                end,
                staff_ids=[staff_id, staff_id + 1],
                service_ids=[service_id],
                capacity=2,
                page_size=3,
                **search,
            )
        )

    def create_event(self) -> Iterator[Any]:
        least = self.requester.event_body()
        del least["resource_instance_ids"], least["label_ids"]
        yield self._created(least)
        yield self._created(self._full_event())

    def get_event(self) -> Iterator[Any]:
        yield self.client.get_event(self.location_id, self.requester.event())

    def update_event(self) -> Iterator[Any]:
        event_id = self.requester.event()
        yield self.client.update_event(self.location_id, event_id, self._full_event())
        nothing = dict.fromkeys(("comment", "instructions", "stream_link", "color", "technical_break_duration"))
        yield self.client.update_event(self.location_id, event_id, self.requester.event_body(**nothing))

    def delete_event(self) -> Iterator[Any]:
        yield self.client.delete_event(self.location_id, self.requester.event())

    def create_event_appointment(self) -> Iterator[Any]:
        event_id = self.requester.event()
        yield self._booked(event_id, {"client": PERSON, "clients_count": 1})
        if self.requester.target.is_sandbox:  # a real location has no client 4711
            client = {**FULL_CLIENT, **({"comment": "c", "national_id": "n"} if self.is_strict else {})}
            more = {"is_trial_service": False} if self.is_strict else {"labels": [1401]}
            full = {"client": client, "clients_count": 2, "client_id": 4711, "comer_id": 0, "comer": {"name": "Guest"}}
            yield self._booked(event_id, {**full, **more})

    def list_appointments(self) -> Iterator[Any]:
        event_id = self.requester.event()
        self.requester.appointment(event_id)
        yield list(self.client.list_appointments(self.location_id, event_id=event_id))
        yield list(
            self.client.list_appointments(
                self.location_id,
                client_id=4711,
                date_from=f"{self.requester.target.day}T00:00:00",
                date_to=f"{self.requester.target.day}T23:00:00",
                include=["client", "staff", "services", "labels", "comer"],
                page_size=2,
            )
        )

    def bulk_create_event_appointments(self) -> Iterator[Any]:
        rows = [
            {"client": {"name": "Anna", "phone": "+37120000001", "email": "anna@example.com"}, "clients_count": 2},
            {"client": {"id": 77}, "clients_count": 1},
        ]
        for send_sms in (False, True):
            event_id = self.requester.event()
            yield self.client.bulk_create_event_appointments(self.location_id, event_id, rows, send_sms=send_sms)[0]

    def duplicate_event(self) -> Iterator[Any]:
        event_id = self.requester.event()
        dates = ["2040-06-01 10:00", "2040-06-08 10:00"]
        yield self.client.duplicate_event(self.location_id, event_id, dates)[0]
        dates = ["2040-06-15T10:00:00"]
        yield self.client.duplicate_event(self.location_id, event_id, dates, with_bookings=True, force=True)[0]

    def update_event_appointment(self) -> Iterator[Any]:
        ids = self._appointment()
        yield self.client.update_event_appointment(*ids, {"attendance_service_item": PRICE}, replace=True)
        full = {
            "attendance_service_item": {**PRICE, "is_trial": False},
            "comment": "of the contract",
            "label_ids": [],
            "color": "#9C27B0",
            "clients_count": 2,
            "attendance_good_items": [],
        }
        yield self.client.update_event_appointment(*ids, full, replace=True)

    def reschedule_event_appointment(self) -> Iterator[Any]:
        for choices in ({}, {"with_comer": False, "clients_count": 2}):
            yield self.client.reschedule_event_appointment(*self._appointment(), self.requester.event(), **choices)

    def delete_appointment(self) -> Iterator[Any]:
        location_id, _, record_id = self._appointment()
        yield self.client.delete_appointment(location_id, record_id)

    def _created(self, event: dict[str, Any]) -> Any:
        row = self.client.create_event(self.location_id, event)
        self.requester.made.append(row["id"])
        return row

    def _booked(self, event_id: int, appointment: dict[str, Any]) -> Any:
        return self.client.create_event_appointment(self.location_id, event_id, appointment)

    def _full_event(self) -> dict[str, Any]:
        return self.requester.event_body(
            date=f"{self.requester.target.day}T20:00:00+05:45",
            technical_break_duration=300,
            comment="c" * 255,
            instructions="i" * 500,
            stream_link="https://example.com/stream",
            color="#9C27B0",
            force=True,
        )

    def _appointment(self) -> tuple[int, int, int]:
        event_id = self.requester.event()
        return self.location_id, event_id, self.requester.appointment(event_id)


@pytest.fixture
def calls(client, requester) -> Calls:
    return Calls(client, requester)


@each_operation_of_the_client
def test_what_the_client_sends_and_gets_is_in_the_document(calls, client_tap, contract, operation):
    if operation.writes:
        calls.requester.demand_writing()
    results = list(getattr(calls, operation.name)())
    sent = [contract.operation_of(exchange) for exchange in client_tap.exchanges]
    assert set(sent) == {operation}
    assert len(sent) >= len(results)
    for result in results:
        match operation.name:
            case "list_activities" | "list_appointments":
                assert all(isinstance(row["id"], int) for row in result)
            case "delete_event" | "delete_appointment":
                assert result is None
            case _:
                assert isinstance(result["id"], int)


ERRORS = {
    "400": errors.AltegioValidationError,
    "401": errors.AltegioAuthError,
    "402": errors.AltegioAuthError,
    "403": errors.AltegioAuthError,
    "404": errors.AltegioNotFoundError,
    "409": errors.AltegioConflictError,
    "415": errors.AltegioValidationError,
    "422": errors.AltegioValidationError,
    "429": errors.AltegioRateLimitError,
    "5XX": errors.AltegioServerError,
}


@pytest.mark.parametrize(
    ("family", "operation", "status"),
    [
        pytest.param(one.family, one, status, id=f"{one.id}-{status}")
        for one in OPERATIONS.values()
        for status in one.statuses
        if not status.startswith("2") and one.name not in WITHOUT_CLIENT
    ],
    indirect=["family"],
)
def test_every_documented_refusal_is_an_error_of_its_own(client, sandbox, operation, status):
    sandbox.fault("status", status=int(status.replace("XX", "03")), errors={"clients_count": ["too many"]})
    with pytest.raises(ERRORS[status]) as caught:
        minimal_call(client, operation)
    error = caught.value
    assert (error.method, error.status) == (operation.method, int(status.replace("XX", "03")))
    assert error.message
    assert isinstance(error, errors.AltegioOutcomeUnknownError) is (status == "5XX" and operation.writes)
    if status == "422":
        assert error.errors == {"clients_count": ["too many"]}


@pytest.mark.parametrize("shape", ["object", "list", "top", "fields", "conflict"])
def test_the_client_reads_every_documented_shape_of_an_error(client, sandbox, shape):
    sandbox.fault("status", status=422, body=shape, errors={"date": ["is over"], "length": ["is odd", "is long"]})
    with pytest.raises(errors.AltegioValidationError) as caught:
        list(client.list_activities(1001, "2040-05-01", "2040-05-02"))
    assert caught.value.errors == {"date": ["is over"], "length": ["is odd", "is long"]}


def test_not_found_is_said_of_a_real_answer(client, target, memory):
    with pytest.raises(errors.AltegioNotFoundError):
        client.get_event(target.location_id, NOBODY)


def minimal_call(client: AltegioClient, operation: Operation) -> Any:
    """Call the client's method with what it takes at the least; nothing has to be there."""
    event = {"staff_id": 1, "service_id": 1, "date": "2040-05-01 10:00:00", "length": 300, "capacity": 1}
    calls: dict[str, Callable[[], Any]] = {
        "list_activities": lambda: list(client.list_activities(1001, "2040-05-01", "2040-05-02")),
        "create_event": lambda: client.create_event(1001, event),
        "get_event": lambda: client.get_event(1001, 1),
        "update_event": lambda: client.update_event(1001, 1, event),
        "delete_event": lambda: client.delete_event(1001, 1),
        "create_event_appointment": lambda: client.create_event_appointment(
            1001, 1, {"client": PERSON, "clients_count": 1}
        ),
        "list_appointments": lambda: list(client.list_appointments(1001)),
        "update_event_appointment": lambda: client.update_event_appointment(
            1001, 1, 2, {"attendance_service_item": PRICE}, replace=True
        ),
        "reschedule_event_appointment": lambda: client.reschedule_event_appointment(1001, 1, 2, 3),
        "delete_appointment": lambda: client.delete_appointment(1001, 2),
        "bulk_create_event_appointments": lambda: client.bulk_create_event_appointments(
            1001, 1, [{"client": {"id": 7}, "clients_count": 1}]
        ),
        "duplicate_event": lambda: client.duplicate_event(1001, 1, ["2040-06-01 10:00"]),
    }
    return calls[operation.name]()
