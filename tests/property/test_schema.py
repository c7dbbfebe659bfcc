"""Whatever the API sends, every leaf of it is in its column or in ``extra``, and nothing stops."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altegio_provider.tables.convert.activities import ActivityConverter
from altegio_provider.tables.convert.characters import escape, is_storable, unescape
from altegio_provider.tables.schema import ACTIVITY_COLUMNS, ACTIVITY_SCHEMA

LOCATION = 1001
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
OBJECTS = {path[:depth] for column in ACTIVITY_COLUMNS for path in column.paths for depth in range(1, len(path))}
COLUMN_OF = {path: column for column in ACTIVITY_COLUMNS for path in column.paths}

texts = st.text(max_size=8) | st.text("\0\ud800\udc00\ufffd0a", max_size=8)
numbers = (
    st.integers(-5, 5)
    | st.sampled_from([LOCATION, 2**53 + 1, 2**63 - 1, 2**63, -(2**63) - 1, 2**70, 10**30])
    | st.floats()
    | st.sampled_from([0.0, 1.0, 15.0, 1e15, 1e300])
)
written_numbers = st.sampled_from(["15", "-3", "007", "1.50", "12.5", "0", "1", "true", " 5", "1e3", "9" * 25, "0.1"])
scalars = st.none() | st.booleans() | numbers | texts | written_numbers
keys = texts | st.sampled_from(["id", "title", "name", "staff", "category", "color"])
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=3), max_leaves=6
)
moments = st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)) | st.sampled_from(  # noqa: DTZ001
    [datetime(2026, 10, 25, 3, 30), datetime(2026, 3, 29, 3, 30), datetime(2026, 3, 28, 23), datetime(1, 1, 1)]  # noqa: DTZ001
)
offsets = st.sampled_from(["", "Z", "+0200", "+03:00", "-0930"])


@st.composite
def dates(draw: st.DrawFn) -> str:
    form = draw(st.sampled_from(["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d"]))
    return draw(moments).strftime(form) + (draw(offsets) if "S" in form else "")


def usual_or(usual: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Mostly what the API documents, sometimes anything at all."""
    return st.one_of(usual, usual, usual, json_values)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    known = {name: usual_or(usual) for name, usual in fields.items()}
    rest = st.dictionaries(keys, json_values, max_size=1)
    return st.builds(lambda row, more: {**more, **row}, st.fixed_dictionaries({}, optional=known), rest)


ids = st.integers(1, 4)
items = st.lists(usual_or(objects(id=ids, title=texts, color=texts, resource_id=ids)), max_size=3)
php_dates = st.fixed_dictionaries(
    {"date": dates(), "timezone_type": st.sampled_from([3, 3, 1]), "timezone": st.sampled_from(["Europe/Riga", "UTC"])}
)
rows = objects(
    id=ids,
    company_id=st.sampled_from([LOCATION, 1002]),
    salon_id=st.sampled_from([LOCATION, 1002]),
    master_id=ids,
    staff_id=ids,
    service_id=ids,
    name=texts,
    date=dates(),
    datetime=dates(),
    timestamp=st.integers(0, 2**31),
    length=st.integers(0, 86_400),
    notified=st.booleans(),
    is_deleted=st.booleans(),
    deleted=st.booleans(),
    created_at=dates(),
    schedule_till=php_dates | dates(),
    staff=objects(id=ids, name=texts, rating=st.floats(0, 5), company_id=ids, position=objects(id=ids, title=texts)),
    service=objects(
        id=ids,
        price_min=st.integers(0, 100),
        category_id=ids,
        category=objects(id=ids, category_id=ids, title=texts),
    ),
    labels=items,
    resource_instances=items,
)


@st.composite
def consistent_rows(draw: st.DrawFn) -> dict[str, Any]:
    """Rows whose three starts agree, as nearly all do: these take the quick way."""
    zone = ZoneInfo("Europe/Riga")
    start = draw(st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1))).replace(microsecond=0, tzinfo=zone)  # noqa: DTZ001
    return draw(rows) | {
        "date": f"{start:%Y-%m-%d %H:%M:%S}",
        "datetime": f"{start:%Y-%m-%dT%H:%M:%S%z}",
        "timestamp": int(start.timestamp()),
        "created_at": f"{start - timedelta(days=9):%Y-%m-%dT%H:%M:%S%z}",
    }


pages = st.lists(rows, max_size=4) | st.lists(consistent_rows(), max_size=6)


