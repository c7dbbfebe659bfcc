"""Answers that drip, never end, or unpack to more than anybody wants: each is given up, in time and within memory."""

from __future__ import annotations

import gzip
import itertools
import threading
import time
import tracemalloc
import zlib

import orjson
import pytest

from altegio_provider.api.errors import (
    AltegioConnectionError,
    AltegioConnectionOutcomeUnknownError,
    AltegioError,
    AltegioOutcomeUnknownError,
    AltegioResponseError,
    AltegioValidationError,
)
from tests.unit.api.scripted import Action, Conversation, answer, ok

EVENT = {"staff_id": 1, "service_id": 2, "date": "2026-11-20 18:00:00", "length": 3600, "capacity": 5}
JSON = "HTTP/1.1 200 OK\r\nContent-Type: application/json"
MEBIBYTE = 2**20
#: An answer has 64 MiB at the most.
MOST_MEMORY = 96


def drip(first: bytes, again: bytes) -> Action:
    """Send something, then a little of something else every now and then, without end."""

    def act(conversation: Conversation) -> None:
        conversation.connection.sendall(first)
        while not conversation.closing.wait(0.02):
            conversation.connection.sendall(again)

    return act


def pour(first: bytes, again: bytes) -> Action:
    """Send something, then much of something else, without end."""

    def act(conversation: Conversation) -> None:
        conversation.connection.sendall(first)
        while not conversation.closing.is_set():
            conversation.connection.sendall(again)

    return act


