"""Whatever an answer holds: a document, or the reader's own error; a clear refusal stays one."""

from __future__ import annotations

import json
from contextlib import suppress

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from altegio_provider.api.errors import (
    AltegioAuthError,
    AltegioConflictError,
    AltegioNotFoundError,
    AltegioOutcomeUnknownError,
    AltegioRateLimitError,
    AltegioResponseError,
    AltegioServerError,
    AltegioValidationError,
)
from altegio_provider.api.http.responses import read_response, retry_after_seconds
from altegio_provider.api.paging.chain import RowIds
from altegio_provider.api.rows import parse_page, parse_resource
from altegio_provider.common.location_time import LocationClock, load_zone

METHODS = st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE"])
CLEAR = {
    401: AltegioAuthError,
    404: AltegioNotFoundError,
    409: AltegioConflictError,
    422: AltegioValidationError,
    429: AltegioRateLimitError,
}
SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=20)
    | st.sampled_from(["9" * 5000, "0" * 30, "9" * 20, "-1", "1e999", "2026-11-20 18:00:00", "0001-01-01T00:00:00Z"])
)
WORDS = (
    "success data meta errors message field_name error_message included attributes relationships type id staff_id "
    "client date datetime timestamp pagination total"
)
NAMES = st.sampled_from(WORDS.split()) | st.text(max_size=5)
DOCUMENTS = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=6), max_leaves=25
)


def nested(depth: int, opening: str, closing: str) -> bytes:
    return (opening * depth + "1" + closing * depth).encode()


NESTED = [
    nested(depth, *brackets).join(around)
    for depth in (10, 300, 1000, 100_000)
    for brackets in (("[", "]"), ('{"a":', "}"), ('{"errors":', "}"), ('{"errors":[', "]}"), ('[{"message":', "}]"))
    for around in ((b"", b""), (b'{"meta":{"errors":', b"}}"), (b'{"data":{"id":1,"x":', b"}}"), (b'{"data":[', b"]}"))
]
BODIES = (
    DOCUMENTS.map(lambda document: json.dumps(document).encode())
    | st.binary(max_size=60)
    | st.sampled_from(NESTED)
    | st.sampled_from([b'{"a": "\\ud800"}', b'{"data": {"id": 1e400}}', b"[" * 50, b'{"data": {"id": ' + b"9" * 5000])
)


def read(method: str, status: int, body: bytes) -> None:
    """Take an answer all the way to its rows."""
    document = read_response(method, "/path", status, {}, body)
    if method == "DELETE":
        return
    if isinstance(document["data"], list):
        clock, ids = LocationClock(load_zone("Europe/Riga")), RowIds()
        for row in parse_page(document, "/path").rows:
            ids.add(row)
            clock.start_of(row)
    else:
        parse_resource(document, method, "/path")


@settings(max_examples=200)
@given(method=METHODS, status=st.integers(200, 299), body=BODIES)
@example(method="POST", status=201, body=json.dumps({"data": {"id": "9" * 5000}}).encode())
@example(method="GET", status=200, body=json.dumps({"data": [{"id": "9" * 5000}]}).encode())
@example(method="GET", status=200, body=b'{"data":[{"id":{"a":' + nested(300, "[", "]") + b"}}]}")
def test_a_good_status_brings_rows_or_the_readers_error(method, status, body) -> None:
    with suppress(AltegioResponseError, AltegioOutcomeUnknownError, AltegioValidationError):
        read(method, status, body)


@settings(max_examples=200)
@given(method=METHODS, status=st.sampled_from(sorted(CLEAR)), body=BODIES)
@example(method="POST", status=422, body=b'{"errors":' + nested(300, '{"a":', "}") + b"}")
def test_a_clear_refusal_stays_one_whatever_its_body_says(method, status, body) -> None:
    with pytest.raises(CLEAR[status]) as caught:
        read(method, status, body)
    assert not isinstance(caught.value, AltegioOutcomeUnknownError)
    assert len(str(caught.value)) < 50_000


@given(method=METHODS, status=st.integers(500, 999), body=BODIES)
def test_a_failure_of_the_server_stays_one(method, status, body) -> None:
    with pytest.raises(AltegioServerError):
        read(method, status, body)


@settings(max_examples=150)
@given(
    value=st.none()
    | st.text(max_size=40)
    | st.sampled_from(["nan", "inf", "-1", "1e308", "1e400", "Mon, 01 Jan 0001 00:00:00 GMT", "Fri, 31 Dec 9999 23:59"])
    | st.from_regex(r"[A-Z][a-z]{2}, \d{1,5} [A-Z][a-z]{2} \d{1,6} \d{1,3}:\d{1,3}(:\d{1,3})? ?[-+A-Z0-9]{0,8}")
)
def test_what_asks_to_wait_is_seconds_or_nothing(value) -> None:
    seconds = retry_after_seconds(value, 1_700_000_000.0)
    assert seconds is None or 0 <= seconds < float("inf")
