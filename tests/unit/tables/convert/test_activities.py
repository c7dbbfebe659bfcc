from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

import pytest

from altegio_provider.api.rows import parse_page
from altegio_provider.tables.convert.activities import ActivityConverter
from altegio_provider.tables.convert.characters import unescape
from altegio_provider.tables.schema import ACTIVITY_SCHEMA

EXTRACTED = datetime(2026, 11, 21, 3, tzinfo=UTC)


def usual_row(**changes):
    """A row of `companies` as the API documents it, in Riga in winter (UTC+2)."""
    return {
        "id": 7,
        "company_id": 1001,
        "name": "Morning yoga",
        "date": "2026-11-20 14:00:00",
        "datetime": "2026-11-20T14:00:00+0200",
        "timestamp": 1795176000,
        "staff_id": 5,
        "service_id": 9,
        "length": 3600,
        "capacity": 12,
        "records_count": 3,
        "color": "#9c27b0",
        "notified": False,
        "comment": None,
        "prepaid": "forbidden",
        "created_at": "2026-11-01T10:00:00+0200",
        "service": {
            "id": 9,
            "title": "Йога",
            "category_id": 4,
            "price_min": 10,
            "price_max": 15.5,
            "category": {"id": 4, "category_id": 4, "title": "Group"},
        },
        "staff": {
            "id": 5,
            "name": "Anna",
            "company_id": 1001,
            "rating": 4.8,
            "position": {"id": 2, "title": "Teacher"},
        },
        "resource_instances": [{"id": 1, "title": "Hall", "resource_id": 3}],
        "labels": [],
    } | changes


def converted(*rows, timezone="Europe/Riga"):
    batches = ActivityConverter(1001, timezone, EXTRACTED)
    return batches.batch(rows).to_pylist(), batches


def one(**changes):
    (row,), batches = converted(usual_row(**changes))
    return row, json.loads(row["extra"] or "{}"), batches


def test_a_usual_row_fills_the_columns_and_leaves_nothing():
    (row,), batches = converted(usual_row())
    assert {name: value for name, value in row.items() if value is not None} == {
        "location_id": 1001,
        "id": 7,
        "name": "Morning yoga",
        "starts_at": datetime(2026, 11, 20, 12, tzinfo=UTC),
        "starts_at_local": datetime(2026, 11, 20, 14),  # noqa: DTZ001
        "timezone": "Europe/Riga",
        "length_seconds": 3600,
        "capacity": 12,
        "records_count": 3,
        "staff_id": 5,
        "staff_name": "Anna",
        "staff_position_id": 2,
        "staff_position_title": "Teacher",
        "staff_rating": 4.8,
        "service_id": 9,
        "service_title": "Йога",
        "service_category_id": 4,
        "service_category_title": "Group",
        "price_min": 10.0,
        "price_max": 15.5,
        "color": "#9c27b0",
        "notified": False,
        "prepaid": "forbidden",
        "created_at": datetime(2026, 11, 1, 8, tzinfo=UTC),
        "labels": [],
        "resource_instances": [{"id": 1, "title": "Hall", "resource_id": 3}],
        "is_deleted": False,
        "extracted_at": EXTRACTED,
    }
    assert not batches.mismatches
    assert not batches.unknown_fields


def test_both_families_make_the_same_row():
    resource = {
        "type": "activity",
        "id": "7",
        "attributes": {
            "master_id": 5,
            "staff_id": 5,
            "service_id": 9,
            "timestamp": 1795176000,
            "length": 3600,
            "capacity": 12,
            "clients_count": 4,
            "color": "#9c27b0",
            "notified": False,
            "schedule_id": None,
            "schedule_till": None,
            "schedule_event_modified": None,
            "date": "2026-11-20T14:00:00+0200",
        },
        "relationships": {
            "staff": {"data": {"type": "staff", "id": "5"}},
            "service": {"data": {"type": "service", "id": "9"}},
            "resource_instances": {"data": [{"type": "resource_instance", "id": "1"}]},
            "labels": {"data": []},
        },
    }
    parts = usual_row()
    included = [
        {"type": kind, "id": str(thing["id"]), "attributes": {key: thing[key] for key in thing if key != "id"}}
        for kind, thing in (
            ("staff", parts["staff"]),
            ("service", parts["service"]),
            ("resource_instance", parts["resource_instances"][0]),
        )
    ]
    page = parse_page({"data": [resource], "included": included}, "/locations/1001/events")
    (there,), _ = converted(*page.rows)
    (here,), _ = converted(usual_row())
    assert there["booked_seats"] == 4
    only_here = {"name", "records_count", "prepaid", "created_at", "booked_seats"}
    assert {k: v for k, v in there.items() if k not in only_here} == {
        k: v for k, v in here.items() if k not in only_here
    }


