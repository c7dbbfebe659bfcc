"""The two families of routes as data.

The same service answers under ``/companies/…/activities`` and ``/locations/…/events``. What differs between them
stands in this module, :mod:`~altegio_provider.api.bodies.appointment` and :mod:`~altegio_provider.api.rows`: paths,
filters, paging, bodies and the form of an answer. Nothing outside knows which family is in use.
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
    """One operation: its HTTP method and its path below the base URL."""

    method: str
    path: str


class PageSpan(NamedTuple):
    """What one list request asks for: ``limit`` rows from the row number ``start`` on."""

    start: int
    limit: int


#: Names the page to ask for: (row number to cover, rows to ask for at the most, begin as close to it as can be).
SpanOf = Callable[[int, int, bool], PageSpan]


class ListPage(NamedTuple):
    """What one list request brought: its rows, and the total that the server claims (a hint, never believed)."""

    rows: list[Row]
    total: int | None


@dataclass(frozen=True)
class ActivityFilter:
    """The filters of a list of activities; ids are whole numbers, ``search`` is text."""

    staff_ids: Sequence[int] = ()
    service_ids: Sequence[int] = ()
    capacity: int | None = None
    search: str | None = None


@dataclass(frozen=True)
class RouteFamily:
    """One family of routes.

    :param name: as the connection names it.
    :param routes: the operations it has, by the client method's name.
    :param page_size: rows a page, where the caller does not say.
    :param largest_page: the most that a page may be asked for, where it is known.
    :param lists_the_past: whether a list may begin before now.
    :param is_strict: whether it holds bodies to the stricter rules: no unknown keys, lengths of whole five minutes.
    """

    name: str
    routes: Mapping[str, Route]
    page_size: int
    largest_page: int | None
    lists_the_past: bool
    is_strict: bool
    span: SpanOf
    paging_query: Callable[[PageSpan], Query]
    filter_query: Callable[[ActivityFilter], Query]
    includes: tuple[str, ...] = field(default=())

    def route(self, operation: str) -> Route:
        """Return the route of an operation.

        :raises AltegioValidationError: this family has none; the text names the one that does.
        """
        try:
            return self.routes[operation]
        except KeyError:
            others = [family.name for family in _FAMILIES if operation in family.routes]
            raise argument_error(
                "route_family",
                f"{self.name!r} has no operation {operation}",
                f"Set it to {' or '.join(map(repr, others))} in the connection's extra.",
            ) from None

    def list_query(self, wall_from: str, wall_to: str, filters: ActivityFilter, span: PageSpan) -> Query:
        """Return the query of one page of activities; the range is on the location's wall clock."""
        return [
            ("filter[from]", wall_from),
            ("filter[to]", wall_to),
            *self.filter_query(filters),
            *(("include", name) for name in self.includes),
            *self.paging_query(span),
        ]


def _offset_span(start: int, size: int, _closely: bool) -> PageSpan:
    return PageSpan(start, size)


def _numbered_span(start: int, size: int, closely: bool) -> PageSpan:
    """Return the page that covers ``start`` and reaches furthest, or begins as close to it as can be.

    Pages are numbered, so a page can only begin at a multiple of its own size: choosing the size (down to half)
    is what lets one page overlap the one before by a few rows and not by half a page.
    """
    if closely:
        if (start, size) == (1, 2):
            return PageSpan(0, 3)  # no page of two holds the second row and reaches behind it
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
    query = [("filter[master_ids][]", str(staff_id)) for staff_id in filters.staff_ids]
    query += [("filter[service_ids][]", str(service_id)) for service_id in filters.service_ids]
    if filters.capacity is not None:
        query.append(("filter[capacity]", str(filters.capacity)))
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


# Appointments are read from here whichever family is in use: `companies` has no such route, the service is the same.
_LIST_APPOINTMENTS = Route("GET", "/locations/{location_id}/appointments")

COMPANIES = RouteFamily(
    name="companies",
    routes=_event_routes("/companies/{location_id}/activities", "records"),
    page_size=100,
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
        "update_event_appointment": Route("PUT", _APPOINTMENT),
        "reschedule_event_appointment": Route("PATCH", _APPOINTMENT),
        "delete_appointment": Route("DELETE", "/locations/{location_id}/appointments/{appointment_id}"),
    },
    page_size=250,
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
    """Return the family of that name.

    :raises AltegioValidationError: there is none.
    """
    for family in _FAMILIES:
        if family.name == name:
            return family
    raise argument_error("route_family", "must be 'companies' or 'locations'")
