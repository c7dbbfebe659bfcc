"""Opens what holds the rows to import, whatever it is: a file, a list, a frame, a query's rows.

Rows are read as a stream, and keep their line numbers. What makes a source unfit as a whole is said at once, as one
:class:`ImportFileError`; what may be wrong with a single row is left to ``validation``.
"""

from __future__ import annotations

import os
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import PurePath
from typing import IO, Any, Self, cast

from altegio_provider.api.http.redaction import on_one_line
from altegio_provider.imports.files.formulas import REPORT_COLUMNS, restored
from altegio_provider.imports.model import ImportFileError, SourceRow
from altegio_provider.imports.files.snapshot import Snapshot

__all__ = [
    "MAX_ROWS",
    "OpenFile",
    "RowSource",
    "checked_columns",
    "checked_count",
    "is_blank",
    "looks_like_data",
    "open_source",
    "rows_source",
]

#: More columns than this are another kind of file, or a wrong delimiter.
MAX_COLUMNS = 100
#: More rows than a sheet of Excel has are no list of clients: at the API's limit they would take days to send.
MAX_ROWS = 1_048_576

#: A heading longer than this is none, and is not shown in an error.
_LONGEST_HEADING = 1_000

#: Opens the file anew, for reading bytes from its beginning.
OpenFile = Callable[[], IO[bytes]]

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
    b"\xd0\xcf\x11\xe0": "a workbook of an old Excel (save it as .xlsx)",
    b"%PDF": "a PDF document",
}
_MAGIC_OF = {"parquet": b"PAR1", "xlsx": b"PK\x03\x04"}
_NUMBERS_ONLY = re.compile(r"[+(]?\d[\d\s()./:,+-]*")
_CREDENTIALS = re.compile(r"(?<=://)[^/@]*@")


class RowSource(ABC):
    """Rows under headings. Each iteration starts anew; it is also a context manager, which closes it.

    :param name: the file or thing, fit for an error or a log.
    :param columns: the headings, in order, each once.
    :param how: how it is read: the format, and what was found out of delimiter and encoding.
    """

    def __init__(self, name: str, columns: list[str], how: str) -> None:
        self.name = name
        self.columns = columns
        self.how = how
        #: SHA-256 of a file's content, as hexadecimal digits; ``None`` where it is no file.
        self.digest: str | None = None
        self._let_go: Callable[[], object] = lambda: None

    def reads(self, snapshot: Snapshot) -> Self:
        """Say that the rows come from this copy of a file, which goes when the source is closed."""
        self.digest, self._let_go = snapshot.digest, snapshot.close
        return self

    @abstractmethod
    def __iter__(self) -> Iterator[SourceRow]:
        """Yield the rows that are not blank.

        :raises ImportFileError: what cannot be read lies further down in the file.
        """

    def close(self) -> None:
        """Let go of what is open."""
        self._let_go()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class _Rows(RowSource):
    def __init__(self, name: str, keys: list[Any], rows: Iterable[Mapping[str, Any]]) -> None:
        super().__init__(name, checked_columns(keys, name), "rows")
        self._columns_of_keys = dict(zip(keys, self.columns, strict=True))
        self._rows = rows
        self._was_read = False

    def __iter__(self) -> Iterator[SourceRow]:
        rows = iter(self._rows)
        if self._was_read and rows is self._rows:
            raise ImportFileError(f"{self.name} can be read once only, and they were.")
        self._was_read = True
        columns = self._columns_of_keys
        for number, row in enumerate(rows, 1):
            if not isinstance(row, Mapping):
                raise ImportFileError(f"{self.name}: row {number} is a {type(row).__name__}, and no mapping.")
            if all(map(is_blank, row.values())):
                continue
            values: dict[Any, Any] = {column: row.get(key) for key, column in columns.items()}
            if not row.keys() <= columns.keys():
                values[None] = [row[key] for key in row if key not in columns]
            yield SourceRow(number, values)


