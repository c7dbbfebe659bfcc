"""Whether a team member and rooms are free at some time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from altegio_provider.sandbox.data.state import Event, Location
from altegio_provider.sandbox.forms.answers import Refusal

__all__ = ["check_busy"]


def check_busy(location: Location, event: Event, starts: datetime, wanted: Mapping[str, Any]) -> None:
    """Check that nothing else takes place then with the same team member, or in the same rooms.

    :param event: not in its own way.
    :param wanted: ``staff_id``, ``resource_instance_ids`` and ``length``.
    :raises Refusal: 409.
    """
    ends = starts + timedelta(seconds=wanted["length"])
    location.fill(starts.date(), ends.date())
    for other in location.listed(starts - timedelta(days=1), ends, with_end=False):
        overlaps = other.starts < ends and starts < other.starts + timedelta(seconds=other.length)
        if other.id == event.id or not overlaps:
            continue
        if other.staff_id == wanted["staff_id"]:
            raise Refusal(409, "The team member is busy at this time")
        if set(other.resource_ids) & set(wanted["resource_instance_ids"]):
            raise Refusal(409, "A resource is busy at this time")
