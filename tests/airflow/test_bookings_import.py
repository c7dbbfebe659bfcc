"""A file of clients becomes appointments, each exactly once: the bulk operator against the sandbox."""

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
EVENTS = (501, 502)
HEADINGS = ("event_id", "name", "surname", "phone", "email")
LEDGER = "ledger.db"


@pytest.fixture(params=["companies", "locations"])
def family(request, altegio_sandbox, monkeypatch):
    altegio_sandbox.add_location(
        LOCATION,
        timezone="Europe/Riga",
        staff=[{"id": 1, "name": "Anna"}, {"id": 3, "name": "Zoë"}],
        services=[{"id": 2, "title": "Yoga"}],
    )
    altegio_sandbox.add_events(
        LOCATION,
        [
            {"id": 501, "date": START.isoformat(), "staff_id": 1, "service_id": 2, "length": 3600, "capacity": 50},
            {"id": 502, "date": START.isoformat(), "staff_id": 3, "service_id": 2, "length": 3600, "capacity": 3},
        ],
    )
    connection = altegio_sandbox.airflow_connection(
        timezone="Europe/Riga", route_family=request.param, location_id=LOCATION
    )
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", connection)
    return request.param


def client_row(number, event_id=501):
    return {
        "event_id": event_id,
        "name": f"Client{number}",
        "surname": "Ozols",
        "phone": f"+3712000{number:04}",
        "email": f"client{number}@example.com",
    }


def write_csv(path, rows, headings=HEADINGS):
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, headings)
        writer.writeheader()
        writer.writerows(rows)
    return path


def run(tmp_path, source, **options):
    operator = AltegioCreateAppointmentsOperator(
        task_id="book",
        source=str(source),
        report_path=str(tmp_path / "report"),
        ledger_url=f"sqlite:///{tmp_path / LEDGER}",
        **{"settle_seconds": 0.05, **options},
    )
    return operator.execute({})


def outcomes(tmp_path):
    return pq.read_table(tmp_path / "report" / "report.parquet").to_pylist()


def booked(sandbox):
    """Who is booked into what: (event, digits of the phone, seats)."""
    return Counter(
        (one["event_id"], str(one["client"]["phone"]).lstrip("+"), one["clients_count"])
        for one in sandbox.truth(LOCATION)["appointments"]
    )


def asked_for(rows):
    return Counter((row["event_id"], row["phone"].lstrip("+"), 1) for row in rows)


def test_each_row_is_booked_once_and_the_same_file_again_sends_nothing(tmp_path, family, altegio_sandbox):
    rows = [client_row(number) for number in range(30)]
    source = write_csv(tmp_path / "clients.csv", rows)
    first = run(tmp_path, source)
    assert (first["rows"], first["created"]) == (30, 30)
    assert booked(altegio_sandbox) == asked_for(rows)
    ids = {row["line"]: row["record_id"] for row in outcomes(tmp_path)}
    again = run(tmp_path, source)
    assert (again["already_created"], again["created"]) == (30, 0)
    assert {row["line"]: row["record_id"] for row in outcomes(tmp_path)} == ids
    assert booked(altegio_sandbox) == asked_for(rows)


@pytest.mark.parametrize(
    "switches", [{"bracket_include": "refused", "bare_include": "last"}, {"bracket_include": "ignored"}]
)
def test_where_the_server_does_not_show_the_client_a_lost_answer_ends_in_doubt(
    tmp_path, family, altegio_sandbox, switches
):
    altegio_sandbox.switch(**switches)
    rows = [client_row(number) for number in range(4)]
    altegio_sandbox.fault("lose_answer_after", route="create_event_appointment", nth=2)
    with pytest.raises(AirflowFailException, match="1 rows are in doubt"):
        run(tmp_path, write_csv(tmp_path / "clients.csv", rows), concurrency=1)
    assert booked(altegio_sandbox) == asked_for(rows)
    assert Counter(row["status"] for row in outcomes(tmp_path)) == {"created": 3, "in_doubt": 1}


