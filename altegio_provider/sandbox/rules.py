"""The API's rules for what is sent to it: complaints by field, in the API's form."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Any

from altegio_provider.sandbox.render import wall
from altegio_provider.sandbox.state import LARGEST

__all__ = ["Errors", "check_booking", "check_event", "check_move", "check_update"]

Errors = dict[str, list[str]]
Check = Callable[[Any], bool]

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_LOWER_COLOR = re.compile(r"#[0-9a-f]{6}")
_PLAIN_COLOR = re.compile(r"[0-9a-f]{6}")
_PLUS_PHONE = re.compile(r"\+[0-9]{9,15}")
_DIGIT_PHONE = re.compile(r"[0-9]{9,15}")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_AGREEMENTS = {"is_newsletter_allowed", "is_personal_data_processing_allowed"}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")


def _is_int(least: int, most: int = LARGEST) -> Check:
    return lambda value: isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _is_text(most: int | None = None) -> Check:
    return lambda value: isinstance(value, str) and (most is None or len(value) <= most)


def _or_null(check: Check) -> Check:
    return lambda value: value is None or check(value)


def _matches(pattern: re.Pattern[str]) -> Check:
    return lambda value: isinstance(value, str) and pattern.fullmatch(value) is not None


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_ids(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_int(1), value))


def _is_wall(value: Any) -> bool:
    try:
        return isinstance(value, str) and wall(value) is not None
    except ValueError:
        return False


def _is_birthday(value: Any) -> bool:
    try:
        return isinstance(value, str) and _DAY.fullmatch(value) is not None and bool(date.fromisoformat(value))
    except ValueError:
        return False


def check_event(body: Any, family: str, is_replacement: bool) -> Errors:
    """Check the body of a creation or a replacement of an event."""
    if not isinstance(body, dict):
        return {"body": ["must be an object"]}
    strict = family == "locations"
    errors: Errors = {}
    _require(errors, body, "staff_id", _is_int(1), "must be a whole number of 1 or more")
    _require(errors, body, "service_id", _is_int(1), "must be a whole number of 1 or more")
    _require(errors, body, "resource_instance_ids", _is_ids, "must be an array of whole numbers")
    _require(errors, body, "label_ids", _is_ids, "must be an array of whole numbers")
    _require(errors, body, "date", _is_wall, "must be written as YYYY-MM-DD HH:MM:SS")
    most = 86_400 if strict else 31_536_000  # no class goes on for more than a year
    _require(errors, body, "length", _is_int(1, most), f"must be seconds above 0, and {most} at the most")
    _require(errors, body, "capacity", _is_int(1), "must be a whole number of 1 or more")
    if strict and "length" not in errors and body["length"] % 300:
        errors["length"] = ["must be a multiple of 300"]
    pause = body.get("technical_break_duration")
    if pause is not None and not (_is_int(0, 3600)(pause) and pause % 300 == 0):
        errors["technical_break_duration"] = ["must be null or a multiple of 300, and 3600 at the most"]
    if pause and not errors.keys() & {"technical_break_duration", "length"} and pause > body["length"]:
        errors["technical_break_duration"] = ["is a part of the length and cannot be longer"]
    nullable = _or_null if is_replacement else (lambda check: check)
    _allow(errors, body, "comment", nullable(_is_text(255)), "must be text of 255 characters at the most")
    _allow(errors, body, "instructions", nullable(_is_text(500)), "must be text of 500 characters at the most")
    _allow(errors, body, "stream_link", nullable(_is_text()), "must be text")
    color = _matches(_LOWER_COLOR if strict else _COLOR)
    _allow(errors, body, "color", nullable(color), "must be written as #9c27b0")
    _allow(errors, body, "force", _is_bool, "must be true or false")
    return errors


def check_booking(body: Any, family: str) -> Errors:
    """Check the body of a booking."""
    if not isinstance(body, dict):
        return {"body": ["must be an object"]}
    strict = family == "locations"
    errors: Errors = {}
    _require(errors, body, "clients_count", _is_int(1), "must be a whole number of 1 or more")
    client = body.get("client")
    if not isinstance(client, dict):
        errors["client"] = ["is required and must be an object"]
        return errors
    (_check_strict_client if strict else _check_client)(errors, client)
    if strict:
        _refuse_unknown(errors, body, {"client", "clients_count", "client_id", "comer_id", "comer", "is_trial_service"})
        _allow(errors, body, "comer_id", _or_null(_is_int(0)), "must be a whole number or null")
        _allow(errors, body, "is_trial_service", _is_bool, "must be true or false")
    else:
        _allow(errors, body, "comer_id", _is_int(0), "must be a whole number")
        _allow(errors, body, "labels", _is_ids, "must be an array of whole numbers")
    _allow(errors, body, "client_id", _is_int(1), "must be a whole number of 1 or more")
    if "comer" in body:
        comer = body["comer"]
        if not (isinstance(comer, dict) and _is_text()(comer.get("name"))):
            errors["comer.name"] = ["must be text"]
    return errors


def _check_client(errors: Errors, client: dict[str, Any]) -> None:
    where = "client."
    _require(errors, client, "name", lambda value: _is_text()(value) and bool(value), "must be text", where)
    _require(errors, client, "phone", _matches(_PLUS_PHONE), "must be written as +13155550175", where)
    _require(errors, client, "email", lambda v: v == "" or _matches(_EMAIL)(v), "must be an e-mail", where)
    _require(errors, client, "surname", _is_text(), "must be text", where)
    _require(errors, client, "gender", _is_int(0, 2), "must be 0, 1 or 2", where)
    _allow(errors, client, "id", _or_null(_is_int(1)), "must be a whole number", where)
    _allow(errors, client, "patronymic", _or_null(_is_text()), "must be text", where)
    _allow(errors, client, "birthday", _or_null(_is_birthday), "must be written as YYYY-MM-DD", where)
    _allow(errors, client, "agreements", _or_null(_is_agreements_list), "must be an array of agreements", where)
    _allow(errors, client, "custom_field_values", _or_null(_is_fields), "must be an array of code and value", where)


def _check_strict_client(errors: Errors, client: dict[str, Any]) -> None:
    where = "client."
    _require(errors, client, "id", _or_null(_is_int(1)), "must be a whole number or null", where)
    _require(errors, client, "name", lambda value: _is_text()(value) and bool(value), "must be text", where)
    phone: Check = lambda value: value in (None, "") or _matches(_DIGIT_PHONE)(value)  # noqa: E731
    _require(errors, client, "phone", phone, "must be 9 to 15 digits, empty or null", where)
    _require(errors, client, "email", _or_null(lambda v: v == "" or _matches(_EMAIL)(v)), "must be an e-mail", where)
    _require(errors, client, "surname", _or_null(_is_text()), "must be text or null", where)
    _require(errors, client, "gender", _or_null(_is_int(0, 2)), "must be 0, 1, 2 or null", where)
    _require(errors, client, "patronymic", _or_null(_is_text()), "must be text or null", where)
    _require(errors, client, "birthday", _or_null(_is_birthday), "must be written as YYYY-MM-DD, or null", where)
    _require(errors, client, "agreements", _or_null(_is_agreements), "must be an object or null", where)
    _require(errors, client, "custom_field_values", _or_null(_is_fields), "must be an array or null", where)
    _allow(errors, client, "comment", _is_text(), "must be text", where)
    _allow(errors, client, "national_id", _is_text(), "must be text", where)
    _refuse_unknown(
        errors,
        client,
        {
            "id",
            "name",
            "phone",
            "email",
            "surname",
            "gender",
            "patronymic",
            "birthday",
            "agreements",
            "custom_field_values",
            "comment",
            "national_id",
        },
        where,
    )


def _is_agreements(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == _AGREEMENTS and all(map(_is_bool, value.values()))


def _is_agreements_list(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_agreements, value))


def _is_fields(value: Any) -> bool:
    return _is_objects(value) and all(isinstance(one.get("code"), str) and "value" in one for one in value)


def check_move(body: Any) -> Errors:
    """Check the body of a move of an appointment to another event."""
    if not isinstance(body, dict):
        return {"body": ["must be an object"]}
    errors: Errors = {}
    _require(errors, body, "reschedule_activity_id", _is_int(1), "must be a whole number of 1 or more")
    _allow(errors, body, "with_comer", _is_bool, "must be true or false")
    _allow(errors, body, "clients_count", _is_int(1), "must be a whole number of 1 or more")
    _refuse_unknown(errors, body, {"reschedule_activity_id", "with_comer", "clients_count"})
    return errors


def check_update(body: Any) -> Errors:
    """Check the body of a change of an appointment."""
    if not isinstance(body, dict):
        return {"body": ["must be an object"]}
    errors: Errors = {}
    item = body.get("attendance_service_item")
    if not isinstance(item, dict):
        errors["attendance_service_item"] = ["is required and must be an object"]
    else:
        where = "attendance_service_item."
        for name in ("cost_per_unit", "manual_cost"):
            _require(errors, item, name, _is_number, "must be a number", where)
        _require(errors, item, "discount_percent", lambda v: _is_number(v) and 0 <= v <= 100, "must be 0 to 100", where)
        _allow(errors, item, "is_trial", _is_bool, "must be true or false", where)
    _allow(errors, body, "comment", _is_text(255), "must be text of 255 characters at the most")
    _allow(errors, body, "label_ids", _is_ids, "must be an array of whole numbers")
    _allow(errors, body, "color", _matches(_PLAIN_COLOR), "must be written as 9c27b0")
    _allow(errors, body, "clients_count", _is_int(1), "must be a whole number of 1 or more")
    _allow(errors, body, "attendance_good_items", _is_objects, "must be an array of objects")
    return errors


def _is_objects(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(one, dict) for one in value)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _require(errors: Errors, body: dict[str, Any], name: str, check: Check, rule: str, where: str = "") -> None:
    if name not in body:
        errors[where + name] = ["is required"]
    elif not check(body[name]):
        errors[where + name] = [rule]


def _allow(errors: Errors, body: dict[str, Any], name: str, check: Check, rule: str, where: str = "") -> None:
    if name in body and not check(body[name]):
        errors[where + name] = [rule]


def _refuse_unknown(errors: Errors, body: dict[str, Any], known: set[str], where: str = "") -> None:
    for name in body.keys() - known:
        errors[where + str(name)] = ["this field was not expected"]
