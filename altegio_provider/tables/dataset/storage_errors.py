"""What goes wrong with disks and object stores, told so that a person knows what to do.

The libraries of the stores raise errors of many kinds, with texts such as ``Access Denied`` that name neither the
bucket nor the connection. Here they become one :class:`StorageError`. What the libraries attach to their own errors may
hold credentials (the headers of a request), so it is not chained.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

__all__ = [
    "StorageError",
    "StorePath",
    "WriteConflictError",
    "diagnose",
    "disk_errors",
    "is_conflict",
    "is_retryable",
    "status_of",
    "store_error",
]


class StorageError(OSError):
    """A disk or an object store did not do what was asked of it.

    ``errno`` is set as for any other ``OSError``. The text says what was done where, what the store answered and what
    to do about it.
    """


class WriteConflictError(Exception):
    """Another writer was quicker: look again, and take another turn."""


class StorePath(NamedTuple):
    """Where something is, in the words of a person.

    :param url: the whole path or URL.
    :param bucket: the bucket or container; empty on a disk.
    :param connection: the Airflow connection's id; empty where there is none.
    """

    url: str
    bucket: str = ""
    connection: str = ""

    @classmethod
    def of(cls, url: str) -> StorePath:
        """Read a URL such as ``s3://connection@bucket/key``."""
        match = re.match(r"[\w+.-]+://(?:([^/@]*)@)?([^/@]+)", url)
        if match is None:
            return cls(url)
        connection = match[1] or ""
        # Whoever writes credentials in front of the @ does not want to read them in a log.
        return (
            cls(url.replace(f"{connection}@", "***@"), match[2])
            if ":" in connection
            else cls(url, match[2], connection)
        )

    @property
    def store(self) -> str:
        """``the bucket 'warehouse' (connection 'aws_default')``."""
        by = f"connection {self.connection!r}" if self.connection else "no connection is named in the path"
        return f"the bucket {self.bucket!r} ({by})" if self.bucket else self.url


class StorageFault(NamedTuple):
    """What an error of a store means.

    :param number: the ``errno``.
    :param text: what happened.
    :param hint: what to do.
    :param is_retryable: whether the same request may succeed in a while.
    """

    number: int
    text: str
    hint: str
    is_retryable: bool = False


#: A bucket that is not there is most often a typing error.
NO_BUCKET = StorageFault(
    errno.ENOENT,
    "there is no such bucket",
    "Check the path for a typing error. The provider makes no bucket: if the path is right, make the bucket first.",
)
_EXPIRED = {"ExpiredToken", "ExpiredTokenException", "TokenRefreshRequired", "RequestExpired"}
_DENIED = {
    "AccessDenied",
    "AllAccessDisabled",
    "AccountProblem",
    "AuthorizationFailure",
    "AuthorizationPermissionMismatch",
}
_WRONG_KEYS = {
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidToken",
    "InvalidSecurity",
    "RequestTimeTooSkewed",
    "AuthenticationFailed",
    "NoAuthenticationInformation",
}
_BUSY = {
    "SlowDown",
    "ServiceUnavailable",
    "InternalError",
    "RequestTimeout",
    "ServerBusy",
    "OperationTimedOut",
    "Throttling",
}
_NO_BUCKET = {"NoSuchBucket", "ContainerNotFound", "ContainerBeingDeleted", "InvalidBucketName"}
_BUSY_STATUSES = {408, 429, 500, 502, 503, 504}
#: Errors of the libraries, by name, so that none of them has to be installed.
_NO_ANSWER = {
    "ClientConnectionError",
    "ClientConnectorError",
    "ClientOSError",
    "ClientPayloadError",
    "ConnectTimeoutError",
    "ConnectionClosedError",
    "EndpointConnectionError",
    "FSTimeoutError",
    "HTTPClientError",
    "IncompleteReadError",
    "ProxyError",
    "ReadTimeoutError",
    "ResponseParserError",
    "ServerDisconnectedError",
    "ServiceRequestError",
    "ServiceResponseError",
}
_NO_KEYS = {
    "NoCredentialsError",
    "PartialCredentialsError",
    "DefaultCredentialsError",
    "ClientAuthenticationError",
    "RefreshError",
}

_LOCAL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "this user may not do that there",
    errno.EPERM: "this user may not do that there",
    errno.ENAMETOOLONG: "the name is too long",
}
_LOCAL_HINTS = {
    errno.ENOSPC: "Free some space, or use a larger disk, and run the task again.",
    errno.EDQUOT: "Free some space, or raise the quota, and run the task again.",
    errno.ENAMETOOLONG: "Use a shorter path.",
}


