"""What files called events, as keyed hashes, and which they were: a past, moved or deleted one cannot be looked up."""

from __future__ import annotations

from collections.abc import Mapping

import sqlalchemy as sa

from altegio_provider.imports.ledger.keyed_hashes import KeyedHasher
from altegio_provider.imports.ledger.schema import insert_new, references

__all__ = ["EventReferences"]

_MEANT = sa.select(references.c.event_id).where(
    references.c.location_id == sa.bindparam("the_location"), references.c.reference == sa.bindparam("the_reference")
)


class EventReferences:
    """One location's, within one transaction of the ledger."""

    def __init__(self, connection: sa.Connection, location_id: int, hasher: KeyedHasher) -> None:
        self._connection = connection
        self._location_id = location_id
        self._hasher = hasher

    def remember(self, meant: Mapping[str, int]) -> None:
        """Keep which event each hash means."""
        common = {"location_id": self._location_id}
        entries = [
            {**common, "reference": self._hasher.of(reference), "event_id": event_id}
            for reference, event_id in meant.items()
        ]
        if entries:
            insert_new(self._connection, references, entries)

    def events_of(self, reference: str) -> list[int]:
        """Return the events that files have meant by that: several, where a class got another number."""
        given = {"the_location": self._location_id, "the_reference": self._hasher.of(reference)}
        return [row[0] for row in self._connection.execute(_MEANT, given)]
