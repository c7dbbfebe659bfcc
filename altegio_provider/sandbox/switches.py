"""Which server is imitated: the one of autumn 2026, or an older one, point by point.

A switch is how a server *is*, for all requests until the next reset. A fault (:mod:`~altegio_provider.sandbox.faults`)
is what goes wrong with some of them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

__all__ = ["AUTUMN", "OLDER", "SERVERS", "Switches", "switched"]

_ROUTE_STATUSES = (403, 404, 405)


@dataclass(frozen=True)
class Switches:
    """How the imitated server differs from others.

    :param include_deleted: ``filter[include_deleted]`` of events: ``taken``, ``refused`` (422), or ``ignored``, so that
        the past is refused (422) and deleted events stay hidden.
    :param event_filters: ``filter[resource_ids][]``, ``filter[weekdays][]`` and ``filter[sort]`` of events: ``taken``,
        ``refused`` (422) or ``ignored``.
    :param deleted_field: whether events carry ``deleted``.
    :param bracket_include: ``include[]``: ``taken``, ``refused`` (422) or ``ignored``.
    :param bare_include: ``include``: ``all`` names count, the ``last`` one alone counts, ``refused`` (422) or
        ``ignored``.
    :param untyped: relationships whose side-loads have ``"type": null``.
    :param number_columns: whether ``source``, ``is_mobile`` and ``prepaid_status`` of appointments are numbers; else
        text, a boolean and text.
    :param change_wipes: whether the change of an appointment drops the tags and goods that are not sent.
    :param delete_cancels: whether the deletion of an event cancels its bookings.
    :param capacity_rule: whether a replaced event must keep the seats that are booked (422).
    :param move_rules: whether a move needs a waiting, unpaid booking, a source that is not over, and a target ahead
        that the client is not in (422).
    :param empty_texts: empty text in an event's fields: ``refused`` (422), as the API does, or ``taken``.
    :param error_form: errors of event routes under ``locations``: ``envelope`` or ``jsonapi``.
    :param companies_limit: the largest page of events under ``companies``; 0 for none.
    :param over_limit: what happens to a larger one: ``cap`` (fewer rows, in silence) or ``refuse`` (422).
    :param missing_routes: operations that are not there, and the status that says so: 403, 404 or 405.
    """

    include_deleted: str = "taken"
    event_filters: str = "taken"
    deleted_field: bool = True
    bracket_include: str = "taken"
    bare_include: str = "all"
    untyped: tuple[str, ...] = ()
    number_columns: bool = True
    change_wipes: bool = True
    delete_cancels: bool = True
    capacity_rule: bool = True
    move_rules: bool = True
    empty_texts: str = "refused"
    error_form: str = "envelope"
    companies_limit: int = 0
    over_limit: str = "cap"
    missing_routes: Mapping[str, int] = field(default_factory=dict)


AUTUMN = Switches()
OLDER = Switches(
    include_deleted="refused",
    event_filters="ignored",
    deleted_field=False,
    bracket_include="refused",
    number_columns=False,
    change_wipes=False,
    delete_cancels=False,
    capacity_rule=False,
    move_rules=False,
    missing_routes={"bulk_create_event_appointments": 404, "duplicate_event": 404},
)
#: The servers by name.
SERVERS = {"autumn": AUTUMN, "older": OLDER}

_WORDS = {
    "include_deleted": ("taken", "refused", "ignored"),
    "event_filters": ("taken", "refused", "ignored"),
    "bracket_include": ("taken", "refused", "ignored"),
    "bare_include": ("all", "last", "refused", "ignored"),
    "empty_texts": ("taken", "refused"),
    "error_form": ("envelope", "jsonapi"),
    "over_limit": ("cap", "refuse"),
}


def switched(switches: Switches, given: Mapping[str, Any]) -> Switches:
    """Return the switches with some of them set.

    :param given: by name; ``server`` sets all to those of a named server first.
    :raises ValueError: there is no such switch, or it has no such value.
    """
    chosen = dict(given)
    name = chosen.pop("server", None)
    if name is not None:
        if name not in SERVERS:
            raise ValueError(f"server must be one of {', '.join(SERVERS)}")
        switches = SERVERS[name]
    unknown = chosen.keys() - {one.name for one in fields(Switches)}
    if unknown:
        raise ValueError(f"unknown switches: {', '.join(sorted(unknown))}")
    return replace(switches, **{name: _checked(name, value) for name, value in chosen.items()})


def _checked(name: str, value: Any) -> Any:
    if name in _WORDS:
        if value not in _WORDS[name]:
            raise ValueError(f"{name} must be one of {', '.join(_WORDS[name])}")
        return value
    if name in _OTHERS:
        return _OTHERS[name](value)
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false")
    return value


def _names(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) for one in value):
        raise ValueError("untyped must be a list of relationships, such as staff")
    return tuple(value)


def _limit(value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise ValueError("companies_limit must be a whole number; 0 for no limit")
    return value


def _routes(value: Any) -> dict[str, int]:
    if not isinstance(value, dict) or not all(status in _ROUTE_STATUSES for status in value.values()):
        raise ValueError("missing_routes must hold a status for each operation: 403, 404 or 405")
    return dict(value)


_OTHERS: dict[str, Callable[[Any], Any]] = {"untyped": _names, "companies_limit": _limit, "missing_routes": _routes}
