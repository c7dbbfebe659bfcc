"""The client's operations on events."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from altegio_provider.api.arguments import (
    checked_concurrency,
    checked_count,
    checked_id,
    checked_ids,
    checked_page_size,
    checked_range,
    checked_text,
    checked_zone,
)
from altegio_provider.api.bodies.event import checked_event
from altegio_provider.api.calls import Calls
from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.api.paging.reader import PageReader
from altegio_provider.api.routes import ActivityFilter, ListPage, PageSpan, Row
from altegio_provider.api.secrets import clear_variables_on_error
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
        page_size: int | None = None,
        concurrency: int = 4,
        timezone: str | None = None,
    ) -> Iterator[Event]:
        """Yield the activities of a location that start in ``[date_from, date_to)``, each exactly once.

        Rows may be created and deleted meanwhile; :mod:`~altegio_provider.api.paging.reader` says what is guaranteed.
        Only the pages that are being requested are held in memory. The arguments are checked at the call.

        Operation: ``GET /companies/{id}/activities`` or ``GET /locations/{id}/events``.

        :param location_id: the location.
        :param date_from: the start: aware, or ISO 8601 text with an offset; a naive one is on the location's clock.
        :param date_to: the end, not included.
        :param staff_ids: only these team members' activities.
        :param service_ids: only these services' activities.
        :param capacity: the API's filter (under ``locations``: at least so many free seats).
        :param search: text in the name or description (``companies`` only).
        :param page_size: rows of a request; the default is the API's own (100, or 250 under ``locations``).
        :param concurrency: how many requests may run at once.
        :param timezone: the location's IANA time zone, if it is not the client's.
        :returns: flat activities, in the server's order; see :mod:`~altegio_provider.api.rows` for their shape.
        :raises AltegioValidationError: an argument is invalid, or the API refuses the request.
        :raises AltegioError: a request failed; the class says what to do.
        """
        clock = LocationClock(checked_zone(timezone or self.timezone))
        window = self._checked_window(date_from, date_to, clock)
        filters = ActivityFilter(
            checked_ids("staff_ids", staff_ids),
            checked_ids("service_ids", service_ids),
            checked_count("capacity", capacity),
            checked_text("search", search),
        )
        size = checked_page_size(page_size, self._family.page_size, self._family.largest_page)
        self._family.filter_query(filters)
        route = self._family.route("list_activities")
        path = route.path.format(location_id=checked_id("location_id", location_id))

        def fetch(part: TimeRange | None, span: PageSpan) -> ListPage:
            start, end = part or window
            if not self._family.lists_the_past:
                start = max(start, self.earliest_listed or start)
            wall_from, wall_to = wall_range(start, end, clock.zone)
            query = self._family.list_query(wall_from, wall_to, filters, span)
            return self._page("events", path, lambda _forms: query, self._family.includes)

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
        return cast("Iterator[Event]", _starting_within(reader.read(window), window, clock))

    @property
    def earliest_listed(self) -> datetime | None:
        """The earliest start that a list requested now can have, in UTC; ``None`` for any."""
        return None if self._family.lists_the_past else self._now() + _NOW_LEAD

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
    def update_event(self, location_id: int, event_id: int, event: Mapping[str, Any]) -> Event:
        """Replace an event and return it.

        Operation: ``PUT …/activities/{event_id}`` or ``PUT …/events/{event_id}``.

        :param location_id: the location.
        :param event_id: the event.
        :param event: all fields, in the API's names; a field that is left out is not kept.
        :raises AltegioError: the request failed; the class says what to do.
        """
        body = self.event_body(event, is_replacement=True)
        return cast("Event", self._call_for_row("update_event", location_id, body=body, event_id=event_id))

    @clear_variables_on_error
    def delete_event(self, location_id: int, event_id: int) -> None:
        """Delete an event. Lists leave it out then, but it can still be read.

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

    def _checked_window(self, date_from: datetime | str, date_to: datetime | str, clock: LocationClock) -> TimeRange:
        start, end = window = checked_range(date_from, date_to, clock.zone)
        now = self._now()
        if not self._family.lists_the_past and start < now - _NOW_TOLERANCE:
            raise AltegioValidationError(
                f"route_family={self._family.name!r} lists future events only, "
                f"and the range begins at {wall_text(start, clock.zone)}, before now.",
                errors={"date_from": ["must not be before now"]},
                hint="Use a future range such as now to now + 30 days, history=True in a task that extracts the past, "
                "or route_family='companies'.",
            )
        if not self._family.lists_the_past and end <= now + _NOW_LEAD:
            raise AltegioValidationError("the range ends in the past.", errors={"date_to": ["must be after now"]})
        return window


#: The fields of an event that are lists.
_LIST_FIELDS = ("labels", "resource_instances")


@clear_variables_on_error
def _starting_within(pages: Iterator[list[Row]], window: TimeRange, clock: LocationClock) -> Iterator[Row]:
    """Keep the rows that start in the window, and rows without a readable start, which the server put in it."""
    first, behind = (round(moment.timestamp() * 1e6) for moment in window)
    for rows in pages:
        if clock.all_start_within(rows, *window):
            yield from rows
            continue
        for row in rows:
            start = clock.start_of(row)
            if start is None or first <= start.instant_us < behind:
                yield row
