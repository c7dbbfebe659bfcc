"""A cell that a spreadsheet program would run is written so that it does not, and read back as it was."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from altegio_provider.imports.files.formulas import escaped, unescaped

ODD = st.text(st.sampled_from("'=+-@;,|\t\r\n\" \xa0＝＠ax1"), max_size=12)
TEXTS = st.one_of(ODD, st.text(max_size=20))


@given(TEXTS)
def test_what_is_read_back_is_what_was_written(text) -> None:
    assert unescaped(escaped(text)) == text


@given(TEXTS)
def test_however_the_file_is_cut_no_cell_begins_a_formula(text) -> None:
    line = io.StringIO()
    csv.writer(line).writerow([escaped(text), "x"])
    for delimiter in ",;|\t":
        for cells in csv.reader(io.StringIO(line.getvalue()), delimiter=delimiter):
            for cell in cells:
                assert cell.lstrip(" \xa0")[:1] not in tuple("=+-@\t\r\n＝＋－＠")


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('=HYPERLINK("http://evil.example")', '\'=HYPERLINK("http://evil.example")'),
        ("+37120001234", "'+37120001234"),
        ("-5", "'-5"),
        ("@SUM(A1)", "'@SUM(A1)"),
        ("'=1", "''=1"),
        ("x;=1+1", "x;'=1+1"),
        ("x\n=1+1", "x\n'=1+1"),
        ("'tis", "'tis"),
        ("a=b-c@d", "a=b-c@d"),
        ("Anna Lee", "Anna Lee"),
    ],
)
def test_how_it_is_written(text, written) -> None:
    assert escaped(text) == written
