"""Checks the body of a booking, a change or a move, and converts it to the form of either route family.

Callers give one form: the API's field names, phone numbers in E.164 with ``+``, and ``agreements`` as one mapping. Two
tables describe what each family takes. All problems are reported at once, before anything is sent.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from datetime import date
from typing import Any, NamedTuple

from altegio_provider.api.bodies.fields import (
    REQUIRED,
    Field,
    FieldErrors,
    FieldRule,
    FieldTable,
    is_date,
    is_flag,
    is_ids,
    is_integer,
    is_json,
    is_mapping,
    is_none,
    is_number,
    is_text,
    matches,
    wire_form,
)
from altegio_provider.api.errors import AltegioValidationError

__all__ = [
    "BULK_CLIENT",
    "BULK_ROW",
    "CHANGE_INCLUDES",
    "change_body",
    "checked_appointment",
    "checked_change",
    "checked_reschedule",
]

_PHONE = re.compile(r"\+[0-9]{9,15}")
_EMAIL = re.compile(r"[^@\s]+@[^@\s]+\.[^@\s]+")
_COLOR = re.compile(r"#?[0-9a-fA-F]{6}")
_AGREEMENTS = {"is_newsletter_allowed", "is_personal_data_processing_allowed"}


def _name(value: Any) -> bool:
    return is_text(value) and bool(value.strip())


def _short_text(value: Any) -> bool:
    return is_text(value) and len(value) <= 255


def _agreements(value: Any) -> bool:
    return is_mapping(value) and value.keys() == _AGREEMENTS and all(map(is_flag, value.values()))


def _custom_fields(value: Any) -> bool:
    return _objects(value) and all(one.keys() == {"code", "value"} and _name(one["code"]) for one in value)


def _objects(value: Any) -> bool:
    return isinstance(value, list | tuple) and all(isinstance(one, dict) and is_json(one) for one in value)


_ID = FieldRule("an id: a whole number of 1 or more", is_integer(1))
_VISITOR = FieldRule("a visitor's id: a whole number, 0 for none", is_integer(0))
_SEATS = FieldRule("seats: a whole number of 1 or more", is_integer(1))
_NAME = FieldRule("text", _name)
_TEXT = FieldRule("text", is_text)
_COMMENT = FieldRule("text of at most 255 characters", _short_text)
_PHONE_NUMBER = FieldRule("+ and 9 to 15 digits, such as '+13155550175' under either family of routes", matches(_PHONE))
_E_MAIL = FieldRule("an e-mail address", matches(_EMAIL))
_GENDER = FieldRule("0 (unknown), 1 (male) or 2 (female)", is_integer(0, 2))
_BIRTHDAY = FieldRule("a date of the form YYYY-MM-DD", is_date)
_CONSENTS = FieldRule(f"a mapping of {' and '.join(sorted(_AGREEMENTS))}, each true or false", _agreements)
_OWN_FIELDS = FieldRule("a list of mappings with `code` and `value`", _custom_fields)
_FLAG = FieldRule("true or false", is_flag)
_TAGS = FieldRule("a list of ids", is_ids)
_PART = FieldRule("a mapping of fields", is_mapping)
_MONEY = FieldRule("a number, in the location's currency", is_number())
_PERCENT = FieldRule("a number from 0 to 100", is_number(0, 100))
_GOODS = FieldRule("a list of mappings", _objects)
_PLAIN_COLOR = FieldRule("a colour such as '9c27b0'", matches(_COLOR))


def _day_text(value: date | str) -> str:
    return value.isoformat()[:10] if isinstance(value, date) else value


def _as_objects(value: Any) -> list[dict[str, Any]]:
    return [dict(one) for one in value]


def _digits(value: str) -> str:
    return value.removeprefix("+")


def _as_list(value: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [dict(value)]


def _as_color(value: str) -> str:
    return value.removeprefix("#").lower()


class _Booking(NamedTuple):
    """The fields of a booking in one family, and those that only the other family takes, with that family's name."""

    fields: FieldTable
    client: FieldTable
    elsewhere: Mapping[str, str]


_COMER: FieldTable = {"name": Field(_NAME, REQUIRED)}
_COMMON: FieldTable = {
    "client": Field(_PART, REQUIRED),
    "clients_count": Field(_SEATS, REQUIRED),
    "client_id": Field(_ID),
    "comer_id": Field(_VISITOR),
    "comer": Field(_PART),
}

