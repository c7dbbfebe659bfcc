"""What the extracting operators share: their arguments checked, progress told, summaries handed on.

Imported when a task runs, never when a DAG is parsed.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from altegio_provider.api.arguments import checked_id, checked_ids, checked_instant, checked_zone
from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.api.secrets import Secret
from altegio_provider.common.garbage_collection import few_collections
from altegio_provider.compat import Asset, BaseHook, ObjectStoragePath, mask_secret
from altegio_provider.transfers.transform import frame_transform
from altegio_provider.tables.dataset.dataset import DatasetError, ParquetDataset
from altegio_provider.tables.convert.pseudonyms import Pseudonyms

if TYPE_CHECKING:
    from altegio_provider.compat import Context
    from altegio_provider.hooks.altegio import AltegioHook
    from altegio_provider.transfers.to_parquet import Reading

__all__ = [
    "PRIVATE",
    "ExtractingTask",
    "Progress",
    "Window",
    "extract",
    "flag_of",
    "has_password",
    "ids_of",
    "mode_of",
    "number_of",
    "pseudonyms_of",
    "storage_path",
    "tell_outlets",
    "window_of",
]

_PROGRESS_SECONDS = 5.0
#: Of files with people in them: nobody but their owner reads them.
PRIVATE = 0o600
_OCTAL = re.compile(r"(0o)?[0-7]{3,4}")
_LONGEST_LOOKBACK = timedelta(days=36_525)
_PASSWORD = re.compile(r"://[^/@]*:[^@]*@")


class Window(NamedTuple):
    """A half-open range of UTC instants."""

    start: datetime
    end: datetime


def _wrong(argument: str, text: str, hint: str = "") -> AltegioValidationError:
    return AltegioValidationError(f"{argument} {text}.", errors={argument: [text]}, hint=hint)


def window_of(date_from: datetime | str, date_to: datetime | str, lookback: timedelta, timezone: str) -> Window:
    """Return the range to read, widened by ``lookback``.

    :raises AltegioValidationError: it is empty or reversed, or an argument cannot be read.
    """
    if not isinstance(lookback, timedelta) or not timedelta(0) <= lookback <= _LONGEST_LOOKBACK:
        raise _wrong("lookback", f"must be a timedelta of 0 to {_LONGEST_LOOKBACK.days} days")
    for argument, value in (("date_from", date_from), ("date_to", date_to)):
        if _is_absent(value):
            raise _wrong(
                argument,
                "is empty",
                "A run without a data interval (triggered by hand, or by an asset) has none to fill in: give a range.",
            )
    zone = checked_zone(timezone)
    start, end = checked_instant("date_from", date_from, zone), checked_instant("date_to", date_to, zone)
    if start >= end:
        raise _wrong(
            "date_from",
            f"{start.isoformat()} is not before date_to {end.isoformat()}: the range is "
            + ("empty" if start == end else "reversed"),
            "On Airflow 3 a plain cron schedule such as '@daily' has a data interval of zero length; schedule the "
            "DAG with CronDataIntervalTimetable('@daily', timezone='UTC'), or give date_from and date_to.",
        )
    return Window(checked_instant("date_from", start - lookback, zone), end)


def storage_path(output_path: str, argument: str = "output_path") -> ObjectStoragePath:
    """Return the place to write to.

    :raises AltegioValidationError: it is empty, or of a kind that no installed filesystem knows.
    """
    if not isinstance(output_path, str) or not output_path.strip():
        raise _wrong(argument, "is empty")
    if not output_path.isprintable():
        raise _wrong(argument, "has a control character, or half of a character")
    if has_password(output_path):
        raise _wrong(
            argument,
            "has a password in it, which Airflow would keep and show",
            "Put it into a connection, and name that: s3://my_connection@bucket/folder.",
        )
    try:
        path = ObjectStoragePath(output_path)
        # Airflow 3.1 looks for the library only now. When 3.1 is dropped, this goes.
        path.fs  # noqa: B018
        return path
    except (ValueError, ImportError) as error:
        kind = type(error).__name__
    raise _wrong(argument, f"cannot be opened ({kind}): no library for such a URL is installed, or there is none")


def has_password(url: str) -> bool:
    """Whether a URL carries a password, as ``scheme://user:password@host`` does."""
    return _PASSWORD.search(url) is not None


def _is_absent(value: Any) -> bool:
    """Whether nothing is given; a template turns None into text."""
    return value is None or (isinstance(value, str) and value in ("", "None"))


def ids_of(argument: str, value: Any) -> list[int] | None:
    """Read a list of ids, which a template may have turned into text: ``[5, 10]`` or ``5,10``."""
    if _is_absent(value):
        return None
    if isinstance(value, str):
        parts = value.strip().removeprefix("[").removesuffix("]").split(",")
        value = [part for part in parts if part.strip()]
    elif isinstance(value, int):
        value = [value]
    return checked_ids(argument, value)


def number_of(argument: str, value: Any) -> int | None:
    """Read a whole number of 1 or more, which a template may have turned into text."""
    return None if _is_absent(value) else checked_id(argument, value)


def flag_of(argument: str, value: Any) -> bool:
    """Take true or false and nothing else: a text such as ``"False"`` would count as true."""
    if not isinstance(value, bool):
        raise _wrong(argument, "must be True or False")
    return value


