"""Activities to Arrow record batches."""

from __future__ import annotations

import pyarrow as pa

from altegio_provider.tables.convert.batches import RowBatches
from altegio_provider.tables.convert.page import Page
from altegio_provider.tables.schema import ACTIVITY_COLUMNS, ACTIVITY_SCHEMA

__all__ = ["ActivityBatches"]


class ActivityBatches(RowBatches):
    """Turns the activities of one location, of either family of routes, into record batches."""

    table = "activities"
    columns = ACTIVITY_COLUMNS
    schema = ACTIVITY_SCHEMA

    def _own(self, page: Page) -> dict[str, pa.Array]:
        return {"schedule_till": page.moments(self._column["schedule_till"], self._moments.schedule_till)}
