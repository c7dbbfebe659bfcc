"""Rebuilds the events of a past time from their appointments, where the list of events knows the future only.

Appointments may be asked for of any time, and each names its event (``activity_id``); an event answers when it is asked
for by its id, however long ago it was. So the appointments of the range are listed, and each event that they name is
asked for, once. What this cannot find is an event that nobody booked.

**Costs**: a request for each event, and one for each 250 appointments. At 200 requests a minute 3,000 events take a
quarter of an hour, so answers are saved: a run that died goes on after the last answer that it had.

**Memory**: the ids of the events in a compressed bitmap, and the answers under way.
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

#: So many events wait for their turn, for each request that may be under way.
_AHEAD = 2


class BookedEvents:
    """The events that start in ``[start, end)`` and have an appointment, each once.

    :param client: of the family ``locations``.
    :param start: an aware datetime; so is ``end``.
    :param timezone: the location's IANA time zone.
    :param saved: keeps the answers until the run is done.
    :param concurrency: events asked for at once, at most.
    :raises AltegioValidationError: the client is of a family that has no list of appointments.
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
        #: Events that were answered to an earlier attempt, and events that are not there though an appointment is.
        self.resumed = self.not_found = 0
        # Its arguments are checked here, before anything is asked for.
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
        """Yield the events, flat; one that does not say when it starts is among them: its appointment is in the range.

        :raises AltegioError: what a request ended in; what was answered until then is in the saved.
        """
        for event_id, row in self._saved.answers():
            if self._is_new(event_id):
                self.resumed += 1
                yield from self._wanted(row)
        if self.resumed:
            log.info("%d events were answered to an earlier attempt and are not asked for again", self.resumed)
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
        """Tell a logger, once, what could not be found."""
        if self.not_found:
            log.warning("%d events have appointments and are not found themselves; they are left out", self.not_found)

    def _is_new(self, event_id: int) -> bool:
        if event_id in self._seen:
            return False
        self._seen.add(event_id)
        return True

    def _ask(self, event_id: int) -> Row | None:
        """Ask for one event; ``None`` where there is none. Called in threads."""
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
            self._joins = False  # the portal promises `include` for lists alone
            return self._client.get_event(self._location_id, event_id)

    def _wanted(self, row: Row | None) -> Iterator[Row]:
        """The row, where it belongs into the range: an appointment may go on in it though its event began before."""
        if row is None:
            self.not_found += 1
            return
        start = self._clock.start_of(row)
        first, behind = self._bounds_us
        if start is None or first <= start.instant_us < behind:
            yield row


class _Workers:
    """Threads that ask for events; their answers come in the order in which they were asked for."""

    def __init__(self, ask: Callable[[int], Row | None], concurrency: int) -> None:
        self._ask = ask
        self._pool = ThreadPoolExecutor(concurrency, thread_name_prefix="altegio-event")
        self._futures: deque[Future[Row | None]] = deque()

    def __enter__(self) -> _Workers:
        return self

    def __exit__(self, *_: object) -> None:
        # What is under way ends by itself, and its answer is saved then.
        self._pool.shutdown(wait=False, cancel_futures=True)

    @property
    def under_way(self) -> int:
        return len(self._futures)

    def ask(self, event_id: int) -> None:
        self._futures.append(self._pool.submit(self._ask, event_id))

    def take(self) -> Row | None:
        return self._futures.popleft().result()


def _event_of(appointment: Mapping[str, Any]) -> int:
    """The event that an appointment is in; 0 for none."""
    value = appointment.get("activity_id")
    if isinstance(value, str) and value.isascii() and value.isdigit():
        value = int(value)
    return value if type(value) is int and 0 < value < 1 << 63 else 0
