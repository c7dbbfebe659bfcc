"""The two route families as data.

The same service answers under ``/companies/…/activities`` and ``/locations/…/events``. The differences are in this
module, :mod:`~altegio_provider.api.bodies.appointment` and :mod:`~altegio_provider.api.rows`: paths, filters, paging,
bodies and the form of a response. No other module depends on the family in use.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from altegio_provider.api.arguments import argument_error

__all__ = [
    "COMPANIES",
    "LOCATIONS",
    "ActivityFilter",
    "ListPage",
    "PageSpan",
    "Route",
    "RouteFamily",
    "family_named",
]

Row = dict[str, Any]
Query = list[tuple[str, str]]


class Route(NamedTuple):
    """The HTTP method of an operation, and its path below the base URL."""

    method: str
    path: str


class PageSpan(NamedTuple):
    """What a list request asks for: at most ``limit`` rows from the row number ``start`` on, counted from 0."""

    start: int
    limit: int


#: Returns the page to request. Arguments: a row number that the page must cover, the largest number of rows, and
#: whether the page must begin as close to that row as possible.
SpanOf = Callable[[int, int, bool], PageSpan]


class ListPage(NamedTuple):
    """The response to a list request.

    :param rows: its rows, flat.
    :param total: the total that the server claims (used as a hint only).
    :param missing: the relationships that were requested and that no row has.
    :param is_last: whether the server's own pagination shows that no row comes after these.
    """

    rows: list[Row]
    total: int | None
    missing: tuple[str, ...] = ()
    is_last: bool = False


@dataclass(frozen=True)
class ActivityFilter:
    """The filters of a list of activities, and its order. An empty or missing one does not filter.

    :param resource_ids: rooms or devices, of which an activity must have at least one.
    :param weekdays: 1 for Monday to 7 for Sunday.
    :param sort: ``asc`` or ``desc``, by start; empty for the server's own order.
    """

    staff_ids: Sequence[int] = ()
    service_ids: Sequence[int] = ()
    capacity: int | None = None
    search: str | None = None
    resource_ids: Sequence[int] = ()
    weekdays: Sequence[int] = ()
    sort: str = ""


@dataclass(frozen=True)
class RouteFamily:
    """A route family.

    :param name: its name in the connection.
    :param routes: its operations, by the name of the client's method.
    :param page_size: the default number of rows of a page.
    :param safe_page: rows of a page that every server returns, if it has them: the API's documented default.
    :param largest_page: the API's maximum for it, if it is known.
    :param lists_the_past: whether a list may begin before now without ``filter[include_deleted]``.
    :param is_strict: whether bodies must keep the stricter rules: no unknown keys, five-minute lengths.
    :param span: returns the page to request; see :data:`SpanOf`.
    :param paging_query: returns the query parameters of a page.
    :param filter_query: returns the query parameters of the filters.
    :param includes: the related resources to include in lists.
    """

    name: str
    routes: Mapping[str, Route]
    page_size: int
    safe_page: int
    largest_page: int | None
    lists_the_past: bool
    is_strict: bool
    span: SpanOf
    paging_query: Callable[[PageSpan], Query]
    filter_query: Callable[[ActivityFilter], Query]
    includes: tuple[str, ...] = field(default=())

    def route(self, operation: str) -> Route:
        """Return the route of an operation.

        :param operation: the name of the client's method.
        :raises AltegioValidationError: this family has no such operation; the text names the family that has.
        """
        try:
            return self.routes[operation]
        except KeyError:
            others = [family.name for family in _FAMILIES if operation in family.routes]
            raise argument_error(
                "route_family",
                f"{self.name!r} has no operation {operation}; set it to {' or '.join(map(repr, others))} in the "
                "connection's extra",
            ) from None

    def list_query(self, wall_from: str, wall_to: str, filters: ActivityFilter, span: PageSpan) -> Query:
        """Return the query of one page of activities.

        :param wall_from: the start of the range on the location's wall clock.
        :param wall_to: its end.
        :param filters: the filters.
        :param span: the page.
        """
        return [
            ("filter[from]", wall_from),
            ("filter[to]", wall_to),
            *self.filter_query(filters),
            *self.paging_query(span),
        ]


def _offset_span(start: int, size: int, _closely: bool) -> PageSpan:
    return PageSpan(start, size)


def _numbered_span(start: int, size: int, closely: bool) -> PageSpan:
    """Return the page that covers ``start`` and reaches furthest, or begins as close to it as possible.

    Pages are numbered, so a page begins at a multiple of its own size. With a smaller size (down to a half) a page can
    overlap the page before it by a few rows instead of half a page.
    """
    if closely:
        if (start, size) == (1, 2):
            return PageSpan(0, 3)  # no page of two rows has the second row and one after it
        spans = [PageSpan(start // limit * limit, limit) for limit in range(1, size + 1)]
        reaching_further = [span for span in spans if span.start + span.limit > start + 1]
        return max(reaching_further or spans)
    spans = [PageSpan(start // limit * limit, limit) for limit in range(max(1, size // 2), size + 1)]
    return max(spans, key=lambda span: (span.start + span.limit, span.limit))


def _offset_query(span: PageSpan) -> Query:
    return [("limit", str(span.limit)), ("offset", str(span.start))]


def _numbered_query(span: PageSpan) -> Query:
    return [("limit", str(span.limit)), ("page", str(span.start // span.limit + 1))]


def _joined_filters(filters: ActivityFilter) -> Query:
    for name in ("resource_ids", "weekdays", "sort"):
        if getattr(filters, name):
            raise argument_error(
                name,
                "does not exist under route_family='companies'",
                "Leave it out, or set route_family to 'locations' in the connection's extra.",
            )
    query = [
        (f"filter[{name}][]", ",".join(map(str, ids)))
        for name, ids in (("master_ids", filters.staff_ids), ("service_ids", filters.service_ids))
        if ids
    ]
    if filters.capacity is not None:
        query.append(("filter[capacity]", str(filters.capacity)))
    if filters.search:
        query.append(("search", filters.search))
    return query


def _repeated_filters(filters: ActivityFilter) -> Query:
    if filters.search:
        raise argument_error(
            "search",
            "does not exist under route_family='locations'",
            "Leave it out, or set route_family to 'companies' in the connection's extra.",
        )
    lists = {
        "master_ids": filters.staff_ids,
        "service_ids": filters.service_ids,
        "resource_ids": filters.resource_ids,
        "weekdays": filters.weekdays,
    }
    query = [(f"filter[{name}][]", str(number)) for name, numbers in lists.items() for number in numbers]
    if filters.capacity is not None:
        query.append(("filter[capacity]", str(filters.capacity)))
    if filters.sort:
        query.append(("filter[sort]", filters.sort))
    return query


def _event_routes(events: str, book: str) -> dict[str, Route]:
    return {
        "list_activities": Route("GET", events),
        "create_event": Route("POST", events),
        "get_event": Route("GET", f"{events}/{{event_id}}"),
        "update_event": Route("PUT", f"{events}/{{event_id}}"),
        "delete_event": Route("DELETE", f"{events}/{{event_id}}"),
        "create_event_appointment": Route("POST", f"{events}/{{event_id}}/{book}"),
    }


# Appointments are read here under either family: `companies` has no such route, and the service is the same.
_LIST_APPOINTMENTS = Route("GET", "/locations/{location_id}/appointments")

COMPANIES = RouteFamily(
    name="companies",
    routes=_event_routes("/companies/{location_id}/activities", "records"),
    page_size=300,
    safe_page=100,
    largest_page=None,
    lists_the_past=True,
    is_strict=False,
    span=_offset_span,
    paging_query=_offset_query,
    filter_query=_joined_filters,
)

_APPOINTMENT = "/locations/{location_id}/events/{event_id}/appointments/{record_id}"
LOCATIONS = RouteFamily(
    name="locations",
    routes={
        **_event_routes("/locations/{location_id}/events", "appointments"),
        "list_appointments": _LIST_APPOINTMENTS,
        "bulk_create_event_appointments": Route("POST", "/locations/{location_id}/events/{event_id}/appointments/bulk"),
        "duplicate_event": Route("POST", "/locations/{location_id}/events/{event_id}/duplicate"),
        "update_event_appointment": Route("PUT", _APPOINTMENT),
        "reschedule_event_appointment": Route("PATCH", _APPOINTMENT),
        "delete_appointment": Route("DELETE", "/locations/{location_id}/appointments/{appointment_id}"),
    },
    page_size=250,
    safe_page=250,
    largest_page=250,
    lists_the_past=False,
    is_strict=True,
    span=_numbered_span,
    paging_query=_numbered_query,
    filter_query=_repeated_filters,
    includes=("staff", "service", "labels", "resource_instances"),
)

_FAMILIES = (COMPANIES, LOCATIONS)


def family_named(name: str) -> RouteFamily:
    """Return a route family.

    :param name: ``companies`` or ``locations``.
    :raises AltegioValidationError: there is no such family.
    """
    for family in _FAMILIES:
        if family.name == name:
            return family
    raise argument_error("route_family", "must be 'companies' or 'locations'")
