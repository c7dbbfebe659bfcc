"""The client's operations on events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from altegio_provider.api.arguments import (
    argument_error,
    checked_concurrency,
    checked_count,
    checked_flag,
    checked_id,
    checked_ids,
    checked_page_size,
    checked_range,
    checked_sort,
    checked_text,
    checked_weekdays,
    checked_zone,
)
from altegio_provider.api.bodies.copies import checked_copies, copies_of
from altegio_provider.api.bodies.event import checked_event
from altegio_provider.api.calls import Calls
from altegio_provider.api.errors import AltegioPastNotListedError
from altegio_provider.api.paging.reader import PageReader
from altegio_provider.api.routes import ActivityFilter, ListPage, PageSpan, Query, Row
from altegio_provider.api.secrets import clear_variables_on_error
from altegio_provider.api.server_forms import Forms
from altegio_provider.api.types import Event
from altegio_provider.common.location_time import LocationClock, TimeRange, wall_range, wall_text

__all__ = ["EventCalls"]

#: A range that begins "now" lies in the past when it is requested. Where the past is refused, so much is allowed.
_NOW_TOLERANCE = timedelta(minutes=5)
#: Such a range is requested from this much later, because the server's clock may be ahead of this one.
_NOW_LEAD = timedelta(seconds=2)


class EventCalls(Calls):
    """List, read, create, replace and delete events."""

    @clear_variables_on_error
    def list_activities(
        self,
        location_id: int,
        date_from: datetime | str,
        date_to: datetime | str,
        *,
        staff_ids: Sequence[int] | None = None,
        service_ids: Sequence[int] | None = None,
        capacity: int | None = None,
        search: str | None = None,
        resource_ids: Sequence[int] | None = None,
        weekdays: Sequence[int] | None = None,
        sort: str | None = None,
        include_deleted: bool = False,
        page_size: int | None = None,
        concurrency: int = 4,
        timezone: str | None = None,
    ) -> Iterator[Event]:
        """Yield the activities of a location that start in ``[date_from, date_to)``, each exactly once.

        Rows may be created and deleted meanwhile; :mod:`~altegio_provider.api.paging.reader` says what is guaranteed.
        Only the pages that are being requested are held in memory. The arguments are checked at the call.

        Under ``locations`` the past is listed by ``filter[include_deleted]=1``, which is always sent. A server that is
        older than autumn 2026 refuses it, and is asked without.

        Operation: ``GET /companies/{id}/activities`` or ``GET /locations/{id}/events``.

        :param location_id: the location.
        :param date_from: the start: aware, or ISO 8601 text with an offset; a naive one is on the location's clock.
        :param date_to: the end, not included.
        :param staff_ids: only these team members' activities.
        :param service_ids: only these services' activities.
        :param capacity: the API's filter (under ``locations``: at least so many free seats).
        :param search: text in the name or description (``companies`` only).
        :param resource_ids: only activities with one of these rooms or devices (``locations`` only).
        :param weekdays: only activities on these weekdays, 1 for Monday to 7 for Sunday (``locations`` only).
        :param sort: the order by start, ``asc`` or ``desc`` (``locations`` only); default: the server's own order.
        :param include_deleted: yield deleted activities too, with ``deleted`` true (``locations`` only).
        :param page_size: rows of a request; the default is 300, or 250 under ``locations``. Where the
            server refuses more than 100, it is 100.
        :param concurrency: how many requests may run at once.
        :param timezone: the location's IANA time zone, if it is not the client's.
        :returns: flat activities, in the server's order; see :mod:`~altegio_provider.api.rows` for their shape.
        :raises AltegioValidationError: an argument is invalid, or the API refuses the request.
        :raises AltegioPastNotListedError: the range begins before now, and the server does not list the past.
        :raises AltegioError: a request failed; the class says what to do.
        """
        clock = LocationClock(checked_zone(timezone or self.timezone))
        window = checked_range(date_from, date_to, clock.zone)
        if self.earliest_listed is not None:
            self._listed_part(window, clock)
        filters = ActivityFilter(
            checked_ids("staff_ids", staff_ids),
            checked_ids("service_ids", service_ids),
            resource_ids=checked_ids("resource_ids", resource_ids),
            weekdays=checked_weekdays(weekdays),
            sort=checked_sort(sort),
            capacity=checked_count("capacity", capacity),
            search=checked_text("search", search),
        )
        is_with_deleted = checked_flag("include_deleted", include_deleted)
        if is_with_deleted and self._family.lists_the_past:
            raise argument_error(
                "include_deleted",
                f"needs route_family='locations': {self._family.name!r} does not list deleted events",
                "Set it in the connection's extra.",
            )
        size = checked_page_size(page_size, self._family.page_size, self._family.largest_page)
        self._family.filter_query(filters)
        route = self._family.route("list_activities")
        path = route.path.format(location_id=checked_id("location_id", location_id))

        def fetch(part: TimeRange | None, span: PageSpan) -> ListPage:
            def query(forms: Forms, sent: PageSpan) -> Query:
                asked, deleted = part or window, []
                if not self._family.lists_the_past:
                    if forms.has_deleted_events:
                        deleted = [("filter[include_deleted]", "1")]
                    else:
                        asked = self._listed_part(window, clock, asked)
                wall_from, wall_to = wall_range(*asked, clock.zone)
                return [*self._family.list_query(wall_from, wall_to, filters, sent), *deleted]

            is_event_list = not self._family.lists_the_past
            return self._page(
                "events",
                path,
                span,
                query,
                self._family.includes,
                safe_page=self._family.safe_page,
                is_event_list=is_event_list,
            )

        def start_us(row: Row) -> int | None:
            start = clock.start_of(row)
            return None if start is None else start.instant_us

        reader = PageReader(
            fetch,
            span=self._family.span,
            page_size=size,
            concurrency=checked_concurrency(concurrency),
            start_us=start_us,
        )
        drops_deleted = not (is_with_deleted or self._family.lists_the_past)
        wanted = _RowFilter(window, filters, clock, drops_deleted)
        return cast("Iterator[Event]", wanted.rows(reader.read(window)))

    @property
    def earliest_listed(self) -> datetime | None:
        """The earliest start that a list which is asked for now tells, in UTC; ``None``: any, as far as is known."""
        is_any = self._family.lists_the_past or self._server.accepted.has_deleted_events
        return None if is_any else self._now() + _NOW_LEAD

    @clear_variables_on_error
    def get_event(self, location_id: int, event_id: int, *, joined: bool = False) -> Event:
        """Return one event as a flat row. A deleted event can still be read.

        Operation: ``GET …/activities/{event_id}`` or ``GET …/events/{event_id}``.

        :param location_id: the location.
        :param event_id: the event.
        :param joined: whether ``locations`` joins team member, service, labels and rooms to it, as in lists.
        :raises AltegioNotFoundError: the location or event does not exist.
        :raises AltegioError: the request failed; the class says what to do.
        """
        includes = self._family.includes if joined else ()
        event = self._call_for_row("get_event", location_id, include=includes, event_id=event_id)
        if any(name in event for name in includes):
            # The server may leave out a list that is empty.
            event.update({name: [] for name in _LIST_FIELDS if name not in event})
        return cast("Event", event)

    @clear_variables_on_error
    def create_event(self, location_id: int, event: Mapping[str, Any]) -> Event:
        """Create an event and return it. The API has no idempotency key: a second request creates a second event.

        Operation: ``POST …/activities`` or ``POST …/events``.

        :param location_id: the location.
        :param event: the body, in the API's field names (:func:`~altegio_provider.api.bodies.event.checked_event`);
            ``date`` is a datetime or text, a naive one on the location's wall clock.
        :raises AltegioValidationError: a field is invalid, and nothing was sent; or the API refused the event.
        :raises AltegioConflictError: the team member or a resource is busy, and ``force`` was not given.
        :raises AltegioOutcomeUnknownError: the response was lost; look for the event before you send it again.
        :raises AltegioError: the request failed; the class says what to do.
        """
        return cast("Event", self._call_for_row("create_event", location_id, body=self.event_body(event)))

    @clear_variables_on_error
    def duplicate_event(
        self,
        location_id: int,
        event_id: int,
        dates: Sequence[datetime | str],
        *,
        with_bookings: bool = False,
        force: bool = False,
    ) -> list[Event]:
        """Copy an event to up to 100 dates and return the copies. ``locations`` only.

        Not idempotent: sent twice, the copies are there twice. One invalid or busy date refuses all.

        Operation: ``POST …/events/{event_id}/duplicate``.

        :param location_id: the location.
        :param event_id: the event to copy.
        :param dates: the starts of the copies, as ``datetime`` or ISO text; a naive one is on the location's wall
            clock.
        :param with_bookings: whether the bookings are copied too.
        :param force: whether to skip the check that team member and resources are free.
        :returns: the copies, in the order of ``dates``.
        :raises AltegioValidationError: an argument is invalid, or ``companies`` is in use, and nothing was sent; or the
            API refused it.
        :raises AltegioConflictError: the team member or a resource is busy on one of the dates.
        :raises AltegioNotFoundError: the location or event does not exist, or the server has no such route.
        :raises AltegioOutcomeUnknownError: the response was lost, or does not have one copy for each date.
        :raises AltegioError: the request failed; the class says what to do.
        """
        self._family.route("duplicate_event")
        zone = checked_zone(self.timezone)
        body = checked_copies(
            dates,
            zone,
            with_bookings=checked_flag("with_bookings", with_bookings),
            force=checked_flag("force", force),
        )
        _, path, document = self._call("duplicate_event", location_id, body=body, event_id=event_id)
        return copies_of(document, path, body, zone)

    @clear_variables_on_error
    def update_event(self, location_id: int, event_id: int, event: Mapping[str, Any]) -> Event:
        """Replace an event and return it.

        Operation: ``PUT …/activities/{event_id}`` or ``PUT …/events/{event_id}``.

        :param location_id: the location.
        :param event_id: the event.
        :param event: all fields, in the API's names; a field that is left out is not kept. To change some fields,
            read the event and use :func:`~altegio_provider.api.bodies.event.replacement_body`.
        :raises AltegioError: the request failed; the class says what to do.
        """
        body = self.event_body(event, is_replacement=True)
        return cast("Event", self._call_for_row("update_event", location_id, body=body, event_id=event_id))

    @clear_variables_on_error
    def delete_event(self, location_id: int, event_id: int) -> None:
        """Delete an event. Lists leave it out then, but it can still be read.

        All of its bookings are cancelled, and clients may be told, as the location's settings say.

        Operation: ``DELETE …/activities/{event_id}`` or ``DELETE …/events/{event_id}``.

        :param location_id: the location.
        :param event_id: the event.
        :raises AltegioError: the request failed; the class says what to do.
        """
        self._call("delete_event", location_id, event_id=event_id)

    @clear_variables_on_error
    def event_body(self, event: Mapping[str, Any], *, is_replacement: bool = False) -> dict[str, Any]:
        """Return the body that is sent for an event, checked by the rules of the route family in use.

        :param event: the fields, in the API's names.
        :param is_replacement: whether it replaces an event; texts may then be null.
        :raises AltegioValidationError: fields are invalid; ``errors`` names each.
        """
        zone = checked_zone(self.timezone)
        return checked_event(event, zone, is_strict=self._family.is_strict, is_replacement=is_replacement)

    def _listed_part(self, window: TimeRange, clock: LocationClock, part: TimeRange | None = None) -> TimeRange:
        """Return the part of a range that a server lists which does not list the past.

        :param window: the whole range that was asked for.
        :param part: the part of it that is asked for now; default: all of it.
        :raises AltegioPastNotListedError: the whole range begins before now.
        """
        now = self._now()
        if window.start < now - _NOW_TOLERANCE:
            raise AltegioPastNotListedError(
                f"the server lists future events only under route_family={self._family.name!r}, "
                f"and the range begins at {wall_text(window.start, clock.zone)}, before now.",
                errors={"date_from": ["must not be before now"]},
            )
        if window.end <= now + _NOW_LEAD:
            raise AltegioPastNotListedError("the range ends in the past.", errors={"date_to": ["must be after now"]})
        start, end = part or window
        return TimeRange(max(start, now + _NOW_LEAD), end)


#: How a flag that is set may be written.
_TRUE = (True, "1", "true")
#: What an event may have several of.
_LIST_FIELDS = ("labels", "resource_instances")


class _RowFilter:
    """Keeps the rows that were asked for, whatever the server makes of the query.

    :param window: the range in which a row must start; one that does not say when is kept: the server put it here.
    :param filters: the filters; an older server ignores those of rooms and weekdays.
    :param clock: the location's.
    :param drops_deleted: whether deleted events were listed and are not wanted.
    """

    def __init__(self, window: TimeRange, filters: ActivityFilter, clock: LocationClock, drops_deleted: bool) -> None:
        self._window = window
        self._bounds_us = tuple(round(moment.timestamp() * 1e6) for moment in window)
        self._weekdays = frozenset(filters.weekdays)
        self._resources = frozenset(filters.resource_ids)
        self._clock = clock
        self._drops_deleted = drops_deleted

    @clear_variables_on_error
    def rows(self, pages: Iterator[list[Row]]) -> Iterator[Row]:
        """Yield the rows of the pages that were asked for."""
        for rows in pages:
            if self._drops_deleted:
                rows = [row for row in rows if row.get("deleted") not in _TRUE]
            if self._resources:
                rows = [row for row in rows if self._may_use_a_resource(row)]
            if not self._weekdays and self._clock.all_start_within(rows, *self._window):
                yield from rows
            else:
                yield from filter(self._starts_as_wanted, rows)

    def _starts_as_wanted(self, row: Row) -> bool:
        start = self._clock.start_of(row)
        if start is None:
            return True
        first, behind = self._bounds_us
        is_day = not self._weekdays or start.instant is None or self._weekday(start.instant) in self._weekdays
        return first <= start.instant_us < behind and is_day

    def _weekday(self, instant: datetime) -> int:
        return instant.astimezone(self._clock.zone).isoweekday()

    def _may_use_a_resource(self, row: Row) -> bool:
        """Whether a row has one of the resources, as far as it tells: the filter may name a room, or its kind."""
        instances = row.get("resource_instances")
        if not isinstance(instances, list):
            return True
        known = [one for one in instances if isinstance(one, dict)]
        ids = {number for one in known for number in (one.get("id"), one.get("resource_id"))}
        return None in ids or not self._resources.isdisjoint(ids)
