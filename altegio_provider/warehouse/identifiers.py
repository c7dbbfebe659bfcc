"""The names of tables and columns, as SQL text may hold them: always quoted."""

from __future__ import annotations

import uuid
from dataclasses import dataclass

from altegio_provider.tables.convert.characters import is_storable

__all__ = ["Identifier", "TableName", "column_list"]

_MOST_PARTS = 3


@dataclass(frozen=True)
class Identifier:
    """The name of one thing in a database. In SQL text (``str`` of it, so also in an f-string) it is quoted.

    :param name: the name as a person writes it, without quotes; any characters but U+0000.
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
    """A table's name with its schema, where it has one. In SQL text it is quoted.

    :param parts: the database and the schema, where they are given, and the table.
    """

    parts: tuple[Identifier, ...]

    @classmethod
    def parse(cls, text: str) -> TableName:
        """Read ``table``, ``schema.table`` or ``database.schema.table``. A dot always separates two parts.

        :raises ValueError: a part is empty or cannot be a name, or there are more than three.
        """
        names = text.split(".")
        if len(names) > _MOST_PARTS or not all(name.isprintable() for name in names):
            raise ValueError(f"{text!r} cannot be a table's name: give table, schema.table or database.schema.table")
        return cls.of(*names)

    @classmethod
    def of(cls, *names: str) -> TableName:
        """Make one of the names of its parts."""
        return cls(tuple(map(Identifier, names)))

    @classmethod
    def temporary(cls) -> TableName:
        """Return a name that no other table has."""
        return cls.of(f"altegio_{uuid.uuid4().hex}")

    @property
    def plain(self) -> str:
        """The name for a person to read."""
        return ".".join(part.name for part in self.parts)

    def __str__(self) -> str:
        return ".".join(map(str, self.parts))


def column_list(names: list[str], prefix: str = "") -> str:
    """Return columns, quoted and separated by commas, each of them with the prefix ``alias.`` where one is given."""
    return ", ".join(f"{prefix}{Identifier(name)}" for name in names)
