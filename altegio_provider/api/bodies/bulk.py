"""The body and the response of a bulk booking: up to 50 clients of one event in one request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

from altegio_provider.api.bodies.appointment import BULK_CLIENT, BULK_ROW
from altegio_provider.api.bodies.fields import FieldErrors, is_mapping, is_none_or_empty, wire_form
from altegio_provider.api.errors import AltegioResponseError, AltegioValidationError
from altegio_provider.api.http.redaction import personal_values, redact
from altegio_provider.api.http.responses import invalid_response
from altegio_provider.api.rows import parse_page
from altegio_provider.api.types import Appointment
from altegio_provider.common.integers import integer_or_none

__all__ = ["MAX_BULK_ROWS", "BulkRefusal", "bulk_replies", "checked_bulk", "fits_bulk"]

#: The API takes no more bookings in one request.
MAX_BULK_ROWS = 50
_CREATED = 201


class BulkRefusal(NamedTuple):
    """A booking that the API refused; the other bookings of the request are not affected.

    :param reason: what the API said, redacted.
    """

    reason: str


def fits_bulk(appointment: Mapping[str, Any]) -> bool:
    """Return whether a bulk request can express a booking: name, phone, e-mail and seats, or a client's id.

    A booking with another field, such as ``surname`` or ``comer``, must be sent alone.

    :param appointment: the booking, in the form of ``AltegioClient.create_event_appointment``.
    """
    client = appointment.get("client")
    return (
        is_mapping(client)
        and not any(name not in BULK_ROW and not is_none_or_empty(value) for name, value in appointment.items())
        and not any(name not in BULK_CLIENT and not is_none_or_empty(value) for name, value in client.items())
    )


def checked_bulk(appointments: Sequence[Mapping[str, Any]], *, send_sms: bool) -> dict[str, Any]:
    """Return the body of a bulk booking.

    :param appointments: 1 to 50 bookings, in the form of ``AltegioClient.create_event_appointment``, that
        :func:`fits_bulk` accepts.
    :param send_sms: whether the API sends a message to each client now.
    :raises AltegioValidationError: there are none or too many, or fields are invalid; ``errors`` names each.
    """
    errors: FieldErrors = {}
    if isinstance(appointments, str | Mapping) or not 1 <= len(appointments) <= MAX_BULK_ROWS:
        errors["appointments"] = [f"must be a list of 1 to {MAX_BULK_ROWS} bookings"]
        appointments = ()
    records = [
        _record(one, f"appointments.{place}.", errors, send_sms=send_sms) for place, one in enumerate(appointments)
    ]
    if errors:
        raise AltegioValidationError("the bookings cannot be sent.", errors=errors, hint="Nothing was sent.")
    return {"records": records}


def _record(appointment: Any, where: str, errors: FieldErrors, *, send_sms: bool) -> dict[str, Any]:
    if not is_mapping(appointment):
        errors[where.rstrip(".")] = ["must be a mapping of the fields of an appointment"]
        return {}
    record = wire_form(appointment, BULK_ROW, errors, where=where)
    record.pop("client", None)
    client = appointment.get("client")
    if is_mapping(client):
        fields = wire_form(client, BULK_CLIENT, errors, where=f"{where}client.")
        if "id" in fields:
            fields["client_id"] = fields.pop("id")
        elif "name" not in fields and f"{where}client.name" not in errors:
            errors[f"{where}client.name"] = ["is required: text, or give the client's id"]
        record = {**fields, **record}
    # Without it the server decides.
    record["send_sms_now"] = int(send_sms)
    return record


def bulk_replies(document: Any, path: str, body: Mapping[str, Any]) -> list[Appointment | BulkRefusal]:
    """Return the reply to each booking of a bulk request, in the order of the request.

    :param document: the response.
    :param path: the request's path.
    :param body: the request's body.
    :raises AltegioResponseOutcomeUnknownError: the response does not account for every booking, or its bookings are not
        those of the request in its order. Any of them may have been made.
    """
    records = body["records"]
    refused = _refused(document, path, body)
    try:
        created = parse_page(document, path).rows
    except AltegioResponseError:
        created = None
    if created is None:
        raise invalid_response("POST", path, _CREATED, "`data` is not a list of objects")
    if len(created) + len(refused) != len(records):
        told = f"it accounts for {len(created) + len(refused)} of {len(records)} bookings"
        raise invalid_response("POST", path, _CREATED, told)
    replies: list[Appointment | BulkRefusal] = []
    ids: set[int] = set()
    left = iter(created)
    for place, record in enumerate(records):
        if place in refused:
            replies.append(refused[place])
            continue
        row = next(left)
        number = row.get("id")
        if not isinstance(number, int) or number < 1 or number in ids:
            raise invalid_response("POST", path, _CREATED, "a booking in it has no id of its own")
        if not _could_be(record, row):
            raise invalid_response("POST", path, _CREATED, "its bookings are not those of the request in its order")
        ids.add(number)
        replies.append(cast("Appointment", row))
    return replies


def _refused(document: Any, path: str, body: Mapping[str, Any]) -> dict[int, BulkRefusal]:
    meta = document.get("meta") if isinstance(document, dict) else None
    errors = meta.get("errors") if isinstance(meta, dict) else None
    if not errors:
        return {}
    secrets = personal_values(body)
    refused: dict[int, BulkRefusal] = {}
    for error in errors if isinstance(errors, list) else [errors]:
        index = error.get("index") if isinstance(error, dict) else None
        place = index if type(index) is int else integer_or_none(index)
        if place is None or not 0 <= place < len(body["records"]) or place in refused:
            raise invalid_response("POST", path, _CREATED, "it does not say which bookings were refused")
        said = error.get("error")
        refused[place] = BulkRefusal(redact(str(said), secrets) if said else "refused without a reason")
    return refused


def _could_be(record: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    """Return whether a booking of the response is the one of the request, as far as it shows."""
    seats, client_id = row.get("clients_count"), row.get("client_id")
    if isinstance(seats, int) and seats != record["clients_count"]:
        return False
    return not (client_id and "client_id" in record and client_id != record["client_id"])
