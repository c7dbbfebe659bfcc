"""Maps the headings of a file to the fields of a booking."""

from __future__ import annotations

import difflib
import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from altegio_provider.imports.files.formulas import REPORT_COLUMNS
from altegio_provider.imports.files.row_source import is_blank
from altegio_provider.imports.model import ImportFileError, SourceRow

__all__ = ["CUSTOM_FIELD", "FIELDS", "Columns", "FieldNames"]

#: The fields that a column can hold, in addition to ``custom_field:<code>``.
FIELDS = (
    "event_id",
    "event_date",
    "event_time",
    "service_id",
    "service_title",
    "staff_id",
    "staff_name",
    "client_id",
    "name",
    "surname",
    "patronymic",
    "phone",
    "email",
    "gender",
    "birthday",
    "national_id",
    "comment",
    "newsletter_allowed",
    "personal_data_allowed",
    "clients_count",
    "comer_id",
    "comer_name",
    "labels",
    "is_trial_service",
    "external_id",
)
CUSTOM_FIELD = "custom_field:"

_SEPARATORS = re.compile(r"[\s_\-]+")
_CUSTOM_FIELD = re.compile(r"custom[\s_\-]*field\s*:\s*(.*)", re.IGNORECASE | re.DOTALL)
_SHOWN = 10


def _without_separators(heading: str) -> str:
    return _SEPARATORS.sub("", unicodedata.normalize("NFKC", heading).casefold())


class FieldNames:
    """The field names of one kind of file.

    :param fields: the names.
    :param has_custom_fields: whether ``custom_field:<code>`` is allowed too.
    """

    def __init__(self, fields: Iterable[str], *, has_custom_fields: bool = False) -> None:
        self._fields = {_without_separators(name): name for name in fields}
        self._has_custom_fields = has_custom_fields

    def __str__(self) -> str:
        return ", ".join(self._fields.values()) + (f" and {CUSTOM_FIELD}<code>" if self._has_custom_fields else "")

    def field_of(self, heading: str) -> str | None:
        """Return the field that has the name of a heading, or ``None``.

        :param heading: the heading.
        """
        custom = _CUSTOM_FIELD.fullmatch(heading.strip()) if self._has_custom_fields else None
        if custom:
            return CUSTOM_FIELD + custom[1].strip() if custom[1].strip() else None
        return self._fields.get(_without_separators(heading))

    def field(self, name: Any, argument: str) -> str:
        """Return the field of that name.

        :param name: the name.
        :param argument: the argument that holds it, for the error.
        :raises ImportFileError: the field does not exist.
        """
        known = self.field_of(name) if isinstance(name, str) else None
        if known is None:
            raise ImportFileError(f"{argument}: the field {name!r} does not exist{self.suggestion(str(name))}.")
        return known

    def suggestion(self, name: str) -> str:
        """Return a hint with the most similar field, or an empty text.

        :param name: the unknown name.
        """
        near = difflib.get_close_matches(_without_separators(name), self._fields, 1, 0.6)
        return f" (did you mean {self._fields[near[0]]}?)" if near else ""


BOOKING = FieldNames(FIELDS, has_custom_fields=True)


