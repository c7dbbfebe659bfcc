"""Single calls on appointments against the sandbox, through the operators."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from altegio_provider import compat
from altegio_provider.api.errors import AltegioNotFoundError, AltegioValidationError
from altegio_provider.operators.appointments import (
    AltegioDeleteAppointmentOperator,
    AltegioListAppointmentsOperator,
    AltegioRescheduleAppointmentOperator,
    AltegioUpdateAppointmentOperator,
)
from altegio_provider.operators.events import AltegioCreateEventAppointmentOperator

LOCATION = 77
DAY = (datetime.now(UTC) + timedelta(days=20)).date()
ANNA = {"name": "Anna", "surname": "Secret", "phone": "+37120000001", "email": "anna@example.com"}
PRICE = {"cost_per_unit": 20, "discount_percent": 0, "manual_cost": 20}
UPDATE = {"changes": {"attendance_service_item": PRICE, "clients_count": 3}}


@pytest.fixture
def connect(altegio_sandbox, monkeypatch):
    def connect(family="locations"):
        monkeypatch.setenv(
            "AIRFLOW_CONN_ALTEGIO_DEFAULT",
            altegio_sandbox.airflow_connection(timezone="Europe/Riga", route_family=family, location_id=LOCATION),
        )

    altegio_sandbox.add_location(LOCATION, timezone="Europe/Riga", staff=[{"id": 1}], services=[{"id": 2}])
    connect()
    return connect


@pytest.fixture
def classes(connect, altegio_sandbox):
    """Two classes of one day, five places each."""
    return altegio_sandbox.add_events(
        LOCATION, [{"date": f"{DAY}T{hour}:00:00", "length": 3600, "capacity": 5} for hour in (10, 18)]
    )


@pytest.fixture
def record(classes):
    """Anna's two seats in the first class."""
    booking = {"client": ANNA, "clients_count": 2}
    return run(AltegioCreateEventAppointmentOperator, event_id=classes[0], appointment=booking)["id"]


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def run(kind, **arguments):
    result = kind(task_id="call", **arguments).execute({})
    assert json.loads(json.dumps(result)) == result
    return result


def booked(sandbox):
    appointments = sandbox.truth(LOCATION)["appointments"]
    return [(one["id"], one["event_id"], one["clients_count"]) for one in appointments]


def test_a_days_appointments_are_listed_without_names(classes, record) -> None:
    listed = run(AltegioListAppointmentsOperator, date_from=f"{DAY}", date_to=f"{DAY + timedelta(days=1)}")
    assert (listed["count"], listed["clients_count"]) == (1, 2)
    (appointment,) = listed["appointments"]
    assert (appointment["id"], appointment["activity_id"]) == (record, classes[0])
    assert not [value for value in ANNA.values() if value.lstrip("+") in str(listed)]


def test_names_and_phones_come_when_they_are_asked_for(classes, record) -> None:
    listed = run(AltegioListAppointmentsOperator, event_id=str(classes[0]), include_personal_data=True)
    assert listed["appointments"][0]["client"] == {**ANNA, "phone": "37120000001"}


def test_one_clients_appointments_are_listed(classes, record) -> None:
    (mine,) = run(AltegioListAppointmentsOperator, event_id=classes[0])["appointments"]
    assert run(AltegioListAppointmentsOperator, client_id=mine["client_id"])["count"] == 1
    assert run(AltegioListAppointmentsOperator, client_id=999)["count"] == 0


def test_too_many_appointments_for_xcom_are_an_error(connect, altegio_sandbox) -> None:
    many = [{"date": f"{DAY}T10:00:00", "first_records": 91, "first_seats": 91} for _ in range(11)]
    altegio_sandbox.add_events(LOCATION, many)
    with pytest.raises(AltegioValidationError, match="1000"):
        run(AltegioListAppointmentsOperator, date_from=f"{DAY}", date_to=f"{DAY + timedelta(days=1)}")


def test_an_appointment_is_changed(classes, record, altegio_sandbox) -> None:
    changed = run(AltegioUpdateAppointmentOperator, event_id=str(classes[0]), record_id=str(record), **UPDATE)
    assert (changed["id"], changed["clients_count"]) == (record, 3)
    assert booked(altegio_sandbox) == [(record, classes[0], 3)]