_COMPANIES = _Booking(
    fields={**_COMMON, "labels": Field(_TAGS, to_wire=list)},
    client={
        "name": Field(_NAME, REQUIRED),
        "phone": Field(_PHONE_NUMBER, REQUIRED),
        "email": Field(_E_MAIL, ""),
        "surname": Field(_TEXT, ""),
        "gender": Field(_GENDER, 0),
        "id": Field(_ID),
        "patronymic": Field(_TEXT),
        "birthday": Field(_BIRTHDAY, to_wire=_day_text),
        "agreements": Field(_CONSENTS, to_wire=_as_list),
        "custom_field_values": Field(_OWN_FIELDS, to_wire=_as_objects),
    },
    elsewhere=dict.fromkeys(("client.comment", "client.national_id", "is_trial_service"), "'locations'"),
)
_LOCATIONS = _Booking(
    fields={**_COMMON, "is_trial_service": Field(_FLAG)},
    client={
        "name": Field(_NAME, REQUIRED),
        "phone": Field(_PHONE_NUMBER, None, _digits),
        "email": Field(_E_MAIL, None),
        "surname": Field(_TEXT, None),
        "gender": Field(_GENDER, None),
        "id": Field(_ID, None),
        "patronymic": Field(_TEXT, None),
        "birthday": Field(_BIRTHDAY, None, _day_text),
        "agreements": Field(_CONSENTS, None, dict),
        "custom_field_values": Field(_OWN_FIELDS, None, _as_objects),
        "comment": Field(_TEXT),
        "national_id": Field(_TEXT),
    },
    elsewhere={"labels": "'companies'"},
)
#: What a bulk request can express of a booking and of its client.
BULK_ROW: FieldTable = {"client": Field(_PART, REQUIRED), "clients_count": Field(_SEATS, REQUIRED)}
BULK_CLIENT: FieldTable = {
    "id": Field(_ID),
    "name": Field(_NAME),
    "phone": Field(_PHONE_NUMBER, to_wire=_digits),
    "email": Field(_E_MAIL),
}
_PRICE: FieldTable = {
    "cost_per_unit": Field(_MONEY, REQUIRED),
    "discount_percent": Field(_PERCENT, REQUIRED),
    "manual_cost": Field(_MONEY, REQUIRED),
    "is_trial": Field(_FLAG),
}
#: The PUT of an appointment rewrites or drops these, so a change reads them first.
CHANGE_INCLUDES = ("labels", "attendance_service_items", "attendance_good_items")
#: What null clears.
_CLEARABLE = ("comment", "label_ids", "color")
_CHANGE: FieldTable = {
    "attendance_service_item": Field(_PART, REQUIRED),
    "comment": Field(_COMMENT),
    "label_ids": Field(_TAGS, to_wire=list),
    "color": Field(_PLAIN_COLOR, to_wire=_as_color),
    "clients_count": Field(_SEATS),
    "attendance_good_items": Field(_GOODS, to_wire=_as_objects),
}
_PART_OF_CHANGE: FieldTable = {**_CHANGE, "attendance_service_item": Field(_PART)}
_MOVE: FieldTable = {
    "reschedule_activity_id": Field(_ID, REQUIRED),
    "with_comer": Field(_FLAG, REQUIRED),
    "clients_count": Field(_SEATS),
}


def checked_appointment(appointment: Mapping[str, Any], *, is_strict: bool) -> dict[str, Any]:
    """Return the body to send for a booking.

    ``None`` and empty text count as not given. Fields that the family requires nevertheless are filled in: null under
    ``locations``, empty text and gender 0 under ``companies``.

    :param appointment: the fields: ``client`` (``name``, ``phone`` with ``+``, ``email``, ``surname``,
        ``gender`` 0 to 2, ``id``, ``patronymic``, ``birthday`` as a date or text, ``agreements`` as one mapping or a
        list of one, ``custom_field_values``; ``comment`` and ``national_id`` under ``locations``),
        ``clients_count``, ``client_id``, ``comer_id``, ``comer``; ``labels`` under ``companies``,
        ``is_trial_service`` under ``locations``. The phone is required under ``companies``.
    :param is_strict: whether to use the form of ``locations``: phone numbers without ``+``, all keys present.
    :raises AltegioValidationError: fields are invalid or cannot be sent; ``errors`` names each, as in
        ``client.phone``, and holds no value.
    """
    booking = _LOCATIONS if is_strict else _COMPANIES
    errors: FieldErrors = {}
    given = _mapping_or_error("appointment", appointment, "an appointment", errors)
    client = given.get("client")
    body = wire_form(given, booking.fields, errors)
    if is_mapping(client):
        body["client"] = wire_form(_with_one_consent(client), booking.client, errors, where="client.")
    if is_mapping(comer := given.get("comer")):
        body["comer"] = wire_form(comer, _COMER, errors, where="comer.")
    for name in errors.keys() & booking.elsewhere.keys():
        family = booking.elsewhere[name]
        errors[name] = [f"exists under route_family={family} only; leave it out, or use that family"]
    return _body_or_error(body, errors, "the booking")