@pytest.mark.parametrize(
    "effect",
    [
        "lose_answer_after",
        "lose_answer_before",
        "late_effect",
        "truncate",
        "cut_json",
        "empty",
        "html",
        "success_false",
    ],
)
def test_a_lost_answer_is_looked_for_and_never_sent_twice(tmp_path, family, altegio_sandbox, effect):
    rows = [client_row(number) for number in range(12)]
    extra = {"seconds": 0.01} if effect == "late_effect" else {}
    altegio_sandbox.fault(effect, route="create_event_appointment", every=3, times=3, **extra)
    result = run(tmp_path, write_csv(tmp_path / "clients.csv", rows), settle_seconds=0.3)
    assert result["created"] == 12
    assert booked(altegio_sandbox) == asked_for(rows)
    assert {row["record_id"] for row in outcomes(tmp_path)} == {
        one["id"] for one in altegio_sandbox.truth(LOCATION)["appointments"]
    }


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_is_a_doubt_whether_it_took_effect_or_not(tmp_path, family, altegio_sandbox, status):
    rows = [client_row(number) for number in range(10)]
    altegio_sandbox.fault("status", status=status, route="create_event_appointment", nth=2)
    altegio_sandbox.fault("status_after", status=status, body="html", route="create_event_appointment", nth=5)
    result = run(tmp_path, write_csv(tmp_path / "clients.csv", rows))
    assert result["created"] == 10
    assert booked(altegio_sandbox) == asked_for(rows)


def test_a_faulty_row_stops_the_file_before_anything_is_sent(tmp_path, family, altegio_sandbox):
    rows = [client_row(1), {**client_row(2), "phone": "12"}, client_row(3)]
    source = write_csv(tmp_path / "clients.csv", rows)
    with pytest.raises(AirflowFailException, match="1 of 3 rows are rejected"):
        run(tmp_path, source)
    assert not booked(altegio_sandbox)
    assert [row["status"] for row in outcomes(tmp_path)] == ["not_sent", "rejected", "not_sent"]
    assert run(tmp_path, source, max_rejected=1)["created"] == 2
    mended = (tmp_path / "report" / "rejected.csv").read_text(encoding="utf-8-sig").replace(",12,", ",+37120000002,")
    (tmp_path / "mended.csv").write_text(mended, encoding="utf-8")
    assert run(tmp_path, tmp_path / "mended.csv")["created"] == 1
    assert booked(altegio_sandbox) == asked_for([client_row(1), client_row(2), client_row(3)])


def test_a_dry_run_reports_and_sends_nothing(tmp_path, family, altegio_sandbox):
    rows = [client_row(1), {**client_row(2), "email": "nobody"}, client_row(1)]
    result = run(tmp_path, write_csv(tmp_path / "clients.csv", rows), dry_run=True)
    assert (result["not_sent"], result["rejected"], result["duplicate"]) == (1, 1, 1)
    assert not booked(altegio_sandbox)


@pytest.mark.parametrize(("choice", "seats"), [("skip", 1), ("send", 2), ("reject", 1)])
def test_equal_rows_are_one_booking_unless_told_otherwise(tmp_path, family, altegio_sandbox, choice, seats):
    source = write_csv(tmp_path / "clients.csv", [client_row(1), client_row(1)])
    for _ in range(2):
        run(tmp_path, source, on_duplicate=choice, max_rejected=1)
        assert booked(altegio_sandbox)[501, "37120000001", 1] == seats


def test_seats_are_weighed_before_anything_is_sent(tmp_path, family, altegio_sandbox):
    rows = [client_row(number, event_id=502) for number in range(5)]
    source = write_csv(tmp_path / "clients.csv", rows)
    with pytest.raises(AirflowFailException):
        run(tmp_path, source)
    assert not booked(altegio_sandbox)
    assert [row["status"] for row in outcomes(tmp_path)] == ["not_sent"] * 3 + ["rejected"] * 2
    assert run(tmp_path, source, max_rejected=2)["created"] == 3
    assert booked(altegio_sandbox) == asked_for(rows[:3])


