"""Converts lists of Python values to Arrow arrays without importing pandas.

``pyarrow.array`` imports pandas if it is installed. That costs every task about a second of CPU and 48 MB, more than
the conversion of 50,000 rows. So this module fills the buffers with the standard library.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, chain
from typing import Any

import pyarrow as pa

from altegio_provider.tables.convert.columns import ObjectColumns

__all__ = ["array_of", "constant"]

_NONE = type(None)
_EXACT_IN_FLOAT = 2**53


def array_of(kind: pa.DataType, values: Sequence[Any]) -> pa.Array | None:
    """Return the values as an Arrow array, or ``None`` if a value does not have the type exactly.

    :param kind: int64, float64, string, bool, a timestamp in microseconds (values are whole microseconds since the
        epoch), a struct of these, or a list of these.
    :param values: Python values; ``None`` is null. A text with U+0000 or an unpaired surrogate does not fit:
        see :mod:`~altegio_provider.tables.convert.characters`.
    """
    types = set(map(type, values))
    has_null = _NONE in types
    types.discard(_NONE)
    if has_null and pa.types.is_struct(kind):
        return None  # an item of a list is null instead of an object
    if not types:
        return pa.nulls(len(values), kind)
    try:
        if types == {int} and (pa.types.is_int64(kind) or pa.types.is_timestamp(kind)):
            return _numbers(kind, "q", values, has_null)
        if types == {str} and pa.types.is_string(kind):
            return _texts(values, has_null)
        if types <= {int, float} and pa.types.is_float64(kind):
            return _floats(values, has_null, int in types)
        if types == {bool} and pa.types.is_boolean(kind):
            return _flags(values, has_null)
        if types == {list} and pa.types.is_list(kind):
            return _lists(kind, values, has_null)
        if types == {dict} and pa.types.is_struct(kind):
            return _structs(kind, values)
    except (OverflowError, UnicodeEncodeError):
        pass  # a number exceeds 64 bits, or a text has an unpaired surrogate
    return None


@lru_cache(maxsize=16)  # most batches of a run have the same length
def constant(kind: pa.DataType, value: Any, count: int) -> pa.Array:
    """Return an array that repeats one value.

    :param kind: as for :func:`array_of`.
    :param value: a value of that type.
    :param count: the length of the array.
    """
    repeated = array_of(kind, [value] * count)
    assert repeated is not None  # noqa: S101 - callers pass values of the type
    return repeated


def _validity(values: Sequence[Any]) -> pa.Buffer:
    return _bits(bytes([value is not None for value in values]))


def _bits(flags: bytes) -> pa.Buffer:
    """Pack flags of one byte each into one bit each."""
    return pa.Array.from_buffers(pa.uint8(), len(flags), [None, pa.py_buffer(flags)]).cast(pa.bool_()).buffers()[1]


def _numbers(kind: pa.DataType, code: str, values: Sequence[Any], has_null: bool) -> pa.Array:
    data = array(code, [value or 0 for value in values] if has_null else values)
    return pa.Array.from_buffers(kind, len(values), [_validity(values) if has_null else None, pa.py_buffer(data)])


def _floats(values: Sequence[Any], has_null: bool, has_int: bool) -> pa.Array | None:
    numbers = [value for value in values if value is not None] if has_null else values
    if not math.isfinite(sum(numbers)) and not all(map(math.isfinite, numbers)):
        return None  # JSON has no infinities and no NaN, so the value is kept in `extra` as it came
    if has_int and not all(type(number) is float or abs(number) <= _EXACT_IN_FLOAT for number in numbers):
        return None
    return _numbers(pa.float64(), "d", values, has_null)


def _texts(values: Sequence[Any], has_null: bool) -> pa.Array | None:
    texts = [value or "" for value in values] if has_null else values
    joined = "".join(texts)
    if "\0" in joined:
        return None
    if joined.isascii():
        data, lengths = joined.encode(), map(len, texts)
    else:
        parts = list(map(str.encode, texts))
        data, lengths = b"".join(parts), map(len, parts)
    offsets = pa.py_buffer(array("i", [*accumulate(lengths, initial=0)]))
    validity = _validity(values) if has_null else None
    return pa.Array.from_buffers(pa.string(), len(values), [validity, offsets, pa.py_buffer(data)])


def _flags(values: Sequence[Any], has_null: bool) -> pa.Array:
    validity = _validity(values) if has_null else None
    data = _bits(bytes([value or False for value in values] if has_null else values))
    return pa.Array.from_buffers(pa.bool_(), len(values), [validity, data])


def _lists(kind: pa.DataType, values: Sequence[Any], has_null: bool) -> pa.Array | None:
    lists = [value or () for value in values] if has_null else values
    items = array_of(kind.value_type, list(chain.from_iterable(lists)))
    if items is None:
        return None
    offsets = pa.py_buffer(array("i", [*accumulate(map(len, lists), initial=0)]))
    validity = _validity(values) if has_null else None
    return pa.Array.from_buffers(kind, len(values), [validity, offsets], children=[items])


def _structs(kind: pa.DataType, values: Sequence[Any]) -> pa.Array | None:
    """Convert dicts. A key without a field in the struct does not fit."""
    fields = [kind.field(number) for number in range(kind.num_fields)]
    members = ObjectColumns(values)
    if not members.keys <= {field.name for field in fields}:
        return None
    children = [array_of(field.type, members.values(field.name)) for field in fields]
    if any(child is None for child in children):
        return None
    return pa.Array.from_buffers(kind, len(values), [None], children=children)
