"""What a request asks for beside its rows: ``include[]``, and the bare ``include`` that servers take differently."""

from __future__ import annotations

from altegio_provider.sandbox.forms.answers import INVALID, Refusal
from altegio_provider.sandbox.settings import Call

__all__ = ["APPOINTMENT_INCLUDES", "EVENT_INCLUDES", "included_names"]

EVENT_INCLUDES = frozenset({"staff", "service", "resource_instances", "labels", "duration_details", "master"})
APPOINTMENT_INCLUDES = frozenset(
    {
        "acceptance_free",
        "attendance_document",
        "attendance_good_items",
        "attendance_service_items",
        "client",
        "client.custom_field_values",
        "client_notification_settings",
        "client_schedule",
        "comer",
        "custom_field_values",
        "duration_details",
        "fast_payment_settings",
        "goods",
        "labels",
        "resource_instances",
        "services",
        "staff",
        "transactions",
    }
)


def included_names(call: Call, known: frozenset[str]) -> tuple[str, ...]:
    """Return the relationships that were asked for, as far as this server takes the form.

    :param known: the ones that the route has.
    :raises Refusal: 422 for a form that is refused, and for a name that is not known.
    """
    switches = call.switches
    bare = call.values("include")
    names = _taken("include", bare[-1:] if switches.bare_include == "last" else bare, switches.bare_include)
    names += _taken("include[]", call.values("include[]"), switches.bracket_include)
    unknown = set(names) - known
    if unknown:
        raise Refusal(422, INVALID, {"include": [f"{', '.join(sorted(unknown))} cannot be included"]})
    return tuple(dict.fromkeys(names))


def _taken(key: str, values: list[str], form: str) -> list[str]:
    if values and form == "refused":
        raise Refusal(422, INVALID, {key: ["this parameter was not expected"]})
    return [] if form == "ignored" else values
