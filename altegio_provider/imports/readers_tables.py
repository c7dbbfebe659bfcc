"""Reads rows out of tables: Parquet, workbooks of Excel, frames of pandas."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import IO, TYPE_CHECKING, Any

from altegio_provider.imports.model import ImportFileError, SourceRow
from altegio_provider.imports.source import OpenFile, RowSource, checked_columns, is_blank

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["FrameSource", "Parquet", "Workbook"]

_ROWS_AT_ONCE = 2_000
_READ_AHEAD_BYTES = 1 << 20


class Parquet(RowSource):
    """Rows of a Parquet file, read in small batches.

    :param name: for errors.
    :param open_file: opens it.
    :raises ImportFileError: it is cut off, or no Parquet file.
    """

    def __init__(self, name: str, open_file: OpenFile) -> None:
        self._open_file = open_file
        with open_file() as file:
            headings = self._opened(name, file).schema_arrow.names
        super().__init__(name, checked_columns(headings, name), "Parquet")
        self._columns_of_headings = dict(zip(headings, self.columns, strict=True))

    def __iter__(self) -> Iterator[SourceRow]:
        import pyarrow as pa

        number = 0
        with self._open_file() as file:
            try:
                for batch in self._opened(self.name, file).iter_batches(batch_size=_ROWS_AT_ONCE, use_threads=False):
                    cells = [column.to_pylist() for column in batch.columns]
                    for values in zip(*cells, strict=True):
                        number += 1
                        if not all(map(is_blank, values)):
                            yield SourceRow(number, dict(zip(self.columns, values, strict=True)))
            except (pa.ArrowException, OSError) as error:
                _raise_if_of_the_network(error)
                raise ImportFileError(f"{self.name} is damaged: it cannot be read beyond row {number}.") from None

    def _opened(self, name: str, file: IO[bytes]) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(file, buffer_size=_READ_AHEAD_BYTES, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            _raise_if_of_the_network(error)
            raise ImportFileError(f"{name} is no whole Parquet file. It may have been cut off.") from None


class Workbook(RowSource):
    """Rows of the first sheet of an Excel workbook. Of a formula the value counts that was last saved.

    :param name: for errors.
    :param open_file: opens it.
    :raises ImportFileError: it cannot be read, or what reads workbooks is not installed.
    """

    def __init__(self, name: str, open_file: OpenFile) -> None:
        try:
            import openpyxl  # noqa: F401 - only whether it is there
        except ImportError:
            raise ImportFileError(
                f"{name}: reading workbooks needs openpyxl; pip install 'airflow-provider-altegio[xlsx]', or save "
                "the sheet as CSV."
            ) from None
        self._open_file = open_file
        self.name = name
        heading = next(self._cells(), (0, []))[1]
        if not heading:
            raise ImportFileError(f"{name} is empty: its first sheet has neither headings nor rows.")
        self._named = [at for at, cell in enumerate(heading) if not is_blank(cell)]
        super().__init__(name, checked_columns([heading[at] for at in self._named], name), "Excel, the first sheet")

    def __iter__(self) -> Iterator[SourceRow]:
        rows = self._cells()
        next(rows)
        named = set(self._named)
        for number, cells in rows:
            values: dict[Any, Any] = {
                column: cells[at] if at < len(cells) else None
                for column, at in zip(self.columns, self._named, strict=True)
            }
            surplus = [cell for at, cell in enumerate(cells) if at not in named and not is_blank(cell)]
            if surplus:
                values[None] = surplus
            yield SourceRow(number, values)

    def _cells(self) -> Iterator[tuple[int, list[Any]]]:
        """The rows that are not blank, the heading too, each with its number in the sheet."""
        from openpyxl import load_workbook

        number = 0
        with self._open_file() as file:
            book = None
            try:
                with _no_warnings():
                    book = load_workbook(file, read_only=True, data_only=True, keep_links=False)
                    sheet = book.worksheets[0]
                    # What a workbook says of its own size may be wrong, and would cut rows off.
                    sheet.reset_dimensions()
                    rows = sheet.iter_rows(values_only=True)
                while some := _some(rows):
                    for cells in some:
                        number += 1
                        if not all(map(is_blank, cells)):
                            yield number, list(cells)
            except OSError:
                raise
            except Exception as error:
                raise ImportFileError(
                    f"{self.name} cannot be read as a workbook beyond row {number} ({type(error).__name__})."
                ) from None
            finally:
                if book is not None:
                    book.close()


class FrameSource(RowSource):
    """Rows of a ``DataFrame``; its index is left out.

    :param frame: it must not change while it is read.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        super().__init__("the frame", checked_columns(list(frame.columns), "the frame"), "a frame")
        self._frame = frame

    def __iter__(self) -> Iterator[SourceRow]:
        number = 0
        for start in range(0, len(self._frame), _ROWS_AT_ONCE):
            part = self._frame.iloc[start : start + _ROWS_AT_ONCE]
            columns = (part.iloc[:, at] for at in range(len(self.columns)))
            cells = [column.astype(object).where(column.notna(), None).tolist() for column in columns]
            for values in zip(*cells, strict=True):
                number += 1
                if not all(map(is_blank, values)):
                    yield SourceRow(number, dict(zip(self.columns, values, strict=True)))


@contextmanager
def _no_warnings() -> Iterator[None]:
    """A workbook's styles and checks are dropped, with a warning; only its values matter here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _some(rows: Iterator[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    with _no_warnings():
        return list(islice(rows, _ROWS_AT_ONCE))


def _raise_if_of_the_network(error: Exception) -> None:
    """Arrow's own complaints are plain ``OSError`` without a number; what a network or a disk says is not."""
    if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
        raise error
