"""Files, lists and frames become rows with line numbers, or one clear error."""

from __future__ import annotations

import csv
import gzip
import json
import re
import zipfile
from datetime import date
from decimal import Decimal
from pathlib import Path

import fsspec
import openpyxl
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from upath import UPath

from altegio_provider.imports.files.open_source import open_source, rows_source
from altegio_provider.imports.model import ImportFileError


@pytest.fixture
def file(tmp_path):
    def write(content, name="clients.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
        return path

    return write


def read(source, **options):
    with open_source(source, **options) as rows:
        return [(row.line, row.values) for row in rows]


def refusal_of(source, **options):
    with pytest.raises(ImportFileError) as refused:
        read(source, **options)
    return str(refused.value)


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_found_out_from_the_heading_and_the_rows(file, delimiter):
    others = "".join({",", ";", "|"} - {delimiter})
    source = open_source(file(f"name{delimiter}phone{delimiter}comment\nAnna{delimiter}1{delimiter}a {others} b\n"))
    assert source.columns == ["name", "phone", "comment"]
    assert [row.values["name"] for row in source] == ["Anna"]


def test_a_comma_in_the_heading_does_not_make_it_the_delimiter(file):
    assert open_source(file("Name;Phone, mobile;E-mail\nAnna;1;a\nBea;2;b\n")).columns == [
        "Name",
        "Phone, mobile",
        "E-mail",
    ]


def test_decimal_commas_do_not_make_a_delimiter(file):
    assert read(file("name;seats\nAnna;1,0\nBea;2,0\n")) == [
        (2, {"name": "Anna", "seats": "1,0"}),
        (3, {"name": "Bea", "seats": "2,0"}),
    ]


def test_the_line_that_excel_writes_for_the_delimiter_is_no_row(file):
    assert read(file("sep=;\r\nname;phone\r\nAnna;1\r\n")) == [(3, {"name": "Anna", "phone": "1"})]


def test_lines_are_counted_as_an_editor_counts_them(file):
    rows = read(file('\nname,comment\n\nAnna,"two\nlines"\n,\nBea,\r\n  \nCara,x'))
    assert [(line, values["name"]) for line, values in rows] == [(4, "Anna"), (7, "Bea"), (9, "Cara")]
    assert rows[0][1]["comment"] == "two\nlines"


@pytest.mark.parametrize(
    ("encoding", "how"),
    [
        ("utf-8", "utf-8"),
        ("utf-8-sig", "utf-8-sig"),
        ("utf-16", "utf-16"),
        ("cp1251", "cp1251"),
    ],
)
def test_the_encoding_is_found_out_and_declared(file, encoding, how):
    path = file("Имя;Телефон\nЁлка Ильинична;1\n", encoding=encoding)
    source = open_source(path)
    assert source.columns == ["Имя", "Телефон"]
    assert [row.values["Имя"] for row in source] == ["Ёлка Ильинична"]
    assert how in source.how


def test_one_letter_far_down_decides_the_encoding_of_all(file):
    path = file(b"name;phone\n" + b"Anna;1\n" * 160_000 + "Мила;1\n".encode("cp1251"))
    with open_source(path) as source:
        assert source.how.startswith("cp1251")
        assert list(source)[-1].values["name"] == "Мила"


@pytest.mark.parametrize(
    ("name", "encoding"), [("Jörg Müller", "cp1252"), ("Jānis Bērziņš", "cp1257"), ("Łódź", "cp1250")]
)
def test_western_letters_are_not_taken_for_cyrillic_ones(file, name, encoding):
    path = file(f"name;phone\nAnna;1\n{name};1\n", encoding=encoding)
    text = refusal_of(path)
    assert "line 3" in text
    assert "encoding=" in text
    assert read(path, encoding=encoding)[1][1]["name"] == name


def test_a_wrong_encoding_that_somebody_names_is_refused_with_the_line(file):
    assert "line 3" in refusal_of(file("name,phone\nAnna,1\nМила,1\n", encoding="cp1251"), encoding="utf-8")
    assert "is UTF-8" in refusal_of(file("name,phone\nJörg,1\n"), encoding="cp1252")
    assert "is unknown" in refusal_of(file("name,phone\n"), encoding="utf-99")
    assert "is unknown" in refusal_of(file("name,phone\n"), encoding="base64")


def test_nul_characters_are_refused_with_the_line_and_the_way_out(file):
    assert "line 2" in refusal_of(file(b"name,phone\nAn\0na,1\n"))
    path = file("name,phone\nAnna,1\n", encoding="utf-16-le")
    assert "encoding='utf-16-le'" in refusal_of(path)
    assert read(path, encoding="utf-16-le") == [(2, {"name": "Anna", "phone": "1"})]


def test_text_may_be_compressed(file):
    assert read(file(gzip.compress(b"name,phone\nAnna,1\n"), "clients.csv.gz")) == [(2, {"name": "Anna", "phone": "1"})]
    whole = gzip.compress(b"name,phone\n" + bytes(str([*range(9999)]), "ascii"))
    assert "cut off" in refusal_of(file(whole[: len(whole) // 2], "clients.csv.gz"))


def test_rows_with_other_numbers_of_cells_keep_what_they_have(file):
    rows = read(file("name,phone,,\nAnna\nBea,1,,,x\nCara,2,,\nDora,3,y,\nEva,4\n"))
    assert [values for _, values in rows] == [
        {"name": "Anna"},
        {"name": "Bea", "phone": "1", None: ["x", "", ""]},
        {"name": "Cara", "phone": "2"},
        {"name": "Dora", "phone": "3", None: ["y", ""]},
        {"name": "Eva", "phone": "4"},
    ]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "is empty"),
        ("\n\n  \n", "is empty"),
        ("\ufeff", "is empty"),
        ("+37120000001,Anna\n+37120000002,Bea\n", "begin with data"),
        ("Anna,anna@example.com\n", "begin with data"),
        ("Anna,31.03.1990\n", "begin with data"),
        ("name,phone,name\nAnna,1,2\n", "'name'"),
        (",".join(f"column {letter}{n}" for letter in "abcd" for n in range(50)) + "\n", "200 columns"),
        ("name,phone\nAnna,1\nBea," + "x" * 10_000_000 + "\nCara,1\n", "line 3"),
        ("name,phone\nAnna,1\nBea," + "x" * 200_000 + "\nCara,1\n", "line 3"),
        ('name,phone\nAnna,1\nBea,"1\nCara,1\n', "never closed"),
        ('name,phone\nAnna,1\n"Bea" B,1\n', "line 3"),
        ("name;phone\nAnna;1\n", "a semicolon"),
    ],
)
def test_a_file_that_is_no_list_of_clients_is_refused(file, content, words):
    options = {"delimiter": ","} if content.startswith("name;") else {}
    assert words in refusal_of(file(content), **options)


def test_what_a_first_row_of_data_holds_is_not_repeated(file):
    text = refusal_of(file("Anna Berg,+37120000001,anna@example.com\n"))
    assert "Berg" not in text
    assert "2000" not in text
    assert "example" not in text


def test_a_quotation_mark_without_end_does_not_swallow_the_file_whatever_the_process_has_set(file):
    path = file('name,phone\nAnna,"1\n' + "Bea,1\n" * 400_000)
    before = csv.field_size_limit(2**31)
    try:
        assert "begins in line 2" in refusal_of(path)
    finally:
        csv.field_size_limit(before)


@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"PK\x03\x04rest", "clients.csv", "Excel workbook"),
        (b"PAR1rest", "clients.csv", "Parquet"),
        (b"\xd0\xcf\x11\xe0rest", "clients.xlsx", "not xlsx"),
        (b"PAR1rest", "clients.parquet", "cut off"),
        (b"name,phone\n", "clients.parquet", "not parquet"),
        (b"PK\x03\x04rest", "clients.xlsx", "workbook"),
        (b"name,phone\n", "clients.doc", "format="),
        (b'{"name": "Anna"}\n{"name": \n', "clients.jsonl", "line 2"),
        (b'[{"name": "Anna"}]\n', "clients.jsonl", "line 1"),
        (b"\n", "clients.jsonl", "empty"),
    ],
)
def test_a_file_that_is_not_what_its_name_says_is_refused(file, content, name, words):
    assert words in refusal_of(file(content, name))


