"""The filters and the order of a list of events, as each family and each server takes them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from altegio_provider.sandbox.data.state import Event, Location
from altegio_provider.sandbox.forms.answers import INVALID, Refusal
from altegio_provider.sandbox.settings import Call, whole_number

__all__ = ["Filters", "event_filters"]

_DELETED = "filter[include_deleted]"
_LATER = ("filter[resource_ids][]", "filter[weekdays][]", "filter[sort]")


@dataclass(frozen=True)
class Filters:
    """Which events are wanted, and in which order.

    :param capacity: the number of places.
    :param free: so many free places at the least.
    :param weekdays: 1 for Monday to 7 for Sunday.
    :param sort: ``asc`` or ``desc`` by start.
    """

    staff: frozenset[int] = frozenset()
    services: frozenset[int] = frozenset()
    resources: frozenset[int] = frozenset()
    weekdays: frozenset[int] = frozenset()
    capacity: int | None = None
    free: int | None = None
    search: str = ""
    with_deleted: bool = False
    sort: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether all rows of the range are wanted, from the first start to the last; deleted ones perhaps."""
        return replace(self, with_deleted=False, sort="") == Filters() and self.sort != "desc"

    def lets_through(self, location: Location, event: Event) -> bool:
        """Whether an event is wanted."""
        return (
            (not self.staff or event.staff_id in self.staff)
            and (not self.services or event.service_id in self.services)
            and (not self.resources or not self.resources.isdisjoint(_resources(location, event)))
            and (not self.weekdays or event.starts.isoweekday() in self.weekdays)
            and (self.capacity is None or event.capacity == self.capacity)
            and (self.free is None or event.capacity - event.seats >= self.free)
            and (not self.search or self.search in _title(location, event).lower())
        )

    def ordered(self, events: list[Event]) -> list[Event]:
        """The events by their start, where that was asked for. Of events that start together nothing is promised."""
        return sorted(events, key=lambda event: event.starts, reverse=self.sort == "desc") if self.sort else events


def event_filters(call: Call) -> Filters:
    """Read the filters of a request.

    :raises Refusal: 422 for one that cannot be right, or that this server does not take.
    """
    present = call.request.query_params
    capacity = call.whole("filter[capacity]", 0, 0) if "filter[capacity]" in present else None
    staff, services = _ids(call, "master_ids"), _ids(call, "service_ids")
    if call.family == "companies":
        return Filters(staff, services, capacity=capacity, search=present.get("search", "").lower())
    with_deleted = _flag(call, _DELETED) if _is_taken(call, call.switches.include_deleted, [_DELETED]) else False
    filters = Filters(staff, services, free=capacity, with_deleted=with_deleted)
    if not _is_taken(call, call.switches.event_filters, _LATER):
        return filters
    weekdays = _ids(call, "weekdays")
    if not weekdays <= set(range(1, 8)):
        raise Refusal(422, INVALID, {"filter[weekdays]": ["must be numbers from 1 to 7"]})
    sort = present.get("filter[sort]", "")
    if "filter[sort]" in present and sort not in ("asc", "desc"):
        raise Refusal(422, INVALID, {"filter[sort]": ["must be asc or desc"]})
    return Filters(
        staff, services, _ids(call, "resource_ids"), weekdays, free=capacity, with_deleted=with_deleted, sort=sort
    )


def _is_taken(call: Call, form: str, names: list[str] | tuple[str, ...]) -> bool:
    present = [name for name in names if name in call.request.query_params]
    if present and form == "refused":
        raise Refusal(422, INVALID, {name: ["this parameter was not expected"] for name in present})
    return form == "taken"


def _flag(call: Call, name: str) -> bool:
    text = call.request.query_params.get(name)
    if text not in (None, "0", "1"):
        raise Refusal(422, INVALID, {name: ["must be 0 or 1"]})
    return text == "1"


def _ids(call: Call, name: str) -> frozenset[int]:
    values = call.values(f"filter[{name}][]")
    if call.family == "companies":
        # As the portal's example sends it: one value with commas. Of repeated keys only the last one counts.
        values = values[-1].split(",") if values else []
    ids = [whole_number(value) for value in values]
    known = frozenset(number for number in ids if number is not None)
    if None in ids:
        raise Refusal(422, INVALID, {f"filter[{name}]": ["must be whole numbers"]})
    return known


def _resources(location: Location, event: Event) -> set[int]:
    """The numbers of an event's rooms, and of the resources that they are instances of."""
    parents = {(location.resources.get(number) or {}).get("resource_id") for number in event.resource_ids}
    return {*event.resource_ids, *(number for number in parents if number is not None)}


def _title(location: Location, event: Event) -> str:
    return str((location.services.get(event.service_id) or {}).get("title", ""))
