"""The provider's metadata for Airflow: plain data, which every Airflow process reads when it starts.

Airflow ignores unknown keys, so a typing error here has no visible effect. ``tests/airflow/test_provider_info.py``
validates the data against strict versions of Airflow's own schemas.
"""

from __future__ import annotations

from typing import Any

from altegio_provider.api.defaults import (
    DEFAULT_BASE_URL,
    DEFAULT_REQUESTS_PER_MINUTE,
    DEFAULT_REQUESTS_PER_SECOND,
    DEFAULT_ROUTE_FAMILY,
    DEFAULT_TIMEOUT_SECONDS,
    DEFAULT_TIMEZONE,
)

__all__ = ["get_provider_info"]

_ALTEGIO = "Altegio"
_PARQUET = "Apache Parquet"
_SQL = "SQL warehouses"


def get_provider_info() -> dict[str, Any]:
    """Return the provider's name, modules and connection form (the entry point ``apache_airflow_provider``)."""
    return {
        "package-name": "airflow-provider-altegio",
        "name": "Altegio",
        "description": "The `Altegio <https://alteg.io/>`__ booking API: activities to Parquet, bookings from files.",
        "integrations": [
            {
                "integration-name": _ALTEGIO,
                "external-doc-url": "https://developer.alteg.io/",
                "tags": ["service"],
            },
            {
                "integration-name": _PARQUET,
                "external-doc-url": "https://parquet.apache.org/",
                "tags": ["software"],
            },
            {
                "integration-name": _SQL,
                "external-doc-url": "https://arrow.apache.org/adbc/",
                "tags": ["software"],
            },
        ],
        "hooks": [{"integration-name": _ALTEGIO, "python-modules": ["altegio_provider.hooks.altegio"]}],
        "operators": [
            {
                "integration-name": _ALTEGIO,
                "python-modules": [
                    "altegio_provider.operators.appointments",
                    "altegio_provider.operators.approval",
                    "altegio_provider.operators.events",
                ],
            }
        ],
        "sensors": [
            {
                "integration-name": _ALTEGIO,
                "python-modules": ["altegio_provider.sensors.events", "altegio_provider.sensors.inbox"],
            }
        ],
        "triggers": [{"integration-name": _ALTEGIO, "python-modules": ["altegio_provider.triggers.events"]}],
        "transfers": [
            {
                "source-integration-name": _ALTEGIO,
                "target-integration-name": _PARQUET,
                "python-module": "altegio_provider.transfers.altegio_to_parquet",
            },
            {
                "source-integration-name": _PARQUET,
                "target-integration-name": _SQL,
                "python-module": "altegio_provider.transfers.parquet_to_sql",
            },
        ],
        "connection-types": [_connection_type()],
    }


def _connection_type() -> dict[str, Any]:
    return {
        "connection-type": "altegio",
        "hook-class-name": "altegio_provider.hooks.altegio.AltegioHook",
        "hook-name": "Altegio",
        "ui-field-behaviour": {
            "hidden-fields": ["login", "port", "schema"],
            "relabeling": {"host": "Base URL", "password": "Partner token"},
            "placeholders": {
                "host": DEFAULT_BASE_URL,
                "password": "the application's token, from the developer's account",
            },
        },
        "conn-fields": {
            "user_token": {
                "label": "User token",
                "description": "The token of the user that the API acts for. A new password invalidates it.",
                "schema": {"type": ["string", "null"], "format": "password"},
            },
            "location_id": {
                "label": "Default location",
                "description": "The location's id, for tasks without one.",
                "schema": {"type": ["integer", "null"], "minimum": 1},
            },
            "route_family": {
                "label": "Route family",
                "description": "`companies`, or `locations`: the routes published since July 2026.",
                "schema": {"type": "string", "enum": ["companies", "locations"], "default": DEFAULT_ROUTE_FAMILY},
            },
            "timezone": {
                "label": "Time zone",
                "description": "The location's IANA time zone. The API's times are on its wall clock.",
                "schema": {"type": ["string", "null"], "default": DEFAULT_TIMEZONE},
            },
            "requests_per_second": {
                "label": "Requests per second",
                "description": "The API allows 5 for each IP address. 0 or empty: no limit.",
                "schema": {"type": ["number", "null"], "minimum": 0, "default": DEFAULT_REQUESTS_PER_SECOND},
            },
            "requests_per_minute": {
                "label": "Requests per minute",
                "description": "The API allows 200 for each IP address. 0 or empty: no limit.",
                "schema": {"type": ["number", "null"], "minimum": 0, "default": DEFAULT_REQUESTS_PER_MINUTE},
            },
            "rate_limit_url": {
                "label": "Shared rate limit",
                "description": "redis://host:port/db, if workers on several hosts share one IP address.",
                "schema": {"type": ["string", "null"]},
            },
            "timeout": {
                "label": "Timeout, seconds",
                "description": "The maximum time for one response.",
                "schema": {"type": ["number", "null"], "minimum": 0, "default": DEFAULT_TIMEOUT_SECONDS},
            },
            "verify": {
                "label": "Verify the server's certificate",
                "description": "Turn it off only for your own test server.",
                "schema": {"type": "boolean", "default": True},
            },
            "allow_http": {
                "label": "Allow http://",
                "description": (
                    "Allow a base URL with http:// to another machine. Tokens and clients' data are sent unencrypted."
                ),
                "schema": {"type": "boolean", "default": False},
            },
        },
    }
