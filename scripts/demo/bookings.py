"""The bulk import: the clients of a file are booked exactly once, in spite of faulty rows and a lost answer."""

from __future__ import annotations

import csv
import shutil
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

from scripts.demo.airflow import Airflow
from scripts.demo.output import print_line, show_table, step
from scripts.demo.paths import DEMO, INBOX
from scripts.demo.sandbox import Sandbox

_LOCATION = 2001
_TIMEZONE = "Europe/Riga"
_FILE = DEMO / "clients.csv"
_HEADINGS = ("event_date", "service_title", "name", "surname", "phone", "email")
_COLORS = {"created": "green", "already_created": "green", "duplicate": "dim", "rejected": "red"}
_POST = "create_event_appointment"
#: What the connection says of this studio, and how the DAG is set.
CONNECTION_EXTRA = {"location_id": _LOCATION, "timezone": _TIMEZONE}
SETTINGS = {
    "ALTEGIO_INBOX": str(INBOX),
    "ALTEGIO_INBOX_QUIET": "0",
    "ALTEGIO_MAX_REJECTED": "5",
    "ALTEGIO_REGION": "LV",
    "ALTEGIO_SETTLE": "1",
}


def book_a_file_twice(sandbox: Sandbox, airflow: Airflow) -> None:
    """Put a file of clients into the inbox, show the status of each row, and put the same file in again."""
    start, full_class = _open_studio(sandbox)
    _write_file(start)
    step("A file of clients goes into the inbox of the DAG altegio_bookings_import")
    print_line("  Two rows are faulty, one is a duplicate, one is for a class that is full,")
    print_line("  and the sandbox loses its answer to the first booking, after the booking was made.")
    sandbox.post("/faults", {"effect": "lose_answer_after", "route": _POST, "nth": 1})
    _show(_drop(airflow))

    # A refused row would be sent again, because the class may have free seats by then. So the class is deleted.
    sandbox.delete(f"/events/{_LOCATION}/{full_class}")
    asked, booked = _times_asked(sandbox), _booked(sandbox)
    step("The full class is cancelled, and the same file is imported again: nothing is sent")
    statuses = Counter(row["status"] for row in _drop(airflow))
    asked_again, booked_now = _times_asked(sandbox) - asked, _booked(sandbox)
    print_line("  " + ", ".join(f"{count} {status}" for status, count in statuses.items()))
    print_line(
        f"  Bookings in the sandbox: {len(booked)} before, {len(booked_now)} after. Requests to book: {asked_again}"
    )
    if asked_again or booked_now != booked:
        raise SystemExit("The second import must not send anything: every row was answered already.")


def _open_studio(sandbox: Sandbox) -> tuple[datetime, int]:
    """Add a location to the sandbox; return when its classes start on its wall clock, and the id of the full one."""
    start = (datetime.now(UTC) + timedelta(days=7)).replace(hour=18, minute=30, second=0, microsecond=0, tzinfo=None)
    titles = ("Yoga", "Boxing", "Dance")
    staff = [{"id": number, "name": name} for number, name in enumerate(("Anna", "Jānis", "Zoë"), 1)]
    services = [{"id": number, "title": title} for number, title in enumerate(titles, 1)]
    sandbox.post("/locations", {"id": _LOCATION, "timezone": _TIMEZONE, "staff": staff, "services": services})
    common = {"location_id": _LOCATION, "date": start.isoformat(), "capacity": 8}
    classes = [common | {"service_id": number, "staff_id": number} for number in (1, 2, 3)]
    # Six bookings take all eight seats. These routes return only the number of bookings.
    classes[-1] |= {"first_records": 6, "first_seats": 8}
    return start, sandbox.post("/events", classes)["ids"][-1]


def _write_file(start: datetime) -> None:
    when, later = (f"{one:%d.%m.%Y %H:%M}" for one in (start, start + timedelta(hours=2)))
    rows = [
        (when, "Yoga", "Anna", "Liepa", "+371 2910 0001", "anna@example.com"),
        (when, "Yoga", "Jānis", "Ozols", "29100002", "janis@example.com"),
        (when, "Yoga", "Līga", "Kalniņa", "2910", "liga@example.com"),
        (when, "Yoga", "Jānis", "OZOLS", "+371 29-100-002", "janis@example.com"),
        (when, "Boxing", "Māra", "Siliņa", "29100005", "mara@example.com"),
        (when, "Dance", "Ilze", "Vītola", "29100006", "ilze@example.com"),
        (later, "Boxing", "Pēteris", "Kalns", "29100007", "peteris@example.com"),
        (when, "Yoga", "Мария", "Соколова", "29100008", "maria@example.com"),
    ]
    with _FILE.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_HEADINGS)
        writer.writerows(rows)


def _drop(airflow: Airflow) -> list[dict[str, str]]:
    """Put the file into the inbox, run the DAG, and return its report."""
    INBOX.mkdir(exist_ok=True)
    before = set(INBOX.rglob("report.csv"))
    shutil.copy(_FILE, INBOX)
    airflow.run("dags", "test", "altegio_bookings_import")
    (report,) = (path for path in set(INBOX.rglob("report.csv")) - before if path.parent.name == _FILE.name)
    return _table(report)


def _show(report: list[dict[str, str]]) -> None:
    clients = _table(_FILE)
    rows = []
    for row in report:
        client = clients[int(row["line"]) - 2]
        color = _COLORS.get(row["status"], "yellow")
        status = f"[{color}]{row['status']}[/{color}]"
        who = (row["line"], client["service_title"], client["name"], client["phone"])
        rows.append((*who, status, row["record_id"], row["reasons"]))
    headings = ("line", "class", "client", "phone", "status", "record", "reasons")
    show_table(headings, rows, title="Status of each row")


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8-sig") as file:
        return list(csv.DictReader(file))


def _booked(sandbox: Sandbox) -> list[int]:
    """Return the ids of all bookings in the sandbox that were made through the API."""
    return sorted(one["id"] for one in sandbox.get(f"/truth/{_LOCATION}")["appointments"])


def _times_asked(sandbox: Sandbox) -> int:
    """Return the number of booking requests, whatever their answers."""
    return sum(one["times"] for one in sandbox.get("/stats")["answers"] if one["route"].endswith(_POST))
