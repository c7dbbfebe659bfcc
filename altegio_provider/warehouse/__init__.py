"""Loads Arrow batches into tables of DuckDB or PostgreSQL."""

from altegio_provider.warehouse.base import Warehouse, WarehouseBusyError, WarehouseError
from altegio_provider.warehouse.duckdb_file import DuckDbWarehouse
from altegio_provider.warehouse.identifiers import Identifier, TableName
from altegio_provider.warehouse.load import LoadRange, Mode, load
from altegio_provider.warehouse.postgresql import AdbcWarehouse

__all__ = [
    "AdbcWarehouse",
    "DuckDbWarehouse",
    "Identifier",
    "LoadRange",
    "Mode",
    "TableName",
    "Warehouse",
    "WarehouseBusyError",
    "WarehouseError",
    "load",
]
