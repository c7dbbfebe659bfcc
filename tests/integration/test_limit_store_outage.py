"""The Redis of the limit fails in the middle of an import or of a single call: nobody is booked twice or left out.

The server of these tests is a real socket that books whatever it is sent.
"""

from __future__ import annotations

import json
import socket
import ssl
import threading
import time
from collections import Counter
from zoneinfo import ZoneInfo

import pytest

from altegio_provider.api import AltegioClient, RetryPolicy
from altegio_provider.api.errors import AltegioNotSentError
from altegio_provider.api.writes.create_once import create_event_once
from altegio_provider.compat import AirflowException, AirflowFailException
from altegio_provider.imports.engine.booking_once import book_once
from altegio_provider.imports.engine.bookings import BookingImport
from altegio_provider.imports.engine.file_import import ImportOptions
from altegio_provider.imports.engine.row_store import RowStore, Status
from altegio_provider.imports.files.open_source import rows_source
from altegio_provider.imports.ledger.ledger import Ledger
from altegio_provider.operators import bulk_run
from altegio_provider.operators.appointments import AltegioCreateAppointmentsOperator
from altegio_provider.operators.events import AltegioCreateEventAppointmentOperator
from tests.services import PrivateRedis, private_redis
from tests.unit.api.scripted import Conversation, ScriptedServer, ok, self_signed

PHONES = [f"+3712000000{number}" for number in range(5)]
ROWS = [
    {"name": f"Client{number}", "surname": "Ozols", "email": f"client{number}@example.com", "phone": phone}
    for number, phone in enumerate(PHONES)
]
ONCE = {phone.lstrip("+"): 1 for phone in PHONES}
BOOKING = {"client": {"name": "Anna", "phone": PHONES[0]}, "clients_count": 1}
EVENT = {"staff_id": 1, "service_id": 2, "date": "2030-11-20 18:00:00", "length": 3600, "capacity": 5, "force": True}


class Bookings:
    """What a server was sent, and what it does at the n-th of it, before it answers."""

    def __init__(self) -> None:
        self.seen: Counter[str] = Counter()
        self.at: dict[int, object] = {}

    def __call__(self, conversation: Conversation) -> None:
        if conversation.request.method == "GET":
            ok([])(conversation)
            return
        body = conversation.request.json
        self.seen[body.get("client", {}).get("phone", "an event").lstrip("+")] += 1
        number = self.seen.total()
        self.at.get(number, lambda: None)()
        ok({"id": 100 + number, "activity_id": 5, "clients_count": 1})(conversation)


@pytest.fixture
def store():
    with private_redis() as server:
        yield server


@pytest.fixture
def bookings() -> Bookings:
    return Bookings()


@pytest.fixture
def server(bookings):
    server = ScriptedServer()
    server.otherwise = bookings
    yield server
    server.close()


@pytest.fixture
def client(server, store):
    with client_of(server.url, store) as client:
        yield client


def client_of(url: str, store: PrivateRedis) -> AltegioClient:
    policy = RetryPolicy(sleep=lambda _: None, attempts=3)
    return AltegioClient(url, "partner", "user", rate_limit_url=store.url, retry=policy, requests_per_second=50)


def run(client, folder, **options):
    with Ledger(f"sqlite:///{folder / 'ledger.db'}", 7, "booking") as ledger, RowStore() as store:
        given = ImportOptions(event_id=5, check_seats=False, concurrency=1, settle_seconds=0.05, **options)
        work = BookingImport(client, 7, ZoneInfo("UTC"), store, ledger, given)
        return work.run(rows_source(list(ROWS[0]), ROWS)), +Counter(store.counts())


@pytest.mark.parametrize("max_rejected", [0, 1.0])
def test_what_an_outage_kept_from_being_sent_is_sent_by_the_next_run(
    client, server, store, bookings, tmp_path, max_rejected
) -> None:
    bookings.at[2] = store.stop
    halt, counts = run(client, tmp_path, max_rejected=max_rejected)
    assert counts == Counter({Status.CREATED: 2, Status.NOT_SENT: 3})
    assert halt is not None
    assert halt.retryable
    with pytest.raises(AirflowException, match="rate limit") as caught:
        bulk_run.raise_if_halted(halt, counts, {})
    assert not isinstance(caught.value, AirflowFailException)
    store.start()
    halt, counts = run(client, tmp_path, max_rejected=max_rejected)
    assert (halt, counts) == (None, Counter({Status.ALREADY_CREATED: 2, Status.CREATED: 3}))
    assert bookings.seen == ONCE


