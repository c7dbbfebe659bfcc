"""Keeps a watcher's cursor where a restart does not reach it: in the state of the watched asset (Airflow 3.3)."""

from __future__ import annotations

import logging
from typing import Any, Protocol

from altegio_provider.watching import Cursor

__all__ = ["AssetState", "CursorStore"]

log = logging.getLogger(__name__)


class AssetState(Protocol):
    """What is used of Airflow's store of an asset's state."""

    async def aget(self, key: str) -> Any:
        """Return the value, or ``None``."""

    async def aset(self, key: str, value: Any) -> None:
        """Write the value."""


class CursorStore:
    """Exchanges the cursor of each look for the one before.

    A look's cursor is written when the next look comes, at the earliest: by then Airflow has stored what was told of
    it. So a restart repeats the last changes at worst, and never loses one.

    :param state: the asset's state; without one the cursor lives as long as this object.
    :param key: the cursor's name there.
    """

    def __init__(self, state: AssetState | None, key: str) -> None:
        self._state = state
        self._key = key
        self._last: Cursor | None = None
        self._kept: Cursor | None = None

    async def exchange(self, seen: Cursor) -> Cursor:
        """Return what the look before saw, and remember this one; the first look ever is its own predecessor.

        :raises Exception: what Airflow's store fails with, before anything is forgotten.
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
            # One trigger, two assets: Airflow makes triggers with equal arguments one.
            log.warning("The cursor cannot be kept, a restart will forget it: %s", error)
            self._state = None
            return None
        cursor = Cursor.decode(value)
        if value is not None and cursor is None:
            log.warning("The cursor %s cannot be read; this look is the first one", self._key)
        return cursor

    async def _keep(self, cursor: Cursor) -> None:
        if self._state is not None:
            await self._state.aset(self._key, cursor.encode())
        self._kept = cursor
