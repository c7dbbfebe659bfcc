"""Does a JSON value fit an Arrow type, and if not, can it be written in that type without losing anything?"""

from __future__ import annotations

from typing import Any

import pyarrow as pa

__all__ = ["fits", "lossless"]

_NONE = type(None)
_INT64 = range(-(2**63), 2**63)
_EXACT_IN_FLOAT = 2**53


def fits(kind: pa.DataType, values: list[Any]) -> bool:
    """Whether Arrow takes these values as they are. (It would take 1.5 for an integer too, and lose the half.)"""
    types = set(map(type, values))
    types.discard(_NONE)
    if pa.types.is_integer(kind):
        return types <= {int} and (not types or _in_int64(values))
    if pa.types.is_floating(kind):
        return types <= {float} or (types <= {int, float} and all(_is_exact(value) for value in values))
    if pa.types.is_string(kind):
        return types <= {str}
    if pa.types.is_boolean(kind):
        return types <= {bool}
    if pa.types.is_list(kind):
        return types <= {list} and _fit_struct(kind.value_type, [item for value in values if value for item in value])
    return False


def lossless(kind: pa.DataType, value: Any) -> tuple[Any, bool]:
    """Return a value in that type and whether nothing of it is lost.

    A list keeps what it can: ``(what fits of it, False)`` still fills the column.
    """
    if fits(kind, [value]):
        return value, True
    if pa.types.is_integer(kind):
        return _integer(value)
    if pa.types.is_floating(kind):
        return _floating(value)
    if pa.types.is_boolean(kind) and type(value) is int and value in (0, 1):
        return bool(value), True
    if pa.types.is_list(kind) and type(value) is list:
        return [_struct(kind.value_type, item) for item in value], False
    return None, False


def _integer(value: Any) -> tuple[int | None, bool]:
    if type(value) is float and value.is_integer() and abs(value) <= _EXACT_IN_FLOAT:
        return int(value), True
    if type(value) is str and value.isascii() and value.removeprefix("-").isdigit():
        number = int(value) if len(value) < 20 else 2**63
        if str(number) == value and number in _INT64:
            return number, True
    return None, False


def _floating(value: Any) -> tuple[float | None, bool]:
    if (
        type(value) is str
        and len(value) < 17
        and value.isascii()
        and value.removeprefix("-").replace(".", "", 1).isdigit()
    ):
        return float(value), True
    return None, False


def _is_exact(value: Any) -> bool:
    return type(value) is not int or abs(value) <= _EXACT_IN_FLOAT


def _in_int64(values: list[Any]) -> bool:
    numbers = [value for value in values if value is not None]
    return min(numbers) in _INT64 and max(numbers) in _INT64


def _fit_struct(kind: pa.DataType, items: list[Any]) -> bool:
    if not items:
        return True
    fields = {field.name: field.type for field in kind}
    return (
        set(map(type, items)) == {dict}
        and set().union(*items) <= fields.keys()
        and all(fits(kind, [item.get(name) for item in items]) for name, kind in fields.items())
    )


def _struct(kind: pa.DataType, item: Any) -> dict[str, Any] | None:
    if type(item) is not dict:
        return None
    return {field.name: lossless(field.type, item.get(field.name))[0] for field in kind}