def test_a_missing_file_and_a_folder_are_named(tmp_path):
    assert "does not exist" in refusal_of(str(tmp_path / "none.csv"))
    (tmp_path / "folder.csv").mkdir()
    assert "is a folder" in refusal_of(tmp_path / "folder.csv")


def test_secrets_in_a_url_are_not_repeated():
    with pytest.raises(ImportFileError, match=r"memory://none\.csv") as refused:
        open_source("memory://key:secret@none.csv")
    assert "secret" not in str(refused.value)


def test_a_url_that_nothing_here_can_open_is_refused():
    assert "nowhere://" in refusal_of("nowhere://bucket/clients.csv")


def test_json_lines_have_the_keys_of_all_of_them(file):
    path = file('{"name": "Anna", "phone": 37120000001}\n\n{"name": "Bea", "labels": [1, 2]}\n', "clients.jsonl")
    assert open_source(path).columns == ["name", "phone", "labels"]
    assert read(path) == [
        (1, {"name": "Anna", "phone": 37120000001, "labels": None}),
        (3, {"name": "Bea", "phone": None, "labels": [1, 2]}),
    ]


def test_parquet_is_read_by_row_numbers(tmp_path):
    path = tmp_path / "clients.parquet"
    table = pa.table({"name": ["Anna", None, "Cara"], "day": pa.array([1, None, 2], pa.date32())})
    pq.write_table(table, path, row_group_size=2)
    assert [(line, values["name"]) for line, values in read(path)] == [(1, "Anna"), (3, "Cara")]


