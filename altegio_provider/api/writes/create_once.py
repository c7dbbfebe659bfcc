"""Creates an event exactly once, although the API has no idempotency key and responses get lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from altegio_provider.api.errors import (
    AltegioAuthError,
    AltegioConflictError,
    AltegioError,
    AltegioNotFoundError,
    AltegioOutcomeUnknownError,
    AltegioValidationError,
)
from altegio_provider.api.http.retry import default_sleep
from altegio_provider.api.secrets import clear_variables_on_error
from altegio_provider.common.location_time import as_instant, load_zone

if TYPE_CHECKING:
    from altegio_provider.api.client import AltegioClient
    from altegio_provider.api.types import Event

__all__ = ["create_event_once"]

#: A request whose response was lost may take effect late. After this time without an effect, it had none.
_SETTLE_SECONDS = 20.0
_ATTEMPTS = 3


@clear_variables_on_error
def create_event_once(
    client: AltegioClient,
    location_id: int,
    event: Mapping[str, Any],
    *,
    settle_seconds: float = _SETTLE_SECONDS,
    sleep: Callable[[float], None] = default_sleep,
) -> Event:
    """Create an event. If the response is lost, look for the event before sending it again.

    It looks for events with the same team member, service and start, after a while. Such events that existed before
    are known, because they are listed before the first attempt; a new one is the event that the lost request created.
    If they cannot be listed (a past start on a server that does not list the past, or no permission), the event is
    sent nevertheless, and the outcome of a lost response stays unknown.

    :param client: the client.
    :param location_id: the location.
    :param event: the fields, as for :meth:`AltegioClient.create_event`.
    :param settle_seconds: how long to wait before the event is looked for.
    :param sleep: waits for a number of seconds.
    :raises AltegioConflictError: the team member or a resource is busy, for example with an older event of that kind.
    :raises AltegioOutcomeUnknownError: the outcome is unknown: the list failed, or it has several new events.
    :raises AltegioError: the request failed otherwise.
    """
    body = client.event_body(event)
    before = _ids_before(client, location_id, body)
    lost: AltegioOutcomeUnknownError | None = None
    for _ in range(_ATTEMPTS):
        refusal: AltegioConflictError | None = None
        try:
            return client.create_event(location_id, body)
        except AltegioConflictError as error:
            if lost is None:
                raise
            refusal = error  # the lost request may have taken effect, so that its own event is the conflict
        except AltegioOutcomeUnknownError as error:
            lost = error
            sleep(settle_seconds)
        if before is None:
            break
        try:
            found = [row for row in _matching_events(client, location_id, body) if row["id"] not in before]
        except AltegioError as error:
            raise lost from error
        if len(found) == 1:
            return found[0]
        if found:
            break
        if refusal is not None and before:
            raise refusal  # an older event is the conflict, as it was for the lost request
    assert lost is not None  # noqa: S101 - the loop ends early only when a response was lost
    raise lost


def _ids_before(client: AltegioClient, location_id: int, body: Mapping[str, Any]) -> set[Any] | None:
    """Return the ids of the events of that kind, or ``None`` if they cannot be listed.

    :raises AltegioError: they cannot be listed now; nothing was sent, and a retry may succeed.
    """
    try:
        return {row["id"] for row in _matching_events(client, location_id, body)}
    except (AltegioAuthError, AltegioNotFoundError, AltegioValidationError):
        return None


def _matching_events(client: AltegioClient, location_id: int, body: Mapping[str, Any]) -> list[Event]:
    start = as_instant(body["date"], load_zone(client.timezone))
    return list(
        client.list_activities(
            location_id,
            start,
            start + timedelta(seconds=1),
            staff_ids=[body["staff_id"]],
            service_ids=[body["service_id"]],
        )
    )
