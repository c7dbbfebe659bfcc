"""Appointments to columns, from plain rows: usual ones, odd ones, with personal data and without."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

import pytest

from altegio_provider.api.rows import parse_page
from altegio_provider.tables.convert.appointments import AppointmentConverter
from altegio_provider.tables.convert.pseudonyms import Pseudonymizer
from altegio_provider.tables.schema import APPOINTMENT_COLUMNS, APPOINTMENT_SCHEMA

EXTRACTED = datetime(2026, 11, 21, 3, tzinfo=UTC)
PSEUDONYMS = Pseudonymizer(b"a key for the tests")


def attributes(**changes):
    """An appointment as the API documents it, in Riga in winter (UTC+2)."""
    return {
        "company_id": 1001,
        "external_id": "crm-15",
        "visit_id": 624798252,
        "booking_user_id": 0,
        "bookform_id": 12,
        "master_id": 5,
        "staff_id": 5,
        "client_id": 170,
        "comer_id": 171,
        "source": 3,
        "attendance": -1,
        "attendance_status": -1,
        "attendance_status_slug": "absent",
        "client_fictive_name": "Guest Gustavs",
        "client_fictive_phone": "+37120000009",
        "client_fictive_email": "guest@example.com",
        "clients_count": 2,
        "activity_id": 7,
        "custom_color": "#9c27b0",
        "custom_font_color": "",
        "length": 3600,
        "duration": 3600,
        "paid_full": 1,
        "is_paid": True,
        "is_overpaid": False,
        "timestamp": 1795176000,
        "date": "2026-11-20T14:00:00",
        "created_datetime": "2026-11-01T10:00:00+0200",
        "from_url": "https://n1.alteg.io/?phone=37120000001",
        "is_mobile": 2,
        "comment": "Anna's knee",
        "prepaid_status": 1,
        "record_from": "Instagram of Anna",
        "payment_status": 0,
        "is_sale_bill_printed": False,
        "is_client_notification_sent": True,
        **changes,
    }


CLIENT = {
    "name": "Anna",
    "surname": "Bērziņa",
    "patronymic": "Jānovna",
    "phone": "+37120000001",
    "email": "Anna@example.com",
    "gender": 2,
    "birthday": "1990-02-28",
}
STAFF = {"name": "Ilze", "specialization": "Trainer", "rating": 4.8, "position": {"id": 2, "title": "Senior"}}
INCLUDED = {
    ("client", 170): CLIENT,
    ("comer", 171): {"name": "Zoe"},
    ("staff", 5): STAFF,
    ("service", 9): {"title": "Йога", "cost": 20, "amount": 1},
    ("label", 3): {"title": "VIP", "color": "#ffffff"},
}
LINKS = {"client": 170, "comer": 171, "staff": 5, "services": [("service", 9)], "labels": [("label", 3)]}
#: What of these names or reaches a person.
PERSONAL = [
    *(value for value in CLIENT.values() if isinstance(value, str)),
    *("Zoe", "Gustavs", "20000009", "guest@", "crm-15", "widget", "Instagram", "knee", "alteg.io", "20000001"),
]


def usual_row(**changes):
    """The same as the client hands it on."""

    def reference(name, link):
        kind, number = link if isinstance(link, tuple) else (name, link)
        return {"type": kind, "id": str(number)}

    resource = {
        "type": "record",
        "id": "624798251",
        "attributes": attributes(),
        "relationships": {
            name: {"data": [reference(name, one) for one in link] if isinstance(link, list) else reference(name, link)}
            for name, link in LINKS.items()
        },
    }
    included = [{"type": kind, "id": str(n), "attributes": thing} for (kind, n), thing in INCLUDED.items()]
    (row,) = parse_page({"data": [resource], "included": included}, "/locations/1001/appointments").rows
    return row | changes


def converted(*rows, **options):
    batches = AppointmentConverter(1001, "Europe/Riga", EXTRACTED, **options)
    batch = batches.batch(rows)
    batch.validate(full=True)
    assert batch.schema.equals(APPOINTMENT_SCHEMA)
    return batch.to_pylist(), batches


def one(personal=False, **changes):
    (row,), batches = converted(usual_row(**changes), include_personal_data=personal)
    return row, json.loads(row["extra"] or "{}"), batches


NON_PERSONAL_FIELDS = {
    "location_id": 1001,
    "id": 624798251,
    "activity_id": 7,
    "starts_at": datetime(2026, 11, 20, 12, tzinfo=UTC),
    "starts_at_local": datetime(2026, 11, 20, 14),  # noqa: DTZ001
    "timezone": "Europe/Riga",
    "length_seconds": 3600,
    "duration_seconds": 3600,
    "clients_count": 2,
    "attendance": -1,
    "attendance_slug": "absent",
    "client_id": 170,
    "client_phone_hash": PSEUDONYMS.hash_phone("37120000001"),
    "client_email_hash": PSEUDONYMS.hash_email("anna@example.com"),
    "comer_id": 171,
    "staff_id": 5,
    "staff_name": "Ilze",
    "staff_specialization": "Trainer",
    "staff_position_id": 2,
    "staff_position_title": "Senior",
    "staff_rating": 4.8,
    "services": [
        {"id": 9, "title": "Йога", "cost": 20.0, "first_cost": None, "manual_cost": None, "discount": None, "amount": 1}
    ],
    "labels": [{"id": 3, "title": "VIP", "color": "#ffffff", "icon": None, "font_color": None}],
    "payment_status": 0,
    "paid_full": 1,
    "is_paid": True,
    "is_overpaid": False,
    "prepaid_status": 1,
    "is_sale_bill_printed": False,
    "visit_id": 624798252,
    "bookform_id": 12,
    "is_mobile": 2,
    "source": 3,
    "is_client_notification_sent": True,
    "color": "#9c27b0",
    "font_color": "",
    "created_at": datetime(2026, 11, 1, 8, tzinfo=UTC),
    "is_deleted": False,
    "extracted_at": EXTRACTED,
}


def test_without_personal_data_a_usual_row_fills_all_columns_but_the_personal_ones():
    (row,), batches = converted(usual_row(), pseudonyms=PSEUDONYMS)
    assert {name: value for name, value in row.items() if value is not None} == NON_PERSONAL_FIELDS
    assert not batches.mismatches
    assert not batches.unknown_fields
    assert not [value for value in PERSONAL if value in str(row)]


def test_with_personal_data_the_personal_columns_are_filled_and_nothing_is_left():
    (row,), batches = converted(usual_row(), pseudonyms=PSEUDONYMS, include_personal_data=True)
    assert {name: value for name, value in row.items() if value is not None} == NON_PERSONAL_FIELDS | {
        "client_name": "Anna",
        "client_surname": "Bērziņa",
        "client_patronymic": "Jānovna",
        "client_phone": "+37120000001",
        "client_email": "Anna@example.com",
        "client_gender": 2,
        "client_birthday": "1990-02-28",
        "client_fictive_name": "Guest Gustavs",
        "client_fictive_phone": "+37120000009",
        "client_fictive_email": "guest@example.com",
        "comer_name": "Zoe",
        "record_from": "Instagram of Anna",
        "from_url": "https://n1.alteg.io/?phone=37120000001",
        "external_id": "crm-15",
        "comment": "Anna's knee",
    }
    assert not batches.mismatches
    assert not batches.unknown_fields


def test_every_documented_attribute_has_a_column():
    fields = {path[0] for column in APPOINTMENT_COLUMNS for path in column.paths}
    assert set(attributes()) | {"id"} <= fields


@pytest.mark.parametrize("field", ["activity_id", "client_id", "comer_id", "staff_id", "visit_id", "bookform_id"])
@pytest.mark.parametrize("zero", [0, "0"])
def test_where_the_api_says_0_there_is_none(field, zero):
    gone = {"client": None, "comer": None, "staff": None, "master_id": None}
    row, extra, batches = one(personal=True, **{field: zero}, **gone)
    assert (row[field], extra, dict(batches.mismatches)) == (None, {}, {})


def test_a_client_whose_number_is_not_in_the_appointment_yet_is_known_by_the_one_joined():
    row, extra, _ = one(personal=True, client_id=0)
    assert (row["client_id"], extra) == (170, {})


def test_a_false_is_not_taken_for_a_0():
    row, extra, batches = one(activity_id=False)
    assert (row["activity_id"], extra, batches.mismatches) == (None, {"activity_id": False}, {"activity_id": 1})


@pytest.mark.parametrize(
    ("field", "sent", "column", "cell"),
    [
        ("id", "624798251", "id", 624798251),
        ("activity_id", "7", "activity_id", 7),
        ("client_id", "170", "client_id", 170),
        ("clients_count", 2.0, "clients_count", 2),
        ("is_paid", 1, "is_paid", True),
        ("is_mobile", "0", "is_mobile", 0),
        ("deleted", True, "is_deleted", True),
        ("staff", [], "staff_name", None),
        ("client", [], "client_phone_hash", PSEUDONYMS.hash_phone("37120000009")),
        ("client", None, "client_email_hash", PSEUDONYMS.hash_email("guest@example.com")),
        (
            "client",
            {**CLIENT, "id": 170, "phone": 37120000001},
            "client_phone_hash",
            PSEUDONYMS.hash_phone("37120000001"),
        ),
        ("attendance", None, "attendance", -1),
    ],
)
def test_another_notation_of_the_same_value_fits(field, sent, column, cell):
    (row,), batches = converted(usual_row(**{field: sent}), pseudonyms=PSEUDONYMS)
    assert (row[column], row["extra"], dict(batches.mismatches)) == (cell, None, {})


def test_what_is_not_included_leaves_its_columns_null_and_nothing_stops():
    bare = attributes() | {"id": 1}
    (row, whole), batches = converted(bare, usual_row(), pseudonyms=PSEUDONYMS, include_personal_data=True)
    assert (row["client_id"], row["staff_id"], row["comer_id"]) == (170, 5, 171)
    assert {row[name] for name in ("client_name", "staff_name", "comer_name", "services", "labels")} == {None}
    assert row["client_phone_hash"] == PSEUDONYMS.hash_phone("37120000009")
    assert whole["client_name"] == "Anna"
    assert not batches.mismatches


@pytest.mark.parametrize("masked", ["+3712*****01", "", None, "3712XXXXX01"])
def test_a_masked_phone_has_no_hash(masked):
    row = usual_row(client={"id": 170, "phone": masked, "email": "a***@example.com"})
    row |= {"client_fictive_phone": "", "client_fictive_email": ""}
    (made,), _ = converted(row, pseudonyms=PSEUDONYMS)
    assert (made["client_phone_hash"], made["client_email_hash"]) == (None, None)


@pytest.mark.parametrize(
    ("sent", "cell"),
    [
        ("37120000001", "+37120000001"),
        ("+371 2000-0001", "+37120000001"),
        ("+3712*****01", "+3712*****01"),
        ("112", "112"),
        ("", ""),
        (None, None),
    ],
)
def test_a_phone_is_e164_where_it_is_whole(sent, cell):
    row, extra, _ = one(personal=True, client={"id": 170, "phone": sent}, client_fictive_phone=sent)
    assert (row["client_phone"], row["client_fictive_phone"], extra) == (cell, cell, {})


def test_without_a_key_the_hashes_are_null():
    row, _, _ = one()
    assert (row["client_phone_hash"], row["client_email_hash"]) == (None, None)


def test_with_personal_data_what_is_unknown_or_does_not_fit_stands_in_extra():
    staff = {"id": 5, "name": "Ilze", "phone": "+37120000002"}
    _, extra, batches = one(personal=True, clients_count="two", seen={"by": "Anna"}, staff=staff)
    assert extra == {"clients_count": "two", "seen": {"by": "Anna"}, "staff": {"phone": "+37120000002"}}
    assert batches.mismatches == {"clients_count": 1}


def test_without_personal_data_extra_has_only_what_can_name_nobody():
    row, extra, batches = one(
        is_new=True,
        score=4.5,
        rank=None,
        clients_count="two of Anna's",
        note="Anna",
        passport=12345678,
        latitude=56.94961,
        position=[56.9, 24.1],
        who={"name": "Anna"},
        client_visits=3,
        client={**CLIENT, "id": 170, "is_vip": True, "age": 36},
        comer={"id": 171, "name": "Zoe", "age": 9},
        staff={"id": 5, "name": "Ilze", "phone": "+37120000002", "is_hidden": False},
        **{"Anna Bērziņa": 1},
    )
    assert extra == {"is_new": True, "score": 4.5, "rank": None, "staff": {"is_hidden": False}}
    assert row["clients_count"] is None
    assert batches.mismatches == {"clients_count": 1}


@pytest.mark.parametrize("column", ["attendance_status_slug", "custom_color", "custom_font_color"])
def test_a_word_that_the_api_does_not_have_passes_only_with_personal_data(column):
    name = {"attendance_status_slug": "attendance_slug"}.get(column, column.removeprefix("custom_"))
    row, extra, _ = one(**{column: "anna"})
    assert (row[name], extra) == (None, {})
    row, _, _ = one(personal=True, **{column: "anna"})
    assert row[name] == "anna"


def test_the_log_names_fields_and_never_a_value(caplog):
    odd = usual_row(clients_count="Anna +37120000000", note="secret", **{"+37120000000": 1, "Anna B": 2})
    for personal in (False, True):
        caplog.clear()
        _, batches = converted(odd, include_personal_data=personal)
        with caplog.at_level(logging.INFO):
            batches.warn(logging.getLogger("test"))
        where = "" if personal else " if it cannot identify a person"
        assert [record.getMessage() for record in caplog.records] == [
            f"1 of 1 rows: the value of clients_count did not fit its column and was written to `extra`{where}",
            f"Fields without a column were written to `extra`{where}: note",
        ]
