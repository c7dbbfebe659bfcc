"""Writes the rows of a range to a dataset, logs the progress, and adds a summary to the outlets' asset events.

Import it when a task runs, not when a DAG is parsed.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from altegio_provider.api.arguments import argument_error
from altegio_provider.api.secrets import Secret
from altegio_provider.common.garbage_collection import reduced_garbage_collection
from altegio_provider.common.location_time import TimeRange
from altegio_provider.compat import Asset, get_connection, mask_secret
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
    """Logs the progress of an extract, at most every few seconds.

    :param hook: the hook whose client reads.
    :param log: the logger.
    :param clock: the monotonic time in seconds.
    """

    def __init__(self, hook: AltegioHook, log: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._hook = hook
        self._log = log
        self._clock = clock
        self._began = self._told = clock()
        self._rows = 0

    def report(self, rows: int) -> None:
        """Count rows, and log a line if it is time.

        :param rows: how many rows were written since the last call.
        """
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
    """The attributes of an operator that :func:`extract` uses."""

    output_path: str
    transform: Callable[[Any], Any] | str | None
    file_mode: int | str | None
    outlets: Any

    @property
    def log(self) -> Any: ...


def pseudonyms_from_connection(conn_id: str) -> Pseudonymizer:
    """Return a pseudonymizer whose key is the password of a connection.

    :param conn_id: a connection of any type.
    :raises AltegioValidationError: the password is missing or too short.
    """
    key = Secret(get_connection(conn_id).password or "")
    mask_secret(key.reveal())
    try:
        return Pseudonymizer(key.reveal().encode())
    except ValueError as error:
        fault = str(error)
    # Not raised in the block above: the frames of the caught error hold the key.
    raise argument_error(
        "hash_key_conn_id",
        f"{conn_id!r} has no key for the hashes as its password: {fault}",
        "Create a key with `openssl rand -hex 32` and keep it: hashes of different keys cannot be joined.",
    )


def extract(
    task: ExtractTask,
    context: Context,
    hook: AltegioHook,
    dataset: ParquetDataset,
    window: TimeRange,
    extract_input: ExtractInput,
) -> dict[str, Any]:
    """Write the rows of a range to the dataset, and add the summary to the outlets' asset events.

    :param task: the operator.
    :param context: the task's context.
    :param hook: the operator's hook.
    :param dataset: the dataset.
    :param window: the range.
    :param extract_input: what to write.
    :returns: the summary.
    :raises AltegioValidationError: an argument of the operator is invalid, or the dataset is of another table.
    """
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
        if rows_without := hook.get_conn().rows_without:
            notes["rows_without"] = dict(rows_without)
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
    """Check that the dataset has no files of another table, which a run would replace.

    :raises AltegioValidationError: it has.
    """
    others: set[str] = set()
    with suppress(DatasetError):  # a single file of another program: it is replaced
        others = {file.notes.get("table", table) for file in dataset.files()} - {table}
    if others:
        raise argument_error(
            "output_path",
            f"has {others.pop()}, which {table} would replace",
            "Use a separate output_path for each table.",
        )


def add_summary_to_outlets(context: Context, outlets: Sequence[Any], summary: Mapping[str, Any]) -> None:
    """Put a summary into the ``extra`` of each outlet's asset event.

    :param context: the task's context.
    :param outlets: the task's outlets.
    :param summary: JSON values.
    """
    events = context.get("outlet_events") if context else None
    if events is None:
        return
    for outlet in outlets:
        if isinstance(outlet, Asset):
            events[outlet].extra = json.loads(json.dumps(summary))


class ExtractInput(NamedTuple):
    """What a run writes, and how.

    :param rows: the API's rows. They are read only after the task's arguments were checked.
    :param converter: converts the rows to record batches.
    :param notes: small JSON values to store in the manifest, with the content that they have when all rows are read.
    :param previous: the rows of earlier runs to keep; ``None``: the run replaces its whole range.
    :param done: called when the file is committed.
    :param is_personal: whether the rows have personal data, so that only the file's owner may read it.
    """

    rows: Iterable[Mapping[str, Any]]
    converter: RowConverter
    notes: Mapping[str, Any] = {}
    previous: PreviousRows | None = None
    done: Callable[[], None] | None = None
    is_personal: bool = False
