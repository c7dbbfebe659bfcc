"""Validates rows before anything is sent, and reports all issues of a row at once.

Issues describe the content of a cell (``11 digits``) and never repeat it, so that they can be logged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from pydantic import ValidationError

from altegio_provider.imports.files.row_source import is_blank
from altegio_provider.imports.model import BookingRequest, EventReference, ImportFileError, RowIssue, SourceRow
from altegio_provider.imports.rows import dates
from altegio_provider.imports.rows.cells import TOO_LONG, CellError, shape_of, too_long
from altegio_provider.imports.rows.column_facts import NO_FACTS, ColumnFacts
from altegio_provider.imports.rows.columns import CUSTOM_FIELD, Columns
from altegio_provider.imports.rows.contacts import checked_region
from altegio_provider.imports.rows.typed_row import RowContext, TypedRow

__all__ = ["Validator"]

_CLIENT_FIELDS = (
    "name",
    "surname",
    "patronymic",
    "phone",
    "email",
    "gender",
    "birthday",
    "comment",
    "national_id",
)
#: The client fields that the API requires. Other fields may be missing or null.
_REQUIRED = {"companies": ("name", "phone", "email", "surname"), "locations": ("name",)}
#: If the phone is not required, one of these must identify the client.
_IDENTIFYING_FIELDS = ("phone", "email", "client_id")
#: The fields that name the event.
_EVENT_FIELDS = ("event_id", "event_date", "service_id", "service_title")
#: The consents of a client.
_CONSENTS = ("newsletter_allowed", "personal_data_allowed")
#: Required fields that the API accepts as empty text.
_MAY_BE_EMPTY = ("email", "surname")
#: Fields that only the other route family accepts.
_OTHER_FAMILY_ONLY = {"companies": ("comment", "national_id", "is_trial_service"), "locations": ("labels",)}
#: Faster than ``TypedRow.model_validate``, which calls this.
_typed = TypedRow.__pydantic_validator__.validate_python


class Validator:
    """Validates rows by the rules of one route family.

    :param columns: the fields and their headings.
    :param timezone: the location's time zone.
    :param default_region: the country of phones without ``+``, such as ``LV``; ``None``: all phones need ``+``.
    :param route_family: ``companies`` or ``locations``.
    :param now: returns the current time.
    :param facts: what whole columns tell; see :func:`~altegio_provider.imports.rows.column_facts.column_facts`.
    :raises ImportFileError: a required field has no column, a default is invalid, or the country is unknown.
    """

    def __init__(
        self,
        columns: Columns,
        *,
        timezone: ZoneInfo,
        default_region: str | None,
        route_family: str,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        facts: ColumnFacts = NO_FACTS,
    ) -> None:
        if route_family not in _REQUIRED:
            raise ImportFileError(f"route_family {route_family!r} is unknown; use 'companies' or 'locations'.")
        self._columns = columns
        self._family = route_family
        self._required = _REQUIRED[route_family]
        self._context = RowContext(timezone, checked_region(default_region), now().astimezone(timezone).date(), facts)
        #: Fields that are sent empty in rows without a value.
        self._empty = tuple(name for name, value in columns.constants.items() if value == "")
        self._check_columns()
        self._check_constants()

    def check(self, row: SourceRow) -> BookingRequest | list[RowIssue]:
        """Return the booking that the row requests, or all its issues.

        :param row: the row.
        """
        given = self._columns.fields(row)
        for name in self._empty:
            if is_blank(given[name]):
                del given[name]
        typed: TypedRow | None = None
        issues = [self._issue(name, given, TOO_LONG) for name in too_long(given)]
        if "event_time" in given and not issues:
            issues = self._join_time(given)
        if not issues:
            try:
                typed = _typed(given, context=self._context)
            except ValidationError as error:
                issues = self._issues_of(error, given)
        if len(row.values) != len(self._columns.names) or None in row.values:
            issues = self._issues_of_cells(row) + issues
        issues += self._issues_of_event(given)
        issues += self._issues_of_client(given)
        if typed is not None:
            issues += self._issues_of_consents(given)
        if issues or typed is None:
            return issues
        return self._request(row.line, typed)

    def _join_time(self, given: dict[str, Any]) -> list[RowIssue]:
        """Put the time of its own column behind the date."""
        shown = dict(given)
        clock = given.pop("event_time")
        if "event_date" not in given:
            return [self._issue("event_time", shown, "needs event_date")]
        try:
            given["event_date"] = dates.joined(given["event_date"], clock)
        except CellError as error:
            return [self._issue("event_time", shown, str(error))]
        return []

    def _request(self, line: int, row: TypedRow) -> BookingRequest:
        event = None
        if row.event_date is not None:
            event = EventReference(row.event_date, row.service_id, row.service_title, row.staff_id, row.staff_name)
        return BookingRequest(
            line=line,
            event_id=row.event_id,
            event=event,
            client=self._client(row),
            seats=row.clients_count,
            comer=None if row.comer_name is None else {"name": row.comer_name},
            comer_id=row.comer_id,
            labels=row.labels or [],
            external_id=row.external_id,
            is_trial_service=row.is_trial_service,
        )

    def _client(self, row: TypedRow) -> dict[str, Any]:
        client: dict[str, Any] = {} if row.client_id is None else {"id": row.client_id}
        given = row.__dict__
        client |= {name: given[name] for name in _CLIENT_FIELDS if given[name] is not None}
        if custom := row.model_extra:
            values = {name.removeprefix(CUSTOM_FIELD): value for name, value in custom.items()}
            client["custom_field_values"] = [{"code": code, "value": value} for code, value in values.items()]
        if row.newsletter_allowed is not None:
            client["agreements"] = {
                "is_newsletter_allowed": row.newsletter_allowed,
                "is_personal_data_processing_allowed": row.personal_data_allowed,
            }
        if self._family == "companies":
            client.setdefault("gender", 0)
        for name in self._empty:
            client.setdefault(name, "")
        return client

    def _issues_of(self, error: ValidationError, given: Mapping[str, Any]) -> list[RowIssue]:
        issues = []
        for one in error.errors(include_url=False, include_input=False):
            name = str(one["loc"][0])
            cause = one.get("ctx", {}).get("error")
            message = str(cause) if isinstance(cause, CellError) else "cannot be read"
            issues.append(RowIssue(self._columns.heading_of(name), shape_of(given.get(name)), message))
        return issues

    def _issues_of_cells(self, row: SourceRow) -> list[RowIssue]:
        issues = []
        missing = [name for name in self._columns.names if name not in row.values]
        # Spreadsheet programs drop the delimiters of empty cells at the end of a line, so these cells are blank.
        if any(self._columns.headings.get(name) in missing for name in (*_EVENT_FIELDS, *self._required)):
            message = "every row must have as many cells as the heading; is a delimiter or a quotation mark missing?"
            issues.append(RowIssue(missing[0], f"{_cells(len(missing))} too few", message))
        if surplus := row.values.get(None):
            message = "every row must have as many cells as the heading; quote cells that contain the delimiter"
            issues.append(RowIssue("(no heading)", f"{_cells(len(surplus))} too many", message))
        return issues

    def _issues_of_event(self, given: Mapping[str, Any]) -> list[RowIssue]:
        if "event_id" in given:
            if "event_date" in given:
                return [self._issue("event_date", given, "give either event_id or event_date, not both")]
            return []
        if "event_date" not in given:
            name = "event_id" if "event_id" in self._columns or "event_date" not in self._columns else "event_date"
            return [self._issue(name, given, "the event is missing: give event_id, or event_date with a service")]
        if "service_id" not in given and "service_title" not in given:
            name = "service_id" if "service_id" in self._columns else "service_title"
            return [self._issue(name, given, "event_date needs a service: give service_id or service_title")]
        return []

    def _issues_of_client(self, given: Mapping[str, Any]) -> list[RowIssue]:
        issues = [
            self._issue(name, given, self._why_required(name))
            for name in self._required
            if name not in given and name not in self._empty
        ]
        if self._family == "locations" and not any(name in given for name in _IDENTIFYING_FIELDS):
            issues.append(
                self._issue("phone", given, "nothing identifies the client: give a phone, an e-mail or client_id")
            )
        for name in _OTHER_FAMILY_ONLY[self._family]:
            if name in given:
                other = "companies" if self._family == "locations" else "locations"
                heading = self._columns.heading_of(name)
                advice = f"drop the column with column_mapping={{{heading!r}: None}}"
                issues.append(self._issue(name, given, f"is accepted only with route_family={other!r}; {advice}"))
        return issues

    def _issues_of_consents(self, given: Mapping[str, Any]) -> list[RowIssue]:
        """Check that both consents are given or none: the API takes them together, and neither may be assumed."""
        missing = [name for name in _CONSENTS if name not in given]
        if len(missing) != 1:
            return []
        message = f"give both {' and '.join(_CONSENTS)}, or neither: the API takes the two consents together"
        return [self._issue(missing[0], given, message)]

    def _why_required(self, name: str) -> str:
        text = f"is required by the API with route_family={self._family!r}"
        return f"{text}; defaults={{{name!r}: ''}} sends it empty" if name in _MAY_BE_EMPTY else text

    def _issue(self, name: str, given: Mapping[str, Any], message: str) -> RowIssue:
        return RowIssue(self._columns.heading_of(name), shape_of(given.get(name)), message)

    def _check_columns(self) -> None:
        missing = [name for name in self._required if name not in self._columns]
        if missing:
            raise ImportFileError(
                f"no column gives {' or '.join(missing)}, which the API requires of every client with "
                f"route_family={self._family!r}. Map a column to each, or give a constant in defaults "
                f"({' and '.join(_MAY_BE_EMPTY)} may be '')."
            )

    def _check_constants(self) -> None:
        constants = {name: value for name, value in self._columns.constants.items() if not is_blank(value)}
        if issues := self._issues_of_constants(constants):
            problems = "; ".join(f"{issue.column} {issue.message}" for issue in issues)
            raise ImportFileError(f"defaults: {problems}.")
        if wrong := [name for name in self._empty if name not in _MAY_BE_EMPTY]:
            raise ImportFileError(f"defaults[{wrong[0]!r}] must not be empty; remove it.")

    def _issues_of_constants(self, constants: Mapping[str, Any]) -> list[RowIssue]:
        try:
            TypedRow.model_validate(constants, context=self._context)
        except ValidationError as error:
            return self._issues_of(error, constants)
        return []


def _cells(count: int) -> str:
    return "1 cell" if count == 1 else f"{count} cells"