def mode_of(file_mode: Any, default: int | None) -> int | None:
    """Return permissions of files: a number such as ``0o640``, or its digits as text.

    :raises AltegioValidationError: they are none, or do not let the owner read and write.
    """
    if file_mode in (None, "", "None"):
        return default
    if isinstance(file_mode, str):
        file_mode = int(file_mode, 8) if _OCTAL.fullmatch(file_mode) else -1
    if isinstance(file_mode, bool) or not isinstance(file_mode, int) or not 0 <= file_mode <= 0o777:
        raise _wrong("file_mode", "must be permissions such as 0o640 or '0640'")
    if file_mode & 0o600 != 0o600:
        raise _wrong("file_mode", "must let the owner read and write")
    return file_mode


class Progress:
    """Tells the log, every few seconds at the most, how far the reading is."""

    def __init__(self, hook: AltegioHook, log: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._hook = hook
        self._log = log
        self._clock = clock
        self._began = self._told = clock()
        self._rows = 0

    def report(self, rows: int) -> None:
        """Count rows, and tell when it is time."""
        self._rows += rows
        now = self._clock()
        if now - self._told < _PROGRESS_SECONDS:
            return
        self._told = now
        seconds = now - self._began
        requests = self._hook.get_conn().stats.requests
        per_minute = self._hook.settings.requests_per_minute
        share = f", {requests / seconds * 60 / per_minute:.0%} of the rate limit" if per_minute else ""
        self._log.info("%d rows, %d requests, %.0f rows/s%s", self._rows, requests, self._rows / seconds, share)


class ExtractingTask(Protocol):
    """What an extracting operator tells of itself."""

    output_path: str
    transform: Callable[[Any], Any] | str | None
    file_mode: int | str | None
    outlets: Any

    @property
    def log(self) -> Any: ...


def pseudonyms_of(conn_id: str) -> Pseudonyms:
    """Return what hashes with the key of a connection, which is its password.

    :raises AltegioValidationError: it has none, or one that is too short.
    """
    key = Secret(BaseHook.get_connection(conn_id).password or "")
    mask_secret(key.reveal())
    try:
        return Pseudonyms(key.reveal().encode())
    except ValueError as error:
        fault = str(error)
    # Not in the block above: the frames of what was caught hold the key.
    raise AltegioValidationError(
        f"the connection {conn_id!r} holds no key to hash with: its password is missing or too short.",
        errors={"hash_key_conn_id": [fault]},
        hint="Make one with `openssl rand -hex 32`, and keep it: with another key the hashes join no more.",
    )


def extract(
    task: ExtractingTask,
    context: Context,
    hook: AltegioHook,
    dataset: ParquetDataset,
    window: Window,
    reading: Reading,
) -> dict[str, Any]:
    """Write a range's rows into the dataset, tell the outlets, and return the summary."""
    transform = frame_transform(task.transform)
    mode = mode_of(task.file_mode, PRIVATE if reading.is_personal else None)
    table = reading.conversion.table
    _check_table(dataset, table)
    progress = Progress(hook, task.log)
    earlier = reading.earlier
    batches = reading.conversion.batches(reading.rows)
    notes: dict[str, Any] = {}
    with few_collections(), dataset.writer(window.start, window.end, notes, earlier, mode) as writer:
        for batch in transform(earlier.watch(batches) if earlier else batches):
            writer.write(batch)
            progress.report(batch.num_rows)
        texts_replaced = reading.conversion.replacements.total()
        notes |= {"table": table, "texts_replaced": texts_replaced, **reading.notes}
    if reading.done:
        reading.done()
    reading.conversion.warn(task.log)
    stats = hook.get_conn().stats
    summary = {
        "path": str(task.output_path),
        "files": writer.result.files,
        "rows": writer.result.rows,
        "bytes": writer.result.bytes,
        "requests": stats.requests,
        "retries": stats.retries,
        "from": window.start.isoformat(),
        "to": window.end.isoformat(),
        "location_id": dataset.location_id,
        "texts_replaced": texts_replaced,
    }
    if earlier:
        summary["deleted"] = earlier.deleted
    task.log.info("Wrote %(rows)d rows of location %(location_id)d into %(path)s", summary)
    tell_outlets(context, task.outlets, summary)
    return summary


def _check_table(dataset: ParquetDataset, table: str) -> None:
    """Refuse a dataset of another table: a run would replace its files.

    :raises AltegioValidationError: it is one.
    """
    others: set[str] = set()
    with suppress(DatasetError):  # one file, which somebody else wrote: it is replaced, as it always was
        others = {file.notes.get("table", table) for file in dataset.files()} - {table}
    if others:
        raise _wrong("output_path", f"holds {others.pop()}, which {table} would replace", "Give each its own.")


def tell_outlets(context: Context, outlets: Sequence[Any], summary: Mapping[str, Any]) -> None:
    """Put a summary on the asset event of each outlet."""
    events = context.get("outlet_events") if context else None
    if events is None:
        return
    for outlet in outlets:
        if isinstance(outlet, Asset):
            events[outlet].extra = json.loads(json.dumps(summary))