DRIPS = {
    "head": (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "continue": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "body": (f"{JSON}\r\nContent-Length: 100000\r\n\r\n".encode(), b" "),
    "body without end": (f"{JSON}\r\nConnection: close\r\n\r\n".encode(), b" "),
    "chunks": (f"{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n".encode(), b"1\r\n \r\n"),
    "chunk size": (f"{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n".encode(), b"0"),
    "trailers": (f"{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{{}}\r\n0\r\n".encode(), b"X: y\r\n"),
}


@pytest.mark.parametrize("parts", DRIPS.values(), ids=DRIPS)
def test_an_answer_that_drips_is_given_up_after_the_timeout(server, new_client, parts) -> None:
    server.otherwise = drip(*parts)
    client = new_client(server.url, timeout=0.25, retry={"attempts": 1})
    began = time.monotonic()
    with pytest.raises(AltegioError) as caught:
        client.get_event(7, 1)
    assert isinstance(caught.value, AltegioConnectionError | AltegioResponseError)
    with pytest.raises(AltegioOutcomeUnknownError):
        client.create_event(7, EVENT)
    assert 0.5 <= time.monotonic() - began < 2
    assert len(server.requests) == 2


def test_an_answer_that_drips_through_tls_is_given_up_after_the_timeout(tls_server, new_client, certificate) -> None:
    tls_server.otherwise = drip(*DRIPS["body"])
    began = time.monotonic()
    with pytest.raises(AltegioResponseError, match="in time"):
        new_client(tls_server.url, verify=str(certificate), timeout=0.25, retry={"attempts": 1}).get_event(7, 1)
    assert time.monotonic() - began < 1.5


def test_an_answer_in_many_parts_within_the_timeout_is_taken(server, new_client) -> None:
    body = orjson.dumps({"data": {"id": 1}})

    def act(conversation: Conversation) -> None:
        conversation.send(f"{JSON}\r\nContent-Length: {len(body)}")
        for part in itertools.batched(body, 4) if hasattr(itertools, "batched") else (body[:9], body[9:]):
            conversation.connection.sendall(bytes(part))
            time.sleep(0.01)

    server.otherwise = act
    client = new_client(server.url, timeout=2)
    assert [client.get_event(7, 1), client.create_event(7, EVENT)] == [{"id": 1}] * 2
    assert server.connections == 1


def test_a_refusal_whose_text_drips_is_a_refusal(server, new_client) -> None:
    server.otherwise = drip(b"HTTP/1.1 422 Unprocessable Content\r\nContent-Length: 9999\r\n\r\n{", b" ")
    with pytest.raises(AltegioValidationError, match="422"):
        new_client(server.url, timeout=0.2).create_event(7, EVENT)
    assert len(server.requests) == 1


def test_the_time_that_the_limits_store_takes_is_not_the_answers(server, new_transport, clock) -> None:
    """The store hangs for longer than the time-out when it is told that the bytes are gone."""
    transport = new_transport(server.url, timeout=0.2)
    sent = transport._limiter.mark_sent

    def slow(place) -> None:
        sent(place)
        time.sleep(0.4)

    transport._limiter.mark_sent = slow
    assert transport.request("POST", "/companies/7/activities", body={})["data"] == {"id": 1}


ENDLESS = {
    "plain": pour(f"{JSON}\r\n\r\n".encode(), b" " * MEBIBYTE),
    "long": pour(f"{JSON}\r\nContent-Length: {2**40}\r\n\r\n".encode(), b" " * MEBIBYTE),
    "chunks": pour(f"{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n".encode(), b"100000\r\n" + b" " * MEBIBYTE + b"\r\n"),
    "chunk size": pour(f"{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n".encode(), b"0" * MEBIBYTE),
    "trailers": pour(f"{JSON}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n".encode(), b"X" * 60_000 + b": y\r\n"),
    "head": pour(b"HTTP/1.1 200 OK\r\n", b"X: y\r\n" * 1000),
    "continue": pour(b"", b"HTTP/1.1 100 Continue\r\nX: " + b"y" * 60_000 + b"\r\n\r\n"),
}
ZEROS = gzip.compress(bytes(16 * MEBIBYTE)) * 64  # a gigabyte
PACKED = {
    "gzip": ("gzip", ZEROS),
    "deflate": ("deflate", zlib.compress(bytes(256 * MEBIBYTE), 9)),
    "gzip in gzip": ("gzip, gzip", gzip.compress(gzip.compress(bytes(MEBIBYTE)))),
    "brotli": ("br", b"anything"),
    "zstd": ("zstd", b"anything"),
    "no gzip": ("gzip", b"no gzip at all"),
    "half a gzip": ("gzip", gzip.compress(b'{"data": {"id": 1}}')[:-15]),
}


def packed(encoding: str, body: bytes, status: int = 200) -> Action:
    return answer(status, body, headers=[("Content-Encoding", encoding)])


@pytest.fixture
def peak():
    """The most memory in MiB that Python's objects took in this test; a server of the test has a MiB or two."""
    tracemalloc.start()
    yield lambda: tracemalloc.get_traced_memory()[1] / MEBIBYTE
    tracemalloc.stop()


@pytest.mark.parametrize("action", ENDLESS.values(), ids=ENDLESS)
def test_an_answer_without_end_is_given_up_within_bounds(server, new_client, peak, action) -> None:
    server.otherwise = action
    client = new_client(server.url, timeout=20, retry={"attempts": 3})
    with pytest.raises(AltegioError) as caught:
        client.create_event(7, EVENT)
    assert isinstance(caught.value, AltegioOutcomeUnknownError)
    assert len(server.requests) == 1
    assert peak() < MOST_MEMORY


@pytest.mark.parametrize(("encoding", "body"), PACKED.values(), ids=PACKED)
def test_a_packed_answer_unpacks_to_so_much_and_no_more(server, new_client, peak, encoding, body) -> None:
    server.otherwise = packed(encoding, body)
    client = new_client(server.url, retry={"attempts": 1})
    with pytest.raises(AltegioResponseError):
        client.get_event(7, 1)
    with pytest.raises(AltegioOutcomeUnknownError):
        client.create_event(7, EVENT)
    assert peak() < MOST_MEMORY
    server.otherwise = packed(encoding, body, 422)
    with pytest.raises(AltegioValidationError):
        client.create_event(7, EVENT)


def test_too_long_a_page_is_not_asked_for_again_and_says_what_to_do(server, new_client, waits) -> None:
    server.otherwise = packed("gzip", ZEROS)
    with pytest.raises(AltegioResponseError, match=r"longer than 64 MiB.*page_size"):
        list(new_client(server.url).list_activities(7, "2026-11-20", "2026-11-21"))
    assert (len(server.requests), waits) == (1, [])


@pytest.mark.parametrize("pack", [gzip.compress, zlib.compress])
def test_a_packed_answer_is_unpacked(server, client, pack) -> None:
    encoding = "gzip" if pack is gzip.compress else "deflate"
    server.otherwise = packed(encoding, pack(b'{"data": {"id": 1}}'))
    assert client.get_event(7, 1) == {"id": 1}
    assert set(server.requests[0].headers["accept-encoding"].split(", ")) == {"gzip", "deflate"}
    client.get_event(7, 1)
    assert server.connections == 1


def test_a_connection_whose_answer_was_given_up_is_not_used_again(server, new_client) -> None:
    server.script(drip(*DRIPS["body"]))
    client = new_client(server.url, timeout=0.2)
    assert client.get_event(7, 1) == {"id": 1}
    assert (len(server.requests), server.connections) == (2, 2)


def test_threads_have_deadlines_of_their_own(server, new_client) -> None:
    def act(conversation: Conversation) -> None:
        (drip(*DRIPS["body"]) if conversation.request.path.endswith("/1") else ok())(conversation)

    server.otherwise = act
    client = new_client(server.url, timeout=0.4, retry={"attempts": 1})
    failed: list[AltegioError] = []

    def ask() -> None:
        try:
            client.get_event(7, 1)
        except AltegioError as error:
            failed.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    began = time.monotonic()
    while thread.is_alive():
        assert client.get_event(7, 2) == {"id": 1}
    assert time.monotonic() - began < 2
    assert isinstance(failed[0], AltegioResponseError)


def test_a_post_without_any_answer_is_in_doubt(server, new_client) -> None:
    server.otherwise = drip(b"", b"")
    with pytest.raises(AltegioConnectionOutcomeUnknownError):
        new_client(server.url, timeout=0.2).create_event(7, EVENT)
