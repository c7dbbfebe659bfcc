"""Wait until files lie in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from altegio_provider.compat import BaseSensorOperator, PokeReturnValue

if TYPE_CHECKING:
    from altegio_provider.compat import Context

__all__ = ["AltegioInboxSensor"]


class AltegioInboxSensor(BaseSensorOperator):
    """Wait until tables lie in a folder, whole.

    The worker looks, for it is the workers that see the folder; ``mode="reschedule"``, the default, frees it between
    two looks.

    :param folder: a folder on a disk that all workers see, as a path or a ``file://`` URL; it may be missing yet.
        Templated.
    :param quiet_seconds: a file that changes within so many seconds is still being written, and left for the next look.
    :returns: the names of the files (CSV, TSV, XLSX, JSON Lines, Parquet; no hidden ones), oldest first.
    :raises AltegioValidationError: the folder is in an object store, where files cannot be renamed.
    """

    template_fields: Sequence[str] = ("folder",)
    ui_color = "#e8f3ec"

    def __init__(self, *, folder: str, quiet_seconds: float = 5.0, mode: str = "reschedule", **kwargs: Any) -> None:
        super().__init__(mode=mode, **kwargs)
        self.folder = folder
        self.quiet_seconds = quiet_seconds

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002 - Airflow's signature
        """Look once."""
        from altegio_provider.api.arguments import checked_seconds
        from altegio_provider.imports.files.inbox import complete_files, inbox_folder

        names = complete_files(inbox_folder(self.folder), checked_seconds("quiet_seconds", self.quiet_seconds))
        return PokeReturnValue(is_done=bool(names), xcom_value=names)
