"""Reads an Airflow connection of type ``altegio`` and checks each field."""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import unquote, urlsplit

from altegio_provider.api.arguments import checked_flag, checked_integer, checked_zone, flag_or_none, is_absent
from altegio_provider.api.defaults import (
    DEFAULT_BASE_URL,
    DEFAULT_REQUESTS_PER_MINUTE,
    DEFAULT_REQUESTS_PER_SECOND,
    DEFAULT_ROUTE_FAMILY,
    DEFAULT_TIMEOUT_SECONDS,
    DEFAULT_TIMEZONE,
)
from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.api.http.settings import checked_timeout
from altegio_provider.api.secrets import Secret, clear_variables_on_error
from altegio_provider.api.urls import is_loopback, origin_or_none

if TYPE_CHECKING:
    from altegio_provider.api.client import AltegioClient
    from altegio_provider.api.http.retry import RetryPolicy
    from altegio_provider.compat import Connection

__all__ = ["ConnectionSettings"]

T = TypeVar("T")


#: The fields of the extra.
_NAMES = (
    "user_token",
    "location_id",
    "route_family",
    "timezone",
    "requests_per_second",
    "requests_per_minute",
    "rate_limit_url",
    "timeout",
    "verify",
    "allow_http",
)


@dataclass(frozen=True, repr=False)
class ConnectionSettings:
    """The settings of a connection, with defaults. Make it with :meth:`of`."""

    base_url: str
    partner_token: Secret
    user_token: Secret
    location_id: int | None
    route_family: str
    timezone: str
    requests_per_second: int | None
    requests_per_minute: int | None
    rate_limit_url: Secret | None
    timeout: float
    verify: bool | str
    allow_http: bool = False

    @classmethod
    @clear_variables_on_error
    def of(cls, connection: Connection) -> ConnectionSettings:
        """Read a connection.

        :param connection: the connection.
        :raises AltegioValidationError: a field is invalid; the text names the field and the connection.
        """
        extra = connection.extra_dejson
        fields = _Fields(connection.conn_id, extra if isinstance(extra, Mapping) else {})
        if not isinstance(extra, Mapping):
            raise fields._wrong("extra", "must be a JSON object")
        fields.check_names()
        return cls(
            base_url=fields.base_url(connection),
            partner_token=fields.token("password", connection.password),
            user_token=fields.token("user_token", extra.get("user_token")),
            location_id=fields.integer("location_id", None),
            route_family=fields.text("route_family", DEFAULT_ROUTE_FAMILY),
            timezone=fields.zone("timezone", DEFAULT_TIMEZONE),
            requests_per_second=fields.integer("requests_per_second", DEFAULT_REQUESTS_PER_SECOND),
            requests_per_minute=fields.integer("requests_per_minute", DEFAULT_REQUESTS_PER_MINUTE),
            rate_limit_url=fields.secret("rate_limit_url"),
            timeout=fields.timeout(),
            verify=fields.verify(),
            allow_http=fields.flag("allow_http", False),
        )

    def client(self, *, retry: RetryPolicy | None = None) -> AltegioClient:
        """Return a client with these settings.

        :param retry: the bounds of retries; ``None`` for the client's defaults.
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
            allow_http=self.allow_http,
            retry=retry,
        )

    @property
    def secrets(self) -> list[str]:
        """What no log may show: both tokens, and the password of Redis, if there is one."""
        tokens = [self.partner_token.reveal(), self.user_token.reveal()]
        if self.rate_limit_url is not None:
            with suppress(ValueError):
                tokens.append(unquote(urlsplit(self.rate_limit_url.reveal()).password or ""))
        return [token for token in tokens if token]

    def keyed_hash(self, text: str) -> str:
        """Return a hash of a text, keyed with the tokens, so that nobody without them can guess the text.

        :param text: the text.
        """
        key = f"{self.partner_token.reveal()} {self.user_token.reveal()}".encode()
        return hmac.new(key, text.encode(), "sha256").hexdigest()

    @property
    def is_unencrypted(self) -> bool:
        """Whether tokens and clients' data go unencrypted over a network, because ``allow_http`` is set."""
        origin = origin_or_none(self.base_url)
        return origin is not None and origin.scheme == "http" and not is_loopback(origin.host)

    def with_route_family(self, route_family: str) -> ConnectionSettings:
        """Return the same settings with another route family.

        :param route_family: ``companies`` or ``locations``.
        """
        return replace(self, route_family=route_family)


