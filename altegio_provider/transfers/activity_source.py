"""Chooses how the activities of a range are read: from their list, or from their bookings where the list has no past.

Imported when a task runs, never when a DAG is parsed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from pyroaring import BitMap64

from altegio_provider.api.arguments import argument_error, flag_or_none
from altegio_provider.api.errors import AltegioPastNotListedError, AltegioValidationError
from altegio_provider.common.location_time import TimeRange
from altegio_provider.tables.convert.activities import ActivityConverter
from altegio_provider.transfers.extract import ExtractInput
from altegio_provider.transfers.history import BookedEvents

if TYPE_CHECKING:
    from altegio_provider.api.client import AltegioClient
    from altegio_provider.tables.dataset.dataset import ParquetDataset
    from altegio_provider.tables.dataset.saved_answers import SavedAnswers

__all__ = ["ActivitySource", "checked_history"]

#: A retry uses the answers that an attempt saved within this time.
_FRESH_FOR = timedelta(hours=24)
#: The manifest's note on what a file lacks that was made from appointments.
_LACKS = "events that nobody booked, unless an earlier extract read them"
#: A range that ends sooner than this has no future that is worth a request.
_SHORTEST_FUTURE = timedelta(minutes=1)


def checked_history(value: Any) -> bool | None:
    """Return whether the past is rebuilt from bookings; ``None`` for ``auto``.

    :param value: the operator's argument: ``auto``, true or false.
    :raises AltegioValidationError: it is none of them.
    """
    if value == "auto":
        return None
    flag = flag_or_none(value)
    if flag is None:
        raise argument_error("history", "must be 'auto', true or false")
    return flag


class ActivitySource:
    """Reads the activities of a range for one run of the extract.

    :param client: talks to the location.
    :param dataset: the dataset that the run writes into.
    :param window: the range.
    :param history: true: from bookings; false: from the list; ``None``: from the list, and where the server refuses
        the past, from bookings.
    :param filters: the filters of the list that are set.
    :param mark_deleted: whether deleted rows are kept and marked.
    :param options: ``timezone``, ``page_size`` and ``concurrency``.
    :param log: is told when the server refuses the past.
    :raises AltegioValidationError: an argument cannot be right; nothing was asked for.
    """

    def __init__(
        self,
        client: AltegioClient,
        dataset: ParquetDataset,
        window: TimeRange,
        *,
        history: bool | None,
        filters: Mapping[str, Any],
        mark_deleted: bool,
        options: Mapping[str, Any],
        log: Any,
    ) -> None:
        self._client = client
        self._dataset = dataset
        self._window = window
        self._history = history
        self._filters = filters
        self._options = options
        self._log = log
        self._saved: SavedAnswers | None = None
        self._converter = ActivityConverter(dataset.location_id, options["timezone"])
        self._notes: dict[str, Any] = {"source": "list"}
        self._previous = None
        if history:
            if client.route_family == "companies":
                raise argument_error(
                    "history",
                    "is only for route_family='locations'",
                    "Omit it: under this connection's route family, the list has past events, even those that nobody "
                    "booked.",
                )
            self._check_no_filters("history=True")
            self._rows = self._booked(window)
            self._previous = dataset.previous_rows(*window, marks_deleted=False)
            return
        include_deleted = mark_deleted and client.route_family == "locations"
        start, end = window
        listed = client.list_activities(
            dataset.location_id, start, end, include_deleted=include_deleted, **filters, **options
        )
        if mark_deleted and not filters:
            self._previous = dataset.previous_rows(*window)
        self._rows = self._listed(listed)

    def extract_input(self) -> ExtractInput:
        """Return what the run writes; nothing is asked of the API before its rows are read."""
        return ExtractInput(self._rows, self._converter, self._notes, self._previous, self._clear)

    def _listed(self, rows: Iterator[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        has_rows = False
        try:
            for row in rows:
                has_rows = True
                yield row
        except AltegioPastNotListedError:
            if has_rows or self._history is False:
                raise
        else:
            if self._previous is not None:
                # Where the past is not listed, a class that began while this was read is not gone.
                self._previous.complete_from = self._client.earliest_listed or self._window.start
            return
        self._check_no_filters("the server does not list the past, and rebuilding it from appointments")
        self._log.warning(
            "The server does not list the past. It is rebuilt from appointments (history='auto'): that takes a request "
            "for each event, and events that nobody booked are missing"
        )
        yield from self._past_and_future()

    def _past_and_future(self) -> Iterator[Mapping[str, Any]]:
        """Read the range from bookings up to now, and from the list from now on."""
        if self._previous is not None:
            self._previous.marks_deleted = False
        start, end = self._window
        now = min(self._client.earliest_listed or end, end)
        listed = BitMap64()
        if end - now >= _SHORTEST_FUTURE:
            for event in self._client.list_activities(self._dataset.location_id, now, end, **self._options):
                if event_id := _id_of(event):
                    listed.add(event_id)
                yield event
        for row in self._booked(TimeRange(start, now)):
            if _id_of(row) not in listed:
                yield row

    def _booked(self, window: TimeRange) -> Iterator[Mapping[str, Any]]:
        """Read a range from its bookings, and go on where an earlier attempt at it stopped."""
        with self._dataset.saved_answers("history", *self._window, _FRESH_FOR) as saved:
            self._saved = saved
            self._converter.extracted_at = saved.began_at
            events = BookedEvents(self._client, self._dataset.location_id, *window, saved=saved, **self._options)
            self._notes |= {"source": "history", "lacks": _LACKS, "not_found": 0}
            yield from events.rows()
        events.warn(self._log)
        self._notes["not_found"] = events.not_found

    def _check_no_filters(self, what: str) -> None:
        if self._filters:
            raise AltegioValidationError(
                f"{what} cannot be combined with filters.",
                errors={name: ["omit it"] for name in self._filters},
                hint="A run replaces all rows of its range, so it must read all of them.",
            )

    def _clear(self) -> None:
        if self._saved is not None:
            self._saved.clear()


def _id_of(row: Mapping[str, Any]) -> int:
    """Return the number of an event; 0 for none."""
    number = row.get("id")
    return number if type(number) is int and 0 < number < 1 << 63 else 0
