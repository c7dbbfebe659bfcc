"""The columns of the tables ``activities`` and ``appointments``, as data.

The Arrow schemas and the tables in ``docs/schema.md`` are both made from this module. A schema is the same for both
route families. A column names the fields of the flat row that it is read from, the most trusted first: a further
field fills the column where the fields before it are empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

__all__ = [
    "ACTIVITY_COLUMNS",
    "ACTIVITY_SCHEMA",
    "APPOINTMENT_COLUMNS",
    "APPOINTMENT_SCHEMA",
    "Column",
    "as_markdown",
]

_INT, _FLOAT, _TEXT, _FLAG = pa.int64(), pa.float64(), pa.string(), pa.bool_()
_INSTANT, _WALL_CLOCK = pa.timestamp("us", tz="UTC"), pa.timestamp("us")
_LABELS = pa.list_(
    pa.struct([("id", _INT), ("title", _TEXT), ("color", _TEXT), ("icon", _TEXT), ("font_color", _TEXT)])
)
_SERVICES = pa.list_(
    pa.struct(
        [("id", _INT), ("title", _TEXT)]
        + [(name, _FLOAT) for name in ("cost", "first_cost", "manual_cost", "discount")]
        + [("amount", _INT)]
    )
)
_RESOURCES = pa.list_(pa.struct([("id", _INT), ("title", _TEXT), ("resource_id", _INT)]))

_SAME = "(same)"
_START, _START_THERE = "date, datetime, timestamp", "date, timestamp"
_LOCATION = "company_id, salon_id, staff.company_id"


@dataclass(frozen=True)
class Column:
    """One column: its name, type and meaning, and the fields that it is read from.

    :param name: the column's name in Arrow, Parquet and pandas.
    :param type: its Arrow type.
    :param unit: the value's unit or notation; empty if it has none.
    :param companies: its fields under ``companies``, comma-separated, with a dot before a key of an object; empty if
        the provider makes the value itself, or the route family has no such field.
    :param description: what it means, in one sentence.
    :param locations: its fields under ``locations``, if they differ.
    :param personal: whether it can identify a client or visitor. Such a column is filled only on demand.
    :param zero_is_none: whether the API writes 0 for "none".
    """

    name: str
    type: pa.DataType
    unit: str
    companies: str
    description: str
    locations: str = _SAME
    personal: bool = False
    zero_is_none: bool = False

    @property
    def fields(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The fields under ``companies`` and those under ``locations``."""
        texts = (self.companies, self.companies if self.locations == _SAME else self.locations)
        companies, locations = (tuple(field for field in text.split(", ") if field) for text in texts)
        return companies, locations

    @cached_property
    def paths(self) -> tuple[tuple[str, ...], ...]:
        """The fields of both route families as paths into the flat row, without repetition, the most trusted first."""
        companies, locations = self.fields
        return tuple(tuple(field.split(".")) for field in dict.fromkeys(companies + locations))


_STAFF = (
    Column("staff_name", _TEXT, "", "staff.name", "The team member's name."),
    Column("staff_specialization", _TEXT, "", "staff.specialization", "Their specialization."),
    Column("staff_position_id", _INT, "", "staff.position.id", "Their position."),
    Column("staff_position_title", _TEXT, "", "staff.position.title", "Its title."),
    Column("staff_rating", _FLOAT, "stars", "staff.rating", "Their rating."),
    Column("staff_avatar", _TEXT, "URL", "staff.avatar", "Their picture."),
)
_DELETED = Column("is_deleted", _FLAG, "", "is_deleted, deleted", "Whether it is known to be deleted; false otherwise.")
_EXTRACTED = Column("extracted_at", _INSTANT, "UTC", "", "When the run that read the row started to read.")
_TIMEZONE = Column(
    "timezone", _TEXT, "IANA name", "", "The location's time zone, as set in the connection or the task."
)

