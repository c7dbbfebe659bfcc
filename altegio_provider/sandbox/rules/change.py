"""The API's rules for the change and the move of an appointment, as complaints by field."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from altegio_provider.sandbox.rules.checks import (
    Check,
    Errors,
    allow,
    is_bool,
    is_ids,
    is_int,
    is_number,
    is_objects,
    is_text,
    matches,
    or_null,
    refuse_unknown,
    require,
)

__all__ = ["check_change", "check_move"]

_PLAIN_COLOR = re.compile(r"[0-9a-f]{6}")
_MOST_MONEY = 10**9


def _is_between(least: float, most: float) -> Callable[[Any], bool]:
    return lambda value: is_number(value) and least <= value <= most


_is_money = _is_between(0, _MOST_MONEY)
_is_percent = _is_between(0, 100)
#: The fields of a product in a booking: all are demanded.
_GOOD: dict[str, tuple[Check, str]] = {
    "id": (or_null(is_int(1)), "must be a whole number or null"),
    "good_id": (is_int(1), "must be a whole number"),
    "unit_id": (is_int(1), "must be a whole number"),
    "storage_id": (is_int(1), "must be a whole number"),
    "staff_id": (is_int(1), "must be a whole number"),
    "operation_unit_type": (lambda value: value in ("sale", "consumable"), "must be sale or consumable"),
    "number": (or_null(lambda value: is_text(32, 1)(value) or is_int(1)(value)), "must be 1 to 32 characters, or null"),
    "quantity": (_is_between(0.001, _MOST_MONEY), "must be a number from 0.001"),
    "cost_per_unit": (_is_money, "must be a number of 0 or more"),
    "manual_cost": (_is_money, "must be a number of 0 or more"),
    "discount_percent": (_is_percent, "must be 0 to 100"),
    "marks": (lambda value: isinstance(value, list), "must be an array"),
    "planned_activation_date": (or_null(is_text(None, 1)), "must be a date or null"),
}


def check_change(body: Any) -> Errors:
    """Check the body of a change of an appointment."""
    if not isinstance(body, dict):
        return {"body": ["must be an object"]}
    errors: Errors = {}
    item = body.get("attendance_service_item")
    if not isinstance(item, dict):
        errors["attendance_service_item"] = ["is required and must be an object"]
    else:
        where = "attendance_service_item."
        require(errors, item, "cost_per_unit", is_number, "must be a number", where)
        require(errors, item, "manual_cost", _is_money, f"must be a number from 0 to {_MOST_MONEY}", where)
        require(errors, item, "discount_percent", _is_percent, "must be 0 to 100", where)
        allow(errors, item, "is_trial", is_bool, "must be true or false", where)
    allow(errors, body, "comment", or_null(is_text(255)), "must be text of 255 characters at the most, or null")
    allow(errors, body, "label_ids", or_null(is_ids), "must be an array of whole numbers, or null")
    allow(errors, body, "color", or_null(matches(_PLAIN_COLOR)), "must be written as 9c27b0, or null")
    allow(errors, body, "clients_count", or_null(is_int(1)), "must be a whole number of 1 or more, or null")
    allow(errors, body, "attendance_good_items", is_objects, "must be an array of objects")
    if "attendance_good_items" not in errors:
        for place, good in enumerate(body.get("attendance_good_items", ())):
            for name, (check, rule) in _GOOD.items():
                require(errors, good, name, check, rule, f"attendance_good_items.{place}.")
    return errors


def check_move(body: Any) -> Errors:
    """Check the body of a move of an appointment to another event."""
    if not isinstance(body, dict):
        return {"body": ["must be an object"]}
    errors: Errors = {}
    require(errors, body, "reschedule_activity_id", is_int(1), "must be a whole number of 1 or more")
    allow(errors, body, "with_comer", is_bool, "must be true or false")
    allow(errors, body, "comment", or_null(is_text(255)), "must be text of 255 characters at the most, or null")
    allow(errors, body, "clients_count", or_null(is_int(1)), "must be a whole number of 1 or more, or null")
    refuse_unknown(errors, body, {"reschedule_activity_id", "with_comer", "comment", "clients_count"})
    return errors
