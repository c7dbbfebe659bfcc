"""Triggers: wait for a condition of one event, and watch a location for new and changed events."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from altegio_provider.api.arguments import checked_ids, checked_integer, checked_seconds
from altegio_provider.compat import BaseEventTrigger, BaseTrigger, TriggerEvent
from altegio_provider.hooks.altegio import AltegioHook
from altegio_provider.triggers.changes import FIELDS, KINDS, checked_names

if TYPE_CHECKING:
    from altegio_provider.triggers.changes import Snapshot
    from altegio_provider.triggers.conditions import ConditionResult
    from altegio_provider.triggers.cursors import CursorStore
    from altegio_provider.triggers.payloads import Message
    from altegio_provider.triggers.polling import PollingFailed

__all__ = ["AltegioEventConditionTrigger", "AltegioEventTrigger"]

#: Seconds after the event's start at which the next check runs, so that the event has started by then.
_AFTER_START = 1.0
_SHORTEST_INTERVAL = 0.001
#: Days, ten years: no timetable reaches further.
_LONGEST_HORIZON = 3660


class AltegioEventConditionTrigger(BaseTrigger):
    """Wait for a condition of one event; used by ``AltegioEventSensor`` when it is deferrable.

    The trigger sends one event, :class:`~altegio_provider.triggers.payloads.ConditionMet` or
    :class:`~altegio_provider.triggers.payloads.WaitFailed` as a JSON object, and ends. All arguments are JSON values;
    the tokens stay in the connection.

    :param location_id: the location.
    :param event_id: the event.
    :param condition: ``exists``, ``has_free_seats``, ``full`` or ``started``.
    :param min_free_seats: seats that must be free, for ``has_free_seats``.
    :param timezone: the location's IANA time zone; default: the connection's.
    :param poke_interval: seconds between two checks.
    :param max_failures: number of consecutive failed checks after which the wait fails. An error that a retry cannot
        help (a wrong token, an unknown id) ends the wait at once.
    :param altegio_conn_id: the connection.
    """

    def __init__(
        self,
        *,
        location_id: int,
        event_id: int,
        condition: Any,
        min_free_seats: int = 1,
        timezone: str | None = None,
        poke_interval: float = 60.0,
        max_failures: int = 5,
        altegio_conn_id: str = AltegioHook.default_conn_name,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.location_id = location_id
        self.event_id = event_id
        self.condition = condition
        self.min_free_seats = min_free_seats
        self.timezone = timezone
        self.poke_interval = checked_seconds("poke_interval", poke_interval, least=_SHORTEST_INTERVAL)
        self.max_failures = checked_integer("max_failures", max_failures, least=1)
        self.altegio_conn_id = altegio_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        return (
            "altegio_provider.triggers.events.AltegioEventConditionTrigger",
            {
                "location_id": self.location_id,
                "event_id": self.event_id,
                "condition": self.condition,
                "min_free_seats": self.min_free_seats,
                "timezone": self.timezone,
                "poke_interval": self.poke_interval,
                "max_failures": self.max_failures,
                "altegio_conn_id": self.altegio_conn_id,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Check until the condition is met or polling fails."""
        from altegio_provider.triggers.payloads import ConditionMet, EventSummary
        from altegio_provider.triggers.polling import PollingFailed, in_thread, poll

        results = poll(
            lambda: in_thread(self.altegio_conn_id, self._check),
            interval=self.poke_interval,
            max_failures=self.max_failures,
            is_retryable=lambda error: getattr(error, "transient", False),
            seconds_to_next=self._seconds_to_start,
        )
        async for result in results:
            if isinstance(result, PollingFailed):
                yield _failure(result)
                return
            if result.is_met:
                yield _trigger_event(ConditionMet(event=EventSummary.model_validate(result.summary())))
                return

    def _check(self) -> ConditionResult:
        from altegio_provider.triggers.conditions import ConditionRequest, check_event

        request = ConditionRequest(self.location_id, self.event_id, self.condition, self.min_free_seats, self.timezone)
        with closing(_client_without_retries(AltegioHook(self.altegio_conn_id))) as client:
            return check_event(client, request, datetime.now(UTC))

    def _seconds_to_start(self, result: ConditionResult) -> float:
        if self.condition != "started" or result.starts_at is None:
            return float("inf")
        return max(0.0, (result.starts_at - datetime.now(UTC)).total_seconds()) + _AFTER_START


