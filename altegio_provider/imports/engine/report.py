"""The report: what became of every row of the input, in input order, and the rejected ones fit to be mended.

::

    <report_path>/report.parquet    line, status, event_id, record_id, reasons (a list)
    <report_path>/report.csv        the same, reasons joined by "; "
    <report_path>/rejected.csv      the rejected rows as they came, and why (``altegio_line``, ``altegio_reasons``)

Each file appears whole or not at all. The two reports hold no names, and nothing from which one could be found out;
``rejected.csv`` holds what the input held. All three can be read by their owner only, unless somebody asks for more.
No cell of the two CSV files is a formula to a spreadsheet program (:mod:`~altegio_provider.imports.files.formulas`).
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
    """Return the report's columns.

    :param partition: what rows that are sent one after the other have in common: ``event_id``, ``staff_id``.
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

    :param columns: the headings of the source.
    :param report_path: a folder (``pathlib.Path``, ``ObjectStoragePath`` or another of the ``universal_pathlib``
        kind), made where it is missing; or a file in it, ``.parquet`` or ``.csv``, whose name both reports take.
    :param mode: the permissions of the files on a disk; default: only their owner reads them.
    :raises StorageError: a file cannot be written there. None is there in part.
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
    """See, before anything is sent, whether reports can be written into a bucket, where it is one.

    :param report_path: as for :func:`write_report`.
    :raises StorageError: there is no such bucket. None is made.
    """
    _place_of(report_path)[0].check_bucket()


def _place_of(report_path: Any) -> tuple[Folder, str]:
    """The folder, and what the reports are called."""
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
    rows = ((*map(one.original.get, headings), one.line, "; ".join(one.reasons)) for one in rejected)
    _write(path, [*headings, line, reasons], rows)


def _row(outcome: Outcome) -> tuple[Any, ...]:
    return outcome.line, str(outcome.status), outcome.partition, outcome.record_id, outcome.reasons


def _write(path: Path, headings: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    # With the mark at its front, spreadsheet programs read UTF-8 as such. Half a character cannot be written as one.
    with path.open("w", encoding="utf-8-sig", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(escaped_row(headings))
        writer.writerows(map(escaped_row, rows))
