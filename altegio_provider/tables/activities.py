"""Flat activity rows to Arrow record batches: whatever comes, nothing is lost and nothing stops.

A page is turned column by column. A column whose values all have the type that it expects is made in one go; only
one that has not is looked at value by value. What has no column, or does not fit its own, goes into ``extra``, at
the place in the row where the API had it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import pyarrow as pa

from altegio_provider.tables.arrays import array_of, constant
from altegio_provider.tables.leftovers import Leftovers
from altegio_provider.tables.members import Members
from altegio_provider.tables.moments import Moments, Read
from altegio_provider.tables.schema import ACTIVITY_COLUMNS, ACTIVITY_SCHEMA, Column
from altegio_provider.tables.values import MISFIT, lossless
from altegio_provider.times import load_zone

__all__ = ["ActivityBatches"]

Row = Mapping[str, Any]
Path = tuple[str, ...]

#: Rows turned at once: dicts are large, Arrow is not.
_ROWS = 1_000
_NONE = type(None)
_EMPTY: Row = {}
_COLUMNS = {column.name: column for column in ACTIVITY_COLUMNS}
_MADE = {"location_id", "timezone", "starts_at", "starts_at_local", "extra", "extracted_at"}
_UNKNOWN_REMEMBERED = 100


def _known_keys() -> dict[Path, set[str]]:
    """For each object of a row, the keys that have a column or hold an object that has some."""
    known: dict[Path, set[str]] = {}
    for column in ACTIVITY_COLUMNS:
        for path in column.paths:
            for depth in range(len(path)):
                known.setdefault(path[:depth], set()).add(path[depth])
    return dict(sorted(known.items(), key=lambda item: len(item[0])))


#: The objects of a row, each after the one that it is in.
_KNOWN = _known_keys()


class ActivityBatches:
    """Turns the activities of one location into record batches, and counts what did not fit.

    The counters are of all rows so far.

    :param location_id: the location that was asked.
    :param timezone: its IANA time zone.
    :param extracted_at: when the reading began, aware; default: now.
    :raises ValueError: there is no such time zone.
    """

    schema = ACTIVITY_SCHEMA

    def __init__(self, location_id: int, timezone: str, extracted_at: datetime | None = None) -> None:
        self._location_id = location_id
        self._timezone = timezone
        self._moments = Moments(load_zone(timezone))
        self._extracted_us = round((extracted_at or datetime.now(UTC)).timestamp() * 1_000_000)
        self.rows = 0
        #: Rows whose ``id`` is missing or no whole number: they cannot be told apart by it.
        self.rows_without_id = 0
        #: For each column or object, how many values did not fit and went to ``extra``.
        self.misfits: Counter[str] = Counter()
        #: Fields that the schema does not know, with how many rows had them; the first hundred names are kept.
        self.unknown_fields: Counter[str] = Counter()

    @property
    def start_disagreements(self) -> int:
        """Rows whose ``timestamp`` was not the moment that ``date`` names in the time zone."""
        return self._moments.clock.disagreements

    @property
    def rows_without_start(self) -> int:
        """Rows that do not say when they start."""
        return self._moments.clock.unknown

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
        page = _Page(rows, self.misfits, self.unknown_fields)
        arrays = self._made(page)
        for column in ACTIVITY_COLUMNS:
            if column.name == "created_at":
                arrays[column.name] = page.moments(column, self._moments.created)
            elif column.name == "schedule_till":
                arrays[column.name] = page.moments(column, self._moments.schedule_till)
            elif column.name not in _MADE:
                arrays[column.name] = page.column(column)
        if arrays["is_deleted"].null_count:
            flags = [bool(flag) for flag in arrays["is_deleted"].to_pylist()]
            arrays["is_deleted"] = array_of(pa.bool_(), flags) or arrays["is_deleted"]
        arrays["extra"] = array_of(pa.string(), page.leftovers.texts())
        self.rows += len(rows)
        self.rows_without_id += arrays["id"].null_count
        return pa.RecordBatch.from_arrays([arrays[name] for name in ACTIVITY_SCHEMA.names], schema=ACTIVITY_SCHEMA)

    def _made(self, page: _Page) -> dict[str, pa.Array]:
        """The columns that are no field's own."""
        count = len(page.rows)
        starts = self._moments.starts(page.members)
        for number, field in starts.untold:
            page.leftovers.put(number, (field,), page.rows[number][field])
        location = _COLUMNS["location_id"]
        return {
            "location_id": page.column(location, [self._location_id] * count),
            "timezone": constant(pa.string(), self._timezone, count),
            "starts_at": array_of(_COLUMNS["starts_at"].type, starts.instants),
            "starts_at_local": array_of(_COLUMNS["starts_at_local"].type, starts.walls),
            "extracted_at": constant(_COLUMNS["extracted_at"].type, self._extracted_us, count),
        }

    def warn(self, log: Any) -> None:
        """Tell a logger, once, what did not add up. It names fields and columns, never a value."""
        for column, times in self.misfits.items():
            log.warning(
                "%d of %d rows: the value of %s did not fit its column and stands in `extra`", times, self.rows, column
            )
        if self.unknown_fields:
            log.info("Fields without a column, which stand in `extra`: %s", ", ".join(sorted(self.unknown_fields)))
        if self.rows_without_id:
            log.warning("%d of %d rows have no `id` that is a number", self.rows_without_id, self.rows)
        if self.start_disagreements:
            log.warning(
                "%d of %d rows: `timestamp` is not the moment that `date` names in %s; `date` was taken. "
                "Where it is all rows, check the time zone.",
                self.start_disagreements,
                self.rows,
                self._timezone,
            )
        if self.rows_without_start:
            log.warning("%d of %d rows do not say when they start", self.rows_without_start, self.rows)


