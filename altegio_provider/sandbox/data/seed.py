"""Data to look at: studios in three cities, the same each time, for whichever days are asked for.

Each day is made from (seed, location, day) alone, so that a day has the same classes however one comes to it.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Iterator
from datetime import date, datetime, timedelta
from typing import Any

from altegio_provider.sandbox.data.state import LARGEST, Event, Location, State

__all__ = ["event_id_day", "explicit_event", "seeded_state", "whole"]

_FIRST_DAY = date(2015, 1, 1).toordinal()
_LAST_DAY = date(2035, 1, 1).toordinal()
_IDS_PER_DAY = 1000
_IDS_PER_LOCATION = 50

_STUDIOS: tuple[tuple[int, str, str, tuple[str, ...]], ...] = (
    (
        1001,
        "Studio Rīta saule",
        "Europe/Riga",
        ("Anna Bērziņa", "Jānis Ozols", "Мария Соколова", "Līga Kalniņa", "Igor P."),
    ),
    (1002, "Brooklyn Barre & Yoga", "America/New_York", ("Maya Cohen", "Luis Ortega", "Grace Kim", "Zoë O'Neill")),
    (1003, "სტუდია მზე", "Asia/Tbilisi", ("ნინო ბერიძე", "გიორგი მაისურაძე", "Ελένη Παππά", "דנה לוי", "Арам С.")),
)
#: City, country and currency of each.
_PLACES = (("Rīga", "Latvia", "EUR"), ("New York", "United States", "USD"), ("თბილისი", "Georgia", "GEL"))
_SERVICES = (
    ("Morning yoga", "Йога утром", "Yoga", 12, 60),
    ("Vinyasa flow", "Vinyāsa plūsma", "Yoga", 15, 75),
    ("Pilates, beginners", "პილატესი", "Pilates", 14, 55),
    ("Reformer pilates", "Реформер", "Pilates", 28, 55),
    ("Spinning", "סpinning", "Cardio", 11, 45),
    ("Boxing basics", "Бокс: основы", "Cardio", 16, 60),
    ("Stretching", "Στρέτσινγκ", "Recovery", 9, 50),
    ("Kids' dance", "Bērnu dejas", "Dance", 8, 45),
)
_ROOMS = ("Big hall", "Zaļā zāle", "Зал 2")
_LABELS = (("new", "#4caf50"), ("last places", "#ff9800"), ("by invitation", "#3f51b5"))
# How full classes are, Monday to Sunday: weekday evenings sell, Sundays rest.
_DEMAND = (0.72, 0.66, 0.7, 0.62, 0.5, 0.83, 0.38)


def seeded_state(seed: int, state: State | None = None) -> State:
    """Return a state with the three studios."""
    state = state or State()
    for index, (number, title, timezone, teachers) in enumerate(_STUDIOS):
        city, country, currency = _PLACES[index]
        location = Location(
            number, title, timezone, currency=currency, country=country, city=city, fill_day=_filler(seed, index)
        )
        _furnish(location, index, teachers)
        state.locations[number] = location
    return state


def event_id_day(event_id: int) -> date | None:
    """Return the day that an event of that number is on, if it is one of the made ones."""
    ordinal = _FIRST_DAY + event_id // _IDS_PER_DAY
    return date.fromordinal(ordinal) if _FIRST_DAY <= ordinal < _LAST_DAY else None


def _furnish(location: Location, index: int, teachers: tuple[str, ...]) -> None:
    base = (index + 1) * 1000
    for number, name in enumerate(teachers, base + 1):
        location.staff[number] = {
            "id": number,
            "name": name,
            "company_id": location.id,
            "specialization": random.Random(number).choice(("Yoga teacher", "Trainer", "Dance teacher")),  # noqa: S311
            "rating": round(4 + number % 10 / 10, 1),
            "position": {"id": 10 + number % 3, "title": ("Junior", "Teacher", "Senior")[number % 3]},
            "avatar": f"https://assets.alteg.io/masters/{number}.jpg",
        }
    categories = {name: base + 500 + place for place, name in enumerate(dict.fromkeys(s[2] for s in _SERVICES))}
    for number, (title, other, category, price, _) in enumerate(_SERVICES, base + 101):
        location.services[number] = {
            "id": number,
            "title": f"{title} / {other}",
            "category_id": categories[category],
            "price_min": price,
            "price_max": price + 4,
            "comment": "",
            "image_url": f"https://assets.alteg.io/services/{number}.jpg",
            "prepaid": "forbidden",
            "category": {"id": categories[category], "category_id": categories[category], "title": category},
        }
    for number, title in enumerate(_ROOMS, base + 201):
        location.resources[number] = {"id": number, "title": title, "resource_id": base + 301}
    for number, (title, color) in enumerate(_LABELS, base + 401):
        location.labels[number] = {
            "id": number,
            "title": title,
            "color": color,
            "icon": "star",
            "font_color": "#ffffff",
        }


def _filler(seed: int, index: int) -> Callable[[Location, date], Iterator[Event]]:
    def fill_day(location: Location, day: date) -> Iterator[Event]:
        if not _FIRST_DAY <= day.toordinal() < _LAST_DAY:
            return
        chance = random.Random(f"{seed}/{location.id}/{day.toordinal()}")  # noqa: S311 - data, not secrets
        first_id = (day.toordinal() - _FIRST_DAY) * _IDS_PER_DAY + index * _IDS_PER_LOCATION + 1
        for number in range(chance.randint(10, 20) - (4 if day.weekday() == 6 else 0)):
            yield _made_event(chance, location, day, first_id + number)

    return fill_day


def _made_event(chance: random.Random, location: Location, day: date, number: int) -> Event:
    service_id = chance.choice(list(location.services))
    minutes = next(s[4] for n, s in zip(location.services, _SERVICES, strict=True) if n == service_id)
    starts = datetime(day.year, day.month, day.day, chance.randint(7, 20), chance.choice((0, 15, 30, 45)))  # noqa: DTZ001
    capacity = chance.choice((6, 8, 10, 12, 16, 20))
    seats = min(capacity, round(capacity * min(1.0, max(0.0, chance.gauss(_DEMAND[day.weekday()], 0.2)))))
    return Event(
        id=number,
        location_id=location.id,
        staff_id=chance.choice(list(location.staff)),
        service_id=service_id,
        starts=starts,
        length=minutes * 60,
        capacity=capacity,
        resource_ids=[chance.choice(list(location.resources))],
        label_ids=[chance.choice(list(location.labels))] if chance.random() < 0.25 else [],
        comment=chance.choice(("", "", "Bring a towel", "Замена преподавателя", "Atnest ūdeni")),
        instructions="Please come ten minutes before the beginning; the doors close when the class starts.",
        notified=chance.random() < 0.5,
        created_at=starts - timedelta(days=chance.randint(10, 40)),
        first_seats=seats,
        first_records=max(0, seats - (chance.randint(0, 2) if seats > 3 else 0)),
    )


def explicit_event(state: State, location: Location, row: dict[str, Any], taken: Collection[int]) -> Event:
    """Return an event from a row of plain values, with defaults for what it leaves out.

    :param taken: numbers that an event without one does not get.
    :raises ValueError: a field has no value that it can have; the message names the field.
    """
    known = {key: row[key] for key in _EXPLICIT if key in row}
    return Event(
        id=whole(row, "id", 0) or state.next_event_id(taken),
        location_id=location.id,
        staff_id=whole(row, "staff_id", 0) or next(iter(location.staff), 1),
        service_id=whole(row, "service_id", 0) or next(iter(location.services), 1),
        starts=_moment(row, "date"),
        length=whole(row, "length", 3600),
        capacity=whole(row, "capacity", 10),
        **known,
    )


def whole(row: dict[str, Any], name: str, default: int | None = None) -> int:
    """Return a whole number of a row.

    :param default: for a row without it; ``None``: it must be there.
    :raises ValueError: it is missing, or something else.
    """
    value = default if row.get(name) is None else row[name]
    try:
        number = int(value)  # type: ignore[arg-type]  # what is no number raises
    except (TypeError, ValueError, OverflowError):
        number = -1
    if not 0 <= number <= LARGEST:
        raise ValueError(f"{name} must be a whole number from 0 to {LARGEST}")
    return number


def _moment(row: dict[str, Any], name: str) -> datetime:
    try:
        return datetime.fromisoformat(row[name])
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{name} must be a moment in ISO 8601, such as 2040-05-01 10:00:00") from None


_EXPLICIT = (
    "resource_ids",
    "label_ids",
    "color",
    "comment",
    "instructions",
    "stream_link",
    "notified",
    "first_records",
    "first_seats",
    "patch",
    "deleted",
)
