"""Nested columns as JSON text: reading the text back gives what was in the column."""

from __future__ import annotations

import json
import math
from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from altegio_provider.tables.convert.json_text import json_text_array

KIND = pa.list_(
    pa.struct(
        [
            ("id", pa.int64()),
            ('a "name"\n', pa.string()),
            ("rate", pa.float64()),
            ("is_new", pa.bool_()),
            ("tags", pa.list_(pa.string())),
            ("empty", pa.struct([])),
        ]
    )
)
TEXTS = st.none() | st.text(st.characters(codec="utf-8"))
ITEMS = st.none() | st.fixed_dictionaries(
    {
        "id": st.none() | st.integers(-(2**63), 2**63 - 1),
        'a "name"\n': TEXTS,
        "rate": st.none() | st.floats(),
        "is_new": st.none() | st.booleans(),
        "tags": st.none() | st.lists(TEXTS, max_size=3),
        "empty": st.none() | st.just({}),
    }
)


def as_json_has_it(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: as_json_has_it(member) for name, member in value.items()}
    if isinstance(value, list):
        return [as_json_has_it(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


@given(st.lists(st.none() | st.lists(ITEMS, max_size=3), max_size=6), st.integers(0, 3))
def test_reading_it_back_gives_the_same(rows, skipped):
    column = pa.array(rows, KIND)[skipped:]
    texts = json_text_array(column).to_pylist()
    assert [None if text is None else json.loads(text) for text in texts] == as_json_has_it(rows[skipped:])


def test_moments_become_text():
    column = pa.array([[0]], pa.list_(pa.timestamp("us", tz="UTC")))
    assert json_text_array(column).to_pylist() == ['["1970-01-01 00:00:00.000000Z"]']
