"""What goes from the file to the engine: a row, what is wrong with it, or the booking that it asks for.

Nothing here checks anything: ``columns`` and ``validation`` make these values, and the engine believes them.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

__all__ = ["BookingRequest", "EventReference", "ImportFileError", "RowIssue", "SourceRow", "normalized_text"]


class ImportFileError(ValueError):
    """The file, or its columns, cannot be taken at all. It is raised before anything is sent."""


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One row as it was read.

    :param line: its first line in the file, from 1, the heading counted; where there is no text file, the number of
        the row, from 1.
    :param values: heading to raw value. Under the key ``None`` are the cells that have no heading, as a list; a
        heading is missing where the row has too few cells.
    """

    line: int
    values: dict[Any, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class RowIssue:
    """One thing that is wrong with a row. It shows no personal data.

    :param column: the heading in the file.
    :param shape: what was there, described but not repeated: ``11 digits``, ``text of 5 letters``, ``empty``.
    :param message: what would be right.
    """

    column: str
    shape: str
    message: str


@dataclass(frozen=True, slots=True)
class EventReference:
    """An event named by what people know of it.

    :param start: when it starts: naive, on the location's wall clock. Where the clock is turned back, ``fold`` tells
        which of the two moments it is.
    :param service_id: or ``service_title``; one of the two is there.
    :param staff_id: or ``staff_name``, or neither.
    """

    start: datetime
    service_id: int | None
    service_title: str | None
    staff_id: int | None
    staff_name: str | None = field(repr=False)

    def name(self) -> tuple[Any, ...]:
        """Return what the event is called; it is the same however the file writes it."""
        title, staff = (
            None if text is None else normalized_text(text) for text in (self.service_title, self.staff_name)
        )
        return f"{self.start:%Y-%m-%d %H:%M:%S}", self.start.fold, self.service_id, title, self.staff_id, staff


@dataclass(frozen=True, slots=True)
class BookingRequest:
    """One checked row: whom to book into which event, with how many seats.

    :param line: see :class:`SourceRow`.
    :param event_id: the event, or ``None`` where ``event`` names it.
    :param client: the given fields of the client, in the API's names: ``id``, ``name``, ``surname``,
        ``patronymic``, ``phone`` (E.164, with ``+``), ``email``, ``gender`` (0, 1, 2), ``birthday``
        (``YYYY-MM-DD``), ``comment``, ``national_id``, ``custom_field_values`` (list of ``code`` and ``value``),
        ``agreements`` (one object with ``is_newsletter_allowed`` and ``is_personal_data_processing_allowed``).
    :param seats: ``clients_count``, 1 or more.
    :param comer: ``{"name": ...}`` of the person who comes, where it is another one.
    :param labels: ids of labels.
    :param external_id: the row's own key, where the file has one.
    """

    line: int
    event_id: int | None
    event: EventReference | None
    client: Mapping[str, Any] = field(repr=False)
    seats: int = 1
    comer: Mapping[str, Any] | None = field(default=None, repr=False)
    comer_id: int | None = None
    labels: list[int] = field(default_factory=list)
    external_id: str | None = field(default=None, repr=False)
    is_trial_service: bool | None = None

    def appointment(self) -> dict[str, Any]:
        """Return the appointment in the canonical form that ``AltegioClient.create_event_appointment`` takes.

        Only what was given is in it; the form of a family of routes is made by the client.
        """
        body: dict[str, Any] = {"client": dict(self.client), "clients_count": self.seats}
        if self.comer is not None:
            body["comer"] = dict(self.comer)
        if self.comer_id is not None:
            body["comer_id"] = self.comer_id
        if self.labels:
            body["labels"] = list(self.labels)
        if self.is_trial_service is not None:
            body["is_trial_service"] = self.is_trial_service
        return body

    def identity(self) -> tuple[str | int, ...]:
        """Return what tells this client from others: the id, else the phone, else the e-mail, else the name.

        Two rows with equal identities mean one client; it is the same whatever notation the file uses. Where the
        row names another person who comes, that person is a part of it: a parent may book two children.
        """
        return *self._client_identity(), *self._comer_identity()

    def _comer_identity(self) -> tuple[str | int, ...]:
        if self.comer_id is not None:
            return "comer id", self.comer_id
        return ("comer", normalized_text(self.comer["name"])) if self.comer else ()

    def _client_identity(self) -> tuple[str | int, ...]:
        client = self.client
        if client.get("id"):
            return "id", int(client["id"])
        if client.get("phone"):
            return "phone", str(client["phone"])
        if client.get("email"):
            return "email", normalized_text(client["email"])
        return "name", normalized_text(client.get("name") or ""), normalized_text(client.get("surname") or "")


def normalized_text(text: str) -> str:
    """Return the text as people compare it: without regard to case, width of characters and runs of spaces."""
    return " ".join(unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold()).split())
