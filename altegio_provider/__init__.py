"""Apache Airflow provider for Altegio, the booking platform of studios, salons and clinics.

The names below are imported when they are first used: ``import altegio_provider`` itself loads neither Airflow nor
pandas, so that the client works where there is no Airflow.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from altegio_provider.api.client import AltegioClient
    from altegio_provider.api.errors import AltegioError
    from altegio_provider.hooks.altegio import AltegioHook
    from altegio_provider.transfers.altegio_to_parquet import (
        AltegioActivitiesToParquetOperator,
        AltegioAppointmentsToParquetOperator,
    )

__all__ = [
    "AltegioActivitiesToParquetOperator",
    "AltegioAppointmentsToParquetOperator",
    "AltegioClient",
    "AltegioError",
    "AltegioHook",
    "__version__",
]

__version__ = "0.1.0"

_HOME_OF = {
    "AltegioActivitiesToParquetOperator": "altegio_provider.transfers.altegio_to_parquet",
    "AltegioAppointmentsToParquetOperator": "altegio_provider.transfers.altegio_to_parquet",
    "AltegioClient": "altegio_provider.api.client",
    "AltegioError": "altegio_provider.api.errors",
    "AltegioHook": "altegio_provider.hooks.altegio",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_HOME_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
