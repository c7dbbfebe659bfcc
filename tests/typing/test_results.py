"""The types of results: mypy reads this file with the package (`make check`), and pytest runs it."""

from __future__ import annotations

import doctest
from collections.abc import Iterator
from typing import TYPE_CHECKING, assert_type

from altegio_provider.api import types
from altegio_provider.api.types import Appointment, Client, Event, Service

if TYPE_CHECKING:
    from altegio_provider.api import AltegioClient
    from altegio_provider.hooks.altegio import AltegioHook


def test_the_examples_of_the_types_are_true() -> None:
    results = doctest.testmod(types)
    assert results.attempted >= len(types.__all__)
    assert results.failed == 0


def test_every_type_has_an_example() -> None:
    for name in types.__all__:
        assert ">>>" in (getattr(types, name).__doc__ or ""), name


def check_client(client: AltegioClient) -> None:
    """Not run: its types are checked."""
    for event in client.list_activities(1001, "2026-11-20", "2026-11-21"):
        assert_type(event, Event)
        assert_type(event["capacity"], int)
        assert_type(event["service"], Service)
        assert_type(event["service"].get("price_min"), float | None)
    assert_type(client.list_activities(1001, "2026-11-20", "2026-11-21"), Iterator[Event])
    assert_type(client.get_event(1001, 1), Event)
    assert_type(client.create_event(1001, {}), Event)
    assert_type(client.update_event(1001, 1, {}), Event)
    assert_type(client.create_event_appointment(1001, 1, {}), Appointment)
    assert_type(client.update_event_appointment(1001, 1, 2, {}), Appointment)
    assert_type(client.reschedule_event_appointment(1001, 1, 2, 3), Appointment)
    assert_type(client.list_appointments(1001), Iterator[Appointment])
    for appointment in client.event_appointments(1001, 1):
        assert_type(appointment["client"], Client)
        assert_type(appointment["client"].get("phone"), str | None)


def check_hook(hook: AltegioHook) -> None:
    """Not run: its types are checked."""
    assert_type(hook.get_event(None, 1), Event)
    assert_type(hook.list_activities(None, "2026-11-20", "2026-11-21"), Iterator[Event])
    assert_type(hook.create_event_appointment(None, 1, {}), Appointment)
    assert_type(hook.list_appointments(), Iterator[Appointment])