@pytest.mark.parametrize(
    ("field", "sent", "column", "cell"),
    [
        ("capacity", "15", "capacity", 15),
        ("capacity", 15.0, "capacity", 15),
        ("id", "7", "id", 7),
        ("notified", 1, "notified", True),
        ("notified", "0", "notified", False),
        ("service", {"price_min": "12.50"}, "price_min", 12.5),
        ("deleted", True, "is_deleted", True),
        ("staff", [], "staff_name", None),
        ("schedule_till", "2026-12-31 00:00:00", "schedule_till", datetime(2026, 12, 31)),  # noqa: DTZ001
        (
            "schedule_till",
            {"date": "2026-12-31 00:00:00.000000", "timezone_type": 3, "timezone": "Europe/Riga"},
            "schedule_till",
            datetime(2026, 12, 31),  # noqa: DTZ001
        ),
    ],
)
def test_another_notation_of_the_same_value_fits(field, sent, column, cell):
    row, extra, batches = one(**{field: sent})
    assert (row[column], extra, dict(batches.mismatches)) == (cell, {}, {})


@pytest.mark.parametrize(
    ("field", "sent", "column"),
    [
        ("capacity", "many", "capacity"),
        ("capacity", "007", "capacity"),
        ("capacity", 1.5, "capacity"),
        ("capacity", True, "capacity"),
        ("capacity", 2**63, "capacity"),
        ("comment", 15, "comment"),
        ("name", {"en": "Yoga"}, "name"),
        ("notified", 2, "notified"),
        ("labels", "new", "labels"),
        ("labels", [{"id": 1}, "new"], "labels"),
        ("labels", [{"id": "first"}], "labels"),
        ("created_at", "yesterday", "created_at"),
        ("schedule_till", 5, "schedule_till"),
    ],
)
def test_a_value_that_does_not_fit_is_null_and_whole_in_extra(field, sent, column):
    row, extra, batches = one(**{field: sent})
    assert row[column] is None
    assert extra == {field: sent}
    assert batches.mismatches == {column: 1}


@pytest.mark.parametrize(
    ("sent", "cell", "kept"),
    [
        ("a\0b", "a\ufffdb", "a\ufffd0000b"),
        ("half a pair \ud800", "half a pair \ufffd", "half a pair \ufffdd800"),
        ("\ufffd0000 \0", "\ufffd0000 \ufffd", "\ufffdfffd0000 \ufffd0000"),
    ],
)
def test_characters_that_no_warehouse_holds_are_replaced_and_kept_in_extra(sent, cell, kept):
    made, batches = converted(usual_row(comment=sent), usual_row(comment="\ufffd"))
    assert [row["comment"] for row in made] == [cell, "\ufffd"]
    assert [row["extra"] and json.loads(row["extra"]) for row in made] == [{"comment": kept}, None]
    assert unescape(kept) == sent
    assert (batches.replacements, dict(batches.mismatches)) == ({"comment": 1}, {})


def test_such_characters_in_nested_texts_and_in_unknown_fields():
    row, extra, batches = one(
        labels=[{"id": 1, "title": "n\0w", "icon": "star", "weight": 2}, {"id": 2, "title": "ok"}],
        resource_instances=[{"title": "\0"}],
        staff={**usual_row()["staff"], "name": "An\0a", "\0rank": ["\udfff", "\ufffdabcd"]},
    )
    assert [label["title"] for label in row["labels"]] == ["n\ufffdw", "ok"]
    assert (row["labels"][0]["icon"], row["staff_name"]) == ("star", "An\ufffda")
    assert extra == {
        "labels": [{"title": "n\ufffd0000w", "weight": 2}, {}],
        "resource_instances": [{"title": "\ufffd0000"}],
        "staff": {"name": "An\ufffd0000a", "\ufffd0000rank": ["\ufffddfff", "\ufffdfffdabcd"]},
    }
    assert row["resource_instances"] == [{"id": None, "title": "\ufffd", "resource_id": None}]
    assert batches.replacements == {"labels": 1, "resource_instances": 1, "staff_name": 1}
    assert not batches.mismatches


def test_a_list_that_does_not_fit_is_not_counted_as_replaced():
    row, extra, batches = one(labels=[{"id": "first", "title": "a\0"}])
    assert (row["labels"], extra) == (None, {"labels": [{"id": "first", "title": "a\ufffd0000"}]})
    assert (batches.mismatches, dict(batches.replacements)) == ({"labels": 1}, {})


def test_what_is_unknown_stands_where_it_was():
    staff = usual_row()["staff"]
    row, extra, batches = one(
        seats_left=None,
        staff={**staff, "rank": 1, "position": {"id": 2, "grade": "A"}},
        labels=[{"id": 1, "weight": 3}, {"id": 2}],
        service="gone",
    )
    assert extra == {
        "seats_left": None,
        "staff": {"rank": 1, "position": {"grade": "A"}},
        "labels": [{"weight": 3}, {}],
        "service": "gone",
    }
    assert [label["id"] for label in row["labels"]] == [1, 2]
    assert row["service_title"] is None
    assert batches.mismatches == {"service": 1}
    assert set(batches.unknown_fields) == {"seats_left", "staff.rank", "staff.position.grade"}


