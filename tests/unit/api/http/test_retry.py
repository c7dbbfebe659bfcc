"""What is tried again, how often, after how long; and what is sent once and never again."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from altegio_provider.api.errors import (
    AltegioConflictError,
    AltegioConnectionError,
    AltegioConnectionOutcomeUnknownError,
    AltegioError,
    AltegioNotSentError,
    AltegioOutcomeUnknownError,
    AltegioRateLimitError,
    AltegioResponseError,
    AltegioResponseOutcomeUnknownError,
    AltegioServerError,
    AltegioServerOutcomeUnknownError,
    AltegioValidationError,
)
from altegio_provider.api.http.retry import RetryPolicy, is_retryable
from altegio_provider.api.ratelimit.limiter import Rate
from tests.unit.api.scripted import answer, chunks_cut_off, cut_off, empty, hang_up, ok, page, reset

SAYS_NO = answer(200, {"success": False, "data": None, "meta": {"message": "no"}})
FAULTS = {
    "500 JSON": (answer(500, {"success": False, "meta": {"message": "broken"}}), AltegioServerError),
    "502 HTML": (page(502), AltegioServerError),
    "503 empty": (empty(503), AltegioServerError),
    "504": (answer(504, "upstream timed out"), AltegioServerError),
    "reset": (reset, AltegioConnectionError),
    "hung up": (hang_up, AltegioConnectionError),
    "cut off": (cut_off, AltegioResponseError),
    "chunks cut off": (chunks_cut_off, AltegioResponseError),
    "broken JSON": (answer(200, '{"success": true, "data": {"id"'), AltegioResponseError),
    "a list": (answer(200, [1]), AltegioResponseError),
    "a text": (answer(200, "fine"), AltegioResponseError),
    "success false": (SAYS_NO, AltegioResponseError),
    "HTML": (page(200), AltegioResponseError),
    "empty": (empty(200), AltegioResponseError),
    "null": (answer(200, "null"), AltegioResponseError),
    "no data": (answer(200, {"success": True, "data": None, "meta": []}), AltegioResponseError),
    "408": (answer(408, ""), AltegioResponseError),
}
UNKNOWN = {
    AltegioServerError: AltegioServerOutcomeUnknownError,
    AltegioConnectionError: AltegioConnectionOutcomeUnknownError,
    AltegioResponseError: AltegioResponseOutcomeUnknownError,
}
#: What a DELETE is answered with when all is well.
GOOD_FOR_A_DELETE = ("empty", "null", "no data")


@pytest.fixture(params=list(FAULTS))
def fault(request):
    return FAULTS[request.param]


def test_a_get_is_repeated_after_each_fault_until_it_succeeds(server, client, waits, fault) -> None:
    action, _ = fault
    server.script(action, action, ok({"id": 5}))
    assert client.get_event(7, 5) == {"id": 5}
    assert server.seen == ["GET /api/v2/companies/7/activities/5"] * 3
    assert (len(waits), client.stats.retries, client.stats.requests) == (2, 2, 3)


def test_a_get_is_given_up_after_so_many_attempts(server, new_client, waits, fault) -> None:
    action, leaf = fault
    server.otherwise = action
    with pytest.raises(leaf, match=r"Tried 3 times\.") as caught:
        new_client(server.url, retry={"attempts": 3}).get_event(7, 5)
    assert caught.value.attempts == len(server.requests) == 3
    assert caught.value.transient
    assert not isinstance(caught.value, AltegioOutcomeUnknownError)
    assert len(waits) == 2


@pytest.mark.parametrize(
    ("method", "name"),
    [
        (method, name)
        for method in ("POST", "PUT", "PATCH", "DELETE")
        for name in FAULTS
        if not (method == "DELETE" and name in GOOD_FOR_A_DELETE)
    ],
)
def test_a_write_is_sent_exactly_once_whatever_becomes_of_its_answer(
    server, new_transport, waits, clock, method, name
) -> None:
    action, leaf = FAULTS[name]
    server.otherwise = action
    with pytest.raises(UNKNOWN[leaf], match="look before you send it again") as caught:
        new_transport(server.url).request(method, "/companies/7/activities", body=None if method == "DELETE" else {})
    assert len(server.requests) == 1
    assert (waits, clock.waited) == ([], [])
    assert not caught.value.transient
    assert caught.value.attempts == 1
    assert (caught.value.method, caught.value.path) == (method, "/companies/7/activities")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
def test_whatever_was_answered_429_is_repeated(server, new_transport, waits, method) -> None:
    server.script(answer(429, ""), page(429), ok({"id": 5}))
    transport = new_transport(server.url)
    assert transport.request(method, "/companies/7/activities", body={})["data"] == {"id": 5}
    assert len(server.requests) == 3
    assert len({request.content for request in server.requests}) == 1
    assert (transport.stats.retries, transport.stats.rate_limited, len(waits)) == (2, 2, 2)


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 409, 422])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_what_the_api_refused_is_not_repeated(server, new_transport, waits, status, method) -> None:
    server.otherwise = answer(status, {"success": False, "data": None, "meta": {"message": "no"}})
    with pytest.raises(AltegioError) as caught:
        new_transport(server.url).request(method, "/companies/7/activities", body={})
    assert not isinstance(caught.value, AltegioOutcomeUnknownError)
    assert not caught.value.transient
    assert (len(server.requests), waits) == (1, [])


def http_date_in(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("retry_after", "least", "most"),
    [
        # A number stands for the HTTP date in so many seconds.
        ("3", 3, 3.5),
        ("0", 0, 0.5),
        ("2.5", 2.5, 3),
        (" 3 ", 3, 3.5),
        (60, 40, 60.5),
        (-60, 0, 0.5),
        ("-5", 0, 0.5),
        ("86400", 120, 120.5),
        ("1e300", 120, 120.5),
        (86400, 120, 120.5),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 120, 120.5),
        # Nothing that can be read: the usual backoff.
        (None, 0.5, 1),
        ("", 0.5, 1),
        ("soon", 0.5, 1),
        ("inf", 0.5, 1),
        ("nan", 0.5, 1),
        ("1e999", 0.5, 1),
        ("Fri, 99 Foo 2026 00:00:00 GMT", 0.5, 1),
    ],
)
def test_retry_after_is_followed_in_either_form_and_never_for_long(
    server, new_transport, waits, clock, retry_after, least, most
) -> None:
    if isinstance(retry_after, int):
        retry_after = http_date_in(retry_after)
    headers = [] if retry_after is None else [("Retry-After", retry_after)]
    server.script(answer(429, "", headers=headers))
    new_transport(server.url).request("GET", "/companies/7/activities/5")
    (waited,) = waits
    assert least <= waited <= most
    # Whoever shares the limit waits as long.
    assert clock.waited == ([] if waited == 0 else pytest.approx([waited]))


def test_a_429_pauses_whoever_shares_the_limit_though_the_request_is_given_up(server, new_transport, clock) -> None:
    first, second = new_transport(server.url, retry={"attempts": 1}), new_transport(server.url)
    server.script(answer(429, "", headers=[("Retry-After", "7")]))
    with pytest.raises(AltegioRateLimitError, match="7 s") as caught:
        first.request("POST", "/companies/7/activities", body={})
    assert caught.value.retry_after == 7
    second.request("GET", "/companies/7/activities/5")
    assert clock.waited == pytest.approx([7.0])


def test_waits_double_up_to_the_longest_one(server, new_client, waits) -> None:
    server.otherwise = page(502)
    client = new_client(server.url, retry={"attempts": 8, "first_wait": 1.0, "max_wait": 10.0})
    with pytest.raises(AltegioServerError):
        client.get_event(7, 5)
    assert len(waits) == 7
    for waited, least in zip(waits, [1, 2, 4, 8, 10, 10, 10], strict=True):
        assert least <= waited <= least + 1


def test_no_attempt_begins_after_the_total_time(server, new_client) -> None:
    server.otherwise = page(502)
    retry = {"attempts": 1000, "first_wait": 0.02, "max_wait": 0.02, "total_seconds": 0.3, "sleep": time.sleep}
    started = time.monotonic()
    with pytest.raises(AltegioServerError):
        new_client(server.url, retry=retry).get_event(7, 5)
    assert time.monotonic() - started < 3
    assert 2 < len(server.requests) < 20
    assert server.requests[-1].at - server.requests[0].at < 0.35


def test_a_wait_that_would_end_after_the_total_time_is_not_begun(server, new_client, waits) -> None:
    server.otherwise = answer(429, "", headers=[("Retry-After", "100")])
    with pytest.raises(AltegioRateLimitError):
        new_client(server.url, retry={"total_seconds": 60.0}).get_event(7, 5)
    assert (len(server.requests), waits) == (1, [])


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (AltegioServerError("5xx", method="GET"), True),
        (AltegioConnectionError("reset", method="GET"), True),
        (AltegioResponseError("HTML", method="GET"), True),
        (AltegioServerError("5xx", method="POST"), False),
        (AltegioConnectionError("reset", method="PUT"), False),
        (AltegioResponseError("HTML", method="DELETE"), False),
        (AltegioRateLimitError("429", method="POST"), True),
        (AltegioNotSentError("refused", method="POST"), True),
        (AltegioServerOutcomeUnknownError("5xx", method="POST"), False),
        (AltegioConnectionOutcomeUnknownError("reset", method="GET"), False),
        (AltegioResponseOutcomeUnknownError("HTML", method="PATCH"), False),
        (AltegioValidationError("422", method="GET"), False),
        (AltegioConflictError("409", method="POST"), False),
        (AltegioConnectionError("no request at all"), False),
        (ValueError("a mistake of ours"), False),
        (KeyboardInterrupt(), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, BaseException) else str(value),
)
def test_the_decision_looks_at_the_class_alone(error, expected) -> None:
    assert is_retryable(error) is expected


def test_an_error_of_another_kind_ends_the_loop_as_it_is() -> None:
    calls = []

    def fail() -> None:
        calls.append(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        RetryPolicy(sleep=lambda _: None).call(fail, lambda *_: None)
    assert calls == [1]


def test_each_attempt_takes_a_place_in_the_limit(server, new_transport, clock) -> None:
    server.script(page(502), page(502))
    new_transport(server.url, rates=[Rate(1, 10.0)]).request("GET", "/companies/7/activities/5")
    assert clock.waited == pytest.approx([10.0, 10.0])
