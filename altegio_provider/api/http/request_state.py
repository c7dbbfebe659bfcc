"""The state of the request that a thread is sending, and the bounds of its response.

What may be done after an error depends on whether the request was sent. The connection notes it here right before the
first byte, so that it need not be guessed from the error.
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

#: The most bytes of a response, compressed and decompressed. The largest page that the API's limits allow (250 rows
#: with all that can be joined to them) has about 2.5 MB; a client holds four pages at once.
MAX_RESPONSE_BYTES = 64 * 1024 * 1024


class ResponseTooLongError(Exception):
    """A response has more bytes than :data:`MAX_RESPONSE_BYTES`."""


class RequestState(threading.local):
    """The state of the request that the current thread is sending."""

    #: Whether its first byte may have been sent.
    may_be_sent = False
    #: When its response, or a proxy's response before it, must be complete: seconds of the monotonic clock.
    deadline = math.inf

    def set_timeout(self, seconds: Any) -> None:
        """Set the deadline for all that is read from now on.

        :param seconds: seconds from now; anything but a number is no deadline.
        """
        self.deadline = time.monotonic() + seconds if isinstance(seconds, int | float) else math.inf


class _BoundedStream(io.RawIOBase):
    """The bytes of one response, as they come from a connection, up to the deadline and the size limit."""

    def __init__(self, connection: socket.socket, until: float) -> None:
        self._connection = connection
        # It keeps the connection open for this response when the server wants it closed afterwards.
        self._file = connection.makefile("rb", buffering=0)
        self._deadline = until
        self._left = MAX_RESPONSE_BYTES

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        seconds = self._deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError("the response did not come in time")
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
    """A response with one deadline and one size limit for head, chunk sizes and body together.

    A socket's time-out begins anew with each part that arrives, so a server that sends a byte now and then would never
    reach it.
    """

    #: Holds the deadline.
    state: ClassVar[RequestState]

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp.close()
        self.fp = io.BufferedReader(_BoundedStream(sock, self.state.deadline), 65_536)
