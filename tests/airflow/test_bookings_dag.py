"""Files in a folder become bookings: the example DAG, through Airflow, against the sandbox."""

from __future__ import annotations

import csv
from collections import Counter
from datetime import UTC, datetime, timedelta

LOCATION = 88
START = (datetime.now(UTC) + timedelta(days=20)).replace(hour=15, minute=0, second=0, microsecond=0, tzinfo=None)
HEADINGS = ("event_id", "name", "surname", "phone", "email")


def test_a_file_is_booked_and_put_aside_with_its_report(tmp_path, airflow, airflow_db, altegio_sandbox) -> None:
    altegio_sandbox.add_location(LOCATION, timezone="Europe/Riga")
    altegio_sandbox.add_events(LOCATION, [{"id": 501, "date": START.isoformat(), "capacity": 50}])
    airflow("pools", "set", "altegio", "4", "Altegio")
    inbox = tmp_path / "in box"
    inbox.mkdir()
    phones = ["+37120000001", "+37120000002"]
    with (inbox / "good.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADINGS)
        writer.writerows((501, "Jānis", "Ozols", phone, f"c{phone[1:]}@example.com") for phone in phones)
    airflow(
        "dags",
        "test",
        "altegio_bookings_import",
        AIRFLOW_CONN_ALTEGIO_DEFAULT=altegio_sandbox.airflow_connection(timezone="Europe/Riga", location_id=LOCATION),
        ALTEGIO_INBOX=str(inbox),
        ALTEGIO_INBOX_QUIET="0",
        ALTEGIO_LEDGER=f"sqlite:///{tmp_path / 'ledger.db'}",
    )
    booked = Counter(one["client"]["phone"].lstrip("+") for one in altegio_sandbox.truth(LOCATION)["appointments"])
    assert booked == Counter(phone.lstrip("+") for phone in phones)
    there = {path.name for path in inbox.rglob("*") if path.is_file()}
    assert there >= {"good.csv", "report.csv", "report.parquet", "rejected.csv"}
    assert not (inbox / "good.csv").exists()
    assert not list(inbox.glob("failed/**/good.csv"))
