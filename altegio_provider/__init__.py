"""Apache Airflow provider for Altegio, the booking platform of studios, salons and clinics.

The names below are imported on first use. ``import altegio_provider`` itself imports neither Airflow nor pandas, so
the client works without Airflow.
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

_MODULE_OF = {
    "AltegioActivitiesToParquetOperator": "altegio_provider.transfers.altegio_to_parquet",
    "AltegioAppointmentsToParquetOperator": "altegio_provider.transfers.altegio_to_parquet",
    "AltegioClient": "altegio_provider.api.client",
    "AltegioError": "altegio_provider.api.errors",
    "AltegioHook": "altegio_provider.hooks.altegio",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(_MODULE_OF[name]), name)
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
