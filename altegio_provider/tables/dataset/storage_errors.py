"""Translates errors of disks and object stores to one error whose text says what to do.

The stores' libraries raise many kinds of errors, with texts such as ``Access Denied`` that name neither the bucket nor
the connection. They become one :class:`StorageError`. It is not chained to the library's error, because that may hold
credentials (the headers of a request).
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
    """A disk or an object store refused an operation.

    ``errno`` is set as for any ``OSError``. The text names the operation and the path, the reason, and what to do.
    """


class WriteConflictError(Exception):
    """Another writer has changed the files meanwhile. Read them again and repeat the operation."""


class StorePath(NamedTuple):
    """A path in a form for error texts.

    :param url: the whole path or URL.
    :param bucket: the bucket or container; empty on a disk.
    :param connection: the Airflow connection's id; empty if the path names none.
    """

    url: str
    bucket: str = ""
    connection: str = ""

    @classmethod
    def of(cls, url: str) -> StorePath:
        """Parse a URL such as ``s3://connection@bucket/key``.

        :param url: the path or URL.
        """
        match = re.match(r"[\w+.-]+://(?:([^/@]*)@)?([^/@]+)", url)
        if match is None:
            return cls(url)
        connection = match[1] or ""
        # If the part before the @ holds credentials, it must not appear in an error.
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
    """The meaning of a store's error.

    :param number: the ``errno``.
    :param text: what happened.
    :param hint: what to do.
    :param is_retryable: whether the same request may succeed later.
    """

    number: int
    text: str
    hint: str
    is_retryable: bool = False


#: The usual reason for a missing bucket is a typing error in the path.
NO_BUCKET = StorageFault(
    errno.ENOENT,
    "there is no such bucket",
    "Check the path for a typing error. The provider does not create buckets: if the path is right, create it first.",
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
#: Error classes of the stores' libraries, by name, because the libraries may not be installed.
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
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENAMETOOLONG: "the name is too long",
}
_LOCAL_HINTS = {
    errno.ENOSPC: "Free some space, or use a larger disk, and run the task again.",
    errno.EDQUOT: "Free some space, or raise the quota, and run the task again.",
    errno.ENAMETOOLONG: "Use a shorter path.",
}


def diagnose(error: BaseException, place: StorePath) -> StorageFault:
    """Return the meaning of a remote store's error.

    :param error: the error that the store's library raised.
    :param place: the path that was accessed.
    """
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
            f"Check {_credentials(place)}, and the worker's clock.",
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
    """Return whether the same request may succeed later.

    :param error: the error that the store's library raised.
    """
    return not isinstance(error, FileNotFoundError | StorageError) and diagnose(error, StorePath("")).is_retryable


def is_conflict(error: BaseException) -> bool:
    """Return whether a conditional request failed because its condition was not met.

    :param error: the error that the store's library raised.
    """
    return isinstance(error, FileExistsError) or status_of(error)[0] in (409, 412)


def status_of(error: BaseException) -> tuple[int | None, str]:
    """Return the HTTP status and the store's own code of an error, from the error itself or its causes.

    :param error: the error that the store's library raised.
    :returns: ``None`` and an empty code if they are unknown.
    """
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
    """Translate the errors of a disk that occur in the block.

    :param doing: the operation, as a verb for the error's text, such as ``write``.
    :param path: the path, for the error's text.
    :raises StorageError: the disk is full or read-only, permission is denied, or a name is too long.
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
    """Return the error to raise for a fault of a remote store.

    :param doing: the operation, as a verb, such as ``write``.
    :param place: the path.
    :param fault: what happened.
    :param tried: how many times the request was made.
    """
    times = f" It was tried {tried} times." if tried > 1 else ""
    text = f"cannot {doing} {place.url} in {place.store}: {fault.text}.{times} {fault.hint}"
    return StorageError(fault.number, text.rstrip())


def _credentials(place: StorePath) -> str:
    if place.connection:
        return f"the credentials of the connection {place.connection!r} (also check that this connection exists)"
    return "the credentials of the worker (the path names no connection: s3://CONNECTION@BUCKET/...)"


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    for _ in range(10):
        if error is None:
            return
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)


def _is_forbidden(error: BaseException) -> bool:
    return str(error).startswith("Forbidden")  # gcsfs reports a 403 only in this way


def _line(error: BaseException) -> str:
    """Return an error's text in one line of limited length."""
    return " ".join(str(error).split())[:200]
