"""Trigger payload models, validated on send and on receive. All values are JSON values.

Imported when a task or a trigger runs, never when a DAG is parsed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from altegio_provider.triggers.conditions import Condition

__all__ = ["ConditionMet", "EventSummary", "EventsChanged", "Message", "WaitFailed", "read_wait_event"]


class Message(BaseModel):
    """Base class of the payloads: immutable, without unknown fields."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def payload(self) -> dict[str, Any]:
        """Return the payload as a JSON object."""
        return self.model_dump(mode="json")


class EventSummary(Message):
    """The event when the condition was met. The seats are ``None`` if the condition does not need them."""

    location_id: int
    event_id: int
    condition: Condition
    starts_at: AwareDatetime | None
    capacity: int | None
    booked_seats: int | None
    free_seats: int | None
    seen_at: AwareDatetime


class ConditionMet(Message):
    """The condition is met."""

    status: Literal["success"] = "success"
    event: EventSummary


class WaitFailed(Message):
    """The trigger has given up waiting.

    :param error: the name of the error's class in :mod:`altegio_provider.api.errors`.
    :param message: its text, which holds no token and no personal data.
    :param failures: number of consecutive failed checks.
    """

    status: Literal["error"] = "error"
    error: str
    message: str
    failures: int = Field(ge=1)


class EventsChanged(Message):
    """Which events of a location changed since the previous check.

    :param new: ids of events that did not exist before, in the part of the window that was watched before.
    :param changed: ids of events whose start or one of the compared fields changed.
    :param gone: ids of events that have not started and are no longer listed, or no longer match the filters.
    :param in_view: ids of events that the end of the window reached since the previous check.
    :param seen_at: when the list was read.
    :param watched_until: the end of the window.
    """

    location_id: int
    new: list[int]
    changed: list[int]
    gone: list[int]
    in_view: list[int]
    seen_at: AwareDatetime
    watched_until: AwareDatetime


_WAIT_EVENT: TypeAdapter[ConditionMet | WaitFailed] = TypeAdapter(
    Annotated[ConditionMet | WaitFailed, Field(discriminator="status")]
)


def read_wait_event(payload: Any) -> ConditionMet | WaitFailed:
    """Validate the payload of ``AltegioEventConditionTrigger``.

    :raises ValueError: the payload is not one that the trigger sends.
    """
    return _WAIT_EVENT.validate_python(payload)
