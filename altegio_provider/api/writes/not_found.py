"""Which of several things a 404 is about: the API says it in a localised text, so it is asked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from altegio_provider.api.errors import AltegioError, AltegioNotFoundError

if TYPE_CHECKING:
    from altegio_provider.api.client import AltegioClient

__all__ = ["describe_missing", "has_location"]


def has_location(client: AltegioClient, location_id: int) -> bool:
    """Whether the location answers under the family of routes in use.

    :raises AltegioError: it cannot be asked now.
    """
    begin = datetime.now(UTC) + timedelta(days=1)
    try:
        next(client.list_activities(location_id, begin, begin + timedelta(hours=1), page_size=1, concurrency=1), None)
    except AltegioNotFoundError:
        return False
    return True


def describe_missing(client: AltegioClient, location_id: int, event_id: int | None, others: Sequence[str] = ()) -> str:
    """Return a sentence on what a request that was answered 404 did not find, as far as asking can tell.

    :param event_id: the event that was named in it, if any.
    :param others: the names of what else it named, of which nothing can be asked.
    """
    other = " or ".join(others) or "something else that the request names"
    try:
        if not has_location(client, location_id):
            return f"Location {location_id} does not answer under route_family={client.route_family!r}."
        if event_id is None:
            return f"Location {location_id} is there, so it is {other}."
        client.get_event(location_id, event_id)
    except AltegioNotFoundError:
        return f"Location {location_id} is there, and has no event {event_id}."
    except AltegioError:
        return ""
    return f"Event {event_id} is there, so it is {other}, or the event is deleted."
