"""The bookings that made classes have from the beginning, one by one: made when somebody asks for them.

A class's bookings come from its number alone, so they are the same whenever they are asked for.
"""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from altegio_provider.sandbox.data.state import Appointment, Event, Location, price_line

__all__ = ["event_of_booking", "unfold"]

_FIRST_ID = 1_000_000_000
_IDS_PER_EVENT = 100
_CLIENTS = 400
_NAMES = ("Anna", "Jānis", "Мария", "Олег", "ნინო", "Ελένη", "נועה", "Zoë", "Grace", "Łukasz", "María José", "Nguyễn")
_SURNAMES = ("Bērziņa", "Ozols", "Соколова", "ბერიძე", "Παππά", "לוי", "O'Neill", "García", "Kim", "van der Berg")


def event_of_booking(appointment_id: int) -> int:
    """The number of the event that a made booking of this number is in; 0 when it is no made one."""
    return (appointment_id - _FIRST_ID) // _IDS_PER_EVENT if appointment_id >= _FIRST_ID else 0


def unfold(location: Location, event: Event, now: datetime) -> None:
    """Turn the numbers of records and seats that an event begins with into appointments.

    :param now: an aware time; who booked a class of the past has come, mostly.
    """
    records, seats = event.first_records, event.first_seats
    if not 0 < records <= min(seats, _IDS_PER_EVENT) or event.id * _IDS_PER_EVENT + _FIRST_ID in location.appointments:
        return
    chance = random.Random(f"bookings {location.id} {event.id}")  # noqa: S311 - data, not secrets
    event.first_records = event.first_seats = 0
    starts = event.starts.replace(tzinfo=location.zone)
    people = [chance.randrange(_CLIENTS) for _ in range(records)]
    for place, person in enumerate(people):
        extra, rest = divmod(max(0, seats - records), records)
        taken = 1 + extra + (place < rest)  # somebody brings a friend
        presence = chance.random()
        attendance = (-1 if presence < 0.12 else 1) if starts <= now else (2 if presence > 0.7 else 0)
        appointment = Appointment(
            id=_FIRST_ID + event.id * _IDS_PER_EVENT + place,
            location_id=location.id,
            event_id=event.id,
            client=_client(location.id, person),
            clients_count=taken,
            created=(starts - timedelta(days=chance.randint(1, 20))).astimezone(UTC),
            attendance=attendance,
            price=price_line(location, event, taken),
            paid_full=1 if attendance == 1 else 0,
            source=1 if person % 3 else 0,
            is_mobile=person % 3,
            is_shown=False,
        )
        location.appointments[appointment.id] = appointment
        event.appointments[appointment.id] = appointment


def _client(location_id: int, number: int) -> dict[str, Any]:
    id_ = location_id * 1000 + number
    return {
        "id": id_,
        "name": _NAMES[number % len(_NAMES)],
        "surname": _SURNAMES[number // len(_NAMES) % len(_SURNAMES)],
        "phone": f"3712{number * 7919 % 10_000_000:07}",
        "email": f"client{id_}@example.com" if number % 5 else "",
        "gender": number % 3,
    }