class AltegioEventTrigger(BaseEventTrigger):
    """Report new and changed events of a location to an ``AssetWatcher``, which starts DAGs.

    The trigger reads the list of events from now to a horizon at each check, and sends the differences from the
    previous check as :class:`~altegio_provider.triggers.payloads.EventsChanged`. The first check only stores the
    cursor. From Airflow 3.3 on

    * triggers that differ only in ``kinds``, ``service_ids`` or ``staff_ids`` share the requests;
    * the cursor is stored in the asset's state, so changes that happen while the triggerer is down are reported when
      it is back. A restart loses nothing; the last change may be reported twice.

    On older versions each trigger sends its own requests, and a restart begins with a first check.

    After ``max_failures`` consecutive failed checks the trigger raises the last error. The triggerer logs it and
    starts the trigger again.

    :param location_id: the location; default: the connection's.
    :param horizon_days: length of the watched window, in days from now.
    :param kinds: the changes to report: ``new``, ``changed``, ``gone`` (deleted, moved out of the window, or no
        longer matching the filters), and ``in_view`` (reached by the horizon since the previous check).
    :param service_ids: only events of these services.
    :param staff_ids: only events of these team members.
    :param fields: the fields to compare, by their names in the API; the start is always compared. With
        ``clients_count`` (``locations``) or ``records_count`` (``companies``) each booking is a change.
    :param timezone: the location's IANA time zone; default: the connection's.
    :param poke_interval: seconds between two checks. A check is one request for each page of the list and one more.
    :param max_failures: number of consecutive failed checks after which the trigger fails.
    :param altegio_conn_id: the connection. The tokens are not stored in the trigger.
    :raises AltegioValidationError: an argument is invalid.
    """

    def __init__(
        self,
        *,
        location_id: int | None = None,
        horizon_days: int = 30,
        kinds: Sequence[str] = ("new", "changed", "gone"),
        service_ids: Sequence[int] = (),
        staff_ids: Sequence[int] = (),
        fields: Sequence[str] = FIELDS,
        timezone: str | None = None,
        poke_interval: float = 60.0,
        max_failures: int = 5,
        altegio_conn_id: str = AltegioHook.default_conn_name,
    ) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.location_id = location_id
        self.horizon_days = checked_integer("horizon_days", horizon_days, least=1, most=_LONGEST_HORIZON)
        self.kinds = checked_names("kinds", kinds, KINDS)
        self.service_ids = checked_ids("service_ids", service_ids)
        self.staff_ids = checked_ids("staff_ids", staff_ids)
        self.fields = checked_names("fields", fields)
        self.timezone = timezone
        self.poke_interval = checked_seconds("poke_interval", poke_interval, least=_SHORTEST_INTERVAL)
        self.max_failures = checked_integer("max_failures", max_failures, least=1)
        self.altegio_conn_id = altegio_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class path and the arguments."""
        own = {"kinds": self.kinds, "service_ids": self.service_ids, "staff_ids": self.staff_ids}
        return "altegio_provider.triggers.events.AltegioEventTrigger", {**self._reading(), **own}

    def _reading(self) -> dict[str, Any]:
        """Return the arguments that decide which requests are sent. Triggers with equal ones share the requests."""
        return {
            "location_id": self.location_id,
            "horizon_days": self.horizon_days,
            "fields": self.fields,
            "timezone": self.timezone,
            "poke_interval": self.poke_interval,
            "max_failures": self.max_failures,
            "altegio_conn_id": self.altegio_conn_id,
        }

    def shared_stream_key(self) -> Hashable:
        """Return the key that triggers with shared requests have in common."""
        return ("altegio-events", json.dumps(self._reading(), sort_keys=True))

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Snapshot]:
        """Read the list at each check and yield the snapshot."""
        from altegio_provider.triggers.polling import PollingFailed, in_thread, poll

        trigger = cls(**kwargs)
        async for snapshot in poll(
            lambda: in_thread(trigger.altegio_conn_id, trigger._check),
            interval=trigger.poke_interval,
            max_failures=trigger.max_failures,
            is_retryable=lambda _: True,
        ):
            if isinstance(snapshot, PollingFailed):
                # The triggerer restarts a watcher at once when it ends, so the pause has to be here.
                await asyncio.sleep(trigger.poke_interval)
                raise snapshot.error
            yield snapshot

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Yield the differences of each snapshot from the previous one."""
        from altegio_provider.triggers.changes import WatchFilter, differences
        from altegio_provider.triggers.payloads import EventsChanged

        watched = WatchFilter(self.service_ids, self.staff_ids)
        cursors = self._cursors()
        async for snapshot in shared_stream:
            seen = snapshot.cursor(watched)
            before = await cursors.exchange(seen)
            for ids in differences(before, seen, snapshot.seen_at).messages(self.kinds):
                yield _trigger_event(
                    EventsChanged(
                        location_id=snapshot.location_id,
                        **ids,
                        seen_at=datetime.fromtimestamp(snapshot.seen_at, UTC),
                        watched_until=datetime.fromtimestamp(snapshot.until, UTC),
                    )
                )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """Run without a shared stream, on versions of Airflow that have none."""
        async for event in self.filter_shared_stream(self.open_shared_stream(self._reading())):
            yield event

    def _cursors(self) -> CursorStore:
        from hashlib import blake2s

        from altegio_provider.triggers.cursors import CursorStore

        watched = {**self._reading(), "service_ids": sorted(self.service_ids), "staff_ids": sorted(self.staff_ids)}
        for pace in ("poke_interval", "max_failures", "horizon_days"):
            del watched[pace]
        digest = blake2s(json.dumps(watched, sort_keys=True).encode(), digest_size=6).hexdigest()
        return CursorStore(getattr(self, "asset_state_store", None), f"altegio_events_{digest}")

    def _check(self) -> Snapshot:
        from altegio_provider.triggers.changes import take_snapshot

        hook = AltegioHook(self.altegio_conn_id)
        with closing(_client_without_retries(hook)) as client:
            return take_snapshot(
                client,
                hook.location_id(self.location_id),
                datetime.now(UTC),
                horizon=timedelta(days=self.horizon_days),
                fields=self.fields,
                timezone=self.timezone,
            )


def _client_without_retries(hook: AltegioHook) -> Any:
    """Return a client that sends each request once: the next check is the retry, and no thread sleeps for minutes."""
    from altegio_provider.api.http.retry import RetryPolicy

    return hook.settings.client(retry=RetryPolicy(attempts=1))


def _failure(failed: PollingFailed) -> TriggerEvent:
    """Return the event of a failed wait. Raises an error that is not an ``AltegioError``; the triggerer logs it."""
    from altegio_provider.api.errors import AltegioError
    from altegio_provider.triggers.payloads import WaitFailed

    if not isinstance(failed.error, AltegioError):
        raise failed.error
    return _trigger_event(
        WaitFailed(error=type(failed.error).__name__, message=str(failed.error), failures=failed.failures)
    )


def _trigger_event(message: Message) -> TriggerEvent:
    return TriggerEvent(message.payload())  # type: ignore[no-untyped-call]