class _Page:
    """The rows of one batch while they are turned: their nested objects, and what is left of them."""

    def __init__(self, rows: Sequence[Row], misfits: Counter[str], unknown_fields: Counter[str]) -> None:
        self.rows = rows
        self.leftovers = Leftovers(len(rows))
        self._misfits = misfits
        self._unknown_fields = unknown_fields
        #: The rows themselves, and the objects that they have at each path.
        self.members = Members(rows)
        self._members: dict[Path, Members] = {(): self.members}
        for path, known in _KNOWN.items():
            if path:
                self._members[path] = Members(self._objects(path))
            members = self._members[path]
            if not members.keys <= known:
                self._set_aside(path, members.objects, known)

    def values(self, path: Path) -> list[Any]:
        """The value that each row has at a path; ``None`` where it has none."""
        return self._members[path[:-1]].values(path[-1])

    def column(self, column: Column, values: list[Any] | None = None) -> pa.Array:
        """Read a column from its fields; ``values`` are ours, which the fields only echo."""
        further: Sequence[Path] = column.paths
        if values is None:
            first, *further = column.paths
            values = self.values(first)
            array = array_of(column.type, values)
            if array is None:
                values = self._fitted(column, first, values)
                array = array_of(column.type, values)
        else:
            array = array_of(column.type, values)
        for path in further:
            filled = self._filled(column, path, values)
            if filled is not None:
                values, array = filled, array_of(column.type, filled)
        return array

    def moments(self, column: Column, read: Callable[[list[Any]], Read]) -> pa.Array:
        """Read a column of moments from its one field."""
        (path,) = column.paths
        values = self.values(path)
        moments, untold, misfits = read(values)
        for number in untold:
            self.leftovers.put(number, path, values[number])
        if misfits:
            self._misfits[column.name] += len(misfits)
        return array_of(column.type, moments)

    def _objects(self, path: Path) -> Sequence[Row]:
        """The objects that the rows have at a path; an empty one where there is none."""
        found = self.values(path)
        if set(map(type, found)) == {dict}:
            return found
        objects = list(found)
        for number, member in enumerate(found):
            if type(member) is not dict:
                objects[number] = _EMPTY
                if member is not None and member != []:  # PHP writes an empty object as an empty list
                    self.leftovers.put(number, path, member)
                    self._misfits[".".join(path)] += 1
        return objects

    def _set_aside(self, path: Path, objects: Sequence[Row], known: set[str]) -> None:
        for number, holder in enumerate(objects):
            for key in holder.keys() - known:
                self.leftovers.put(number, (*path, key), holder[key])
                field = ".".join((*path, key))
                if field in self._unknown_fields or len(self._unknown_fields) < _UNKNOWN_REMEMBERED:
                    self._unknown_fields[field] += 1

    def _fitted(self, column: Column, path: Path, values: Sequence[Any]) -> list[Any]:
        """The values as the column's type has them; what cannot be so is null and left over."""
        fitted: list[Any] = []
        for number, value in enumerate(values):
            made = lossless(column.type, value)
            if made is MISFIT:
                self._misfits[column.name] += 1
                self.leftovers.put(number, path, value)
                made = None
            elif pa.types.is_list(column.type) and made is not None:
                self._set_items_aside(column.type.value_type, number, path, value)
            fitted.append(made)
        return fitted

    def _set_items_aside(self, kind: pa.StructType, number: int, path: Path, items: Sequence[Row]) -> None:
        """Keep what the items of a list have beyond their fields: a list of as many objects of the rest."""
        known = {kind.field(place).name for place in range(kind.num_fields)}
        rest = [{key: item[key] for key in item if key not in known} for item in items]
        if any(rest):
            self.leftovers.put(number, path, rest)

    def _filled(self, column: Column, path: Path, values: list[Any]) -> list[Any] | None:
        """The values, with a further field where they are empty; where it says something else, it is left over.

        :returns: ``None`` where nothing was filled.
        """
        said = self.values(path)
        types = set(map(type, said))
        if types == {_NONE} or (types == set(map(type, values)) and said == values):
            return None
        filled, has_filled = list(values), False
        for number, value in enumerate(said):
            made = lossless(column.type, value)
            if made is None or (made is not MISFIT and made == filled[number]):
                continue
            if made is not MISFIT and filled[number] is None:
                filled[number], has_filled = made, True
                continue
            self.leftovers.put(number, path, value)
            if made is MISFIT:
                self._misfits[column.name] += 1
        return filled if has_filled else None


def _joined(batches: Sequence[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)
