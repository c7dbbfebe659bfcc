"""From the Parquet dataset into a table of a warehouse, Arrow all the way."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from altegio_provider.api.secrets import clear_variables_on_error
from altegio_provider.compat import BaseOperator

if TYPE_CHECKING:
    from altegio_provider.compat import Context
    from altegio_provider.warehouse import Mode

__all__ = ["ParquetToSqlOperator"]


#: A load that meets extracts of the same dataset begins again so often.
_TRIES = 5


class ParquetToSqlOperator(BaseOperator):
    """Load what an extract wrote into a table, in one transaction.

    A reader of the table sees all of a load or nothing, and a load done twice changes nothing (except with
    ``append``). The table is made where it is missing, and gets the columns that it lacks; types are widened by the
    rules in ``docs/schema.md``, and any other change is refused with the column's name. Loads of one table follow each
    other: a load waits up to ten minutes for another one (``docs/reliability.md``).

    A row with null in a key column is replaced with its file's location and range, and by an equal row.

    :param source_path: the dataset's root (its manifest says which files count), or one ``.parquet`` file, or the
        summary that the extract returned or put on its asset event (its ``files``). Templated.
    :param table: the table, with its schema if it has one: ``analytics.activities``. A dot separates the two; any other
        character is part of the name. Templated.
    :param key: the columns that make a row the same one.
    :param mode: ``upsert``: rows of the same key are replaced; ``replace_range``: these, and all rows of each file's
        location and range; ``append``: none is.
    :param conn_id: a connection of type ``duckdb`` to a file, or of type ``adbc`` to PostgreSQL. Templated.
    :returns: ``table``, ``rows`` and ``files`` (how many).
    :raises AltegioValidationError: the source, the table's name or the connection cannot be right, or ``replace_range``
        is given a file that does not tell its range.
    :raises ValueError: a column's type or the key does not fit; nothing was loaded.
    :raises WarehouseBusyError: the warehouse was in use for too long; nothing was loaded.
    :raises WarehouseError: the database refused the rows; nothing was loaded.
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
        """Load the files; see the class."""
        from altegio_provider.api.errors import AltegioValidationError
        from altegio_provider.warehouse import load
        from altegio_provider.warehouse.connections import open_warehouse, source_files

        if self.mode not in ("upsert", "replace_range", "append"):
            raise AltegioValidationError(
                f"mode {self.mode!r} is unknown.", errors={"mode": ["use upsert, replace_range or append"]}, hint=""
            )
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
                # Nothing was loaded; what the manifest names now can be.
                if not source.has_changed or attempt == _TRIES - 1:
                    raise
                self.log.info("An extract has replaced a file of %s meanwhile; loading again", self.source_path)
        self.log.info("Loaded %d rows of %d files into %s", rows, len(source.files), self.table)
        return {"table": self.table, "rows": rows, "files": len(source.files)}
