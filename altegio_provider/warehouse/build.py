"""Builds tables for analysts from the loaded tables with SQL files, and checks them before they become visible.

Use it in tasks. Import it when a task runs, not when a DAG is parsed.
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
    """A check found faulty rows. The tables were not changed."""


def loaded_files(conn_id: str) -> dict[str, str]:
    """Return the files that were loaded into the warehouse: by path, the time when each was written.

    :param conn_id: a connection of type ``duckdb`` or ``adbc``.
    :raises WarehouseBusyError: the warehouse was in use for too long.
    """
    with open_warehouse(conn_id) as warehouse:
        if warehouse.find(_LOADS) is None:
            return {}
        rows = warehouse.fetch(f"SELECT path, written_at FROM {_LOADS}")
    return dict(zip(rows.column("path").to_pylist(), rows.column("written_at").to_pylist(), strict=True))


def files_of_events(
    extras: Iterable[Mapping[str, Any]], default_root: str, loaded: Mapping[str, str] | None = None
) -> list[DataFile]:
    """Return the current files with the rows that the extracts of some asset events wrote.

    Files may have been cut or replaced since the events. So these are the files that the manifest names now for the
    events' ranges. If two tasks end at nearly the same time, Airflow starts one run and can drop the second event. The
    manifest has that task's files by then, so files of the same dataset that are not loaded yet are returned too.

    :param extras: the events' extras, as :func:`~altegio_provider.transfers.extract.add_summary_to_outlets` made them:
        ``path``, and if not the whole dataset is meant, ``location_id`` or ``from`` and ``to``.
    :param default_root: the dataset to return completely if there is no event, or one without ``path``.
    :param loaded: what :func:`loaded_files` returned; ``None``: return only what the events name.
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
    """Return the files as JSON values for XCom, in the form that ``ParquetToSqlOperator`` and this module accept.

    :param files: the files to load.
    """
    ranges = [
        [file.location_id, file.start.isoformat(), file.end.isoformat(), file.rows, file.written_at.isoformat()]
        for file in files
    ]
    return {"files": [file.path for file in files], "ranges": ranges}


def files_from_xcom(xcom: Mapping[str, Any]) -> pa.Table:
    """Return the files as the table ``altegio_files``, which checks can query.

    :param xcom: what :func:`files_to_xcom` returned.
    """
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
    """Run the SQL files of a folder in the order of their names, then its checks, in one transaction.

    A file with the line ``-- needs: TABLE`` is skipped if the table does not exist. Each file of ``checks/`` is one
    query that must return no row. It can query the temporary table ``altegio_files``, which describes the loaded
    files. Builds in one warehouse run one after the other.

    :param conn_id: a connection of type ``duckdb`` or ``adbc``.
    :param folder: the folder of SQL files.
    :param files: what :func:`files_to_xcom` returned.
    :raises DataCheckError: a check found rows. The tables were not changed.
    :raises WarehouseError: the database refused a statement.
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
                f"checks found faulty rows: {failed}. The tables were not changed. Run the queries in "
                f"{folder / 'checks'} to see the rows."
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
