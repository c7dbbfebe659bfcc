"""Reads rows from text files: CSV, TSV and JSON Lines."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain
from typing import Any

import orjson

from altegio_provider.imports.files.row_source import MAX_COLUMNS, RowSource, checked_columns, checked_count, is_blank
from altegio_provider.imports.files.text_file import DELIMITERS, Lines, TextFile, declared_separator
from altegio_provider.imports.model import ImportFileError, SourceRow

__all__ = ["CsvSource", "JsonLinesSource"]

_DEEPEST = 10


class CsvSource(RowSource):
    """The rows of a CSV file.

    Cells under an empty heading count as surplus; spreadsheet programs write such columns.

    :param file: the file.
    :param delimiter: one character.
    :raises ImportFileError: the file is empty, or its heading does not have the delimiter.
    """

    def __init__(self, file: TextFile, delimiter: str) -> None:
        if len(delimiter) != 1:
            raise ImportFileError("delimiter must be one character, such as ',' or ';'.")
        self._file = file
        self._delimiter = delimiter
        with self._records() as records:
            self._heading_line, cells = next(records, (0, []))
        if not cells:
            raise ImportFileError(f"{file.name} is empty: it has no headings and no rows.")
        self._check_delimiter(cells)
        columns = checked_columns([cell for cell in cells if not is_blank(cell)], file.name)
        named = iter(columns)
        self._columns_by_cell = [None if is_blank(cell) else next(named) for cell in cells]
        kind = DELIMITERS.get(delimiter, repr(delimiter))
        super().__init__(file.name, columns, f"{file.encoding}, delimited by {kind}")

    def _rows(self) -> Iterator[SourceRow]:
        columns: list[Any] = self.columns
        with self._records() as records:
            next(records, None)
            for line, cells in records:
                if len(cells) == len(columns) == len(self._columns_by_cell):
                    yield SourceRow(line, dict(zip(columns, cells, strict=True)))
                else:
                    yield SourceRow(line, self._uneven(cells))

    def _uneven(self, cells: list[str]) -> dict[Any, Any]:
        values: dict[Any, Any] = {}
        surplus = cells[len(self._columns_by_cell) :]
        for column, cell in zip(self._columns_by_cell, cells, strict=False):
            if column is None:
                surplus.append(cell)
            else:
                values[column] = cell
        if not all(map(is_blank, surplus)):
            values[None] = surplus
        return values

    @contextmanager
    def _records(self) -> Iterator[Iterator[tuple[int, list[str]]]]:
        """The records that are not blank, the heading too, each with its first line."""
        with self._file.lines() as lines:
            yield self._numbered(lines)

    def _numbered(self, lines: Lines) -> Iterator[tuple[int, list[str]]]:
        first = next(lines, "")
        skipped = 1 if declared_separator(first) else 0
        reader = csv.reader(lines if skipped else chain([first], lines), delimiter=self._delimiter, strict=True)
        line = 1 + skipped
        records = -1  # without the heading
        try:
            for cells in reader:
                if any(cell.strip() for cell in cells):
                    records += 1
                    checked_count(records, self._file.name)
                    yield line, cells
                line = reader.line_num + 1 + skipped
                lines.begin_record()
        except csv.Error as error:
            raise ImportFileError(f"{self._file.name}, line {line}: {_csv_error_text(error)}") from None

    def _check_delimiter(self, cells: list[str]) -> None:
        if len(cells) > 1 or (self._delimiter in DELIMITERS and not any(other in cells[0] for other in DELIMITERS)):
            return
        if other := next((other for other in DELIMITERS if other in cells[0]), None):
            raise ImportFileError(
                f"{self._file.name}: the heading has no {self._delimiter!r}, but it has a {DELIMITERS[other]}. "
                f"Remove delimiter=, or set it to {other!r}."
            )


class JsonLinesSource(RowSource):
    """The rows of a JSON Lines file: one JSON object in each line. Its keys are the headings; a missing key is null.

    :param file: the file. It is read once in advance to collect the keys.
    :raises ImportFileError: a line is not a JSON object.
    """

    def __init__(self, file: TextFile) -> None:
        self._file = file
        keys: dict[str, None] = {}
        for _, values in self._objects():
            if not values.keys() <= keys.keys():
                keys.update(dict.fromkeys(values))
                if len(keys) > MAX_COLUMNS:
                    break  # however many more there are
        if not keys:
            raise ImportFileError(f"{file.name} is empty: it has no JSON object.")
        super().__init__(file.name, checked_columns(list(keys), file.name), f"JSON Lines, {file.encoding}")
        self._columns_of_keys = dict(zip(keys, self.columns, strict=True))

    def _rows(self) -> Iterator[SourceRow]:
        nothing = dict.fromkeys(self.columns)
        for line, values in self._objects():
            if not all(map(is_blank, values.values())):
                yield SourceRow(line, nothing | {self._columns_of_keys[key]: cell for key, cell in values.items()})

    def _objects(self) -> Iterator[tuple[int, dict[str, Any]]]:
        objects = 0
        with self._file.lines() as lines:
            for number, text in enumerate(lines, 1):
                lines.begin_record()
                if text.isspace():
                    continue
                objects += 1
                checked_count(objects, self._file.name)
                try:
                    value = orjson.loads(text)
                except orjson.JSONDecodeError:
                    value = None
                if not isinstance(value, dict):
                    raise ImportFileError(
                        f"{self._file.name}, line {number} is not a JSON object. Write one object in each line."
                    )
                if not all(map(_is_flat, value.values())):
                    raise ImportFileError(
                        f"{self._file.name}, line {number} has a value nested deeper than {_DEEPEST} levels."
                    )
                yield number, value


def _is_flat(value: Any) -> bool:
    """Whether a cell is nested no deeper than a cell can sensibly be; what goes through all of it may recurse."""
    level = [value]
    for _ in range(_DEEPEST + 1):
        level = [
            inner
            for one in level
            if isinstance(one, list | dict)
            for inner in (one.values() if isinstance(one, dict) else one)
        ]
        if not level:
            return True
    return False


def _csv_error_text(error: csv.Error) -> str:
    text = str(error)
    if "field limit" in text:
        return f"a cell is longer than {csv.field_size_limit():,} characters. Shorten it, or close its quotation mark."
    if "unexpected end" in text:
        return "a quotation mark opens in this record and is never closed."
    if "expected after" in text:
        return "a quotation mark closes in the middle of a cell. Double it within quotes."
    return "it cannot be read as CSV."
