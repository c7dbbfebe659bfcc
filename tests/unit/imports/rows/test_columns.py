"""Headings become fields, or one clear error."""

from __future__ import annotations

import pytest

from altegio_provider.imports.model import ImportFileError, SourceRow
from altegio_provider.imports.rows.columns import FIELDS, Columns

LEAST = ["name", "phone", "event_id"]


def refusal_of(columns, **options):
    with pytest.raises(ImportFileError) as refused:
        Columns.for_bookings(columns, **options)
    return str(refused.value)


def test_all_fields_are_known_by_their_own_names():
    assert dict(Columns.for_bookings([*FIELDS, "custom_field:Level 2"]).headings) == {
        **{name: name for name in FIELDS},
        "custom_field:Level 2": "custom_field:Level 2",
    }


@pytest.mark.parametrize("heading", ["Event ID", "EVENT-ID", "event__id", "eventid", "Ｅvent\xa0id"])
def test_case_and_separators_make_no_difference(heading):
    columns = Columns.for_bookings(["E-Mail", "Name", heading])
    assert columns.heading_of("event_id") == heading
    assert columns.heading_of("email") == "E-Mail"


def test_the_code_of_a_custom_field_stays_as_it_is_written():
    columns = Columns.for_bookings([*LEAST, "Custom Field: Höhe_CM"])
    assert columns.heading_of("custom_field:Höhe_CM") == "Custom Field: Höhe_CM"


def test_unknown_columns_are_all_named_with_what_is_near_and_the_way_out():
    text = refusal_of([*LEAST, "Phnoe", "Sirname", "Weather"])
    assert "3 of the file's columns" in text
    assert "'Phnoe' (did you mean phone?)" in text
    assert "'Sirname' (did you mean surname?)" in text
    assert "'Weather';" not in text
    assert "'Weather'." in text
    assert "column_mapping={'Phnoe': 'field'}" in text


def test_very_many_unknown_columns_make_a_short_text():
    text = refusal_of([*LEAST, *(f"thing {number}" for number in range(90))])
    assert "and 80 more" in text
    assert len(text) < 1_500


def test_a_mapping_names_other_headings_and_drops_columns():
    columns = Columns.for_bookings(
        ["Ученик", "Tel.", "Kurs", "Weather"],
        column_mapping={"Ученик": "name", "tel.": "Phone", "Kurs": "event-id", "Weather": None},
    )
    assert columns.fields(SourceRow(2, {"Ученик": "Мила", "Tel.": "1", "Kurs": "", "Weather": "wet"})) == {
        "name": "Мила",
        "phone": "1",
    }


def test_a_known_heading_may_be_dropped_or_mean_something_else():
    columns = Columns.for_bookings(
        ["name", "phone", "id", "event_id"], column_mapping={"event_id": None, "id": "event_id"}
    )
    assert columns.heading_of("event_id") == "id"


@pytest.mark.parametrize(
    ("mapping", "words"),
    [
        ({"Phone": "phnoe"}, "did you mean phone"),
        ({"Telefon": "phone"}, "the file has no column 'Telefon'"),
        ({"phones": "phone"}, "did you mean 'phone'"),
        ({"phone": 7}, "7"),
    ],
)
def test_a_mapping_that_cannot_be_followed_is_refused(mapping, words):
    assert words in refusal_of(LEAST, column_mapping=mapping)


def test_two_columns_for_one_field_are_refused():
    assert "'Phone' and 'PHONE' both map to phone" in refusal_of(["name", "Phone", "PHONE", "event_id"])
    text = refusal_of([*LEAST, "mobile"], column_mapping={"mobile": "phone"})
    assert "'phone' and 'mobile' both map to phone" in text
    assert "{'mobile': None}" in text


@pytest.mark.parametrize(
    ("columns", "words"),
    [
        (["phone", "event_id"], "'name'"),
        (["name", "event_id"], "identifies the client"),
        (["name", "phone"], "gives the event"),
        (["name", "phone", "event_date"], "gives the event"),
        (["name", "phone", "service_id"], "gives the event"),
    ],
)
def test_columns_that_every_booking_needs_are_missed(columns, words):
    assert words in refusal_of(columns)


def test_an_event_can_be_named_in_four_ways():
    client = ["name", "phone"]
    row = SourceRow(1, {})
    assert Columns.for_bookings(client, event_id=5).fields(row) == {"event_id": 5}
    assert Columns.for_bookings(client, defaults={"event_id": "5"}).fields(row) == {"event_id": "5"}
    assert "event_date" in Columns.for_bookings([*client, "event_date", "service_title"])
    assert "event_date" in Columns.for_bookings([*client, "event_date"], defaults={"service_id": 3})


@pytest.mark.parametrize("column", ["event_id", "event_date"])
def test_an_event_named_twice_is_refused(column):
    assert "given twice" in refusal_of(["name", "phone", column], event_id=5)


@pytest.mark.parametrize("event_id", [0, -1, True, "5", 5.0])
def test_an_argument_that_is_no_event_is_refused(event_id):
    assert "event_id" in refusal_of(["name", "phone"], event_id=event_id)


def test_defaults_fill_empty_cells_and_missing_columns():
    columns = Columns.for_bookings(LEAST, defaults={"Clients Count": 2, "phone": "+37120000001", "comment": None})
    assert columns.fields(SourceRow(2, {"name": "Anna", "phone": " ", "event_id": "5"})) == {
        "name": "Anna",
        "phone": "+37120000001",
        "event_id": "5",
        "clients_count": 2,
    }
    assert "did you mean comment" in refusal_of(LEAST, defaults={"coment": "x"})


def test_columns_of_our_own_reports_are_left_out_and_no_others():
    assert Columns.for_bookings([*LEAST, "altegio_reasons", "altegio_line"]).dropped == {
        "altegio_reasons",
        "altegio_line",
    }
    assert "'Altegio id'" in refusal_of([*LEAST, "Altegio id"])
