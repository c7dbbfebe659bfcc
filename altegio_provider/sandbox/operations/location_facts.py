"""What v1 tells of locations: title, time zone, currency."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from altegio_provider.sandbox.data.state import Location
from altegio_provider.sandbox.forms.answers import data, json_answer
from altegio_provider.sandbox.settings import Call, Operation

__all__ = ["LOCATION_OPERATIONS"]


def get_location(call: Call) -> Response:
    """One location."""
    return json_answer(data(_facts(call.location)))


def list_locations(call: Call) -> Response:
    """A page of the locations that the user has a right to."""
    count, page = call.whole("count", 50, 1), call.whole("page", 1, 1)
    known = [location for location in call.state.locations.values() if not location.forbidden]
    first = (page - 1) * count
    rows = [_facts(location) for location in known[first : first + count]]
    return json_answer(data(rows, {"total_count": len(known)}))


def _facts(location: Location) -> dict[str, Any]:
    return {
        "id": location.id,
        "title": location.title,
        "country": location.country,
        "city": location.city,
        "timezone_name": location.timezone,
        "currency_short_title": location.currency,
        "active": 1,
    }


LOCATION_OPERATIONS: dict[str, Operation] = {function.__name__: function for function in (get_location, list_locations)}
