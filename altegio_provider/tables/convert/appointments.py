"""Converts appointments to Arrow record batches, with or without personal data.

Without personal data, an allow list decides what is written: columns of numbers, flags and timestamps; the API's own
vocabulary; texts of the catalogue (team members, services, labels); keyed hashes. Of the fields without a column,
``extra`` gets only values that by their form cannot identify a person, and nothing of the client and the visitor.
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
#: The texts that these columns may have. A text of another form could be a person's name or number.
_PATTERNS: Final = {
    "attendance_slug": re.compile("absent|waiting|attended|confirmed"),
    "color": _COLOR,
    "font_color": _COLOR,
}
_PHONES = ("client_phone", "client_fictive_phone")
_OF_PEOPLE = re.compile(r"(client|comer)(_.*)?", re.DOTALL)
_FIELD = re.compile(r"[a-z_][a-z0-9_]{0,60}", re.ASCII)
#: Phones, birthdays and document numbers have more digits than this; coordinates of a home have more decimals.
_SMALL, _DECIMALS = 1_000_000, 2


class AppointmentConverter(RowConverter):
    """Converts the appointments of one location to record batches.

    :param location_id: the location whose appointments these are.
    :param timezone: its IANA time zone.
    :param extracted_at: when the run began to read, an aware datetime; default: now.
    :param include_personal_data: whether the columns and ``extra`` may hold names, phones, e-mails and free texts.
    :param pseudonyms: hashes phones and e-mails. Without it, the hash columns are null.
    :raises ValueError: the time zone does not exist.
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
            self._extra_note = " if it cannot identify a person"

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
        """Return for each row the hash of the first of the column's fields that can be hashed."""
        hashes: list[str | None] = [None] * len(builder.rows)
        if hashed is not None:
            for path in self._column[name].paths:
                values = builder.values(path)
                hashes = [said or (value and hashed(value)) or None for said, value in zip(hashes, values, strict=True)]
        return array_of(pa.string(), hashes)


def _in_e164(array: pa.Array) -> pa.Array:
    """Return the phones in E.164 form with ``+``. A text that is not a complete phone stays as it is."""
    phones = [f"+{digits}" if (digits := canonical_phone(text)) else text for text in array.to_pylist()]
    return array_of(pa.string(), phones)


def _matching_texts(array: pa.Array, form: re.Pattern[str]) -> pa.Array:
    """Return the texts that match the pattern, and null for the others."""
    texts = array.to_pylist()
    # A page has few different texts, so each is matched once.
    fitting = {text for text in set(texts) if text is not None and form.fullmatch(text)}
    return array_of(pa.string(), [text if text in fitting else None for text in texts])


def _is_impersonal(path: tuple[str, ...], value: Any) -> bool:
    """Whether a field without a column may be written where personal data are not wanted."""
    if _OF_PEOPLE.fullmatch(path[0]) or not all(map(_FIELD.fullmatch, path)):
        return False
    if value is None or type(value) is bool:
        return True
    return type(value) in (int, float) and abs(value) < _SMALL and bool(round(value, _DECIMALS) == value)
