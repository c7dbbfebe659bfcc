"""Altegio over HTTP: no Airflow, no pandas. Start with :class:`AltegioClient`."""

from __future__ import annotations

from altegio_provider.api.client import DEFAULT_BASE_URL, AltegioClient
from altegio_provider.api.errors import AltegioError
from altegio_provider.api.retry import RetryPolicy

__all__ = ["DEFAULT_BASE_URL", "AltegioClient", "AltegioError", "RetryPolicy"]
