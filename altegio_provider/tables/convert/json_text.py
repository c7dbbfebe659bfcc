"""Converts nested Arrow columns to JSON text with Arrow's compute functions, without a Python object for each value."""

from __future__ import annotations

from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["json_text_array"]

_NULL = "null"
_CONTROLS = {chr(code): f"\\u{code:04x}" for code in range(0x20)}


def json_text_array(column: pa.Array) -> pa.StringArray:
    """Return each value of a column as JSON text; null stays null.

    :param column: lists and structs, nested to any depth, of texts, numbers, booleans and timestamps. Timestamps
        become text. ``NaN`` and the infinities, which JSON does not have, become ``null``.
    """
    kind = column.type
    if pa.types.is_struct(kind):
        texts = _objects(column)
    elif pa.types.is_list(kind) or pa.types.is_large_list(kind):
        texts = _lists(column)
    elif pa.types.is_boolean(kind):
        texts = pc.if_else(column, "true", "false")
    elif pa.types.is_integer(kind) or pa.types.is_decimal(kind):
        texts = pc.cast(column, pa.string())
    elif pa.types.is_floating(kind):
        texts = pc.if_else(pc.is_finite(column), pc.cast(column, pa.string()), _NULL)
    else:
        texts = _quoted(pc.cast(column, pa.string()))
    return pc.if_else(pc.is_valid(column), texts, pa.scalar(None, pa.string()))


def _objects(column: pa.StructArray) -> pa.StringArray:
    kind = column.type
    parts: list[pa.Array | str] = []
    for number in range(kind.num_fields):
        opening = "{" if number == 0 else ","
        name = _quoted(pa.array([kind.field(number).name], pa.string()))[0].as_py()
        member = pc.struct_field(column, [number])
        parts += [f"{opening}{name}:", pc.fill_null(json_text_array(member), _NULL)]
    return _joined(*parts, "}") if parts else pc.if_else(pc.is_valid(column), "{}", _NULL)


def _lists(column: pa.ListArray) -> pa.StringArray:
    lengths = pc.fill_null(pc.cast(pc.list_value_length(column), pa.int32()), 0)
    offsets = pa.concat_arrays([pa.array([0], pa.int32()), pc.cumulative_sum(lengths)])
    items = pc.fill_null(json_text_array(column.flatten()), _NULL)
    return _joined("[", pc.binary_join(pa.ListArray.from_arrays(offsets, items), ","), "]")


def _quoted(texts: pa.StringArray) -> pa.StringArray:
    texts = pc.replace_substring(texts, "\\", "\\\\")
    texts = pc.replace_substring(texts, '"', '\\"')
    if pc.any(pc.match_substring_regex(texts, r"[\x00-\x1f]")).as_py():
        texts = reduce(lambda so_far, pair: pc.replace_substring(so_far, *pair), _CONTROLS.items(), texts)
    return _joined('"', texts, '"')


def _joined(*parts: pa.Array | str) -> pa.StringArray:
    return pc.binary_join_element_wise(*parts, "")
