"""The operators with a dataset on S3, reached through an Airflow connection."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pytest

from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.operators.appointments import AltegioCreateAppointmentsOperator
from altegio_provider.tables.dataset.storage_errors import StorageError
from altegio_provider.transfers.altegio_to_parquet import AltegioActivitiesToParquetOperator
from altegio_provider.transfers.parquet_to_sql import ParquetToSqlOperator
from altegio_provider.warehouse.connections import source_files
from tests.services import connection_of
from tests.stores.days import write
from tests.stores.s3_server import ACCESS_DENIED, KEYS, Request, S3Server

REPOSITORY = Path(__file__).resolve().parents[2]
RANGE = {"date_from": "2026-11-10T00:00:00+00:00", "date_to": "2026-11-12T00:00:00+00:00"}


@pytest.fixture
def root(s3: S3Server, bucket: Any, altegio_sandbox: Any, tmp_path: Any, monkeypatch: Any) -> str:
    """The dataset's URL, with connections to S3, to the sandbox and to a warehouse."""
    aws = {"login": KEYS["key"], "password": KEYS["secret"], "conn_type": "aws"}
    extra = {"endpoint_url": s3.url, "region_name": "us-east-1"}
    monkeypatch.setenv("AIRFLOW_CONN_AWS_OF_TESTS", json.dumps({**aws, "extra": extra}))
    monkeypatch.setenv("AIRFLOW_CONN_WAREHOUSE", connection_of("duckdb", str(tmp_path / "warehouse.duckdb")))
    monkeypatch.setenv("AIRFLOW_CONN_ALTEGIO_DEFAULT", altegio_sandbox.airflow_connection(location_id=1001))
    return f"s3://aws_of_tests@{bucket.path.strip('/')}/data"


def loaded(tmp_path: Any) -> dict[int, int]:
    with duckdb.connect(str(tmp_path / "warehouse.duckdb")) as connection:
        return dict(connection.execute("SELECT id, run FROM days").fetchall())


def load(root: str) -> dict[str, Any]:
    operator = ParquetToSqlOperator(task_id="load", source_path=root, table="days", key=("id",), conn_id="warehouse")
    return operator.execute({})


def test_an_extract_and_a_load_go_through_the_connection(root, tmp_path):
    summary = AltegioActivitiesToParquetOperator(task_id="extract", output_path=root, **RANGE).execute({})
    assert summary["files"] == [f"{root}/location-1001/20261110T000000Z--20261112T000000Z.parquet"]
    operator = ParquetToSqlOperator(task_id="load", source_path=summary, table="activities", conn_id="warehouse")
    assert operator.execute({})["rows"] == summary["rows"] > 0


def test_an_error_of_the_store_names_the_connection(root, s3):
    s3.on_request = lambda request: ACCESS_DENIED if request.method == "PUT" else None
    with pytest.raises(StorageError, match=r"Allow the credentials of the connection 'aws_of_tests'"):
        AltegioActivitiesToParquetOperator(task_id="extract", output_path=root, **RANGE).execute({})


def test_reports_in_a_bucket_that_is_not_there_are_refused_before_anything_is_sent(root, altegio_sandbox, tmp_path):
    altegio_sandbox.add_location(77, staff=[{"id": 1, "name": "Anna"}], services=[{"id": 2, "title": "Yoga"}])
    start = (datetime.now(UTC) + timedelta(days=20)).replace(microsecond=0, tzinfo=None)
    event = {"id": 501, "date": start.isoformat(), "staff_id": 1, "service_id": 2, "capacity": 30}
    altegio_sandbox.add_events(77, [event])
    row = {"event_id": 501, "name": "A", "surname": "B", "phone": "+37120000001", "email": "a@example.com"}

    def book(report_path: str) -> None:
        ledger_url = f"sqlite:///{tmp_path / 'ledger.db'}"
        options = {"location_id": 77, "ledger_url": ledger_url, "report_path": report_path}
        AltegioCreateAppointmentsOperator(task_id="book", source=[row], **options).execute({})

    with pytest.raises(StorageError, match=r"'mistyped-bucket'.*there is no such bucket"):
        book("s3://aws_of_tests@mistyped-bucket/reports")
    assert altegio_sandbox.truth(77)["appointments"] == []
    book(f"{root}/reports")
    assert len(altegio_sandbox.truth(77)["appointments"]) == 1


@pytest.mark.parametrize("place", [1, 4], ids=["the first footer is read", "the last file is read"])
def test_a_load_takes_another_turn_where_a_run_cuts_its_files_when(root, bucket, s3, tmp_path, place):
    write(bucket / "data", range(2), run=0)
    write(bucket / "data", range(2, 4), run=0)
    count = 0

    def on_request(request: Request) -> None:
        nonlocal count
        count += request.method == "GET" and request.name.endswith(".parquet")
        if count == place:
            s3.on_request = None
            write(bucket / "data", range(1, 3), run=1)

    s3.on_request = on_request
    assert load(root)["rows"] == 4
    assert loaded(tmp_path) == {0: 0, 1: 1, 2: 1, 3: 0}


def test_a_load_of_a_dataset_with_a_file_that_stays_away_is_refused(tmp_path, root):
    write(tmp_path / "data", range(2))
    write(tmp_path / "data", range(2, 4))
    next((tmp_path / "data" / "location-1").glob("*.parquet")).unlink()
    with pytest.raises(AltegioValidationError, match="one of its files does not exist"):
        source_files(str(tmp_path / "data"), sleep=lambda seconds: None)


@pytest.mark.parametrize("damage", ["deleted", "emptied", "cut"])
def test_a_load_reads_the_footers_where_the_manifest_is(root, tmp_path, damage):
    for location_id in (1, 2):
        write(tmp_path / "data", range(2), location_id=location_id)
    manifest = tmp_path / "data" / "location-1" / "_manifest.json"
    content = manifest.read_bytes()
    manifest.unlink()
    if damage != "deleted":
        manifest.write_bytes(content[:40] if damage == "cut" else b"")
    load = ParquetToSqlOperator(
        task_id="load",
        source_path=str(tmp_path / "data"),
        table="days",
        conn_id="warehouse",
        key=("id", "run"),
        mode="append",
    )
    assert load.execute({})["rows"] == 4


def test_the_documented_query_reads_the_files_that_count(tmp_path, monkeypatch):
    page = (REPOSITORY / "docs/howto/object-stores.md").read_text()
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "data" / "activities", range(4), location_id=1001)
    left_by_a_killed_run = next((tmp_path / "data").rglob("*.parquet"))
    content = left_by_a_killed_run.read_bytes()
    write(tmp_path / "data" / "activities", range(1, 2), location_id=1001)
    left_by_a_killed_run.write_bytes(content)
    (query,) = re.findall(r"^```sql\n(.*?)^```$", page, re.M | re.S)
    assert duckdb.connect().execute(query).fetchall() == [(4,)]
