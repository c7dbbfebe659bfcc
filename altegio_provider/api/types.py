"""Types of what the client returns: plain dicts with known keys.

Use them to annotate your own code. Every key may be missing or null, because the API guarantees no field except ``id``
and the two route families send different ones, so read with ``.get()``. Other keys are returned as they came.

>>> event: Event = {"id": 10126531, "staff_id": 5, "capacity": 12, "clients_count": 9}
>>> event.get("capacity", 0) - event.get("clients_count", 0)
3
"""

from __future__ import annotations

from typing import Any, TypedDict

__all__ = [
    "Appointment",
    "Client",
    "Event",
    "Label",
    "Position",
    "ResourceInstance",
    "Service",
    "ServiceCategory",
    "TeamMember",
    "Visitor",
]


class ServiceCategory(TypedDict, total=False):
    """The category of a service.

    >>> category: ServiceCategory = {"id": 61, "title": "Yoga"}
    """

    id: int
    category_id: int
    title: str


class Service(TypedDict, total=False):
    """What an event or an appointment offers. Prices are numbers in the location's currency.

    >>> service: Service = {"id": 7, "title": "Morning yoga", "price_min": 12.5, "price_max": 15.0}
    """

    id: int
    title: str
    category_id: int
    category: ServiceCategory
    price_min: float
    price_max: float
    comment: str | None
    image_url: str | None
    prepaid: str | int | None
    #: Of an appointment: the price of the line, before and after the discount.
    first_cost: float
    cost: float
    manual_cost: float
    discount: float
    amount: int


class Position(TypedDict, total=False):
    """The position of a team member.

    >>> position: Position = {"id": 3, "title": "Trainer"}
    """

    id: int
    title: str


class TeamMember(TypedDict, total=False):
    """The person who holds an event; the API's field is ``staff``.

    >>> staff: TeamMember = {"id": 5, "name": "Ada", "specialization": "Yoga", "rating": 4.9}
    """

    id: int
    name: str
    company_id: int
    specialization: str
    position: Position
    rating: float
    avatar: str


class Label(TypedDict, total=False):
    """A tag of an event or an appointment.

    >>> label: Label = {"id": 11, "title": "Beginners", "color": "#9c27b0"}
    """

    id: int
    title: str
    color: str
    icon: str
    font_color: str


class ResourceInstance(TypedDict, total=False):
    """A room or a device that an event occupies.

    >>> room: ResourceInstance = {"id": 21, "title": "Hall 2", "resource_id": 4}
    """

    id: int
    title: str
    resource_id: int


class Event(TypedDict, total=False):
    """An event (the API's activity) in the one shape of both route families.

    ``date`` and ``datetime`` are text as the API sent it; ``timestamp`` is in Unix seconds; ``length`` is in seconds.
    ``clients_count`` is the number of seats taken; ``records_count`` (``companies`` only) is the number of
    appointments.

    >>> event: Event = {
    ...     "id": 10126531,
    ...     "staff_id": 5,
    ...     "service_id": 7,
    ...     "date": "2026-08-01T14:00:00+0300",
    ...     "timestamp": 1785582000,
    ...     "length": 3600,
    ...     "capacity": 12,
    ...     "staff": {"id": 5, "name": "Ada"},
    ... }
    """

    id: int
    company_id: int
    name: str
    description: str
    date: str
    datetime: str
    timestamp: int
    length: int
    capacity: int
    clients_count: int
    records_count: int
    staff_id: int
    service_id: int
    staff: TeamMember
    service: Service
    labels: list[Label]
    resource_instances: list[ResourceInstance]
    color: str
    font_color: str
    instructions: str
    stream_link: str
    comment: str | None
    notified: bool
    prepaid: str | int | None
    created_at: str
    schedule_id: int | None
    schedule_till: dict[str, Any] | None
    schedule_event_modified: bool | None
    deleted: bool


class Client(TypedDict, total=False):
    """The client of an appointment: personal data. A phone may come masked.

    >>> client: Client = {"id": 77, "name": "Ada", "phone": "+13155550175"}
    """

    id: int
    name: str
    surname: str | None
    patronymic: str | None
    phone: str | None
    email: str | None
    gender: int | None
    birthday: str | None
    comment: str | None


class Visitor(TypedDict, total=False):
    """The person who comes in the client's place; the API's field is ``comer``. Personal data.

    >>> visitor: Visitor = {"id": 78, "name": "Grace"}
    """

    id: int
    name: str


class Appointment(TypedDict, total=False):
    """A client's seats in an event (the API's record).

    ``date`` is text on the location's wall clock; ``timestamp`` is in Unix seconds; ``length`` and ``duration`` are in
    seconds. ``activity_id`` is 0 when the appointment belongs to no event. ``attendance`` is -1 absent, 0 waiting, 1
    attended, 2 confirmed. ``client``, ``staff``, ``services``, ``labels`` and ``comer`` are present if they were
    included.

    >>> appointment: Appointment = {
    ...     "id": 624798251,
    ...     "activity_id": 10126531,
    ...     "client_id": 77,
    ...     "clients_count": 2,
    ...     "attendance": 0,
    ...     "date": "2026-08-01T14:00:00",
    ... }
    """

    id: int
    company_id: int
    external_id: str
    visit_id: int
    booking_user_id: int
    bookform_id: int
    staff_id: int
    client_id: int
    comer_id: int | None
    activity_id: int
    clients_count: int
    date: str
    timestamp: int
    length: int
    duration: int
    created_datetime: str
    attendance: int
    attendance_status: int
    attendance_status_slug: str
    client_fictive_name: str | None
    client_fictive_phone: str | None
    client_fictive_email: str | None
    paid_full: int
    is_paid: bool
    is_overpaid: bool
    prepaid_status: int | str
    payment_status: int | None
    source: int | str
    is_mobile: int | bool
    record_from: str
    from_url: str
    comment: str
    custom_color: str
    custom_font_color: str
    is_sale_bill_printed: bool | None
    is_client_notification_sent: bool
    deleted: bool
    client: Client
    comer: Visitor
    staff: TeamMember
    services: list[Service]
    labels: list[Label]
