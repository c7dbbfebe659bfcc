from __future__ import annotations

import pyarrow as pa

from altegio_provider.tables.schema import ACTIVITY_COLUMNS, ACTIVITY_SCHEMA, as_markdown


def test_the_document_has_the_table_as_the_data_have_it(repository):
    document = (repository / "docs" / "schema.md").read_text()
    table = "".join(line for line in document.splitlines(keepends=True) if line.startswith("|"))
    assert table.strip() == as_markdown(), "docs/schema.md: put the output of as_markdown() into it"


def test_names_and_fields_are_each_used_once():
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
