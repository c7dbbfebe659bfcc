from __future__ import annotations

import pyarrow as pa
import pytest

from altegio_provider.tables.schema import (
    ACTIVITY_COLUMNS,
    ACTIVITY_SCHEMA,
    APPOINTMENT_COLUMNS,
    APPOINTMENT_SCHEMA,
    as_markdown,
)


@pytest.mark.parametrize(
    ("heading", "columns"), [("Activities", ACTIVITY_COLUMNS), ("Appointments", APPOINTMENT_COLUMNS)]
)
def test_the_document_has_the_tables_as_the_data_have_them(repository, heading, columns):
    document = (repository / "docs" / "schema.md").read_text()
    section = document.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    table = "".join(line for line in section.splitlines(keepends=True) if line.startswith("|"))
    assert table.strip() == as_markdown(columns), f"docs/schema.md: put the output of as_markdown({heading}) into it"


def test_the_two_tables_share_names_only_for_the_same_type():
    shared = set(ACTIVITY_SCHEMA.names) & set(APPOINTMENT_SCHEMA.names)
    assert {"location_id", "id", "starts_at", "length_seconds", "staff_name", "extra"} <= shared
    assert all(ACTIVITY_SCHEMA.field(name) == APPOINTMENT_SCHEMA.field(name) for name in shared)


def test_names_and_fields_are_each_used_once():
    assert len(set(APPOINTMENT_SCHEMA.names)) == len(APPOINTMENT_COLUMNS)
    assert len(set(ACTIVITY_SCHEMA.names)) == len(ACTIVITY_COLUMNS)
    starts = [column for column in ACTIVITY_COLUMNS if column.name.startswith("starts_at")]
    fields = [path for column in ACTIVITY_COLUMNS if column not in starts for path in column.paths]
    assert len(set(fields)) == len(fields)


def test_the_columns_that_issue_and_warehouse_rely_on():
    expected = {
        "location_id": pa.int64(),
        "id": pa.int64(),
        "starts_at": pa.timestamp("us", tz="UTC"),
        "starts_at_local": pa.timestamp("us"),
        "length_seconds": pa.int64(),
        "booked_seats": pa.int64(),
        "price_min": pa.float64(),
        "is_deleted": pa.bool_(),
        "extra": pa.string(),
        "extracted_at": pa.timestamp("us", tz="UTC"),
    }
    assert {name: ACTIVITY_SCHEMA.field(name).type for name in expected} == expected
    assert ACTIVITY_SCHEMA.field("labels").type.value_type.get_field_index("font_color") >= 0


def test_the_columns_of_appointments_that_the_warehouse_joins_by():
    expected = ("location_id", "id", "activity_id", "attendance", "client_id", "clients_count")
    assert {APPOINTMENT_SCHEMA.field(name).type for name in expected} == {pa.int64()}
