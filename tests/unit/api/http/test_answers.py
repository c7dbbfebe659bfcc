"""Answers on the wire: documents, refusals in every shape, and good statuses that hide a refusal."""

from __future__ import annotations

import json

import pytest

from altegio_provider.api.errors import (
    AltegioAuthError,
    AltegioConflictError,
    AltegioError,
    AltegioNotFoundError,
    AltegioRateLimitError,
    AltegioResponseError,
    AltegioResponseOutcomeUnknownError,
    AltegioServerError,
    AltegioServerOutcomeUnknownError,
    AltegioValidationError,
)
from altegio_provider.api.http.responses import retry_after_seconds
from tests.unit.api.scripted import answer, empty, ok, page

EVENT = {"staff_id": 1, "service_id": 2, "date": "2026-11-20 18:00:00", "length": 3600, "capacity": 5}
PATH = "/companies/7/activities"

SHAPES = {
    "object of lists": (
        {"success": False, "data": None, "meta": {"message": "Bad", "errors": {"staff_id": ["gone", "busy"]}}},
        "Bad",
        {"staff_id": ["gone", "busy"]},
    ),
    "object of texts": ({"success": False, "meta": {"errors": {"length": "too long"}}}, None, {"length": ["too long"]}),
    "object of objects": (
        {"success": False, "meta": {"errors": {"client": {"phone": ["short"], "email": ["odd"]}}}},
        None,
        {"client": ["short", "odd"]},
    ),
    "list of field objects": (
        {"success": False, "meta": {"message": "Bad", "errors": [{"staff_id": "gone"}, {"length": ["long", "odd"]}]}},
        "Bad",
        {"staff_id": ["gone"], "length": ["long", "odd"]},
    ),
    "list of messages": (
        {"success": False, "meta": {"errors": [{"message": "one"}, {"message": "two"}]}},
        None,
        {"request": ["one", "two"]},
    ),
    "list of texts": ({"success": False, "meta": {"errors": ["one"]}}, None, {"request": ["one"]}),
    "message at the top": ({"errors": {"code": 4, "message": "Bad"}, "meta": []}, "Bad", {}),
    "field names and values": (
        {"errors": [{"field_name": "capacity", "field_value": "-1", "error_message": "Bad"}]},
        None,
        {"capacity": ["Bad"]},
    ),
    "JSON:API": (
        {
            "errors": [
                {
                    "status": "422",
                    "title": "Bad",
                    "detail": "too few",
                    "source": {"pointer": "/data/attributes/capacity"},
                },
                {"title": "Bad", "detail": "odd", "source": {"pointer": "/records/3/phone"}},
                {"title": "Bad", "detail": "too early", "source": {"parameter": "filter[from]"}},
                {"code": "7", "title": "Bad", "detail": "closed"},
            ]
        },
        "Bad",
        {"capacity": ["too few"], "records.3.phone": ["odd"], "filter[from]": ["too early"], "request": ["closed"]},
    ),
    "JSON:API, titles alone": ({"errors": [{"title": "one"}, {"title": "two"}]}, None, {"request": ["one", "two"]}),
    "JSON:API, one error": (
        {"errors": {"title": "Bad", "detail": "odd", "source": {"pointer": "/data/relationships/staff"}}},
        "Bad",
        {"staff": ["odd"]},
    ),
    "JSON:API, no text": ({"errors": [{"source": {"pointer": "/color"}}, {"source": {}}]}, None, {}),
    "JSON:API, an odd source": (
        {"errors": [{"detail": "one", "source": "x"}, {"detail": "two", "source": {"pointer": 5}}]},
        None,
        {"request": ["one", "two"]},
    ),
    "JSON:API in meta": (
        {"success": False, "data": None, "meta": {"message": "No", "errors": [{"title": "Bad", "detail": "odd"}]}},
        "No",
        {"request": ["odd"]},
    ),
    "a field called title": ({"meta": {"errors": {"title": ["too long"]}}}, None, {"title": ["too long"]}),
    "conflict": ({"success": False, "meta": {"conflict": True, "message": "Bad"}}, "Bad", {}),
    "no errors": ({"success": False, "data": None, "meta": {"message": "Bad"}}, "Bad", {}),
    "meta is a list": ({"success": False, "data": None, "meta": []}, None, {}),
    "meta is null": ({"success": False, "meta": None}, None, {}),
    "all null": ({"success": None, "meta": {"message": None, "errors": None}, "errors": None}, None, {}),
    "a number as text": ({"meta": {"message": 5, "errors": {"x": [1, None, True]}}}, None, {"x": ["1", "True"]}),
    "a list": ([1, 2], None, {}),
    "a text": ("no", None, {}),
    "null": (None, None, {}),
}
STATUSES = {
    400: AltegioValidationError,
    401: AltegioAuthError,
    402: AltegioAuthError,
    403: AltegioAuthError,
    404: AltegioNotFoundError,
    405: AltegioNotFoundError,
    409: AltegioConflictError,
    410: AltegioValidationError,
    415: AltegioValidationError,
    422: AltegioValidationError,
    429: AltegioRateLimitError,
    500: AltegioServerError,
    502: AltegioServerError,
    503: AltegioServerError,
    504: AltegioServerError,
}


