"""Converts activities to Arrow record batches."""

from __future__ import annotations

import pyarrow as pa

from altegio_provider.tables.convert.batch_builder import BatchBuilder
from altegio_provider.tables.convert.row_converter import RowConverter
from altegio_provider.tables.schema import ACTIVITY_COLUMNS, ACTIVITY_SCHEMA

__all__ = ["ActivityConverter"]


class ActivityConverter(RowConverter):
    """Converts the activities of one location, under either route family, to record batches."""

    table = "activities"
    columns = ACTIVITY_COLUMNS
    schema = ACTIVITY_SCHEMA

    def _table_columns(self, builder: BatchBuilder) -> dict[str, pa.Array]:
        return {"schedule_till": builder.timestamps(self._column["schedule_till"], self._timestamps.schedule_till)}
