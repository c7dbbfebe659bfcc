"""A longer file takes no more memory."""

from __future__ import annotations

import json
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

READ = """
import re, sys
from pathlib import Path
from altegio_provider.imports.files.open_source import open_source
with open_source(sys.argv[1]) as source:
    rows = sum(1 for row in source)
# Not ru_maxrss: it begins with the size of the process that this one was forked from.
print(rows, re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
"""
HEADINGS = ["name", "surname", "phone", "email", "comment"]


def cells(number):
    return [f"Anna {number}", f"Berg {number}", f"+371{number:08d}", f"anna.{number}@example.com", "x" * 100]


def write(path, rows):
    if path.suffix == ".parquet":
        columns = zip(*map(cells, range(rows)), strict=True)
        # One row group, as the usual writers make them; in small pages, so that the shorter file fills them too.
        table = pa.table(dict(zip(HEADINGS, columns, strict=True)))
        pages = {"data_page_size": 65_536, "use_dictionary": False, "compression": "none"}
        pq.write_table(table, path, row_group_size=rows, **pages)
        return
    with path.open("w") as file:
        if path.suffix == ".csv":
            file.write(";".join(HEADINGS) + "\n")
            file.writelines(";".join(cells(number)) + "\n" for number in range(rows))
        else:
            file.writelines(json.dumps(dict(zip(HEADINGS, cells(n), strict=True))) + "\n" for n in range(rows))


def peak_of_reading(path):
    """The rows, and the lowest peak of three processes: the timing of threads can only add to it."""
    peaks = []
    for _ in range(3):
        command = [sys.executable, "-c", READ, path]
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
        rows, kilobytes = map(int, done.stdout.split())
        peaks.append(kilobytes / 1024)
    return rows, min(peaks)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_ten_times_the_rows_take_no_more_memory(tmp_path, kind):
    short, long = tmp_path / f"short.{kind}", tmp_path / f"long.{kind}"
    write(short, 20_000)
    write(long, 200_000)
    rows, before = peak_of_reading(short)
    more_rows, after = peak_of_reading(long)
    assert (rows, more_rows) == (20_000, 200_000)
    assert after < before * 1.1, f"{before:.0f} MB became {after:.0f} MB"