@pytest.fixture
def transport(new_transport, server):
    return new_transport(server.url, retry={"attempts": 1})


@pytest.mark.parametrize("shape", list(SHAPES))
@pytest.mark.parametrize("status", [400, 404, 409, 422, 429, 500])
def test_a_refusal_is_read_in_every_shape(server, transport, status, shape) -> None:
    body, message, errors = SHAPES[shape]
    server.script(answer(status, body))
    with pytest.raises(STATUSES[status]) as caught:
        transport.request("GET", PATH)
    error = caught.value
    assert (error.message, error.errors) == (message, errors)
    assert (error.status, error.method, error.path) == (status, "GET", PATH)
    for field, texts in errors.items():
        assert f"{field}: {'; '.join(texts)}" in str(error)
    if message:
        assert message in str(error)


@pytest.mark.parametrize("body", ["", "<html><body>Bad Gateway</body></html>", "Bad Gateway", b"\xff\xfe\x00", '{"m'])
@pytest.mark.parametrize("status", list(STATUSES))
def test_the_status_alone_decides_where_the_body_says_nothing(server, transport, status, body) -> None:
    server.script(answer(status, body))
    with pytest.raises(STATUSES[status], match=rf"^GET {PATH}: .*\(HTTP {status}\)") as caught:
        transport.request("GET", PATH)
    assert type(caught.value) is STATUSES[status]
    assert (caught.value.message, caught.value.errors) == (None, {})


@pytest.mark.parametrize("status", list(STATUSES))
def test_a_write_gets_the_same_leaf_and_a_5xx_one_of_unknown_outcome(server, transport, status) -> None:
    server.script(answer(status, {"success": False, "meta": {"message": "Bad"}}))
    with pytest.raises(STATUSES[status], match="Bad") as caught:
        transport.request("POST", PATH, body={})
    assert type(caught.value) is (AltegioServerOutcomeUnknownError if status >= 500 else STATUSES[status])


@pytest.mark.parametrize(
    ("status", "advice"),
    [
        (401, "becomes invalid when the user's password changes"),
        (402, "licence has expired"),
        (403, "no permission"),
        (404, "`route_family`"),
        (405, "`route_family`"),
        (409, "`force`"),
        (422, "Correct the named fields"),
        (429, "`rate_limit_url`"),
        (500, "try again later"),
    ],
)
def test_each_error_says_what_to_do(server, transport, status, advice) -> None:
    server.script(empty(status))
    with pytest.raises(AltegioError) as caught:
        transport.request("GET", PATH)
    assert advice in str(caught.value)


@pytest.mark.parametrize("status", [304, 408, 300])
def test_a_status_that_means_nothing_here_is_no_valid_answer(server, transport, status) -> None:
    server.script(answer(status, ""))
    with pytest.raises(AltegioResponseError, match=f"status {status} is unexpected"):
        transport.request("GET", PATH)


@pytest.mark.parametrize("data", [{"errors": {"staff_id": ["gone"]}}, {"errors": [{"staff_id": "gone"}], "id": 5}])
@pytest.mark.parametrize("call", ["create_event", "update_event"])
def test_a_refusal_hidden_in_the_data_of_a_good_answer_to_a_write_is_found(server, client, call, data) -> None:
    server.script(ok(data))
    with pytest.raises(AltegioValidationError, match="refused, although the status is one of success") as caught:
        client.create_event(7, EVENT) if call == "create_event" else client.update_event(7, 5, EVENT)
    assert caught.value.errors == {"staff_id": ["gone"]}
    assert caught.value.status == 200
    assert len(server.requests) == 1


@pytest.mark.parametrize("data", [{"id": 5, "errors": []}, {"id": 5, "errors": {}}, {"id": 5, "errors": None}])
def test_empty_errors_in_the_data_are_no_refusal(server, client, data) -> None:
    server.script(ok(data))
    assert client.create_event(7, EVENT) == data


def test_errors_in_the_data_of_a_get_are_a_field_like_any_other(server, client) -> None:
    server.script(ok({"id": 5, "errors": ["odd"]}))
    assert client.get_event(7, 5) == {"id": 5, "errors": ["odd"]}


def test_success_false_in_a_good_answer_says_what_the_api_said(server, transport) -> None:
    server.otherwise = answer(200, {"success": False, "meta": {"message": "Bad", "errors": {"x": ["odd"]}}})
    for method, leaf in (("GET", AltegioResponseError), ("POST", AltegioResponseOutcomeUnknownError)):
        with pytest.raises(leaf, match=r'"success": false\. The API said: .Bad.\. x: odd\.') as caught:
            transport.request(method, PATH)
        assert (caught.value.message, caught.value.errors) == ("Bad", {"x": ["odd"]})


