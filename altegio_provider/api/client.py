"""The client: the API's operations as methods."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Self

from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.api.event_body import checked_event
from altegio_provider.api.paging import PageReader, Window
from altegio_provider.api.rate_limit import Limiter, windows_of
from altegio_provider.api.rate_logs import open_place_log
from altegio_provider.api.retry import RetryPolicy
from altegio_provider.api.routes import (
    ActivityFilter,
    Page,
    PageSpan,
    Row,
    family_named,
    page_of,
    resource_of,
)
from altegio_provider.api.transport import Transport, TransportStats
from altegio_provider.times import LocationClock, as_instant, load_zone, wall_text, wall_window

__all__ = ["DEFAULT_BASE_URL", "AltegioClient"]

log = logging.getLogger(__name__)

DEFAULT_BASE_URL = "https://api.alteg.io/api/v2"

#: A range that begins "now" has begun by the time it is asked for; so much is forgiven where the past is refused.
_NOW_TOLERANCE = timedelta(minutes=5)
#: How far ahead of the clock such a range is asked for, for the server's clock may be ahead of this one.
_NOW_LEAD = timedelta(seconds=2)


class AltegioClient:
    """A client of the Altegio business API, for one pair of tokens. Use it as a context manager.

    It may be shared by threads. All clients of a host that talk to the same server share one rate limit.

    :param base_url: scheme, host and path with ``/api/v2``.
    :param partner_token: the partner's token.
    :param user_token: the user's token; it dies when the user's password changes.
    :param route_family: ``companies`` or ``locations``: which of the API's two families of routes to use.
    :param timezone: the location's IANA time zone; the API reads and writes wall-clock times in it.
    :param requests_per_second: the API's limit for one IP address; 0 or ``None`` is no limit.
    :param requests_per_minute: the same for the minute.
    :param rate_limit_url: a ``redis://`` URL by which several hosts behind one address share the limit.
    :param timeout: seconds to wait for each part of an answer.
    :param verify: check the server's certificate; the path of a CA bundle is taken too.
    :param retry: the bounds of trying again.
    :param now: the current time; another clock than the system's is for tests.
    :raises AltegioValidationError: an argument cannot be right, with its name in the text.
    """

    def __init__(
        self,
        base_url: str,
        partner_token: str,
        user_token: str,
        *,
        route_family: str = "companies",
        timezone: str = "UTC",
        requests_per_second: int | None = 5,
        requests_per_minute: int | None = 200,
        rate_limit_url: str | None = None,
        timeout: float = 30,
        verify: bool | str = True,
        retry: RetryPolicy | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._family = family_named(route_family)
        self.timezone = timezone
        _zone_of(timezone)
        try:
            rates = windows_of(requests_per_second, requests_per_minute)
        except ValueError as error:
            raise AltegioValidationError(str(error)) from None
        self._now = now
        self._transport = Transport(
            base_url,
            partner_token,
            user_token,
            limiter=Limiter(open_place_log(base_url, rates, rate_limit_url), rates),
            retry=retry or RetryPolicy(),
            timeout=timeout,
            verify=verify,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._transport.close()

    @property
    def route_family(self) -> str:
        """The family of routes in use."""
        return self._family.name

    @property
    def stats(self) -> TransportStats:
        """What this client has done so far: requests, retries, bytes."""
        return self._transport.stats

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
    ) -> Iterator[Row]:
        """Yield the activities of a location that start in ``[date_from, date_to)``, each exactly once.

        Rows may be created and deleted meanwhile; :mod:`~altegio_provider.api.paging` says what is guaranteed.
        Nothing is held but the pages under way. The arguments are checked at the call, before the first row.

        Operation: ``GET /companies/{id}/activities`` or ``GET /locations/{id}/events``.

        :param date_from: aware, or ISO 8601 text with an offset; a naive one is on the location's wall clock.
        :param date_to: the end, not included.
        :param staff_ids: only these team members' activities.
        :param service_ids: only these services' activities.
        :param capacity: as the API filters by it (under ``locations``: at least so many free places).
        :param search: text in the name or description (``companies`` only).
        :param page_size: rows a request; the default is the API's own (100, or 250 under ``locations``).
        :param concurrency: requests under way at once, at most.
        :param timezone: the location's IANA time zone, where it is not the client's.
        :returns: flat activities, in the server's order; see :mod:`~altegio_provider.api.routes` for their shape.
        :raises AltegioValidationError: an argument cannot be right, or the API refuses the request.
        :raises AltegioError: the leaf says what to do.
        """
        clock = LocationClock(_zone_of(timezone or self.timezone))
        window = self._checked_window(date_from, date_to, clock)
        filters = ActivityFilter(
            _ids("staff_ids", staff_ids),
            _ids("service_ids", service_ids),
            _count("capacity", capacity),
            search,
        )
        size = _count("page_size", page_size) or self._family.page_size
        if self._family.largest_page is not None and size > self._family.largest_page:
            raise _wrong("page_size", f"must be at most {self._family.largest_page}, not {size}")
        self._family.filter_query(filters)
        route = self._family.route("list_activities")
        path = route.path.format(location_id=_id("location_id", location_id))

        def fetch(part: Window, span: PageSpan) -> Page:
            start = part.start
            if not self._family.lists_the_past:
                start = max(start, self._now() + _NOW_LEAD)
            wall_from, wall_to = wall_window(start, part.end, clock.zone)
            query = self._family.list_query(wall_from, wall_to, filters, span)
            return page_of(self._transport.request(route.method, path, query=query), path)

        def start_us(row: Row) -> int | None:
            start = clock.start_of(row)
            return None if start is None else start.instant_us

        reader = PageReader(
            fetch,
            span=self._family.span,
            page_size=size,
            concurrency=_count("concurrency", concurrency) or 1,
            start_us=start_us,
        )
        return _within(reader.read(window), window, start_us)

    def get_event(self, location_id: int, event_id: int) -> Row:
        """Return one event in the flat row shape; a deleted one still answers.

        Operation: ``GET …/activities/{event_id}`` or ``GET …/events/{event_id}``.

        :raises AltegioNotFoundError: there is no such location or event.
        """
        return self._one("get_event", location_id, event_id=event_id)

    def create_event(self, location_id: int, event: Mapping[str, Any]) -> Row:
        """Create an event and return it. The API has no idempotency key: sent twice, it is there twice.

        Operation: ``POST …/activities`` or ``POST …/events``.

        :param event: the body, in the API's field names (:func:`~altegio_provider.api.event_body.checked_event`);
            ``date`` is a datetime or text, a naive one on the location's wall clock.
        :raises AltegioValidationError: a field cannot be right; nothing was sent.
        :raises AltegioConflictError: the team member or a resource is busy, and ``force`` was not given.
        :raises AltegioOutcomeUnknownError: the answer was lost; look before sending it again.
        """
        return self._one("create_event", location_id, body=self.event_body(event))

    def update_event(self, location_id: int, event_id: int, event: Mapping[str, Any]) -> Row:
        """Replace an event whole and return it.

        Operation: ``PUT …/activities/{event_id}`` or ``PUT …/events/{event_id}``.

        :param event: every field, in the API's names; what is left out is not kept.
        """
        body = self.event_body(event, is_replacement=True)
        return self._one("update_event", location_id, body=body, event_id=event_id)

    def delete_event(self, location_id: int, event_id: int) -> None:
        """Delete an event (softly: it can still be read, and lists leave it out).

        Operation: ``DELETE …/activities/{event_id}`` or ``DELETE …/events/{event_id}``.
        """
        self._call("delete_event", location_id, event_id=event_id)

    def create_event_appointment(self, location_id: int, event_id: int, appointment: Mapping[str, Any]) -> Row:
        """Book a client's seats in an event and return the record. Not idempotent: sent twice, it books twice.

        Operation: ``POST …/activities/{event_id}/records`` or ``POST …/events/{event_id}/appointments``.

        :param appointment: the body, in the API's field names.
        :raises AltegioOutcomeUnknownError: the answer was lost; look before sending it again.
        """
        return self._one("create_event_appointment", location_id, body=appointment, event_id=event_id)

    def event_body(self, event: Mapping[str, Any], *, is_replacement: bool = False) -> dict[str, Any]:
        """Return what is sent for an event, checked by the rules of the family in use.

        :raises AltegioValidationError: a field cannot be right; ``errors`` names each.
        """
        zone = _zone_of(self.timezone)
        return checked_event(event, zone, is_strict=self._family.is_strict, is_replacement=is_replacement)

    def _one(self, operation: str, location_id: int, *, body: Mapping[str, Any] | None = None, **ids: int) -> Row:
        method, path, document = self._call(operation, location_id, body=body, **ids)
        return resource_of(document, method, path)

    def _call(
        self, operation: str, location_id: int, *, body: Mapping[str, Any] | None = None, **ids: int
    ) -> tuple[str, str, Any]:
        route = self._family.route(operation)
        numbers = {name: _id(name, value) for name, value in ids.items()}
        path = route.path.format(location_id=_id("location_id", location_id), **numbers)
        return route.method, path, self._transport.request(route.method, path, body=body)

    def _checked_window(self, date_from: datetime | str, date_to: datetime | str, clock: LocationClock) -> Window:
        try:
            start = as_instant(date_from, clock.zone, "date_from")
            end = as_instant(date_to, clock.zone, "date_to")
        except ValueError as error:
            raise AltegioValidationError(str(error), hint="") from None
        if start >= end:
            kind = "is empty" if start == end else "is reversed"
            raise AltegioValidationError(
                f"the range {kind}: date_from {start.isoformat()} is not before date_to {end.isoformat()}.",
                errors={"date_from": ["must be before date_to"]},
                hint="",
            )
        now = self._now()
        if not self._family.lists_the_past and start < now - _NOW_TOLERANCE:
            raise AltegioValidationError(
                f"route_family={self._family.name!r} lists future events only, "
                f"and the range begins at {wall_text(start, clock.zone)}, before now.",
                errors={"date_from": ["must not be before now"]},
                hint="Use a forward range such as now to now + 30 days, or route_family='companies'.",
            )
        if not self._family.lists_the_past and end <= now + _NOW_LEAD:
            raise AltegioValidationError("the range ends now or before.", errors={"date_to": ["must be later"]})
        return Window(start, end)


def _within(pages: Iterator[list[Row]], window: Window, start_us: Callable[[Row], int | None]) -> Iterator[Row]:
    """Keep the rows that start in the window; one that does not say when is kept: the server put it here."""
    first, behind = (round(moment.timestamp() * 1e6) for moment in window)
    for rows in pages:
        for row in rows:
            at = start_us(row)
            if at is None or first <= at < behind:
                yield row


def _zone_of(name: str) -> Any:
    try:
        return load_zone(name)
    except ValueError as error:
        raise AltegioValidationError(str(error), hint="") from None


def _wrong(argument: str, text: str) -> AltegioValidationError:
    return AltegioValidationError(f"{argument} {text}.", errors={argument: [text]}, hint="")


def _id(argument: str, value: Any) -> int:
    if isinstance(value, str) and value.isascii() and value.strip().isdigit():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _wrong(argument, "must be a whole number of 1 or more")
    return int(value)


def _ids(argument: str, values: Sequence[int] | None) -> list[int]:
    if isinstance(values, str):
        raise _wrong(argument, "must be a list of ids, not a text")
    return [_id(argument, value) for value in values or ()]


def _count(argument: str, value: int | None) -> int | None:
    return None if value is None else _id(argument, value)