def test_an_event_may_be_named_by_its_start(tmp_path, family, altegio_sandbox):
    when = START.strftime("%d.%m.%Y %H:%M")
    rows = [
        {**client_row(1), "event_date": when, "service_title": "yoga", "staff_name": "Anna"},
        {**client_row(2), "event_date": when, "service_title": "Yoga", "staff_name": ""},
        {**client_row(3), "event_date": when, "service_title": "Pilates", "staff_name": ""},
    ]
    headings = ("name", "surname", "phone", "email", "event_date", "service_title", "staff_name")
    rows = [{name: row[name] for name in headings} for row in rows]
    result = run(tmp_path, write_csv(tmp_path / "clients.csv", rows, headings), max_rejected=2)
    assert (result["created"], result["rejected"]) == (1, 2)
    reasons = [" ".join(row["reasons"]) for row in outcomes(tmp_path)]
    assert "501" in reasons[1]
    assert "502" in reasons[1]
    assert "several" in reasons[1]
    assert "no event matches" in reasons[2]
    assert "501" in reasons[2]
    assert booked(altegio_sandbox) == asked_for([client_row(1)])


@pytest.mark.parametrize("change", ["past", "past and not listed", "deleted"])
def test_who_is_in_a_class_that_cannot_be_looked_up_any_more_stays_booked(tmp_path, family, altegio_sandbox, change):
    headings = ("event_date", "service_title", "staff_name", "name", "surname", "phone", "email")
    names = {"event_date": START.strftime("%d.%m.%Y %H:%M"), "service_title": "Yoga", "staff_name": "Anna"}
    rows = [{name: (names | client_row(number))[name] for name in headings} for number in (1, 2, 3)]
    altegio_sandbox.switch(delete_cancels=False)  # what was booked stays visible here, though its class is gone
    run(tmp_path, write_csv(tmp_path / "clients.csv", rows[:2], headings))
    if change == "past and not listed":
        if family == "companies":
            pytest.skip("its list shows the past")
        altegio_sandbox.switch(include_deleted="refused")
    if change.startswith("past"):
        altegio_sandbox.advance(timedelta(days=30).total_seconds())
    else:
        altegio_sandbox.delete_event(LOCATION, 501)
    other_notation = [{**row, "event_date": START.isoformat(), "service_title": "YOGA"} for row in rows]
    result = run(tmp_path, write_csv(tmp_path / "again.csv", other_notation, headings), max_rejected=1)
    is_listed = change == "past"
    assert (result["already_created"], result["created"]) == (2, int(is_listed))
    assert booked(altegio_sandbox) == asked_for([client_row(n) for n in (1, 2, 3)[: 2 + is_listed]])


def test_what_the_api_refuses_is_rejected_in_its_words(tmp_path, family, altegio_sandbox):
    altegio_sandbox.fault(
        "status", status=422, errors={"client.phone": ["is barred"]}, route="create_event_appointment", nth=2
    )
    source = write_csv(tmp_path / "clients.csv", [client_row(number) for number in range(3)])
    with pytest.raises(AirflowFailException, match="1 of 3 rows are rejected"):
        run(tmp_path, source)
    assert sum(booked(altegio_sandbox).values()) == 2
    assert [row["reasons"] for row in outcomes(tmp_path) if row["status"] == "rejected"] == [
        ["client.phone: is barred"]
    ]


