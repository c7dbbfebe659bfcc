"""Converts the rows of one batch, with their nested objects, column by column."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import pyarrow as pa

from altegio_provider.tables.convert.arrays import array_of
from altegio_provider.tables.convert.characters import is_storable, replace_unstorable
from altegio_provider.tables.convert.columns import ObjectColumns
from altegio_provider.tables.convert.extra_fields import ExtraFields
from altegio_provider.tables.convert.timestamps import ReadTimestamps
from altegio_provider.tables.convert.values import MISMATCH, convert_exactly
from altegio_provider.tables.schema import Column

__all__ = ["BatchBuilder", "Path", "Row", "known_keys"]

Row = Mapping[str, Any]
Path = tuple[str, ...]

_NONE = type(None)
_EMPTY: Row = {}
_UNKNOWN_REMEMBERED = 100


def known_keys(columns: Iterable[Column]) -> dict[Path, set[str]]:
    """Return, for each object of a row, the keys that a column is read from.

    :param columns: the table's columns.
    :returns: the keys by the path of their object, outer objects first.
    """
    known: dict[Path, set[str]] = {}
    for column in columns:
        for path in column.paths:
            for depth in range(len(path)):
                known.setdefault(path[:depth], set()).add(path[depth])
    return dict(sorted(known.items(), key=lambda item: len(item[0])))


class BatchBuilder:
    """Converts the rows of one batch to Arrow arrays.

    :param rows: flat rows with their nested objects.
    :param known: what :func:`known_keys` returned for the table's columns.
    :param extra_fields: receives the values that no column holds.
    :param mismatches: counts, for each column or object, the values that did not fit.
    :param unknown_fields: counts the fields without a column. At most a hundred names are kept.
    :param replacements: counts, for each column, the texts in which characters were replaced that a warehouse cannot
        store.
    """

    def __init__(
        self,
        rows: Sequence[Row],
        known: Mapping[Path, set[str]],
        extra_fields: ExtraFields,
        mismatches: Counter[str],
        unknown_fields: Counter[str],
        replacements: Counter[str],
    ) -> None:
        self.rows = rows
        self.extra_fields = extra_fields
        self._mismatches = mismatches
        self._unknown_fields = unknown_fields
        self._replacements = replacements
        #: The rows by column. `_columns` has them and the nested objects of each path.
        self.columns = ObjectColumns(rows)
        self._columns: dict[Path, ObjectColumns] = {(): self.columns}
        for path, keys in known.items():
            if path:
                self._columns[path] = ObjectColumns(self._objects(path))
            members = self._columns[path]
            if not members.keys <= keys:
                self._keep_unknown_keys(path, members.objects, keys)

    def values(self, path: Path) -> list[Any]:
        """Return the value of each row at a path, ``None`` if a row has none.

        :param path: the keys that lead to the value.
        """
        return self._columns[path[:-1]].values(path[-1])

    def column(self, column: Column, values: list[Any] | None = None) -> pa.Array:
        """Convert a column from its fields.

        :param column: the column.
        :param values: known values of the column, such as the location's id; the fields are only compared with them.
        """
        further: Sequence[Path] = column.paths
        if values is None:
            first, *further = column.paths
            values = self._field_values(column, first)
            array = array_of(column.type, values)
            if array is None:
                values = self._convert_values(column, first, values)
                array = array_of(column.type, values)
        else:
            array = array_of(column.type, values)
        for path in further:
            filled = self._fill_empty(column, path, values)
            if filled is not None:
                values, array = filled, array_of(column.type, filled)
        return array

    def timestamps(self, column: Column, read: Callable[[list[Any]], ReadTimestamps]) -> pa.Array:
        """Convert a column of timestamps from its only field.

        :param column: the column.
        :param read: converts the field's values.
        """
        (path,) = column.paths
        values = self.values(path)
        microseconds, lossy, mismatches = read(values)
        for number in lossy:
            self.extra_fields.put(number, path, values[number])
        if mismatches:
            self._mismatches[column.name] += len(mismatches)
        return array_of(column.type, microseconds)

    def _field_values(self, column: Column, path: Path) -> list[Any]:
        """Return the values of one of a column's fields, with ``None`` in place of a 0 that means "none"."""
        values = self.values(path)
        if not column.zero_is_none or not (0 in values or "0" in values):
            return values
        return [None if value == "0" or (type(value) is int and value == 0) else value for value in values]

    def _objects(self, path: Path) -> Sequence[Row]:
        """Return the object that each row has at a path, an empty one if a row has none."""
        found = self.values(path)
        types = set(map(type, found))
        if types == {dict}:
            return found
        if types == {_NONE}:
            return [_EMPTY] * len(found)
        objects = list(found)
        for number, member in enumerate(found):
            if type(member) is not dict:
                objects[number] = _EMPTY
                if member is not None and member != []:  # PHP writes an empty object as an empty list
                    self.extra_fields.put(number, path, member)
                    self._mismatches[".".join(path)] += 1
        return objects

    def _keep_unknown_keys(self, path: Path, objects: Sequence[Row], known: set[str]) -> None:
        for number, holder in enumerate(objects):
            for key in holder.keys() - known:
                self.extra_fields.put(number, (*path, key), holder[key])
                field = ".".join((*path, key))
                if field in self._unknown_fields or len(self._unknown_fields) < _UNKNOWN_REMEMBERED:
                    self._unknown_fields[field] += 1

    def _convert_values(self, column: Column, path: Path, values: Sequence[Any]) -> list[Any]:
        """Convert the values one by one. A value that does not fit becomes null and goes to ``extra``."""
        fitted: list[Any] = []
        for number, value in enumerate(values):
            made, is_replaced = _convert(column, value)
            if made is MISMATCH:
                self._mismatches[column.name] += 1
                self.extra_fields.put(number, path, value)
                made = None
            elif pa.types.is_list(column.type) and made is not None:
                self._keep_item_extras(column.type.value_type, number, path, value)
            elif is_replaced:
                self.extra_fields.put(number, path, value)
            if is_replaced:
                self._replacements[column.name] += 1
            fitted.append(made)
        return fitted

    def _keep_item_extras(self, kind: pa.StructType, number: int, path: Path, items: Sequence[Row]) -> None:
        """Put into ``extra`` what the column does not hold of a list's items, as a list of as many objects.

        Each object has the item's unknown keys, and the originals of texts in which characters were replaced.
        """
        known = {kind.field(place).name for place in range(kind.num_fields)}
        rest = [
            {
                key: part
                for key, part in item.items()
                if key not in known or (type(part) is str and not is_storable(part))
            }
            for item in items
        ]
        if any(rest):
            self.extra_fields.put(number, path, rest)

    def _fill_empty(self, column: Column, path: Path, values: list[Any]) -> list[Any] | None:
        """Fill empty values from a further field. Where that field has another value, put it into ``extra``.

        :returns: ``None`` if nothing was filled.
        """
        further = self._field_values(column, path)
        types = set(map(type, further))
        if types == {_NONE} or (types == set(map(type, values)) and further == values):
            return None
        filled, has_filled = list(values), False
        for number, value in enumerate(further):
            made, is_replaced = _convert(column, value)
            if made is None or (made is not MISMATCH and not is_replaced and made == filled[number]):
                continue
            if made is not MISMATCH and filled[number] is None:
                filled[number], has_filled = made, True
                if not is_replaced:
                    continue
                self._replacements[column.name] += 1
            self.extra_fields.put(number, path, value)
            if made is MISMATCH:
                self._mismatches[column.name] += 1
        return filled if has_filled else None


def _convert(column: Column, value: Any) -> tuple[Any, bool]:
    """Return the value in the column's type, or :data:`MISMATCH`, and whether characters were replaced for that."""
    made = convert_exactly(column.type, value)
    if made is not MISMATCH:
        return made, False
    made = convert_exactly(column.type, replace_unstorable(value))
    return made, made is not MISMATCH