def diagnose(error: BaseException, place: StorePath) -> StorageFault:
    """Say what an error of a remote store means."""
    status, code = status_of(error)
    names = {kind.__name__ for one in _chain(error) for kind in type(one).__mro__}
    answer = f"{code or type(error).__name__}{f', HTTP {status}' if status else ''}"
    number = getattr(error, "errno", None) or errno.EIO
    if code in _EXPIRED:
        return StorageFault(errno.EACCES, f"the credentials have expired ({answer})", f"Renew {_credentials(place)}.")
    if code in _WRONG_KEYS or names & _NO_KEYS or status == 401:
        return StorageFault(
            errno.EACCES,
            f"the store does not accept the credentials ({answer})",
            f"Check {_credentials(place)}, and the clock of the worker.",
        )
    if code in _NO_BUCKET:
        return NO_BUCKET
    if code in _BUSY or status in _BUSY_STATUSES or names & _NO_ANSWER:
        return StorageFault(
            errno.EBUSY, f"the store is busy or does not answer ({answer})", "Run the task again later.", True
        )
    if code in _DENIED or status == 403 or isinstance(error, PermissionError) or _is_forbidden(error):
        return StorageFault(
            errno.EACCES,
            f"access is denied ({answer})",
            f"Allow {_credentials(place)} to list, read, write and delete objects there.",
        )
    if code == "KeyTooLongError" or number == errno.ENAMETOOLONG:
        return StorageFault(errno.ENAMETOOLONG, f"the name is too long ({answer})", "Use a shorter path.")
    if isinstance(error, TimeoutError | ConnectionError):
        return StorageFault(number, f"the store does not answer ({answer})", "Run the task again later.", True)
    return StorageFault(number, f"{answer}: {_line(error)}", "")


def is_retryable(error: BaseException) -> bool:
    """Whether the same request may succeed in a while."""
    return not isinstance(error, FileNotFoundError | StorageError) and diagnose(error, StorePath("")).is_retryable


def is_conflict(error: BaseException) -> bool:
    """Whether a conditional request was refused because its condition does not hold (any more)."""
    return isinstance(error, FileExistsError) or status_of(error)[0] in (409, 412)


def status_of(error: BaseException) -> tuple[int | None, str]:
    """Return the HTTP status and the store's own code of an error, as far as it or what led to it tells them."""
    for one in _chain(error):
        answer = getattr(one, "response", None)  # botocore's
        if isinstance(answer, dict):
            code = str(answer.get("Error", {}).get("Code", ""))
            status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode")
            return (int(code) if code.isdigit() else status), code
        status = getattr(one, "status_code", None)  # azure's
        if isinstance(status, int):
            return status, str(getattr(getattr(one, "error_code", None), "value", getattr(one, "error_code", "")) or "")
        status = getattr(one, "code", None)  # gcsfs's
        if isinstance(status, int | str) and str(status).isdigit():
            return int(status), ""
        status = getattr(one, "status", None)  # aiohttp's
        if isinstance(status, int):
            return status, ""
    return None, ""


@contextmanager
def disk_errors(doing: str, path: Any) -> Iterator[None]:
    """Tell errors of a disk in words.

    :param doing: what is done meanwhile: ``write``.
    :raises StorageError: the disk is full or read-only, the user may not write there, a name is too long.
    """
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        text = _LOCAL.get(error.errno or 0)
        if text is None:
            raise
        hint = _LOCAL_HINTS.get(error.errno or 0, "Let the worker's user write there, or use another folder.")
        raise StorageError(error.errno, f"cannot {doing} {path}: {text}. {hint}") from None


def store_error(doing: str, place: StorePath, fault: StorageFault, tried: int = 1) -> StorageError:
    """The error to raise for a fault of a remote store."""
    times = f" It was tried {tried} times." if tried > 1 else ""
    text = f"cannot {doing} {place.url} in {place.store}: {fault.text}.{times} {fault.hint}"
    return StorageError(fault.number, text.rstrip())


def _credentials(place: StorePath) -> str:
    if place.connection:
        return f"the credentials of the connection {place.connection!r} (a connection that is missing has none)"
    return "the credentials of the worker (the path names no connection: s3://CONNECTION@BUCKET/...)"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _is_forbidden(error: BaseException) -> bool:
    return str(error).startswith("Forbidden")  # gcsfs tells a 403 in no other way


def _line(error: BaseException) -> str:
    """An error's text in one line of bounded length."""
    return " ".join(str(error).split())[:200]
