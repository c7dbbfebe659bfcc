"""The backfill: which months are missing, and that it reads each once and then no more."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.tables.convert.activities import ActivityConverter
from altegio_provider.tables.dataset.dataset import ParquetDataset, read_manifest
from altegio_provider.transfers.backfill import missing_months

NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)


def missing(root, date_from="2026-03-01", date_to="", timezone="Europe/Riga", now=NOW):
    return [tuple(one.values()) for one in missing_months(str(root), "1001", timezone, date_from, date_to, now)]


def write(root, start, end) -> None:
    """Write an empty file of a window."""
    window = [datetime.fromisoformat(text) for text in (start, end)]
    with ParquetDataset(root, 1001).writer(*window) as writer:
        for batch in ActivityConverter(1001, "UTC").batches([]):
            writer.write(batch)


def test_months_are_those_of_the_location_and_the_latest_comes_first(tmp_path) -> None:
    assert missing(tmp_path) == [
        ("2026-05-31T21:00:00+00:00", "2026-06-14T21:00:00+00:00"),
        ("2026-04-30T21:00:00+00:00", "2026-05-31T21:00:00+00:00"),
        ("2026-03-31T21:00:00+00:00", "2026-04-30T21:00:00+00:00"),
        ("2026-02-28T22:00:00+00:00", "2026-03-31T21:00:00+00:00"),
    ]


def test_five_years_are_sixty_windows_without_a_gap(tmp_path) -> None:
    windows = missing(tmp_path, "2021-01-01", "2026-01-01", "America/New_York")[::-1]
    assert len(windows) == 60
    assert all(end == start for (_, end), (start, _) in pairwise(windows))


def test_what_is_covered_is_left_out_and_a_month_in_part_keeps_the_rest(tmp_path) -> None:
    write(tmp_path, "2026-03-31T21:00:00+00:00", "2026-04-30T21:00:00+00:00")
    write(tmp_path, "2026-03-10T00:00:00+00:00", "2026-03-11T00:00:00+00:00")
    assert missing(tmp_path, date_to="2026-05-01") == [
        ("2026-03-11T00:00:00+00:00", "2026-03-31T21:00:00+00:00"),
        ("2026-02-28T22:00:00+00:00", "2026-03-10T00:00:00+00:00"),
    ]


def test_a_snapshot_of_classes_to_come_covers_nothing(tmp_path) -> None:
    start, end = "2099-01-01T00:00:00+00:00", "2099-02-01T00:00:00+00:00"
    write(tmp_path, start, end)
    assert missing(tmp_path, "2099-01-01", "", "UTC", datetime(2099, 2, 1, 5, tzinfo=UTC)) == [(start, end)]


@pytest.mark.parametrize("date_from", ["", "soon", "2027-01-01"])
def test_a_start_that_is_none_is_refused(tmp_path, date_from) -> None:
    with pytest.raises(AltegioValidationError, match="date_from"):
        missing(tmp_path, date_from)


def test_it_reads_what_is_missing_and_then_nothing_is(airflow, airflow_db, altegio_sandbox, tmp_path) -> None:
    airflow("pools", "set", "altegio_backfill", "2", "Altegio's past")
    root = tmp_path / "activities"
    write(root, "2026-03-31T21:00:00+00:00", "2026-04-30T21:00:00+00:00")
    before = read_manifest(root)
    airflow(
        "dags",
        "test",
        "altegio_backfill",
        "--conf",
        json.dumps({"date_from": "2026-03-01", "date_to": "2026-06-01"}),
        AIRFLOW_CONN_ALTEGIO_BACKFILL=altegio_sandbox.airflow_connection(),
        ALTEGIO_DATA=str(tmp_path),
        ALTEGIO_LOCATIONS="1001=Europe/Riga",
    )
    march, april, may = read_manifest(root)
    assert [april] == before
    assert {march.location_id, may.location_id} == {1001}
    assert march.rows > 0 < may.rows
    assert missing(root, date_to="2026-06-01") == []
