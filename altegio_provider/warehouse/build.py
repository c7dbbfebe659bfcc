"""Builds an analyst's tables from what was loaded, in SQL files, and checks them before anybody sees them.

Imported when a task runs, never when a DAG is parsed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from altegio_provider.operators.arguments import storage_path
from altegio_provider.tables.dataset.dataset import DataFile, read_manifest
from altegio_provider.tables.dataset.windows import UtcWindow
from altegio_provider.warehouse import TableName, Warehouse
from altegio_provider.warehouse.connections import open_warehouse

__all__ = ["DataCheckError", "build_tables", "files_from_xcom", "files_of_events", "files_to_xcom", "loaded_files"]

_NEEDS = re.compile(r"^-- needs: (\S+)$", re.MULTILINE)
_LOADS, _FILES = TableName.of("altegio_loads"), TableName.of("altegio_files")
_FILES_SCHEMA = pa.schema(
    [
        ("location_id", pa.int64()),
        ("range_start", pa.timestamp("us", tz="UTC")),
        ("range_end", pa.timestamp("us", tz="UTC")),
        ("file_rows", pa.int64()),
        ("written_at", pa.string()),
        ("path", pa.string()),
    ]
)


class DataCheckError(ValueError):
    """A check found rows at fault; everything is as it was before."""


def loaded_files(conn_id: str) -> dict[str, str]:
    """Return the files that the warehouse has, by path, and when they were written.

    :param conn_id: a connection of type ``duckdb`` or ``adbc``.
    """
    with open_warehouse(conn_id) as warehouse:
        if warehouse.find(_LOADS) is None:
            return {}
        rows = warehouse.fetch(f"SELECT path, written_at FROM {_LOADS}")
    return dict(zip(rows.column("path").to_pylist(), rows.column("written_at").to_pylist(), strict=True))


def files_of_events(
    extras: Iterable[Mapping[str, Any]], default_root: str, loaded: Mapping[str, str] | None = None
) -> list[DataFile]:
    """Return the files that hold what the extracts of some asset events wrote.

    Files may have been cut or replaced since: those count that the manifest has now for the ranges that the events
    name. Where two tasks end within a moment, Airflow starts one run and can forget the second event; what it named is
    in the manifest by then, so whatever the warehouse lacks of the same dataset counts too.

    :param extras: what :func:`~altegio_provider.transfers.extract.add_summary_to_outlets` put on the events: ``path``,
        and where not all of the dataset is meant, ``location_id`` or ``from`` and ``to``.
    :param default_root: the dataset whose files all count where there is no event, or one that does not say where.
    :param loaded: what :func:`loaded_files` returned; ``None``: only what the events name counts.
    """
    extras = list(extras)
    if not extras or any("path" not in extra for extra in extras):
        extras.append({"path": default_root})
    files: dict[str, DataFile] = {}
    for root in dict.fromkeys(str(extra["path"]) for extra in extras if "path" in extra):
        there = read_manifest(storage_path(root))
        wanted = [extra for extra in extras if extra.get("path") == root]
        for file in there:
            is_new = loaded is not None and loaded.get(file.path) != file.written_at.isoformat()
            if is_new or any(_is_meant(file, extra) for extra in wanted):
                files[file.path] = file
    return list(files.values())


def files_to_xcom(files: Sequence[DataFile]) -> dict[str, Any]:
    """Return what other tasks need of the files, as JSON values; ``files`` is what ``ParquetToSqlOperator`` takes."""
    ranges = [
        [file.location_id, file.start.isoformat(), file.end.isoformat(), file.rows, file.written_at.isoformat()]
        for file in files
    ]
    return {"files": [file.path for file in files], "ranges": ranges}


def files_from_xcom(xcom: Mapping[str, Any]) -> pa.Table:
    """Return what :func:`files_to_xcom` tells as the table ``altegio_files``."""
    rows = [
        {
            "location_id": number,
            "range_start": _instant(start),
            "range_end": _instant(end),
            "file_rows": count,
            "written_at": written_at,
            "path": path,
        }
        for path, (number, start, end, count, written_at) in zip(xcom["files"], xcom["ranges"], strict=True)
    ]
    return pa.Table.from_pylist(rows, schema=_FILES_SCHEMA)


def build_tables(conn_id: str, folder: Path, files: Mapping[str, Any]) -> None:
    """Run the SQL files of a folder by name, then the checks, in one transaction.

    A file whose first line is ``-- needs: TABLE`` is left out where there is no such table. Each file of ``checks/``
    is one query, which must find no row; it can ask ``altegio_files`` what the manifest says of the files loaded.
    Builds in one warehouse follow each other.

    :param conn_id: a connection of type ``duckdb`` or ``adbc``.
    :param files: what :func:`files_to_xcom` returned.
    :raises DataCheckError: a check found rows. The tables are as they were.
    """
    with open_warehouse(conn_id) as warehouse, warehouse.transaction():
        warehouse.lock("build")
        listing = files_from_xcom(files)
        warehouse.stage(_FILES, listing.schema)
        warehouse.fill(_FILES, listing.to_reader())
        for path in sorted(folder.glob("*.sql")):
            _run(warehouse, path.read_text())
        checks = {path.stem: path.read_text() for path in sorted(folder.glob("checks/*.sql"))}
        found = {name: _count(warehouse, query) for name, query in checks.items()}
        if any(found.values()):
            failed = ", ".join(f"{name} ({rows})" for name, rows in found.items() if rows)
            raise DataCheckError(
                f"checks found rows at fault: {failed}. The tables stay as they were; {folder / 'checks'} has the "
                "queries that show the rows"
            )


def _run(warehouse: Warehouse, text: str) -> None:
    needed = _NEEDS.findall(text)
    if all(warehouse.find(TableName.parse(table)) is not None for table in needed):
        code = "\n".join(line for line in text.splitlines() if not line.startswith("--"))
        for statement in code.split(";"):
            if statement.strip():
                warehouse.run(statement)


def _count(warehouse: Warehouse, query: str) -> int:
    return int(warehouse.fetch(f"SELECT count(*) AS rows FROM ({query}) AS found").column(0)[0].as_py())


def _is_meant(file: DataFile, extra: Mapping[str, Any]) -> bool:
    if extra.get("location_id") not in (None, file.location_id):
        return False
    if not {"from", "to"} <= extra.keys():
        return True
    return UtcWindow.of(_instant(extra["from"]), _instant(extra["to"])).overlaps(UtcWindow(file.start, file.end))


def _instant(text: str) -> datetime:
    return datetime.fromisoformat(text)
