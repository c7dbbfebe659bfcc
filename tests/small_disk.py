"""A small file system in memory, which tests fill."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["SmallDisk", "small_disk"]


class SmallDisk:
    """The disk.

    :param folder: where it is mounted.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, leave: int = 0) -> None:
        """Fill it to the last byte, and free so many again."""
        with self._filler.open("ab") as file:
            for size in (65_536, 4_096):
                try:
                    while True:
                        os.write(file.fileno(), b"x" * size)
                except OSError:
                    continue
        if leave:
            os.truncate(self._filler, self._filler.stat().st_size - leave)

    def clear(self) -> None:
        """Free what was filled."""
        self._filler.unlink(missing_ok=True)


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[SmallDisk]:
    """Mount it; the test is skipped where that is not allowed.

    :param size: as ``mount`` takes it: ``512k``.
    """
    if os.getuid() != 0:
        pytest.skip("only root can mount a file system")
    folder.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder], check=False)
    if done.returncode:
        pytest.skip("no file system can be mounted here")
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
