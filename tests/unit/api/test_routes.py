"""The two families as data, and the one shape that rows of both take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altegio_provider.api.errors import AltegioOutcomeUnknownError, AltegioResponseError, AltegioValidationError
from altegio_provider.api.routes import COMPANIES, LOCATIONS, ActivityFilter, PageSpan, family_named
from altegio_provider.api.rows import parse_page, parse_resource

#: An answer as the portal shows it, with what is tied to its events.
EVENTS = {
    "data": [
        {
            "type": "activity",
            "id": "10126531",
            "attributes": {
                "master_id": 5,
                "staff_id": 5,
                "service_id": 9,
                "timestamp": 1785582000,
                "length": 3600,
                "capacity": 10,
                "clients_count": 3,
                "comment": None,
                "schedule_till": {"date": "2026-09-01 00:00:00.000000", "timezone_type": 3, "timezone": "Europe/Riga"},
                "date": "2026-08-01T14:00:00+0300",
            },
            "relationships": {
                "staff": {"data": {"type": "staff", "id": "5"}},
                "service": {"data": {"type": "service", "id": "9"}},
                "labels": {"data": [{"type": "label", "id": "1"}, {"type": "label", "id": "2"}]},
                "resource_instances": {"data": []},
                "master": {"data": None},
                "duration_details": {"links": {"self": "…"}},
            },
        },
        {"type": "activity", "id": "10126532", "attributes": {"staff_id": 5}},
    ],
    "included": [
        {
            "type": "staff",
            "id": "5",
            "attributes": {"name": "Ilze", "rating": 4.5},
            "relationships": {"position": {"data": {"type": "position", "id": "3"}}},
        },
        {"type": "service", "id": "9", "attributes": {"title": "Yoga"}},
        {"type": "label", "id": "1", "attributes": {"title": "new"}},
        {"type": "category", "id": "5", "attributes": {"title": "the same number, another thing"}},
    ],
}


def test_a_resource_becomes_a_flat_row_with_what_is_tied_to_it() -> None:
    first, second = parse_page(EVENTS, "/locations/7/events").rows
    assert first == {
        "id": 10126531,
        **EVENTS["data"][0]["attributes"],
        "staff": {"id": 5, "name": "Ilze", "rating": 4.5, "position": {"id": 3}},
        "service": {"id": 9, "title": "Yoga"},
        "labels": [{"id": 1, "title": "new"}, {"id": 2}],
        "resource_instances": [],
    }
    assert second == {"id": 10126532, "staff_id": 5, "staff": first["staff"]}


def test_one_resource_is_flattened_in_the_same_way() -> None:
    document = {"data": EVENTS["data"][0], "included": EVENTS["included"]}
    assert parse_resource(document, "GET", "/x") == parse_page(EVENTS, "/x").rows[0]


def test_a_flat_row_stays_as_it_is() -> None:
    row = {"id": 5, "staff": {"id": 1, "name": "Ilze"}, "new_field": {"deep": [1]}}
    page = parse_page({"success": True, "data": [row], "meta": {"pagination": {"total": 12}}}, "/x")
    assert page.rows == [row]
    assert page.total == 12
    assert parse_resource({"data": row}, "GET", "/x") == row


def test_ids_that_come_as_text_are_numbers() -> None:
    row = {"id": "5", "staff_id": "7", "service_id": 2, "client_id": "", "name": "12"}
    told = {"id": 5, "staff_id": 7, "service_id": 2, "client_id": "", "name": "12"}
    assert parse_page({"data": [row]}, "/x").rows == [told]
    assert parse_resource({"data": row}, "GET", "/x") == told
    resource = {"type": "record", "id": "9", "attributes": {"activity_id": "0"}}
    assert parse_resource({"data": resource}, "GET", "/x") == {"id": 9, "activity_id": 0}


@pytest.mark.parametrize("data", [{}, {"id": None}, {"id": ""}, {"type": "record", "attributes": {"activity_id": 5}}])
def test_whether_a_creation_came_through_is_unknown_where_its_answer_has_no_id(data) -> None:
    with pytest.raises(AltegioOutcomeUnknownError, match="no id"):
        parse_resource({"data": data}, "POST", "/x")


def test_attributes_win_over_what_is_tied_by_the_same_name() -> None:
    resource = {
        "id": "5",
        "attributes": {"staff": {"name": "of the row"}},
        "relationships": {"staff": {"data": {"type": "staff", "id": "1"}}},
    }
    assert parse_resource({"data": resource}, "GET", "/x") == {"id": 5, "staff": {"name": "of the row"}}


@pytest.mark.parametrize(
    "total", [None, "12", True, {}, [], 1.5, "many"], ids=lambda total: f"{type(total).__name__}-{total}"
)
def test_a_total_that_is_no_number_is_none(total) -> None:
    assert parse_page({"data": [], "meta": {"pagination": {"total": total}}}, "/x").total is None


@pytest.mark.parametrize("meta", [None, [], {}, {"pagination": None}, {"pagination": []}, {"pagination": {}}, "meta"])
def test_there_may_be_no_total_at_all(meta) -> None:
    assert parse_page({"data": [], "meta": meta}, "/x").total is None


@pytest.mark.parametrize(
    "resource",
    [
        {"id": "x-1", "attributes": {"a": 1}},
        {"id": None, "attributes": {"a": 1}},
        {"id": 5, "attributes": None},
        {"id": "5", "attributes": [1]},
        {"id": "5", "attributes": {}, "relationships": None},
        {"id": "5", "attributes": {}, "relationships": {"staff": None}},
        {"id": "5", "attributes": {}, "relationships": {"staff": {"data": "5"}}},
        {"id": "5", "attributes": {}, "relationships": {"staff": {"data": [None, "5"]}}},
    ],
)
@pytest.mark.parametrize("included", [None, [], {}, [None], [{"type": "staff"}], "included"])
def test_odd_resources_are_flattened_as_far_as_they_go(resource, included) -> None:
    (row,) = parse_page({"data": [resource], "included": included}, "/x").rows
    assert row["id"] in (5, "x-1", None)


@pytest.mark.parametrize("document", [{}, {"data": None}, {"data": "x"}, {"data": {"id": 1}}, {"data": [None]}])
def test_a_list_without_rows_is_no_valid_answer(document) -> None:
    with pytest.raises(AltegioResponseError, match=r"GET /x: .*list of objects"):
        parse_page(document, "/x")


def test_the_routes_are_those_of_the_api() -> None:
    ids = {"location_id": 7, "event_id": 5, "record_id": 3, "appointment_id": 3}
    routes = {
        family.name: {name: f"{route.method} {route.path.format(**ids)}" for name, route in family.routes.items()}
        for family in (COMPANIES, LOCATIONS)
    }
    assert routes == {
        "companies": {
            "list_activities": "GET /companies/7/activities",
            "create_event": "POST /companies/7/activities",
            "get_event": "GET /companies/7/activities/5",
            "update_event": "PUT /companies/7/activities/5",
            "delete_event": "DELETE /companies/7/activities/5",
            "create_event_appointment": "POST /companies/7/activities/5/records",
        },
        "locations": {
            "list_activities": "GET /locations/7/events",
            "create_event": "POST /locations/7/events",
            "get_event": "GET /locations/7/events/5",
            "update_event": "PUT /locations/7/events/5",
            "delete_event": "DELETE /locations/7/events/5",
            "create_event_appointment": "POST /locations/7/events/5/appointments",
            "bulk_create_event_appointments": "POST /locations/7/events/5/appointments/bulk",
            "duplicate_event": "POST /locations/7/events/5/duplicate",
            "list_appointments": "GET /locations/7/appointments",
            "update_event_appointment": "PUT /locations/7/events/5/appointments/3",
            "reschedule_event_appointment": "PATCH /locations/7/events/5/appointments/3",
            "delete_appointment": "DELETE /locations/7/appointments/3",
        },
    }


def test_a_family_that_lacks_an_operation_names_the_one_that_has_it() -> None:
    with pytest.raises(AltegioValidationError, match="'locations'") as caught:
        COMPANIES.route("update_event_appointment")
    assert "route_family" in caught.value.errors


@pytest.mark.parametrize("name", ["Companies", "", None, "events", 5])
def test_an_unknown_family_is_refused_with_those_there_are(name) -> None:
    with pytest.raises(AltegioValidationError, match="'companies' or 'locations'"):
        family_named(name)


def test_pages_are_asked_for_by_offset_or_by_number() -> None:
    assert COMPANIES.paging_query(PageSpan(300, 100)) == [("limit", "100"), ("offset", "300")]
    assert LOCATIONS.paging_query(PageSpan(500, 250)) == [("limit", "250"), ("page", "3")]


@given(start=st.integers(0, 5000), size=st.integers(1, 250), closely=st.booleans())
@pytest.mark.parametrize("family", [COMPANIES, LOCATIONS], ids=lambda family: family.name)
def test_a_page_covers_the_row_asked_for_and_can_be_asked_for(family, start, size, closely) -> None:
    span = family.span(start, size, closely)
    assert span.start <= start < span.start + span.limit
    assert 1 <= span.limit <= max(size, 3)
    if family is LOCATIONS:
        assert span.start % span.limit == 0


def test_filters_are_joined_or_repeated() -> None:
    filters = ActivityFilter([5, 10], [3], 2)
    assert COMPANIES.filter_query(filters) == [
        ("filter[master_ids][]", "5,10"),
        ("filter[service_ids][]", "3"),
        ("filter[capacity]", "2"),
    ]
    assert LOCATIONS.filter_query(filters) == [
        ("filter[master_ids][]", "5"),
        ("filter[master_ids][]", "10"),
        ("filter[service_ids][]", "3"),
        ("filter[capacity]", "2"),
    ]
