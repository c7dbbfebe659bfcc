"""Finds out what whole columns tell about single cells that alone could have two meanings."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from altegio_provider.imports.files.row_source import RowSource
from altegio_provider.imports.rows.cells import gender_letter
from altegio_provider.imports.rows.columns import Columns
from altegio_provider.imports.rows.vocabularies import meaning_of_gender_letters

__all__ = ["NO_FACTS", "ColumnFacts", "column_facts"]


class ColumnFacts(NamedTuple):
    """What the columns of a file tell.

    :param gender_letters: letter to gender (1 male, 2 female), for the letters whose meaning is certain.
    """

    gender_letters: Mapping[str, int] = MappingProxyType({})


NO_FACTS = ColumnFacts()


def column_facts(source: RowSource, columns: Columns) -> ColumnFacts:
    """Read the columns that must be read as a whole, if the file has one. Files without them are not read here.

    :param source: the rows.
    :param columns: the fields and their headings.
    :raises ImportFileError: a part of the file cannot be read.
    """
    heading = columns.headings.get("gender")
    values = [columns.constants.get("gender")]
    if heading is None and values == [None]:
        return NO_FACTS
    letters = set(_letters(values))
    if heading is not None:
        letters.update(_letters(row.values.get(heading) for row in source.in_advance()))
    return ColumnFacts(meaning_of_gender_letters(letters))


def _letters(values: Iterable[Any]) -> Iterator[str]:
    for value in values:
        if value.__class__ is str and (letter := gender_letter(value)):
            yield letter
