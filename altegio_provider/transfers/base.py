"""The base of the operators that write a range of rows to a Parquet dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from altegio_provider.api.secrets import clear_variables_on_error
from altegio_provider.compat import BaseOperator
from altegio_provider.hooks.altegio import AltegioHook

if TYPE_CHECKING:
    import pandas as pd

    from altegio_provider.common.location_time import TimeRange
    from altegio_provider.compat import Context
    from altegio_provider.tables.dataset.dataset import ParquetDataset
    from altegio_provider.transfers.extract import ExtractInput

__all__ = ["BaseExtractOperator"]


class BaseExtractOperator(BaseOperator):
    """Base class with the arguments that all extracts share: the range, the dataset and the connection.

    Each subclass documents them, and says what to read.
    """

    template_fields: Sequence[str] = (
        "altegio_conn_id",
        "location_id",
        "output_path",
        "date_from",
        "date_to",
        "timezone",
    )
    ui_color = "#e8f3ec"

    def __init__(
        self,
        *,
        output_path: str,
        location_id: int | str | None = None,
        date_from: datetime | str = "{{ data_interval_start }}",
        date_to: datetime | str = "{{ data_interval_end }}",
        timezone: str | None = None,
        lookback: timedelta = timedelta(0),
        transform: Callable[[pd.DataFrame], pd.DataFrame] | str | None = None,
        concurrency: int = 4,
        page_size: int | None = None,
        file_mode: int | str | None = None,
        altegio_conn_id: str = AltegioHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.output_path = output_path
        self.location_id = location_id
        self.date_from = date_from
        self.date_to = date_to
        self.timezone = timezone
        self.lookback = lookback
        self.transform = transform
        self.concurrency = concurrency
        self.page_size = page_size
        self.file_mode = file_mode
        self.altegio_conn_id = altegio_conn_id

    @clear_variables_on_error
    def execute(self, context: Context) -> dict[str, Any]:
        """Read, convert and write the rows.

        :param context: the task's context.
        :returns: the summary that the class describes.
        """
        from altegio_provider.operators.arguments import storage_path, window_of
        from altegio_provider.tables.dataset.dataset import ParquetDataset
        from altegio_provider.transfers.extract import extract

        hook = AltegioHook(self.altegio_conn_id)
        try:
            location_id = hook.location_id(self.location_id)
            timezone = self.timezone or hook.settings.timezone
            window = window_of(self.date_from, self.date_to, self.lookback, timezone)
            dataset = ParquetDataset(storage_path(self.output_path), location_id)
            extract_input = self._extract_input(hook, dataset, window, timezone)
            return extract(self, context, hook, dataset, window, extract_input)
        finally:
            hook.close()

    def _extract_input(
        self, hook: AltegioHook, dataset: ParquetDataset, window: TimeRange, timezone: str
    ) -> ExtractInput:
        """Return what to write. No request is made before the rows are read."""
        raise NotImplementedError
