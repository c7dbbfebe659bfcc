"""What is known of the request that a thread is sending, and the bounds of its answer.

Whether a request was sent decides what may be done after a fault, so it is observed and not guessed from the kind of
the fault: the connection notes here the moment before the first byte goes.
"""

from __future__ import annotations

import io
import math
import socket
import threading
import time
from http.client import HTTPResponse
from typing import Any, ClassVar

__all__ = ["MAX_RESPONSE_BYTES", "BoundedResponse", "RequestState", "ResponseTooLongError"]

#: Bytes of an answer at the most, as they come and as they are unpacked. The largest page that the API's own bounds
#: allow (250 rows with all that can be joined to them) has some 2.5 MB; a client holds four pages at once.
MAX_RESPONSE_BYTES = 64 * 1024 * 1024


class ResponseTooLongError(Exception):
    """An answer has more bytes than :data:`MAX_RESPONSE_BYTES`."""


class RequestState(threading.local):
    """The request that the current thread is sending."""

    #: Whether its first byte may have been written.
    may_be_sent = False
    #: Until when its answer, or a proxy's answer before it, may take: seconds of the monotonic clock.
    deadline = math.inf

    def set_timeout(self, seconds: Any) -> None:
        """Let what is read from now on take so long altogether.

        :param seconds: a number, or anything else for no bound.
        """
        self.deadline = time.monotonic() + seconds if isinstance(seconds, int | float) else math.inf


class _BoundedStream(io.RawIOBase):
    """The bytes of one answer as they come from a connection, until the deadline and up to the bound."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self._connection = connection
        # It keeps the connection open for this answer when the server wants it closed afterwards.
        self._file = connection.makefile("rb", buffering=0)
        self._deadline = until
        self._left = MAX_RESPONSE_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the answer did not come in time")
        self._connection.settimeout(None if seconds == math.inf else seconds)
        count = self._file.readinto(buffer)
        self._left -= count or 0
        if self._left < 0:
            raise ResponseTooLongError
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class BoundedResponse(HTTPResponse):
    """An answer that has one deadline for all of it, and a bound for its length: head, chunk sizes and body together.

    The time-out of a socket is for each part that arrives, so a server that sends a byte now and then would never be
    given up.
    """

    #: Who knows the deadline.
    state: ClassVar[RequestState]

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_BoundedStream(sock, self.state.deadline), 65_536)