def leaves(value: Any, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if members is None:
        yield path, value
    else:
        for key, member in members:
            yield from leaves(member, (*path, key))


def as_json(value: Any) -> Any:
    """A leaf, or a key, as it must stand in ``extra``."""
    if isinstance(value, str):
        return escaped_as_documented(value)
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def escaped_as_documented(text: str) -> str:
    """What ``docs/schema.md`` says of characters that a warehouse cannot hold, written anew."""
    signs = []
    for place, sign in enumerate(text):
        is_like_an_escape = sign == "\ufffd" and re.match(r"[0-9a-f]{4}", text[place + 1 :])
        is_refused = sign == "\0" or 0xD800 <= ord(sign) < 0xE000
        signs.append(f"\ufffd{ord(sign):04x}" if is_refused or is_like_an_escape else sign)
    return "".join(signs)


def is_in_extra(extra: Any, path: tuple[str | int, ...], value: Any) -> bool:
    for step in path:
        try:
            extra = extra[as_json(step)]
        except (KeyError, IndexError, TypeError):
            return False
    return type(extra) is type(as_json(value)) and extra == as_json(value)


def is_told(row: dict[str, Any], path: tuple[str | int, ...], value: Any, zone: ZoneInfo) -> bool:
    """Whether the columns tell a leaf: written anew, from what ``docs/schema.md`` promises."""
    if path[0] in ("labels", "resource_instances") and len(path) == 3:
        cell = row[path[0]]
        return cell is not None and path[2] in cell[path[1]] and is_same(cell[path[1]][path[2]], value)
    if path[0] == "schedule_till":
        if path == ("schedule_till", "timezone_type"):
            return row["schedule_till"] is not None and value == 3
        if path == ("schedule_till", "timezone"):
            return row["schedule_till"] is not None and value == zone.key
        return value is None or naive(value) == row["schedule_till"]
    if path in (("date",), ("datetime",), ("timestamp",)):
        return value is None or (row["starts_at"] is not None and is_start(row, path[0], value))
    if path in OBJECTS:
        return value is None  # the columns of what it holds are null
    column = COLUMN_OF.get(path)  # type: ignore[call-overload]
    if column is None:
        return False
    cell = row[column.name]
    if column.name == "created_at" and value is not None:
        return cell is not None and is_moment(value, cell.astimezone(zone))
    return value is None or is_same(cell, value)


def is_same(cell: Any, value: Any) -> bool:
    if cell is None or value is None:
        return cell is value
    if type(cell) is bool:
        return type(value) in (bool, int, str) and value in (cell, int(cell), str(int(cell)), str(cell).lower())
    if isinstance(value, bool) or (isinstance(cell, str) and not isinstance(value, str)):
        return False
    if isinstance(cell, int) and isinstance(value, str):
        return str(cell) == value
    if isinstance(cell, float) and isinstance(value, str):
        return Decimal(repr(cell)) == Decimal(value)
    return bool(cell == value)


def naive(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    assert moment.tzinfo is None
    return moment


def is_start(row: dict[str, Any], field: str, value: Any) -> bool:
    if field == "timestamp":
        assert not isinstance(value, bool)
        return EPOCH + timedelta(seconds=float(value)) == row["starts_at"]
    moment = datetime.fromisoformat(value.strip())
    return moment == (row["starts_at_local"] if moment.tzinfo is None else row["starts_at"])


def is_moment(text: str, cell: datetime) -> bool:
    """Whether instant and zone give the text back: its wall clock, and its offset where it has one."""
    moment = datetime.fromisoformat(text.strip())
    is_wall_same = moment.replace(tzinfo=None) == cell.replace(tzinfo=None)
    return is_wall_same and moment.utcoffset() in (None, cell.utcoffset())


def converted(page: list[dict[str, Any]], zone: str) -> tuple[list[dict[str, Any]], ActivityConverter]:
    batches = ActivityConverter(LOCATION, zone, extracted_at=EPOCH)
    batch = batches.batch(page)
    batch.validate(full=True)
    assert batch.schema.equals(ACTIVITY_SCHEMA)
    return batch.to_pylist(), batches


@given(pages, st.sampled_from(["Europe/Riga", "UTC", "Asia/Kolkata"]))
def test_every_leaf_is_in_its_column_or_in_extra(page, zone):
    made, _ = converted(page, zone)
    assert len(made) == len(page)
    for sent, row in zip(page, made, strict=True):
        assert (row["location_id"], row["timezone"]) == (LOCATION, zone)
        extra = json.loads(row["extra"]) if row["extra"] is not None else {}
        for path, value in leaves(sent):
            assert is_in_extra(extra, path, value) or is_told(row, path, value, ZoneInfo(zone)), (path, value, row)


@given(st.text("\0\ud800\udfff\ufffd09afg"))
def test_an_escaped_text_tells_its_original(text):
    assert unescape(escape(text)) == text
    assert escape(text) == escaped_as_documented(text)
    assert is_storable(escape(text))


@given(pages)
def test_no_cell_has_a_character_that_a_warehouse_cannot_hold(page):
    made, _ = converted(page, "UTC")
    assert all(is_storable(leaf) for row in made for _, leaf in leaves(row) if isinstance(leaf, str))
    assert all("\\u0000" not in row["extra"].replace("\\\\", "") for row in made if row["extra"])


@given(pages)
def test_a_row_becomes_the_same_whatever_rows_are_beside_it(page):
    together, counted = converted(page, "Europe/Riga")
    alone = [converted([row], "Europe/Riga") for row in page]
    assert together == [row for (row,), _ in alone]
    assert counted.replacements == sum((one.replacements for _, one in alone), start=type(counted.mismatches)())
    assert counted.mismatches == sum((one.mismatches for _, one in alone), start=type(counted.mismatches)())
    assert counted.start_disagreements == sum(one.start_disagreements for _, one in alone)
    assert counted.rows_without_start == sum(one.rows_without_start for _, one in alone)


@given(st.lists(rows, max_size=3))
def test_what_is_sent_is_not_changed(page):
    before = repr(page)
    converted(page, "UTC")
    assert repr(page) == before


@pytest.mark.parametrize("depth", [300, 3_000])
def test_a_deep_nesting_stays_whole(depth):
    deep: Any = "bottom"
    for _ in range(depth):
        deep = [deep]
    ((row,), _) = converted([{"id": 1, "odd": deep}], "UTC")
    assert row["extra"] == '{"odd":' + "[" * depth + '"bottom"' + "]" * depth + "}"