class _Restored(RowSource):
    """The rows of our own ``rejected.csv``, without the marks that keep its cells from being formulas."""

    def __init__(self, source: RowSource) -> None:
        super().__init__(source.name, [restored(column) for column in source.columns], source.how)
        self._source = source
        self.digest = source.digest

    def __iter__(self) -> Iterator[SourceRow]:
        for row in self._source:
            yield SourceRow(row.line, {_restored(key): _restored(value) for key, value in row.values.items()})

    def close(self) -> None:
        self._source.close()


def open_source(
    source: Any, *, format: str | None = None, delimiter: str | None = None, encoding: str | None = None
) -> RowSource:
    """Open a source of rows and read its headings.

    :param source: a path or URL, as text or as an object with ``open``; a list of mappings; or a ``DataFrame``.
    :param format: ``csv``, ``tsv``, ``jsonl``, ``parquet`` or ``xlsx``; by default the name's ending tells
        (``.gz`` after a format of text is fine).
    :param delimiter: of CSV; found out by default, among comma, semicolon, tab and ``|``.
    :param encoding: of text; by default UTF-8 where all of the file is that, else UTF-16 where it says so, else
        cp1251 where it reads as Cyrillic.
    :raises ImportFileError: it is not there, empty, broken, or not what it says it is.
    """
    if isinstance(source, str | PurePath) or hasattr(source, "open"):
        return _ours_restored(_open_file(source, format, delimiter, encoding))
    if hasattr(source, "itertuples") and hasattr(source, "columns"):
        from altegio_provider.imports.files.tabular import FrameSource

        return _ours_restored(FrameSource(source))
    if isinstance(source, list | tuple):
        return _ours_restored(_Rows("the list", _keys_of(source), source))
    raise ImportFileError(
        f"the source is a {type(source).__name__}; give a path or URL, a list of mappings, or a DataFrame."
    )


def _ours_restored(source: RowSource) -> RowSource:
    return source if REPORT_COLUMNS.isdisjoint(source.columns) else _Restored(source)


def _restored(value: Any) -> Any:
    if isinstance(value, list):
        return [_restored(one) for one in value]
    return restored(value) if isinstance(value, str) else value


def rows_source(columns: Iterable[str], rows: Iterable[Mapping[str, Any]], *, name: str = "the rows") -> RowSource:
    """Take rows that somebody else reads, such as those of a query.

    :param columns: the headings.
    :param rows: mappings of heading to value. An iterator can be read once only.
    :param name: for errors.
    """
    return _Rows(name, list(columns), rows)


def checked_columns(headings: list[Any], name: str) -> list[str]:
    """Return the headings, stripped, if they can be those of a list of clients.

    :raises ImportFileError: there are none, too many, one twice, or they are no headings.
    """
    if len(headings) > MAX_COLUMNS:
        raise ImportFileError(
            f"{name} has {len(headings):,} columns, and {MAX_COLUMNS} are taken at the most. Keep those to import."
        )
    if any(isinstance(heading, str) and len(heading) > _LONGEST_HEADING for heading in headings):
        raise ImportFileError(
            f"{name} has a heading longer than {_LONGEST_HEADING:,} characters. Its first row must name the columns."
        )
    texts = [heading.strip("\ufeff \t\r\n\xa0") if isinstance(heading, str) else None for heading in headings]
    if not texts:
        raise ImportFileError(f"{name} has no columns. Its first row must name them.")
    odd = sum(not text or looks_like_data(text) for text in texts)
    if odd:
        raise ImportFileError(
            f"{name} seems to begin with data: {odd} of {len(texts)} headings are no names. "
            "Its first row must name the columns."
        )
    names = [text for text in texts if text]
    if twice := sorted({text for text in names if names.count(text) > 1}):
        raise ImportFileError(
            f"{name} has the heading {', '.join(map(repr, twice))} more than once. Rename or drop one."
        )
    return names


def checked_count(rows: int, name: str) -> None:
    """Check that a file has no more rows than are taken.

    :raises ImportFileError: it has.
    """
    if rows > MAX_ROWS:
        raise ImportFileError(f"{name} has more than {MAX_ROWS:,} rows. Split it.")


