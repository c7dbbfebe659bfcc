"""The body of a bulk booking, and what its response says of each row."""

from __future__ import annotations

import pytest

from altegio_provider.api.bodies.bulk import BulkRefusal, bulk_replies, checked_bulk, fits_bulk
from altegio_provider.api.errors import AltegioResponseOutcomeUnknownError, AltegioValidationError

ANNA = {"client": {"name": "Anna", "phone": "+37120000001", "email": "anna@example.com"}, "clients_count": 2}
KNOWN = {"client": {"id": 77}, "clients_count": 1}
PATH = "/locations/7/events/5/appointments/bulk"


def test_the_rows_are_written_as_the_api_wants_them() -> None:
    assert checked_bulk([ANNA, KNOWN], send_sms=False) == {
        "records": [
            {
                "name": "Anna",
                "phone": "37120000001",
                "email": "anna@example.com",
                "clients_count": 2,
                "send_sms_now": 0,
            },
            {"client_id": 77, "clients_count": 1, "send_sms_now": 0},
        ]
    }
    assert checked_bulk([KNOWN], send_sms=True)["records"][0]["send_sms_now"] == 1


@pytest.mark.parametrize(
    ("change", "fits"),
    [
        ({}, True),
        ({"labels": [], "comer": None}, False),
        ({"comer": None, "is_trial_service": None}, True),
        ({"client": {"name": "Anna", "surname": "", "gender": None}}, True),
        ({"client": {"name": "Anna", "surname": "Lee"}}, False),
        ({"client": {"name": "Anna", "gender": 0}}, False),
        ({"comer_id": 0}, False),
        ({"client": None}, False),
    ],
)
def test_a_booking_fits_if_nothing_of_it_is_left_out(change, fits) -> None:
    assert fits_bulk({**ANNA, **change}) is fits


@pytest.mark.parametrize(
    ("appointments", "field"),
    [
        ([], "appointments"),
        ([KNOWN] * 51, "appointments"),
        (KNOWN, "appointments"),
        ([KNOWN, 5], "appointments.1"),
        ([KNOWN, {**ANNA, "clients_count": 0}], "appointments.1.clients_count"),
        ([{"client": {"phone": "+37120000001"}, "clients_count": 1}], "appointments.0.client.name"),
        ([{"client": {"name": "Anna", "phone": "1"}, "clients_count": 1}], "appointments.0.client.phone"),
        ([{"client": {"name": "Anna", "surname": "Lee"}, "clients_count": 1}], "appointments.0.client.surname"),
        ([{**ANNA, "comer": {"name": "Zoe"}}], "appointments.0.comer"),
    ],
)
def test_what_cannot_be_sent_is_named(appointments, field) -> None:
    with pytest.raises(AltegioValidationError) as caught:
        checked_bulk(appointments, send_sms=False)
    assert field in caught.value.errors


def record(number, seats=1, client_id=0):
    attributes = {"clients_count": seats, "client_id": client_id, "activity_id": 5}
    return {"type": "record", "id": str(number), "attributes": attributes}


BODY = {"records": [{"name": "Anna", "phone": "37120000001", "clients_count": 1} for _ in range(3)]}


def test_each_row_has_its_reply_by_its_index() -> None:
    refused = {"index": 1, "phone": "37120000001", "name": "Anna", "error": "Anna, 37120000001: no place is free"}
    document = {"data": [record(11), record(12)], "meta": {"errors": [refused]}}
    first, second, third = bulk_replies(document, PATH, BODY)
    assert (first["id"], third["id"]) == (11, 12)
    assert isinstance(second, BulkRefusal)
    assert "no place is free" in second.reason
    assert "Anna" not in second.reason
    assert "2000000" not in second.reason


@pytest.mark.parametrize("meta", [{}, [], None, {"errors": []}, {"errors": None}])
def test_all_rows_may_be_there(meta) -> None:
    document = {"data": [record(11), record(12), record(13)], "meta": meta}
    assert [one["id"] for one in bulk_replies(document, PATH, BODY)] == [11, 12, 13]


@pytest.mark.parametrize(
    "document",
    [
        {"data": [record(11), record(12)]},
        {"data": [record(11), record(12), record(13), record(14)]},
        {"data": [record(11), record(11), record(12)]},
        {"data": [record(11), record(12), record(13, seats=2)]},
        {"data": [record(11), record(12), {"type": "record", "attributes": {}}]},
        {"data": {}},
        {"data": [1, 2, 3]},
        {"data": [record(11), record(12)], "meta": {"errors": [{"error": "no"}]}},
        {"data": [record(11), record(12)], "meta": {"errors": [{"index": 3, "error": "no"}]}},
        {"data": [record(11)], "meta": {"errors": [{"index": 1, "error": "no"}, {"index": 1, "error": "no"}]}},
        {"data": [record(11), record(12)], "meta": {"errors": ["no"]}},
    ],
)
def test_a_response_that_does_not_account_for_every_row_says_nothing(document) -> None:
    with pytest.raises(AltegioResponseOutcomeUnknownError):
        bulk_replies(document, PATH, BODY)


def test_rows_of_known_clients_are_not_taken_for_each_other() -> None:
    body = {"records": [{"client_id": number, "clients_count": 1} for number in (7, 8)]}
    good = {"data": [record(11, client_id=7), record(12, client_id=8)]}
    assert [one["id"] for one in bulk_replies(good, PATH, body)] == [11, 12]
    with pytest.raises(AltegioResponseOutcomeUnknownError):
        bulk_replies({"data": list(reversed(good["data"]))}, PATH, body)