@pytest.fixture
def full_record(classes, altegio_sandbox):
    """A booking with two tags, a price, a comment and a colour in the first class; and one without any."""
    location = {"id": LOCATION, "timezone": "Europe/Riga", "staff": [{"id": 1}], "services": [{"id": 2}]}
    altegio_sandbox.add_location(
        location.pop("id"), **location, labels=[{"id": 1401, "title": "New"}, {"id": 1402, "title": "VIP"}]
    )
    event = {"id": classes[0], "date": f"{DAY}T10:00:00", "length": 3600, "capacity": 5}
    altegio_sandbox.add_events(LOCATION, [event])
    row = {"event_id": classes[0], "label_ids": [1401, 1402], "price": PRICE, "comment": "window", "color": "9c27b0"}
    return altegio_sandbox.add_appointments(LOCATION, [row, {"event_id": classes[0]}])[0]


def truth_of(sandbox, number):
    return next(one for one in sandbox.truth(LOCATION)["appointments"] if one["id"] == number)


def test_a_change_keeps_tags_price_and_comment(classes, full_record, altegio_sandbox) -> None:
    run(AltegioUpdateAppointmentOperator, event_id=classes[0], record_id=full_record, changes={"clients_count": 2})
    now = truth_of(altegio_sandbox, full_record)
    assert (now["clients_count"], now["label_ids"], now["comment"]) == (2, [1401, 1402], "window")
    assert {name: now["price"][name] for name in PRICE} == PRICE


def test_none_clears_a_comment_and_tags(classes, full_record, altegio_sandbox) -> None:
    changes = {"comment": None, "label_ids": None}
    run(AltegioUpdateAppointmentOperator, event_id=classes[0], record_id=full_record, changes=changes)
    now = truth_of(altegio_sandbox, full_record)
    assert (now["comment"] or "", now["label_ids"]) == ("", [])
    assert {name: now["price"][name] for name in PRICE} == PRICE


GOOD = {
    "id": None,
    "good_id": 31,
    "unit_id": 1,
    "storage_id": 2,
    "staff_id": 1,
    "operation_unit_type": "sale",
    "number": None,
    "quantity": 2,
    "cost_per_unit": 3,
    "manual_cost": 6,
    "discount_percent": 0,
    "marks": [],
    "planned_activation_date": None,
}


def test_a_booking_with_goods_is_not_changed_unless_they_are_given(classes, altegio_sandbox) -> None:
    (number,) = altegio_sandbox.add_appointments(
        LOCATION, [{"event_id": classes[0], "price": PRICE, "goods": [{**GOOD, "id": None}]}]
    )
    (kept,) = truth_of(altegio_sandbox, number)["goods"]
    with pytest.raises(AltegioValidationError, match="the booking has 1") as caught:
        run(AltegioUpdateAppointmentOperator, event_id=classes[0], record_id=number, changes={"comment": "x"})
    assert set(caught.value.errors) == {"attendance_good_items"}
    assert [good["good_id"] for good in truth_of(altegio_sandbox, number)["goods"]] == [31]
    changes = {"comment": "x", "attendance_good_items": [kept]}
    run(AltegioUpdateAppointmentOperator, event_id=classes[0], record_id=number, changes=changes)
    now = truth_of(altegio_sandbox, number)
    assert (now["comment"], now["goods"]) == ("x", [kept])


@pytest.mark.parametrize(
    ("shown", "missing"),
    [
        ("last", {"label_ids", "attendance_service_item"}),
        ("ignored", {"label_ids", "attendance_service_item", "attendance_good_items"}),
    ],
)
def test_what_a_server_does_not_show_is_not_wiped(classes, full_record, altegio_sandbox, shown, missing) -> None:
    altegio_sandbox.switch(bare_include=shown, bracket_include="ignored" if shown == "ignored" else "refused")
    with pytest.raises(AltegioValidationError) as caught:
        run(AltegioUpdateAppointmentOperator, event_id=classes[0], record_id=full_record, changes={"comment": "x"})
    assert missing == set(caught.value.errors)
    assert truth_of(altegio_sandbox, full_record)["label_ids"] == [1401, 1402]


