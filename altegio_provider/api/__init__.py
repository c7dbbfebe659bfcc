"""The client of the Altegio API, without Airflow and pandas. Start with :class:`AltegioClient`.

Modules are imported when a name is first used, so a DAG that only names an error class does not import ``requests``.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from altegio_provider.api.client import AltegioClient
    from altegio_provider.api.defaults import DEFAULT_BASE_URL
    from altegio_provider.api.errors import AltegioError
    from altegio_provider.api.http.retry import RetryPolicy

__all__ = ["DEFAULT_BASE_URL", "AltegioClient", "AltegioError", "RetryPolicy"]

_MODULES = {"DEFAULT_BASE_URL": "defaults", "AltegioError": "errors", "RetryPolicy": "http.retry"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'client')}"), name)
