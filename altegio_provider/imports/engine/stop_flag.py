"""How an import is told to end soon, from a signal handler too."""

from __future__ import annotations

import time

__all__ = ["StopFlag"]

_STEP_SECONDS = 0.05


class StopFlag:
    """Whether an import shall end soon.

    It is a plain flag that is looked at again and again, and no ``threading.Event``: that one has a lock, which the
    main thread holds for a moment whenever it begins or ends to wait. Python runs signal handlers in the main thread,
    between any two of its steps; one that set an Event at such a moment would wait for ever for a lock that its own
    thread holds, and the import with it.
    """

    def __init__(self) -> None:
        self._is_set = False

    def set(self) -> None:
        """Tell it to end. One assignment: there is nothing to wait for."""
        self._is_set = True

    def is_set(self) -> bool:
        """Whether it shall end."""
        return self._is_set

    def wait(self, seconds: float) -> bool:
        """Wait for so many seconds, or until it shall end if that is sooner; whether it shall."""
        until = time.monotonic() + seconds
        while not self._is_set and (left := until - time.monotonic()) > 0:
            time.sleep(min(left, _STEP_SECONDS))
        return self._is_set
