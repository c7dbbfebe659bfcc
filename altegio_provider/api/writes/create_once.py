"""Creates an event once, though the API has no idempotency key and answers get lost."""

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

#: A lost request may take effect late; so long it is waited before anybody concludes that it did not.
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
    """Create an event; when the answer is lost, look for it before sending it again.

    It is looked for by team member, service and start, after a time to settle. Events of that kind that were there
    before are known, because they are listed before the first attempt; only a new one is what the lost request made.
    Where they cannot be listed (a past start under ``locations``, or no right to), the event is sent all the same, and
    a lost answer stays lost.

    :raises AltegioConflictError: the team member or a resource is busy, also with an older event of that kind.
    :raises AltegioOutcomeUnknownError: it cannot be found out: the list failed, or several came at once.
    :raises AltegioError: what else the request ended in.
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
            refusal = error  # the lost request may have come through after all, and be what is in the way
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
            raise refusal  # an older event is in the way, and was in the way of the lost request too
    assert lost is not None  # noqa: S101 - the loop ends early only when an answer was lost
    raise lost


def _ids_before(client: AltegioClient, location_id: int, body: Mapping[str, Any]) -> set[Any] | None:
    """Return which events of that kind there are; ``None`` where they cannot be listed.

    :raises AltegioError: they cannot be listed now; nothing was sent, and the same may succeed later.
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