@pytest.mark.parametrize("meta", [{}, [], {"pagination": {}}, None])
def test_meta_of_a_success_may_be_anything(server, client, meta) -> None:
    server.script(answer(201, {"success": True, "data": {"id": 5}, "meta": meta}))
    assert client.create_event(7, EVENT) == {"id": 5}


@pytest.mark.parametrize("status", [200, 202, 204])
@pytest.mark.parametrize("body", ["", "null", " \n", '{"success": true, "data": null, "meta": []}'])
@pytest.mark.parametrize("family", ["companies", "locations"])
def test_a_delete_is_done_with_any_of_its_answers(server, new_client, status, body, family) -> None:
    server.script(answer(status, "" if status == 204 else body))
    client = new_client(server.url, route_family=family)
    assert client.delete_event(7, 5) is None
    assert client.delete_event(7, 6) is None
    assert [request.method for request in server.requests] == ["DELETE", "DELETE"]


@pytest.mark.parametrize("data", [None, [], "5", 5])
def test_one_resource_must_be_an_object(server, client, data) -> None:
    body = {"success": True, "data": data, "meta": []}
    server.otherwise = answer(200, body)
    with pytest.raises(AltegioResponseError, match=r"`data` is (not|neither) an object"):
        client.get_event(7, 5)
    with pytest.raises(AltegioResponseOutcomeUnknownError, match=r"`data` is (not|neither) an object"):
        client.create_event(7, EVENT)


@pytest.mark.parametrize("data", [None, {}, "rows", [1], [{"id": 1}, None], {"0": {"id": 1}}])
def test_a_page_must_be_a_list_of_objects(server, client, data) -> None:
    server.otherwise = answer(200, {"success": True, "data": data})
    with pytest.raises(AltegioResponseError, match=r"`data` is (not a list of objects|neither an object nor a list)"):
        list(client.list_activities(7, "2026-11-20", "2026-11-21"))


@pytest.mark.parametrize("form", [rb"\ud800", rb"\uDFFF", b"\xed\xa0\x80"], ids=repr)
def test_half_of_a_surrogate_pair_in_a_text_does_not_stop_the_reading(server, transport, form) -> None:
    server.script(
        answer(200, b'{"success": true, "data": {"id": 1, "name": "a %s"}}' % form),
        answer(422, b'{"success": false, "meta": {"message": "no %s seats"}}' % form),
    )
    name = transport.request("GET", PATH)["data"]["name"]
    assert (name[:2], "\ud800" <= name[2] <= "\udfff", len(name)) == ("a ", True, 3)
    with pytest.raises(AltegioValidationError, match="seats") as raised:
        transport.request("GET", PATH)
    str(raised.value).encode()


@pytest.mark.parametrize("body", [rb'{"data": ["\ud800", NaN]}', rb'{"data": "\ud800" ', b"[" * 5000 + rb'"\ud800"'])
def test_what_is_no_json_is_none_with_half_of_a_pair_either(server, transport, body) -> None:
    server.otherwise = answer(200, body)
    with pytest.raises(AltegioResponseError, match="cut off or not JSON"):
        transport.request("GET", PATH)


def test_html_is_called_html(server, transport) -> None:
    server.script(page(200), answer(200, "{"))
    with pytest.raises(AltegioResponseError, match="its body is HTML"):
        transport.request("GET", PATH)
    with pytest.raises(AltegioResponseError, match="its body is cut off or not JSON"):
        transport.request("GET", PATH)


def test_a_large_body_is_kept_by_its_beginning_alone(server, transport) -> None:
    server.script(answer(500, json.dumps({"trace": "x " * 1_000_000})))
    with pytest.raises(AltegioServerError) as caught:
        transport.request("GET", PATH)
    assert len(caught.value.body) <= 301
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("Sat, 21 Nov 2026 09:00:30 GMT", 30.0),
        ("Saturday, 21-Nov-26 09:00:30 GMT", 30.0),
        ("Sat, 21 Nov 2026 11:00:30 +0200", 30.0),
        # Without a zone, and with one that says that it is not known, it is UTC: RFC 9110 knows no other.
        ("Sat, 21 Nov 2026 09:00:30", 30.0),
        ("Sat, 21 Nov 2026 09:00:30 -0000", 30.0),
        ("Sat, 21 Nov 2026 08:00:00 GMT", 0.0),
        ("Sat, 99 Nov 2026 08:00:00 GMT", None),
    ],
)
def test_the_date_form_of_retry_after_is_utc_wherever_this_machine_is(monkeypatch, value, seconds) -> None:
    import time

    monkeypatch.setenv("TZ", "Pacific/Auckland")
    time.tzset()
    try:
        assert retry_after_seconds(value, 1795251600.0) == seconds
    finally:
        monkeypatch.undo()
        time.tzset()
