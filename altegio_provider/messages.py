"""What triggers say, as models: checked by the one who sends it and by the one who reads it. JSON values only.

Imported when a task or a trigger runs, never when a DAG is parsed.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, TypeAdapter

from altegio_provider.waiting import Condition

__all__ = ["ConditionMet", "EventSummary", "EventsChanged", "Message", "WaitFailed", "read_wait_event"]


class Message(BaseModel):
    """What all messages share: no field beyond those named, and a JSON form."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def payload(self) -> dict[str, Any]:
        """The message as a JSON object."""
        return self.model_dump(mode="json")


class EventSummary(Message):
    """An event as it was when the condition was met; seats are ``None`` where they were not asked for."""

    location_id: int
    event_id: int
    condition: Condition
    starts_at: AwareDatetime | None
    capacity: int | None
    booked_seats: int | None
    free_seats: int | None
    seen_at: AwareDatetime


class ConditionMet(Message):
    """What was waited for has come about."""

    status: Literal["success"] = "success"
    event: EventSummary


class WaitFailed(Message):
    """The wait is given up.

    :param error: the name of the error's class in :mod:`altegio_provider.api.errors`.
    :param message: its text, which holds no token and no personal data.
    :param failures: how many looks in a row failed.
    """

    status: Literal["error"] = "error"
    error: str
    message: str
    failures: int = Field(ge=1)


class EventsChanged(Message):
    """Which events of a location are new or other than they were at the look before.

    :param new: ids of events that were not there, in a time that was watched already.
    :param changed: ids of events of which a field that counts is another.
    :param gone: ids of events that have not started and are not there any more, or not what is watched.
    :param in_view: ids of events that were reached by the window's end as time went by.
    :param seen_at: when the list was read.
    :param watched_until: the window's end.
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
    """Read what the sensor's trigger sent.

    :raises ValueError: it is nothing that the trigger sends.
    """
    return _WAIT_EVENT.validate_python(payload)
