"""What a load needs of a database, and how its errors are told."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pyarrow as pa

from altegio_provider.warehouse.identifiers import Identifier, TableName

__all__ = ["WAIT_SECONDS", "Warehouse", "WarehouseBusyError", "WarehouseError", "clean_up_after"]

#: How long a load waits for another one, before it fails and Airflow tries it again.
WAIT_SECONDS = 600.0


class WarehouseError(RuntimeError):
    """The database refused a statement. The text has the database's own reason, without values of rows."""


class WarehouseBusyError(WarehouseError):
    """Another load, or another program, held the warehouse for longer than a load waits; nothing was loaded."""


class Warehouse(Protocol):
    """A connection to a database that takes Arrow. Values reach SQL as parameters, written ``$1``, ``$2``, ..."""

    def transaction(self) -> AbstractContextManager[None]:
        """Begin a transaction: committed at its end, rolled back on an error, which is raised as it is."""

    def lock(self, name: str) -> None:
        """Wait until no other transaction holds the lock of that name, and hold it until this transaction ends.

        :raises WarehouseBusyError: the wait took too long.
        """

    def lock_table(self, name: TableName) -> TableName:
        """Lock a table, also one that is still to be created, against other loads until the transaction ends.

        :returns: the table's full name.
        :raises WarehouseBusyError: the wait took too long.
        :raises ValueError: the database has no place for a table of that name.
        """

    def find(self, name: TableName) -> TableName | None:
        """Return a table's full name, or ``None`` where there is no such table."""

    def columns(self, table: TableName) -> pa.Schema:
        """Return the columns of a table that is there, with the types that the database gives them in Arrow."""

    def type_of(self, table: TableName, column: Identifier) -> str:
        """Return the type of a column, as SQL writes it."""

    def without_nested(self, batches: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """Return the batches with what the database cannot hold in another form."""

    def stage(self, table: TableName, schema: pa.Schema) -> pa.Schema:
        """Create an empty temporary table.

        :returns: its columns, with the types that the database gives them in Arrow.
        """

    def fill(self, table: TableName, batches: pa.RecordBatchReader) -> None:
        """Put the batches into a temporary table."""

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement.

        :raises WarehouseError: the database refused it.
        """

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run a query and return its rows.

        :raises WarehouseError: the database refused it.
        """

    def equal_rows(self, one: str, other: str, columns: Sequence[str]) -> str:
        """Return the SQL condition that rows of two aliases are equal in these columns; null equals null."""


def clean_up_after(error: BaseException, clean_up: Callable[[], object]) -> None:
    """Clean up after an error. If that fails too, the error that came first keeps its place, with a note of the second.

    :param error: what is being raised.
    """
    try:
        clean_up()
    except Exception as second:  # whatever it is, the first error is the one to tell
        error.add_note(f"Cleaning up failed as well: {type(second).__name__}")
