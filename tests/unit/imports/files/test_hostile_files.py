"""Small files that would fill the memory of a worker, or keep it busy for hours: each ends in an error at its bound.

One process opens them all, with the memory and the processor time that each of them took.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from altegio_provider.imports.files import bounded_workbook, row_source, text_file
from altegio_provider.imports.files.open_source import open_source
from altegio_provider.imports.model import ImportFileError
from tests.unit.imports.files.bombs import ANNA, HEADING, MAIN, RELATIONS, Repeated, gzipped, sheet, workbook

#: Those that go on for 2 GiB.
MEGABYTES = 2_048
MOST_MB = 60
MOST_SECONDS = 5

OPEN = """
import json, re, resource, sys, time
from pathlib import Path
import openpyxl.reader.excel, pyarrow.parquet
from altegio_provider.imports.files.open_source import open_source

resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))  # the machine is to survive a failing test

def kilobytes(what):
    return int(re.search(what + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])

told = {}
for path in map(Path, sys.argv[1:]):
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    before, began = kilobytes("VmRSS"), time.process_time()
    try:
        with open_source(path) as source:
            said = f"{sum(1 for row in source)} rows"
    except BaseException as error:
        said = f"{type(error).__name__}: {error}"
    seconds = time.process_time() - began
    told[path.name] = {"said": said, "seconds": seconds, "mb": (kilobytes("VmHWM") - before) / 1024}
print(json.dumps(told))
"""


def named(text: str) -> str:
    """A workbook's list of sheets and names."""
    sheets = '<sheets><sheet name="1" sheetId="1" r:id="rId1"/></sheets>'
    return f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}">{sheets}<definedNames>{text}</definedNames></workbook>'


def endless(begin: str, unit: str, end: str = "") -> Repeated:
    return Repeated(f'<worksheet xmlns="{MAIN}">{begin}', unit, MEGABYTES, end)


def many_parts(path: Path) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for number in range(7_000):
            archive.writestr(f"{'x' * 600}{number}", b"")
    return path


def squeezed_otherwise(path: Path, kind: int) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        archive.writestr("[Content_Types].xml", "<Types/>" + " " * (1 << 20))
    return path


ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {name} "{f"&{before};" * 10}">' for before, name in zip("abcdefghi", "bcdefghij", strict=True)
)
BOLD = '<styleSheet xmlns="{}"><numFmts><numFmt numFmtId="165" formatCode="{}"/></numFmts></styleSheet>'
TITLES = '<definedName name="_xlnm.Print_Titles" localSheetId="0">{}</definedName>'

