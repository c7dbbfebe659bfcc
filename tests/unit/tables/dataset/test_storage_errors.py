"""What disks and stores answer, told in words: where, what, and what to do."""

from __future__ import annotations

import errno
from typing import Any

import pytest

from altegio_provider.tables.dataset.storage_errors import (
    StorageError,
    StorePath,
    diagnose,
    disk_errors,
    is_conflict,
    is_retryable,
    status_of,
    store_error,
)

PLACE = StorePath.of("s3://aws_default@warehouse/altegio/x.parquet")


class ClientError(Exception):
    """As botocore raises it, below what s3fs raises."""

    def __init__(self, status: int, code: str) -> None:
        self.response = {"Error": {"Code": code, "Message": "..."}, "ResponseMetadata": {"HTTPStatusCode": status}}


class HttpError(Exception):
    """As gcsfs raises it."""

    def __init__(self, code: int) -> None:
        self.code = code


class HttpResponseError(Exception):
    """As azure's library raises it."""

    def __init__(self, status_code: int, error_code: str) -> None:
        self.status_code, self.error_code = status_code, error_code


class NoCredentialsError(Exception):
    pass


class ClientConnectorError(OSError):
    pass


def from_s3(status: int, code: str, error: type[OSError] = OSError) -> OSError:
    try:
        raise error("Access Denied") from ClientError(status, code)
    except OSError as raised:
        return raised


@pytest.mark.parametrize(
    ("error", "number", "sentence", "passes"),
    [
        (
            from_s3(403, "AccessDenied", PermissionError),
            errno.EACCES,
            "access is denied (AccessDenied, HTTP 403)",
            False,
        ),
        (from_s3(400, "ExpiredToken"), errno.EACCES, "credentials have expired", False),
        (from_s3(403, "SignatureDoesNotMatch"), errno.EACCES, "does not accept the credentials", False),
        (from_s3(503, "SlowDown"), errno.EBUSY, "is busy or does not answer (SlowDown, HTTP 503)", True),
        (from_s3(500, "InternalError"), errno.EBUSY, "is busy", True),
        (from_s3(404, "NoSuchBucket", FileNotFoundError), errno.ENOENT, "there is no such bucket", False),
        (from_s3(400, "KeyTooLongError"), errno.ENAMETOOLONG, "the name is too long", False),
        (NoCredentialsError(), errno.EACCES, "does not accept the credentials (NoCredentialsError)", False),
        (ClientConnectorError("..."), errno.EBUSY, "does not answer", True),
        (TimeoutError(), errno.EIO, "does not answer", True),
        (OSError("Forbidden: https://storage\nNo access"), errno.EACCES, "access is denied", False),
        (HttpError(429), errno.EBUSY, "is busy or does not answer (HttpError, HTTP 429)", True),
        (HttpError(401), errno.EACCES, "does not accept the credentials", False),
        (HttpResponseError(403, "AuthorizationPermissionMismatch"), errno.EACCES, "access is denied", False),
        (HttpResponseError(404, "ContainerNotFound"), errno.ENOENT, "there is no such bucket", False),
        (HttpResponseError(503, "ServerBusy"), errno.EBUSY, "is busy", True),
        (ValueError("some\n other   thing"), errno.EIO, "ValueError: some other thing", False),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_each_is_told_and_tried_again_only_where_that_may_help(error, number, sentence, passes):
    fault = diagnose(error, PLACE)
    assert fault.number == number
    assert fault.is_retryable == passes
    assert is_retryable(error) == (passes and not isinstance(error, FileNotFoundError))
    text = str(store_error("write", PLACE, fault, tried=3))
    assert sentence in text
    assert "cannot write s3://aws_default@warehouse/altegio/x.parquet in the bucket 'warehouse'" in text
    assert "(connection 'aws_default')" in text
    assert "It was tried 3 times." in text


@pytest.mark.parametrize(
    ("error", "is_one"),
    [
        (from_s3(412, "PreconditionFailed"), True),
        (from_s3(409, "ConditionalRequestConflict"), True),
        (FileExistsError(), True),
        (HttpResponseError(412, "ConditionNotMet"), True),
        (from_s3(403, "AccessDenied"), False),
        (ValueError(), False),
    ],
)
def test_what_is_a_conflict(error, is_one):
    assert is_conflict(error) == is_one


def test_the_status_is_found_in_what_an_error_was_raised_after():
    error = OSError("Please reduce your request rate.")
    error.__context__ = ClientError(503, "SlowDown")
    assert status_of(error) == (503, "SlowDown")


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("s3://conn@bucket/key/x", ("bucket", "conn")),
        ("gs://bucket", ("bucket", "")),
        ("abfs://conn@container/x", ("container", "conn")),
        ("/data/x", ("", "")),
    ],
)
def test_a_url_tells_bucket_and_connection(url, place):
    assert StorePath.of(url) == StorePath(url, *place)


def test_credentials_in_a_url_are_not_repeated():
    text = str(
        store_error("read", StorePath.of("s3://AKIA:s3cret@bucket/x"), diagnose(from_s3(403, "AccessDenied"), PLACE))
    )
    assert "s3cret" not in text
    assert "s3://***@bucket/x" in text


@pytest.mark.parametrize(
    ("number", "sentence"),
    [
        (errno.ENOSPC, "the disk is full. Free some space"),
        (errno.EDQUOT, "the disk quota is used up"),
        (errno.EROFS, "the file system is read-only. Let the worker's user write there"),
        (errno.EACCES, "permission denied"),
        (errno.ENAMETOOLONG, "the name is too long. Use a shorter path."),
    ],
)
def test_errors_of_a_disk_are_told_too(number, sentence):
    with (
        pytest.raises(StorageError, match=f"cannot write /data/x: {sentence}") as raised,
        disk_errors("write", "/data/x"),
    ):
        raise OSError(number, "as the system says it")
    assert raised.value.errno == number


@pytest.mark.parametrize("error", [FileNotFoundError(2, "x"), OSError(errno.EIO, "x"), KeyError("x")])
def test_others_pass_as_they_are(error: Any):
    with pytest.raises(type(error)), disk_errors("write", "/data/x"):
        raise error
