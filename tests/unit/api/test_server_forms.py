"""Relationships of autumn 2026 and of older servers: which form is sent, what is joined, what is missing."""

from __future__ import annotations

import logging

import pytest

from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.api.rows import parse_page
from tests.unit.api.scripted import answer, ok

PEOPLE = {"id": 5, "name": "Ilze"}
DAY = ("2040-05-02", "2040-05-03")


@pytest.fixture
def client(altegio_sandbox, new_client):
    altegio_sandbox.add_location(
        7, staff=[PEOPLE], services=[{"id": 2, "title": "Yoga"}], labels=[{"id": 3, "title": "New"}]
    )
    altegio_sandbox.add_events(
        7,
        [
            {
                "date": f"2040-05-02T1{hour}:00:00",
                "staff_id": 5,
                "service_id": 2,
                "label_ids": [3],
                "first_records": 1,
                "first_seats": 1,
            }
            for hour in range(3)
        ],
    )
    return new_client(altegio_sandbox.url, tokens=("sandbox-partner", "sandbox-user"), route_family="locations")


def joined(rows):
    return {(row["staff"]["name"], row["service"]["title"], row["labels"][0]["title"]) for row in rows}


@pytest.mark.parametrize("form", ["all", "last"])
def test_each_relationship_is_joined_whatever_the_server_makes_of_a_bare_include(client, altegio_sandbox, caplog, form):
    altegio_sandbox.switch(bare_include=form)
    assert joined(client.list_activities(7, *DAY)) == {("Ilze", "Yoga", "New")}
    (row, *_) = client.list_appointments(7, date_from=DAY[0], date_to=DAY[1], include=["client", "staff"])
    assert row["client"]["name"]
    assert row["staff"]["name"] == "Ilze"
    assert client.rows_without == {}
    assert caplog.messages == []


def test_a_server_that_refuses_the_brackets_is_asked_without_them_and_that_is_said_once(
    client, altegio_sandbox, caplog
):
    altegio_sandbox.switch(bracket_include="refused")
    before = altegio_sandbox.stats()["requests"]
    assert joined(client.list_activities(7, *DAY)) == {("Ilze", "Yoga", "New")}
    assert joined(client.list_activities(7, *DAY)) == {("Ilze", "Yoga", "New")}
    event_id = next(client.list_activities(7, *DAY))["id"]
    assert client.get_event(7, event_id, joined=True)["staff"] == PEOPLE
    assert sum("include[]" in text for text in caplog.messages) == 1
    statuses = {(one["route"].split()[-1], one["status"]): one["times"] for one in altegio_sandbox.stats()["answers"]}
    assert sum(times for (_, status), times in statuses.items() if status == 422) == 1
    assert altegio_sandbox.stats()["requests"] > before


@pytest.mark.parametrize(
    ("switches", "missing"),
    [
        ({"bracket_include": "refused", "bare_include": "last"}, {"staff", "service", "labels"}),
        ({"bracket_include": "ignored"}, {"staff", "service", "labels", "resource_instances"}),
    ],
)
def test_a_relationship_that_no_row_has_is_said_once_and_counted(client, altegio_sandbox, caplog, switches, missing):
    altegio_sandbox.switch(**switches)
    for _ in range(2):
        assert len(list(client.list_activities(7, *DAY, page_size=250))) == 3
    assert client.rows_without.keys() == missing
    assert all(count >= 6 for count in client.rows_without.values())
    for name in missing:
        assert sum(f"no '{name}'" in record.getMessage() for record in caplog.records) == 1
    assert all(record.levelno == logging.WARNING for record in caplog.records)


def test_an_empty_list_lacks_nothing(client, caplog):
    assert list(client.list_activities(7, "2041-01-01", "2041-01-02")) == []
    assert client.rows_without == {}
    assert caplog.messages == []


def test_a_refusal_that_names_another_field_is_not_tried_again(server, new_client):
    server.otherwise = answer(
        422, {"success": False, "meta": {"message": "no", "errors": {"filter[capacity]": ["no"]}}}
    )
    with pytest.raises(AltegioValidationError, match="capacity"):
        list(new_client(server.url, route_family="locations").list_appointments(7))
    assert len(server.requests) == 1


