"""Whatever the client is given: it is taken, or one error names the argument before anything is sent."""

from __future__ import annotations

import datetime as dt
import decimal
import socket
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from altegio_provider.api import AltegioClient, RetryPolicy
from altegio_provider.api.errors import AltegioNotSentError, AltegioValidationError

DEEP: list[Any] = []
for _ in range(3000):
    DEEP = [DEEP]
HOSTILE: dict[str, Any] = {
    "none": None,
    "true": True,
    "negative": -1,
    "zero": 0,
    "fraction": 1.5,
    "nan": float("nan"),
    "inf": float("inf"),
    "1e308": 1e308,
    "huge": 10**400,
    "2**63": 2**63,
    "empty": "",
    "blank": " ",
    "word": "abc",
    "surrogate": "\ud800",
    "control": "a\x00\x1b",
    "5000 digits": "9" * 5000,
    "superscript": "²",
    "long": "x" * 100_000,
    "bytes": b"1",
    "list": [],
    "mapping": {},
    "list of none": [None],
    "list of text": ["\ud800"],
    "list of digits": ["9" * 5000],
    "list of 1e308": [1e308],
    "object": object(),
    "class": int,
    "year 1": dt.datetime.min,  # noqa: DTZ901
    "year 1 far east": dt.datetime.min.replace(tzinfo=dt.timezone(dt.timedelta(hours=14))),
    "year 9999": dt.datetime.max,  # noqa: DTZ901
    "text of year 1": "0001-01-01 00:00:00",
    "text of year 9999": "9999-12-31T23:59:59-12:00",
    "date": dt.date(2026, 11, 20),
    "timedelta": dt.timedelta.max,
    "decimal": decimal.Decimal("NaN"),
    "text of nan": "nan",
    "deep": DEEP,
    "deep mapping": {"code": "x", "value": DEEP},
    "list of deep mappings": [{"code": "x", "value": DEEP}],
    "set": {1},
}
EVENT = {"staff_id": 1, "service_id": 2, "date": "2026-11-20 18:00:00", "length": 3600, "capacity": 5}
OF_EVENT = (
    *EVENT,
    "resource_instance_ids",
    "label_ids",
    "technical_break_duration",
    "comment",
    "instructions",
    "color",
)
CLIENT = {"name": "Vera", "phone": "+13155550175"}
OF_CLIENT = ("name", "phone", "email", "surname", "gender", "id", "birthday", "agreements", "custom_field_values")
BOOKING = {"client": CLIENT, "clients_count": 1}
PRICE = {"cost_per_unit": 1, "discount_percent": 0, "manual_cost": 1}
CHANGE = {"attendance_service_item": PRICE}
RANGE = {"date_from": "2026-11-20", "date_to": "2026-11-21"}
PAGES = {"page_size": 5, "concurrency": 1, "timezone": "UTC"}
#: Operation to its arguments, and to whether it is listed lazily.
CALLS: dict[str, tuple[dict[str, Any], bool]] = {
    "list_activities": (
        {"location_id": 7, **RANGE, "staff_ids": [1], "service_ids": [1], "capacity": 1, "search": None, **PAGES},
        True,
    ),
    "get_event": ({"location_id": 7, "event_id": 1}, False),
    "create_event": ({"location_id": 7, "event": EVENT}, False),
    "update_event": ({"location_id": 7, "event_id": 1, "event": EVENT}, False),
    "delete_event": ({"location_id": 7, "event_id": 1}, False),
    "create_event_appointment": ({"location_id": 7, "event_id": 1, "appointment": BOOKING}, False),
    "event_appointments": ({"location_id": 7, "event_id": 1, "include": ("client",)}, True),
    "client_appointments_between": ({"location_id": 7, **RANGE, "include": ("client",)}, True),
    "appointments_starting_between": ({"location_id": 7, **RANGE, "include": ("client",), **PAGES}, True),
    "list_appointments": (
        {"location_id": 7, "event_id": 1, "client_id": 2, **RANGE, "include": ("client",), **PAGES},
        True,
    ),
    "update_event_appointment": ({"location_id": 7, "event_id": 1, "record_id": 1, "changes": CHANGE}, False),
    "reschedule_event_appointment": (
        {"location_id": 7, "event_id": 1, "record_id": 1, "to_event_id": 5, "with_comer": True, "clients_count": 1},
        False,
    ),
    "delete_appointment": ({"location_id": 7, "appointment_id": 1}, False),
}
WHOLE_BODIES = ("event", "appointment", "changes")
NOW = dt.datetime(2026, 11, 1, tzinfo=dt.UTC)


