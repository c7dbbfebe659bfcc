"""The columns of the activities table: one table of data, from which the schema and ``docs/schema.md`` are made."""

from __future__ import annotations

from typing import NamedTuple

import pyarrow as pa

__all__ = ["ACTIVITY_COLUMNS", "ACTIVITY_SCHEMA", "Column", "as_markdown"]


class Column(NamedTuple):
    """One column.

    :param source: the field of the flat activity row that fills it, with a dot for nesting; empty for a column
        that is computed.
    :param locations: the source in the ``locations`` family as its answer has it, where it is another one.
    """

    name: str
    type: pa.DataType
    source: str
    description: str
    locations: str = ""


_UTC = pa.timestamp("us", tz="UTC")
_LABEL = pa.struct(
    [
        ("id", pa.int64()),
        ("title", pa.string()),
        ("color", pa.string()),
        ("icon", pa.string()),
        ("font_color", pa.string()),
    ]
)
_RESOURCE = pa.struct([("id", pa.int64()), ("title", pa.string()), ("resource_id", pa.int64())])

ACTIVITY_COLUMNS: tuple[Column, ...] = (
    Column(
        "location_id", pa.int64(), "", "The location that was asked; `company_id` goes to `extra` where it differs."
    ),
    Column("id", pa.int64(), "id", "The activity's number: with `location_id` the key.", "`id` (text there)"),
    Column("name", pa.string(), "name", "The activity's name.", "-"),
    Column("description", pa.string(), "description", "Its description.", "-"),
    Column("starts_at", _UTC, "", "When it starts (UTC): `timestamp` where it agrees with `date`, else `date`."),
    Column("starts_at_local", pa.timestamp("us"), "", "The same on the location's wall clock, without zone."),
    Column("timezone", pa.string(), "", "The location's IANA time zone, as the connection or the task names it."),
    Column("length_seconds", pa.int64(), "length", "How long it takes, in seconds."),
    Column("capacity", pa.int64(), "capacity", "Seats in all."),
    Column("booked_seats", pa.int64(), "clients_count", "Seats taken; null where the answer counts records only."),
    Column("records_count", pa.int64(), "records_count", "Records (bookings), each of one seat or more.", "-"),
    Column("staff_id", pa.int64(), "staff_id", "The team member."),
    Column("staff_name", pa.string(), "staff.name", "The team member's name.", "included `staff`"),
    Column("staff_specialization", pa.string(), "staff.specialization", "What they do.", "included `staff`"),
    Column("staff_position_id", pa.int64(), "staff.position.id", "Their position.", "included `staff`"),
    Column("staff_position_title", pa.string(), "staff.position.title", "Its title.", "included `staff`"),
    Column("staff_rating", pa.float64(), "staff.rating", "Their rating.", "included `staff`"),
    Column("staff_avatar", pa.string(), "staff.avatar", "URL of their picture.", "included `staff`"),
    Column("service_id", pa.int64(), "service_id", "The service."),
    Column("service_title", pa.string(), "service.title", "The service's title.", "included `service`"),
    Column("service_category_id", pa.int64(), "service.category_id", "The service's category.", "included `service`"),
    Column("service_category_title", pa.string(), "service.category.title", "Its title.", "included `service`"),
    Column("service_comment", pa.string(), "service.comment", "The service's comment.", "included `service`"),
    Column("service_image_url", pa.string(), "service.image_url", "URL of its picture.", "included `service`"),
    Column("service_prepaid", pa.string(), "service.prepaid", "Whether it is paid ahead.", "included `service`"),
    Column("price_min", pa.float64(), "service.price_min", "In the location's currency.", "included `service`"),
    Column("price_max", pa.float64(), "service.price_max", "In the location's currency.", "included `service`"),
    Column("color", pa.string(), "color", "The activity's colour, such as `#9c27b0`."),
    Column("font_color", pa.string(), "font_color", "Its text's colour."),
    Column("instructions", pa.string(), "instructions", "What clients are told."),
    Column("stream_link", pa.string(), "stream_link", "URL of the stream."),
    Column("notified", pa.bool_(), "notified", "Whether clients were notified."),
    Column("comment", pa.string(), "comment", "The staff's comment."),
    Column("prepaid", pa.string(), "prepaid", "Whether the activity is paid ahead.", "-"),
    Column("schedule_id", pa.int64(), "schedule_id", "The repetition that it belongs to."),
    Column("schedule_event_modified", pa.bool_(), "schedule_event_modified", "Whether it departs from it."),
    Column("created_at", pa.string(), "created_at", "When it was created, as the API writes it.", "-"),
    Column("labels", pa.list_(_LABEL), "labels", "Tags.", "included `labels`"),
    Column("resource_instances", pa.list_(_RESOURCE), "resource_instances", "Rooms and devices.", "included resources"),
    Column("date_text", pa.string(), "date", "The start as the API writes it, on the location's wall clock."),
    Column("datetime_text", pa.string(), "datetime", "The same with an offset, which can be wrong.", "-"),
    Column("timestamp_seconds", pa.int64(), "timestamp", "The start as the API counts it: Unix seconds."),
    Column("is_deleted", pa.bool_(), "", "Whether it was deleted."),
    Column("extra", pa.string(), "", "JSON: every field that has no column, and every value that did not fit its own."),
    Column("extracted_at", _UTC, "", "When this run began to read."),
)

ACTIVITY_SCHEMA = pa.schema([pa.field(column.name, column.type) for column in ACTIVITY_COLUMNS])


def as_markdown(columns: tuple[Column, ...] = ACTIVITY_COLUMNS) -> str:
    """Return the columns as the table that stands in ``docs/schema.md``."""
    lines = [
        "| column | type | source (`companies`) | source (`locations`) | what it is |",
        "| --- | --- | --- | --- | --- |",
    ]
    for column in columns:
        source = f"`{column.source}`" if column.source else "-"
        elsewhere = column.locations or source
        lines.append(f"| `{column.name}` | `{column.type}` | {source} | {elsewhere} | {column.description} |")
    return "\n".join(lines)
