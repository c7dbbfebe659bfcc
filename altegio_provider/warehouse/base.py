"""The interface that a load needs of a database, and the errors of databases."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

import pyarrow as pa

from altegio_provider.warehouse.identifiers import Identifier, TableName

__all__ = ["WAIT_SECONDS", "Warehouse", "WarehouseBusyError", "WarehouseError", "clean_up_after"]

#: How long a load waits for another one before it fails.
WAIT_SECONDS = 600.0


class WarehouseError(RuntimeError):
    """The database refused a statement. The text has the database's own message, without values of rows."""


class WarehouseBusyError(WarehouseError):
    """Another load or program held a lock for longer than a load waits. Nothing was loaded."""


class Warehouse(Protocol):
    """A connection to a database that accepts Arrow. SQL parameters are written ``$1``, ``$2``, ..."""

    def transaction(self) -> AbstractContextManager[None]:
        """Begin a transaction, which is committed when the block ends and rolled back on an error."""

    def lock(self, name: str) -> None:
        """Take a lock, which is held until the transaction ends. Wait while another transaction holds it.

        :param name: the lock's name.
        :raises WarehouseBusyError: the wait took too long.
        """

    def lock_table(self, name: TableName) -> TableName:
        """Lock a table against other loads until the transaction ends. The table need not exist yet.

        :param name: the table.
        :returns: the table's full name.
        :raises WarehouseBusyError: the wait took too long.
        :raises ValueError: the database cannot have a table of that name.
        """

    def find(self, name: TableName) -> TableName | None:
        """Return a table's full name, ``None`` if the table does not exist.

        :param name: the table.
        """

    def columns(self, table: TableName) -> pa.Schema:
        """Return the columns of an existing table, with the types that the database gives them in Arrow.

        :param table: the table.
        """

    def type_of(self, table: TableName, column: Identifier) -> str:
        """Return the SQL type of a column.

        :param table: the table.
        :param column: the column.
        """

    def to_storable(self, batches: pa.RecordBatchReader) -> pa.RecordBatchReader:
        """Return the batches with values that the database cannot store converted to another form.

        :param batches: the rows to load.
        """

    def stage(self, table: TableName, schema: pa.Schema) -> pa.Schema:
        """Create an empty temporary table.

        :param table: its name.
        :param schema: its columns.
        :returns: its columns, with the types that the database gives them in Arrow.
        """

    def fill(self, table: TableName, batches: pa.RecordBatchReader) -> None:
        """Insert the batches into a temporary table.

        :param table: the table.
        :param batches: the rows.
        """

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> None:
        """Run a statement.

        :param sql: the statement.
        :param parameters: its parameters.
        :raises WarehouseError: the database refused it.
        """

    def fetch(self, sql: str, parameters: Sequence[Any] = ()) -> pa.Table:
        """Run a query and return its rows.

        :param sql: the query.
        :param parameters: its parameters.
        :raises WarehouseError: the database refused it.
        """

    def equal_rows(self, one: str, other: str, columns: Sequence[str]) -> str:
        """Return the SQL condition that rows of two aliases are equal in some columns. Null equals null.

        :param one: the alias of a table.
        :param other: the alias of another table.
        :param columns: the columns to compare.
        """


def clean_up_after(error: BaseException, clean_up: Callable[[], object]) -> None:
    """Clean up after an error. If that fails too, add a note to the first error, which stays the one that is raised.

    :param error: the error that is being raised.
    :param clean_up: what to do.
    """
    try:
        clean_up()
    except Exception as second:  # of any kind: the first error is the one to report
        error.add_note(f"Cleaning up failed as well: {type(second).__name__}")