def checked_change(changes: Mapping[str, Any], *, is_whole: bool = True) -> dict[str, Any]:
    """Return the body that changes an appointment.

    ``None`` clears ``comment``, ``label_ids`` and ``color``; for other fields it counts as not given.

    :param changes: ``attendance_service_item`` (``cost_per_unit``, ``discount_percent`` 0 to 100, ``manual_cost``,
        optional ``is_trial``), ``comment``, ``label_ids``, ``color``, ``clients_count``, ``attendance_good_items``.
    :param is_whole: whether the body is complete, so that it must have ``attendance_service_item``, which the API
        requires. Otherwise :func:`change_body` adds what is missing.
    :raises AltegioValidationError: fields are invalid; ``errors`` names each.
    """
    errors: FieldErrors = {}
    given = _mapping_or_error("changes", changes, "a change", errors)
    body = wire_form(given, _CHANGE if is_whole else _PART_OF_CHANGE, errors, is_blank=is_none)
    body.update({name: None for name in _CLEARABLE if name in given and given[name] is None})
    if not (body or errors):
        errors["changes"] = [f"must name a field to change; there are {', '.join(_CHANGE)}"]
    price = given.get("attendance_service_item")
    if is_mapping(price):
        body["attendance_service_item"] = wire_form(
            price, _PRICE, errors, where="attendance_service_item.", is_blank=is_none
        )
    return _body_or_error(body, errors, "the change")


def change_body(current: Mapping[str, Any], shown: Collection[str], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the body that changes an appointment and keeps the rest of it.

    :param current: the appointment, flat, with :data:`CHANGE_INCLUDES` joined.
    :param shown: which of :data:`CHANGE_INCLUDES` the server joined to any appointment of the same answer. The others
        are unknown, and not empty.
    :param changes: the fields to change, as :func:`checked_change` returned them.
    :raises AltegioValidationError: the appointment has goods, or does not show what the change must keep, and
        ``changes`` does not name it. Nothing was sent.
    """
    body, errors = dict(changes), FieldErrors()
    if "label_ids" not in changes:
        labels = _ids_of(current.get("labels") or []) if "labels" in shown else None
        if labels is None:
            errors["label_ids"] = ["are not shown in the answer; give them, otherwise the change drops them"]
        else:
            body["label_ids"] = labels
    if "attendance_service_item" not in changes:
        price = _price_of(current.get("attendance_service_items"))
        if price is None:
            errors["attendance_service_item"] = ["is not shown in the answer; give it, for the change rewrites it"]
        else:
            body["attendance_service_item"] = price
    if "attendance_good_items" not in changes:
        if "attendance_good_items" not in shown:
            errors["attendance_good_items"] = ["are not shown in the answer; give them ([] for none)"]
        elif goods := current.get("attendance_good_items"):
            errors["attendance_good_items"] = [
                f"must be given: the booking has {len(goods)}, and the change drops those that it does not list"
            ]
    return _body_or_error(body, errors, "the change")


def _ids_of(linked: Any) -> list[int] | None:
    """Return the ids of included resources; ``None`` if one of them cannot be read."""
    if not isinstance(linked, list):
        return None
    ids: list[Any] = [one.get("id") if is_mapping(one) else None for one in linked]
    return ids if is_ids(ids) else None


def _price_of(lines: Any) -> dict[str, Any] | None:
    """Return the price line of an appointment as a change sends it; ``None`` unless there is exactly one whole line."""
    if not isinstance(lines, list) or len(lines) != 1 or not is_mapping(lines[0]):
        return None
    line = lines[0]
    given = {
        "cost_per_unit": line.get("cost_per_unit"),
        "discount_percent": line.get("discount_percent", line.get("discount")),
        "manual_cost": line.get("manual_cost"),
        "is_trial": line.get("is_trial"),
    }
    errors: FieldErrors = {}
    price = wire_form(given, _PRICE, errors, is_blank=is_none)
    return None if errors else price


def checked_reschedule(to_event_id: int, *, with_comer: bool, clients_count: int | None) -> dict[str, Any]:
    """Return the body that moves an appointment to another event.

    :param to_event_id: the event to move it to.
    :param with_comer: whether the visitor who comes in the client's place moves too.
    :param clients_count: seats in the new event; ``None`` for as many as before.
    :raises AltegioValidationError: fields are invalid; ``errors`` names each.
    """
    errors: FieldErrors = {}
    given = {"reschedule_activity_id": to_event_id, "with_comer": with_comer, "clients_count": clients_count}
    body = wire_form(given, _MOVE, errors, is_blank=is_none)
    if "reschedule_activity_id" in errors:
        errors["to_event_id"] = errors.pop("reschedule_activity_id")
    return _body_or_error(body, errors, "the move")


def _with_one_consent(client: Mapping[str, Any]) -> Mapping[str, Any]:
    """Replace a list of one set of agreements, as ``companies`` writes it, by that set; an empty list by ``None``."""
    agreements = client.get("agreements")
    if isinstance(agreements, list | tuple) and len(agreements) <= 1:
        return {**client, "agreements": agreements[0] if agreements else None}
    return client


def _mapping_or_error(argument: str, given: Any, what: str, errors: FieldErrors) -> Mapping[str, Any]:
    if is_mapping(given):
        return given
    errors[argument] = [f"must be a mapping of the fields of {what}"]
    return {}


def _body_or_error(body: dict[str, Any], errors: FieldErrors, what: str) -> dict[str, Any]:
    if errors:
        raise AltegioValidationError(f"{what} cannot be sent.", errors=errors, hint="Nothing was sent.")
    return body
