"""Waits until an event exists, has free seats, is full, or has started."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from altegio_provider.api.arguments import checked_integer
from altegio_provider.api.secrets import clear_variables_on_error
from altegio_provider.compat import AirflowSkipException, BaseSensorOperator, PokeReturnValue, conf
from altegio_provider.hooks.altegio import AltegioHook
from altegio_provider.triggers.conditions import checked_condition

if TYPE_CHECKING:
    from altegio_provider.compat import Context
    from altegio_provider.triggers.conditions import Condition, ConditionRequest, ConditionResult

__all__ = ["AltegioEventSensor"]


class AltegioEventSensor(BaseSensorOperator):
    """Wait until an event exists, has free seats, is full, or has started.

    A moved event is followed as long as it keeps its id. A deleted event ends the wait with an error, because its id
    does not come back. Set ``timeout`` (seconds; Airflow's default is a week).

    With many sensors use ``deferrable=True``: the worker runs the first check and the triggerer the others, every
    ``poke_interval`` seconds (60 by default) and within the connection's rate limit. Otherwise ``mode`` applies
    (``poke`` or ``reschedule``).

    Operation: ``GET …/activities/{event_id}`` or ``GET …/events/{event_id}``, and a short list of the event's time to
    check that it is not deleted; for seats under ``companies`` also the event's appointments, because ``companies``
    counts records and not seats.

    :param event_id: the event. Templated.
    :param condition: ``exists``: the event exists and is not deleted; ``has_free_seats``: at least
        ``min_free_seats`` seats are free; ``full``: no seat is free; ``started``: its start, in the location's time
        zone, is past.
    :param location_id: the location; default: the connection's. Templated.
    :param min_free_seats: seats that must be free, for ``has_free_seats``. Templated.
    :param timezone: the location's IANA time zone; default: the connection's. Templated.
    :param deferrable: wait in the triggerer; default: the setting ``[operators] default_deferrable``.
    :param max_failures: number of consecutive failed checks in the triggerer after which the task fails.
    :param altegio_conn_id: the connection. Templated.
    :param kwargs: arguments of Airflow's ``BaseSensorOperator``.
    :returns: the event's start, capacity and seats when the condition was met, as a small JSON object.
    :raises AltegioNotFoundError: the location does not exist; the event does not exist (unless the condition is
        ``exists``) or was deleted.
    :raises AltegioValidationError: an argument is invalid.
    :raises AltegioError: the checks failed; the class says what to do.
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
        self.max_failures = checked_integer("max_failures", max_failures, least=1)
        self.altegio_conn_id = altegio_conn_id

    @clear_variables_on_error
    def execute(self, context: Context) -> Any:
        """Wait in the worker, or check once and defer to the triggerer."""
        if not self.deferrable:
            return super().execute(context)
        result = self._check()
        if not result.is_met:
            self._defer(result.request)
        return self._summary(result)

    def _defer(self, request: ConditionRequest) -> None:
        from dataclasses import asdict

        from altegio_provider.triggers.events import AltegioEventConditionTrigger

        self.defer(
            trigger=AltegioEventConditionTrigger(
                **asdict(request),
                poke_interval=self.poke_interval,
                max_failures=self.max_failures,
                altegio_conn_id=self.altegio_conn_id,
            ),
            method_name="execute_complete",
            timeout=timedelta(seconds=self.timeout),
        )

    def poke(self, context: Context) -> bool | PokeReturnValue:  # noqa: ARG002 - Airflow's signature
        """Check once."""
        result = self._check()
        if not result.is_met:
            return False
        return PokeReturnValue(is_done=True, xcom_value=self._summary(result))

    def execute_complete(self, context: Context, event: Mapping[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Return the result that the trigger sent, or raise its error.

        :param context: Airflow's context of the task.
        :param event: the trigger's payload (:mod:`altegio_provider.triggers.payloads`).
        """
        from altegio_provider.api import errors
        from altegio_provider.triggers.payloads import WaitFailed, read_wait_event

        message = read_wait_event(event)
        if not isinstance(message, WaitFailed):
            self.log.info("Event %d meets the condition %s", message.event.event_id, message.event.condition)
            return message.event.payload()
        kind = getattr(errors, message.error) if message.error in errors.__all__ else errors.AltegioError
        error = kind(f"{message.message} ({message.failures} consecutive checks failed)", hint="")
        if getattr(self, "never_fail", False):
            raise AirflowSkipException("Skipping: never_fail is set.") from error
        raise error

    def _check(self) -> ConditionResult:
        from altegio_provider.triggers.conditions import check_event

        hook = AltegioHook(self.altegio_conn_id)
        try:
            result = check_event(hook.get_conn(), self._request(hook), datetime.now(UTC))
        finally:
            hook.close()
        self.log.info("Waiting for %s: %s", self.condition, result.summary())
        return result

    def _request(self, hook: AltegioHook) -> ConditionRequest:
        from altegio_provider.api.arguments import checked_id
        from altegio_provider.triggers.conditions import ConditionRequest

        return ConditionRequest(
            location_id=hook.location_id(self.location_id),
            event_id=checked_id("event_id", self.event_id),
            condition=self.condition,
            min_free_seats=checked_id("min_free_seats", self.min_free_seats),
            timezone=self.timezone or None,
        )

    def _summary(self, result: ConditionResult) -> dict[str, Any]:
        from altegio_provider.triggers.payloads import EventSummary

        return EventSummary.model_validate(result.summary()).payload()
