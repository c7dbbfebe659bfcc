"""Stores a watcher's cursor in the state of the watched asset (Airflow 3.3), where it survives a restart."""

from __future__ import annotations

import logging
from typing import Any, Protocol

from altegio_provider.triggers.changes import Cursor

__all__ = ["AssetState", "CursorStore"]

log = logging.getLogger(__name__)


class AssetState(Protocol):
    """The methods of Airflow's asset state store that are used here."""

    async def aget(self, key: str) -> Any:
        """Return the value, or ``None``."""

    async def aset(self, key: str, value: Any) -> None:
        """Write the value."""


class CursorStore:
    """Stores the cursor of each check and returns the previous one.

    A cursor is written at the next check, because Airflow has stored the events of the check by then. After a restart
    the last changes may be reported twice, but none is lost.

    :param state: the asset's state store. Without one the cursor is lost when this object is.
    :param key: the cursor's key in the store.
    """

    def __init__(self, state: AssetState | None, key: str) -> None:
        self._state = state
        self._key = key
        self._last: Cursor | None = None
        self._kept: Cursor | None = None

    async def exchange(self, seen: Cursor) -> Cursor:
        """Return the cursor of the previous check and keep this one. The first check returns ``seen`` itself.

        :raises Exception: the error of Airflow's store. The kept cursor does not change then.
        """
        if self._last is None:
            self._last = self._kept = await self._load()
        if self._last is None:
            await self._keep(seen)
            self._last = seen
        elif self._last != self._kept:
            await self._keep(self._last)
        before, self._last = self._last, seen
        return before

    async def _load(self) -> Cursor | None:
        if self._state is None:
            return None
        try:
            value = await self._state.aget(self._key)
        except ValueError as error:
            # Airflow merges triggers with equal arguments; a trigger of two assets has no single state store.
            log.warning("The cursor cannot be stored, so a restart loses it: %s", error)
            self._state = None
            return None
        cursor = Cursor.decode(value)
        if value is not None and cursor is None:
            log.warning("The stored cursor %s cannot be read; this check counts as the first one", self._key)
        return cursor

    async def _keep(self, cursor: Cursor) -> None:
        if self._state is not None:
            await self._state.aset(self._key, cursor.encode())
        self._kept = cursor