@dataclass(frozen=True, slots=True)
class Columns:
    """The fields of a source and the heading of each. Create it with :meth:`for_bookings` or :meth:`from_headings`.

    :param headings: field to heading.
    :param dropped: headings that are ignored.
    :param constants: field to its value in rows that have none.
    :param names: the headings of the source, in order.
    """

    headings: Mapping[str, str]
    dropped: frozenset[str] = frozenset()
    constants: Mapping[str, Any] = field(default_factory=dict, repr=False)
    names: tuple[str, ...] = ()

    @classmethod
    def for_bookings(
        cls,
        source_columns: Iterable[str],
        *,
        column_mapping: Mapping[str, str | None] | None = None,
        defaults: Mapping[str, Any] | None = None,
        event_id: int | None = None,
    ) -> Self:
        """Find the field of each heading. Case, spaces, hyphens and underscores are ignored.

        :param source_columns: the headings.
        :param column_mapping: heading to field, for headings that are not field names; ``None`` drops the column.
        :param defaults: field to constant, for rows without a value and files without the column. An empty text
            allows the field to be sent empty.
        :param event_id: the event of all rows.
        :raises ImportFileError: a heading is unknown, two headings map to one field, or a required field has no
            column.
        """
        columns = cls.from_headings(source_columns, BOOKING, column_mapping, defaults)
        constants = dict(columns.constants)
        _check_event(columns.headings, constants, event_id)
        if event_id is not None:
            constants["event_id"] = event_id
        _check_client({*columns.headings, *constants})
        return cls(columns.headings, columns.dropped, constants, columns.names)

    @classmethod
    def from_headings(
        cls,
        source_columns: Iterable[str],
        field_names: FieldNames,
        column_mapping: Mapping[str, str | None] | None = None,
        defaults: Mapping[str, Any] | None = None,
    ) -> Self:
        """Find the field of each heading, without the checks for bookings; see :meth:`for_bookings`.

        :param source_columns: the headings.
        :param field_names: the fields of this kind of file.
        :param column_mapping: heading to field, or to ``None``.
        :param defaults: field to constant.
        :raises ImportFileError: a heading is unknown, or two headings map to one field.
        """
        names = tuple(source_columns)
        chosen = _resolved_mapping(column_mapping or {}, names, field_names)
        constants = {field_names.field(name, "defaults"): value for name, value in (defaults or {}).items()}
        constants = {name: value for name, value in constants.items() if value is not None}
        found: dict[str, str] = {}
        unknown: list[str] = []
        dropped: set[str] = set()
        for heading in names:
            name = chosen[heading] if heading in chosen else field_names.field_of(heading)
            if name is None and (heading in chosen or heading in REPORT_COLUMNS):
                dropped.add(heading)
            elif name is None:
                unknown.append(heading)
            elif name in found:
                raise ImportFileError(
                    f"the columns {found[name]!r} and {heading!r} both map to {name}. Drop one with "
                    f"column_mapping={{{heading!r}: None}}."
                )
            else:
                found[name] = heading
        if unknown:
            raise ImportFileError(_unknown_columns(unknown, field_names))
        return cls(found, frozenset(dropped), constants, names)

    def __contains__(self, name: str) -> bool:
        """Whether rows can have a value for the field."""
        return name in self.headings or name in self.constants

    def fields(self, row: SourceRow) -> dict[str, Any]:
        """Return the raw values of a row by field. A field without a value has its constant or is left out.

        :param row: the row.
        """
        given = dict(self.constants)
        values = row.values
        for name, heading in self.headings.items():
            value = values.get(heading)
            if value.__class__ is str:
                if value and not value.isspace():
                    given[name] = value
            elif not is_blank(value):
                given[name] = value
        return given

    def heading_of(self, name: str) -> str:
        """Return the heading of a field, or the field's name if no column holds it.

        :param name: the field.
        """
        return self.headings.get(name, name)


def _resolved_mapping(
    mapping: Mapping[str, str | None], names: tuple[str, ...], field_names: FieldNames
) -> dict[str, str | None]:
    by_plain_heading = {_without_separators(name): name for name in names}
    chosen: dict[str, str | None] = {}
    for heading, target in mapping.items():
        name = heading if heading in names else by_plain_heading.get(_without_separators(str(heading)))
        if name is None:
            near = difflib.get_close_matches(str(heading), names, 1, 0.5)
            hint = f" (did you mean {near[0]!r}?)" if near else ""
            raise ImportFileError(f"column_mapping: the file has no column {heading!r}{hint}.")
        chosen[name] = None if target is None else field_names.field(target, "column_mapping")
    return chosen


def _unknown_columns(unknown: list[str], field_names: FieldNames) -> str:
    shown = "; ".join(f"{heading!r}{field_names.suggestion(heading)}" for heading in unknown[:_SHOWN])
    more = f"; and {len(unknown) - _SHOWN} more" if len(unknown) > _SHOWN else ""
    return (
        f"{len(unknown)} of the file's columns {'is' if len(unknown) == 1 else 'are'} unknown: {shown}{more}. "
        f"Map each with column_mapping={{{unknown[0]!r}: 'field'}}, or drop it with None. "
        f"The fields are {field_names}."
    )


def _check_event(found: Mapping[str, str], constants: Mapping[str, Any], event_id: int | None) -> None:
    given = {*found, *constants}
    if event_id is not None:
        if isinstance(event_id, bool) or not isinstance(event_id, int) or event_id < 1:
            raise ImportFileError("event_id must be a whole number of 1 or more.")
        if twice := next((name for name in ("event_id", "event_date") if name in given), None):
            raise ImportFileError(
                f"the event is given twice: by event_id= and by {twice}. Remove the argument, or drop the column with "
                f"column_mapping={{{found.get(twice, twice)!r}: None}}."
            )
    elif "event_id" not in given and not ("event_date" in given and {"service_id", "service_title"} & given):
        raise ImportFileError(
            "no column gives the event. Add event_id (argument or column), or event_date (the start, in location "
            "time) with service_id or service_title."
        )


def _check_client(given: set[str]) -> None:
    if "name" not in given:
        raise ImportFileError("no column gives the client's name, which the API requires. Map a column to 'name'.")
    if not given & {"phone", "email", "client_id"}:
        raise ImportFileError("no column identifies the client. Map a column to 'phone', 'email' or 'client_id'.")