@pytest.fixture(scope="module")
def url() -> str:
    """Where nobody listens: what passes the checks ends in a refused connection."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}/api/v2"


@pytest.fixture
def client_with(url):
    """Make a client of one family, with some arguments of its own."""

    def make(**options: Any) -> AltegioClient:
        usual = {
            "base_url": url,
            "partner_token": "partner-token",
            "user_token": "user-token",
            "requests_per_second": 0,
            "requests_per_minute": 0,
            "retry": RetryPolicy(attempts=1),
            "now": lambda: NOW,
        }
        return AltegioClient(**{**usual, **options})

    return make


def outcome(call: Callable[[], Any], field: str, *, is_whole_body: bool = False) -> str | None:
    """What is wrong with how a hostile value is taken; ``None`` if nothing is."""
    try:
        call()
    except AltegioNotSentError as error:
        return None if "no connection" in str(error) else f"was not refused early: {error}"
    except AltegioValidationError as error:
        if is_whole_body or any(field in name.split(".") for name in error.errors):
            return None
        return f"the error does not name it: {error}"
    except BaseException as error:
        return f"{type(error).__name__}: {str(error)[:80]}"
    return "was taken, and no connection was tried"


@pytest.mark.parametrize("family", ["companies", "locations"])
@pytest.mark.parametrize("operation", CALLS)
def test_each_argument_of_an_operation(client_with, family, operation) -> None:
    arguments, is_lazy = CALLS[operation]
    with client_with(route_family=family) as client:
        if operation not in client._family.routes and not hasattr(AltegioClient, operation):
            pytest.skip("this family has no such operation")

        def call(**changed: Any) -> Any:
            result = getattr(client, operation)(**{**arguments, **changed})
            return list(result) if is_lazy else result

        if isinstance(call_refused := outcome(call, ""), str) and "route_family" in call_refused:
            pytest.skip("this family has no such operation")
        faults = {
            (argument, name): fault
            for argument in arguments
            for name, value in HOSTILE.items()
            if (
                fault := outcome(
                    lambda argument=argument, value=value: call(**{argument: value}),
                    argument,
                    is_whole_body=argument in WHOLE_BODIES,
                )
            )
        }
    assert faults == {}


@pytest.mark.parametrize("family", ["companies", "locations"])
def test_each_field_of_a_body(client_with, family) -> None:
    faults = {}
    with client_with(route_family=family) as client:
        bodies: dict[str, Callable[[str, Any], Any]] = {
            "event": lambda field, value: client.create_event(7, {**EVENT, field: value}),
            "booking": lambda field, value: client.create_event_appointment(7, 1, {**BOOKING, field: value}),
            "client": lambda field, value: client.create_event_appointment(
                7, 1, {**BOOKING, "client": {**CLIENT, field: value}}
            ),
        }
        fields = {
            "event": OF_EVENT,
            "booking": ("clients_count", "client_id", "comer_id", "comer"),
            "client": OF_CLIENT,
        }
        if family == "locations":
            bodies["change"] = lambda field, value: client.update_event_appointment(7, 1, 1, {**CHANGE, field: value})
            bodies["price"] = lambda field, value: client.update_event_appointment(
                7, 1, 1, {"attendance_service_item": {**PRICE, field: value}}
            )
            fields["change"] = ("comment", "label_ids", "color", "clients_count", "attendance_good_items")
            fields["price"] = tuple(PRICE)
        for body, send in bodies.items():
            for field in fields[body]:
                for name, value in HOSTILE.items():
                    fault = outcome(lambda send=send, field=field, value=value: send(field, value), field)
                    if fault:
                        faults[body, field, name] = fault
    assert faults == {}


OF_CLIENTS = (
    "base_url partner_token user_token route_family timezone requests_per_second requests_per_minute rate_limit_url "
    "timeout verify allow_http"
)


@pytest.mark.parametrize("argument", OF_CLIENTS.split())
def test_each_argument_of_the_client(client_with, argument, monkeypatch, tmp_path) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))

    def use(value: Any) -> None:
        with client_with(**{argument: value}) as client:
            client.get_event(7, 1)

    faults = {
        name: fault for name, value in HOSTILE.items() if (fault := outcome(lambda value=value: use(value), argument))
    }
    assert faults == {}


def test_numbers_of_other_libraries_are_numbers(client_with) -> None:
    with client_with() as client, pytest.raises(AltegioNotSentError, match="no connection"):
        client.get_event(np.int64(7), np.int32(1))


def test_an_error_repeats_little_of_what_was_given(client_with) -> None:
    with client_with() as client:
        for argument in ("date_from", "staff_ids", "search", "page_size", "timezone"):
            value = ["9" * 5000] if argument == "staff_ids" else "\ud800" + "9" * 5000
            arguments = {**CALLS["list_activities"][0], argument: value}
            with pytest.raises(AltegioValidationError) as caught:
                client.list_activities(**arguments)
            assert len(str(caught.value)) < 400
            str(caught.value).encode()
