"""Finds out what whole columns tell about single cells that alone could have two meanings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from altegio_provider.imports.files.row_source import RowSource
from altegio_provider.imports.rows.cells import gender_letter
from altegio_provider.imports.rows.columns import Columns
from altegio_provider.imports.rows.dates import has_month_first
from altegio_provider.imports.rows.vocabularies import meaning_of_gender_letters

__all__ = ["NO_FACTS", "ColumnFacts", "column_facts"]

_DATES = ("event_date", "birthday", "date", "repeat_until")


class ColumnFacts(NamedTuple):
    """What the columns of a file tell.

    :param gender_letters: letter to gender (1 male, 2 female), for the letters whose meaning is certain.
    :param is_month_first: whether a date of the file can only have the month before the day.
    """

    gender_letters: Mapping[str, int] = MappingProxyType({})
    is_month_first: bool = False


NO_FACTS = ColumnFacts()


def column_facts(source: RowSource, columns: Columns) -> ColumnFacts:
    """Read the columns that must be read as a whole, if the file has one. Files without them are not read here.

    :param source: the rows.
    :param columns: the fields and their headings.
    :raises ImportFileError: a part of the file cannot be read.
    """
    gender = columns.headings.get("gender")
    letters = set(_letters([columns.constants.get("gender")]))
    dates = [columns.headings[name] for name in _DATES if name in columns.headings]
    is_month_first = False
    if dates or gender is not None:
        for row in source.in_advance():
            values = row.values
            if gender is not None:
                letters.update(_letters([values.get(gender)]))
            for heading in dates:
                is_month_first = is_month_first or has_month_first(values.get(heading))
    return ColumnFacts(meaning_of_gender_letters(letters), is_month_first)


def _letters(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if value.__class__ is str and (letter := gender_letter(value)):
            yield letter
