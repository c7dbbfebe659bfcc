"""Rows that share a request, up to fifty of one event: each booked exactly once, whatever becomes of the answer."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest

from altegio_provider.compat import AirflowException, AirflowFailException
from altegio_provider.operators.appointments import AltegioCreateAppointmentsOperator

LOCATION = 77
START = (datetime.now(UTC) + timedelta(days=20)).replace(hour=15, minute=0, second=0, microsecond=0, tzinfo=None)
HEADINGS = ("event_id", "name", "surname", "phone", "email", "clients_count")
BULK, ALONE, LIST = "bulk_create_event_appointments", "create_event_appointment", "list_appointments"


@pytest.fixture(autouse=True)
def location(altegio_sandbox, monkeypatch):
    altegio_sandbox.add_location(
        LOCATION,
        timezone="Europe/Riga",
        staff=[{"id": 1, "name": "Anna"}, {"id": 3, "name": "Zoë"}],
        services=[{"id": 2, "title": "Yoga"}],
    )
    capacities = {501: 1000, 502: 1000, 503: 30}
    altegio_sandbox.add_events(
        LOCATION,
        [
            {"id": number, "date": START.isoformat(), "staff_id": 1, "service_id": 2, "capacity": capacity}
            for number, capacity in capacities.items()
        ],
    )
    connect(altegio_sandbox, monkeypatch)


def connect(sandbox, monkeypatch, family="locations"):
    connection = sandbox.airflow_connection(timezone="Europe/Riga", route_family=family, location_id=LOCATION)
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", connection)


def client_row(number, event_id=501, **fields):
    row = {"event_id": event_id, "name": f"Client{number}", "phone": f"+3712000{number:04}"}
    return {**row, "email": f"client{number}@example.com", "clients_count": 1, **fields}


@pytest.fixture
def run(tmp_path):
    def run(rows, **options):
        source = tmp_path / "clients.csv"
        with source.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, HEADINGS, restval="")
            writer.writeheader()
            writer.writerows(rows)
        return AltegioCreateAppointmentsOperator(
            task_id="book",
            source=str(source),
            report_path=str(tmp_path / "report"),
            ledger_url=f"sqlite:///{tmp_path / 'ledger.db'}",
            **{"settle_seconds": 0.05, **options},
        ).execute({})

    return run


@pytest.fixture
def outcomes(tmp_path):
    return lambda: pq.read_table(tmp_path / "report" / "report.parquet").to_pylist()


def booked(sandbox):
    return Counter(
        (one["event_id"], str(one["client"]["phone"]).lstrip("+"), one["clients_count"])
        for one in sandbox.truth(LOCATION)["appointments"]
    )


def asked_for(rows):
    return Counter((row["event_id"], row["phone"].lstrip("+"), row["clients_count"]) for row in rows)


def requests(sandbox):
    """How many requests each operation got."""
    counts = Counter()
    for one in sandbox.stats()["answers"]:
        counts[one["route"].rpartition(".")[2]] += one["times"]
    return counts


def test_fifty_rows_of_an_event_share_a_request(run, outcomes, altegio_sandbox):
    rows = [client_row(number, 501 + number % 2) for number in range(220)]
    assert run(rows)["created"] == 220
    assert booked(altegio_sandbox) == asked_for(rows)
    assert (requests(altegio_sandbox)[BULK], requests(altegio_sandbox)[ALONE]) == (6, 0)
    by_phone = {
        str(one["client"]["phone"]).lstrip("+"): one["id"] for one in altegio_sandbox.truth(LOCATION)["appointments"]
    }
    assert [row["record_id"] for row in outcomes()] == [by_phone[row["phone"].lstrip("+")] for row in rows]
    assert run(rows)["already_created"] == 220
    assert booked(altegio_sandbox) == asked_for(rows)


def test_a_row_that_needs_more_goes_alone_and_in_its_place(run, altegio_sandbox):
    rows = [client_row(number, surname="Ozola" if number == 7 else "") for number in range(20)]
    assert run(rows)["created"] == 20
    assert booked(altegio_sandbox) == asked_for(rows)
    assert (requests(altegio_sandbox)[BULK], requests(altegio_sandbox)[ALONE]) == (2, 1)
    ids = {one["client"]["name"]: one["id"] for one in altegio_sandbox.truth(LOCATION)["appointments"]}
    assert [ids[f"Client{number}"] for number in range(20)] == sorted(ids.values())


def test_seats_run_out_in_input_order_and_each_row_has_its_own_answer(run, outcomes, altegio_sandbox):
    rows = [client_row(number, 503, clients_count=2 if number == 28 else 1) for number in range(40)]
    result = run(rows, check_seats=False, max_rejected=40)
    # 28 seats, then two at once, and nothing is left.
    assert (result["created"], result["rejected"]) == (29, 11)
    assert booked(altegio_sandbox) == asked_for(rows[:29])
    told = outcomes()
    assert [row["status"] for row in told] == ["created"] * 29 + ["rejected"] * 11
    assert all("Only 0 places are free" in row["reasons"][0] for row in told[29:])
    assert not [row for row in rows if row["phone"].lstrip("+") in str(told)]


@pytest.mark.parametrize("status", [403, 404, 405])
def test_a_server_without_the_route_gets_the_rows_one_by_one(run, altegio_sandbox, status, caplog):
    altegio_sandbox.switch(missing_routes={BULK: status})
    rows = [client_row(number, 501 + number % 2) for number in range(120)]
    assert run(rows, concurrency=1)["created"] == 120
    assert booked(altegio_sandbox) == asked_for(rows)
    assert requests(altegio_sandbox)[ALONE] == 120
    assert requests(altegio_sandbox)[BULK] <= 2


def test_companies_book_one_by_one(run, altegio_sandbox, monkeypatch):
    connect(altegio_sandbox, monkeypatch, "companies")
    rows = [client_row(number, surname="Ozola") for number in range(5)]
    assert run(rows)["created"] == 5
    assert requests(altegio_sandbox)[ALONE] == 5


def test_an_event_that_is_gone_rejects_its_rows_and_no_others(run, outcomes, altegio_sandbox):
    rows = [client_row(number, 501 + number % 2) for number in range(60)]
    altegio_sandbox.delete_event(LOCATION, 502)
    result = run(rows, check_seats=False, max_rejected=60)
    assert (result["created"], result["rejected"]) == (30, 30)
    assert booked(altegio_sandbox) == asked_for(rows[::2])
    assert requests(altegio_sandbox)[BULK] == 2


LOST = [
    {"effect": "lose_answer_after"},
    {"effect": "lose_answer_before"},
    {"effect": "status", "status": 502},
    {"effect": "status_after", "status": 502, "body": "html"},
    {"effect": "truncate"},
    {"effect": "cut_json"},
    {"effect": "empty"},
    {"effect": "html"},
    {"effect": "success_false"},
    {"effect": "late_effect", "seconds": 0.01},
    {"effect": "partial_effect"},
    {"effect": "partial_effect", "rows": 1},
    {"effect": "partial_effect", "rows": [0, 2, 3, 30, 49]},
    {"effect": "partial_effect", "rows": [40], "answer": "short"},
    {"effect": "partial_effect", "answer": "short"},
    {"effect": "partial_effect", "rows": 10, "rest_seconds": 0.1},
    {"effect": "partial_effect", "rows": 10, "rest_seconds": 0.1, "answer": "short"},
    {"effect": "late_client_id", "seconds": 0.3},
]


@pytest.mark.parametrize("fault", LOST, ids=lambda fault: "-".join(map(str, fault.values())))
def test_a_lost_or_partial_answer_is_settled_and_nothing_is_booked_twice(run, outcomes, altegio_sandbox, fault):
    rows = [client_row(number, 501 + number % 2) for number in range(180)]
    fault = dict(fault)
    altegio_sandbox.fault(fault.pop("effect"), route=BULK, every=2, times=2, **fault)
    assert run(rows, settle_seconds=0.4)["created"] == 180
    assert booked(altegio_sandbox) == asked_for(rows)
    assert {row["record_id"] for row in outcomes()} == {
        one["id"] for one in altegio_sandbox.truth(LOCATION)["appointments"]
    }


def test_one_read_of_the_event_settles_all_rows_of_a_lost_answer(run, altegio_sandbox):
    rows = [client_row(number) for number in range(50)]
    altegio_sandbox.fault("lose_answer_after", route=BULK, times=1)
    assert run(rows, check_seats=False)["created"] == 50
    counts = requests(altegio_sandbox)
    assert counts[BULK] <= 1
    assert counts[LIST] <= 2  # a page, and what shows that it was the last


def test_rows_whose_answer_was_lost_come_before_the_later_rows_of_their_event(run, outcomes, altegio_sandbox):
    rows = [client_row(number, 503) for number in range(29)]
    rows += [client_row(29, 503, surname="Ozola"), *[client_row(number, 503) for number in range(30, 60)]]
    altegio_sandbox.fault("lose_answer_before", route=BULK, times=1)
    result = run(rows, check_seats=False, max_rejected=60)
    assert (result["created"], result["rejected"]) == (30, 30)
    assert booked(altegio_sandbox) == asked_for(rows[:30])


@pytest.mark.parametrize(
    "errors",
    [{"records.3.phone": ["is odd"], "records.7.email": ["is odd"]}, {"records": ["are odd"]}, {}],
    ids=["rows are named", "no row is named", "nothing is named"],
)
def test_a_request_that_is_refused_as_a_whole_rejects_no_row_that_is_sound(run, outcomes, altegio_sandbox, errors):
    rows = [client_row(number) for number in range(20)]
    altegio_sandbox.fault("status", status=422, errors=errors, route=BULK, times=1)
    named = sum("." in field for field in errors)
    result = run(rows, max_rejected=2)
    assert (result["created"], result["rejected"]) == (20 - named, named)
    sound = [row for place, row in enumerate(rows) if not named or place not in (3, 7)]
    assert booked(altegio_sandbox) == asked_for(sound)
    assert [row["line"] - 2 for row in outcomes() if row["status"] == "rejected"] == ([3, 7] if named else [])


def test_rows_that_share_a_phone_and_a_request_are_told_apart(run, outcomes, altegio_sandbox):
    rows = [{**client_row(1), "name": name} for name in ("Anna", "Berta", "Clara")]
    rows = [{**row, "clients_count": seats} for seats, row in enumerate(rows, 1)]
    altegio_sandbox.fault("partial_effect", rows=[0, 2], route=BULK, times=1)
    assert run(rows)["created"] == 3
    assert booked(altegio_sandbox) == asked_for(rows)


@pytest.mark.parametrize("send_sms", [False, True])
def test_messages_are_sent_only_where_that_is_asked_for(run, altegio_sandbox, send_sms):
    assert run([client_row(number) for number in range(3)], send_sms=send_sms)["created"] == 3
    assert len(altegio_sandbox.truth(LOCATION)["messages"]) == (3 if send_sms else 0)
    assert run([client_row(9)], send_sms=send_sms)["created"] == 1
    assert len(altegio_sandbox.truth(LOCATION)["messages"]) == (4 if send_sms else 0)


def test_messages_that_the_api_cannot_send_are_an_error_before_anything_is_sent(
    run, outcomes, altegio_sandbox, monkeypatch
):
    with pytest.raises(AirflowFailException, match="1 of 2 rows are rejected"):
        run([client_row(1), client_row(2, surname="Ozola")], send_sms=True)
    assert "send_sms" in outcomes()[1]["reasons"][0]
    connect(altegio_sandbox, monkeypatch, "companies")
    with pytest.raises(AirflowFailException, match="route_family='locations'"):
        run([client_row(1, surname="Ozola")], send_sms=True)
    assert not booked(altegio_sandbox)


def test_a_server_that_loses_every_answer_ends_the_import_with_what_it_knows(run, outcomes, altegio_sandbox):
    rows = [client_row(number, 501 + number % 2) for number in range(120)]
    altegio_sandbox.fault("status", status=503, route=BULK)
    with pytest.raises(AirflowException):
        run(rows)
    altegio_sandbox.clear_faults()
    assert run(rows)["created"] == 120
    assert booked(altegio_sandbox) == asked_for(rows)
