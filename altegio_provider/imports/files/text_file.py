"""Finds out how a file of text is written: its encoding, from all of its bytes, and its delimiter, from its head.

A wrong guess would book people under garbled names, so an encoding is taken only where the whole file agrees.
"""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import islice
from typing import IO, cast

from altegio_provider.imports.files.formulas import REPORT_COLUMNS
from altegio_provider.imports.files.row_source import MAX_ROWS, OpenFile
from altegio_provider.imports.model import ImportFileError

__all__ = ["DELIMITERS", "Lines", "TextFile", "declared_separator", "delimiter_of", "is_report"]

DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}

#: A record longer than this is no client: a cell of megabytes, or a quotation mark that never closes.
MAX_RECORD_CHARACTERS = 1_000_000
#: A file of text that is larger, unpacked where it is compressed, holds more rows than are taken, or something else.
MAX_TEXT_BYTES = 2 << 30
#: With ten lines a row there would be too many rows.
MAX_LINES = 10 * MAX_ROWS
_CHUNK_BYTES = 1 << 20
_SAMPLE_RECORDS = 50
_SAMPLE_CHARACTERS = 1_000_000
_WORDS_ENOUGH = 10_000
_MOSTLY = 0.95
_MARKS = {
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_WORD = re.compile(r"[^\W\d_]{2,}")
#: A word as people write it in Russian, Ukrainian or Belarusian: the case does not change in the middle.
_CYRILLIC_WORD = re.compile(r"[А-ЯЁІЇЄҐЎ]?[а-яёіїєґў]+|[А-ЯЁІЇЄҐЎ]+")
#: Most of the letters of any text in these languages. Text of another encoding has less than half of them.
_FREQUENT_LETTERS = frozenset("оеаинтсрвлкмдяьгыёіОЕАИНТСРВЛКМДЯЬГЫЁІ")
_LEAST_FREQUENT = 0.65
#: Names have capitals. Hebrew, which has none, reads as Cyrillic without any.
_LEAST_CAPITALS = 0.2
#: What stands beside letters where the encoding is another one.
_STRAY_SIGN = re.compile(r"[€‰‹›¤¦¬®±µ¶·†‡•™©°ЂЃѓђЉЊЌЋЏљњќћџЈјЅѕ\x98](?=[\u0400-\u04ff])")
_HIGH_BYTE = re.compile(rb"[\x80-\xff]")
_UTF8_LETTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_SEPARATOR_LINE = re.compile(r"sep=([,;|\t])\r?\n?", re.IGNORECASE)


class TextFile:
    """A file of text, maybe compressed by gzip, whose encoding is known to fit all of it.

    :param name: for errors.
    :param open_raw: opens it.
    :param encoding: as the user says, or ``None``: found out.
    :raises ImportFileError: no encoding fits, or the one that was named does not, with the line.
    """

    def __init__(self, name: str, open_raw: OpenFile, encoding: str | None) -> None:
        self.name = name
        self._open_raw = open_raw
        self._is_gzip = False
        self._is_gzip = self._head()[:2] == b"\x1f\x8b"
        #: The codec's name.
        # A byte order mark tells for certain: a report of rejected rows has one, whatever encoding its source has.
        is_marked = self._head().startswith(codecs.BOM_UTF8)
        self.encoding = self._checked(encoding) if encoding and not is_marked else self._found()

    @contextmanager
    def lines(self, encoding: str = "") -> Iterator[Lines]:
        """Its lines, with their ends, decoded."""
        with self._opened() as file, io.TextIOWrapper(file, encoding or self.encoding, newline="") as text:
            yield Lines(self.name, text)

    @contextmanager
    def _opened(self) -> Iterator[IO[bytes]]:
        with self._open_raw() as raw:
            if not self._is_gzip:
                yield raw
                return
            try:
                with gzip.GzipFile(fileobj=raw) as file:
                    yield cast("IO[bytes]", file)
            except (EOFError, gzip.BadGzipFile, zlib.error):
                raise ImportFileError(f"{self.name} is damaged or cut off: it cannot be decompressed.") from None

    def _head(self) -> bytes:
        with self._opened() as file:
            return file.read(4)

    def _found(self) -> str:
        head = self._head()
        if not head:
            raise ImportFileError(f"{self.name} is empty.")
        marked = next((codec for mark, codec in _MARKS.items() if head.startswith(mark)), None)
        line = self._unreadable_line(marked or "utf-8")
        if line is None:
            return marked or "utf-8"
        if marked:
            raise ImportFileError(
                f"{self.name} is damaged: it has the byte order mark of {marked}, but line {line} is not {marked}."
            )
        if self._is_nearly_utf8():
            raise ImportFileError(
                f"{self.name} is damaged: it is UTF-8, except that a letter in line {line} is cut. Correct that line, "
                "or export the file again."
            )
        if self._unreadable_line("cp1251") is None and self._reads_as_cyrillic():
            return "cp1251"
        raise ImportFileError(
            f"{self.name} is not UTF-8 (see line {line}), and does not read as Cyrillic text in cp1251 either. "
            "Give encoding=, such as 'cp1252' (Western Europe), 'cp1250' or 'cp1257', or save it as UTF-8."
        )

    def _checked(self, encoding: str) -> str:
        try:
            codec = codecs.lookup(encoding).name
            "".encode(codec)
        except (LookupError, ValueError):
            raise ImportFileError(f"encoding {encoding!r} is unknown; give one such as 'utf-8' or 'cp1251'.") from None
        if codec == "utf-8":
            codec = "utf-8-sig"
        if line := self._unreadable_line(codec):
            raise ImportFileError(f"{self.name} is not {encoding}: line {line} cannot be decoded.")
        if not codec.startswith("utf") and self._unreadable_line("ascii") and not self._unreadable_line("utf-8"):
            raise ImportFileError(f"{self.name} is UTF-8, not {encoding}. Remove encoding=.")
        return codec

    def _unreadable_line(self, codec: str) -> int | None:
        """The first line that is no text in this encoding, from 1."""
        decoder = codecs.getincrementaldecoder(codec)("strict")
        line = 1
        size = in_line = 0
        with self._opened() as file:
            while True:
                chunk = file.read(_CHUNK_BYTES)
                size += len(chunk)
                if size > MAX_TEXT_BYTES:
                    raise ImportFileError(
                        f"{self.name} is larger than {MAX_TEXT_BYTES:,} bytes of text. Split the file."
                    )
                try:
                    text = decoder.decode(chunk, final=not chunk)
                except UnicodeDecodeError as error:
                    return line + error.object[: error.start].count(b"\n")
                if "\0" in text:
                    at = line + text.partition("\0")[0].count("\n")
                    raise ImportFileError(
                        f"{self.name} contains NUL characters, the first in line {at}. It is damaged, or it is UTF-16 "
                        "without a byte order mark: then give encoding='utf-16-le'."
                    )
                line += text.count("\n")
                end = max(text.rfind("\n"), text.rfind("\r"))
                in_line = len(text) - 1 - end if end >= 0 else in_line + len(text)
                if in_line > MAX_RECORD_CHARACTERS:
                    raise _record_too_long(self.name, line)
                if not chunk:
                    return None

    def _is_nearly_utf8(self) -> bool:
        """Whether most of what is not ASCII is UTF-8. Text of other encodings is so only by chance."""
        letters = bytes_of_letters = high = 0
        with self._opened() as file:
            while chunk := file.read(_CHUNK_BYTES):
                found = _UTF8_LETTER.findall(chunk)
                letters += len(found)
                bytes_of_letters += sum(map(len, found))
                high += len(_HIGH_BYTE.findall(chunk))
        return letters > high - bytes_of_letters

    def _reads_as_cyrillic(self) -> bool:
        """Whether the text in cp1251 is plausible: ``Мила``, and not ``Mьller``, ``ЕлЭнз`` (Greek) or ``бООБ`` (KOI8).

        The words with letters outside ASCII must be Cyrillic throughout, have the case of words, and consist of the
        letters that are frequent in the languages of cp1251.
        """
        words = cyrillic = capitals = letters = frequent = 0
        with self.lines("cp1251") as lines:
            for line in lines:
                lines.begin_record()
                if line.isascii():
                    continue
                if _STRAY_SIGN.search(line):
                    return False
                for word in _WORD.findall(line):
                    if word.isascii():
                        continue
                    words += 1
                    cyrillic += _CYRILLIC_WORD.fullmatch(word) is not None
                    capitals += word[0].isupper()
                    letters += len(word)
                    frequent += sum(map(_FREQUENT_LETTERS.__contains__, word))
                if words > _WORDS_ENOUGH:
                    break
        is_written_like_names = cyrillic >= _MOSTLY * words and capitals >= _LEAST_CAPITALS * words
        return is_written_like_names and frequent >= _LEAST_FREQUENT * letters


class Lines:
    """The lines of a text; refuses a record without end."""

    def __init__(self, name: str, text: io.TextIOWrapper) -> None:
        self._name = name
        self._text = text
        self._line = 0
        self._record_characters = 0
        self._record_line = 1

    def begin_record(self) -> None:
        """Say that the lines that follow belong to another record."""
        self._record_characters = 0
        self._record_line = self._line + 1

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = self._text.readline(MAX_RECORD_CHARACTERS + 1)
        if not line:
            raise StopIteration
        self._record_characters += len(line)
        if self._record_characters > MAX_RECORD_CHARACTERS:
            raise _record_too_long(self._name, self._record_line)
        self._line += 1
        if self._line > MAX_LINES:
            raise ImportFileError(f"{self._name} has more than {MAX_LINES:,} lines. Split the file.")
        return line


def _record_too_long(name: str, line: int) -> ImportFileError:
    return ImportFileError(
        f"{name}: the record that begins in line {line} is longer than {MAX_RECORD_CHARACTERS:,} characters. "
        "Shorten the cell, or close its quotation mark."
    )


def declared_separator(line: str) -> str | None:
    """The delimiter that a first line such as ``sep=;`` names, as Excel writes it, or ``None``."""
    match = _SEPARATOR_LINE.fullmatch(line)
    return match[1] if match else None


def delimiter_of(file: TextFile) -> str:
    """Find out the delimiter of CSV: the one that cuts the heading, and as many records as possible just so.

    :returns: a comma where the file has one column.
    :raises ImportFileError: the head of the file is a record without end.
    """
    with file.lines() as lines:
        sample = []
        characters = 0
        for line in islice(lines, _SAMPLE_RECORDS):
            lines.begin_record()
            sample.append(line)
            characters += len(line)
            if characters > _SAMPLE_CHARACTERS:
                break
    if sample and (named := declared_separator(sample[0])):
        return named
    return max(DELIMITERS, key=lambda delimiter: _fitness(sample, delimiter))


def _fitness(sample: list[str], delimiter: str) -> tuple[bool, float, int]:
    """How well it fits: whether it cuts the heading at all, the share of records cut alike, the number of cells."""
    counts: list[int] = []
    with suppress(csv.Error):
        counts.extend(len(cells) for cells in csv.reader(sample, delimiter=delimiter) if cells)
    if not counts:
        return False, 0.0, 0
    alike = sum(count == counts[0] for count in counts) / len(counts)
    return counts[0] > 1, alike, counts[0]


def is_report(file: TextFile) -> bool:
    """Whether the file is a report of rejected rows as it was written: delimited by commas, whatever its source is.

    :param file: the file.
    """
    with file.lines() as lines:
        return set(next(lines, "").rstrip("\r\n").split(",")) >= REPORT_COLUMNS
