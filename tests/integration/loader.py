"""A process that loads on demand: ``python -m tests.integration.loader``, told by lines of JSON.

It answers "half" in the middle of its rows where it is asked to stop there, and goes on with the next line. At the end
it answers with the number of rows.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pyarrow as pa

from altegio_provider.warehouse import LoadRange
from tests.integration.warehouses import WarehouseTarget

START = datetime(2026, 11, 10, tzinfo=UTC)
RANGE = LoadRange(1, START, START + timedelta(days=1))


def rows(count: int) -> pa.Table:
    starts = pa.array([START] * count, pa.timestamp("us", tz="UTC"))
    return pa.table({"location_id": [1] * count, "id": range(count), "starts_at": starts})


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    for line in sys.stdin:
        told = json.loads(line)
        table = rows(told["rows"])

        def batches(table: pa.Table = table, stops: bool = told["stops"]) -> Iterator[pa.RecordBatch]:
            yield table.to_batches()[0].slice(0, 10)
            if stops:
                say("half")
                sys.stdin.readline()
            yield table.to_batches()[0].slice(10)

        reader = pa.RecordBatchReader.from_batches(table.schema, batches())
        place = WarehouseTarget(told["kind"], told["where"])
        say(str(place.load(reader, mode=told["mode"], key=("location_id", "id"), ranges=[RANGE])))


if __name__ == "__main__":
    main()
