"""A server for each session, and a bucket for each test."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.stores.s3_server import S3Server


@pytest.fixture(scope="session")
def s3_server() -> Iterator[S3Server]:
    from tests.stores.s3_server import S3Server

    server = S3Server()
    yield server
    server.close()


@pytest.fixture
def s3(s3_server: S3Server) -> Iterator[S3Server]:
    """The server, behaving well again after the test."""
    yield s3_server
    s3_server.on_request = None


@pytest.fixture
def bucket(s3: S3Server) -> Any:
    """The path of an empty bucket."""
    name = f"altegio-{uuid.uuid4().hex[:12]}"
    s3.make_bucket(name)
    return s3.path(f"s3://{name}")
