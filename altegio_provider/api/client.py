"""The client: one method for each operation of the API."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Self

from altegio_provider.api.appointment_calls import AppointmentCalls
from altegio_provider.api.arguments import checked_flag, checked_zone
from altegio_provider.api.defaults import (
    DEFAULT_BASE_URL,
    DEFAULT_REQUESTS_PER_MINUTE,
    DEFAULT_REQUESTS_PER_SECOND,
    DEFAULT_ROUTE_FAMILY,
    DEFAULT_TIMEOUT_SECONDS,
    DEFAULT_TIMEZONE,
)
from altegio_provider.api.event_calls import EventCalls
from altegio_provider.api.http.retry import RetryPolicy
from altegio_provider.api.http.settings import checked_url
from altegio_provider.api.http.transport import Transport, TransportStats
from altegio_provider.api.ratelimit.limiter import Limiter, rates_of_limits
from altegio_provider.api.ratelimit.stores import open_slot_store
from altegio_provider.api.routes import family_named
from altegio_provider.api.secrets import Secret, clear_variables_on_error

__all__ = ["DEFAULT_BASE_URL", "AltegioClient"]


class AltegioClient(EventCalls, AppointmentCalls):
    """A client of the Altegio business API, for one pair of tokens. Use it as a context manager.

    Threads may share it. All clients of a host that use the same server share one rate limit.

    :param base_url: scheme, host and path with ``/api/v2``.
    :param partner_token: the partner's token.
    :param user_token: the user's token; it becomes invalid when the user's password changes.
    :param route_family: which of the API's two route families to use: ``companies`` or ``locations``.
    :param timezone: the location's IANA time zone; the API reads and writes wall-clock times of it.
    :param requests_per_second: the API's limit for one IP address; 0 or ``None`` for no limit.
    :param requests_per_minute: the same for the minute.
    :param rate_limit_url: a ``redis://`` URL, with which several hosts behind one IP address share the limit.
    :param timeout: seconds to wait for a connection (at most ten), and then for the whole response.
    :param verify: whether to check the server's certificate, or the path of a CA bundle to check it with.
    :param allow_http: allow an ``http://`` URL of another machine. Both tokens and the clients' data are then sent
        unencrypted, so use it only if the network is your own.
    :param retry: the bounds of retries.
    :param now: returns the current time; tests use another clock than the system's.
    :raises AltegioValidationError: an argument is invalid; the text names it.
    """

    @clear_variables_on_error
    def __init__(
        self,
        base_url: str,
        partner_token: str | Secret,
        user_token: str | Secret,
        *,
        route_family: str = DEFAULT_ROUTE_FAMILY,
        timezone: str = DEFAULT_TIMEZONE,
        requests_per_second: int | None = DEFAULT_REQUESTS_PER_SECOND,
        requests_per_minute: int | None = DEFAULT_REQUESTS_PER_MINUTE,
        rate_limit_url: str | Secret | None = None,
        timeout: float = DEFAULT_TIMEOUT_SECONDS,
        verify: bool | str = True,
        allow_http: bool = False,
        retry: RetryPolicy | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        partner_token, user_token = Secret(partner_token), Secret(user_token)
        rate_limit_url = Secret(rate_limit_url) if rate_limit_url else None
        family = family_named(route_family)
        checked_zone(timezone)
        rates = rates_of_limits(requests_per_second, requests_per_minute)
        base_url = checked_url(base_url, allow_http=checked_flag("allow_http", allow_http))
        limiter = Limiter(open_slot_store(base_url, rates, rate_limit_url), rates)
        with ExitStack() as on_error:
            on_error.callback(limiter.close)
            transport = Transport(
                base_url,
                partner_token,
                user_token,
                limiter=limiter,
                retry=retry or RetryPolicy(),
                timeout=timeout,
                verify=verify,
                allow_http=allow_http,
            )
            on_error.pop_all()
        super().__init__(family, transport, timezone=timezone, now=now)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    @property
    def route_family(self) -> str:
        """The route family in use."""
        return self._family.name

    @property
    def lists_the_past(self) -> bool:
        """Whether a list of activities may begin before now, as far as is known.

        Under ``locations`` that depends on the server: this is true until it has refused a list of the past.
        """
        return self.earliest_listed is None

    def has_operation(self, operation: str) -> bool:
        """Return whether the route family in use has an operation. A server may lack the route all the same.

        :param operation: the name of the client's method, such as ``bulk_create_event_appointments``.
        """
        return operation in self._family.routes

    @property
    def stats(self) -> TransportStats:
        """How many requests, retries and bytes this client has had so far."""
        return self._transport.stats
