"""The body of a booking in both families' forms: what passes is accepted, what cannot be right is named."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from altegio_provider.api import AltegioClient
from altegio_provider.api.bodies.appointment import checked_appointment, checked_change, checked_reschedule
from altegio_provider.api.errors import AltegioValidationError

LOCATION = 77
NOON = (datetime.now(UTC) + timedelta(days=5)).replace(hour=12, minute=0, second=0, microsecond=0, tzinfo=None)
CONSENT = {"is_newsletter_allowed": True, "is_personal_data_processing_allowed": False}
SMALLEST = {"client": {"name": "Anna", "phone": "+37120000001"}, "clients_count": 1}
FULL_CLIENT = {
    "id": 7,
    "name": "Anna",
    "surname": "Bērziņa",
    "patronymic": "Ivanovna",
    "phone": "+37120000001",
    "email": "anna@example.com",
    "gender": 2,
    "birthday": date(1990, 2, 28),
    "agreements": CONSENT,
    "custom_field_values": [{"code": "size", "value": "M"}],
}
FULL = {"client": FULL_CLIENT, "clients_count": 3, "client_id": 7, "comer_id": 0, "comer": {"name": "Zoe"}}
PRICE = {"cost_per_unit": 20.5, "discount_percent": 10, "manual_cost": 18}

FAMILIES = pytest.mark.parametrize("is_strict", [False, True], ids=["companies", "locations"])


def with_client(**fields):
    return {**SMALLEST, "client": {**SMALLEST["client"], **fields}}


def test_companies_get_what_they_require_and_no_nulls() -> None:
    assert checked_appointment(SMALLEST, is_strict=False) == {
        "client": {"name": "Anna", "phone": "+37120000001", "email": "", "surname": "", "gender": 0},
        "clients_count": 1,
    }


def test_locations_get_every_key_and_digits_alone() -> None:
    nothing = dict.fromkeys(
        ("id", "email", "surname", "gender", "patronymic", "birthday", "agreements", "custom_field_values")
    )
    assert checked_appointment(SMALLEST, is_strict=True) == {
        "client": {**nothing, "name": "Anna", "phone": "37120000001"},
        "clients_count": 1,
    }


def test_all_fields_keep_their_values_and_only_the_form_differs() -> None:
    companies = checked_appointment({**FULL, "labels": [4, 5]}, is_strict=False)
    locations = checked_appointment({**FULL, "is_trial_service": True}, is_strict=True)
    assert companies["client"] == {**FULL_CLIENT, "birthday": "1990-02-28", "agreements": [CONSENT]}
    assert locations["client"] == {**FULL_CLIENT, "birthday": "1990-02-28", "phone": "37120000001"}
    assert (companies["labels"], locations["is_trial_service"]) == ([4, 5], True)
    for body in (companies, locations):
        assert (body["clients_count"], body["client_id"], body["comer_id"]) == (3, 7, 0)
        assert body["comer"] == {"name": "Zoe"}


def test_locations_take_a_client_without_a_phone_and_companies_do_not() -> None:
    appointment = {"client": {"id": 7, "name": "Anna"}, "clients_count": 1}
    assert checked_appointment(appointment, is_strict=True)["client"]["phone"] is None
    with pytest.raises(AltegioValidationError) as caught:
        checked_appointment(appointment, is_strict=False)
    assert list(caught.value.errors) == ["client.phone"]


@FAMILIES
@pytest.mark.parametrize("agreements", [[CONSENT], (CONSENT,), CONSENT])
def test_agreements_may_come_in_either_familys_form(is_strict, agreements) -> None:
    body = checked_appointment(with_client(agreements=agreements), is_strict=is_strict)
    assert body["client"]["agreements"] == (CONSENT if is_strict else [CONSENT])


@FAMILIES
@pytest.mark.parametrize("nothing", [None, ""])
def test_nothing_given_is_nothing_wrong(is_strict, nothing) -> None:
    names = ("surname", "patronymic", "email", "birthday", "gender", "id", "agreements", "custom_field_values")
    appointment = with_client(**dict.fromkeys(names, nothing)) | {"comer": nothing, "comer_id": nothing}
    assert checked_appointment(appointment, is_strict=is_strict) == checked_appointment(SMALLEST, is_strict=is_strict)


@FAMILIES
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("clients_count", None),
        ("clients_count", 0),
        ("clients_count", 1.5),
        ("clients_count", True),
        ("clients_count", 2**63),
        ("client", None),
        ("client", "Anna"),
        ("client_id", 0),
        ("comer_id", -1),
        ("comer", "Zoe"),
        ("comer.name", ""),
        ("comer.name", 5),
        ("seats", 2),
        ("client.name", " "),
        ("client.name", 5),
        ("client.name", "\ud800"),
        ("client.phone", "37120000001"),
        ("client.phone", "+12345678"),
        ("client.phone", "+1234567890123456"),
        ("client.phone", "+371 20000001"),
        ("client.phone", "+٣٧١٢٠٠٠٠٠٠١"),
        ("client.phone", 37120000001),
        ("client.email", "anna"),
        ("client.email", "an na@example.com"),
        ("client.surname", 5),
        ("client.gender", 3),
        ("client.gender", "f"),
        ("client.gender", True),
        ("client.id", 0),
        ("client.birthday", "28.02.1990"),
        ("client.birthday", "1990-02-30"),
        ("client.birthday", "19900228"),
        ("client.patronymic", []),
        ("client.agreements", {"is_newsletter_allowed": True}),
        ("client.agreements", {**CONSENT, "is_newsletter_allowed": 1}),
        ("client.agreements", [CONSENT, CONSENT]),
        ("client.custom_field_values", {"code": "size", "value": "M"}),
        ("client.custom_field_values", [{"code": "size"}]),
        ("client.custom_field_values", [{"code": "size", "value": object()}]),
        ("client.e-mail", "anna@example.com"),
    ],
)
def test_a_field_that_cannot_be_right_is_named_and_its_value_is_not_shown(is_strict, field, value) -> None:
    part, _, name = field.rpartition(".")
    changed = {part: {**(SMALLEST.get(part) or {}), name: value}} if part else {name: value}
    with pytest.raises(AltegioValidationError) as caught:
        checked_appointment({**SMALLEST, **changed}, is_strict=is_strict)
    assert list(caught.value.errors) == [field]
    if isinstance(value, str) and len(value) > 4:
        assert value not in str(caught.value)


@pytest.mark.parametrize(
    ("is_strict", "field", "family"),
    [
        (True, "labels", "companies"),
        (False, "client.comment", "locations"),
        (False, "client.national_id", "locations"),
        (False, "is_trial_service", "locations"),
    ],
)
def test_what_only_the_other_family_takes_is_refused_with_its_name(is_strict, field, family) -> None:
    values = {"labels": [1], "client.comment": "Allergic", "client.national_id": "A1", "is_trial_service": True}
    appointment = with_client(**{field.removeprefix("client."): values[field]}) if "." in field else dict(SMALLEST)
    appointment |= {} if "." in field else {field: values[field]}
    with pytest.raises(AltegioValidationError) as caught:
        checked_appointment(appointment, is_strict=is_strict)
    assert family in caught.value.errors[field][0]
    assert checked_appointment(appointment, is_strict=not is_strict)


@FAMILIES
def test_every_fault_is_named_at_once(is_strict) -> None:
    appointment = {
        "client": {"name": "", "phone": "123", "email": "x", "gender": 9, "shoe": 41},
        "comer": {},
        "colour": "red",
    }
    with pytest.raises(AltegioValidationError) as caught:
        checked_appointment(appointment, is_strict=is_strict)
    client = {"client.name", "client.phone", "client.email", "client.gender", "client.shoe"}
    assert set(caught.value.errors) == {*client, "comer.name", "colour", "clients_count"}


@FAMILIES
@pytest.mark.parametrize("appointment", [None, "Anna", ["Anna"], 5])
def test_what_is_no_mapping_is_refused(is_strict, appointment) -> None:
    with pytest.raises(AltegioValidationError) as caught:
        checked_appointment(appointment, is_strict=is_strict)
    assert "appointment" in caught.value.errors


@FAMILIES
def test_the_callers_mapping_is_left_as_it_was(is_strict) -> None:
    given = {"client": {"name": "Anna", "phone": "+37120000001", "agreements": [dict(CONSENT)]}, "clients_count": 1}
    body = checked_appointment(given, is_strict=is_strict)
    body["client"]["name"] = "somebody else"
    assert given["client"] == {"name": "Anna", "phone": "+37120000001", "agreements": [CONSENT]}


def test_a_change_is_sent_as_the_api_writes_it() -> None:
    changes = {
        "attendance_service_item": PRICE,
        "comment": "",
        "label_ids": (1, 2),
        "color": "#9C27B0",
        "clients_count": 2,
    }
    assert checked_change(changes) == {
        "attendance_service_item": PRICE,
        "comment": "",
        "label_ids": [1, 2],
        "color": "9c27b0",
        "clients_count": 2,
    }


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({}, "attendance_service_item"),
        ({"attendance_service_item": {**PRICE, "discount_percent": 101}}, "attendance_service_item.discount_percent"),
        ({"attendance_service_item": {**PRICE, "manual_cost": float("nan")}}, "attendance_service_item.manual_cost"),
        ({"attendance_service_item": {**PRICE, "cost_per_unit": None}}, "attendance_service_item.cost_per_unit"),
        ({"attendance_service_item": {**PRICE, "is_trial": "no"}}, "attendance_service_item.is_trial"),
        ({"attendance_service_item": PRICE, "comment": "x" * 256}, "comment"),
        ({"attendance_service_item": PRICE, "color": "red"}, "color"),
        ({"attendance_service_item": PRICE, "label_ids": [0]}, "label_ids"),
        ({"attendance_service_item": PRICE, "clients_count": 0}, "clients_count"),
        ({"attendance_service_item": PRICE, "attendance_good_items": "soap"}, "attendance_good_items"),
        ({"attendance_service_item": PRICE, "attendance": 1}, "attendance"),
        ("attendance", "changes"),
    ],
)
def test_a_change_that_cannot_be_right_is_named(changes, field) -> None:
    with pytest.raises(AltegioValidationError) as caught:
        checked_change(changes)
    assert field in caught.value.errors


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"to_event_id": 0, "with_comer": True, "clients_count": None}, "to_event_id"),
        ({"to_event_id": 5, "with_comer": "yes", "clients_count": None}, "with_comer"),
        ({"to_event_id": 5, "with_comer": True, "clients_count": 0}, "clients_count"),
    ],
)
def test_a_move_that_cannot_be_right_is_named(arguments, field) -> None:
    with pytest.raises(AltegioValidationError) as caught:
        checked_reschedule(arguments.pop("to_event_id"), **arguments)
    assert list(caught.value.errors) == [field]


TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
WORDS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=30)
IDS = st.integers(1, 2**40)
MAYBE = {
    "id": IDS,
    "surname": TEXTS,
    "patronymic": TEXTS,
    "email": st.emails(),
    "gender": st.integers(0, 2),
    "birthday": st.one_of(st.dates(), st.datetimes().map(lambda moment: f"{moment:%Y}".zfill(4) + "-01-31")),
    "agreements": st.one_of(st.just(CONSENT), st.just([CONSENT]), st.just([])),
    "custom_field_values": st.lists(st.fixed_dictionaries({"code": WORDS, "value": st.none() | TEXTS | st.floats()})),
}
CLIENTS = st.fixed_dictionaries(
    {"name": WORDS, "phone": st.from_regex(r"\+[1-9][0-9]{7,15}", fullmatch=True)},
    optional={name: st.none() | values for name, values in MAYBE.items()},
)
APPOINTMENTS = st.fixed_dictionaries(
    {"client": CLIENTS, "clients_count": st.integers(0, 3)},
    optional={
        "client_id": st.none() | IDS,
        "comer_id": st.none() | st.integers(0, 9),
        "comer": st.none() | st.fixed_dictionaries({"name": WORDS}),
    },
)


@FAMILIES
@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(appointment=APPOINTMENTS)
def test_whatever_passes_is_accepted_by_the_server(altegio_sandbox, is_strict, appointment) -> None:
    try:
        checked_appointment(appointment, is_strict=is_strict)
    except AltegioValidationError:
        return
    altegio_sandbox.add_location(LOCATION, staff=[{"id": 1}], services=[{"id": 2}])
    (event_id,) = altegio_sandbox.add_events(LOCATION, [{"date": NOON.isoformat(), "capacity": 3}])
    family = "locations" if is_strict else "companies"
    unlimited = {"requests_per_second": 0, "requests_per_minute": 0, "route_family": family}
    with AltegioClient(altegio_sandbox.url, "sandbox-partner", "sandbox-user", **unlimited) as client:
        record = client.create_event_appointment(LOCATION, event_id, appointment)
    (booked,) = altegio_sandbox.truth(LOCATION)["appointments"]
    assert (booked["id"], booked["clients_count"]) == (record["id"], appointment["clients_count"])
    assert booked["client"]["name"] == appointment["client"]["name"]
    assert booked["client"]["phone"].lstrip("+") == appointment["client"]["phone"].lstrip("+")
