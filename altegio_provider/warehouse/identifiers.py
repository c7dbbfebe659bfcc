"""The names of tables and columns, which are always quoted in SQL text."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from altegio_provider.tables.convert.characters import is_storable

__all__ = ["Identifier", "TableName", "column_list"]

_MOST_PARTS = 3


@dataclass(frozen=True)
class Identifier:
    """The name of a database, schema, table or column. ``str()`` of it, and so an f-string, has it quoted.

    :param name: the name without quotes; any characters but U+0000.
    :raises ValueError: no database can have that name.
    """

    name: str

    def __post_init__(self) -> None:
        if not self.name or not is_storable(self.name):
            raise ValueError(f"{self.name!r} cannot be the name of a table or column")

    def __str__(self) -> str:
        return '"' + self.name.replace('"', '""') + '"'


@dataclass(frozen=True)
class TableName:
    """A table's name, with its schema and database if they are given. ``str()`` of it has it quoted.

    :param parts: the names of the database, the schema and the table; the first two are optional.
    """

    parts: tuple[Identifier, ...]

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Parse ``table``, ``schema.table`` or ``database.schema.table``. A dot always separates two parts.

        :param text: the name without quotes.
        :raises ValueError: a part is empty or cannot be a name, or there are more than three parts.
        """
        names = text.split(".")
        if len(names) > _MOST_PARTS or not all(name.isprintable() for name in names):
            raise ValueError(f"{text!r} is not a table's name: give table, schema.table or database.schema.table")
        return cls.of(*names)

    @classmethod
    def of(cls, *names: str) -> TableName:
        """Make a name from its parts.

        :param names: the parts without quotes.
        """
        return cls(tuple(map(Identifier, names)))

    @classmethod
    def temporary(cls) -> TableName:
        """Return a name that no other table has."""
        return cls.of(f"altegio_{uuid.uuid4().hex}")

    @property
    def plain(self) -> str:
        """The name without quotes, for error texts."""
        return ".".join(part.name for part in self.parts)

    def __str__(self) -> str:
        return ".".join(map(str, self.parts))


def column_list(names: list[str], prefix: str = "") -> str:
    """Return columns, quoted and separated by commas.

    :param names: the columns.
    :param prefix: stands before each column, such as ``alias.``.
    """
    return ", ".join(f"{prefix}{Identifier(name)}" for name in names)
