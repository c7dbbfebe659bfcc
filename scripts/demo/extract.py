"""The daily extract: a week of three locations, as Parquet files."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from scripts.demo.airflow import Airflow
from scripts.demo.output import print_line, show_bars, show_table, step
from scripts.demo.paths import DATA, REPOSITORY

_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_COLUMNS = {
    "starts_at_local": "starts",
    "location_id": "location",
    "service_title": "class",
    "staff_name": "teacher",
    "capacity": "seats",
    "records_count": "booked",
}


def extract_a_week(airflow: Airflow) -> None:
    """Run the daily DAG for the last whole week, and show what it wrote."""
    today = datetime.now(UTC)
    monday = today - timedelta(days=today.weekday() + 7)
    step(f"Airflow: the DAG altegio_activities_daily for {monday:%d %B} to {monday + timedelta(6):%d %B %Y}")
    week = {"date_from": f"{monday:%Y-%m-%d}", "date_to": f"{monday + timedelta(7):%Y-%m-%d}"}
    airflow.run("dags", "test", "altegio_activities_daily", "--conf", json.dumps(week))
    _show()


def _show() -> None:
    import pandas as pd

    root = DATA / "activities"
    frame = pd.read_parquet(root)
    files = sorted(root.rglob("*.parquet"))
    step(f"{len(frame)} classes in {len(files)} files")
    for file in files:
        print_line(f"  {file.relative_to(REPOSITORY)}  ({file.stat().st_size:,} bytes)")

    frame["day"] = frame["starts_at_local"].dt.date
    counts = frame.pivot_table(index="day", columns="location_id", values="id", aggfunc="count", fill_value=0)
    show_table(
        ["day", *(f"location {number}" for number in counts.columns)],
        ([f"{day:%a %d %b}", *(str(int(number)) for number in row)] for day, row in counts.iterrows()),
        title="Classes by day and location",
    )
    first = frame.sort_values("starts_at")[list(_COLUMNS)].head(6).itertuples(index=False)
    show_table(
        list(_COLUMNS.values()),
        ([f"{value:%a %H:%M}" if isinstance(value, datetime) else str(value) for value in row] for row in first),
        title="The first rows",
    )

    step("Bookings by weekday")
    bookings = frame.groupby(frame["starts_at_local"].dt.day_of_week)["records_count"].sum()
    most = bookings.max()
    show_bars((_DAYS[int(day)], 40 * number / most, str(int(number))) for day, number in bookings.items())