def test_masked_phones_leave_a_lost_row_in_doubt_until_a_person_decides(tmp_path, family, altegio_sandbox):
    rows = [client_row(1)]
    source = write_csv(tmp_path / "clients.csv", rows)
    altegio_sandbox.fault("mask_phones")
    altegio_sandbox.fault("lose_answer_after", route="create_event_appointment", nth=1)
    with pytest.raises(AirflowFailException, match="in doubt"):
        run(tmp_path, source)
    with pytest.raises(AirflowFailException, match="in doubt"):
        run(tmp_path, source)
    assert booked(altegio_sandbox) == asked_for(rows)
    assert run(tmp_path, source, resend_in_doubt=True)["created"] == 1
    assert sum(booked(altegio_sandbox).values()) == 2


def test_a_late_client_number_is_waited_for(tmp_path, family, altegio_sandbox):
    altegio_sandbox.fault("late_client_id", seconds=0.5, route="create_event_appointment")
    altegio_sandbox.fault("lose_answer_after", route="create_event_appointment", nth=2)
    rows = [client_row(number) for number in range(4)]
    assert run(tmp_path, write_csv(tmp_path / "c.csv", rows), settle_seconds=0.3)["created"] == 4
    assert booked(altegio_sandbox) == asked_for(rows)


def test_a_record_that_lost_its_event_is_found_and_told(tmp_path, family, altegio_sandbox):
    altegio_sandbox.fault("record_without_event", route="create_event_appointment", nth=2)
    altegio_sandbox.fault("lose_answer_after", route="create_event_appointment", nth=2)
    rows = [client_row(number) for number in range(3)]
    assert run(tmp_path, write_csv(tmp_path / "c.csv", rows))["created"] == 3
    assert len(altegio_sandbox.truth(LOCATION)["appointments"]) == 3
    assert ["created without event 501" in " ".join(row["reasons"]) for row in outcomes(tmp_path)] == [
        False,
        True,
        False,
    ]


def test_wrong_tokens_end_the_run_with_nothing_sent(tmp_path, family, altegio_sandbox, monkeypatch):
    altegio_sandbox.add_location(78, timezone="UTC", forbidden=True)
    with pytest.raises(Exception, match="not allowed"):
        run(tmp_path, write_csv(tmp_path / "c.csv", [client_row(1)]), location_id=78)


def test_an_ill_server_halts_the_run_and_a_retry_goes_on(tmp_path, family, altegio_sandbox):
    rows = [client_row(number) for number in range(40)]
    source = write_csv(tmp_path / "clients.csv", rows)
    altegio_sandbox.fault("status", status=503, route="create_event_appointment")
    with pytest.raises(AirflowException, match="answers in a row were lost") as failure:
        run(tmp_path, source)
    assert not isinstance(failure.value, AirflowFailException)
    counts = Counter(row["status"] for row in outcomes(tmp_path))
    assert counts["in_doubt"] <= 25
    assert counts["not_sent"] >= 15
    altegio_sandbox.clear_faults()
    assert run(tmp_path, source)["created"] == 40
    assert booked(altegio_sandbox) == asked_for(rows)


def test_external_ids_tell_rows_apart_that_are_otherwise_equal(tmp_path, family, altegio_sandbox):
    rows = [{**client_row(1), "external_id": key} for key in ("a", "b", "a")]
    altegio_sandbox.fault("lose_answer_after", route="create_event_appointment", nth=1)
    source = write_csv(tmp_path / "clients.csv", rows, (*HEADINGS, "external_id"))
    result = run(tmp_path, source)
    assert (result["created"], result["duplicate"]) == (2, 1)
    assert sum(booked(altegio_sandbox).values()) == 2


def test_no_log_and_no_result_names_anybody(tmp_path, family, altegio_sandbox, caplog):
    caplog.set_level("DEBUG")
    altegio_sandbox.fault("lose_answer_after", route="create_event_appointment", nth=2)
    result = run(tmp_path, write_csv(tmp_path / "clients.csv", [client_row(number) for number in range(5)]))
    told = caplog.text + str(result)
    assert not [word for word in ("Client1", "2000000", "example.com", "sandbox-user") if word in told]
