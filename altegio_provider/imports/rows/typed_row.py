"""One row with its types: what each field of a file must be, as a pydantic model."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, NamedTuple
from zoneinfo import ZoneInfo

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from altegio_provider.imports.rows import cells, contacts, dates
from altegio_provider.imports.rows.column_facts import ColumnFacts

__all__ = ["RowContext", "TypedRow"]


class RowContext(NamedTuple):
    """What the meaning of a cell depends on.

    :param zone: the location's time zone.
    :param region: the country of phones without ``+``, or ``None``.
    :param today: the day in the location.
    :param facts: what whole columns tell.
    """

    zone: ZoneInfo
    region: str | None
    today: date
    facts: ColumnFacts = ColumnFacts()


def _phone(value: Any, info: ValidationInfo[RowContext]) -> str:
    return contacts.phone(value, info.context.region)


def _gender(value: Any, info: ValidationInfo[RowContext]) -> int:
    return cells.gender(value, info.context.facts.gender_letters)


def _birthday(value: Any, info: ValidationInfo[RowContext]) -> str:
    return dates.birthday(value, info.context.today, is_month_first=info.context.facts.is_month_first)


def _event_start(value: Any, info: ValidationInfo[RowContext]) -> datetime:
    return dates.event_start(value, info.context.zone, is_month_first=info.context.facts.is_month_first)


_Id = Annotated[int | None, BeforeValidator(cells.whole_number)]
_Count = Annotated[int, BeforeValidator(cells.whole_number)]
_Line = Annotated[str | None, BeforeValidator(cells.line_of_text)]
_Text = Annotated[str | None, BeforeValidator(cells.long_text)]
_Name = Annotated[str | None, BeforeValidator(cells.person_name)]
_Flag = Annotated[bool | None, BeforeValidator(cells.flag)]


class TypedRow(BaseModel):
    """The fields that a row gives, by their names in :data:`~altegio_provider.imports.rows.columns.FIELDS`.

    It is made from raw cells that are not blank, with :class:`Surroundings` as the context. What was not given is
    ``None``. Columns of custom fields are in ``model_extra`` under their whole heading.
    """

    model_config = ConfigDict(extra="allow", strict=True, hide_input_in_errors=True)
    __pydantic_extra__: dict[str, Annotated[Any, BeforeValidator(cells.custom_value)]] = Field(init=False)

    event_id: _Id = None
    event_date: Annotated[datetime | None, BeforeValidator(_event_start)] = None
    service_id: _Id = None
    service_title: _Line = None
    staff_id: _Id = None
    staff_name: _Line = None
    client_id: _Id = None
    name: _Name = None
    surname: _Name = None
    patronymic: _Name = None
    phone: Annotated[str | None, BeforeValidator(_phone)] = None
    email: Annotated[str | None, BeforeValidator(contacts.email)] = None
    gender: Annotated[int | None, BeforeValidator(_gender)] = None
    birthday: Annotated[str | None, BeforeValidator(_birthday)] = None
    national_id: _Line = None
    comment: _Text = None
    newsletter_allowed: _Flag = None
    personal_data_allowed: _Flag = None
    clients_count: _Count = 1
    comer_id: _Id = None
    comer_name: _Name = None
    labels: Annotated[list[int] | None, BeforeValidator(cells.label_ids)] = None
    is_trial_service: _Flag = None
    external_id: _Line = None
