"""The operator that loads a Parquet dataset into a table of a warehouse."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from altegio_provider.api.secrets import clear_variables_on_error
from altegio_provider.compat import BaseOperator

if TYPE_CHECKING:
    from altegio_provider.compat import Context
    from altegio_provider.warehouse import Mode

__all__ = ["ParquetToSqlOperator"]


#: How often a load is repeated if extracts of the same dataset run at the same time.
_TRIES = 5


class ParquetToSqlOperator(BaseOperator):
    """Load the files of an extract into a table, in one transaction.

    A reader of the table sees the whole load or nothing, and a repeated load changes nothing (except with ``append``).
    The table is created if it does not exist, and gets the columns that it lacks. Types are widened by the rules in
    ``docs/schema.md``; any other change of a type is an error that names the column. Loads of one table run one after
    the other: a load waits up to ten minutes for another one (``docs/reliability.md``).

    A row with null in a key column is replaced if a load has an equal row, or has its location and range.

    :param source_path: the dataset's root (its current files are loaded), or one ``.parquet`` file, or the summary
        that the extract returned or put on its asset event (its ``files`` are loaded). Templated.
    :param table: the table, with its schema if it has one: ``analytics.activities``. A dot separates the two; any other
        character is part of the name. Templated.
    :param key: the columns that identify a row.
    :param mode: ``upsert`` replaces rows of the same key; ``replace_range`` replaces them and all rows of each file's
        location and range; ``append`` replaces none.
    :param conn_id: a connection of type ``duckdb`` to a file, or of type ``adbc`` to PostgreSQL. Templated.
    :param kwargs: passed to Airflow's ``BaseOperator``.
    :returns: ``table``, ``rows`` and ``files`` (how many).
    :raises AltegioValidationError: the source, the table's name or the connection is invalid, or a file does not name
        its range, which ``replace_range`` needs.
    :raises ValueError: a column's type or the key does not fit. Nothing was loaded.
    :raises WarehouseBusyError: the warehouse was in use for too long. Nothing was loaded.
    :raises WarehouseError: the database refused the rows. Nothing was loaded.
    """

    template_fields: Sequence[str] = ("source_path", "table", "conn_id")
    ui_color = "#e8f3ec"

    def __init__(
        self,
        *,
        source_path: str | Mapping[str, Any],
        table: str,
        key: Sequence[str] = ("location_id", "id"),
        mode: Mode = "upsert",
        conn_id: str = "duckdb_default",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.source_path = source_path
        self.table = table
        self.key = key
        self.mode = mode
        self.conn_id = conn_id

    @clear_variables_on_error
    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002 - Airflow's signature
        """Load the files.

        :param context: the task's context.
        :returns: the summary that the class describes.
        """
        from altegio_provider.api.arguments import argument_error
        from altegio_provider.warehouse import load
        from altegio_provider.warehouse.connections import open_warehouse, source_files

        if self.mode not in ("upsert", "replace_range", "append"):
            raise argument_error("mode", f"{self.mode!r} is unknown: use upsert, replace_range or append")
        for attempt in range(_TRIES):
            source = source_files(self.source_path)
            try:
                if self.mode == "replace_range":
                    source.check_ranges()
                with open_warehouse(self.conn_id) as warehouse:
                    batches = source.batches()
                    rows = load(warehouse, batches, self.table, mode=self.mode, key=self.key, ranges=source.ranges)
                break
            except Exception:
                # Nothing was loaded. The files that the manifest names now can be.
                if not source.has_changed or attempt == _TRIES - 1:
                    raise
                self.log.info("An extract has replaced a file of %s meanwhile. Loading again", self.source_path)
        self.log.info("Loaded %d rows of %d files into %s", rows, len(source.files), self.table)
        return {"table": self.table, "rows": rows, "files": len(source.files)}
