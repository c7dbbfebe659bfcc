"""Reads the rows of a workbook of Excel, and refuses what would stop a worker before openpyxl sees it.

A workbook is a zip file of XML. A few kilobytes of it can unpack to gigabytes, or name a row or a column that is
billions of empty cells away, and openpyxl follows. So each part is unpacked through a filter: a parser counts along,
and nothing is handed on that passes a bound. Time and memory stay in proportion to the bounds, however the file was
made.

Rows and cells that do not come in order are refused too: openpyxl would leave some of them out without a word.
"""

from __future__ import annotations

import io
import re
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Any
from xml.parsers import expat

from altegio_provider.imports.files.row_source import MAX_ROWS, is_blank
from altegio_provider.imports.files.text_file import MAX_RECORD_CHARACTERS
from altegio_provider.imports.model import ImportFileError

__all__ = ["MAX_SHEET_COLUMNS", "sheet_rows"]

#: A cell further to the right is no part of a list, and would make each row as wide.
MAX_SHEET_COLUMNS = 1_000
#: Of one row, or of one text that cells share.
_MAX_RECORD_BYTES = 4 << 20
_MAX_RECORD_ELEMENTS = 50_000
#: Of a part, apart from its rows and texts: styles, merged cells, names. openpyxl makes objects of them.
_MAX_OTHER_BYTES = 16 << 20
_MAX_OTHER_ELEMENTS = 200_000
_MAX_DEPTH = 50
#: Of one tag or comment, which a parser keeps until it ends.
_MAX_TOKEN_BYTES = 1 << 20
#: Of all parts together, each counted as often as it is opened.
_MAX_BYTES = 2 << 30
_MAX_ELEMENTS = 20_000_000
_MAX_OPENED = 2_000
#: Of the texts of all cells: cells share texts, so that a small file can hold many long ones.
_MAX_CHARACTERS = 1 << 30
#: Of what openpyxl matches patterns against, in characters and in bytes. Excel's own bounds are lower.
_LONGEST_FORMAT = 1_000
_LONGEST_NAME = 2_000
#: Of the zip file's directory.
_MAX_DIRECTORY_BYTES = 4 << 20

