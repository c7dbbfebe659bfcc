"""The API's rules for new and replaced events and for bookings, as complaints by field."""

from __future__ import annotations

import re
from typing import Any

from altegio_provider.sandbox.rules.checks import (
    Check,
    Errors,
    allow,
    is_bool,
    is_day,
    is_ids,
    is_int,
    is_objects,
    is_text,
    is_wall,
    matches,
    or_null,
    refuse_unknown,
    require,
)

__all__ = ["DIGIT_PHONE", "check_booking", "check_event"]

_COLOR = re.compile(r"#[0-9a-fA-F]{6}")
_LOWER_COLOR = re.compile(r"#[0-9a-f]{6}")
_PLUS_PHONE = re.compile(r"\+[0-9]{9,15}")
#: A phone as `locations` writes it.
DIGIT_PHONE = re.compile(r"[0-9]{9,15}")
_AGREEMENTS = {"is_newsletter_allowed", "is_personal_data_processing_allowed"}
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_CLIENT_KEYS = (
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
)


def check_event(body: Any, family: str, is_replacement: bool, takes_empty_texts: bool) -> Errors:
    """Check the body of a creation or a replacement of an event."""
    if not isinstance(body, dict):
        return {"body": ["must be an object"]}
    strict = family == "locations"
    errors: Errors = {}
    require(errors, body, "staff_id", is_int(1), "must be a whole number of 1 or more")
    require(errors, body, "service_id", is_int(1), "must be a whole number of 1 or more")
    require(errors, body, "resource_instance_ids", is_ids, "must be an array of whole numbers")
    require(errors, body, "label_ids", is_ids, "must be an array of whole numbers")
    require(errors, body, "date", is_wall, "must be written as YYYY-MM-DD HH:MM:SS")
    most = 86_400 if strict else 31_536_000  # no class goes on for more than a year
    require(errors, body, "length", is_int(1, most), f"must be seconds above 0, and {most} at the most")
    require(errors, body, "capacity", is_int(1), "must be a whole number of 1 or more")
    if strict and "length" not in errors and body["length"] % 300:
        errors["length"] = ["must be a multiple of 300"]
    pause = body.get("technical_break_duration")
    if pause is not None and not (is_int(0, 3600)(pause) and pause % 300 == 0):
        errors["technical_break_duration"] = ["must be null or a multiple of 300, and 3600 at the most"]
    if pause and not errors.keys() & {"technical_break_duration", "length"} and pause > body["length"]:
        errors["technical_break_duration"] = ["is a part of the length and cannot be longer"]
    nullable = or_null if is_replacement else (lambda check: check)
    least = 0 if takes_empty_texts else 1
    allow(errors, body, "comment", nullable(is_text(255, least)), "must be text of 1 to 255 characters")
    allow(errors, body, "instructions", nullable(is_text(500, least)), "must be text of 1 to 500 characters")
    allow(errors, body, "stream_link", nullable(is_text(None, least)), "must be text that is not empty")
    color = matches(_LOWER_COLOR if strict else _COLOR)
    allow(errors, body, "color", nullable(color), "must be written as #9c27b0")
    allow(errors, body, "force", is_bool, "must be true or false")
    return errors


def check_booking(body: Any, family: str) -> Errors:
    """Check the body of a booking."""
    if not isinstance(body, dict):
        return {"body": ["must be an object"]}
    strict = family == "locations"
    errors: Errors = {}
    require(errors, body, "clients_count", is_int(1), "must be a whole number of 1 or more")
    client = body.get("client")
    if not isinstance(client, dict):
        errors["client"] = ["is required and must be an object"]
        return errors
    (_check_strict_client if strict else _check_client)(errors, client)
    if strict:
        refuse_unknown(errors, body, {"client", "clients_count", "client_id", "comer_id", "comer", "is_trial_service"})
        allow(errors, body, "comer_id", or_null(is_int(0)), "must be a whole number or null")
        allow(errors, body, "is_trial_service", is_bool, "must be true or false")
    else:
        allow(errors, body, "comer_id", is_int(0), "must be a whole number")
        allow(errors, body, "labels", is_ids, "must be an array of whole numbers")
    allow(errors, body, "client_id", is_int(1), "must be a whole number of 1 or more")
    if "comer" in body:
        comer = body["comer"]
        if not (isinstance(comer, dict) and is_text()(comer.get("name"))):
            errors["comer.name"] = ["must be text"]
    return errors


def _check_client(errors: Errors, client: dict[str, Any]) -> None:
    where = "client."
    require(errors, client, "name", is_text(None, 1), "must be text", where)
    require(errors, client, "phone", matches(_PLUS_PHONE), "must be written as +13155550175", where)
    require(errors, client, "email", lambda v: v == "" or matches(_EMAIL)(v), "must be an e-mail", where)
    require(errors, client, "surname", is_text(), "must be text", where)
    require(errors, client, "gender", is_int(0, 2), "must be 0, 1 or 2", where)
    allow(errors, client, "id", or_null(is_int(1)), "must be a whole number", where)
    allow(errors, client, "patronymic", or_null(is_text()), "must be text", where)
    allow(errors, client, "birthday", or_null(is_day), "must be written as YYYY-MM-DD", where)
    allow(errors, client, "agreements", or_null(_is_agreements_list), "must be an array of agreements", where)
    allow(errors, client, "custom_field_values", or_null(_is_fields), "must be an array of code and value", where)


def _check_strict_client(errors: Errors, client: dict[str, Any]) -> None:
    where = "client."
    require(errors, client, "id", or_null(is_int(1)), "must be a whole number or null", where)
    require(errors, client, "name", is_text(None, 1), "must be text", where)
    phone: Check = lambda value: value in (None, "") or matches(DIGIT_PHONE)(value)  # noqa: E731
    require(errors, client, "phone", phone, "must be 9 to 15 digits, empty or null", where)
    require(errors, client, "email", or_null(lambda v: v == "" or matches(_EMAIL)(v)), "must be an e-mail", where)
    require(errors, client, "surname", or_null(is_text()), "must be text or null", where)
    require(errors, client, "gender", or_null(is_int(0, 2)), "must be 0, 1, 2 or null", where)
    require(errors, client, "patronymic", or_null(is_text()), "must be text or null", where)
    require(errors, client, "birthday", or_null(is_day), "must be written as YYYY-MM-DD, or null", where)
    require(errors, client, "agreements", or_null(_is_agreements), "must be an object or null", where)
    require(errors, client, "custom_field_values", or_null(_is_fields), "must be an array or null", where)
    allow(errors, client, "comment", is_text(), "must be text", where)
    allow(errors, client, "national_id", is_text(), "must be text", where)
    refuse_unknown(errors, client, _CLIENT_KEYS, where)


def _is_agreements(value: Any) -> bool:
    return isinstance(value, dict) and value.keys() == _AGREEMENTS and all(map(is_bool, value.values()))


def _is_agreements_list(value: Any) -> bool:
    return isinstance(value, list) and all(map(_is_agreements, value))


def _is_fields(value: Any) -> bool:
    return is_objects(value) and all(isinstance(one.get("code"), str) and "value" in one for one in value)