def test_a_change_that_replaces_reads_nothing_before(classes, full_record, altegio_sandbox) -> None:
    before = altegio_sandbox.stats()["requests"]
    run(AltegioUpdateAppointmentOperator, event_id=classes[0], record_id=full_record, replace=True, **UPDATE)
    assert altegio_sandbox.stats()["requests"] == before + 1
    assert truth_of(altegio_sandbox, full_record)["label_ids"] == []


def test_an_appointment_is_moved_with_as_many_seats(classes, record, altegio_sandbox) -> None:
    moved = run(
        AltegioRescheduleAppointmentOperator, event_id=classes[0], record_id=record, to_event_id=str(classes[1])
    )
    assert (moved["id"], moved["activity_id"]) == (record, classes[1])
    assert booked(altegio_sandbox) == [(record, classes[1], 2)]


def test_a_move_into_a_full_class_is_refused_and_nothing_is_moved(classes, record, altegio_sandbox) -> None:
    with pytest.raises(AltegioValidationError) as caught:
        run(
            AltegioRescheduleAppointmentOperator,
            event_id=classes[0],
            record_id=record,
            to_event_id=classes[1],
            clients_count="6",
        )
    assert "clients_count" in caught.value.errors
    assert booked(altegio_sandbox) == [(record, classes[0], 2)]


@pytest.mark.parametrize("form", ["envelope", "jsonapi"])
@pytest.mark.parametrize("booking", [{"attendance": 1}, {"paid_full": 1}])
def test_a_move_that_is_against_the_rules_names_them(classes, altegio_sandbox, form, booking) -> None:
    altegio_sandbox.switch(error_form=form)
    (number,) = altegio_sandbox.add_appointments(LOCATION, [{"event_id": classes[0], **booking}])
    with pytest.raises(AltegioValidationError) as caught:
        run(AltegioRescheduleAppointmentOperator, event_id=classes[0], record_id=number, to_event_id=classes[1])
    assert set(caught.value.errors) == set(booking)
    for rule in ("waits", "unpaid", "lies ahead", "seats free", "does not have the client"):
        assert rule in str(caught.value)
    assert booked(altegio_sandbox) == [(number, classes[0], 1)]


def test_an_appointment_is_deleted_and_a_second_time_is_no_error(classes, record, altegio_sandbox) -> None:
    assert run(AltegioDeleteAppointmentOperator, appointment_id=str(record)) == {"id": record, "deleted": True}
    assert booked(altegio_sandbox) == []
    assert run(AltegioDeleteAppointmentOperator, appointment_id=record) == {"id": record, "deleted": False}
    with pytest.raises(AltegioNotFoundError):
        run(AltegioDeleteAppointmentOperator, appointment_id=record, missing_ok=False)


def test_a_wrong_location_is_not_taken_for_a_deleted_appointment(classes, record, altegio_sandbox) -> None:
    with pytest.raises(AltegioNotFoundError, match="Location 78 does not answer"):
        run(AltegioDeleteAppointmentOperator, appointment_id=record, location_id=78)
    assert booked(altegio_sandbox) == [(record, classes[0], 2)]


@pytest.mark.parametrize(
    ("place", "appointment", "text"),
    [(0, 1, "Event .* exists, so record_id"), (None, None, "has no event 5")],
    ids=["no such appointment", "no such event"],
)
def test_what_was_not_found_is_told_apart(classes, record, place, appointment, text) -> None:
    event_id = 5 if place is None else classes[place]
    with pytest.raises(AltegioNotFoundError, match=text):
        run(AltegioUpdateAppointmentOperator, event_id=event_id, record_id=appointment or record, **UPDATE)


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (AltegioListAppointmentsOperator, {}),
        (AltegioUpdateAppointmentOperator, {"event_id": 1, "record_id": 2, **UPDATE}),
        (AltegioRescheduleAppointmentOperator, {"event_id": 1, "record_id": 2, "to_event_id": 3}),
        (AltegioDeleteAppointmentOperator, {"appointment_id": 2}),
    ],
)
def test_companies_are_told_which_setting_brings_the_operation(connect, altegio_sandbox, kind, arguments) -> None:
    connect("companies")
    with pytest.raises(AltegioValidationError, match="route_family") as caught:
        run(kind, **arguments)
    assert "'locations'" in str(caught.value)
    assert altegio_sandbox.stats()["requests"] == 0


