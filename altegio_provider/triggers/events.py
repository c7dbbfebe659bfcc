"""What waits in the triggerer: for one event's condition, and for new and changed events of a location."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Hashable, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from altegio_provider.compat import BaseEventTrigger, BaseTrigger, TriggerEvent
from altegio_provider.hooks.altegio import AltegioHook
from altegio_provider.watching import FIELDS, KINDS, checked_names

if TYPE_CHECKING:
    from altegio_provider.cursor_store import CursorStore
    from altegio_provider.messages import Message
    from altegio_provider.polling import Failed
    from altegio_provider.waiting import Sight
    from altegio_provider.watching import Snapshot

__all__ = ["AltegioEventConditionTrigger", "AltegioEventTrigger"]

#: Wake up so long after the event's start, in seconds, so that it surely has begun.
_BEHIND_START = 1.0


class AltegioEventConditionTrigger(BaseTrigger):
    """Wait for one event's condition: the triggerer's half of ``AltegioEventSensor``.

    It sends one event, :class:`~altegio_provider.messages.ConditionMet` or
    :class:`~altegio_provider.messages.WaitFailed` as a JSON object, and ends. All arguments are JSON values; the
    tokens stay in the connection.

    :param poke_interval: seconds between two looks.
    :param max_failures: how many looks in a row may fail; what cannot pass (tokens, an unknown id) fails at once.
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
        self.poke_interval = poke_interval
        self.max_failures = max_failures
        self.altegio_conn_id = altegio_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments that make it anew."""
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
        """Look until the condition is met, or looking fails."""
        from altegio_provider.messages import ConditionMet, EventSummary
        from altegio_provider.polling import Failed, in_thread, looks

        seen = looks(
            lambda: in_thread(self.altegio_conn_id, self._look),
            interval=self.poke_interval,
            max_failures=self.max_failures,
            may_mend=lambda error: getattr(error, "transient", False),
            next_in=self._start_in,
        )
        async for sight in seen:
            if isinstance(sight, Failed):
                yield _failure(sight)
                return
            if sight.is_met:
                yield _event_of(ConditionMet(event=EventSummary.model_validate(sight.summary())))
                return

    def _look(self) -> Sight:
        from altegio_provider.waiting import Wish, look

        wish = Wish(self.location_id, self.event_id, self.condition, self.min_free_seats, self.timezone)
        with closing(_impatient_client(AltegioHook(self.altegio_conn_id))) as client:
            return look(client, wish, datetime.now(UTC))

    def _start_in(self, sight: Sight) -> float:
        if self.condition != "started" or sight.starts_at is None:
            return float("inf")
        return max(0.0, (sight.starts_at - datetime.now(UTC)).total_seconds()) + _BEHIND_START


class AltegioEventTrigger(BaseEventTrigger):
    """Tell of new and changed events of a location: for an ``AssetWatcher``, which starts DAGs (Airflow 3).

    The list of events from now to a horizon is read again and again, and what differs from the look before is sent as
    :class:`~altegio_provider.messages.EventsChanged`. The first look ever only remembers. From Airflow 3.3 on

    * triggers that differ only in ``kinds``, ``service_ids`` or ``staff_ids`` share one reading of the list;
    * what the last look saw is kept in the asset's state, so that what changes while the triggerer is down is told
      when it is back. Nothing is lost by a restart; the last change may be told twice.

    Before that each trigger reads for itself, and a restart begins with a first look.

    Failed looks are repeated at the same pace; after ``max_failures`` in a row the trigger ends in their error, which
    the triggerer logs, and the triggerer starts it anew.

    :param location_id: the location; default: the connection's.
    :param horizon_days: how many days ahead to look.
    :param kinds: what to tell: ``new``, ``changed``, ``gone`` (deleted, moved away, or not what is watched any more),
        and ``in_view`` (reached by the horizon as time went by).
    :param service_ids: only these services' events.
    :param staff_ids: only these team members' events.
    :param fields: the fields that count as a change, in the API's names; the start always does. With
        ``clients_count`` (``locations``) or ``records_count`` (``companies``) each booking is a change.
    :param timezone: the location's IANA time zone; default: the connection's.
    :param poke_interval: seconds between two looks; each is one request for each page of the list and one more.
    :param max_failures: how many looks in a row may fail.
    :param altegio_conn_id: the connection; its tokens stay there.
    :raises AltegioValidationError: an argument cannot be right.
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
        self.horizon_days = horizon_days
        self.kinds = checked_names("kinds", kinds, KINDS)
        self.service_ids = list(service_ids)
        self.staff_ids = list(staff_ids)
        self.fields = checked_names("fields", fields)
        self.timezone = timezone
        self.poke_interval = poke_interval
        self.max_failures = max_failures
        self.altegio_conn_id = altegio_conn_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        """Return the class and the arguments that make it anew."""
        own = {"kinds": self.kinds, "service_ids": self.service_ids, "staff_ids": self.staff_ids}
        return "altegio_provider.triggers.events.AltegioEventTrigger", {**self._reading(), **own}

    def _reading(self) -> dict[str, Any]:
        """The arguments that say what is read and when: triggers for which they are equal share the reading."""
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
        """Return what triggers have in common that share one reading of the list."""
        return ("altegio-events", json.dumps(self._reading(), sort_keys=True))

    @classmethod
    async def open_shared_stream(cls, kwargs: dict[str, Any]) -> AsyncIterator[Snapshot]:
        """Read the list again and again, and yield what is there."""
        from altegio_provider.polling import Failed, in_thread, looks

        trigger = cls(**kwargs)
        async for snapshot in looks(
            lambda: in_thread(trigger.altegio_conn_id, trigger._look),
            interval=trigger.poke_interval,
            max_failures=trigger.max_failures,
            may_mend=lambda _: True,
        ):
            if isinstance(snapshot, Failed):
                # The triggerer begins a watcher that has ended anew, and at once.
                await asyncio.sleep(trigger.poke_interval)
                raise snapshot.error
            yield snapshot

    async def filter_shared_stream(self, shared_stream: AsyncIterator[Any]) -> AsyncIterator[TriggerEvent]:
        """Tell what of it is other than at the look before."""
        from altegio_provider.messages import EventsChanged
        from altegio_provider.watching import Watch, differences

        watch = Watch(self.service_ids, self.staff_ids)
        cursors = self._cursors()
        async for snapshot in shared_stream:
            seen = snapshot.cursor(watch)
            before = await cursors.exchange(seen)
            for ids in differences(before, seen, snapshot.seen_at).messages(self.kinds):
                yield _event_of(
                    EventsChanged(
                        location_id=snapshot.location_id,
                        **ids,
                        seen_at=datetime.fromtimestamp(snapshot.seen_at, UTC),
                        watched_until=datetime.fromtimestamp(snapshot.until, UTC),
                    )
                )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        """The same for this trigger alone, where Airflow has no shared streams."""
        async for event in self.filter_shared_stream(self.open_shared_stream(self._reading())):
            yield event

    def _cursors(self) -> CursorStore:
        from hashlib import blake2s

        from altegio_provider.cursor_store import CursorStore

        watched = {**self._reading(), "service_ids": sorted(self.service_ids), "staff_ids": sorted(self.staff_ids)}
        for pace in ("poke_interval", "max_failures", "horizon_days"):
            del watched[pace]
        digest = blake2s(json.dumps(watched, sort_keys=True).encode(), digest_size=6).hexdigest()
        return CursorStore(getattr(self, "asset_state_store", None), f"altegio_events_{digest}")

    def _look(self) -> Snapshot:
        from altegio_provider.watching import take_snapshot

        hook = AltegioHook(self.altegio_conn_id)
        with closing(_impatient_client(hook)) as client:
            return take_snapshot(
                client,
                hook.location_id(self.location_id),
                datetime.now(UTC),
                horizon=timedelta(days=self.horizon_days),
                fields=self.fields,
                timezone=self.timezone,
            )


def _impatient_client(hook: AltegioHook) -> Any:
    """A client that tries once: the next look is the next try, and no thread of the triggerer sleeps for minutes."""
    from altegio_provider.api.retry import RetryPolicy

    return hook.settings.client(retry=RetryPolicy(attempts=1))


def _failure(failed: Failed) -> TriggerEvent:
    """The event of a wait that failed; what is no error of the API's is left to the triggerer to tell."""
    from altegio_provider.api.errors import AltegioError
    from altegio_provider.messages import WaitFailed

    if not isinstance(failed.error, AltegioError):
        raise failed.error
    return _event_of(WaitFailed(error=type(failed.error).__name__, message=str(failed.error), failures=failed.failures))


def _event_of(message: Message) -> TriggerEvent:
    return TriggerEvent(message.payload())  # type: ignore[no-untyped-call]
