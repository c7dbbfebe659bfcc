"""Finds out what a 404 is about by further requests, because the API says it in a localised text only."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from altegio_provider.api.errors import AltegioError, AltegioNotFoundError

if TYPE_CHECKING:
    from altegio_provider.api.client import AltegioClient

__all__ = ["describe_missing", "has_location"]


def has_location(client: AltegioClient, location_id: int) -> bool:
    """Return whether a location answers under the route family in use.

    :param client: the client.
    :param location_id: the location.
    :raises AltegioError: the request failed.
    """
    begin = datetime.now(UTC) + timedelta(days=1)
    try:
        next(client.list_activities(location_id, begin, begin + timedelta(hours=1), page_size=1, concurrency=1), None)
    except AltegioNotFoundError:
        return False
    return True


def describe_missing(client: AltegioClient, location_id: int, event_id: int | None, others: Sequence[str] = ()) -> str:
    """Return a sentence that says what a request with a 404 did not find, or "" if that is unknown.

    :param client: the client.
    :param location_id: the location that the request named.
    :param event_id: the event that it named, if any.
    :param others: what else it named, in words.
    """
    other = " or ".join(others) or "something else that the request names"
    try:
        if not has_location(client, location_id):
            return f"Location {location_id} does not answer under route_family={client.route_family!r}."
        if event_id is None:
            return f"Location {location_id} exists, so {other} does not."
        client.get_event(location_id, event_id)
    except AltegioNotFoundError:
        return f"Location {location_id} exists, but has no event {event_id}."
    except AltegioError:
        return ""
    return f"Event {event_id} exists, so {other} does not, or the event is deleted."