def looks_like_data(heading: str) -> bool:
    """Whether a heading is a phone, an e-mail, a number or a date: then it is none."""
    return "@" in heading or _NUMBERS_ONLY.fullmatch(heading) is not None


def is_blank(value: Any) -> bool:
    """Whether a cell holds nothing: null, NaN (pandas' too), or text of spaces."""
    if value is None:
        return True
    if isinstance(value, str):
        return not value or value.isspace()
    if isinstance(value, float):
        return value != value
    return (isinstance(value, Decimal) and value.is_nan()) or type(value).__name__ in ("NaTType", "NAType")


def _keys_of(rows: Iterable[Any]) -> list[str]:
    keys: dict[Any, None] = {}
    for number, row in enumerate(rows, 1):
        if not isinstance(row, Mapping):
            raise ImportFileError(f"the list's row {number} is a {type(row).__name__}, and no mapping.")
        keys.update(dict.fromkeys(row))
    if not keys:
        raise ImportFileError("the list of rows is empty.")
    return list(keys)


def _open_file(source: Any, format: str | None, delimiter: str | None, encoding: str | None) -> RowSource:
    name = on_one_line(_CREDENTIALS.sub("", str(source)))
    kind = format or _FORMATS.get(_suffix(name), "")
    if kind not in _FORMATS.values():
        raise ImportFileError(f"{name}: its format is not known; say format=, one of csv, tsv, jsonl, parquet, xlsx.")
    snapshot = Snapshot(_opener(source, name), name)
    try:
        return _reader_of(snapshot.open, name, kind, delimiter, encoding).reads(snapshot)
    except BaseException:
        snapshot.close()
        raise


def _reader_of(open_raw: OpenFile, name: str, kind: str, delimiter: str | None, encoding: str | None) -> RowSource:
    from altegio_provider.imports.files import tabular, delimited, text

    with open_raw() as file:
        head = file.read(4)
    if not head:
        raise ImportFileError(f"{name} is empty.")
    _check_magic(name, kind, head)
    if kind == "parquet":
        return tabular.Parquet(name, open_raw)
    if kind == "xlsx":
        return tabular.Workbook(name, open_raw)
    file_of_text = text.TextFile(name, open_raw, encoding)
    if kind == "jsonl":
        return delimited.JsonLines(file_of_text)
    return delimited.Csv(file_of_text, delimiter or text.delimiter_of(file_of_text))


def _opened_url(url: str, name: str) -> IO[bytes]:
    import fsspec

    try:
        file = fsspec.open(url, "rb")
    except (ImportError, ValueError):
        scheme = name.partition("://")[0]
        raise ImportFileError(f"{name}: no library for {scheme}:// is installed here, or there is none.") from None
    return cast("IO[bytes]", file.open())


def _suffix(name: str) -> str:
    path = PurePath(name.lower())
    return PurePath(path.stem).suffix if path.suffix == ".gz" else path.suffix


def _check_magic(name: str, kind: str, head: bytes) -> None:
    wanted = _MAGIC_OF.get(kind)
    if wanted and not head.startswith(wanted):
        raise ImportFileError(f"{name} is no {kind} file, or it was cut off.")
    for magic, what in _MAGIC.items():
        if head.startswith(magic) and magic != wanted:
            raise ImportFileError(f"{name} is {what}, and not {kind}.")


def _opener(source: Any, name: str) -> OpenFile:
    def open_file() -> IO[bytes]:
        try:
            if not isinstance(source, str):
                return cast("IO[bytes]", source.open("rb"))
            if "://" in source:
                return _opened_url(source, name)
            return open(os.path.expanduser(source), "rb")
        except FileNotFoundError:
            raise ImportFileError(f"there is no file {name}.") from None
        except IsADirectoryError:
            raise ImportFileError(f"{name} is a folder; name a file in it.") from None
        except PermissionError:
            raise ImportFileError(f"{name} may not be read by this user.") from None

    return open_file
