"""Functions of the operators that import a file: open the source, log the progress, end the task.

This module is imported when a task runs, never when a DAG is parsed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

from altegio_provider.compat import AirflowException, AirflowFailException, BaseHook, ObjectStoragePath
from altegio_provider.imports.engine.row_store import Status
from altegio_provider.imports.engine.runner import Halt
from altegio_provider.imports.files.open_source import open_source, rows_source
from altegio_provider.imports.files.row_source import RowSource
from altegio_provider.imports.model import ImportFileError
from altegio_provider.operators.arguments import has_password
from altegio_provider.operators.ledger_url import ledger_url_of

__all__ = [
    "ProgressLog",
    "delete_ledger_entries",
    "describe_counts",
    "open_query",
    "open_source_argument",
    "raise_if_halted",
]

_PROGRESS_SECONDS = 5.0
_FETCH_ROWS = 2_000


def open_source_argument(source: Any, *, format: str | None, delimiter: str | None, encoding: str | None) -> RowSource:
    """Open the source of an import.

    :param source: a path or URL, a list of mappings, or a DataFrame.
    :param format: the format of the file; ``None`` takes it from the name.
    :param delimiter: the delimiter of CSV; ``None`` detects it.
    :param encoding: the encoding of text; ``None`` detects it.
    :raises ImportFileError: the source cannot be read.
    """
    if isinstance(source, str) and "://" in source:
        if has_password(source):
            raise ImportFileError(
                "source contains a password in its URL, which Airflow would store and show. Put it into a connection, "
                "and use the connection in the URL: s3://my_connection@bucket/clients.csv."
            )
        source = ObjectStoragePath(source)
    return open_source(source, format=format, delimiter=delimiter, encoding=encoding)


def open_query(sql: str, conn_id: str) -> RowSource:
    """Return the rows of a query as a source.

    :param sql: the query.
    :param conn_id: a database connection whose hook has ``get_conn()``.
    """
    hook = BaseHook.get_hook(conn_id)
    connection = hook.get_conn()
    cursor = connection.cursor()
    cursor.execute(sql)
    columns = [str(column[0]) for column in cursor.description or ()]

    def rows() -> Iterator[Mapping[str, Any]]:
        with closing(connection), closing(cursor):
            while chunk := cursor.fetchmany(_FETCH_ROWS):
                for row in chunk:
                    yield dict(zip(columns, row, strict=True))

    return rows_source(columns, rows(), name=f"the query on {conn_id}")


def delete_ledger_entries(
    ledger_url: str | None,
    location_id: int,
    kind: str,
    record_ids: Sequence[int],
    *,
    ledger_conn_id: str | None = None,
) -> int:
    """Delete ledger entries of records that were deleted in Altegio, so that the same file can create them again.

    :param ledger_url: as for the operators; ``None`` uses the default ledger.
    :param location_id: the location.
    :param kind: ``booking`` or ``event``.
    :param record_ids: the ids of the appointments or events.
    :param ledger_conn_id: as for the operators.
    :returns: the number of deleted entries.
    :raises LedgerError: the ledger cannot be used.
    """
    from altegio_provider.imports.ledger.ledger import Ledger, Session

    deleted = 0

    def transaction(session: Session) -> None:
        nonlocal deleted
        # If the connection is lost at the commit, the first try may have deleted them, and the second finds none.
        deleted = max(deleted, session.delete_entries(record_ids))

    with Ledger(ledger_url_of(ledger_url, ledger_conn_id), location_id, kind) as ledger:
        ledger.transact(transaction)
    return deleted


class ProgressLog:
    """Logs the progress and the remaining time, at most every five seconds.

    :param log: the logger.
    :param clock: returns monotonic seconds.
    """

    def __init__(self, log: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._log = log
        self._clock = clock
        self._began = self._logged_at = clock()

    def report(self, settled: int, rows: int) -> None:
        """Log the progress if it is due.

        :param settled: the number of rows that are done.
        :param rows: the number of rows to send.
        """
        now = self._clock()
        if now - self._logged_at < _PROGRESS_SECONDS or not settled:
            return
        self._logged_at = now
        pace = settled / (now - self._began)
        left = timedelta(seconds=round(max(0, rows - settled) / pace))
        self._log.info("%d of %d rows settled, %.1f rows/s, about %s left", settled, rows, pace, left)


def describe_counts(counts: Mapping[Status, int]) -> str:
    """Return the number of rows by status as a text.

    :param counts: the number of rows by status.
    """
    return ", ".join(f"{count} {status}" for status, count in counts.items() if count) or "no rows"


def raise_if_halted(halt: Halt | None, counts: Mapping[Status, int], report: Mapping[str, str]) -> None:
    """Fail the task if the import ended early. The report has been written before.

    :param halt: the reason, or ``None``.
    :param counts: the number of rows by status.
    :param report: the paths of the report.
    :raises AirflowFailException: a retry cannot help.
    :raises AirflowException: a retry may help.
    """
    if halt is None:
        return
    where = f" The report: {next(iter(report.values()))}" if report else ""
    kind = AirflowException if halt.retryable else AirflowFailException
    raise kind(f"{halt.reason}. ({describe_counts(counts)}.){where}")