def test_a_password_that_redis_refuses_ends_the_import_with_nothing_rejected(server, bookings, tmp_path) -> None:
    with private_redis("--requirepass", "right") as store, client_of(server.url, store) as client:
        halt, counts = run(client, tmp_path, max_rejected=1.0)
    assert counts == Counter({Status.NOT_SENT: 5})
    assert not halt.retryable
    assert "password" in halt.reason
    assert not bookings.seen


def test_redis_stops_between_the_place_and_the_bytes_and_the_operator_books_each_client_once(
    store, bookings, tmp_path, monkeypatch, caplog
) -> None:
    """The second connection is made while a request has its place already: there Redis stops."""
    certificate = self_signed(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    connections = []

    def greet(connection) -> None:
        connections.append(connection)
        if len(connections) == 2:
            store.stop()
            time.sleep(0.02)  # longer than a place is taken to be fresh

    server = ScriptedServer(tls=context, greet=greet)

    def book(conversation: Conversation) -> None:
        bookings(conversation)
        if bookings.seen.total() == 1:  # while the next request waits for its place
            threading.Timer(0.5, conversation.connection.shutdown, [socket.SHUT_RDWR]).start()

    server.otherwise = book
    bookings.at[2] = threading.Timer(0.2, store.start).start
    extra = {"user_token": "user", "location_id": 7, "rate_limit_url": store.url, "requests_per_second": 1}
    connection = {"conn_type": "altegio", "host": server.url, "password": "partner"}
    monkeypatch.setenv(
        "AIRFLOW_CONN_ALTEGIO_DEFAULT", json.dumps({**connection, "extra": {**extra, "verify": str(certificate)}})
    )
    try:
        summary = AltegioCreateAppointmentsOperator(
            task_id="book",
            source=ROWS[:3],
            event_id=5,
            check_seats=False,
            concurrency=1,
            ledger_url=f"sqlite:///{tmp_path / 'ledger.db'}",
        ).execute({})
    finally:
        server.close()
    assert len(connections) >= 2
    assert "A request was sent later than its slot" in caplog.text
    assert (summary["created"], summary["rejected"]) == (3, 0)
    assert bookings.seen == dict.fromkeys(list(ONCE)[:3], 1)


@pytest.mark.parametrize(
    "call",
    [
        lambda client: book_once(client, 7, 5, BOOKING, sleep=lambda _: None),
        lambda client: create_event_once(client, 7, EVENT, sleep=lambda _: None),
    ],
    ids=["booking", "event"],
)
class TestSingleCalls:
    def test_redis_stops_after_the_bytes(self, client, store, server, bookings, monkeypatch, caplog, call) -> None:
        looks = 0

        def clock() -> float:
            """Three looks a request, the last one after its bytes; each place is late, for a second passes between."""
            nonlocal looks
            looks += 1
            while looks % 3 == 0 and len(server.requests) < looks // 3:
                time.sleep(0.001)
            if looks % 3 == 0 and server.requests[-1].method == "POST":
                store.stop()
            return float(looks)

        monkeypatch.setattr(client._transport._limiter, "_clock", clock)
        assert call(client)["id"] == 101
        assert bookings.seen.total() == 1
        assert "A request was sent later than its slot" in caplog.text

    def test_redis_is_down_before_the_bytes(self, client, store, bookings, call) -> None:
        store.stop()
        with pytest.raises(AltegioNotSentError) as caught:
            call(client)
        assert caught.value.transient
        assert not bookings.seen


def test_a_single_call_that_was_not_sent_may_be_tried_again_by_airflow(store, server, bookings, monkeypatch) -> None:
    monkeypatch.setattr("time.sleep", lambda _: None)
    extra = {"user_token": "user", "location_id": 7, "rate_limit_url": store.url}
    connection = {"conn_type": "altegio", "host": server.url, "password": "partner", "extra": extra}
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", json.dumps(connection))
    operator = AltegioCreateEventAppointmentOperator(task_id="book", event_id=5, appointment=BOOKING)
    store.stop()
    with pytest.raises(AltegioNotSentError):
        operator.execute({})
    store.start()
    assert operator.execute({})["id"] == 101
    assert bookings.seen.total() == 1
