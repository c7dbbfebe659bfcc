"""The fixture ``altegio_sandbox``, for the tests of whoever installs the package.

::

    def test_my_dag(altegio_sandbox, monkeypatch):
        monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", altegio_sandbox.airflow_connection(timezone="Europe/Riga"))
        altegio_sandbox.fault("status", status=503, times=2)
        ...
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from altegio_provider.sandbox.server import SandboxServer

__all__ = ["RunningSandbox"]

_JSON = {"Content-Type": "application/json"}


class RunningSandbox:
    """A running sandbox and its control plane, from Python."""

    def __init__(self, server: SandboxServer) -> None:
        self._server = server
        #: The base URL, with ``/api/v2``.
        self.url = server.url
        self.partner_token = server.sandbox.partner_token
        self.user_token = server.sandbox.user_token

    def airflow_connection(self, **extra: Any) -> str:
        """An Airflow connection as JSON, without limits unless ``extra`` says so."""
        settings = {"user_token": self.user_token, "requests_per_second": 0, "requests_per_minute": 0, **extra}
        return json.dumps({"conn_type": "altegio", "host": self.url, "password": self.partner_token, "extra": settings})

    def fault(self, effect: str, **rule: Any) -> None:
        """Add a fault: see ``docs/sandbox.md`` for effects and rules."""
        self._call("POST", "/faults", {"effect": effect, **rule})

    def clear_faults(self) -> None:
        """Take all faults away."""
        self._call("DELETE", "/faults")

    def switch(self, **switches: Any) -> None:
        """Imitate another server until the next reset: ``server="older"``, or single points of it."""
        self._call("POST", "/switches", switches)

    def add_location(self, number: int, **fields: Any) -> None:
        """Add a location that holds only what it is given."""
        self._call("POST", "/locations", {"id": number, **fields})

    def add_events(self, location_id: int, rows: list[dict[str, Any]]) -> list[int]:
        """Add events and return their ids; one that is there is an error.

        :param rows: ``date`` on the wall clock, and any of ``id``, ``staff_id`` ...
        """
        ids: list[int] = self._call("POST", "/events", [{"location_id": location_id, **row} for row in rows])["ids"]
        return ids

    def replace_events(self, location_id: int, rows: list[dict[str, Any]]) -> None:
        """Put events in the place of those with the same ``id``, behind the API's back: moved, fuller, alive again."""
        self._call("PUT", "/events", [{"location_id": location_id, **row} for row in rows])

    def delete_event(self, location_id: int, event_id: int) -> None:
        """Delete an event behind the API's back."""
        self._call("DELETE", f"/events/{location_id}/{event_id}")

    def add_appointments(self, location_id: int, rows: list[dict[str, Any]]) -> list[int]:
        """Add bookings behind the API's back and return their ids.

        :param rows: ``event_id``, and any of ``client``, ``clients_count``, ``label_ids``, ``goods``, ``paid_full`` ...
        """
        given = [{"location_id": location_id, **row} for row in rows]
        ids: list[int] = self._call("POST", "/appointments", given)["ids"]
        return ids

    def truth(self, location_id: int) -> dict[str, Any]:
        """What is really there: ``events`` (deleted ones too), ``appointments``, ``cancelled`` ones, ``messages``."""
        return dict(self._call("GET", f"/truth/{location_id}"))

    def stats(self) -> dict[str, Any]:
        """What it has seen: ``requests``, ``answers``, ``limited`` (429s) and ``arrivals`` (monotonic seconds)."""
        return dict(self._call("GET", "/stats"))

    def reset(self, **settings: Any) -> None:
        """Begin anew; ``per_second``, ``per_minute``, ``latency_seconds``, ``retry_after`` and ``seed`` may be set."""
        self._call("POST", "/reset", settings)

    def advance(self, seconds: float) -> None:
        """Let so many seconds pass at once: for limits, for late effects, for a client's number that comes late."""
        self._call("POST", "/clock", {"advance_seconds": seconds})

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        from http.client import HTTPConnection
        from urllib.parse import urlsplit

        address = urlsplit(self._server.root)
        connection = HTTPConnection(address.hostname or "", address.port, timeout=30)
        try:
            connection.request(method, f"/_sandbox{path}", None if body is None else json.dumps(body), _JSON)
            answer = connection.getresponse()
            content = json.loads(answer.read())
        finally:
            connection.close()
        if answer.status != 200:
            raise ValueError(content.get("message"))
        return content


@pytest.fixture(scope="session")
def _altegio_sandbox_server() -> Iterator[SandboxServer]:
    from altegio_provider.sandbox.server import SandboxServer

    with SandboxServer() as server:
        yield server


@pytest.fixture
def altegio_sandbox(_altegio_sandbox_server: SandboxServer) -> RunningSandbox:
    """A sandbox with fresh data, no faults, and no limits."""
    running = RunningSandbox(_altegio_sandbox_server)
    running.reset(seed=1, per_second=0, per_minute=0, latency_seconds=0, retry_after="seconds")
    return running
