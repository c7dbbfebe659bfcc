"""The file of the limit where it cannot be made, read or written: one clear error, and nothing is sent."""

from __future__ import annotations

import os
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import pytest

from altegio_provider.api.errors import AltegioNotSentError
from altegio_provider.api.ratelimit.limiter import rates_of_limits
from altegio_provider.api.ratelimit.stores import FileSlotStore, open_slot_store
from tests.unit.api.conftest import Clock

URL = "https://api.alteg.io/api/v2"
RATES = rates_of_limits(5, 200)


def open_in(folder, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(folder))
    return open_slot_store(URL, RATES, None)


@pytest.fixture
def mount(tmp_path):
    """Mount a small file system in memory, and return its folder."""
    if os.getuid() != 0:
        pytest.skip("only root can mount")

    def mount_with(option: str) -> Path:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", option, "tmpfs", tmp_path], check=False)
        if done.returncode:
            pytest.skip("no file system can be mounted here")
        return tmp_path

    yield mount_with
    subprocess.run(["umount", "--lazy", tmp_path], check=False)


@pytest.mark.parametrize(("option", "reason"), [("ro", "Read-only"), ("nr_inodes=1", "No space left")])
def test_a_temporary_directory_that_takes_no_folder_is_named(mount, monkeypatch, option, reason) -> None:
    folder = mount(option)
    with pytest.raises(AltegioNotSentError, match=reason) as caught:
        open_in(folder, monkeypatch)
    assert str(folder) in str(caught.value)
    assert "TMPDIR" in str(caught.value)
    assert caught.value.transient is (option != "ro")


def test_a_temporary_directory_that_fills_up_in_use_is_named_and_heals(mount, monkeypatch) -> None:
    folder = mount("size=64k")
    log = open_in(folder, monkeypatch)
    with pytest.raises(OSError, match="No space"):
        (folder / "filler").write_bytes(b"x" * 100_000)
    with pytest.raises(AltegioNotSentError, match="full") as caught:
        [log.take([], RATES[0]) for _ in range(5_000)]
    (folder / "filler").unlink()
    assert log.take([], RATES[0])[0] == 0
    log.close()
    assert caught.value.transient
    assert "TMPDIR" in str(caught.value)


def test_a_folder_that_became_read_only_is_named(mount, monkeypatch) -> None:
    folder = mount("size=1m")
    open_in(folder, monkeypatch).close()
    subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
    log = open_in(folder, monkeypatch)
    with pytest.raises(AltegioNotSentError, match="TMPDIR") as caught:
        log.take(RATES, RATES[0])
    log.close()
    assert not caught.value.transient


def test_a_path_of_the_temporary_directory_that_is_a_file_is_named(tmp_path, monkeypatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(AltegioNotSentError, match="TMPDIR") as caught:
        open_in(tmp_path / "file", monkeypatch)
    assert not caught.value.transient


def test_a_damaged_file_says_that_it_may_be_deleted(tmp_path) -> None:
    (tmp_path / "limit.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(AltegioNotSentError, match="Delete the file"):
        FileSlotStore(tmp_path / "limit.sqlite")


def test_a_commit_that_failed_once_does_not_block_the_file_for_ever(tmp_path) -> None:
    """Another program reads the file when this one wants to write: SQLite refuses the COMMIT and keeps it open."""
    log = FileSlotStore(tmp_path / "limit.sqlite", Clock())
    log._connection.execute("PRAGMA busy_timeout = 1")
    with closing(sqlite3.connect(tmp_path / "limit.sqlite", isolation_level=None)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM slot").fetchall()
        with pytest.raises(AltegioNotSentError, match="locked"):
            log.take(RATES, RATES[0])
        reader.execute("COMMIT")
    assert log.take(RATES, RATES[0])[0] == 0
    log.close()