_CHUNK_BYTES = 1 << 16
_ROWS_AT_ONCE = 2_000
_CHARACTERS_AT_ONCE = 4_000_000
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_ROW, _TEXT, _FORMAT = f"{_MAIN} row", f"{_MAIN} si", f"{_MAIN} numFmt"
_NAME = f"{_MAIN} definedName"
_FORMULA, _VALUE = f"{_MAIN} f", f"{_MAIN} v"
_REFERENCE = re.compile(r"[A-Z]{1,3}[1-9][0-9]*")
#: What XML can begin with; anything else is a picture or the like, in which there are no rows.
_XML = (b"<", b" ", b"\t", b"\r", b"\n", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0")
_AS_CSV = "Delete everything that is not part of the list, or save the sheet as CSV."


def sheet_rows(name: str, file: IO[bytes]) -> Iterator[tuple[int, list[Any]]]:
    """Yield the rows of the first visible sheet that are not blank, each with its number in the sheet.

    :param name: for errors.
    :param file: the workbook; it stays open.
    :raises ImportFileError: it is broken, or passes a bound, which the error names.
    """
    number = 0
    try:
        with _opened(file) as (book, usage):
            # What somebody hid is no part of the list.
            sheet = next((sheet for sheet in book.worksheets if sheet.sheet_state == "visible"), None)
            if sheet is None:
                raise ImportFileError(f"{name} has no visible sheet. Unhide the sheet to import.")
            # What a workbook says of its own size may be wrong, and would cut rows off.
            sheet.reset_dimensions()
            usage.is_list = True
            characters = 0
            rows = sheet.iter_rows(values_only=True)
            while batch := _next_rows(rows, number):
                for cells, length in batch:
                    number += 1
                    characters += length
                    if not all(map(is_blank, cells)):
                        yield number, list(cells)
                if characters > _MAX_CHARACTERS:
                    raise _OverLimitError(f"its cells have more than {_MAX_CHARACTERS:,} characters. {_AS_CSV}")
    except _OverLimitError as error:
        raise ImportFileError(f"{name}: {error}") from None
    except ImportFileError:
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk or the network
        raise ImportFileError(
            f"{name}: the workbook cannot be read after row {number} ({type(error).__name__})."
        ) from None


class _OverLimitError(Exception):
    """Not a ``ValueError``: openpyxl would make another one of it."""


@contextmanager
def _opened(file: IO[bytes]) -> Iterator[tuple[Any, _Usage]]:
    from openpyxl.reader.excel import ExcelReader

    bounded: Any = _BoundedReads(file)
    with _no_warnings():
        reader = ExcelReader(bounded, read_only=True, data_only=True, keep_links=False)
        # From here on, whatever openpyxl opens of it goes through the filter.
        archive = reader.archive = _Archive(bounded)
        reader.read()
    try:
        yield reader.wb, archive.usage
    finally:
        archive.close()


def _next_rows(rows: Iterator[tuple[Any, ...]], number: int) -> list[tuple[tuple[Any, ...], int]]:
    """The next rows, with the number of their characters."""
    batch: list[tuple[tuple[Any, ...], int]] = []
    characters = 0
    with _no_warnings():
        for cells in rows:
            length = sum(len(cell) for cell in cells if cell.__class__ is str)
            if length > MAX_RECORD_CHARACTERS:
                row = number + len(batch) + 1
                raise _OverLimitError(
                    f"row {row} is longer than {MAX_RECORD_CHARACTERS:,} characters. Shorten its cells."
                )
            batch.append((cells, length))
            characters += length
            if len(batch) == _ROWS_AT_ONCE or characters > _CHARACTERS_AT_ONCE:
                break
    return batch


@contextmanager
def _no_warnings() -> Iterator[None]:
    """A workbook's styles and checks are dropped, with a warning; only its values matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class _BoundedReads:
    """A file of which a zip file's directory is not read where it would fill the memory."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file

    def read(self, size: int = -1) -> bytes:
        if size > _MAX_DIRECTORY_BYTES:
            raise _OverLimitError(f"its directory is larger than {_MAX_DIRECTORY_BYTES:,} bytes.")
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Archive(zipfile.ZipFile):
    """A zip file whose parts come through a filter."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self.usage = _Usage()
        self._opened = 0

    def open(self, name: Any, *_: Any, **_options: Any) -> IO[bytes]:
        """Open a part for reading, through the filter."""
        part = self.getinfo(name) if isinstance(name, str) else name
        if part.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise _OverLimitError("its compression method is not one that Excel uses.")
        self._opened += 1
        if self._opened > _MAX_OPENED:
            raise _OverLimitError(f"it has more than {_MAX_OPENED:,} parts.")
        return io.BufferedReader(_Part(super().open(part), part.filename, self.usage), _CHUNK_BYTES)


class _Part(io.RawIOBase):
    """A part of the workbook, handed out no further than it was looked through."""

    def __init__(self, stream: IO[bytes], name: str, to: _Usage) -> None:
        self._stream = stream
        self._name = name
        self._usage = to
        self._parser_of_part: _BoundsParser | None = None
        self._left = b""
        self._is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = self._next()
        taken = self._left[: len(buffer)]
        buffer[: len(taken)] = taken
        self._left = self._left[len(taken) :]
        return len(taken)

    def close(self) -> None:
        self._stream.close()
        super().close()

    def _next(self) -> bytes:
        chunk = b"" if self._is_over else self._stream.read(_CHUNK_BYTES)
        if self._parser_of_part is None and not chunk.startswith(_XML):
            chunk = b""  # openpyxl leaves out a picture that it cannot read
        elif not self._is_over:
            self._parser_of_part = self._parser_of_part or _BoundsParser(self._name, self._usage)
            self._parser_of_part.see(chunk)
        self._is_over = not chunk
        return chunk


class _Usage:
    """What all parts of a workbook have used up of its bounds."""

    def __init__(self) -> None:
        self.bytes = 0
        self.elements = 0
        #: Whether the rows that are parsed are those of the list: then their places count too.
        self.is_list = False


class _BoundsParser:
    """Parses a part along with openpyxl, and raises where it passes a bound.

    Its handlers are called for each tag of a sheet, so what they do for a cell is kept short.
    """

    def __init__(self, name: str, of: _Usage) -> None:
        self._name = name
        self._usage = of
        self._bytes = self._record_bytes = self._others = self._records = 0
        self._depth = self._row = self._column = 0
        #: Where the row or text that is open began, and how many elements may still be in it.
        self._record_start = -1
        self._depth_outside = 0
        self._left_in_record = 0
        self._text_ends_before = _MAX_BYTES
        self._is_row = False
        #: Of the cell that is open.
        self._attributes: list[str] = []
        self._has_formula = self._has_value = False
        self._parser = parser = expat.ParserCreate(namespace_separator=" ")
        parser.ordered_attributes = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.StartDoctypeDeclHandler = self._doctype

    def see(self, chunk: bytes) -> None:
        """Take in the next bytes of the part; none at its end."""
        self._bytes += len(chunk)
        self._usage.bytes += len(chunk)
        if self._usage.bytes > _MAX_BYTES:
            raise _OverLimitError(f"unpacked, it has more than {_MAX_BYTES:,} bytes. {_AS_CSV}")
        try:
            self._parser.Parse(chunk, not chunk)
        except expat.ExpatError:
            raise _OverLimitError(f"its part {self._name[:100]!r} is damaged: it is not XML.") from None
        if not chunk:
            return
        if self._bytes - self._parser.CurrentByteIndex > _MAX_TOKEN_BYTES:
            raise _OverLimitError(f"its part {self._name[:100]!r} has a tag longer than {_MAX_TOKEN_BYTES:,} bytes.")
        in_record = 0
        if self._record_start >= 0:
            in_record = self._bytes - self._record_start
            self._check_record(in_record)
        if self._bytes - self._record_bytes - in_record > _MAX_OTHER_BYTES:
            raise self._too_much_else(f"{_MAX_OTHER_BYTES:,} bytes")

    def _start(self, tag: str, attributes: list[str]) -> None:
        if self._record_start < 0:
            self._start_outside(tag, attributes)
            return
        # The depth is counted from the row or text here.
        self._depth = depth = self._depth + 1
        if tag == _ROW:
            raise _OverLimitError(f"{self._place()} holds a row. Save the workbook again with Excel.")
        if depth == 1 and self._is_row:
            self._cell(attributes)
        elif depth == 2:
            if tag == _FORMULA:
                self._has_formula, self._has_value = True, False
            elif self._has_formula and tag == _VALUE:
                self._parser.CharacterDataHandler = self._value
        self._left_in_record = left = self._left_in_record - 1
        if left < 0:
            raise _OverLimitError(f"{self._place()} has more than {_MAX_RECORD_ELEMENTS:,} elements. {_AS_CSV}")
        if depth > _MAX_DEPTH:
            raise self._too_deep()

    def _end(self, _tag: str) -> None:
        self._depth -= 1
        if self._record_start >= 0:
            if self._depth < 0:
                self._end_record()
            elif self._has_formula and self._depth == 0:
                self._end_formula()
        else:
            self._check_text()

    def _value(self, _text: str) -> None:
        self._has_value = True

    def _end_formula(self) -> None:
        """Refuse a formula whose result is not in the file: openpyxl would read a blank cell."""
        self._has_formula, self._parser.CharacterDataHandler = False, None
        # The result of a formula can be an empty text.
        if self._has_value or not self._usage.is_list or _attribute(self._attributes, "t") == "str":
            return
        raise _OverLimitError(
            f"{self._place()} has a formula without a stored value. Open the workbook in Excel and save it, or replace "
            "the formulas by their values."
        )

    def _start_outside(self, tag: str, attributes: list[str]) -> None:
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self._too_deep()
        if tag in (_ROW, _TEXT):
            self._begin_record(tag, attributes)
            return
        self._check_text()
        self._check_pattern(tag, attributes)
        self._others += 1
        self._usage.elements += 1
        if self._others > _MAX_OTHER_ELEMENTS:
            raise self._too_much_else(f"{_MAX_OTHER_ELEMENTS:,} elements")

    def _check_pattern(self, tag: str, attributes: list[str]) -> None:
        """What openpyxl matches patterns against is short, or matching would take hours."""
        is_pattern = tag == _NAME and (_attribute(attributes, "name") or "").startswith("_xlnm.")
        self._text_ends_before = self._parser.CurrentByteIndex + _LONGEST_NAME if is_pattern else _MAX_BYTES
        if tag == _FORMAT and len(_attribute(attributes, "formatCode") or "") > _LONGEST_FORMAT:
            raise _OverLimitError(f"it has a number format longer than {_LONGEST_FORMAT:,} characters.")

    def _check_text(self) -> None:
        if self._parser.CurrentByteIndex > self._text_ends_before:
            raise _OverLimitError(f"it has a print title longer than {_LONGEST_NAME:,} bytes.")

    def _doctype(self, *_: object) -> None:
        raise _OverLimitError(f"its part {self._name[:100]!r} declares XML entities, which workbooks do not have.")

    def _begin_record(self, tag: str, attributes: list[str]) -> None:
        self._record_start = self._parser.CurrentByteIndex
        self._depth_outside, self._depth = self._depth - 1, 0
        self._left_in_record, self._is_row = _MAX_RECORD_ELEMENTS, tag == _ROW
        self._records += 1
        if self._records > MAX_ROWS:
            what = "rows" if self._is_row else "different texts"
            raise _OverLimitError(f"it has more than {MAX_ROWS:,} {what}. {_AS_CSV}")
        if self._is_row:
            self._column = 0
            number = _attribute(attributes, "r")
            if number is None:
                self._row += 1
            else:
                self._move_to(number)

    def _end_record(self) -> None:
        length = self._parser.CurrentByteIndex - self._record_start
        self._check_record(length)
        self._record_bytes += length
        self._record_start, self._depth = -1, self._depth_outside
        self._usage.elements += 1 + _MAX_RECORD_ELEMENTS - self._left_in_record
        if self._usage.elements > _MAX_ELEMENTS:
            raise _OverLimitError(f"it has more than {_MAX_ELEMENTS:,} elements. {_AS_CSV}")

    def _move_to(self, text: str) -> None:
        """Another row begins: its number must be larger than the one before, and not too large."""
        number = int(text) if text.isascii() and text.isdigit() and len(text) < 20 else 0
        if self._usage.is_list:
            if number > MAX_ROWS:
                raise _OverLimitError(f"it has a row {number:,}; the maximum is {MAX_ROWS:,}. {_AS_CSV}")
            if number <= self._row:
                raise _OverLimitError(
                    f"the row after row {self._row} has the number {text[:20]!r}: rows are not in order. "
                    "Save the workbook again with Excel."
                )
        self._row = number

    def _cell(self, attributes: list[str]) -> None:
        column = self._column + 1
        self._attributes = attributes
        if attributes:
            # Nearly always the first one.
            reference = attributes[1] if attributes[0] == "r" else _attribute(attributes, "r")
            if reference is not None:
                column = _COLUMNS.get(reference.rstrip("0123456789"), -1)
        if self._column < column <= MAX_SHEET_COLUMNS:
            self._column = column
        elif self._usage.is_list:
            raise self._odd_cell(_attribute(attributes, "r"))

    def _odd_cell(self, reference: str | None) -> _OverLimitError:
        letters = (reference or "").rstrip("0123456789")
        if letters in _COLUMNS:
            return _OverLimitError(
                f"the cells of row {self._row} are not in order. Save the workbook again with Excel."
            )
        if reference is not None and not _REFERENCE.fullmatch(reference):
            return _OverLimitError(
                f"row {self._row} has a cell with an invalid reference. Save the workbook again with Excel."
            )
        where = f"a cell in column {letters}" if letters else "more cells"
        return _OverLimitError(f"row {self._row} has {where}, and {MAX_SHEET_COLUMNS:,} columns are allowed. {_AS_CSV}")

    def _check_record(self, length: int) -> None:
        if length > _MAX_RECORD_BYTES:
            raise _OverLimitError(f"{self._place()} has more than {_MAX_RECORD_BYTES:,} bytes. Shorten its cells.")

    def _place(self) -> str:
        return f"row {self._row}" if self._is_row else "one of its texts"

    def _too_deep(self) -> _OverLimitError:
        return _OverLimitError(f"its part {self._name[:100]!r} is nested deeper than {_MAX_DEPTH} elements.")

    def _too_much_else(self, bound: str) -> _OverLimitError:
        return _OverLimitError(
            f"its part {self._name[:100]!r} has more than {bound} besides rows: styles, merged cells, names. "
            "Save the sheet as CSV."
        )


def _attribute(attributes: list[str], name: str) -> str | None:
    """The value of an attribute, in a list of names and values."""
    for at in range(0, len(attributes), 2):
        if attributes[at] == name:
            return attributes[at + 1]
    return None


def _letters(number: int) -> str:
    text = ""
    while number:
        number, digit = divmod(number - 1, 26)
        text = chr(ord("A") + digit) + text
    return text


_COLUMNS = {_letters(number): number for number in range(1, MAX_SHEET_COLUMNS + 1)}
