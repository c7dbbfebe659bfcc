"""Measures loads of 100,000 activities: into PostgreSQL with ParquetToSqlOperator and with pandas, and into DuckDB.

``python -m benchmarks.to_sql`` takes about two minutes. PostgreSQL is the one at ``ALTEGIO_TEST_POSTGRES`` (default
``postgresql://postgres@127.0.0.1:5432/test``). The tables are created in a separate schema and dropped at the end.
"""

from __future__ import annotations

import json
import logging
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

from altegio_provider.tables.convert.activities import ActivityConverter
from altegio_provider.tables.dataset.dataset import ParquetDataset

POSTGRES = os.environ.get("ALTEGIO_TEST_POSTGRES", "postgresql://postgres@127.0.0.1:5432/test")
SCHEMA = "altegio_benchmark"
ROWS = 100_000
GOAL = 5.0


def write(root: Path) -> None:
    """Write a dataset of a hundred days with a thousand events each."""
    first = datetime(2026, 1, 1, tzinfo=UTC)
    with ParquetDataset(root, 1001).writer(first, first + timedelta(days=100)) as writer:
        for batch in ActivityConverter(1001, "UTC").batches(event(number, first) for number in range(ROWS)):
            writer.write(batch)


def event(number: int, first: datetime) -> dict[str, object]:
    """Return an activity in the form of the API."""
    starts = first + timedelta(days=number // 1000, seconds=number % 1000 * 60)
    service = number % 8
    return {
        "id": number + 1,
        "date": f"{starts:%Y-%m-%d %H:%M:%S}",
        "timestamp": int(starts.timestamp()),
        "length": 3600,
        "capacity": 12,
        "records_count": number % 13,
        "staff_id": number % 40,
        "staff": {"id": number % 40, "name": f"Teacher {number % 40}", "specialization": "Yoga", "rating": 4.5},
        "service_id": service,
        "service": {"id": service, "title": f"Service {service}", "category_id": 3, "price_min": 12, "price_max": 16},
        "labels": [{"id": 1, "title": "new"}] if number % 4 == 0 else [],
        "resource_instances": [{"id": number % 3, "title": "Big hall", "resource_id": 1}],
        "instructions": "Please come ten minutes before the beginning.",
        "created_at": "2025-12-01T10:00:00Z",
    }


def by_operator(conn_id: str) -> Callable[[Path, str], None]:
    """Load with the operator, as a task does."""

    def load(root: Path, table: str) -> None:
        from altegio_provider.transfers.parquet_to_sql import ParquetToSqlOperator

        ParquetToSqlOperator(task_id="load", source_path=str(root), table=table, conn_id=conn_id).execute({})

    return load


def by_pandas(root: Path, table: str) -> None:
    """Load with ``DataFrame.to_sql``. Nested columns are converted to JSON text, which ``to_sql`` does not do."""
    import pandas as pd
    import sqlalchemy as sa

    frame = pd.read_parquet(root)
    for column in ("labels", "resource_instances"):
        frame[column] = [json.dumps(list(value), default=str) for value in frame[column]]
    engine = sa.create_engine(POSTGRES.replace("postgresql://", "postgresql+psycopg://"))
    schema, _, name = table.rpartition(".")
    with engine.begin() as connection:
        frame.to_sql(name, connection, schema=schema, if_exists="replace", index=False, chunksize=10_000)
    engine.dispose()


def count(table: str) -> int:
    """Return the number of rows of a PostgreSQL table."""
    import adbc_driver_postgresql.dbapi as driver

    with driver.connect(POSTGRES) as connection, connection.cursor() as cursor:
        cursor.execute(f"SELECT count(DISTINCT id) FROM {table}")
        return int(cursor.fetchone()[0])


@contextmanager
def own_schema() -> Iterator[None]:
    """Create the schema, and drop it at the end."""
    import adbc_driver_postgresql.dbapi as driver

    def run(sql: str) -> None:
        with driver.connect(POSTGRES) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            connection.commit()

    run(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    run(f"CREATE SCHEMA {SCHEMA}")
    try:
        yield
    finally:
        run(f"DROP SCHEMA {SCHEMA} CASCADE")


def main() -> None:
    """Print a line for each method, measured in interleaved runs."""
    logging.disable(logging.INFO)
    with tempfile.TemporaryDirectory() as folder, own_schema():
        root = Path(folder) / "activities"
        write(root)
        adbc = {"conn_type": "adbc", "extra": {"dialect": "postgresql", "db_kwargs": {"uri": POSTGRES}}}
        os.environ["AIRFLOW_CONN_BENCHMARK_POSTGRES"] = json.dumps(adbc)
        duck = {"conn_type": "duckdb", "host": str(Path(folder) / "warehouse.duckdb")}
        os.environ["AIRFLOW_CONN_BENCHMARK_DUCKDB"] = json.dumps(duck)
        ways: dict[str, tuple[Callable[[Path, str], None], str]] = {
            "PostgreSQL, ParquetToSqlOperator, new table": (by_operator("benchmark_postgres"), f"{SCHEMA}.new_{{}}"),
            "PostgreSQL, ParquetToSqlOperator, upsert": (by_operator("benchmark_postgres"), f"{SCHEMA}.same"),
            "PostgreSQL, DataFrame.to_sql": (by_pandas, f"{SCHEMA}.pandas"),
            "DuckDB, ParquetToSqlOperator, new table": (by_operator("benchmark_duckdb"), "new_{}"),
            "DuckDB, ParquetToSqlOperator, upsert": (by_operator("benchmark_duckdb"), "same"),
        }
        by_operator("benchmark_postgres")(root, f"{SCHEMA}.same")  # so that every measured upsert finds its rows
        by_operator("benchmark_duckdb")(root, "same")
        seconds: dict[str, list[float]] = {name: [] for name in ways}
        for number in range(3):
            for name, (load, table) in ways.items():
                began = time.perf_counter()
                load(root, table.format(number))
                seconds[name].append(time.perf_counter() - began)
                if name.startswith("PostgreSQL"):
                    assert count(table.format(number)) == ROWS
        rates = {name: ROWS / statistics.median(times) for name, times in seconds.items()}
        pandas_rate = rates["PostgreSQL, DataFrame.to_sql"]
        for name, rate in rates.items():
            print(f"{name:<46} {rate:>9,.0f} rows/s  {rate / pandas_rate:5.1f} x to_sql")
        ratio = rates["PostgreSQL, ParquetToSqlOperator, new table"] / pandas_rate
        print(f"goal: {GOAL} x to_sql on PostgreSQL, {'met' if ratio >= GOAL else 'NOT met'}: {ratio:.1f}")


if __name__ == "__main__":
    main()