#: Name: what writes it, and the words of its error.
WORKBOOKS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "far row": (
        lambda path: workbook(path, sheet(HEADING + '<row r="999999999999"><c/></row>')),
        "row 999,999,999,999",
    ),
    "far row in another notation": (lambda path: workbook(path, sheet(HEADING + '<row r="1e12"/>')), "not in order"),
    "row in a row": (lambda path: workbook(path, sheet(f'{HEADING}<row><row r="999999999999"/></row>')), "holds a row"),
    "row in a text": (lambda path: workbook(path, sheet(f'{HEADING}<si><row r="999999999999"/></si>')), "holds a row"),
    "far columns": (
        lambda path: workbook(
            path, sheet(HEADING + "".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(2, 20_000)))
        ),
        "row 2 has a cell in column XFD, and 1,000 columns",
    ),
    "many columns": (
        lambda path: workbook(path, sheet(f"{HEADING}<row>{'<c/>' * 1_001}</row>")),
        "row 2 has more cells, and 1,000 columns",
    ),
    "cell of 2 GB": (
        lambda path: workbook(path, endless(f'<sheetData>{HEADING}<row><c t="inlineStr"><is><t>', "x")),
        "row 2 has more than 4,194,304 bytes",
    ),
    "cells of 2 GB": (lambda path: workbook(path, endless(f"<sheetData>{HEADING}<row><c>", "<v/>")), "50,000 elements"),
    "shared text of 2 GB": (
        lambda path: workbook(path, sheet(ANNA), strings=Repeated(f'<sst xmlns="{MAIN}"><si><t>', "x", MEGABYTES)),
        "one of its texts has more than 4,194,304 bytes",
    ),
    "shared texts together": (
        lambda path: workbook(
            path,
            sheet(HEADING + "<row>" + '<c t="s"><v>0</v></c>' * 40 + "</row>"),
            strings=f'<sst xmlns="{MAIN}"><si><t>{"x" * 30_000}</t></si></sst>',
        ),
        "row 2 is longer than 1,000,000 characters",
    ),
    "styles": (
        lambda path: workbook(path, sheet(ANNA), styles=Repeated(f'<styleSheet xmlns="{MAIN}">', "<xf/>", MEGABYTES)),
        "200,000 elements besides rows",
    ),
    "text beside rows": (lambda path: workbook(path, endless("<x>", "x")), "16,777,216 bytes besides rows"),
    "merged cells": (
        lambda path: workbook(path, endless(f"<sheetData>{HEADING}</sheetData><mergeCells>", "<mergeCell/>")),
        "200,000 elements besides rows",
    ),
    "attribute": (lambda path: workbook(path, endless('<x a="', "x")), "a tag longer than 1,048,576 bytes"),
    "comment": (lambda path: workbook(path, endless("<!--", "x")), "a tag longer than 1,048,576 bytes"),
    "nested": (lambda path: workbook(path, endless("", "<a>")), "nested deeper than 50"),
    "nested in a cell": (lambda path: workbook(path, endless("<sheetData><row><c>", "<a>")), "nested deeper than 50"),
    "entities": (lambda path: workbook(path, f"{ENTITIES}]>{sheet('<row><c>&j;</c></row>')}"), "declares XML entities"),
    "number format": (
        lambda path: workbook(path, sheet(ANNA), styles=BOLD.format(MAIN, "[" * 500_000)),
        "number format longer than 1,000",
    ),
    "print title": (
        lambda path: workbook(path, sheet(ANNA), book=named(TITLES.format("a" * 500_000))),
        "a print title longer than 2,000",
    ),
    "one sheet under many names": (
        lambda path: workbook(path, sheet(HEADING + "<row/>" * 9), sheets=2_500),
        "more than 2,000 parts",
    ),
    "directory": (many_parts, "directory"),
    "bzip2": (
        lambda path: squeezed_otherwise(path, zipfile.ZIP_BZIP2),
        "compression method is not one that Excel uses",
    ),
    "lzma": (lambda path: squeezed_otherwise(path, zipfile.ZIP_LZMA), "compression method is not one that Excel uses"),
}


def written(content: bytes | str) -> Callable[[Path], Path]:
    def write(path: Path) -> Path:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


TEXTS: dict[str, tuple[Callable[[Path], Path], str]] = {
    "line of 2 GB.csv.gz": (
        lambda path: gzipped(path, Repeated("name,phone\n", "x", MEGABYTES)),
        "line 2 is longer than 1,000,000",
    ),
    "line of 2 GB.jsonl.gz": (
        lambda path: gzipped(path, Repeated('{"name": "', "x", MEGABYTES)),
        "line 1 is longer than 1,000,000",
    ),
    "columns.csv": (written(",".join(["c"] * 450_000) + "\n1\n"), "450,000 columns"),
    "heading.csv": (written("x" * 100_000 + ",phone\n1,2\n"), "heading longer than 1,000"),
    "word.csv": (written(("name\n" + "a" * 900_000 + " я\n").encode("cp1251")), "a cell is longer than 131,072"),
    "keys.jsonl": (
        written("".join(json.dumps({f"key {n}": 1}) + "\n" for n in range(100_000))),
        "101 columns; the maximum is 100",
    ),
    "nested.jsonl": (written('{"name": ' + "[" * 900 + "]" * 900 + "}\n"), "nested deeper than 10"),
    "nested too deep.jsonl": (written('{"name": ' + "[" * 90_000 + "]" * 90_000 + "}\n"), "is not a JSON object"),
}


