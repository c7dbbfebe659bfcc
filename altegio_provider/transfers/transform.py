"""Applies the user's function on DataFrames to record batches, chunk by chunk.

Import it when a task runs, not when a DAG is parsed. It imports pandas only if there is such a function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

import pyarrow as pa

from altegio_provider.api.arguments import argument_error

__all__ = ["frame_transform"]

_FRAME_ROWS = 10_000

Batches = Iterable[pa.RecordBatch]


def frame_transform(transform: Callable[[Any], Any] | str | None) -> Callable[[Batches], Iterator[pa.RecordBatch]]:
    """Return a function on record batches that applies the user's function on DataFrames, chunk by chunk.

    :param transform: the user's function, its import path, or ``None`` to leave the batches unchanged.
    :raises AltegioValidationError: the import path does not name a function.
    """
    if transform is None:
        return iter
    if isinstance(transform, str):
        from importlib import import_module

        module, _, name = transform.rpartition(".")
        try:
            transform = getattr(import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            raise argument_error("transform", f"{module}.{name} cannot be imported ({type(error).__name__})") from error
    if not callable(transform):
        raise argument_error("transform", "is not a function")
    function = transform

    def transformed(batches: Batches) -> Iterator[pa.RecordBatch]:
        schema: pa.Schema | None = None
        for table in _chunks(batches):
            result = _transformed(function, table, schema)
            schema = result.schema
            yield from result.combine_chunks().to_batches() or [_empty(schema)]

    return transformed


def _empty(schema: pa.Schema) -> pa.RecordBatch:
    return pa.RecordBatch.from_pylist([], schema=schema)


def _chunks(batches: Batches) -> Iterator[pa.Table]:
    gathered: list[pa.RecordBatch] = []
    rows = 0
    for batch in batches:
        gathered.append(batch)
        rows += batch.num_rows
        if rows >= _FRAME_ROWS:
            yield pa.Table.from_batches(gathered)
            gathered, rows = [], 0
    if gathered:
        yield pa.Table.from_batches(gathered)


def _transformed(function: Callable[[Any], Any], table: pa.Table, schema: pa.Schema | None) -> pa.Table:
    import pandas as pd

    frame = function(table.to_pandas(types_mapper=pd.ArrowDtype))
    if not isinstance(frame, pd.DataFrame):
        raise argument_error("transform", f"must return a DataFrame, not {type(frame).__name__}")
    if schema is not None and list(frame.columns) != schema.names:
        raise argument_error(
            "transform",
            f"must return one schema for all chunks: the columns were {schema.names} and became {list(frame.columns)}",
        )
    try:
        result = pa.Table.from_pandas(frame, schema=schema, preserve_index=False)
    except UnicodeEncodeError:
        raise argument_error(
            "transform", "returned a text with an unpaired surrogate, which Parquet cannot store"
        ) from None
    except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
        # The error's first text shows the value, which may be a person's name. The others name the column.
        where = "; ".join(map(str, error.args[1:])) or type(error).__name__
        raise argument_error(
            "transform", f"must return one schema for all chunks, with types that Parquet has ({where})"
        ) from None
    return result.replace_schema_metadata(None)
