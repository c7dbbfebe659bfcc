"""A folder into which people put files: which are there and whole, and how a run takes them and puts them aside.

::

    <inbox>/clients.csv                          put there by a person or a program
    <inbox>/work/<run>/clients.csv/clients.csv   taken by a run: nobody changes it any more
    <inbox>/done/<run>/clients.csv/...           the file and its reports; or in ``failed``, or in ``declined``

Each step is a rename within one file system: a file is in one place at any time, and a step that is done again after
a crash finds what the first time left. Imported when a task runs, never when a DAG is parsed.
"""

from __future__ import annotations

import os
import re
import stat
import time
from collections.abc import Callable, Iterable
from itertools import count
from pathlib import Path

from altegio_provider.api.errors import AltegioValidationError

__all__ = ["DECLINED", "DONE", "FAILED", "complete_files", "inbox_folder", "put_aside", "take"]

DONE, FAILED, DECLINED, _WORK = "done", "failed", "declined", "work"

_SUFFIXES = (".csv", ".tsv", ".xlsx", ".jsonl", ".parquet")


def inbox_folder(folder: str) -> Path:
    """Return the inbox, given as a path or as a ``file://`` URL.

    :raises AltegioValidationError: it is elsewhere than on a disk, or not given.
    """
    scheme, _, rest = folder.rpartition("://")
    if scheme.lower() not in ("", "file", "local"):
        raise AltegioValidationError(
            f"the inbox {folder} is not a folder on a disk.",
            errors={"folder": [f"files are taken from the inbox by renaming, which {scheme}:// does not support"]},
            hint="Give a folder on a disk that all workers can reach. For an object in a bucket, wait with that "
            "store's own sensor, and give the object's URL to the import as `source`.",
        )
    if not rest.strip():
        raise AltegioValidationError("the inbox is not given.", errors={"folder": ["is empty"]}, hint="")
    return Path(rest).expanduser()


def complete_files(inbox: Path, quiet_seconds: float, sleep: Callable[[float], None] = time.sleep) -> list[str]:
    """Return the names of the files that are not being written, oldest first.

    Hidden files, the locks of spreadsheet programs (``~$...``) and files of other kinds are left alone. So are links:
    whoever puts one there may point at a file that only this user can read.

    :param inbox: the folder; it may be missing yet.
    :param quiet_seconds: a file that changes its size or time within so many seconds is left for the next look.
    """
    before = _files(inbox)
    if before and quiet_seconds:
        sleep(quiet_seconds)
        now = _files(inbox)
        before = {name: seen for name, seen in before.items() if now.get(name) == seen}
    return sorted(before, key=lambda name: (before[name][0], name))


def take(inbox: Path, run_id: str, names: Iterable[str]) -> list[Path]:
    """Move files to the run's own folder, and return where they are now, each in a folder of its own.

    Taken again, it returns the same. A file that somebody took away meanwhile is not among them, nor is one that was
    exchanged for a link or something else that is not a file.
    """
    folder = inbox / _WORK / _folder_name(run_id)
    taken = []
    for name in names:
        target = folder / name / name
        if not os.path.lexists(target) and _is_file(inbox / name):
            target.parent.mkdir(parents=True, exist_ok=True)
            (inbox / name).rename(target)
            if not _is_file(target):  # exchanged between the look and the rename
                target.rename(inbox / name)
        if _is_file(target):
            taken.append(target)
    return taken


def put_aside(taken: Path, where: str) -> Path | None:
    """Move a taken file with all that lies beside it, its reports, and return its folder.

    :param taken: as :func:`take` returned it.
    :param where: ``DONE``, ``FAILED`` or ``DECLINED``.
    :returns: ``None`` if it has been put aside elsewhere.
    """
    run, inbox = taken.parent.parent, taken.parents[3]
    target = inbox / where / run.name / taken.parent.name
    if not taken.parent.exists():
        return target if target.exists() else None
    target.parent.mkdir(parents=True, exist_ok=True)
    # A run that was cleared, and has found another file of the same name, keeps both.
    for again in count(2):
        if not target.exists():
            break
        target = target.with_name(f"{taken.parent.name}.{again}")
    taken.parent.rename(target)
    if not any(run.iterdir()):
        run.rmdir()
    return target


def _files(inbox: Path) -> dict[str, tuple[int, int]]:
    if not inbox.is_dir():
        return {}
    found = (path for path in inbox.iterdir() if path.suffix.lower() in _SUFFIXES and path.name[0] not in ".~")
    return {path.name: seen for path in found if (seen := _seen(path)) is not None}


def _is_file(path: Path) -> bool:
    """Whether it is a file itself, and not a link to one."""
    return _seen(path) is not None


def _seen(path: Path) -> tuple[int, int] | None:
    """When a file was changed and how long it is; ``None`` where there is none."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return (status.st_mtime_ns, status.st_size) if stat.S_ISREG(status.st_mode) else None


def _folder_name(run_id: str) -> str:
    return re.sub(r"[^\w.+-]+", "-", run_id)
