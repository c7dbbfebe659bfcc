"""Opens the source of an import: a file, a list, a DataFrame, or the rows of a query.

Rows are read as a stream and keep their line numbers. If the source as a whole cannot be read, :class:`ImportFileError`
is raised at once. ``validation`` checks the single rows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePath
from typing import IO, Any, cast

from altegio_provider.api.http.redaction import single_line
from altegio_provider.imports.files.formulas import REPORT_COLUMNS, unescaped
from altegio_provider.imports.files.row_source import OpenFile, RowSource, checked_columns, is_blank
from altegio_provider.imports.files.source_copy import SourceCopy
from altegio_provider.imports.model import ImportFileError, SourceRow

__all__ = [
    "open_source",
    "rows_source",
]


_FORMATS = {
    ".csv": "csv",
    ".txt": "csv",
    ".tsv": "tsv",
    ".tab": "tsv",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".parquet": "parquet",
    ".pq": "parquet",
    ".xlsx": "xlsx",
    ".xlsm": "xlsx",
}
_MAGIC = {
    b"PAR1": "a Parquet file",
    b"PK\x03\x04": "an Excel workbook or another zip file",
    b"\xd0\xcf\x11\xe0": "a workbook in the old Excel format (save it as .xlsx)",
    b"%PDF": "a PDF document",
}
_MAGIC_OF = {"parquet": b"PAR1", "xlsx": b"PK\x03\x04"}
_CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")


class _MappingsSource(RowSource):
    def __init__(self, name: str, keys: list[Any], rows: Iterable[Mapping[str, Any]]) -> None:
        super().__init__(name, checked_columns(keys, name), "rows")
        self._columns_of_keys = dict(zip(keys, self.columns, strict=True))
        self._mappings = rows
        self._was_read = False
        self.is_read_once = iter(rows) is rows

    def _rows(self) -> Iterator[SourceRow]:
        rows = iter(self._mappings)
        if self._was_read and rows is self._mappings:
            raise ImportFileError(f"{self.name} can be read only once and were read already.")
        self._was_read = True
        columns = self._columns_of_keys
        for number, row in enumerate(rows, 1):
            if not isinstance(row, Mapping):
                raise ImportFileError(f"{self.name}: row {number} is a {type(row).__name__}, not a mapping.")
            if all(map(is_blank, row.values())):
                continue
            values: dict[Any, Any] = {column: row.get(key) for key, column in columns.items()}
            if not row.keys() <= columns.keys():
                values[None] = [row[key] for key in row if key not in columns]
            yield SourceRow(number, values)


class _UnescapedSource(RowSource):
    """The rows of a corrected ``rejected.csv``, without the apostrophes that escape formulas."""

    def __init__(self, source: RowSource) -> None:
        super().__init__(source.name, [unescaped(column) for column in source.columns], source.how)
        self._source = source
        self.digest = source.digest
        self.is_read_once = source.is_read_once

    def _rows(self) -> Iterator[SourceRow]:
        for row in self._source:
            yield SourceRow(row.line, {_unescaped(key): _unescaped(value) for key, value in row.values.items()})

    def close(self) -> None:
        super().close()
        self._source.close()


def open_source(
    source: Any, *, format: str | None = None, delimiter: str | None = None, encoding: str | None = None
) -> RowSource:
    """Open a source of rows and read its headings.

    :param source: a path or URL, as text or as an object with ``open``; a list of mappings; or a ``DataFrame``.
    :param format: ``csv``, ``tsv``, ``jsonl``, ``parquet`` or ``xlsx``; default: by the file name's extension
        (``.gz`` after a text format is allowed).
    :param delimiter: the delimiter of CSV; default: detected among comma, semicolon, tab and ``|``.
    :param encoding: the encoding of text; default: UTF-8 if the whole file is valid UTF-8, UTF-16 if it has a byte
        order mark, cp1251 if it reads as Cyrillic.
    :raises ImportFileError: the source does not exist, is empty or damaged, or has another format.
    """
    if isinstance(source, str | PurePath) or hasattr(source, "open"):
        return _report_unescaped(_open_file(source, format, delimiter, encoding))
    if hasattr(source, "itertuples") and hasattr(source, "columns"):
        from altegio_provider.imports.files.tabular import DataFrameSource

        return _report_unescaped(DataFrameSource(source))
    if isinstance(source, list | tuple):
        return _report_unescaped(_MappingsSource("the list", _keys_of(source), source))
    raise ImportFileError(
        f"the source is a {type(source).__name__}; expected a path or URL, a list of mappings, or a DataFrame."
    )


def _report_unescaped(source: RowSource) -> RowSource:
    return source if REPORT_COLUMNS.isdisjoint(source.columns) else _UnescapedSource(source)


def _unescaped(value: Any) -> Any:
    if isinstance(value, list):
        return [_unescaped(one) for one in value]
    return unescaped(value) if isinstance(value, str) else value


def rows_source(columns: Iterable[str], rows: Iterable[Mapping[str, Any]], *, name: str = "the rows") -> RowSource:
    """Return a source of rows that are already available, such as those of a query.

    :param columns: the headings.
    :param rows: mappings of heading to value. An iterator can be read only once.
    :param name: the name of the source, for errors.
    """
    return _MappingsSource(name, list(columns), rows)


def _keys_of(rows: Iterable[Any]) -> list[str]:
    keys: dict[Any, None] = {}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise ImportFileError(f"row {number} of the list is a {type(row).__name__}, not a mapping.")
        keys.update(dict.fromkeys(row))
    if not keys:
        raise ImportFileError("the list of rows is empty.")
    return list(keys)


def _open_file(source: Any, format: str | None, delimiter: str | None, encoding: str | None) -> RowSource:
    name = single_line(_CREDENTIALS.sub("", str(source)))
    kind = format or _FORMATS.get(_suffix(name), "")
    if kind not in _FORMATS.values():
        raise ImportFileError(f"{name}: the format is unknown. Give format=, one of csv, tsv, jsonl, parquet, xlsx.")
    copy = SourceCopy(_opener(source, name), name)
    try:
        return _reader_of(copy.open, name, kind, delimiter, encoding).with_copy(copy)
    except BaseException:
        copy.close()
        raise


def _reader_of(open_raw: OpenFile, name: str, kind: str, delimiter: str | None, encoding: str | None) -> RowSource:
    from altegio_provider.imports.files import delimited, tabular, text_file

    with open_raw() as file:
        head = file.read(4)
    if not head:
        raise ImportFileError(f"{name} is empty.")
    _check_magic(name, kind, head)
    if kind == "parquet":
        return tabular.ParquetSource(name, open_raw)
    if kind == "xlsx":
        return tabular.WorkbookSource(name, open_raw)
    text = text_file.TextFile(name, open_raw, encoding)
    if kind == "jsonl":
        return delimited.JsonLinesSource(text)
    if delimiter and text_file.is_report(text):
        delimiter = ","
    return delimited.CsvSource(text, delimiter or text_file.delimiter_of(text))


def _opened_url(url: str, name: str) -> IO[bytes]:
    import fsspec

    try:
        file = fsspec.open(url, "rb")
    except (ImportError, ValueError):
        scheme = name.partition("://")[0]
        raise ImportFileError(f"{name}: no library for {scheme}:// is installed.") from None
    return cast("IO[bytes]", file.open())


def _suffix(name: str) -> str:
    path = PurePath(name.lower())
    return PurePath(path.stem).suffix if path.suffix == ".gz" else path.suffix


def _check_magic(name: str, kind: str, head: bytes) -> None:
    wanted = _MAGIC_OF.get(kind)
    if wanted and not head.startswith(wanted):
        raise ImportFileError(f"{name}: the content is not {kind}, or the file is cut off.")
    for magic, what in _MAGIC.items():
        if head.startswith(magic) and magic != wanted:
            raise ImportFileError(f"{name} is {what}, not {kind}.")


def _opener(source: Any, name: str) -> OpenFile:
    def open_file() -> IO[bytes]:
        try:
            if not isinstance(source, str):
                return cast("IO[bytes]", source.open("rb"))
            if "://" in source:
                return _opened_url(source, name)
            return open(os.path.expanduser(source), "rb")
        except FileNotFoundError:
            raise ImportFileError(f"the file {name} does not exist.") from None
        except IsADirectoryError:
            raise ImportFileError(f"{name} is a folder; give a file in it.") from None
        except PermissionError:
            raise ImportFileError(f"{name}: this user has no permission to read it.") from None

    return open_file
