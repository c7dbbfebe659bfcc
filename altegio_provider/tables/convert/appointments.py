"""Appointments to Arrow record batches, with personal data or without.

Without, what may pass is a list, and not what may not: the columns that hold numbers, flags and moments; words that
the API itself has; the catalogue's own texts (team members, services, labels); keyed hashes. Of what no column holds,
``extra`` gets what by its form can neither name nor reach anybody, and nothing at all of the client and the visitor.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from altegio_provider.tables.convert.arrays import array_of
from altegio_provider.tables.convert.batch_builder import BatchBuilder
from altegio_provider.tables.convert.extra_fields import ExtraFields
from altegio_provider.tables.convert.pseudonyms import Pseudonymizer, canonical_phone
from altegio_provider.tables.convert.row_converter import RowConverter
from altegio_provider.tables.schema import APPOINTMENT_COLUMNS, APPOINTMENT_SCHEMA

__all__ = ["AppointmentConverter"]

_COLOR = re.compile(r"|#?[0-9A-Fa-f]{3}|#?[0-9A-Fa-f]{6}", re.ASCII)
#: What a text of these columns looks like that is what the column says, and no name or number of a person.
_PATTERNS: Final = {
    "attendance_slug": re.compile("absent|waiting|attended|confirmed"),
    "prepaid_status": re.compile("|forbidden|allowed|required"),
    "color": _COLOR,
    "font_color": _COLOR,
}
_PHONES = ("client_phone", "client_fictive_phone")
_OF_PEOPLE = re.compile(r"(client|comer)(_.*)?", re.DOTALL)
_FIELD = re.compile(r"[a-z_][a-z0-9_]{0,60}", re.ASCII)
#: Phones, birthdays and numbers of documents are longer, and where somebody lives has more decimals.
_SMALL, _DECIMALS = 1_000_000, 2


class AppointmentConverter(RowConverter):
    """Turns the appointments of one location into record batches.

    :param location_id: the location that was asked.
    :param timezone: its IANA time zone.
    :param extracted_at: when the reading began, aware; default: now.
    :param include_personal_data: whether names, phones, e-mails and free texts may be in the columns and in ``extra``.
    :param pseudonyms: hashes phones and e-mails; without, the columns of hashes are null.
    :raises ValueError: there is no such time zone.
    """

    table = "appointments"
    columns = APPOINTMENT_COLUMNS
    schema = APPOINTMENT_SCHEMA

    def __init__(
        self,
        location_id: int,
        timezone: str,
        extracted_at: datetime | None = None,
        *,
        include_personal_data: bool = False,
        pseudonyms: Pseudonymizer | None = None,
    ) -> None:
        super().__init__(location_id, timezone, extracted_at)
        self._include_personal_data = include_personal_data
        self._pseudonyms = pseudonyms
        if not include_personal_data:
            self._extra_note = " where that names nobody"

    def _extra_fields(self, count: int) -> ExtraFields:
        return ExtraFields(count, None if self._include_personal_data else _is_impersonal)

    def _table_columns(self, builder: BatchBuilder) -> dict[str, pa.Array]:
        count = len(builder.rows)
        phone = self._pseudonyms.hash_phone if self._pseudonyms else None
        email = self._pseudonyms.hash_email if self._pseudonyms else None
        arrays = {
            "client_phone_hash": self._hashes(builder, "client_phone_hash", phone),
            "client_email_hash": self._hashes(builder, "client_email_hash", email),
        }
        if self._include_personal_data:
            return arrays | {name: _in_e164(builder.column(self._column[name])) for name in _PHONES}
        arrays |= {column.name: pa.nulls(count, column.type) for column in self.columns if column.personal}
        return arrays | {
            name: _matching_texts(builder.column(self._column[name]), form) for name, form in _PATTERNS.items()
        }

    def _hashes(self, builder: BatchBuilder, name: str, hashed: Callable[[Any], str | None] | None) -> pa.Array:
        """The hash of the first of a column's fields that has something to hash."""
        hashes: list[str | None] = [None] * len(builder.rows)
        if hashed is not None:
            for path in self._column[name].paths:
                values = builder.values(path)
                hashes = [said or (value and hashed(value)) or None for said, value in zip(hashes, values, strict=True)]
        return array_of(pa.string(), hashes)


def _in_e164(array: pa.Array) -> pa.Array:
    """Phones with ``+`` as they are on our side, however the API writes them; what is no whole phone stays as it is."""
    phones = [f"+{digits}" if (digits := canonical_phone(text)) else text for text in array.to_pylist()]
    return array_of(pa.string(), phones)


def _matching_texts(array: pa.Array, form: re.Pattern[str]) -> pa.Array:
    """The texts of that form; a page has few different ones."""
    texts = array.to_pylist()
    fitting = {text for text in set(texts) if text is not None and form.fullmatch(text)}
    return array_of(pa.string(), [text if text in fitting else None for text in texts])


def _is_impersonal(path: tuple[str, ...], value: Any) -> bool:
    """Whether a leftover can stand where personal data are not wanted."""
    if _OF_PEOPLE.fullmatch(path[0]) or not all(map(_FIELD.fullmatch, path)):
        return False
    if value is None or type(value) is bool:
        return True
    return type(value) in (int, float) and abs(value) < _SMALL and bool(round(value, _DECIMALS) == value)