def test_a_field_that_repeats_a_column_is_left_over_only_where_it_differs():
    staff = {"id": 6, "company_id": 1002, "name": "Anna"}
    row, extra, batches = one(company_id=1002, master_id=5, staff=staff)
    assert (row["location_id"], row["staff_id"]) == (1001, 5)
    assert extra == {"company_id": 1002, "staff": {"id": 6, "company_id": 1002}}
    assert not batches.mismatches


def test_a_field_that_repeats_a_column_fills_it_where_it_is_empty():
    row, extra, _ = one(staff_id=None, service_id=None)
    assert (row["staff_id"], row["service_id"], extra) == (5, 9, {})
    row, extra, batches = one(staff_id="nobody")
    assert (row["staff_id"], extra, batches.mismatches) == (5, {"staff_id": "nobody"}, {"staff_id": 1})


@pytest.mark.parametrize("sent", [None, "abc", "missing"])
def test_a_row_without_a_usable_id_is_kept(sent):
    row = usual_row(id=sent)
    if sent == "missing":
        del row["id"]
    made, batches = converted(row, usual_row())
    assert [line["id"] for line in made] == [None, 7]
    assert made[0]["extra"] == ('{"id":"abc"}' if sent == "abc" else None)
    assert (batches.rows, batches.rows_without_id) == (2, 1)


def test_the_date_is_believed_where_timestamp_and_offset_are_wrong():
    row, extra, batches = one(datetime="2026-11-20T14:00:00+0300", timestamp=1795172400)
    assert row["starts_at"] == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert extra == {"datetime": "2026-11-20T14:00:00+0300", "timestamp": 1795172400}
    assert batches.start_disagreements == 1


def test_timestamp_tells_the_two_moments_of_a_repeated_hour_apart():
    night = {"date": "2026-10-25 03:30:00", "datetime": None}
    first, second = 1792888200, 1792891800
    made, batches = converted(usual_row(**night, timestamp=first), usual_row(**night, timestamp=second))
    assert [row["starts_at"].timestamp() for row in made] == [first, second]
    assert {row["starts_at_local"] for row in made} == {datetime(2026, 10, 25, 3, 30)}  # noqa: DTZ001
    assert batches.start_disagreements == 0
    assert {row["extra"] for row in made} == {None}


def test_a_row_that_does_not_say_when_it_starts_is_kept():
    made, batches = converted(usual_row(date="soon", datetime=None, timestamp=None), usual_row())
    assert (made[0]["starts_at"], made[0]["starts_at_local"], made[0]["extra"]) == (None, None, '{"date":"soon"}')
    assert made[1]["starts_at"] == datetime(2026, 11, 20, 12, tzinfo=UTC)
    assert batches.rows_without_start == 1


def test_numbers_that_json_lacks_become_texts():
    _, extra, batches = one(capacity=float("nan"), odd=[float("inf"), -float("inf"), None], big=10**30)
    assert extra == {"capacity": "NaN", "odd": ["Infinity", "-Infinity", None], "big": 10**30}
    assert batches.mismatches == {"capacity": 1}


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_price_that_is_no_number_is_null_beside_one_that_is(number):
    made, batches = converted(usual_row(service={"price_min": number}), usual_row(service={"price_min": 1.5}))
    assert [row["price_min"] for row in made] == [None, 1.5]
    assert json.loads(made[0]["extra"])["service"]["price_min"] in ("NaN", "Infinity", "-Infinity")
    assert batches.mismatches == {"price_min": 1}


@pytest.mark.parametrize(("rows", "size", "expected"), [(0, 10, [0]), (10, 10, [10]), (25, 10, [10, 10, 5])])
def test_batches_have_the_size_asked_for_and_at_least_one_comes(rows, size, expected):
    batches = list(ActivityConverter(1001, "UTC").batches((usual_row(id=n) for n in range(rows)), size))
    assert [batch.num_rows for batch in batches] == expected
    assert all(batch.schema == ACTIVITY_SCHEMA for batch in batches)
    assert [n for batch in batches for n in batch.column("id").to_pylist()] == list(range(rows))


def test_batches_larger_than_a_page_of_conversion_are_joined():
    batches = list(ActivityConverter(1001, "UTC").batches((usual_row(id=n) for n in range(2500)), 2200))
    assert [batch.num_rows for batch in batches] == [2200, 300]


def test_it_warns_once_of_each_column_and_never_shows_a_value(caplog):
    _, batches = converted(*[usual_row(capacity="Anna +37120000000", odd="secret", comment="Anna \0")] * 3)
    with caplog.at_level(logging.INFO):
        batches.warn(logging.getLogger("test"))
    assert [record.getMessage() for record in caplog.records] == [
        "3 of 3 rows: the value of capacity did not fit its column and was written to `extra`",
        "3 of 3 rows: comment had characters that a warehouse cannot store (U+0000 or an unpaired surrogate). Each "
        "was replaced by U+FFFD, and the original was written to `extra`",
        "Fields without a column were written to `extra`: odd",
    ]


def test_an_unknown_time_zone_is_named():
    with pytest.raises(ValueError, match="Mars/Olympus"):
        ActivityConverter(1001, "Mars/Olympus")
