"""Reads rows from Parquet files, Excel workbooks and pandas DataFrames."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

from altegio_provider.imports.files.bounded_workbook import sheet_rows
from altegio_provider.imports.files.row_source import OpenFile, RowSource, checked_columns, checked_count, is_blank
from altegio_provider.imports.files.text_file import MAX_RECORD_CHARACTERS
from altegio_provider.imports.model import ImportFileError, SourceRow

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DataFrameSource", "ParquetSource", "WorkbookSource"]

_ROWS_AT_ONCE = 2_000
_READ_AHEAD_BYTES = 1 << 20
_MAX_FOOTER_BYTES = 16 << 20
_MAX_FOOTER_ITEMS = 100_000
_DEEPEST = 20
#: Of one column in one group of rows: a page of it is unpacked at once.
_MAX_CHUNK_BYTES = 256 << 20


class ParquetSource(RowSource):
    """The rows of a Parquet file, read in small batches.

    :param name: the file, for errors.
    :param open_file: opens the file.
    :raises ImportFileError: the file is cut off, or is not a Parquet file.
    """

    def __init__(self, name: str, open_file: OpenFile) -> None:
        self._open_file = open_file
        with open_file() as file:
            opened = self._opened(name, file)
            _check_footer(name, opened.metadata)
            headings = opened.schema_arrow.names
        super().__init__(name, checked_columns(headings, name), "Parquet")
        self._columns_of_headings = dict(zip(headings, self.columns, strict=True))

    def _rows(self) -> Iterator[SourceRow]:
        import pyarrow as pa

        number = 0
        with self._open_file() as file:
            try:
                for batch in self._opened(self.name, file).iter_batches(batch_size=_ROWS_AT_ONCE, use_threads=False):
                    cells = [column.to_pylist() for column in batch.columns]
                    for values in zip(*cells, strict=True):
                        number += 1
                        if not all(map(is_blank, values)):
                            _check_length(values, number, self.name)
                            yield SourceRow(number, dict(zip(self.columns, values, strict=True)))
            except (pa.ArrowException, OSError) as error:
                _raise_if_of_the_network(error)
                raise ImportFileError(f"{self.name} is damaged: rows after row {number} cannot be read.") from None

    def _opened(self, name: str, file: IO[bytes]) -> Any:
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            return pq.ParquetFile(
                file,
                buffer_size=_READ_AHEAD_BYTES,
                pre_buffer=False,
                thrift_string_size_limit=_MAX_FOOTER_BYTES,
                thrift_container_size_limit=_MAX_FOOTER_ITEMS,
            )
        except (pa.ArrowException, OSError) as error:
            _raise_if_of_the_network(error)
            raise ImportFileError(f"{name} is not a complete Parquet file. It may be cut off.") from None


class WorkbookSource(RowSource):
    """The rows of the first sheet of an Excel workbook. A formula has its last saved value.

    :param name: the file, for errors.
    :param open_file: opens the file.
    :raises ImportFileError: the file cannot be read, or ``openpyxl`` is not installed.
    """

    is_read_once = True

    def __init__(self, name: str, open_file: OpenFile) -> None:
        try:
            import openpyxl  # noqa: F401 - only whether it is there
        except ImportError:
            raise ImportFileError(
                f"{name}: reading workbooks needs openpyxl: pip install 'airflow-provider-altegio[xlsx]', or save "
                "the sheet as CSV."
            ) from None
        self._open_file = open_file
        self.name = name
        heading = next(self._cells(), (0, []))[1]
        if not heading:
            raise ImportFileError(f"{name} is empty: its first visible sheet has no headings and no rows.")
        self._named = [at for at, cell in enumerate(heading) if not is_blank(cell)]
        super().__init__(
            name, checked_columns([heading[at] for at in self._named], name), "Excel, the first visible sheet"
        )

    def _rows(self) -> Iterator[SourceRow]:
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
        with self._open_file() as file:
            yield from sheet_rows(self.name, file)


def _check_footer(name: str, footer: Any) -> None:
    """Check what a file says of its own size, before any of it is unpacked."""
    checked_count(footer.num_rows, name)
    for group in map(footer.row_group, range(footer.num_row_groups)):
        for column in map(group.column, range(group.num_columns)):
            if column.total_uncompressed_size > _MAX_CHUNK_BYTES:
                raise ImportFileError(
                    f"{name}: the column {column.path_in_schema[:100]!r} has more than {_MAX_CHUNK_BYTES:,} bytes in "
                    "one row group. Write smaller row groups, or remove the column."
                )
            if column.path_in_schema.count(".") > _DEEPEST:
                raise ImportFileError(f"{name} has a column nested deeper than {_DEEPEST} lists or objects.")


def _check_length(values: tuple[Any, ...], number: int, name: str) -> None:
    if sum(len(value) for value in values if isinstance(value, str | bytes | list | dict)) > MAX_RECORD_CHARACTERS:
        raise ImportFileError(
            f"{name}: row {number} is longer than {MAX_RECORD_CHARACTERS:,} characters. Shorten its cells."
        )


class DataFrameSource(RowSource):
    """The rows of a ``DataFrame``, without its index.

    :param frame: the DataFrame. It must not change while it is read.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        super().__init__("the DataFrame", checked_columns(list(frame.columns), "the DataFrame"), "a DataFrame")
        self._frame = frame

    def _rows(self) -> Iterator[SourceRow]:
        number = 0
        for start in range(0, len(self._frame), _ROWS_AT_ONCE):
            part = self._frame.iloc[start : start + _ROWS_AT_ONCE]
            columns = (part.iloc[:, at] for at in range(len(self.columns)))
            cells = [column.astype(object).where(column.notna(), None).tolist() for column in columns]
            for values in zip(*cells, strict=True):
                number += 1
                if not all(map(is_blank, values)):
                    yield SourceRow(number, dict(zip(self.columns, values, strict=True)))


def _raise_if_of_the_network(error: Exception) -> None:
    """Arrow's own complaints are plain ``OSError`` without a number; what a network or a disk says is not."""
    if isinstance(error, OSError) and (type(error) is not OSError or error.errno is not None):
        raise error
