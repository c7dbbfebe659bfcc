"""Converts a value in another notation, such as a number sent as text, to its column's type if nothing is lost."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa

from altegio_provider.tables.convert.arrays import array_of

__all__ = ["MISMATCH", "convert_exactly"]

#: What :func:`convert_exactly` returns for a value that cannot be converted without loss.
MISMATCH: Final = object()

_WHOLE = re.compile(r"-?(?:0|[1-9][0-9]{0,18})", re.ASCII)
_DECIMAL = re.compile(r"-?(?:0|[1-9][0-9]{0,18})(?:\.[0-9]{1,18})?", re.ASCII)
_INT64 = range(-(2**63), 2**63)
_FLAGS: dict[Any, bool] = {0: False, 1: True, "0": False, "1": True, "false": False, "true": True}


def convert_exactly(kind: pa.DataType, value: Any) -> Any:
    """Return the value in the column's type, or :data:`MISMATCH` if the conversion would lose something.

    A number may be sent as text (``"15"``, ``"12.50"``) or with an empty fraction (``15.0``), a flag as 0 or 1. No
    other value is converted to text. A list is converted as a whole or not at all.

    :param kind: the column's Arrow type.
    :param value: any JSON value.
    """
    if value is None or array_of(kind, [value]) is not None:
        return value
    if pa.types.is_int64(kind):
        return _whole(value)
    if pa.types.is_float64(kind):
        return _decimal(value)
    if pa.types.is_boolean(kind):
        return _FLAGS.get(value, MISMATCH) if type(value) in (int, str) else MISMATCH
    if pa.types.is_list(kind):
        return _list(kind.value_type, value)
    return MISMATCH


def _whole(value: Any) -> Any:
    if type(value) is float and value.is_integer() and int(value) in _INT64:
        return int(value)
    if type(value) is str and _WHOLE.fullmatch(value) and value != "-0" and int(value) in _INT64:
        return int(value)
    return MISMATCH


def _decimal(value: Any) -> Any:
    if type(value) is str and _DECIMAL.fullmatch(value) and Decimal(repr(float(value))) == Decimal(value):
        return float(value)
    return MISMATCH


def _list(kind: pa.StructType, value: Any) -> Any:
    if type(value) is not list or not all(type(item) is dict for item in value):
        return MISMATCH
    fields = {kind.field(number).name: kind.field(number).type for number in range(kind.num_fields)}
    items = [
        {name: convert_exactly(fields[name], part) for name, part in item.items() if name in fields} for item in value
    ]
    return MISMATCH if any(part is MISMATCH for item in items for part in item.values()) else items
