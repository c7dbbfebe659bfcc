"""What Airflow asks an installed provider: plain data, read at every start of every Airflow process.

Airflow ignores keys that it does not know, so a typing error here is silent; ``tests/airflow/test_provider_info.py``
holds this data against Airflow's own schemas, made strict.
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
                "description": "The token of the user in whose name the API acts. It dies with the user's password.",
                "schema": {"type": ["string", "null"], "format": "password"},
            },
            "location_id": {
                "label": "Default location",
                "description": "The location's number, for tasks that name none.",
                "schema": {"type": ["integer", "null"], "minimum": 1},
            },
            "route_family": {
                "label": "Route family",
                "description": "`companies`, or `locations`: the routes published since July 2026, future events only.",
                "schema": {"type": "string", "enum": ["companies", "locations"], "default": DEFAULT_ROUTE_FAMILY},
            },
            "timezone": {
                "label": "Time zone",
                "description": "The location's IANA time zone; the API writes times on its wall clock.",
                "schema": {"type": ["string", "null"], "default": DEFAULT_TIMEZONE},
            },
            "requests_per_second": {
                "label": "Requests per second",
                "description": "The API allows 5 for one IP address. 0 or nothing: no limit.",
                "schema": {"type": ["number", "null"], "minimum": 0, "default": DEFAULT_REQUESTS_PER_SECOND},
            },
            "requests_per_minute": {
                "label": "Requests per minute",
                "description": "The API allows 200 for one IP address. 0 or nothing: no limit.",
                "schema": {"type": ["number", "null"], "minimum": 0, "default": DEFAULT_REQUESTS_PER_MINUTE},
            },
            "rate_limit_url": {
                "label": "Shared rate limit",
                "description": "redis://host:port/db, where workers on several hosts share one IP address.",
                "schema": {"type": ["string", "null"]},
            },
            "timeout": {
                "label": "Timeout, seconds",
                "description": "The longest wait for one answer.",
                "schema": {"type": ["number", "null"], "minimum": 0, "default": DEFAULT_TIMEOUT_SECONDS},
            },
            "verify": {
                "label": "Verify the server's certificate",
                "description": "Off only for a test server of your own.",
                "schema": {"type": "boolean", "default": True},
            },
            "allow_http": {
                "label": "Allow http://",
                "description": (
                    "Let the base URL be http:// to another machine: tokens and clients' data go unencrypted."
                ),
                "schema": {"type": "boolean", "default": False},
            },
        },
    }
