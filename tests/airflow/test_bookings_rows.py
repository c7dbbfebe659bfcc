"""Rows that say the same, almost the same, or something else under one key: none is lost, and each is told."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from altegio_provider.compat import AirflowFailException
from altegio_provider.operators.appointments import AltegioCreateAppointmentsOperator

LOCATION = 77
START = (datetime.now(UTC) + timedelta(days=20)).replace(hour=15, minute=0, second=0, microsecond=0, tzinfo=None)
ROUTE = {"route": "create_event_appointment"}


@pytest.fixture(autouse=True)
def location(altegio_sandbox, monkeypatch):
    altegio_sandbox.add_location(
        LOCATION, timezone="Europe/Riga", staff=[{"id": 1, "name": "Anna"}], services=[{"id": 2, "title": "Yoga"}]
    )
    event = {"staff_id": 1, "service_id": 2, "capacity": 30}
    altegio_sandbox.add_events(LOCATION, [{"id": 501, "date": START.isoformat(), **event}])
    altegio_sandbox.add_events(LOCATION, [{"id": 502, "date": (START + timedelta(days=1)).isoformat(), **event}])
    connection = altegio_sandbox.airflow_connection(timezone="Europe/Riga", location_id=LOCATION)
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", connection)


def client(number=1, **fields):
    return {
        "event_id": 501,
        "name": f"Client{number}",
        "surname": "Ozols",
        "phone": f"+3712000{number:04}",
        "email": f"client{number}@example.com",
        **fields,
    }


def run(tmp_path, rows, **options):
    given = {
        "source": rows,
        "report_path": str(tmp_path / "report"),
        "ledger_url": f"sqlite:///{tmp_path / 'ledger.db'}",
        "settle_seconds": 0.05,
        **options,
    }
    return AltegioCreateAppointmentsOperator(task_id="book", **given).execute({})


def told(tmp_path):
    rows = pq.read_table(tmp_path / "report" / "report.parquet").to_pylist()
    return [(row["status"], "; ".join(row["reasons"])) for row in rows]


def booked(sandbox):
    """Who comes to what: (event, digits of the phone, comer)."""
    return Counter(
        (one["event_id"], one["client"]["phone"].lstrip("+"), (one.get("comer") or {}).get("name"))
        for one in sandbox.truth(LOCATION)["appointments"]
    )


def test_a_list_of_rows_given_again_sends_nothing(tmp_path, altegio_sandbox):
    rows = [client(1), client(2)]
    run(tmp_path, rows)
    assert run(tmp_path, [dict(reversed(row.items())) for row in rows])["already_created"] == 2
    assert sum(booked(altegio_sandbox).values()) == 2


@pytest.mark.parametrize("change", [{"phone": "+37120000009"}, {"event_id": 502}, {"clients_count": 2}])
def test_an_external_id_used_again_for_something_else_hides_no_row(tmp_path, altegio_sandbox, change):
    first = client(1, external_id="1", clients_count=1)
    other = {**first, **change}
    with pytest.raises(AirflowFailException, match="1 of 2 rows are rejected"):
        run(tmp_path, [first, other])
    assert "external_id was used for different data in line 1" in told(tmp_path)[1][1]
    assert run(tmp_path, [first])["created"] == 1
    with pytest.raises(AirflowFailException, match="1 of 1 rows are rejected"):
        run(tmp_path, [other])
    assert "external_id was used for different data before" in told(tmp_path)[0][1]
    assert run(tmp_path, [{**other, "external_id": "2"}])["created"] == 1


def test_an_external_id_whose_row_is_in_doubt_does_not_stand_for_another_either(tmp_path, altegio_sandbox):
    altegio_sandbox.fault("lose_answer_after", nth=1, **ROUTE)
    altegio_sandbox.fault("mask_phones")
    first = client(1, external_id="1")
    with pytest.raises(AirflowFailException, match="in doubt"):
        run(tmp_path, [first])
    with pytest.raises(AirflowFailException, match="1 of 1 rows are rejected"):
        run(tmp_path, [client(2, external_id="1")])
    altegio_sandbox.clear_faults()
    assert run(tmp_path, [first])["created"] == 1
    assert sum(booked(altegio_sandbox).values()) == 1


def test_a_family_with_one_phone_is_told_how_to_book_everybody(tmp_path, altegio_sandbox):
    mother, child = client(1, name="Anna"), client(1, name="Ilze")
    run(tmp_path, [mother, child, mother])
    assert [status for status, _ in told(tmp_path)] == ["created", "duplicate", "duplicate"]
    assert "with another name" in told(tmp_path)[1][1]
    assert "with another name" not in told(tmp_path)[2][1]
    result = run(tmp_path, [{**mother, "comer_name": ""}, {**mother, "comer_name": "Ilze"}])
    assert (result["already_created"], result["created"]) == (1, 1)
    assert booked(altegio_sandbox) == {(501, "37120000001", None): 1, (501, "37120000001", "Ilze"): 1}


@pytest.mark.parametrize("effects", [("before", "after"), ("after", "before"), ("after", "after")])
def test_two_children_of_one_parent_whose_answers_are_lost_are_both_booked(tmp_path, altegio_sandbox, effects):
    rows = [client(1, comer_name=name) for name in ("Jānis", "Ilze")]
    for place, effect in enumerate(effects, 1):
        altegio_sandbox.fault(f"lose_answer_{effect}", nth=place, **ROUTE)
    run(tmp_path, rows)
    assert {comer for _, _, comer in booked(altegio_sandbox)} == {"Jānis", "Ilze"}
    assert sum(booked(altegio_sandbox).values()) == 2


def test_equal_rows_sent_on_purpose_are_as_many_after_every_rerun(tmp_path, altegio_sandbox):
    rows = [client(1), client(2), client(1), client(1)]
    altegio_sandbox.fault("lose_answer_after", nth=2, **ROUTE)
    altegio_sandbox.fault("lose_answer_before", nth=3, **ROUTE)
    for created in (4, 0):
        result = run(tmp_path, rows, on_duplicate="send")
        assert (result["created"], result["already_created"]) == (created, 4 - created)
        assert Counter(phone for _, phone, _ in booked(altegio_sandbox).elements()) == {
            "37120000001": 3,
            "37120000002": 1,
        }
    assert run(tmp_path, rows[:2], on_duplicate="send")["already_created"] == 2


@pytest.mark.parametrize(
    ("allowed", "faulty", "is_sent"),
    [(0.29, 29, True), (0.29, 30, False), (1.0, 100, True), (0.0, 1, False), ("0.1", 10, True), ("10", 11, False)],
)
def test_the_share_that_may_be_faulty_is_the_one_that_is_written(tmp_path, altegio_sandbox, allowed, faulty, is_sent):
    rows = [client(number, **({"phone": "12"} if number < faulty else {})) for number in range(100)]
    altegio_sandbox.add_events(LOCATION, [{"id": 503, "date": START.isoformat(), "staff_id": 1, "capacity": 100}])
    rows = [{**row, "event_id": 503} for row in rows]
    if is_sent:
        assert run(tmp_path, rows, max_rejected=allowed, concurrency=8)["created"] == 100 - faulty
    else:
        with pytest.raises(AirflowFailException, match="nothing was sent"):
            run(tmp_path, rows, max_rejected=allowed)
        assert not booked(altegio_sandbox)


def test_a_row_in_doubt_keeps_its_seat_while_others_are_weighed(tmp_path, altegio_sandbox):
    altegio_sandbox.add_events(LOCATION, [{"id": 504, "date": START.isoformat(), "staff_id": 1, "capacity": 2}])
    altegio_sandbox.fault("lose_answer_after", nth=1, **ROUTE)
    altegio_sandbox.fault("mask_phones", route="list_appointments")
    rows = [client(number, event_id=504) for number in (1, 2)]
    with pytest.raises(AirflowFailException, match="1 rows are in doubt"):
        run(tmp_path, rows)
    altegio_sandbox.clear_faults()
    result = run(tmp_path, rows)
    assert (result["created"], result["already_created"], result["rejected"]) == (1, 1, 0)
    assert sum(booked(altegio_sandbox).values()) == 2


def test_a_row_without_a_seat_after_all_is_rejected_in_the_words_of_the_api(tmp_path, altegio_sandbox):
    altegio_sandbox.add_events(
        LOCATION, [{"id": 505, "date": START.isoformat(), "staff_id": 1, "capacity": 2, "patch": {"capacity": 9}}]
    )
    with pytest.raises(AirflowFailException, match="1 of 3 rows are rejected"):
        run(tmp_path, [client(number, event_id=505) for number in (1, 2, 3)])
    assert [status for status, _ in told(tmp_path)] == ["created", "created", "rejected"]
    assert "places are free" in told(tmp_path)[2][1]
