"""Repeats idempotent writes whose response was lost.

A PUT sets the same fields again. A second deletion finds nothing. An appointment that was moved is not found in the
event that it left, so a second move has no effect; the event that it was moved to shows whether the first one had.
Creations are not idempotent: see :mod:`~altegio_provider.api.writes.create_once`.
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

#: A request whose response was lost may take effect late, so the next one waits this long.
_SETTLE_SECONDS = 5.0
_ATTEMPTS = 3


def repeat_until_answered(
    write: Callable[[], T], *, settle_seconds: float = _SETTLE_SECONDS, sleep: Callable[[float], None] = default_sleep
) -> T:
    """Make an idempotent write. If its response is lost, make it again, at most three times in all.

    :param write: makes the write.
    :param settle_seconds: how long to wait before it is made again.
    :param sleep: waits for a number of seconds.
    :raises AltegioOutcomeUnknownError: the response was lost each time.
    :raises AltegioError: the write failed otherwise.
    """
    for _ in range(_ATTEMPTS - 1):
        try:
            return write()
        except AltegioOutcomeUnknownError as error:
            log.warning(
                "%s Sending it again in %.0f s, which changes nothing if it took effect.", error, settle_seconds
            )
            sleep(settle_seconds)
    return write()


def delete_until_gone(
    delete: Callable[[], None],
    *,
    settle_seconds: float = _SETTLE_SECONDS,
    sleep: Callable[[float], None] = default_sleep,
) -> None:
    """Delete. If the response is lost, delete again; "not found" then means that the lost request took effect.

    :param delete: makes the deletion.
    :param settle_seconds: how long to wait before it is made again.
    :param sleep: waits for a number of seconds.
    :raises AltegioNotFoundError: the first request did not find it.
    :raises AltegioOutcomeUnknownError: the response was lost each time.
    :raises AltegioError: the deletion failed otherwise.
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
    """Move an appointment to another event. If the response is lost, look for it there before it is moved again.

    :param client: the client.
    :param location_id: the location.
    :param event_id: the event that the appointment is in.
    :param record_id: the appointment.
    :param to_event_id: the event to move it to.
    :param with_comer: whether the visitor who comes in the client's place moves too.
    :param clients_count: seats in the new event; ``None`` for as many as before.
    :param settle_seconds: how long to wait before the appointment is looked for.
    :param sleep: waits for a number of seconds.
    :returns: the appointment.
    :raises AltegioOutcomeUnknownError: the response was lost, and the appointment is in neither event, or reading
        the list failed.
    :raises AltegioError: the move failed otherwise.
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
                raise  # the lost request took effect
        try:
            there = {row["id"]: row for row in client.event_appointments(location_id, to_event_id, include=())}
        except AltegioError as error:
            raise lost from error
        moved = there.get(record_id)
        if moved is not None and clients_count in (None, moved.get("clients_count")):
            return moved
    assert lost is not None  # noqa: S101 - the loop continues only when a response was lost
    raise lost
