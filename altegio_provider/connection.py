"""Reads an Airflow connection of type ``altegio``: every field checked, with its name in the error."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from altegio_provider.api.errors import AltegioValidationError

if TYPE_CHECKING:
    from altegio_provider.api.client import AltegioClient
    from altegio_provider.api.retry import RetryPolicy
    from altegio_provider.compat import Connection

__all__ = ["ConnectionSettings"]

_DEFAULT_BASE_URL = "https://api.alteg.io/api/v2"


@dataclass(frozen=True, repr=False)
class ConnectionSettings:
    """What a connection says, with the defaults for what it does not say."""

    base_url: str
    partner_token: str
    user_token: str
    location_id: int | None
    route_family: str
    timezone: str
    requests_per_second: int | None
    requests_per_minute: int | None
    rate_limit_url: str | None
    timeout: float
    verify: bool | str

    @classmethod
    def of(cls, connection: Connection) -> ConnectionSettings:
        """Read a connection.

        :raises AltegioValidationError: a field cannot be right; the text names the field and the connection.
        """
        extra = connection.extra_dejson
        fields = _Fields(connection.conn_id, extra)
        return cls(
            base_url=_base_url(connection),
            partner_token=fields.token("password", connection.password),
            user_token=fields.token("user_token", extra.get("user_token")),
            location_id=fields.whole_number("location_id", None),
            route_family=fields.text("route_family", "companies"),
            timezone=fields.text("timezone", "UTC"),
            requests_per_second=fields.whole_number("requests_per_second", 5),
            requests_per_minute=fields.whole_number("requests_per_minute", 200),
            rate_limit_url=fields.text("rate_limit_url", "") or None,
            timeout=fields.seconds("timeout", 30.0),
            verify=fields.verify(),
        )

    def client(self, *, retry: RetryPolicy | None = None) -> AltegioClient:
        """Return a client with these settings.

        :param retry: the bounds of trying again, where they are not the client's own.
        """
        from altegio_provider.api.client import AltegioClient

        return AltegioClient(
            self.base_url,
            self.partner_token,
            self.user_token,
            route_family=self.route_family,
            timezone=self.timezone,
            requests_per_second=self.requests_per_second,
            requests_per_minute=self.requests_per_minute,
            rate_limit_url=self.rate_limit_url,
            timeout=self.timeout,
            verify=self.verify,
            retry=retry,
        )

    def with_family(self, route_family: str) -> ConnectionSettings:
        """Return the same settings for the other family of routes."""
        return replace(self, route_family=route_family)


class _Fields:
    def __init__(self, conn_id: str, extra: Mapping[str, Any]) -> None:
        self._conn_id = conn_id
        self._extra = extra

    def _wrong(self, field: str, text: str) -> AltegioValidationError:
        return AltegioValidationError(
            f"the connection {self._conn_id!r} cannot be used: its {field} {text}.", errors={field: [text]}, hint=""
        )

    def token(self, field: str, value: Any) -> str:
        if not isinstance(value, str) or not value.strip():
            what = "password (the partner token)" if field == "password" else f"extra field {field}"
            raise self._wrong(what, "is missing")
        return value.strip()

    def text(self, field: str, default: str) -> str:
        value = self._extra.get(field)
        if value is None or value == "":
            return default
        if not isinstance(value, str):
            raise self._wrong(field, f"must be text, not {type(value).__name__}")
        return value.strip()

    def whole_number(self, field: str, default: int | None) -> int | None:
        """``null`` and 0 mean what they say; a missing or empty field means the default."""
        value = self._extra.get(field, default)
        if value is None:
            return None
        if value == "":
            return default
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = -1.0
        if isinstance(value, bool) or number < 0 or number != int(number):
            raise self._wrong(field, f"must be a whole number, not {value!r}")
        return int(number)

    def seconds(self, field: str, default: float) -> float:
        value = self._extra.get(field)
        if value is None or value == "":
            return default
        try:
            seconds = float(value)
        except (TypeError, ValueError):
            seconds = 0.0
        if isinstance(value, bool) or not 0 < seconds < 86_400:
            raise self._wrong(field, f"must be seconds above 0, not {value!r}")
        return seconds

    def verify(self) -> bool | str:
        value = self._extra.get("verify", True)
        if isinstance(value, bool):
            return value
        if value is None or value == "":
            return True
        if isinstance(value, str):
            return {"true": True, "false": False}.get(value.strip().lower(), value)
        raise self._wrong("verify", "must be true, false or the path of a CA bundle")


def _base_url(connection: Connection) -> str:
    host = (connection.host or "").strip()
    if not host:
        return _DEFAULT_BASE_URL
    if "://" not in host:
        port = f":{connection.port}" if connection.port else ""
        path = f"/{connection.schema.strip('/')}" if connection.schema else ""
        host = f"https://{host}{port}{path}"
    return host
