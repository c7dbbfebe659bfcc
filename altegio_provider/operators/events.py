"""Single calls on events: create, get, update, delete, and book a client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from altegio_provider.compat import BaseOperator
from altegio_provider.hooks.altegio import AltegioHook

if TYPE_CHECKING:
    from datetime import datetime

    from altegio_provider.compat import Context

__all__ = [
    "AltegioCreateEventAppointmentOperator",
    "AltegioCreateEventOperator",
    "AltegioDeleteEventOperator",
    "AltegioGetEventOperator",
    "AltegioUpdateEventOperator",
]

#: What of an event goes to XCom: small, and no names of people.
_SUMMARY = ("id", "date", "timestamp", "staff_id", "service_id", "length", "capacity", "clients_count", "records_count")


class _EventOperator(BaseOperator):
    """What the single calls share: the connection, the location, and the hook for the time of a call."""

    template_fields: Sequence[str] = ("altegio_conn_id", "location_id")
    ui_color = "#e8f3ec"

    def __init__(
        self,
        *,
        location_id: int | str | None = None,
        altegio_conn_id: str = AltegioHook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.location_id = location_id
        self.altegio_conn_id = altegio_conn_id

    def execute(self, context: Context) -> Any:  # noqa: ARG002 - Airflow's signature
        """Make the call with a hook that is closed afterwards."""
        hook = AltegioHook(self.altegio_conn_id)
        try:
            return self._call(hook, hook.location_id(self.location_id))
        finally:
            hook.close()

    def _call(self, hook: AltegioHook, location_id: int) -> Any:
        raise NotImplementedError


class AltegioCreateEventOperator(_EventOperator):
    """Create an event.

    The API has no idempotency key. When the answer is lost, the event is looked for (same team member, service and
    start) before it is sent again; where that cannot be done, the task fails and says so.

    Operation: ``POST …/activities`` or ``POST …/events``.

    :param staff_id: the team member. Templated, as all fields of the event are.
    :param service_id: the service.
    :param date: the start: a datetime or ISO text; a naive one is on the location's wall clock.
    :param length: seconds; under ``locations`` a multiple of 300.
    :param capacity: seats.
    :param event: all fields at once, in the API's names, or those that have no argument here
        (``resource_instance_ids``, ``label_ids``, ``comment``, ``instructions``, ``color``, ...).
    :param force: skip the availability check of team member and resources.
    :param location_id: the location; default: the connection's. Templated.
    :param altegio_conn_id: the connection. Templated.
    :returns: the event's number, place in time, staff, service and seats.
    :raises AltegioValidationError: a field cannot be right; nothing was sent.
    :raises AltegioConflictError: the team member or a resource is busy.
    :raises AltegioOutcomeUnknownError: the answer was lost, and whether it took effect cannot be found out.
    """

    template_fields: Sequence[str] = (
        *_EventOperator.template_fields,
        "staff_id",
        "service_id",
        "date",
        "length",
        "capacity",
        "event",
    )

    def __init__(
        self,
        *,
        staff_id: int | str | None = None,
        service_id: int | str | None = None,
        date: datetime | str | None = None,
        length: int | str | None = None,
        capacity: int | str | None = None,
        event: Mapping[str, Any] | None = None,
        force: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.staff_id = staff_id
        self.service_id = service_id
        self.date = date
        self.length = length
        self.capacity = capacity
        self.event = event
        self.force = force

    def _call(self, hook: AltegioHook, location_id: int) -> dict[str, Any]:
        from altegio_provider.api.create_once import create_event_once

        given = {
            "staff_id": _number(self.staff_id),
            "service_id": _number(self.service_id),
            "date": self.date,
            "length": _number(self.length),
            "capacity": _number(self.capacity),
        }
        event = {**(self.event or {}), **{name: value for name, value in given.items() if value is not None}}
        if self.force:
            event["force"] = True
        created = create_event_once(hook.get_conn(), location_id, event)
        self.log.info("Event %s of location %s is created", created.get("id"), location_id)
        return _summary(created)


class AltegioGetEventOperator(_EventOperator):
    """Read one event; a deleted one still answers.

    Operation: ``GET …/activities/{event_id}`` or ``GET …/events/{event_id}``.

    :param event_id: the event. Templated.
    :param location_id: the location; default: the connection's. Templated.
    :param altegio_conn_id: the connection. Templated.
    :returns: the event's number, place in time, staff, service and seats.
    :raises AltegioNotFoundError: there is no such location or event.
    """

    template_fields: Sequence[str] = (*_EventOperator.template_fields, "event_id")

    def __init__(self, *, event_id: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event_id = event_id

    def _call(self, hook: AltegioHook, location_id: int) -> dict[str, Any]:
        return _summary(hook.get_event(location_id, _number(self.event_id)))


class AltegioUpdateEventOperator(_EventOperator):
    """Change an event, keeping what is not named.

    The API replaces an event whole: so it is read, the named fields are changed, and all of it is put back.

    Operation: ``PUT …/activities/{event_id}`` or ``PUT …/events/{event_id}``.

    :param event_id: the event. Templated.
    :param changes: the fields to change, in the API's names. Templated.
    :param replace: send ``changes`` as they are, as the whole event.
    :param location_id: the location; default: the connection's. Templated.
    :param altegio_conn_id: the connection. Templated.
    :returns: the event's number, place in time, staff, service and seats.
    :raises AltegioValidationError: a field cannot be right, or the answer does not show what must be put back.
    """

    template_fields: Sequence[str] = (*_EventOperator.template_fields, "event_id", "changes")

    def __init__(
        self, *, event_id: int | str, changes: Mapping[str, Any], replace: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.event_id = event_id
        self.changes = changes
        self.replace = replace

    def _call(self, hook: AltegioHook, location_id: int) -> dict[str, Any]:
        from altegio_provider.api.event_body import replacement_of

        event_id = _number(self.event_id)
        body = dict(self.changes)
        if not self.replace:
            body = replacement_of(hook.get_event(location_id, event_id), body)
        return _summary(hook.update_event(location_id, event_id, body))


class AltegioDeleteEventOperator(_EventOperator):
    """Delete an event (softly: it can still be read, and lists leave it out).

    Operation: ``DELETE …/activities/{event_id}`` or ``DELETE …/events/{event_id}``.

    :param event_id: the event. Templated.
    :param missing_ok: an event that is gone already is no error.
    :param location_id: the location; default: the connection's. Templated.
    :param altegio_conn_id: the connection. Templated.
    :returns: ``{"id": …, "deleted": …}``; not deleted where it was gone already.
    :raises AltegioNotFoundError: it is gone, and ``missing_ok`` is off.
    """

    template_fields: Sequence[str] = (*_EventOperator.template_fields, "event_id")

    def __init__(self, *, event_id: int | str, missing_ok: bool = True, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event_id = event_id
        self.missing_ok = missing_ok

    def _call(self, hook: AltegioHook, location_id: int) -> dict[str, Any]:
        from altegio_provider.api.errors import AltegioNotFoundError

        event_id = _number(self.event_id)
        try:
            hook.delete_event(location_id, event_id)
        except AltegioNotFoundError:
            if not self.missing_ok:
                raise
            self.log.info("Event %s of location %s is gone already", event_id, location_id)
            return {"id": event_id, "deleted": False}
        return {"id": event_id, "deleted": True}


class AltegioCreateEventAppointmentOperator(_EventOperator):
    """Book one client into an event. For many, take ``AltegioCreateAppointmentsOperator``, which books each once.

    The API has no idempotency key: a booking whose answer was lost is not sent again, and the task fails. Do not
    give this task retries.

    Operation: ``POST …/activities/{event_id}/records`` or ``POST …/events/{event_id}/appointments``.

    :param event_id: the event. Templated.
    :param appointment: the body, in the API's field names. Templated.
    :param location_id: the location; default: the connection's. Templated.
    :param altegio_conn_id: the connection. Templated.
    :returns: ``{"id": …, "event_id": …, "clients_count": …}``.
    :raises AltegioValidationError: the API refused it; ``errors`` names the fields.
    :raises AltegioOutcomeUnknownError: the answer was lost; look before sending it again.
    """

    template_fields: Sequence[str] = (*_EventOperator.template_fields, "event_id", "appointment")

    def __init__(self, *, event_id: int | str, appointment: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event_id = event_id
        self.appointment = appointment

    def _call(self, hook: AltegioHook, location_id: int) -> dict[str, Any]:
        event_id = _number(self.event_id)
        record = hook.create_event_appointment(location_id, event_id, self.appointment)
        if record.get("activity_id") != event_id:
            self.log.warning("The record %s does not carry the event %s that was asked for", record.get("id"), event_id)
        return {"id": record.get("id"), "event_id": event_id, "clients_count": record.get("clients_count")}


def _number(value: Any) -> Any:
    """A template gives text where a number belongs; what is no number is left for the checks to name."""
    return int(value) if isinstance(value, str) and value.strip().isdigit() else value


def _summary(event: Mapping[str, Any]) -> dict[str, Any]:
    return {name: event[name] for name in _SUMMARY if name in event}
