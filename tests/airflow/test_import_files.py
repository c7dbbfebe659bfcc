"""Files as people have them are booked as they were meant, or rejected with what to do."""

from __future__ import annotations

import csv
from datetime import UTC, datetime, timedelta

import pytest

from altegio_provider.operators.appointments import AltegioCreateAppointmentsOperator
from altegio_provider.operators.events import AltegioCreateEventsOperator

LOCATION = 77
START = (datetime.now(UTC) + timedelta(days=20)).replace(hour=15, minute=0, second=0, microsecond=0, tzinfo=None)


@pytest.fixture(params=["companies", "locations"])
def family(request, altegio_sandbox, monkeypatch):
    altegio_sandbox.add_location(
        LOCATION,
        timezone="Europe/Riga",
        staff=[{"id": 1, "name": "Anna"}],
        services=[{"id": 2, "title": "Yoga"}],
    )
    event = {"id": 501, "date": START.isoformat(), "staff_id": 1, "service_id": 2, "length": 3600, "capacity": 50}
    altegio_sandbox.add_events(LOCATION, [event])
    connection = altegio_sandbox.airflow_connection(
        timezone="Europe/Riga", route_family=request.param, location_id=LOCATION
    )
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", connection)
    return request.param


@pytest.fixture
def book(tmp_path, family, altegio_sandbox):
    """Book the sound rows of a file, whatever the others are, and return the booked clients by their first names."""

    def run(text, name="clients.csv", **options):
        source = tmp_path / name
        source.write_bytes(text if isinstance(text, bytes) else text.encode())
        AltegioCreateAppointmentsOperator(
            task_id="book",
            source=str(source),
            report_path=str(tmp_path / "report"),
            ledger_url=f"sqlite:///{tmp_path / 'ledger.db'}",
            **{"settle_seconds": 0.05, "max_rejected": 1.0, **options},
        ).execute({})
        return {one["client"]["name"]: one for one in altegio_sandbox.truth(LOCATION)["appointments"]}

    return run


@pytest.fixture
def rejected(tmp_path):
    """Return the rows of ``rejected.csv``."""

    def read():
        with (tmp_path / "report" / "rejected.csv").open(encoding="utf-8-sig", newline="") as file:
            return list(csv.DictReader(file))

    return read


def clients(heading, *cells):
    """A file of clients that differ in their names, phones and one more column."""
    rows = [f"501,Client{n},Ruiz,+3461234567{n},c{n}@example.com,{cell}" for n, cell in enumerate(cells)]
    return "\n".join([f"event_id,name,surname,phone,email,{heading}", *rows])


@pytest.mark.parametrize(
    ("cells", "genders"),
    [
        ("HMH", [1, 2, 1]),
        ("MFm", [1, 2, 1]),
        ("MWM", [1, 2, 1]),
        ("FFF", [2, 2, 2]),
        ("FNF", [1, 2, 1]),
        ("МЖЖ", [1, 2, 2]),
    ],
)
def test_the_letters_of_a_gender_are_read_in_the_language_of_the_column(book, cells, genders):
    booked = book(clients("gender", *cells))
    assert [booked[f"Client{n}"]["client"]["gender"] for n in range(3)] == genders


@pytest.mark.parametrize("cells", ["MMM", ["M", "mujer", "M"], "VMV", "MFH"])
def test_a_gender_that_could_be_either_is_rejected(book, rejected, cells):
    booked = book(clients("gender", *cells))
    assert len(booked) == sum(len(cell) > 1 for cell in cells)
    assert all("man in one language" in row["altegio_reasons"] for row in rejected())


def test_a_file_with_the_month_first_books_no_date_that_could_be_either(book, rejected):
    booked = book(clients("birthday", "03/04/1990", "12/25/1990", "05/05/1990", "1990-03-04", "25/12/1990"))
    assert {name: one["client"]["birthday"] for name, one in booked.items()} == {
        "Client2": "1990-05-05",
        "Client3": "1990-03-04",
        "Client4": "1990-12-25",
    }
    assert [row["name"] for row in rejected()] == ["Client0", "Client1"]


def test_a_range_of_times_is_a_start_and_an_end(tmp_path, family, altegio_sandbox):
    day = f"{START:%d.%m.%Y}"
    source = tmp_path / "timetable.csv"
    source.write_text(
        "staff_id,service_id,date,length,capacity\n"
        f"1,2,{day} 18:00-19:00,3600,10\n1,2,{day} 10:00-11:00,5400,10\n1,2,{day} 20:00,3600,10\n"
    )
    AltegioCreateEventsOperator(
        task_id="publish",
        source=str(source),
        report_path=str(tmp_path / "report"),
        ledger_url=f"sqlite:///{tmp_path / 'ledger.db'}",
        max_rejected=1,
    ).execute({})
    starts = {event["date"][11:16] for event in altegio_sandbox.truth(LOCATION)["events"] if event["id"] != 501}
    assert starts == {"18:00", "20:00"}


def test_cells_that_a_spreadsheet_dropped_at_the_end_are_blank(book):
    text = "event_id,name,surname,phone,email,clients_count\n501,Anna,Ozola,+37126900040,a@example.com\n"
    assert book(text)["Anna"]["clients_count"] == 1


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_a_row_with_too_many_cells_is_rejected_again_when_it_is_fed_back(tmp_path, book, rejected, delimiter):
    text = "event_id,name,surname,phone,email,clients_count\n501,Anna,Ozola,+37126900005,a@example.com,,3\n"
    options = {"delimiter": delimiter, "encoding": "cp1257"}
    assert not book(text.replace(",", delimiter), **options)
    first = rejected()
    assert not book((tmp_path / "report" / "rejected.csv").read_bytes(), **options)
    assert [row["name"] for row in rejected()] == ["Anna"]
    assert rejected()[0][None] == first[0][None] == ["3"]
    line = (
        (tmp_path / "report" / "rejected.csv")
        .read_text(encoding="utf-8-sig")
        .replace("a@example.com,,", "a@example.com,3,")
    )
    assert book(line.removesuffix(",3\r\n").removesuffix(",3\n"), **options)["Anna"]["clients_count"] == 3