def test_damage_in_the_middle_of_parquet_is_an_error(tmp_path):
    path = tmp_path / "clients.parquet"
    pq.write_table(pa.table({"name": [f"Anna {n}" for n in range(50_000)]}), path, row_group_size=10_000)
    content = bytearray(path.read_bytes())
    content[len(content) // 2 : len(content) // 2 + 40_000] = b"\xff" * 40_000
    path.write_bytes(content)
    assert "damaged" in refusal_of(path)


def test_workbooks_are_read_by_the_numbers_of_the_sheet(tmp_path):
    book = openpyxl.Workbook()
    sheet = book.active
    sheet["B2"], sheet["C2"] = "Name", "Phone"
    sheet["B3"], sheet["C3"] = "Anna", 37120000001
    sheet["B6"], sheet["E6"] = "Bea", "x"
    book.save(tmp_path / "clients.xlsx")
    assert read(tmp_path / "clients.xlsx") == [
        (3, {"Name": "Anna", "Phone": 37120000001}),
        (6, {"Name": "Bea", "Phone": None, None: ["x"]}),
    ]


def test_a_workbook_without_its_reader_says_what_to_install(tmp_path, monkeypatch):
    openpyxl.Workbook().save(tmp_path / "clients.xlsx")
    monkeypatch.setitem(__import__("sys").modules, "openpyxl", None)
    assert "airflow-provider-altegio[xlsx]" in refusal_of(tmp_path / "clients.xlsx")


def test_lists_and_frames_are_read_by_row_numbers():
    rows = [{"name": "Anna"}, {"name": None, "phone": float("nan")}, {"name": "Bea", "phone": "1"}]
    assert read([*rows, {"name": pd.NA, "phone": pd.NaT}, {"name": Decimal("sNaN")}]) == read(rows)
    expected = [(1, {"name": "Anna", "phone": None}), (3, {"name": "Bea", "phone": "1"})]
    assert read(rows) == expected
    assert read(pd.DataFrame(rows)) == expected
    frame = pd.DataFrame({"name": ["Anna"], "phone": [37120000001.0], "day": [pd.NaT]})
    assert read(frame) == [(1, {"name": "Anna", "phone": 37120000001.0, "day": None})]


@pytest.mark.parametrize("source", [[], [1], pd.DataFrame({0: [1]}), 7, [{"name": "Anna", 7: 1}]])
def test_other_things_are_no_source(source):
    assert refusal_of(source)


def test_rows_of_a_query_are_read_once_and_never_silently_twice():
    source = rows_source(["name"], iter([{"name": "Anna"}]))
    assert [row.values for row in source] == [{"name": "Anna"}]
    with pytest.raises(ImportFileError, match="once"):
        list(source)


def test_every_kind_of_path_reads_the_same_and_anew_each_time(file):
    path = file("name,phone\nAnna,1\n")
    with fsspec.open("memory://clients.csv", "wb") as remote:
        remote.write(path.read_bytes())
    for source in (path, str(path), path.as_uri(), "memory://clients.csv", UPath("memory://clients.csv")):
        opened = open_source(source)
        assert [row.line for row in opened] == [row.line for row in opened] == [2]


def test_reading_leaves_no_file_open(file):
    def descriptors():
        return len(list(Path("/proc/self/fd").iterdir()))

    path = file("name,phone\n" + "Anna,1\n" * 10_000)
    before = descriptors()
    rows = iter(open_source(path))
    next(rows)
    rows.close()
    assert descriptors() == before


def test_json_values_keep_their_types(file):
    row = {"name": "Anna", "labels": [1], "newsletter allowed": True, "phone": None}
    assert read(file(json.dumps(row), "one.json")) == [(1, row)]


def test_rows_that_can_be_read_once_are_kept_when_they_are_read_in_advance():
    mappings = [{"name": f"Client{n}", "phone": n, "born": date(1990, 1, 1)} for n in range(1_200)]
    with rows_source(["name", "phone", "born"], iter(mappings)) as source:
        assert [row.values for row in source.in_advance()] == mappings
        assert [(row.line, row.values) for row in source] == list(enumerate(mappings, 1))
        assert [row.line for row in source] == list(range(1, 1_201))


PEOPLE = {
    "el": "Ελένη Παππά;Γιώργος Παπαδόπουλος;ΜΑΡΙΑ ΝΙΚΟΛΑΟΥ",
    "ru": "Анна Петрова;Иван Кузнецов;МАРИЯ СИДОРОВА;Ольга Жукова",
    "he": "אנה כהן;דוד לוי",
    "ar": "محمد علي;فاطمة حسن",
    "th": "สมชาย ใจดี;สมหญิง รักไทย",
}


@pytest.mark.parametrize(
    ("language", "encoding"),
    [
        ("el", "cp1253"),
        ("el", "iso8859-7"),
        ("ru", "koi8-r"),
        ("ru", "cp866"),
        ("ru", "iso8859-5"),
        ("ru", "mac-cyrillic"),
        ("he", "cp1255"),
        ("ar", "cp1256"),
        ("th", "cp874"),
    ],
)
def test_other_letters_are_never_read_as_cyrillic(file, language, encoding):
    for text in (PEOPLE[language], *PEOPLE[language].split(";"), PEOPLE[language].upper()):
        rows = "".join(f"{name};1\n" for name in text.split(";"))
        assert "encoding=" in refusal_of(file(f"name;phone\n{rows}", encoding=encoding)), text


@pytest.mark.parametrize(
    "names",
    ["Анна Петрова", "Юлия Жукова", "Іван Коваленко", "АЛЕКСАНДР ИВАНОВ", "Наталья Щербакова-Юдина", "Мила", "Ёлка"],
)
def test_russian_and_ukrainian_names_are_read_as_cp1251(file, names):
    path = file(f"name;phone\n{names};1\n", encoding="cp1251")
    assert [values["name"] for _, values in read(path)] == [names]


@pytest.mark.parametrize("cut", [1, 3, 5])
def test_a_cut_letter_in_utf8_is_refused_with_its_line(file, cut):
    good = "Анна;1\nБелла;2\n".encode()
    broken = "Смолова".encode()[: 2 * cut - 1]
    text = refusal_of(file(b"name;phone\n" + good + broken + b";3\n" + good))
    assert "line 4" in text
    assert "UTF-8" in text


def test_hidden_sheets_are_never_read(tmp_path):
    book = openpyxl.Workbook()
    hidden, visible = book.active, book.create_sheet()
    for sheet, name in ((hidden, "Hidden"), (visible, "Anna")):
        sheet.append(["name", "phone"])
        sheet.append([name, "1"])
    hidden.sheet_state = "veryHidden"
    book.save(tmp_path / "clients.xlsx")
    assert [values["name"] for _, values in read(tmp_path / "clients.xlsx")] == ["Anna"]


def test_a_formula_without_a_stored_value_is_refused_with_its_row(tmp_path):
    book = openpyxl.Workbook()
    for row in (["name", "phone"], ["Anna", "1"], ["Bea", "=1+2"]):
        book.active.append(row)
    book.save(tmp_path / "clients.xlsx")
    assert "row 3 has a formula without a stored value" in refusal_of(tmp_path / "clients.xlsx")
    stored = tmp_path / "stored.xlsx"
    with zipfile.ZipFile(tmp_path / "clients.xlsx") as old, zipfile.ZipFile(stored, "w") as new:
        for name in old.namelist():
            new.writestr(name, re.sub(rb"</f><v ?/?>(</v>)?", b"</f><v>3</v>", old.read(name)))
    assert [values["phone"] for _, values in read(stored)] == ["1", 3]
