"""Writes the report: the result of every row in input order, and the rejected rows to be corrected.

::

    <report_path>/report.parquet    line, status, event_id, record_id, reasons (a list)
    <report_path>/report.csv        the same, reasons joined by "; "
    <report_path>/rejected.csv      the rejected rows as in the input, with ``altegio_line`` and ``altegio_reasons``

A file is written completely or not at all. The two reports hold no personal data; ``rejected.csv`` holds the data of
the input. By default only their owner can read the files. No cell of the CSV files is a formula to a spreadsheet
program (:mod:`~altegio_provider.imports.files.formulas`).
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Sequence
from contextlib import closing
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from altegio_provider.imports.engine.row_store import Outcome, RowStore, Status
from altegio_provider.imports.files.formulas import REPORT_PREFIX, escaped_row
from altegio_provider.tables.dataset.folder import Folder
from altegio_provider.tables.dataset.storage_errors import disk_errors

__all__ = ["check_report_path", "report_schema", "write_report"]


def report_schema(partition_column: str) -> pa.Schema:
    """Return the report's schema.

    :param partition_column: the column with the partition of a row: ``event_id`` or ``staff_id``.
    """
    return pa.schema(
        [
            pa.field("line", pa.int64(), nullable=False),
            pa.field("status", pa.string(), nullable=False),
            pa.field(partition_column, pa.int64()),
            pa.field("record_id", pa.int64()),
            pa.field("reasons", pa.list_(pa.string()), nullable=False),
        ]
    )


_CHUNK = 1_000


def write_report(
    store: RowStore, columns: Sequence[str], report_path: Any, partition_column: str = "event_id", *, mode: int = 0o600
) -> dict[str, str]:
    """Write the three files, and return the path of each.

    :param store: the rows with their status.
    :param columns: the headings of the source.
    :param report_path: a folder (``pathlib.Path``, ``ObjectStoragePath`` or another path of ``universal_pathlib``),
        which is created if it does not exist; or a ``.parquet`` or ``.csv`` file whose name both reports take.
    :param partition_column: the column with the partition of a row: ``event_id`` or ``staff_id``.
    :param mode: the permissions of the files on a disk; by default only their owner reads them.
    :raises StorageError: a file cannot be written. No file is written in part.
    """
    folder, stem = _place_of(report_path)
    schema = report_schema(partition_column)
    writers: dict[str, Callable[[Path], None]] = {
        f"{stem}.parquet": partial(_write_parquet, store, schema),
        f"{stem}.csv": partial(_write_csv, store, schema),
        "rejected.csv": partial(_write_rejected, store, columns),
    }
    for name, write in writers.items():
        with closing(folder.stage(name, mode)) as staged:
            with disk_errors("write", folder.path_of(name)):
                write(staged.path)
            folder.publish(staged, name)
    return {name: folder.path_of(name) for name in writers}


def check_report_path(report_path: Any) -> None:
    """Check before anything is sent that the bucket of the report exists. Does nothing for a disk.

    :param report_path: as for :func:`write_report`.
    :raises StorageError: the bucket does not exist. It is not created.
    """
    _place_of(report_path)[0].check_bucket()


def _place_of(report_path: Any) -> tuple[Folder, str]:
    """Return the folder and the name of the reports without extension."""
    if str(report_path).endswith((".parquet", ".csv")):
        return Folder(report_path.parent), report_path.stem
    return Folder(report_path), "report"


def _write_parquet(store: RowStore, schema: pa.Schema, path: Path) -> None:
    outcomes = store.outcomes()
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while chunk := list(islice(outcomes, _CHUNK)):
            rows = [dict(zip(schema.names, _row(outcome), strict=True)) for outcome in chunk]
            writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=schema))


def _write_csv(store: RowStore, schema: pa.Schema, path: Path) -> None:
    rows = ((*_row(outcome)[:-1], "; ".join(outcome.reasons)) for outcome in store.outcomes())
    _write(path, schema.names, rows)


def _write_rejected(store: RowStore, columns: Sequence[str], path: Path) -> None:
    line, reasons = f"{REPORT_PREFIX}line", f"{REPORT_PREFIX}reasons"
    headings = [name for name in columns if name not in (line, reasons)]
    rejected = (outcome for outcome in store.outcomes() if outcome.status is Status.REJECTED)
    # Cells without a heading stay without one: a row that nobody corrected is rejected again.
    rows = (
        (*map(one.original.get, headings), one.line, "; ".join(one.reasons), *one.original.get("", ()))
        for one in rejected
    )
    _write(path, [*headings, line, reasons], rows)


def _row(outcome: Outcome) -> tuple[Any, ...]:
    return outcome.line, str(outcome.status), outcome.partition, outcome.record_id, outcome.reasons


def _write(path: Path, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    # Spreadsheet programs recognise UTF-8 by the byte order mark. A surrogate cannot be encoded, so it is escaped.
    with path.open("w", encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(escaped_row(headings))
        writer.writerows(map(escaped_row, rows))
