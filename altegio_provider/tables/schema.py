"""The columns of activities, as data: one table, from which the Arrow schema and ``docs/schema.md`` both come.

The schema is the same for both families of routes. A column names the fields of the flat activity row that it is
read from, the most trusted first: a later one fills the column where the earlier ones are empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa

__all__ = ["ACTIVITY_COLUMNS", "ACTIVITY_SCHEMA", "Column", "as_markdown"]

_INT, _FLOAT, _TEXT, _FLAG = pa.int64(), pa.float64(), pa.string(), pa.bool_()
_INSTANT, _WALL_CLOCK = pa.timestamp("us", tz="UTC"), pa.timestamp("us")
_LABELS = pa.list_(
    pa.struct([("id", _INT), ("title", _TEXT), ("color", _TEXT), ("icon", _TEXT), ("font_color", _TEXT)])
)
_RESOURCES = pa.list_(pa.struct([("id", _INT), ("title", _TEXT), ("resource_id", _INT)]))

_SAME = "(same)"
_START, _START_THERE = "date, datetime, timestamp", "date, timestamp"
_LOCATION = "company_id, salon_id, staff.company_id"


@dataclass(frozen=True)
class Column:
    """One column: its name, what it holds and means, and where each family of routes has it.

    :param name: the column's name in Arrow, Parquet and pandas.
    :param type: its Arrow type.
    :param unit: what the value counts, or its notation; empty where there is nothing to say.
    :param companies: its fields under ``companies``, comma-separated, a dot leading into an object; empty where the
        provider itself makes the value, or the family has no such field.
    :param description: what it means, in a sentence.
    :param locations: its fields under ``locations``, where they are others.
    """

    name: str
    type: pa.DataType
    unit: str
    companies: str
    description: str
    locations: str = _SAME

    @property
    def fields(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The fields under ``companies`` and those under ``locations``."""
        texts = (self.companies, self.companies if self.locations == _SAME else self.locations)
        companies, locations = (tuple(field for field in text.split(", ") if field) for text in texts)
        return companies, locations

    @cached_property
    def paths(self) -> tuple[tuple[str, ...], ...]:
        """The fields of both families as paths into the flat row, each once, the most trusted first."""
        companies, locations = self.fields
        return tuple(tuple(field.split(".")) for field in dict.fromkeys(companies + locations))


ACTIVITY_COLUMNS: tuple[Column, ...] = (
    Column("location_id", _INT, "", _LOCATION, "The location that was asked.", "staff.company_id"),
    Column("id", _INT, "", "id", "The activity. With `location_id` the key; null where the API sent no number."),
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
    Column("timezone", _TEXT, "IANA name", "", "The location's time zone, as the connection or the task names it."),
    Column("length_seconds", _INT, "seconds", "length", "How long it takes, a technical break included."),
    Column("capacity", _INT, "seats", "capacity", "Seats in all."),
    Column("booked_seats", _INT, "seats", "clients_count", "Seats taken; null where the API counts records only."),
    Column("records_count", _INT, "records", "records_count", "Bookings, each of one seat or more.", ""),
    Column("staff_id", _INT, "", "staff_id, staff.id", "The team member.", "staff_id, master_id, staff.id"),
    Column("staff_name", _TEXT, "", "staff.name", "The team member's name."),
    Column("staff_specialization", _TEXT, "", "staff.specialization", "What they do."),
    Column("staff_position_id", _INT, "", "staff.position.id", "Their position."),
    Column("staff_position_title", _TEXT, "", "staff.position.title", "Its title."),
    Column("staff_rating", _FLOAT, "stars", "staff.rating", "Their rating."),
    Column("staff_avatar", _TEXT, "URL", "staff.avatar", "Their picture."),
    Column("service_id", _INT, "", "service_id, service.id", "The service."),
    Column("service_title", _TEXT, "", "service.title", "Its title."),
    Column("service_comment", _TEXT, "", "service.comment", "Its comment."),
    Column("service_image_url", _TEXT, "URL", "service.image_url", "Its picture."),
    Column("service_prepaid", _TEXT, "", "service.prepaid", "Whether it is paid ahead, such as `forbidden`."),
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
    Column("font_color", _TEXT, "`#rrggbb`", "font_color", "Its text's colour."),
    Column("instructions", _TEXT, "", "instructions", "What clients are told."),
    Column("stream_link", _TEXT, "URL", "stream_link", "Where it is streamed."),
    Column("notified", _FLAG, "", "notified", "Whether clients were notified."),
    Column("comment", _TEXT, "", "comment", "The staff's comment."),
    Column("prepaid", _TEXT, "", "prepaid", "Whether the activity is paid ahead, such as `forbidden`.", ""),
    Column("created_at", _INSTANT, "UTC", "created_at", "When it was created.", ""),
    Column("schedule_id", _INT, "", "schedule_id", "The repetition that it belongs to."),
    Column("schedule_till", _WALL_CLOCK, "wall clock", "schedule_till", "When the repetition ends."),
    Column("schedule_event_modified", _FLAG, "", "schedule_event_modified", "Whether it departs from the repetition."),
    Column("labels", _LABELS, "", "labels", "Its tags, in the API's order."),
    Column("resource_instances", _RESOURCES, "", "resource_instances", "Rooms and devices, in the API's order."),
    Column("is_deleted", _FLAG, "", "is_deleted, deleted", "Whether it is known to be deleted; else false."),
    Column("extra", _TEXT, "JSON", "", "What is in no other column, each value at the place where it came; else null."),
    Column("extracted_at", _INSTANT, "UTC", "", "When the run that read the row began to read."),
)

#: The schema of every batch and file of activities.
ACTIVITY_SCHEMA: pa.Schema = pa.schema([(column.name, column.type) for column in ACTIVITY_COLUMNS])


def as_markdown(columns: tuple[Column, ...] = ACTIVITY_COLUMNS) -> str:
    """Return the columns as the table that stands in ``docs/schema.md``."""
    lines = [
        "| column | type | unit | `companies` | `locations` | what it is |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for column in columns:
        companies, locations = (", ".join(f"`{field}`" for field in fields) or "-" for fields in column.fields)
        cells = (f"`{column.name}`", _type_text(column.type), column.unit or "-", companies, locations)
        lines.append(f"| {' | '.join(cells)} | {column.description} |")
    return "\n".join(lines)


def _type_text(kind: pa.DataType) -> str:
    if pa.types.is_list(kind):
        item = kind.value_type
        members = (f"{item.field(number).name} {item.field(number).type}" for number in range(item.num_fields))
        return f"list of struct({', '.join(members)})"
    return str(kind)
