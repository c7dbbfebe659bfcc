"""Waits until an event exists, has free seats, is full, or has started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from altegio_provider.compat import AirflowSkipException, BaseSensorOperator, PokeReturnValue, conf
from altegio_provider.hooks.altegio import AltegioHook
from altegio_provider.waiting import checked_condition

if TYPE_CHECKING:
    from altegio_provider.compat import Context
    from altegio_provider.waiting import Condition, Sight, Wish

__all__ = ["AltegioEventSensor"]


class AltegioEventSensor(BaseSensorOperator):
    """Wait for an event to come to be, to have free seats, to be full, or to start.

    An event that is moved is followed as long as it keeps its id. One that is deleted ends the wait in an error, for
    its id does not come back. An event that never comes to it is waited for until ``timeout`` (seconds; Airflow's
    default is a week): set it.

    Give it as deferrable where many wait: the first look is the worker's, the others are the triggerer's, at the pace
    of ``poke_interval`` (seconds, 60 by default) and within the connection's limit of requests. ``mode`` (``poke`` or
    ``reschedule``) counts where it is not.

    Operation: ``GET …/activities/{event_id}`` or ``GET …/events/{event_id}``, and a short list of the event's time to
    see that it is not deleted; for seats under ``companies`` also the event's appointments, because ``companies``
    counts records and not seats.

    :param event_id: the event. Templated.
    :param condition: ``exists``: the event answers and is not deleted; ``has_free_seats``: at least
        ``min_free_seats`` are free; ``full``: none is; ``started``: its start, in the location's time zone, is past.
    :param location_id: the location; default: the connection's. Templated.
    :param min_free_seats: seats that must be free, for ``has_free_seats``. Templated.
    :param timezone: the location's IANA time zone; default: the connection's. Templated.
    :param deferrable: wait in the triggerer; default: the setting ``[operators] default_deferrable``.
    :param max_failures: how many looks in a row may fail in the triggerer before the wait does.
    :param altegio_conn_id: the connection. Templated.
    :returns: the event's start, capacity and seats when it was so far, as a small JSON object.
    :raises AltegioNotFoundError: no such location; no such event, unless ``exists`` is waited for; it was deleted.
    :raises AltegioValidationError: an argument cannot be right.
    :raises AltegioError: looking failed for good, or too often in a row; the leaf says what to do.
    """

    template_fields: Sequence[str] = ("altegio_conn_id", "location_id", "event_id", "min_free_seats", "timezone")
    ui_color = "#e8f3ec"

    def __init__(
        self,
        *,
        event_id: int | str,
        condition: Condition = "exists",
        location_id: int | str | None = None,
        min_free_seats: int | str = 1,
        timezone: str | None = None,
        deferrable: bool | None = None,
        max_failures: int = 5,
        altegio_conn_id: str = AltegioHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.location_id = location_id
        self.event_id = event_id
        self.condition = checked_condition(condition)
        self.min_free_seats = min_free_seats
        self.timezone = timezone
        self.deferrable = (
            conf.getboolean("operators", "default_deferrable", fallback=False) if deferrable is None else deferrable
        )
        self.max_failures = max_failures
        self.altegio_conn_id = altegio_conn_id

    def execute(self, context: Context) -> Any:
        """Wait here; or look once, and leave the waiting to the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        sight = self._look()
        if not sight.is_met:
            self._leave_to_triggerer(sight.wish)
        return self._result(sight)

    def _leave_to_triggerer(self, wish: Wish) -> None:
        from dataclasses import asdict

        from altegio_provider.triggers.events import AltegioEventConditionTrigger

        self.defer(
            trigger=AltegioEventConditionTrigger(
                **asdict(wish),
                poke_interval=self.poke_interval,
                max_failures=self.max_failures,
                altegio_conn_id=self.altegio_conn_id,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    def poke(self, context: Context) -> bool | PokeReturnValue:  # noqa: ARG002 - Airflow's signature
        """Look once."""
        sight = self._look()
        if not sight.is_met:
            return False
        return PokeReturnValue(is_done=True, xcom_value=self._result(sight))

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Take what the trigger saw: the task's result, or its error.

        :param event: what the trigger sent (:mod:`altegio_provider.messages`).
        """
        from altegio_provider.api import errors
        from altegio_provider.messages import WaitFailed, read_wait_event

        message = read_wait_event(event)
        if not isinstance(message, WaitFailed):
            self.log.info("Event %d is %s", message.event.event_id, message.event.condition)
            return message.event.payload()
        kind = getattr(errors, message.error) if message.error in errors.__all__ else errors.AltegioError
        error = kind(f"{message.message} (given up after {message.failures} failed looks in a row)", hint="")
        if getattr(self, "never_fail", False):
            raise AirflowSkipException("Skipping: never_fail is set.") from error
        raise error

    def _look(self) -> Sight:
        from altegio_provider.waiting import look

        hook = AltegioHook(self.altegio_conn_id)
        try:
            sight = look(hook.get_conn(), self._wish(hook), datetime.now(UTC))
        finally:
            hook.close()
        self.log.info("Waiting for %s: %s", self.condition, sight.summary())
        return sight

    def _wish(self, hook: AltegioHook) -> Wish:
        from altegio_provider.api.arguments import checked_id
        from altegio_provider.waiting import Wish

        return Wish(
            location_id=hook.location_id(self.location_id),
            event_id=checked_id("event_id", self.event_id),
            condition=self.condition,
            min_free_seats=checked_id("min_free_seats", self.min_free_seats),
            timezone=self.timezone or None,
        )

    def _result(self, sight: Sight) -> dict[str, Any]:
        from altegio_provider.messages import EventSummary

        return EventSummary.model_validate(sight.summary()).payload()
