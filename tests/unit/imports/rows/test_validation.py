"""Rows become bookings, or the list of all that is wrong with them."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime
from datetime import time as datetime_time
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from altegio_provider.api.bodies.appointment import checked_appointment
from altegio_provider.imports.model import BookingRequest, EventReference, ImportFileError, SourceRow, normalized_text
from altegio_provider.imports.rows import months
from altegio_provider.imports.rows.columns import FIELDS, Columns
from altegio_provider.imports.rows.validation import Validator

ANNA = {
    "name": "Anna",
    "surname": "Berg",
    "phone": "+371 20 000 001",
    "email": "anna@example.com",
    "event_id": "7",
}


def naive(*numbers):
    return datetime(*numbers)  # noqa: DTZ001 - a wall clock has no zone


def validator(values, *, family="companies", region="LV", zone="Europe/Riga", **options):
    return Validator(
        Columns.for_bookings(values, **options),
        timezone=ZoneInfo(zone),
        default_region=region,
        route_family=family,
        now=lambda: datetime(2026, 11, 20, 23, 30, tzinfo=UTC),
    )


def check(values, line=2, **options):
    return validator(values, **options).check(SourceRow(line, values))


def booked(values, **options):
    request = check(values, **options)
    assert isinstance(request, BookingRequest), request
    return request


def faults(values, **options):
    found = check(values, **options)
    assert isinstance(found, list)
    return {fault.column: fault for fault in found}


def client_with(**more):
    return booked(ANNA | more).client


def fault_of(column, value, **options):
    return fault_of_one(faults(ANNA | {column: value}, **options), column)


def fault_of_one(found, column):
    assert list(found) == [column]
    return found[column]


def test_a_full_row_becomes_the_appointment_in_the_names_of_the_api():
    request = booked(
        {
            **ANNA,
            "client_id": "15",
            "patronymic": "Ilze",
            "gender": "weiblich",
            "birthday": "31.03.1990",
            "clients_count": "2,0",
            "comer_id": 4,
            "comer_name": "Bea",
            "labels": "3; 4",
            "newsletter_allowed": "ja",
            "personal_data_allowed": "0",
            "custom_field:size": " XL ",
            "external_id": 12.0,
        },
        line=9,
    )
    assert (request.line, request.event_id, request.event, request.external_id) == (9, 7, None, "12")
    assert request.appointment() == {
        "client": {
            "id": 15,
            "name": "Anna",
            "surname": "Berg",
            "patronymic": "Ilze",
            "phone": "+37120000001",
            "email": "anna@example.com",
            "gender": 2,
            "birthday": "1990-03-31",
            "custom_field_values": [{"code": "size", "value": "XL"}],
            "agreements": {"is_newsletter_allowed": True, "is_personal_data_processing_allowed": False},
        },
        "clients_count": 2,
        "comer_id": 4,
        "comer": {"name": "Bea"},
        "labels": [3, 4],
    }


@pytest.mark.parametrize("family", ["companies", "locations"])
def test_what_passes_here_passes_the_check_of_the_client_too(family):
    least = ANNA if family == "companies" else {"name": "Anna", "client_id": 5, "event_id": 7}
    for values in (
        least,
        ANNA | {"gender": "mr", "birthday": "1990-03-31", "newsletter_allowed": 1, "personal_data_allowed": 1},
    ):
        body = checked_appointment(booked(values, family=family).appointment(), is_strict=family == "locations")
        assert body["clients_count"] == 1


def test_every_fault_of_a_row_is_named():
    found = faults(
        {
            "name": " ",
            "surname": "Berg",
            "phone": "12",
            "email": "anna",
            "event_id": "0",
            "birthday": "1890-01-01",
            "gender": "x1",
            "clients_count": "many",
            "newsletter_allowed": "perhaps",
            "labels": "a,b",
            "client_id": "-1",
        }
    )
    assert found.keys() == {
        "name",
        "phone",
        "email",
        "event_id",
        "birthday",
        "gender",
        "clients_count",
        "newsletter_allowed",
        "labels",
        "client_id",
    }
    assert found["name"].shape == "empty"
    assert found["phone"].shape == "2 digits"
    assert found["email"].shape == "text of 4 letters"


def test_faults_name_the_heading_of_the_file():
    values = {"Vorname": "Anna", "surname": "Berg", "Tel": "12", "email": "a@example.com", "event_id": 1}
    assert faults(values, column_mapping={"Vorname": "name", "Tel": "phone"}).keys() == {"Tel"}


def test_a_row_with_other_numbers_of_cells_is_a_fault():
    check_row = validator(ANNA).check
    few = {name: value for name, value in ANNA.items() if name != "event_id"}
    assert [(fault.column, fault.shape) for fault in check_row(SourceRow(2, few))][:1] == [
        ("event_id", "1 cell too few")
    ]
    assert [fault.shape for fault in check_row(SourceRow(2, ANNA | {None: ["x", "y"]}))] == ["2 cells too many"]


@pytest.mark.parametrize(
    ("raw", "region", "phone"),
    [
        ("+37120000001", None, "+37120000001"),
        ("20000001", "LV", "+37120000001"),
        ("20 00-00 01", "LV", "+37120000001"),
        ("0037120000001", "LV", "+37120000001"),
        ("0037120000001", None, "+37120000001"),
        ("tel:+371-20000001", None, "+37120000001"),
        (37120000001, "LV", "+37120000001"),
        (20000001.0, "LV", "+37120000001"),
        (Decimal(20000001), "LV", "+37120000001"),
        ("20000001.0", "LV", "+37120000001"),
        ("8 (916) 123-45-67", "RU", "+79161234567"),
        ("79161234567", "ru", "+79161234567"),
        ("(0151) 123 456 78", "DE", "+4915112345678"),
        ("79161234567", "LV", "+79161234567"),
        (79161234567.0, "LV", "+79161234567"),
        ("\u202a+371 20000001\u202c", None, "+37120000001"),
        ("\u206620 000 001\u2069", "LV", "+37120000001"),
        ("+371 20\u2212000\u2212001", None, "+37120000001"),
        ("'+37120000001", None, "+37120000001"),
        ("' +37120000001", None, "+37120000001"),
        ('="+37120000001"', None, "+37120000001"),
        ('="20000001"', "LV", "+37120000001"),
        ("＋３７１２０００ ０００１", None, "+37120000001"),
    ],
)
def test_phones_are_read_as_people_write_them(raw, region, phone):
    assert booked(ANNA | {"phone": raw}, region=region).client["phone"] == phone


@pytest.mark.parametrize(
    ("raw", "region", "words"),
    [
        ("20000001", None, "default_region"),
        ("7.9161E+10", "RU", "shortened"),
        ("7,9161E+10", "RU", "shortened"),
        (7.9161234567e10, None, "default_region"),
        (1.5, "LV", "as text"),
        (True, "LV", "must be"),
        ("+37112345678", None, "not a valid phone number"),
        ("1234", "LV", "not a valid phone number"),
        ("4915123456789", "DE", "another country"),
        (4915123456789, "DE", "another country"),
        (4915123456789.0, "DE", "another country"),
        ("4915123456789.0", "DE", "another country"),
        ("49 (151) 23456789", "DE", "another country"),
        ("37126000000", "DE", "another country"),
        ('=""', "LV", "one phone"),
        ("+37120000001, +37120000002", None, "one phone"),
        ("+37120000001/+37120000002", None, "one phone"),
        ("1-800-FLOWERS", "US", "one phone"),
        ("+1 315 555 0175 ext. 5", "US", "one phone"),
        ("#N/A", "LV", "spreadsheet"),
        ("9" * 300, "LV", "255"),
    ],
)
def test_phones_that_are_none_are_explained(raw, region, words):
    assert words in fault_of("phone", raw, region=region).message


@pytest.mark.parametrize("region", ["XX", "Latvia", "", 371])
def test_a_region_that_is_no_country_is_refused(region):
    with pytest.raises(ImportFileError, match="default_region"):
        validator(ANNA, region=region)


@pytest.mark.parametrize(
    ("raw", "email"),
    [
        (" Anna.Berg+x@EXAMPLE.com ", "Anna.Berg+x@example.com"),
        ("mailto:anna@example.com", "anna@example.com"),
        ("анна@пример.рф", "анна@пример.рф"),
        ("o'hara!@example.com", "o'hara!@example.com"),
        ("anna@studio.test", "anna@studio.test"),
    ],
)
def test_emails_are_normalised(raw, email):
    assert client_with(email=raw)["email"] == email


@pytest.mark.parametrize(
    "raw",
    [
        "anna",
        "@example.com",
        "anna@",
        "anna@localhost",
        "a b@example.com",
        "a@x.com, b@x.com",
        "a..b@x.com",
        "a@-x.com",
        5,
    ],
)
def test_emails_that_are_none_are_faults(raw):
    assert "@" in fault_of("email", raw).message


@pytest.mark.parametrize(
    "raw",
    [
        "1990-03-31",
        "1990/03/31",
        "31.03.1990",
        "31. 3. 1990",
        "31/03/1990",
        "31-3-1990",
        "19900331",
        "1990-03-31 00:00:00",
        "1990-03-31T00:00:00+03:00",
        "32963",
        32963,
        32963.0,
        19900331,
        date(1990, 3, 31),
        naive(1990, 3, 31, 12),
    ],
)
def test_birthdays_are_read_in_the_usual_notations(raw):
    assert client_with(birthday=raw)["birthday"] == "1990-03-31"


def test_the_day_comes_first_and_the_month_never():
    assert client_with(birthday="03/04/1990")["birthday"] == "1990-04-03"
    assert "day before the month" in fault_of("birthday", "12/25/1990").message


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("31.02.1990", "day that does not exist"),
        ("31.03.90", "four digits"),
        ("2026-11-22", "today"),
        ("1899-12-31", "1900"),
        ("31.03-1990", "must be a date"),
        ("spring", "must be a date"),
        ("1990-03-31x", "must be a date"),
        (True, "must be a date"),
        (5e9, "must be a date"),
        ("0", "must be a date"),
    ],
)
def test_birthdays_that_are_none_are_explained(raw, words):
    assert words in fault_of("birthday", raw).message


def test_today_is_the_day_in_the_location():
    assert client_with(birthday="2026-11-21")["birthday"] == "2026-11-21"
    assert "today" in fault_of("birthday", "2026-11-21", zone="UTC").message


@pytest.mark.parametrize(
    ("raw", "gender"),
    [
        ("Male", 1),
        ("МУЖ.", 1),
        ("männlich", 1),
        ("ma\u0308nnlich", 1),
        (1, 1),
        ("1.0", 1),
        ("м", 1),
        ("Женский", 2),
        ("weiblich", 2),
        ("sieviete", 2),
        (2.0, 2),
        ("unknown", 0),
        ("0", 0),
        (0, 0),
    ],
)
def test_gender_is_a_number_or_a_word(raw, gender):
    assert client_with(gender=raw)["gender"] == gender


@pytest.mark.parametrize("raw", ["3", 3, "mf", True, 1.5, [1]])
def test_other_genders_are_faults(raw):
    assert "0 (unknown)" in fault_of("gender", raw).message


@pytest.mark.parametrize(
    ("raw", "allowed"),
    [
        ("yes", True),
        ("JA", True),
        ("да", True),
        (1, True),
        (True, True),
        ("TRUE", True),
        ("нет", False),
        ("0,0", False),
    ],
)
def test_yes_and_no_are_read_in_many_languages(raw, allowed):
    agreements = client_with(newsletter_allowed=raw, personal_data_allowed="no")["agreements"]
    assert agreements == {"is_newsletter_allowed": allowed, "is_personal_data_processing_allowed": False}


@pytest.mark.parametrize("family", ["companies", "locations"])
@pytest.mark.parametrize(
    ("given", "missing"),
    [("newsletter_allowed", "personal_data_allowed"), ("personal_data_allowed", "newsletter_allowed")],
)
@pytest.mark.parametrize("answer", ["yes", "no"])
def test_a_consent_that_is_not_stated_is_never_sent(family, given, missing, answer):
    fault = fault_of_one(faults(ANNA | {given: answer}, family=family), missing)
    assert "give both newsletter_allowed and personal_data_allowed" in fault.message
    assert "agreements" not in booked(ANNA, family=family).client


@pytest.mark.parametrize("raw", ["0", "-1", "1.5", "1e3", "1 000", "1,000", True, 2**70, float("inf"), [1], "²"])
def test_counts_and_ids_are_whole_numbers_of_one_or_more(raw):
    assert "whole number" in fault_of("clients_count", raw).message


def test_text_is_stripped_and_normalised():
    client = client_with(name="\u00a0 Jo\u0308rg\u200b \t Peter ", comment=None)
    assert client["name"] == "Jörg Peter"


@pytest.mark.parametrize(
    "raw",
    [
        "J?nis",
        "B?rzi??",
        "NULL",
        "null",
        "nan",
        "NaN",
        "\\N",
        "#N/A",
        "#BEZUG!",
        "<NA>",
        "_x000D_",
        "\u202e",
        "+37120000001",
        "anna@example.com",
        5,
        "An\x07na",
        "\u200b",
        "x" * 256,
        "#REF!",
        "A\ufffd",
    ],
)
def test_names_that_are_none_are_faults(raw):
    assert fault_of("name", raw)


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("Anna\nMaria", "Anna Maria"),
        ("Anna\r\nMaria\n", "Anna Maria"),
        ("Anna_x000D_\nMaria_x000D_", "Anna Maria"),
        ("\u202eAnna\u202c", "Anna"),
        ("\u2067Anna\u2069", "Anna"),
        ("Null", "Null"),
        ("Nan", "Nan"),
        ('="Anna"', "Anna"),
    ],
)
def test_names_hold_no_line_breaks_and_no_marks(raw, name):
    assert client_with(name=raw)["name"] == name


def test_custom_values_keep_numbers_and_truth():
    values = {"custom_field:a": 5.0, "custom_field:b": True, "custom_field:c": "  ", "custom_field:d": date(2026, 1, 2)}
    assert client_with(**values)["custom_field_values"] == [
        {"code": "a", "value": 5},
        {"code": "b", "value": True},
        {"code": "d", "value": "2026-01-02"},
    ]


BY_START = {name: value for name, value in ANNA.items() if name != "event_id"} | {
    "event_date": "2026-12-20 18:30",
    "service_title": "Yoga",
    "staff_name": "Irma",
    "staff_id": "",
}


@pytest.mark.parametrize(
    "raw",
    [
        "2026-12-20 18:30",
        "2026-12-20T18:30:00",
        "2026-12-20T18:30:00.000",
        "2026-12-20T16:30:00Z",
        "2026-12-20 17:30:00+0100",
        "20.12.2026 18:30",
        "20/12/2026, 18.30",
        "20.12.2026 6:30 PM",
        46376.770833333336,
        "46376,770833333336",
        "20.12.2026. 18:30",
        "2026. 12. 20. 18:30",
        "20 December 2026 18:30",
        "December 20, 2026 6:30 pm",
        "20-Dec-2026 18:30",
        "20. Dezember 2026, 18:30",
        "20 декабря 2026 18:30",
        "20 de diciembre de 2026 18:30",
        "20. decembris 2026 18:30",
        "2026-12-20 18:29:59.9997",
        naive(2026, 12, 20, 18, 29, 59, 999_700),
        "20.12.2026 18:30-19:30",
        "20.12.2026 18:30 – 19:30",
        "20.12.2026 18.30-19.30",
        "20.12.2026 6:30 pm - 7:30 pm",
        "20.12.2026 18:30-05:00",
        "2026-12-20 18:30-19:30",
        "2026-12-20T11:30-05:00",
        "2026-12-20 11:30:00-05:00",
        naive(2026, 12, 20, 18, 30),
        datetime(2026, 12, 20, 16, 30, tzinfo=UTC),
    ],
)
def test_an_event_is_named_by_its_start_on_the_clock_of_the_location(raw):
    request = booked(BY_START | {"event_date": raw})
    assert request.event_id is None
    assert request.event == EventReference(naive(2026, 12, 20, 18, 30), None, "Yoga", None, "Irma")


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        ("2026-12-20", "no time"),
        ("20.12.2026", "no time"),
        (date(2026, 12, 20), "date and time"),
        ("2026-12-20 25:00", "date and time"),
        ("2026-12-20 13:00 pm", "date and time"),
        ("2026-12-20 18:30 o'clock", "date and time"),
        ("12/20/2026 18:30", "day before the month"),
        ("2026-03-29 03:30", "does not exist"),
        ("0001-01-01 00:00:00+14:00", "date and time"),
        ("tomorrow", "date and time"),
        ("2026-12-20 18:30:00+99:00", "date and time"),
        ("2026-12-20 18:30:00+14:30", "date and time"),
        ("2026-12-20 10:00-11:00", "end or a UTC offset"),
        ("20.12.2026 6:30-7:30 pm", "am or pm"),
        ("20.12.2026 18:30-17:30", "before it starts"),
        ("20.12.2026 18:30-18:30", "when it starts"),
        ("20 listopada 2026 18:30", "date and time"),
    ],
)
def test_starts_that_are_none_are_explained(raw, words):
    found = faults(BY_START | {"event_date": raw})
    assert list(found) == ["event_date"]
    assert words in found["event_date"].message


def test_no_month_has_the_name_of_another_in_the_language_next_to_it():
    names = [normalized_text(name) for names in months._NAMES for name in names.split()]
    assert sorted(names) == sorted(months.MONTHS)


@pytest.mark.parametrize(
    ("day", "clock"),
    [
        ("20.12.2026", "18:30"),
        ("2026-12-20 00:00:00", "6:30 PM"),
        (date(2026, 12, 20), datetime_time(18, 30)),
        (naive(2026, 12, 20), 0.7708333333),
        (46376, "18:30 - 19:30"),
    ],
)
def test_the_date_and_the_time_may_have_columns_of_their_own(day, clock):
    request = booked(BY_START | {"event_date": day, "event_time": clock})
    assert request.event.start == naive(2026, 12, 20, 18, 30)


@pytest.mark.parametrize(
    ("day", "clock"), [("20.12.2026 18:30", "18:30"), (naive(2026, 12, 20, 18, 30), "18:30"), ("20.12.2026", 5)]
)
def test_a_time_that_is_none_or_given_twice_is_a_fault(day, clock):
    assert list(faults(BY_START | {"event_date": day, "event_time": clock})) == ["event_time"]


def test_of_a_repeated_hour_the_first_is_meant_unless_the_offset_says_which():
    first = booked(BY_START | {"event_date": "2026-10-25 03:30"}).event.start
    second = booked(BY_START | {"event_date": "2026-10-25T03:30:00+02:00"}).event.start
    assert (first, first.fold) == (naive(2026, 10, 25, 3, 30), 0)
    assert (second.replace(fold=0), second.fold) == (naive(2026, 10, 25, 3, 30), 1)


def test_a_row_names_its_event_once():
    both = BY_START | {"event_id": ""}
    assert booked(both).event is not None
    assert list(faults(both | {"event_id": "7"})) == ["event_date"]
    assert list(faults(both | {"event_date": ""})) == ["event_id"]
    assert list(faults(both | {"service_title": ""})) == ["service_title"]


def test_the_families_require_different_fields():
    for name in ("name", "surname", "phone", "email"):
        assert list(faults(ANNA | {name: ""})) == [name]
        assert isinstance(check(ANNA | {name: ""}, family="locations"), list) == (name == "name")
    nobody = ANNA | {"phone": "", "email": "", "client_id": ""}
    assert list(faults(nobody, family="locations")) == ["phone"]
    assert booked(nobody | {"client_id": 5}, family="locations").client == {"id": 5, "name": "Anna", "surname": "Berg"}


def test_companies_send_an_unknown_gender_and_locations_none():
    assert booked(ANNA).client["gender"] == 0
    assert "gender" not in booked(ANNA, family="locations").client


def test_what_only_the_other_family_takes_is_a_fault_where_it_is_given():
    assert "'locations'" in fault_of("comment", "late").message
    assert "'companies'" in fault_of("labels", "5", family="locations").message
    assert booked(ANNA | {"comment": ""})
    assert booked(ANNA | {"comment": "a\nb"}, family="locations").client["comment"] == "a\nb"


def test_a_required_column_that_is_missing_is_said_once_for_the_file():
    with pytest.raises(ImportFileError, match="email or surname"):
        validator(["name", "phone", "event_id"])
    values = {"name": "Anna", "phone": "20000001", "event_id": 7}
    client = booked(values, defaults={"surname": "", "email": ""}).client
    assert (client["surname"], client["email"]) == ("", "")


@pytest.mark.parametrize("defaults", [{"phone": "12"}, {"clients_count": 0}, {"name": ""}, {"gender": "x1"}])
def test_a_default_that_cannot_be_right_is_refused_at_once(defaults):
    with pytest.raises(ImportFileError, match="default"):
        validator(ANNA, defaults=defaults)


def test_an_unknown_family_is_refused():
    with pytest.raises(ImportFileError, match="route_family"):
        validator(ANNA, family="salons")


def test_one_client_has_one_identity_however_it_is_written():
    def identity(**changes):
        return booked(ANNA | changes).identity()

    assert identity() == identity(phone="20000001", name="ANNA", email="ANNA@example.com")
    assert identity(client_id="5") == identity(client_id=5.0, phone="20000002") != identity()
    assert identity(phone="20000002") != identity()
    assert identity(comer_name="Bea") != identity(comer_name="Cleo")
    assert identity(comer_name="Bea") == identity(comer_name=" BEA ")

    def without_phone(**changes):
        return booked(ANNA | {"phone": ""} | changes, family="locations").identity()

    assert without_phone() == without_phone(email="ANNA@EXAMPLE.COM", name="Bea")
    assert without_phone() != without_phone(email="bea@example.com")


def test_nothing_of_a_person_shows_in_a_request_or_a_row():
    request = booked(ANNA | {"external_id": "secret", "comer_name": "Secret"})
    shown = repr(request) + repr(SourceRow(2, ANNA))
    for word in ("Anna", "Berg", "20000001", "example", "ecret"):
        assert word not in shown


#: Marks in an order that takes time in square proportion to put right: 7 s for so many.
MARKS = "a" + "\u0315\u0300" * 50_000


@pytest.mark.parametrize(
    "value", [MARKS, "1" * 120_000, "1,2 " * 30_000, "a@" * 60_000], ids=["marks", "1", "1,2", "a@"]
)
@pytest.mark.parametrize("column", [*(name for name in FIELDS if not name.startswith("event")), "custom_field:x"])
def test_a_cell_longer_than_any_cell_is_a_fault_at_once(column, value):
    family = "locations" if column in ("comment", "national_id", "is_trial_service") else "companies"
    check = validator(ANNA | {column: value}, family=family).check
    began = time.process_time()
    found = check(SourceRow(2, ANNA | {column: value}))
    assert time.process_time() - began < 0.5
    assert [fault.column for fault in found] == [column]
    assert "at most 10,000 characters" in found[0].message


def test_a_long_item_of_a_list_is_a_fault_at_once():
    began = time.process_time()
    assert "must have at most" in fault_of("custom_field:x", [MARKS]).message
    assert time.process_time() - began < 0.5


def test_a_long_event_date_is_a_fault_at_once():
    values = {"name": "Anna", "surname": "Berg", "phone": "+37120000001", "email": "", "service_id": "1"}
    values |= {"event_date": "2026-11-30 " + "1" * 100_000, "email": "anna@example.com"}
    assert "at most 10,000 characters" in faults(values)["event_date"].message
