"""The base class of the client's operations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

from altegio_provider.api.arguments import checked_id
from altegio_provider.api.http.transport import Query, Transport
from altegio_provider.api.paging.pagination import shows_end
from altegio_provider.api.routes import ListPage, PageSpan, RouteFamily, Row
from altegio_provider.api.rows import pagination_of, parse_page, parse_resource
from altegio_provider.api.server_forms import Forms, ServerForms

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
        self._server = ServerForms()
        #: The location's IANA time zone.
        self.timezone = timezone

    @property
    def rows_without(self) -> Mapping[str, int]:
        """How many rows of lists came without a relationship that was asked for, by its name."""
        return dict(self._server.rows_without)

    def _page(
        self,
        what: str,
        path: str,
        span: PageSpan,
        query: Callable[[Forms, PageSpan], Query],
        include: Sequence[str],
        *,
        safe_page: int,
        is_event_list: bool = False,
    ) -> ListPage:
        """Request a page of a list, with relationships.

        :param what: what the rows are, for the log.
        :param path: the path of the list.
        :param span: the page to request.
        :param query: makes the query but for the relationships.
        :param include: the relationships.
        :param safe_page: rows of a page that every server returns, if it has them.
        :param is_event_list: whether the rows are events of ``locations``.
        """

        def request(forms: Forms) -> tuple[PageSpan, Any]:
            sent = span if forms.has_large_pages else PageSpan(span.start, min(span.limit, safe_page))
            query_of_page = [*query(forms, sent), *forms.include_query(include)]
            return sent, self._transport.request("GET", path, query=query_of_page)

        sent, document = self._server.send(
            request, has_include=bool(include), is_event_list=is_event_list, has_large_page=span.limit > safe_page
        )
        page = parse_page(document, path, include)
        self._server.count_missing(what, page.missing, len(page.rows))
        uncapped = max(safe_page, self._server.longest_page)
        self._server.longest_page = max(self._server.longest_page, len(page.rows))
        return page._replace(is_last=shows_end(sent, len(page.rows), pagination_of(document), uncapped))

    def _call_for_row(
        self,
        operation: str,
        location_id: int,
        *,
        include: Sequence[str] = (),
        body: Mapping[str, Any] | None = None,
        **ids: int,
    ) -> Row:
        def request(forms: Forms) -> tuple[str, str, Any]:
            return self._call(operation, location_id, query=forms.include_query(include), body=body, **ids)

        method, path, document = self._server.send(request, has_include=True) if include else request(Forms())
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
