"""Flat activity rows to Arrow record batches: whatever comes, nothing is lost and nothing stops.

A page is turned column by column. A column whose values all have the type that it expects is made in one go; only
one that has not is looked at value by value. What has no column, or does not fit its own, goes into ``extra`` under
the name that the API gave it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import orjson
import pyarrow as pa

from altegio_provider.tables.schema import ACTIVITY_COLUMNS, ACTIVITY_SCHEMA
from altegio_provider.tables.values import fits, lossless
from altegio_provider.times import LocationClock, load_zone

__all__ = ["ActivityBatches"]

Row = Mapping[str, Any]

#: Rows turned at once where the caller does not say: dicts are large, Arrow is not.
_ROWS = 1_000

#: Fields that say over again what a column holds; they go to ``extra`` only where they say something else.
_ECHOES = {
    "company_id": "location_id",
    "salon_id": "location_id",
    "master_id": "staff_id",
    "staff.id": "staff_id",
    "staff.company_id": "location_id",
    "service.id": "service_id",
    "service.category.id": "service_category_id",
    "service.category.category_id": "service_category_id",
}


class _Branch:
    """A nested object: which of its keys have a column, and which have an object of their own."""

    def __init__(self) -> None:
        self.leaves: dict[str, str] = {}  # key -> the column it fills, or its own path where it fills none
        self.branches: dict[str, _Branch] = {}
        self._unknown: dict[tuple[str, ...], tuple[str, ...]] = {}

    def unknown(self, value: Row) -> tuple[str, ...]:
        """The keys without a column; most rows have the same keys, so the answer is remembered by them."""
        keys = tuple(value)
        try:
            return self._unknown[keys]
        except KeyError:
            unknown = tuple(key for key in keys if key not in self.leaves and key not in self.branches)
            if len(self._unknown) < 1000:
                self._unknown[keys] = unknown
            return unknown


def _tree() -> _Branch:
    root = _Branch()
    filled = {column.source: column.name for column in ACTIVITY_COLUMNS if column.source}
    for source, column in {**filled, **{echo: echo for echo in _ECHOES}}.items():
        *path, leaf = source.split(".")
        branch = root
        for name in path:
            branch = branch.branches.setdefault(name, _Branch())
        branch.leaves[leaf] = column
    return root


class ActivityBatches:
    """Turns the activities of one location into record batches, and counts what did not fit.

    :param location_id: the location that was asked.
    :param timezone: its IANA time zone.
    :param extracted_at: when the reading began; default: now.
    """

    schema = ACTIVITY_SCHEMA

    def __init__(self, location_id: int, timezone: str, extracted_at: datetime | None = None) -> None:
        self._location_id = location_id
        self._timezone = timezone
        self._clock = LocationClock(load_zone(timezone))
        self._extracted_at = extracted_at or datetime.now(UTC)
        self._root = _tree()
        self.rows = 0
        #: For each column, how many values did not fit and went to ``extra``.
        self.misfits: Counter[str] = Counter()

    @property
    def start_disagreements(self) -> int:
        """Rows whose ``timestamp`` was not the moment that ``date`` names in the time zone."""
        return self._clock.disagreements

    def batches(self, rows: Iterable[Row], rows_per_batch: int = _ROWS) -> Iterator[pa.RecordBatch]:
        """Yield record batches of so many rows, the last one shorter; at least one, if empty."""
        iterator = iter(rows)
        chunk = list(islice(iterator, min(rows_per_batch, _ROWS)))
        gathered = [self.batch(chunk)]
        while chunk:
            waiting = sum(batch.num_rows for batch in gathered)
            if waiting >= rows_per_batch:
                yield _joined(gathered)
                gathered, waiting = [], 0
            chunk = list(islice(iterator, min(rows_per_batch - waiting, _ROWS)))
            if chunk:
                gathered.append(self.batch(chunk))
        if gathered:
            yield _joined(gathered)

    def batch(self, rows: Sequence[Row]) -> pa.RecordBatch:
        """Return one record batch of these rows, of the activities' schema."""
        extras: list[dict[str, Any] | None] = [None] * len(rows)
        values: dict[str, list[Any]] = {}
        self._gather(self._root, rows, (), extras, values)
        self._check_echoes(values, extras)
        starts = [self._clock.start_of(row) for row in rows]
        count = len(rows)
        computed = {
            "location_id": pa.repeat(pa.scalar(self._location_id, pa.int64()), count),
            "starts_at": pa.array([start and start.instant_us for start in starts], pa.timestamp("us", tz="UTC")),
            "starts_at_local": pa.array([start and start.wall_us for start in starts], pa.timestamp("us")),
            "timezone": pa.repeat(pa.scalar(self._timezone, pa.string()), count),
            "is_deleted": pa.repeat(pa.scalar(False), count),
            "extracted_at": pa.repeat(pa.scalar(self._extracted_at, pa.timestamp("us", tz="UTC")), count),
        }
        arrays: list[Any] = []
        for column in ACTIVITY_COLUMNS:
            if column.name == "extra":
                arrays.append(None)
            elif column.name in computed:
                arrays.append(computed[column.name])
            else:
                arrays.append(self._array(column.name, column.type, column.source, values[column.name], extras))
        texts = [None if extra is None else orjson.dumps(extra).decode() for extra in extras]
        arrays[ACTIVITY_SCHEMA.get_field_index("extra")] = pa.array(texts, pa.string())
        self.rows += count
        return pa.RecordBatch.from_arrays(arrays, schema=ACTIVITY_SCHEMA)

    def warn(self, log: Any) -> None:
        """Tell a logger, once, what did not add up."""
        for column, times in self.misfits.items():
            log.warning(
                "%d of %d rows: the value of %s did not fit its column and stands in `extra`", times, self.rows, column
            )
        if self.start_disagreements:
            log.warning(
                "%d of %d rows: `timestamp` is not the moment that `date` names in %s; `date` was taken. "
                "Where it is all rows, check the time zone.",
                self.start_disagreements,
                self.rows,
                self._timezone,
            )
        if self._clock.unknown:
            log.warning("%d of %d rows do not say when they start", self._clock.unknown, self.rows)

    def _gather(
        self,
        branch: _Branch,
        objects: Sequence[Row | None],
        path: tuple[str, ...],
        extras: list[dict[str, Any] | None],
        values: dict[str, list[Any]],
    ) -> None:
        """Collect each column's values, and put what has no column aside."""
        for number, value in enumerate(objects):
            if value:
                for key in branch.unknown(value):
                    _put(extras, number, (*path, key), value[key])
        empty: Row = {}
        present = [value or empty for value in objects]
        for key, column in branch.leaves.items():
            values[column] = [value.get(key) for value in present]
        for key, nested in branch.branches.items():
            children = [value.get(key) for value in present]
            if not _OBJECTS.issuperset(map(type, children)):
                for number, child in enumerate(children):
                    if child is not None and not isinstance(child, dict):
                        _put(extras, number, (*path, key), child)
                        self.misfits[".".join((*path, key))] += 1
                        children[number] = None
            self._gather(nested, children, (*path, key), extras, values)

    def _array(
        self, name: str, kind: pa.DataType, source: str, values: list[Any], extras: list[dict[str, Any] | None]
    ) -> pa.Array:
        if not fits(kind, values):
            for number, value in enumerate(values):
                if value is None:
                    continue
                values[number], is_whole = lossless(kind, value)
                if not is_whole:
                    _put(extras, number, tuple(source.split(".")), value)
                    self.misfits[name] += 1
        return pa.array(values, kind, from_pandas=False)

    def _check_echoes(self, values: dict[str, list[Any]], extras: list[dict[str, Any] | None]) -> None:
        for echo, column in _ECHOES.items():
            said = values.pop(echo)
            meant = values[column] if column in values else [self._location_id] * len(said)
            if said != meant:
                for number, value in enumerate(said):
                    if value is not None and value != meant[number]:
                        _put(extras, number, tuple(echo.split(".")), value)


_OBJECTS = frozenset({dict, type(None)})


def _put(extras: list[dict[str, Any] | None], number: int, path: tuple[str, ...], value: Any) -> None:
    extra = extras[number]
    if extra is None:
        extra = extras[number] = {}
    for name in path[:-1]:
        extra = extra.setdefault(name, {})
    extra[path[-1]] = value


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)