def test_a_refusal_of_both_forms_is_the_first_one(server, new_client):
    server.script(answer(422, {"meta": {"message": "first"}}), answer(422, {"meta": {"message": "second"}}))
    server.otherwise = ok([])
    with pytest.raises(AltegioValidationError) as caught:
        list(new_client(server.url, route_family="locations").list_appointments(7))
    assert caught.value.message == "first"
    assert len(server.requests) == 2


def resource(number, **relationships):
    return {
        "type": "activity",
        "id": str(number),
        "attributes": {"staff_id": 5},
        "relationships": {name: {"data": data} for name, data in relationships.items()},
    }


def untyped(number, **attributes):
    return {"type": None, "id": str(number), "attributes": attributes}


def ref(number, kind=None):
    return {"type": kind, "id": str(number)}


@pytest.mark.parametrize("kind", [None, "staff"])
def test_a_side_load_without_a_type_joins_by_its_id(kind):
    page = parse_page(
        {
            "data": [resource(1, staff=ref(5, kind), labels=[ref(3)])],
            "included": [untyped(5, name="Ilze"), untyped(3, title="New")],
        },
        "/x",
        ("staff", "labels"),
    )
    assert page.rows[0]["staff"] == {"id": 5, "name": "Ilze"}
    assert page.rows[0]["labels"] == [{"id": 3, "title": "New"}]
    assert page.missing == ()


@pytest.mark.parametrize("included", [[untyped(5, title="New")], [untyped(5, title="New"), untyped(5, name="Ilze")]])
def test_an_id_that_two_kinds_share_stays_a_bare_id(included):
    data = [resource(1, staff=ref(5), labels=[ref(5)]), resource(2, staff=ref(5), labels=[])]
    page = parse_page({"data": data, "included": included}, "/x", ("staff", "labels"))
    assert [row["staff"] for row in page.rows] == [{"id": 5}, {"id": 5}]
    assert page.rows[0]["labels"] == [{"id": 5}]
    assert page.missing == ("staff", "labels")


def test_a_label_is_not_taken_for_the_team_member_whom_the_row_names_by_id_alone():
    page = parse_page(
        {"data": [resource(1, labels=[ref(5)])], "included": [untyped(5, name="Ilze")]}, "/x", ("staff", "labels")
    )
    assert page.rows[0]["labels"] == [{"id": 5}]
    assert "staff" not in page.rows[0]


def test_a_side_load_of_another_kind_does_not_join():
    data = [resource(1, staff=ref(5), labels=[ref(5)])]
    page = parse_page({"data": data, "included": [{"type": "label", "id": "5", "attributes": {"title": "New"}}]}, "/x")
    assert page.rows[0]["staff"] == {"id": 5}
    assert page.rows[0]["labels"] == [{"id": 5, "title": "New"}]


@pytest.mark.parametrize("untyped", [["staff"], ["labels"], ["staff", "labels", "service"]])
def test_sandbox_without_types_never_gives_a_tag_the_name_of_a_team_member(altegio_sandbox, new_client, untyped):
    altegio_sandbox.add_location(
        7, staff=[PEOPLE], services=[{"id": 2, "title": "Yoga"}], labels=[{"id": 5, "title": "New"}]
    )
    altegio_sandbox.add_events(7, [{"date": "2040-05-02T10:00:00", "staff_id": 5, "service_id": 2, "label_ids": [5]}])
    altegio_sandbox.switch(untyped=untyped)
    client = new_client(altegio_sandbox.url, tokens=("sandbox-partner", "sandbox-user"), route_family="locations")
    (row,) = client.list_activities(7, *DAY)
    assert row["staff"] in ({"id": 5}, PEOPLE)
    assert row["labels"] in ([{"id": 5}], [{"id": 5, "title": "New"}])
    assert row["service"]["title"] == "Yoga"
