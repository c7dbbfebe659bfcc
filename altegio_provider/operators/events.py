"""Operators on events: the bulk timetable, and single calls: create, get, update, delete, and book a client."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from altegio_provider.operators.bulk import BulkOperator
from altegio_provider.operators.personal import PersonalField, unwrap_personal
from altegio_provider.operators.single_call import (
    SingleCallOperator,
    integer_or_unchanged,
    no_retry_if_outcome_unknown,
    select_fields,
)

if TYPE_CHECKING:
    from datetime import datetime

    from altegio_provider.hooks.altegio import AltegioHook
    from altegio_provider.imports.engine.file_import import FileImport

__all__ = [
    "AltegioCreateEventAppointmentOperator",
    "AltegioCreateEventOperator",
    "AltegioCreateEventsOperator",
    "AltegioDeleteEventOperator",
    "AltegioGetEventOperator",
    "AltegioUpdateEventOperator",
]

#: The fields of an event that go to XCom: few, and without personal data.
_SUMMARY = ("id", "date", "timestamp", "staff_id", "service_id", "length", "capacity", "clients_count", "records_count")
#: Ids in an event that may not exist.
_NAMED = ("staff_id", "service_id", "resource_instance_ids", "label_ids")


class AltegioCreateEventOperator(SingleCallOperator):
    """Create an event.

    The API has no idempotency key. If the answer is lost, the event is searched for (same team member, service and
    start) before it is sent again. If the search fails, the task fails.

    Operation: ``POST …/activities`` or ``POST …/events``.

    :param staff_id: the team member. Templated, as all fields of the event are.
    :param service_id: the service.
    :param date: the start: a datetime or ISO text; a naive one is in the location's time zone.
    :param length: the length in seconds; under ``locations`` a multiple of 300.
    :param capacity: the number of seats.
    :param event: all fields at once, in the API's names, or those that have no argument here
        (``resource_instance_ids``, ``label_ids``, ``comment``, ``instructions``, ``color``, ...).
    :param force: skip the API's availability check of team member and resources.
    :param location_id: the location; default: the connection's. Templated.
    :param altegio_conn_id: the connection. Templated.
    :returns: the event's id, time, team member, service and seats.
    :raises AltegioValidationError: a field is invalid; nothing was sent.
    :raises AltegioConflictError: the team member or a resource is busy.
    :raises AirflowFailException: the answer was lost, and a search did not show whether it took effect.
    """

    template_fields: Sequence[str] = (
        *SingleCallOperator.template_fields,
        "staff_id",
        "service_id",
        "date",
        "length",
        "capacity",
        "event",
    )
    also_named = _NAMED
    event = PersonalField(texts_are_personal=True)

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
        from altegio_provider.api.arguments import checked_mapping
        from altegio_provider.api.writes.create_once import create_event_once

        given = {
            "staff_id": integer_or_unchanged(self.staff_id),
            "service_id": integer_or_unchanged(self.service_id),
            "date": self.date,
            "length": integer_or_unchanged(self.length),
            "capacity": integer_or_unchanged(self.capacity),
        }
        event = {
            **checked_mapping("event", unwrap_personal(self.event) or None),
            **{name: value for name, value in given.items() if value is not None},
        }
        if self.force:
            event["force"] = True
        with no_retry_if_outcome_unknown():
            created = create_event_once(hook.get_conn(), location_id, event)
        self.log.info("Event %s of location %s is created", created.get("id"), location_id)
        return select_fields(created, _SUMMARY)


class AltegioGetEventOperator(SingleCallOperator):
    """Read one event, also a deleted one.

    Operation: ``GET …/activities/{event_id}`` or ``GET …/events/{event_id}``.

    :param event_id: the event. Templated.
    :param location_id: the location; default: the connection's. Templated.
    :param altegio_conn_id: the connection. Templated.
    :returns: the event's id, time, team member, service and seats.
    :raises AltegioNotFoundError: the location or event does not exist.
    """

    template_fields: Sequence[str] = (*SingleCallOperator.template_fields, "event_id")

    def __init__(self, *, event_id: int | str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event_id = event_id

    def _call(self, hook: AltegioHook, location_id: int) -> dict[str, Any]:
        return select_fields(hook.get_event(location_id, integer_or_unchanged(self.event_id)), _SUMMARY)


class AltegioUpdateEventOperator(SingleCallOperator):
    """Change an event, keeping what is not named.

    The API replaces an event whole: so it is read, the named fields are changed, and all of it is put back. When the
    answer is lost, the same is put again, which changes nothing if it came through. A ``capacity`` below the seats that
    are booked is refused before anything is sent.

    Operation: ``PUT …/activities/{event_id}`` or ``PUT …/events/{event_id}``.

    :param event_id: the event. Templated.
    :param changes: the fields to change, in the API's names; ``None`` clears a comment, instructions, a link or a
        colour. Templated.
    :param replace: send ``changes`` as they are, as the whole event.
    :param location_id: the location; default: the connection's. Templated.
    :param altegio_conn_id: the connection. Templated.
    :returns: the event's id, time, team member, service and seats.
    :raises AltegioValidationError: a field cannot be right, more seats are booked than ``capacity`` allows, or the
        answer does not show what must be put back; nothing was sent. Or the API refused it.
    """

    template_fields: Sequence[str] = (*SingleCallOperator.template_fields, "event_id", "changes")
    also_named = _NAMED
    changes = PersonalField(texts_are_personal=True)

    def __init__(
        self, *, event_id: int | str, changes: Mapping[str, Any], replace: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.event_id = event_id
        self.changes = changes
        self.replace = replace

    def _call(self, hook: AltegioHook, location_id: int) -> dict[str, Any]:
        from altegio_provider.api.arguments import checked_mapping
        from altegio_provider.api.bodies.event import replacement_body
        from altegio_provider.api.writes.repeatable import repeat_until_answered
        from altegio_provider.common.location_time import load_zone

        event_id = integer_or_unchanged(self.event_id)
        body = dict(checked_mapping("changes", unwrap_personal(self.changes)))
        if not self.replace:
            client = hook.get_conn()
            event = client.get_event(location_id, event_id, joined=True)
            body = replacement_body(event, body, load_zone(client.timezone))
        return select_fields(repeat_until_answered(lambda: hook.update_event(location_id, event_id, body)), _SUMMARY)


class AltegioDeleteEventOperator(SingleCallOperator):
    """Delete an event, which cancels all of its bookings: clients may be told, as the location's settings say.

    The deletion is soft: the event can still be read, and lists leave it out. It cannot be taken back by the API.
    By default an event with bookings is not deleted. When the answer is lost, the event is deleted again.
    ``airflow tasks test --dry-run`` says what would be deleted.

    Operation: ``DELETE …/activities/{event_id}`` or ``DELETE …/events/{event_id}``, after the event was read.

    :param event_id: the event. Templated.
    :param only_if_empty: delete the event only if it has no bookings. With ``False`` its bookings are cancelled.
    :param missing_ok: do not fail if the event does not exist any more.
    :param location_id: the location; default: the connection's. Templated.
    :param altegio_conn_id: the connection. Templated.
    :returns: ``{"id": …, "deleted": …}``; ``deleted`` is false if it did not exist any more.
    :raises AltegioValidationError: the event has bookings, or does not tell whether it has, and ``only_if_empty`` is
        on; nothing was deleted.
    :raises AltegioNotFoundError: it does not exist and ``missing_ok`` is off, or the location does not exist.
    """

    template_fields: Sequence[str] = (*SingleCallOperator.template_fields, "event_id")

    def __init__(
        self, *, event_id: int | str, only_if_empty: bool = True, missing_ok: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.event_id = event_id
        self.only_if_empty = only_if_empty
        self.missing_ok = missing_ok

    def dry_run(self) -> None:
        """Say what a run would do, and delete nothing."""
        super().dry_run()
        self.log.info("Event %s would be deleted. %s", self.event_id, self._consequence)

    def _call(self, hook: AltegioHook, location_id: int) -> dict[str, Any]:
        event_id = integer_or_unchanged(self.event_id)
        if self.only_if_empty:
            self._check_empty(hook, location_id, event_id)

        def delete() -> None:
            hook.delete_event(location_id, event_id)

        self.log.info("Deleting event %s of location %s. %s", event_id, location_id, self._consequence)
        return {"id": event_id, "deleted": self._deleted(hook, location_id, delete, missing_ok=self.missing_ok)}

    @property
    def _consequence(self) -> str:
        if self.only_if_empty:
            return "An event with bookings is not deleted (only_if_empty=True)."
        return "All of its bookings are cancelled, and clients may be told, as the location's settings say."

    def _check_empty(self, hook: AltegioHook, location_id: int, event_id: int) -> None:
        from altegio_provider.api.bodies.event import booked_seats
        from altegio_provider.api.errors import AltegioNotFoundError, AltegioValidationError

        try:
            event = hook.get_event(location_id, event_id)
        except AltegioNotFoundError:
            return  # the deletion tells what is missing
        booked = booked_seats(event)
        if booked == 0 or event.get("deleted") is True:
            return
        found = "does not tell whether it has bookings" if booked is None else f"has bookings ({booked} or more seats)"
        raise AltegioValidationError(
            f"event {event_id} {found}, and deleting it cancels all of them.",
            errors={"only_if_empty": ["is True; False deletes the event with its bookings"]},
            hint="Nothing was deleted.",
        )


class AltegioCreateEventAppointmentOperator(SingleCallOperator):
    """Book one client into an event. Use ``AltegioCreateAppointmentsOperator`` for several clients.

    The API has no idempotency key. If the answer is lost, the booking is searched for among the event's appointments
    before it is sent again. If the search is not certain, the task fails without a retry. Do not give this task
    retries: a retry after a killed worker does not know what was sent.

    Operation: ``POST …/activities/{event_id}/records`` or ``POST …/events/{event_id}/appointments``.

    :param event_id: the event. Templated.
    :param appointment: one form for both families of routes: ``client`` (``name``, ``phone`` with ``+``, and as wanted
        ``email``, ``surname``, ...) and ``clients_count``, in the API's names. Templated.
    :param location_id: the location; default: the connection's. Templated.
    :param altegio_conn_id: the connection. Templated.
    :returns: ``{"id": …, "event_id": …, "clients_count": …}``; ``event_id`` is 0 where the API made the appointment
        without its event.
    :raises AltegioValidationError: a field is invalid, and nothing was sent; or the API refused it. ``errors``
        names the fields.
    :raises AltegioNotFoundError: the location or event does not exist, or the event is deleted.
    :raises AirflowFailException: the answer was lost, and a search did not show whether it took effect.
    """

    template_fields: Sequence[str] = (*SingleCallOperator.template_fields, "event_id", "appointment")
    appointment = PersonalField(texts_are_personal=True)

    def __init__(self, *, event_id: int | str, appointment: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.event_id = event_id
        self.appointment = appointment

    def _call(self, hook: AltegioHook, location_id: int) -> dict[str, Any]:
        from altegio_provider.imports.engine.booking_once import book_once

        event_id = integer_or_unchanged(self.event_id)
        with no_retry_if_outcome_unknown():
            record = book_once(hook.get_conn(), location_id, event_id, unwrap_personal(self.appointment))
        carried = record.get("activity_id", event_id)
        if carried != event_id:
            self.log.warning(
                "Appointment %s was created without event %s: assign it in Altegio", record["id"], event_id
            )
        return {"id": record["id"], "event_id": carried, "clients_count": record.get("clients_count")}


class AltegioCreateEventsOperator(BulkOperator):
    """Create the events of a timetable, each exactly once.

    Creating has no idempotency key either, so it goes through the same ledger as bookings: a retry, a rerun or the
    same file next week creates nothing twice, and an event whose answer was lost is looked for (same team member,
    service and start) before it is sent again.

    The columns are the API's fields (``staff_id``, ``service_id``, ``date``, ``length`` in seconds, ``capacity``,
    ``resource_instance_ids``, ``label_ids``, ``technical_break_duration``, ``comment``, ``instructions``,
    ``stream_link``, ``color``, ``force``), and ``repeat_until`` (a day, included) with ``weekdays`` (``mon,wed`` or
    ``1,3``; default: the day of ``date``) for classes that come every week, always at the same time on the
    location's wall clock; each class then has a line of its own in the report. ``external_id`` is the row's
    own key, where you have one: its classes, the first, the second ..., stand for the same team member, service and
    start for good, and a row that says otherwise is rejected.

    Under ``locations`` the first class of a weekly row is created, and the others are copied from it, up to 100 in one
    request. Classes that cannot be copied go one by one, and so do all of them on a server without that route.

    Operation: ``POST …/activities`` or ``POST …/events``, once a class; or ``POST …/events/{event_id}/duplicate``.

    The arguments are those of :class:`AltegioCreateAppointmentsOperator`, but for ``event_id`` and
    ``default_region``; so is what it returns and raises.
    """

    def _kind(self) -> type[FileImport]:
        from altegio_provider.imports.engine.timetable import TimetableImport

        return TimetableImport
