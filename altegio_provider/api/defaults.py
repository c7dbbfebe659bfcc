"""Defaults that the client, the connection and the connection's form share. Importing it is cheap."""

from __future__ import annotations

__all__ = [
    "DEFAULT_BASE_URL",
    "DEFAULT_REQUESTS_PER_MINUTE",
    "DEFAULT_REQUESTS_PER_SECOND",
    "DEFAULT_ROUTE_FAMILY",
    "DEFAULT_TIMEOUT_SECONDS",
    "DEFAULT_TIMEZONE",
]

DEFAULT_BASE_URL = "https://api.alteg.io/api/v2"
DEFAULT_ROUTE_FAMILY = "companies"
DEFAULT_TIMEZONE = "UTC"
#: The API's rate limit for one IP address.
DEFAULT_REQUESTS_PER_SECOND = 5
DEFAULT_REQUESTS_PER_MINUTE = 200
DEFAULT_TIMEOUT_SECONDS = 30