ACTIVITY_COLUMNS: tuple[Column, ...] = (
    Column("location_id", _INT, "", _LOCATION, "The location that was read.", "staff.company_id"),
    Column("id", _INT, "", "id", "The activity. The key, together with `location_id`; null if the API sent no number."),
    Column("name", _TEXT, "", "name", "Its name.", ""),
    Column("description", _TEXT, "", "description", "Its description.", ""),
    Column(
        "starts_at",
        _INSTANT,
        "UTC",
        _START,
        "When it starts: `timestamp` where it agrees with the naive `date` in the location's zone, else that date.",
        _START_THERE,
    ),
    Column(
        "starts_at_local", _WALL_CLOCK, "wall clock", _START, "The same on the location's clock.", "date, timestamp"
    ),
    _TIMEZONE,
    Column("length_seconds", _INT, "seconds", "length", "Its length, including a technical break."),
    Column("capacity", _INT, "seats", "capacity", "All seats."),
    Column("booked_seats", _INT, "seats", "clients_count", "Seats taken; null if the API counts bookings only."),
    Column("records_count", _INT, "records", "records_count", "Bookings, each of one seat or more.", ""),
    Column("staff_id", _INT, "", "staff_id, staff.id", "The team member.", "staff_id, master_id, staff.id"),
    *_STAFF,
    Column("service_id", _INT, "", "service_id, service.id", "The service."),
    Column("service_title", _TEXT, "", "service.title", "Its title."),
    Column("service_comment", _TEXT, "", "service.comment", "Its comment."),
    Column("service_image_url", _TEXT, "URL", "service.image_url", "Its picture."),
    Column("service_prepaid", _TEXT, "", "service.prepaid", "Whether it can be prepaid, such as `forbidden`."),
    Column(
        "service_category_id",
        _INT,
        "",
        "service.category_id, service.category.id, service.category.category_id",
        "The service's category.",
    ),
    Column("service_category_title", _TEXT, "", "service.category.title", "Its title."),
    Column("price_min", _FLOAT, "currency of the location", "service.price_min", "The service's lowest price."),
    Column("price_max", _FLOAT, "currency of the location", "service.price_max", "The service's highest price."),
    Column("color", _TEXT, "`#rrggbb`", "color", "The activity's colour."),
    Column("font_color", _TEXT, "`#rrggbb`", "font_color", "The colour of its text."),
    Column("instructions", _TEXT, "", "instructions", "Instructions for clients."),
    Column("stream_link", _TEXT, "URL", "stream_link", "The link to its stream."),
    Column("notified", _FLAG, "", "notified", "Whether clients were notified."),
    Column("comment", _TEXT, "", "comment", "The staff's comment."),
    Column("prepaid", _TEXT, "", "prepaid", "Whether the activity can be prepaid, such as `forbidden`.", ""),
    Column("created_at", _INSTANT, "UTC", "created_at", "When it was created.", ""),
    Column("schedule_id", _INT, "", "schedule_id", "The repetition that it belongs to."),
    Column("schedule_till", _WALL_CLOCK, "wall clock", "schedule_till", "When the repetition ends."),
    Column("schedule_event_modified", _FLAG, "", "schedule_event_modified", "Whether it differs from the repetition."),
    Column("labels", _LABELS, "", "labels", "Its tags, in the API's order."),
    Column("resource_instances", _RESOURCES, "", "resource_instances", "Rooms and devices, in the API's order."),
    _DELETED,
    Column("extra", _TEXT, "JSON", "", "Values that no other column holds, under their paths in the row; else null."),
    _EXTRACTED,
)

