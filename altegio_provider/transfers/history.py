"""Rebuilds past events from their appointments, where the server lists only future events.

A server of autumn 2026 lists past events; :mod:`~altegio_provider.transfers.activity_source` chooses.

Appointments can be listed for any range, and each names its event (``activity_id``). A single event can be read by
its id, even if it is long over. So this module lists the appointments of the range and reads each of their events
once. It cannot find events that nobody booked.

**Costs**: one request for each event, and one for each 250 appointments. At 200 requests a minute, 3,000 events take a
quarter of an hour. So answers are saved, and a retry continues after the last answer.

**Memory**: the ids of the events in a compressed bitmap, and the pending answers.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pyroaring import BitMap64

from altegio_provider.api.errors import AltegioNotFoundError, AltegioValidationError
from altegio_provider.common.location_time import LocationClock, load_zone

if TYPE_CHECKING:
    from altegio_provider.api.client import AltegioClient
    from altegio_provider.tables.dataset.saved_answers import SavedAnswers

__all__ = ["BookedEvents"]

log = logging.getLogger(__name__)

Row = Mapping[str, Any]

#: How many events are queued for each simultaneous request.
_AHEAD = 2


class BookedEvents:
    """The events that start in ``[start, end)`` and have an appointment, each once.

    :param client: a client of the route family ``locations``.
    :param location_id: the location.
    :param start: the start, an aware datetime.
    :param end: the end, an aware datetime.
    :param timezone: the location's IANA time zone.
    :param saved: saves the answers until the run is done.
    :param concurrency: the maximum number of simultaneous requests for events.
    :param page_size: rows for each request of the list of appointments.
    :raises AltegioValidationError: the client's route family has no list of appointments.
    """

    def __init__(
        self,
        client: AltegioClient,
        location_id: int,
        start: datetime,
        end: datetime,
        *,
        timezone: str,
        saved: SavedAnswers,
        concurrency: int = 4,
        page_size: int | None = None,
    ) -> None:
        self._client = client
        self._location_id = location_id
        self._bounds_us = (round(start.timestamp() * 1e6), round(end.timestamp() * 1e6))
        self._clock = LocationClock(load_zone(timezone))
        self._saved = saved
        self._concurrency = concurrency
        self._seen = BitMap64()
        self._joins = True
        #: How many events were read by an earlier attempt, and how many do not exist though they have an appointment.
        self.resumed = self.not_found = 0
        # This checks the arguments. No request is made before the first appointment is read.
        self._appointments = client.list_appointments(
            location_id,
            date_from=start,
            date_to=end,
            include=(),
            page_size=page_size,
            concurrency=concurrency,
            timezone=timezone,
        )

    def rows(self) -> Iterator[Row]:
        """Yield the events as flat rows, including events without a readable start.

        :raises AltegioError: a request failed. The answers until then are saved.
        """
        for event_id, row in self._saved.answers():
            if self._is_new(event_id):
                self.resumed += 1
                yield from self._wanted(row)
        if self.resumed:
            log.info("%d events were read by an earlier attempt and are not requested again", self.resumed)
        with _Workers(self._ask, self._concurrency) as workers:
            for appointment in self._appointments:
                event_id = _event_of(appointment)
                if event_id and self._is_new(event_id):
                    workers.ask(event_id)
                while workers.under_way > self._concurrency * _AHEAD:
                    yield from self._wanted(workers.take())
            while workers.under_way:
                yield from self._wanted(workers.take())

    def warn(self, log: Any) -> None:
        """Log how many events were not found.

        :param log: a logger.
        """
        if self.not_found:
            log.warning("%d events were not found though they have appointments. They are omitted", self.not_found)

    def _is_new(self, event_id: int) -> bool:
        if event_id in self._seen:
            return False
        self._seen.add(event_id)
        return True

    def _ask(self, event_id: int) -> Row | None:
        """Read one event, ``None`` if it does not exist. Called in threads."""
        row: Row | None
        try:
            row = self._event(event_id)
        except AltegioNotFoundError:
            row = None
        self._saved.add(event_id, row)
        return row

    def _event(self, event_id: int) -> Row:
        try:
            return self._client.get_event(self._location_id, event_id, joined=self._joins)
        except AltegioValidationError:
            if not self._joins:
                raise
            self._joins = False  # the documentation has `include` for lists only
            return self._client.get_event(self._location_id, event_id)

    def _wanted(self, row: Row | None) -> Iterator[Row]:
        """Yield the row if the event starts in the range. An event before it can have an appointment in it."""
        if row is None:
            self.not_found += 1
            return
        start = self._clock.start_of(row)
        first, behind = self._bounds_us
        if start is None or first <= start.instant_us < behind:
            yield row


class _Workers:
    """Threads that read events. The answers have the order of the requests."""

    def __init__(self, ask: Callable[[int], Row | None], concurrency: int) -> None:
        self._ask = ask
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="altegio-event")
        self._futures: deque[Future[Row | None]] = deque()

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        # Pending requests end by themselves, and their answers are saved.
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def under_way(self) -> int:
        return len(self._futures)

    def ask(self, event_id: int) -> None:
        self._futures.append(self._pool.submit(self._ask, event_id))

    def take(self) -> Row | None:
        return self._futures.popleft().result()


def _event_of(appointment: Mapping[str, Any]) -> int:
    """Return the id of an appointment's event, 0 if it has none."""
    value = appointment.get("activity_id")
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    return value if type(value) is int and 0 < value < 1 << 63 else 0