def cell_of_parquet(path: Path) -> Path:
    pq.write_table(pa.table({"name": ["x" * 2_000_000], "phone": ["1"]}), path, compression="zstd")
    return path


def column_of_parquet(path: Path) -> Path:
    table = pa.table({"name": ["x" * 1_000_000] * 300, "phone": ["1"] * 300})
    pq.write_table(table, path, compression="zstd", use_dictionary=False)
    return path


def rows_of_parquet(path: Path) -> Path:
    pq.write_table(pa.table({"name": pa.nulls(2_000_000, pa.string())}), path)
    return path


TABLES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "cell.parquet": (cell_of_parquet, "row 1 is longer than 1,000,000 characters"),
    "column.parquet": (column_of_parquet, "more than 268,435,456 bytes"),
    "rows.parquet": (rows_of_parquet, "more than 1,048,576 rows"),
}
HOSTILE = {f"{name}.xlsx": one for name, one in WORKBOOKS.items()} | TEXTS | TABLES


@pytest.fixture(scope="module")
def told(tmp_path_factory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("hostile")
    files = [str(write(folder / name)) for name, (write, _) in HOSTILE.items()]
    done = subprocess.run([sys.executable, "-c", OPEN, *files], capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", HOSTILE)
def test_it_ends_at_a_bound_that_the_error_names_within_little_memory_and_time(told, name):
    assert told[name]["said"].startswith("ImportFileError: ")
    assert HOSTILE[name][1] in told[name]["said"]
    assert len(told[name]["said"]) < 1_000
    assert told[name]["mb"] < MOST_MB
    assert told[name]["seconds"] < MOST_SECONDS


def refusal_of(path: Path, **options: Any) -> str:
    with pytest.raises(ImportFileError) as refused, open_source(path, **options) as rows:
        list(rows)
    return str(refused.value)


@pytest.mark.parametrize(
    "rows",
    [
        '<row r="5"><c r="A5"><v>5</v></c></row><row r="3"><c r="A3"><v>3</v></c></row>',
        '<row r="3"><c r="A3"><v>3</v></c></row><row r="3"><c r="A3"><v>4</v></c></row>',
        '<row r="3"><c r="B3"><v>2</v></c><c r="A3"><v>1</v></c></row>',
        '<row r="3"><c r="A3"><v>2</v></c><c r="A3"><v>1</v></c></row>',
        '<row r="3"><c r="B3"><v>2</v></c><c r="A0x"><v>1</v></c></row>',
        '<row r="0"><c><v>1</v></c></row>',
    ],
)
def test_a_sheet_of_which_rows_or_cells_would_be_left_out_is_refused(tmp_path, rows):
    assert "Save the workbook again" in refusal_of(workbook(tmp_path / "clients.xlsx", sheet(HEADING + ANNA + rows)))


def test_a_sheet_without_places_is_read_in_its_order(tmp_path):
    rows = "<row><c><v>1</v></c><c><v>2</v></c></row><row/><row><c/><c><v>3</v></c></row>"
    with open_source(workbook(tmp_path / "clients.xlsx", sheet(HEADING + rows))) as source:
        found = [(row.line, row.values) for row in source]
    assert found == [(2, {"name": 1, "phone": 2}), (4, {"name": None, "phone": 3})]


def test_what_other_sheets_hold_is_no_matter(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["name", "phone"])
    book.active.append(["Anna", "1"])
    other = book.create_sheet()
    other["XFD1048576"] = "far"
    book.save(tmp_path / "clients.xlsx")
    with open_source(tmp_path / "clients.xlsx") as source:
        assert [row.values for row in source] == [{"name": "Anna", "phone": "1"}]


def test_a_sheet_may_be_as_large_as_the_bounds(tmp_path):
    book = openpyxl.Workbook()
    book.active.append(["name", "phone"])
    book.active.cell(2, bounded_workbook.MAX_SHEET_COLUMNS, "last")
    book.active.cell(row_source.MAX_ROWS, 1, "x" * 32_767)
    book.save(tmp_path / "clients.xlsx")
    with open_source(tmp_path / "clients.xlsx") as opened:
        rows = list(opened)
    assert [row.line for row in rows] == [2, row_source.MAX_ROWS]
    assert rows[0].values[None] == ["last"]
    assert len(rows[1].values["name"]) == 32_767


@pytest.mark.parametrize("damage", ["<worksheet", "<worksheet></x>", "no XML", ""])
def test_a_damaged_part_is_an_error_of_the_file(tmp_path, damage):
    assert "clients.xlsx" in refusal_of(workbook(tmp_path / "clients.xlsx", damage))


def csv_of(path: Path, rows: int) -> Path:
    content = b"name,phone\n" + b"Anna,1\n\n" * rows
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


@pytest.mark.parametrize("name", ["clients.csv", "clients.csv.gz"])
def test_a_text_that_is_too_large_unpacked_is_refused_before_its_rows_are_read(tmp_path, monkeypatch, name):
    monkeypatch.setattr(text_file, "MAX_TEXT_BYTES", 100_000)
    assert "larger than 100,000 bytes" in refusal_of(csv_of(tmp_path / name, 20_000))
    with open_source(csv_of(tmp_path / name, 5_000)) as opened:
        assert sum(1 for _ in opened) == 5_000


def test_rows_and_lines_of_text_are_bounded(tmp_path, monkeypatch):
    path = csv_of(tmp_path / "clients.csv", 100)
    monkeypatch.setattr(row_source, "MAX_ROWS", 100)
    with open_source(path) as opened:
        assert sum(1 for _ in opened) == 100
    assert "more than 100 rows" in refusal_of(csv_of(path, 101))
    monkeypatch.setattr(text_file, "MAX_LINES", 150)
    assert "more than 150 lines" in refusal_of(csv_of(path, 100))
    path = tmp_path / "clients.jsonl"
    path.write_text('{"name": "Anna"}\n' * 101)
    assert "more than 100 rows" in refusal_of(path)


def test_rows_of_a_workbook_are_bounded(tmp_path, monkeypatch):
    path = workbook(tmp_path / "clients.xlsx", sheet(HEADING + ANNA + "<row/>" * 8))
    monkeypatch.setattr(bounded_workbook, "MAX_ROWS", 10)
    with open_source(path) as opened:
        assert sum(1 for _ in opened) == 1
    assert "more than 10 rows" in refusal_of(workbook(path, sheet(HEADING + ANNA + "<row/>" * 9)))
    assert "a row 11; the maximum is 10" in refusal_of(workbook(path, sheet(HEADING + ANNA + '<row r="11"/>')))
    texts = f'<sst xmlns="{MAIN}">{"<si><t>x</t></si>" * 11}</sst>'
    assert "more than 10 different texts" in refusal_of(workbook(path, sheet(HEADING), strings=texts))


@pytest.mark.parametrize(
    ("bound", "words"),
    [("_MAX_BYTES", "1,000 bytes"), ("_MAX_ELEMENTS", "1,000 elements"), ("_MAX_CHARACTERS", "1,000 characters")],
)
def test_all_parts_of_a_workbook_together_are_bounded(tmp_path, monkeypatch, bound, words):
    rows = "".join(f'<row><c t="inlineStr"><is><t>{"x" * 100}</t></is></c></row>' for _ in range(300))
    path = workbook(tmp_path / "clients.xlsx", sheet(HEADING + rows))
    with open_source(path) as opened:
        assert sum(1 for _ in opened) == 300
    monkeypatch.setattr(bounded_workbook, bound, 1_000)
    assert words in refusal_of(path)