APPOINTMENT_COLUMNS: tuple[Column, ...] = (
    Column("location_id", _INT, "", "company_id, staff.company_id", "The location that was read."),
    Column(
        "id", _INT, "", "id", "The appointment. The key, together with `location_id`; null if the API sent no number."
    ),
    Column("activity_id", _INT, "", "activity_id", "Its activity; null if it has none.", zero_is_none=True),
    Column(
        "starts_at",
        _INSTANT,
        "UTC",
        _START,
        "When it starts: `timestamp` where it agrees with the naive `date` in the location's zone, else that date.",
    ),
    Column("starts_at_local", _WALL_CLOCK, "wall clock", _START, "The same on the location's clock."),
    _TIMEZONE,
    Column("length_seconds", _INT, "seconds", "length", "Its length."),
    Column("duration_seconds", _INT, "seconds", "duration", "Its length, from the API's field `duration`."),
    Column("clients_count", _INT, "seats", "clients_count", "Seats that it takes."),
    Column(
        "attendance",
        _INT,
        "",
        "attendance, attendance_status",
        "-1 absent, 0 waiting, 1 attended, 2 confirmed.",
    ),
    Column("attendance_slug", _TEXT, "", "attendance_status_slug", "The same as a word, such as `absent`."),
    Column("client_id", _INT, "", "client_id, client.id", "The client; null if not known.", zero_is_none=True),
    Column(
        "client_phone_hash",
        _TEXT,
        "hex",
        "client.phone, client_fictive_phone",
        "Keyed hash of the client's phone; null without a key, or if the phone is masked or missing.",
    ),
    Column(
        "client_email_hash",
        _TEXT,
        "hex",
        "client.email, client_fictive_email",
        "Keyed hash of the client's e-mail address; null in the same cases.",
    ),
    Column("client_name", _TEXT, "", "client.name", "The client's name.", personal=True),
    Column("client_surname", _TEXT, "", "client.surname", "Their surname.", personal=True),
    Column("client_patronymic", _TEXT, "", "client.patronymic", "Their patronymic.", personal=True),
    Column("client_phone", _TEXT, "", "client.phone", "Their phone, with `+` if it is complete.", personal=True),
    Column("client_email", _TEXT, "", "client.email", "Their e-mail address.", personal=True),
    Column("client_gender", _INT, "", "client.gender", "0 unknown, 1 male, 2 female.", personal=True),
    Column("client_birthday", _TEXT, "date", "client.birthday", "Their birthday.", personal=True),
    Column(
        "client_fictive_name",
        _TEXT,
        "",
        "client_fictive_name",
        "The name of a guest who is not a client.",
        personal=True,
    ),
    Column("client_fictive_phone", _TEXT, "", "client_fictive_phone", "That guest's phone.", personal=True),
    Column("client_fictive_email", _TEXT, "", "client_fictive_email", "That guest's e-mail address.", personal=True),
    Column(
        "comer_id", _INT, "", "comer_id, comer.id", "The visitor who comes in the client's place.", zero_is_none=True
    ),
    Column("comer_name", _TEXT, "", "comer.name", "Their name.", personal=True),
    Column("staff_id", _INT, "", "staff_id, master_id, staff.id", "The team member.", zero_is_none=True),
    *_STAFF,
    Column("services", _SERVICES, "", "services", "The services booked, in the API's order."),
    Column("labels", _LABELS, "", "labels", "Its tags, in the API's order."),
    Column("payment_status", _INT, "", "payment_status", "The payment's status, as the API gives it."),
    Column("paid_full", _INT, "", "paid_full", "How much of it is paid, as the API gives it: 0, 1 or 2."),
    Column("is_paid", _FLAG, "", "is_paid", "Whether it is paid."),
    Column("is_overpaid", _FLAG, "", "is_overpaid", "Whether more was paid than it costs."),
    Column("prepaid_status", _INT, "", "prepaid_status", "Whether it can be prepaid, as the API gives it."),
    Column("is_sale_bill_printed", _FLAG, "", "is_sale_bill_printed", "Whether its bill was printed."),
    Column("visit_id", _INT, "", "visit_id", "The visit that it is a part of.", zero_is_none=True),
    Column("booking_user_id", _INT, "", "booking_user_id", "The account that booked online.", zero_is_none=True),
    Column("bookform_id", _INT, "", "bookform_id", "The booking form that was used.", zero_is_none=True),
    Column(
        "is_mobile",
        _INT,
        "",
        "is_mobile",
        "Where it was booked: 0 by staff, 1 in a phone's browser, 2 in another browser.",
    ),
    Column("is_client_notification_sent", _FLAG, "", "is_client_notification_sent", "Whether the client was notified."),
    Column("source", _INT, "", "source", "The kind of application that booked it, as the API gives it."),
    Column("record_from", _TEXT, "", "record_from", "Its origin; free text.", personal=True),
    Column("from_url", _TEXT, "URL", "from_url", "The page that it was booked on, with its query.", personal=True),
    Column("external_id", _TEXT, "", "external_id", "Its id in another system; free text.", personal=True),
    Column("comment", _TEXT, "", "comment", "A comment; free text.", personal=True),
    Column("color", _TEXT, "`#rrggbb`", "custom_color", "Its colour."),
    Column("font_color", _TEXT, "`#rrggbb`", "custom_font_color", "The colour of its text."),
    Column("created_at", _INSTANT, "UTC", "created_datetime", "When it was booked."),
    _DELETED,
    Column(
        "extra",
        _TEXT,
        "JSON",
        "",
        "Values that no other column holds, under their paths in the row, if they cannot identify a person; else null.",
    ),
    _EXTRACTED,
)

#: The schema of every batch and file of activities.
ACTIVITY_SCHEMA: pa.Schema = pa.schema([(column.name, column.type) for column in ACTIVITY_COLUMNS])

#: The schema of every batch and file of appointments, with personal data or without.
APPOINTMENT_SCHEMA: pa.Schema = pa.schema([(column.name, column.type) for column in APPOINTMENT_COLUMNS])


def as_markdown(columns: tuple[Column, ...] = ACTIVITY_COLUMNS) -> str:
    """Return the columns as the Markdown table of ``docs/schema.md``.

    :param columns: the columns of one table.
    """
    families = ["field"] if all(column.locations == _SAME for column in columns) else ["`companies`", "`locations`"]
    has_people = any(column.personal for column in columns)
    heads = ["column", "type", "unit", *families, *(["personal"] if has_people else []), "what it is"]
    lines = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    for column in columns:
        fields = [", ".join(f"`{field}`" for field in fields) or "-" for fields in column.fields[: len(families)]]
        personal = ["yes" if column.personal else "-"] if has_people else []
        cells = [f"`{column.name}`", _type_text(column.type), column.unit or "-", *fields, *personal]
        lines.append(f"| {' | '.join(cells)} | {column.description} |")
    return "\n".join(lines)


def _type_text(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        item = kind.value_type
        members = (f"{item.field(number).name} {item.field(number).type}" for number in range(item.num_fields))
        return f"list of struct({', '.join(members)})"
    return str(kind)
