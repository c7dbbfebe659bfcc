"""The base class of the client's operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from altegio_provider.api.arguments import checked_id
from altegio_provider.api.http.transport import Query, Transport
from altegio_provider.api.routes import RouteFamily, Row
from altegio_provider.api.rows import parse_resource

__all__ = ["Calls"]


class Calls:
    """Sends the request of an operation, by the operation's name. The client inherits from it.

    :param family: the family of routes in use.
    :param transport: sends the requests.
    :param timezone: the location's IANA time zone.
    :param now: returns the current time.
    """

    def __init__(
        self, family: RouteFamily, transport: Transport, *, timezone: str, now: Callable[[], datetime]
    ) -> None:
        self._family = family
        self._transport = transport
        self._now = now
        #: The location's IANA time zone.
        self.timezone = timezone

    def _call_for_row(
        self,
        operation: str,
        location_id: int,
        *,
        query: Query = (),
        body: Mapping[str, Any] | None = None,
        **ids: int,
    ) -> Row:
        method, path, document = self._call(operation, location_id, query=query, body=body, **ids)
        return parse_resource(document, method, path)

    def _call(
        self,
        operation: str,
        location_id: int,
        *,
        query: Query = (),
        body: Mapping[str, Any] | None = None,
        **ids: int,
    ) -> tuple[str, str, Any]:
        route = self._family.route(operation)
        numbers = {name: checked_id(name, value) for name, value in ids.items()}
        path = route.path.format(location_id=checked_id("location_id", location_id), **numbers)
        return route.method, path, self._transport.request(route.method, path, query=query, body=body)
