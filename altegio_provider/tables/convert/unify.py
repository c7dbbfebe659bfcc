"""One schema for record batches of several: the union of their columns, each of the narrowest type that holds all.

The rules, for columns of one name and for the members and items of nested ones:

* equal types stay; a column that is null in all rows takes the other's type;
* whole numbers take the wider type, and 64 bits where one is signed and the other is not;
* whole numbers with floating-point numbers become ``double``, if each number is exact as one (up to 2**53);
* texts of all kinds (also dictionaries of texts) are ``string``, binary data of all kinds ``binary``;
* timestamps with a time zone are UTC in microseconds, those without one are in microseconds;
* lists are joined item by item, structs member by member; a member that one lacks is null there;
* anything else cannot be joined.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

__all__ = ["ColumnConflictError", "canonical_type", "cast_batches", "common_type", "unify_schemas"]

_SIGNED = (pa.int8(), pa.int16(), pa.int32(), pa.int64())
_UNSIGNED = (pa.uint8(), pa.uint16(), pa.uint32(), pa.uint64())


class ColumnConflictError(ValueError):
    """Columns of one name cannot become one column; nothing was loaded."""


def unify_schemas(schemas: Iterable[tuple[str, pa.Schema]]) -> pa.Schema:
    """Return the union of the columns, in the order in which they are first met.

    :param schemas: each with a name that an error can tell, such as the file's.
    :raises ColumnConflictError: a column has types that cannot be joined, or is there twice in one schema.
    """
    joined: dict[str, pa.DataType] = {}
    first_in: dict[str, str] = {}
    for origin, schema in schemas:
        for name, kind in zip(schema.names, schema.types, strict=True):
            if schema.names.count(name) > 1:
                raise ColumnConflictError(f"{origin} has the column {name!r} more than once; nothing was loaded")
            before = joined.get(name, pa.null())
            both = common_type(before, kind)
            if both is None:
                raise ColumnConflictError(
                    f"the column {name!r} is {before} in {first_in[name]} and {kind} in {origin}, which cannot become "
                    "one column; nothing was loaded. Write one of them anew, or load them into two tables"
                )
            joined[name] = both
            first_in.setdefault(name, origin)
    return pa.schema(list(joined.items()))


def common_type(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    """Return the type that holds the values of both, or ``None`` where the rules of this module have none."""
    one, other = canonical_type(one), canonical_type(other)
    if one.equals(other) or pa.types.is_null(other):
        return one
    if pa.types.is_null(one):
        return other
    if pa.types.is_integer(one) and pa.types.is_integer(other):
        return _joined_integers(one, other)
    if _is_number(one) and _is_number(other):
        return pa.float64()
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
    """Return the one type that stands for all that hold the same kind of values in another layout."""
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
    """Yield the batches with the columns of a schema; what a batch lacks is null.

    :param schema: holds the columns' own types or types that :func:`common_type` made of them.
    :raises ColumnConflictError: a value is not exact in its column's type. The error does not show the value.
    """
    for batch in batches:
        arrays = []
        for field in schema:
            place = batch.schema.get_field_index(field.name)
            array = pa.nulls(batch.num_rows, field.type) if place < 0 else batch.column(place)
            if not array.type.equals(field.type):
                array = _cast(field.name, array, field.type)
            arrays.append(array)
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _cast(name: str, array: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        return array.cast(kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise ColumnConflictError(
            f"the column {name!r} has a value of type {array.type} that is not exact as {kind}; nothing was loaded"
        ) from None


def _joined_integers(one: pa.DataType, other: pa.DataType) -> pa.DataType | None:
    for family in (_SIGNED, _UNSIGNED):
        if one in family and other in family:
            return max(one, other, key=family.index)
    return None if pa.uint64() in (one, other) else pa.int64()


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))