class _Fields:
    def __init__(self, conn_id: str, extra: Mapping[str, Any]) -> None:
        self._conn_id = conn_id
        self._extra = extra

    def _wrong(self, field: str, text: str) -> AltegioValidationError:
        return AltegioValidationError(
            f"the connection {self._conn_id!r} cannot be used: its {field} {text}.", errors={field: [text]}, hint=""
        )

    def check_names(self) -> None:
        """Check that every field of the extra has a known name.

        :raises AltegioValidationError: one has not; the text shows its name only if it resembles a known one.
        """
        for name in self._extra:
            if name in _NAMES:
                continue
            near = get_close_matches(str(name).lower().replace("-", "_"), _NAMES, n=1)
            if near:
                raise self._wrong(str(name), f"is not a field of the extra; did you mean {near[0]!r}?")
            raise self._wrong("extra", f"has an unknown field; the fields are {', '.join(_NAMES)}")

    def token(self, field: str, value: Any) -> Secret:
        if not isinstance(value, str) or not value.strip():
            raise self._wrong(field, "(the partner token) is missing" if field == "password" else "is missing")
        return Secret(value.strip())

    def secret(self, field: str) -> Secret | None:
        text = self.text(field, "")
        return Secret(text) if text else None

    def text(self, field: str, default: str) -> str:
        value = self._extra.get(field)
        if value is None or value == "":
            return default
        if not isinstance(value, str):
            raise self._wrong(field, f"must be text, not {type(value).__name__}")
        return value.strip()

    def zone(self, field: str, default: str) -> str:
        return self._checked(field, lambda _, name: checked_zone(name).key, self.text(field, default))

    def integer(self, field: str, default: int | None) -> int | None:
        """Return an integer or ``None`` (for ``null``); a missing or empty field gives the default."""
        value = self._extra.get(field, default)
        if value is None:
            return None
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # Airflow's form may save 5.0
        return default if value == "" else self._checked(field, checked_integer, value)

    def timeout(self) -> float:
        value = self._extra.get("timeout")
        if is_absent(value):
            return DEFAULT_TIMEOUT_SECONDS
        return self._checked("timeout", lambda _, seconds: checked_timeout(seconds), value)

    def flag(self, field: str, default: bool) -> bool:
        return self._checked(field, partial(checked_flag, default=default), self._extra.get(field))

    def verify(self) -> bool | str:
        value = self._extra.get("verify")
        if is_absent(value):
            return True
        flag = flag_or_none(value)
        if flag is not None:
            return flag
        if not isinstance(value, str):
            raise self._wrong("verify", "must be true, false or the path of a CA bundle")
        return value

    def _checked(self, field: str, check: Callable[[str, Any], T], value: Any) -> T:
        """Return what a check of arguments returns; its error is replaced by one that names the connection."""
        try:
            return check(field, value)
        except AltegioValidationError as error:
            problem = "; ".join(error.errors[field])
        raise self._wrong(field, problem)

    def base_url(self, connection: Connection) -> str:
        host, schema = (self._part(connection, name).strip() for name in ("host", "schema"))
        if not host or "://" in host:
            return host or DEFAULT_BASE_URL
        port = connection.port
        if port is not None and not (type(port) is int and 0 < port < 65_536):
            raise self._wrong("port", "must be a number of 1 to 65535")
        path = schema.strip("/")
        return f"https://{host}" + (f":{port}" if port else "") + (f"/{path}" if path else "")

    def _part(self, connection: Connection, name: str) -> str:
        value = getattr(connection, name)
        if value is not None and not isinstance(value, str):
            raise self._wrong(name, f"must be text, not {type(value).__name__}")
        return value or ""
