"""The user's function on DataFrames: what it sees, what it may do, and how it is told what it may not."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pytest

from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.transfers.transform import frame_transform


def batches(*columns: list[int]) -> list[pa.RecordBatch]:
    return [pa.RecordBatch.from_pydict({"id": column}) for column in columns]


def test_a_transform_sees_frames_and_gives_batches() -> None:
    double = frame_transform(lambda frame: frame.assign(twice=frame["id"] * 2))
    assert [row for batch in double(batches([1, 2], [3])) for row in batch.to_pylist()] == [
        {"id": 1, "twice": 2},
        {"id": 2, "twice": 4},
        {"id": 3, "twice": 6},
    ]


def test_a_transform_may_drop_every_row_and_keeps_the_schema() -> None:
    nothing = frame_transform(lambda frame: frame[frame["id"] > 99])
    (batch,) = nothing(batches([1, 2]))
    assert batch.num_rows == 0
    assert batch.schema.names == ["id"]


def restless(frame: pd.DataFrame) -> pd.DataFrame:
    return frame if frame["id"].iloc[0] == 0 else frame.rename(columns={"id": "number"})


def test_a_transform_must_keep_one_schema() -> None:
    rows = list(range(10_000))
    with pytest.raises(AltegioValidationError, match="one schema"):
        list(frame_transform(restless)(batches(rows, [row + 1 for row in rows])))


def test_a_transform_that_mixes_types_is_told_the_column_and_shown_no_value() -> None:
    mixed = frame_transform(lambda frame: frame.assign(who=[1, "Anna"]))
    with pytest.raises(AltegioValidationError, match="who") as caught:
        list(mixed(batches([1, 2])))
    assert "Anna" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_a_transform_that_makes_half_of_a_surrogate_pair_is_shown_no_value() -> None:
    broken = frame_transform(lambda frame: frame.assign(who=pd.Series(["Anna \ud800"], dtype=object)))
    with pytest.raises(AltegioValidationError, match="unpaired surrogate") as caught:
        list(broken(batches([1])))
    assert caught.value.__suppress_context__


def test_a_transform_may_be_named() -> None:
    named = frame_transform(f"{__name__}.restless")
    assert [batch.num_rows for batch in named(batches([0]))] == [1]


@pytest.mark.parametrize("transform", ["no.such.function", "nothing", 5, lambda frame: None])
def test_a_transform_that_is_none_is_refused(transform) -> None:
    with pytest.raises(AltegioValidationError, match="transform"):
        list(frame_transform(transform)(batches([1])))
