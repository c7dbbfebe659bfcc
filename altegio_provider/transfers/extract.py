"""Writes the rows of a range into a dataset, logs the progress, and gives the summary to the outlets.

Imported when a task runs, never when a DAG is parsed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from altegio_provider.api.arguments import argument_error
from altegio_provider.api.errors import AltegioValidationError
from altegio_provider.api.secrets import Secret
from altegio_provider.common.garbage_collection import reduced_garbage_collection
from altegio_provider.common.location_time import TimeRange
from altegio_provider.compat import Asset, BaseHook, mask_secret
from altegio_provider.operators.arguments import PRIVATE, mode_of
from altegio_provider.tables.convert.pseudonyms import Pseudonymizer
from altegio_provider.tables.dataset.dataset import DatasetError, ParquetDataset
from altegio_provider.transfers.transform import frame_transform

if TYPE_CHECKING:
    from altegio_provider.compat import Context
    from altegio_provider.hooks.altegio import AltegioHook
    from altegio_provider.tables.convert.row_converter import RowConverter
    from altegio_provider.tables.dataset.previous_rows import PreviousRows

__all__ = [
    "ExtractInput",
    "ExtractTask",
    "ProgressLogger",
    "add_summary_to_outlets",
    "extract",
    "pseudonyms_from_connection",
]

_PROGRESS_SECONDS = 5.0


class ProgressLogger:
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


class ExtractTask(Protocol):
    """What an extracting operator tells of itself."""

    output_path: str
    transform: Callable[[Any], Any] | str | None
    file_mode: int | str | None
    outlets: Any

    @property
    def log(self) -> Any: ...


def pseudonyms_from_connection(conn_id: str) -> Pseudonymizer:
    """Return what hashes with the key of a connection, which is its password.

    :raises AltegioValidationError: it has none, or one that is too short.
    """
    key = Secret(BaseHook.get_connection(conn_id).password or "")
    mask_secret(key.reveal())
    try:
        return Pseudonymizer(key.reveal().encode())
    except ValueError as error:
        fault = str(error)
    # Not in the block above: the frames of what was caught hold the key.
    raise AltegioValidationError(
        f"the connection {conn_id!r} holds no key to hash with: its password is missing or too short.",
        errors={"hash_key_conn_id": [fault]},
        hint="Make one with `openssl rand -hex 32`, and keep it: with another key the hashes join no more.",
    )


def extract(
    task: ExtractTask,
    context: Context,
    hook: AltegioHook,
    dataset: ParquetDataset,
    window: TimeRange,
    extract_input: ExtractInput,
) -> dict[str, Any]:
    """Write a range's rows into the dataset, tell the outlets, and return the summary."""
    transform = frame_transform(task.transform)
    mode = mode_of(task.file_mode, PRIVATE if extract_input.is_personal else None)
    table = extract_input.converter.table
    _check_table(dataset, table)
    progress = ProgressLogger(hook, task.log)
    previous = extract_input.previous
    batches = extract_input.converter.batches(extract_input.rows)
    notes: dict[str, Any] = {}
    with reduced_garbage_collection(), dataset.writer(window.start, window.end, notes, previous, mode) as writer:
        for batch in transform(previous.track(batches) if previous else batches):
            writer.write(batch)
            progress.report(batch.num_rows)
        texts_replaced = extract_input.converter.replacements.total()
        notes |= {"table": table, "texts_replaced": texts_replaced, **extract_input.notes}
    if extract_input.done:
        extract_input.done()
    extract_input.converter.warn(task.log)
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
    if previous:
        summary["deleted"] = previous.deleted
    task.log.info("Wrote %(rows)d rows of location %(location_id)d into %(path)s", summary)
    add_summary_to_outlets(context, task.outlets, summary)
    return summary


def _check_table(dataset: ParquetDataset, table: str) -> None:
    """Refuse a dataset of another table: a run would replace its files.

    :raises AltegioValidationError: it is one.
    """
    others: set[str] = set()
    with suppress(DatasetError):  # one file, which somebody else wrote: it is replaced, as it always was
        others = {file.notes.get("table", table) for file in dataset.files()} - {table}
    if others:
        raise argument_error("output_path", f"holds {others.pop()}, which {table} would replace", "Give each its own.")


def add_summary_to_outlets(context: Context, outlets: Sequence[Any], summary: Mapping[str, Any]) -> None:
    """Put a summary on the asset event of each outlet."""
    events = context.get("outlet_events") if context else None
    if events is None:
        return
    for outlet in outlets:
        if isinstance(outlet, Asset):
            events[outlet].extra = json.loads(json.dumps(summary))


class ExtractInput(NamedTuple):
    """What a run writes.

    :param rows: read when the writing has begun, never before the task's arguments are known to be right.
    :param converter: what makes them batches; it tells the log what did not add up.
    :param notes: small JSON values to keep beside the file in the manifest, as they are when all rows are read.
    :param previous: what is to be kept of earlier runs; ``None``: this one replaces all of its range.
    :param done: called when the file is in its place.
    :param is_personal: whether the rows tell of people, so that others than the owner are not to read the file.
    """

    rows: Iterable[Mapping[str, Any]]
    converter: RowConverter
    notes: Mapping[str, Any] = {}
    previous: PreviousRows | None = None
    done: Callable[[], None] | None = None
    is_personal: bool = False
