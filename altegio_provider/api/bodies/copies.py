"""The body and the response of a request that copies an event to up to 100 dates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast
from zoneinfo import ZoneInfo

from altegio_provider.api.bodies.event import wall_clock_of
from altegio_provider.api.bodies.fields import FieldErrors
from altegio_provider.api.errors import AltegioResponseError, AltegioValidationError
from altegio_provider.api.http.responses import invalid_response
from altegio_provider.api.rows import parse_page
from altegio_provider.api.types import Event
from altegio_provider.common.location_time import LocationClock

__all__ = ["MAX_COPIES", "checked_copies", "copies_of"]

#: The API takes no more dates in one request.
MAX_COPIES = 100
_EVENT_ALONE, _WITH_BOOKINGS = 1, 2
_OK = 200


def checked_copies(
    dates: Sequence[datetime | str], zone: ZoneInfo, *, with_bookings: bool, force: bool
) -> dict[str, Any]:
    """Return the body that copies an event.

    :param dates: 1 to 100 different starts, as ``datetime`` or ISO text: an aware one is converted to the location's
        wall clock, a naive one is on it.
    :param zone: the location's time zone.
    :param with_bookings: whether the bookings are copied too.
    :param force: whether to skip the check that team member and resources are free.
    :raises AltegioValidationError: there are none or too many dates, or some are invalid; ``errors`` names each.
    """
    errors: FieldErrors = {}
    if isinstance(dates, str) or not 1 <= len(dates) <= MAX_COPIES:
        errors["dates"] = [f"must be a list of 1 to {MAX_COPIES} starts"]
        dates = ()
    walls = [wall_clock_of(date, zone) for date in dates]
    errors.update({f"dates.{place}": ["must be a date and time"] for place, wall in enumerate(walls) if wall is None})
    starts = [wall.isoformat("T", "seconds") for wall in walls if wall is not None]
    if len(set(starts)) < len(starts):
        errors["dates"] = ["must be different from each other"]
    if errors:
        raise AltegioValidationError("the copies cannot be sent.", errors=errors, hint="Nothing was sent.")
    return {"dates": starts, "content_type": _WITH_BOOKINGS if with_bookings else _EVENT_ALONE, "force": force}


def copies_of(document: Any, path: str, body: Mapping[str, Any], zone: ZoneInfo) -> list[Event]:
    """Return the copies in the order of the dates of the request.

    :param document: the response.
    :param path: the request's path.
    :param body: the request's body.
    :param zone: the location's time zone.
    :raises AltegioResponseOutcomeUnknownError: the response does not have exactly one copy for each date.
    """
    try:
        rows = parse_page(document, path).rows
    except AltegioResponseError:
        rows = []
    clock = LocationClock(zone)
    by_start: dict[str, Event] = {}
    for row in rows:
        start = clock.start_of(row)
        if start is not None and isinstance(row.get("id"), int):
            by_start[start.wall.isoformat("T", "seconds")] = cast("Event", row)
    ids = {row.get("id") for row in by_start.values()}
    if len(rows) != len(ids) or by_start.keys() != set(body["dates"]):
        raise invalid_response("POST", path, _OK, "it does not have exactly one event for each date")
    return [by_start[start] for start in body["dates"]]
