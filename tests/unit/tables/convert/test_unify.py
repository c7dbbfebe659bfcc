"""One schema of several: the rules that ``docs/schema.md`` tells, and that no value changes on the way."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from altegio_provider.tables.convert.unify import (
    ColumnConflictError,
    canonical_type,
    cast_batches,
    common_type,
    unify_schemas,
)

TEXT, INT, FLOAT = pa.string(), pa.int64(), pa.float64()
UTC = pa.timestamp("us", tz="UTC")


def struct(**members: pa.DataType) -> pa.DataType:
    return pa.struct(list(members.items()))


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (pa.null(), TEXT, TEXT),
        (pa.null(), pa.null(), pa.null()),
        (pa.int8(), pa.int32(), pa.int32()),
        (pa.uint8(), pa.uint16(), pa.uint16()),
        (pa.uint8(), pa.int8(), INT),
        (pa.uint32(), INT, INT),
        (pa.uint64(), pa.uint8(), pa.uint64()),
        (pa.uint64(), INT, None),
        (INT, FLOAT, FLOAT),
        (pa.int8(), pa.float32(), FLOAT),
        (pa.float16(), pa.float16(), pa.float32()),
        (pa.float32(), FLOAT, FLOAT),
        (TEXT, pa.large_string(), TEXT),
        (pa.dictionary(pa.int8(), pa.large_string()), pa.string_view(), TEXT),
        (pa.large_binary(), pa.binary(4), pa.binary()),
        (TEXT, pa.binary(), None),
        (pa.timestamp("ns", tz="Europe/Riga"), pa.timestamp("s", tz="+02:00"), UTC),
        (pa.timestamp("ns"), pa.timestamp("s"), pa.timestamp("us")),
        (pa.timestamp("us"), UTC, None),
        (pa.date32(), UTC, None),
        (pa.date32(), pa.date32(), pa.date32()),
        (pa.bool_(), INT, INT),
        (pa.int8(), pa.bool_(), pa.int8()),
        (pa.bool_(), TEXT, None),
        (pa.decimal128(5, 2), FLOAT, None),
        (TEXT, INT, None),
        (pa.list_(pa.int8()), pa.large_list(INT), pa.list_(INT)),
        (pa.list_(TEXT), pa.list_(INT), None),
        (pa.list_(TEXT), TEXT, None),
        (struct(id=INT), struct(title=TEXT, id=pa.int8()), struct(id=INT, title=TEXT)),
        (struct(id=INT), struct(id=TEXT), None),
        (
            pa.list_(struct(id=INT)),
            pa.list_(struct(id=INT, tags=pa.list_(TEXT))),
            pa.list_(struct(id=INT, tags=pa.list_(TEXT))),
        ),
    ],
    ids=str,
)
def test_the_rules(one, other, both) -> None:
    assert common_type(one, other) == both
    back = common_type(other, one)
    assert sorted(str(back)) == sorted(str(both))  # the members of a struct may stand in another order


kinds = st.recursive(
    st.sampled_from([pa.null(), pa.int8(), pa.int32(), INT, pa.uint16(), pa.float32(), FLOAT, TEXT, pa.bool_(), UTC]),
    lambda inner: (
        inner.map(pa.list_)
        | st.dictionaries(st.sampled_from("abc"), inner, min_size=1).map(lambda fields: struct(**fields))
    ),
    max_leaves=5,
)


@given(kinds, kinds, kinds)
def test_joining_forgets_nothing_and_needs_no_order(one, two, three) -> None:
    both = common_type(one, two)
    assert common_type(one, one) == canonical_type(one)
    if both is not None:
        assert common_type(both, one) == both
        assert common_type(both, two) == both
        all_of_them = common_type(both, three)
        last = common_type(two, three)
        if last is not None and all_of_them is not None:
            assert common_type(all_of_them, last) == all_of_them


def values_of(kind: pa.DataType) -> st.SearchStrategy[Any]:
    if pa.types.is_integer(kind):
        bits = min(kind.bit_width, 54)
        return st.integers(0, 2 ** (bits - 1) - 1)
    if pa.types.is_floating(kind):
        return st.floats(width=kind.bit_width, allow_nan=False)
    if pa.types.is_struct(kind):
        return st.none() | st.fixed_dictionaries({field.name: values_of(field.type) for field in kind})
    if pa.types.is_list(kind):
        return st.none() | st.lists(values_of(kind.value_type), max_size=2)
    if pa.types.is_string(kind):
        return st.none() | st.text(st.characters(codec="utf-8"), max_size=3)
    return st.booleans() if pa.types.is_boolean(kind) else st.none()


def told(value: Any) -> Any:
    """A value without what is null: members that were added are."""
    if isinstance(value, dict):
        return {name: told(member) for name, member in value.items() if member is not None}
    return [told(item) for item in value] if isinstance(value, list) else value


@settings(max_examples=40)
@given(kinds, kinds, st.data())
def test_no_value_changes(one, other, data) -> None:
    both = common_type(one, other)
    if both is None:
        return
    rows = data.draw(st.lists(values_of(one), max_size=3))
    batch = pa.record_batch({"value": pa.array(rows, one)})
    (made,) = cast_batches([batch], pa.schema([("value", both), ("new", TEXT)]))
    made.validate(full=True)
    assert told(made.column("value").to_pylist()) == told(rows)
    assert made.column("new").null_count == len(rows)


def test_columns_come_in_the_order_in_which_they_are_met() -> None:
    first, second = pa.schema([("id", INT), ("b", TEXT)]), pa.schema([("a", TEXT), ("id", pa.int8())])
    assert unify_schemas([("x", first), ("y", second)]) == pa.schema([("id", INT), ("b", TEXT), ("a", TEXT)])


def test_a_conflict_tells_the_column_the_types_and_where_they_are() -> None:
    files = [("a.parquet", pa.schema([("id", INT)])), ("b.parquet", pa.schema([("price", FLOAT)]))]
    with pytest.raises(ColumnConflictError) as raised:
        unify_schemas([*files, ("c.parquet", pa.schema([("price", TEXT)]))])
    assert str(raised.value).startswith("the column 'price' has the type double in b.parquet and string in c.parquet")


def test_a_value_that_is_not_exact_is_not_shown() -> None:
    batch = pa.record_batch({"phone": pa.array([2**53 + 1])})
    with pytest.raises(ColumnConflictError, match=r"'phone'.*int64.*double") as raised:
        list(cast_batches([batch], pa.schema([("phone", FLOAT)])))
    assert str(2**53 + 1) not in str(raised.value)
    assert raised.value.__suppress_context__
