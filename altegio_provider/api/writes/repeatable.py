"""Writes that do no more twice than once: where the answer is lost, they are made again.

A PUT sets what it holds, whatever was there. A deleted thing is not found a second time. An appointment that was moved
is not found in the event that it left, so a second move does nothing; whether the first one came through is seen in
the event that it was moved to. Creations are another matter: :mod:`~altegio_provider.api.writes.create_once`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from altegio_provider.api.errors import AltegioError, AltegioNotFoundError, AltegioOutcomeUnknownError
from altegio_provider.api.http.retry import default_sleep

if TYPE_CHECKING:
    from altegio_provider.api.client import AltegioClient
    from altegio_provider.api.types import Appointment

__all__ = ["delete_until_gone", "repeat_until_answered", "reschedule_until_seen"]

log = logging.getLogger(__name__)

T = TypeVar("T")

#: A lost request may take effect late; so long it is waited before the next one.
_SETTLE_SECONDS = 5.0
_ATTEMPTS = 3


def repeat_until_answered(
    write: Callable[[], T], *, settle_seconds: float = _SETTLE_SECONDS, sleep: Callable[[float], None] = default_sleep
) -> T:
    """Make a write that sets what it holds; when its answer is lost, make it again, three times at the most.

    :raises AltegioOutcomeUnknownError: the answer was lost each time.
    :raises AltegioError: what else it ended in.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return write()
        except AltegioOutcomeUnknownError as error:
            log.warning(
                "%s It is made again in %.0f s, which changes nothing if it came through.", error, settle_seconds
            )
            sleep(settle_seconds)
    return write()


def delete_until_gone(
    delete: Callable[[], None],
    *,
    settle_seconds: float = _SETTLE_SECONDS,
    sleep: Callable[[float], None] = default_sleep,
) -> None:
    """Delete; when the answer is lost, delete again, where "not found" says that the lost one came through.

    :raises AltegioNotFoundError: it was not there to begin with.
    :raises AltegioOutcomeUnknownError: the answer was lost each time.
    :raises AltegioError: what else it ended in.
    """
    attempts = 0

    def once() -> None:
        nonlocal attempts
        attempts += 1
        try:
            delete()
        except AltegioNotFoundError:
            if attempts == 1:
                raise

    repeat_until_answered(once, settle_seconds=settle_seconds, sleep=sleep)


def reschedule_until_seen(
    client: AltegioClient,
    location_id: int,
    event_id: int,
    record_id: int,
    to_event_id: int,
    *,
    with_comer: bool = True,
    clients_count: int | None = None,
    settle_seconds: float = _SETTLE_SECONDS,
    sleep: Callable[[float], None] = default_sleep,
) -> Appointment:
    """Move an appointment to another event; when the answer is lost, look for it there before it is moved again.

    The arguments are those of :meth:`AltegioClient.reschedule_event_appointment`.

    :returns: the appointment.
    :raises AltegioOutcomeUnknownError: the answer was lost, and it is in neither event, or cannot be looked for.
    :raises AltegioError: what else it ended in.
    """
    lost: AltegioOutcomeUnknownError | None = None
    for _ in range(_ATTEMPTS):
        try:
            return client.reschedule_event_appointment(
                location_id, event_id, record_id, to_event_id, with_comer=with_comer, clients_count=clients_count
            )
        except AltegioOutcomeUnknownError as error:
            lost = error
            sleep(settle_seconds)
        except AltegioNotFoundError:
            if lost is None:
                raise  # else it has left the event already
        try:
            there = {row["id"]: row for row in client.event_appointments(location_id, to_event_id, include=())}
        except AltegioError as error:
            raise lost from error
        moved = there.get(record_id)
        if moved is not None and clients_count in (None, moved.get("clients_count")):
            return moved
    assert lost is not None  # noqa: S101 - the loop goes on only when an answer was lost
    raise lost