@pytest.mark.parametrize(
    ("kind", "arguments", "field"),
    [
        (AltegioListAppointmentsOperator, {"event_id": "{{ nothing }}"}, "event_id"),
        (AltegioListAppointmentsOperator, {"date_from": "2026-01-01"}, "date_to"),
        (AltegioUpdateAppointmentOperator, {"event_id": 1, "record_id": 2, "changes": {}}, "changes"),
        (
            AltegioUpdateAppointmentOperator,
            {"event_id": 1, "record_id": 2, "changes": {"comment": "x"}, "replace": True},
            "attendance_service_item",
        ),
        (AltegioUpdateAppointmentOperator, {"event_id": 1, "record_id": "x", **UPDATE}, "record_id"),
        (AltegioRescheduleAppointmentOperator, {"event_id": 1, "record_id": 2, "to_event_id": "x"}, "to_event_id"),
        (AltegioDeleteAppointmentOperator, {"appointment_id": ""}, "appointment_id"),
    ],
)
def test_a_wrong_argument_is_named_before_anything_is_sent(connect, altegio_sandbox, kind, arguments, field) -> None:
    with pytest.raises(AltegioValidationError) as caught:
        run(kind, **arguments)
    assert field in caught.value.errors
    assert altegio_sandbox.stats()["requests"] == 0


LOST = pytest.mark.parametrize("effect", ["lose_answer_after", "lose_answer_before", "status_after", "status", "html"])


@LOST
def test_a_change_whose_answer_was_lost_is_made_again(classes, record, altegio_sandbox, effect) -> None:
    altegio_sandbox.fault(effect, route="update_event_appointment", times=1)
    changed = run(AltegioUpdateAppointmentOperator, event_id=classes[0], record_id=record, **UPDATE)
    assert changed["clients_count"] == 3
    assert booked(altegio_sandbox) == [(record, classes[0], 3)]


def test_a_sale_of_goods_whose_answer_was_lost_is_not_made_again(classes, record, altegio_sandbox) -> None:
    altegio_sandbox.fault("lose_answer_after", route="update_event_appointment")
    goods = {**UPDATE["changes"], "attendance_good_items": [GOOD]}
    with pytest.raises(compat.AirflowFailException):
        run(AltegioUpdateAppointmentOperator, event_id=classes[0], record_id=record, changes=goods)
    answers = altegio_sandbox.stats()["answers"]
    assert sum(one["times"] for one in answers if one["route"].endswith("update_event_appointment")) == 1


@LOST
@pytest.mark.parametrize("seats", [None, 3])
def test_a_move_whose_answer_was_lost_is_looked_for(classes, record, altegio_sandbox, effect, seats) -> None:
    altegio_sandbox.fault(effect, route="reschedule_event_appointment", times=1)
    moved = run(
        AltegioRescheduleAppointmentOperator,
        event_id=classes[0],
        record_id=record,
        to_event_id=classes[1],
        clients_count=seats,
    )
    assert (moved["id"], moved["activity_id"], moved["clients_count"]) == (record, classes[1], seats or 2)
    assert booked(altegio_sandbox) == [(record, classes[1], seats or 2)]


@LOST
def test_a_deletion_whose_answer_was_lost_is_made_again(classes, record, altegio_sandbox, effect) -> None:
    altegio_sandbox.fault(effect, route="delete_appointment", times=1)
    deleted = run(AltegioDeleteAppointmentOperator, appointment_id=record, missing_ok=False)
    assert deleted == {"id": record, "deleted": True}
    assert booked(altegio_sandbox) == []


def test_every_argument_that_a_dag_computes_is_templated() -> None:
    fields = {
        AltegioListAppointmentsOperator: {"event_id", "client_id", "date_from", "date_to"},
        AltegioUpdateAppointmentOperator: {"event_id", "record_id", "changes"},
        AltegioRescheduleAppointmentOperator: {"event_id", "record_id", "to_event_id", "clients_count"},
        AltegioDeleteAppointmentOperator: {"appointment_id"},
    }
    for kind, names in fields.items():
        assert names | {"location_id", "altegio_conn_id"} == set(kind.template_fields)
