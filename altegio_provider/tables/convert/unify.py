"""Unifies schemas: the union of their columns, each with the narrowest type that holds all its values.

The rules for columns of one name, and likewise for struct members and list items of one name:

* equal types stay; a column that is null in all rows takes the other type;
* integers take the wider type, and 64 bits if one is signed and the other unsigned;
* flags and integers become the integers' type, 0 and 1;
* integers and floating-point numbers become ``double``, if each integer is exact as ``double`` (up to 2**53);
* texts of all kinds (also dictionaries of texts) become ``string``, binary data of all kinds ``binary``;
* timestamps with a time zone become UTC in microseconds, timestamps without one stay so, in microseconds;
* lists are unified item by item, structs member by member; a member that one of them lacks is null there;
* any other pair of types has no common type.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

__all__ = [
    "ColumnConflictError",
    "canonical_type",
    "cast_batches",
    "common_type",
    "conflicting_columns",
    "unify_schemas",
]

_SIGNED = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
_UNSIGNED = (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())


class ColumnConflictError(ValueError):
    """Columns of one name have types without a common type. Nothing was loaded."""


def unify_schemas(schemas: Iterable[tuple[str, pa.Schema]]) -> pa.Schema:
    """Return the union of the columns, in the order of their first occurrence.

    :param schemas: each schema with the name that an error shows for it, such as the file's path.
    :raises ColumnConflictError: a column's types have no common type, or a schema has a column twice.
    """
    joined: dict[str, pa.DataType] = {}
    first_in: dict[str, str] = {}
    for origin, schema in schemas:
        for name, kind in zip(schema.names, schema.types, strict=True):
            if schema.names.count(name) > 1:
                raise ColumnConflictError(f"{origin} has the column {name!r} more than once. Nothing was loaded.")
            before = joined.get(name, pa.null())
            both = common_type(before, kind)
            if both is None:
                raise ColumnConflictError(
                    f"the column {name!r} has the type {before} in {first_in[name]} and {kind} in {origin}, and these "
                    "have no common type. Nothing was loaded. Extract one of them again, or load them into two tables."
                )
            joined[name] = both
            first_in.setdefault(name, origin)
    return pa.schema(list(joined.items()))


def conflicting_columns(schemas: Iterable[pa.Schema]) -> set[str]:
    """Return the columns whose types have no common type.

    :param schemas: the schemas.
    """
    joined: dict[str, pa.DataType] = {}
    conflicts: set[str] = set()
    for schema in schemas:
        for field in schema:
            both = common_type(joined.get(field.name, pa.null()), field.type)
            if both is None:
                conflicts.add(field.name)
            else:
                joined[field.name] = both
    return conflicts


def common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the type that holds the values of both types, ``None`` if there is none by this module's rules.

    :param one: an Arrow type.
    :param other: another.
    """
    one, other = canonical_type(one), canonical_type(other)
    if one.equals(other) or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_integer(one) and pa.types.is_integer(other):
        return _joined_integers(one, other)
    if _is_number(one) and _is_number(other):
        return pa.float64()
    for flag, number in ((one, other), (other, one)):
        if pa.types.is_boolean(flag) and pa.types.is_integer(number):
            return number
    if pa.types.is_list(one) and pa.types.is_list(other):
        items = common_type(one.value_type, other.value_type)
        return None if items is None else pa.list_(items)
    if pa.types.is_struct(one) and pa.types.is_struct(other):
        members = {field.name: field.type for field in one}
        for field in other:
            joined = common_type(members.get(field.name, pa.null()), field.type)
            if joined is None:
                return None
            members[field.name] = joined
        return pa.struct(list(members.items()))
    return None


def canonical_type(kind: pa.DataType) -> pa.DataType:
    """Return the type that this module uses for all types of the same values in other layouts.

    :param kind: an Arrow type, for example ``large_string``, for which this returns ``string``.
    """
    if pa.types.is_dictionary(kind):
        return canonical_type(kind.value_type)
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind) or pa.types.is_fixed_size_binary(kind):
        return pa.binary()
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", tz="UTC" if kind.tz else None)
    if pa.types.is_float16(kind):
        return pa.float32()
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(canonical_type(kind.value_type))
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, canonical_type(field.type)) for field in kind])
    return kind


def cast_batches(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield the batches cast to a schema. A column that a batch lacks is null.

    :param batches: record batches.
    :param schema: its types are the columns' own, or what :func:`common_type` returned for them.
    :raises ColumnConflictError: a value is not exact in its column's type. The error does not show the value.
    """
    for batch in batches:
        arrays = []
        for field in schema:
            index = batch.schema.get_field_index(field.name)
            array = pa.nulls(batch.num_rows, field.type) if index < 0 else batch.column(index)
            if not array.type.equals(field.type):
                array = _cast(field.name, array, field.type)
            arrays.append(array)
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cast(name: str, array: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return array.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise ColumnConflictError(
            f"the column {name!r} has a value of type {array.type} that is not exact as {kind}. Nothing was loaded."
        ) from None


def _joined_integers(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    for family in (_SIGNED, _UNSIGNED):
        if one in family and other in family:
            return max(one, other, key=family.index)
    return None if pa.uint64() in (one, other) else pa.int64()


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
