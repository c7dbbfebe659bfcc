"""A sensor that waits for complete files in a folder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from altegio_provider.compat import BaseSensorOperator, PokeReturnValue

if TYPE_CHECKING:
    from altegio_provider.compat import Context

__all__ = ["AltegioInboxSensor"]


class AltegioInboxSensor(BaseSensorOperator):
    """Wait until a folder has complete files of tables. Use it before a bulk import.

    The check runs on a worker, because the triggerer may not see the folder. ``mode="reschedule"``, the default, frees
    the worker between two checks.

    :param folder: a folder on a disk that all workers see, as a path or a ``file://`` URL. It does not have to exist
        yet. Templated.
    :param quiet_seconds: a file that changes within this time is still being written and is left for the next check.
    :param mode: ``reschedule`` or ``poke``, as in Airflow's sensors.
    :param kwargs: arguments of Airflow's ``BaseSensorOperator``.
    :returns: the names of the files (CSV, TSV, XLSX, JSON Lines, Parquet; not hidden ones), oldest first.
    :raises AltegioValidationError: the folder is in an object store, where files cannot be renamed.
    """

    template_fields: Sequence[str] = ("folder",)
    ui_color = "#e8f3ec"

    def __init__(self, *, folder: str, quiet_seconds: float = 5.0, mode: str = "reschedule", **kwargs: Any) -> None:
        super().__init__(mode=mode, **kwargs)
        self.folder = folder
        self.quiet_seconds = quiet_seconds

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002 - Airflow's signature
        """Check once.

        :param context: Airflow's context of the task.
        """
        from altegio_provider.api.arguments import checked_seconds
        from altegio_provider.imports.files.inbox import complete_files, inbox_folder

        names = complete_files(inbox_folder(self.folder), checked_seconds("quiet_seconds", self.quiet_seconds))
        return PokeReturnValue(is_done=bool(names), xcom_value=names)
