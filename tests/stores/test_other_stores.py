"""The same on Google Cloud Storage and Azure, where a server of theirs is named in the environment.

``ALTEGIO_TEST_GCS=http://127.0.0.1:4443`` is a ``fake-gcs-server``, ``ALTEGIO_TEST_AZURE`` the connection string of an
Azurite; their libraries come with the extras ``gcs`` and ``azure``.
"""

from __future__ import annotations

import os
import threading
import uuid
from typing import Any

import pytest
import upath

from altegio_provider.tables.dataset.conditional_writes import conditional_writes
from altegio_provider.tables.dataset.storage_errors import StorageError, WriteConflictError
from tests.stores.days import days_of_all_files, runs_by_day, write


def options_of(kind: str) -> tuple[str, dict[str, Any]]:
    """The protocol and the arguments of its filesystem."""
    where = os.environ.get(f"ALTEGIO_TEST_{kind}")
    if not where:
        pytest.skip(f"ALTEGIO_TEST_{kind} names no server")
    if kind == "AZURE":
        pytest.importorskip("adlfs")
        return "abfs", {"connection_string": where}
    pytest.importorskip("gcsfs")
    return "gs", {"endpoint_url": where, "token": "anon", "project": "test"}


@pytest.fixture(params=["GCS", "AZURE"])
def root(request: Any) -> Any:
    protocol, options = options_of(request.param)
    path = upath.UPath(f"{protocol}://altegio-{uuid.uuid4().hex[:12]}", **options)
    path.fs.mkdir(path.path.strip("/"))
    return path / "data"


def test_conditional_writes_are_refused_where_they_should_be(root):
    writes = conditional_writes(root.fs)
    assert writes is not None
    path = f"{root.path}/one"
    with pytest.raises(FileNotFoundError):
        writes.read(path)
    writes.write(path, b"1", "")
    with pytest.raises(WriteConflictError):
        writes.write(path, b"2", "")
    content, version = writes.read(path)
    assert content == b"1"
    writes.write(path, b"3", version)
    with pytest.raises(WriteConflictError):
        writes.write(path, b"4", version)
    assert writes.read(path)[0] == b"3"


def test_runs_at_the_same_moment_cost_neither_a_row_nor_an_error(root):
    write(root, range(12), run=99)
    errors: list[BaseException] = []

    def neighbour(number: int) -> None:
        try:
            write(root, range(2 * number, 2 * number + 2), run=number)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=neighbour, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert runs_by_day(root) == {day: day // 2 for day in range(12)}
    assert days_of_all_files(root) == list(range(12))


def test_locations_whose_numbers_begin_alike_are_kept_apart(root):
    for location_id in (1, 10, 100):
        write(root, range(3), run=location_id, location_id=location_id)
    write(root, range(1, 2), run=5)
    assert days_of_all_files(root) == [0, 1, 2]


def test_no_bucket_is_made(root):
    missing = type(root)(f"{root.protocol}://altegio-missing/data", **root.storage_options)
    with pytest.raises(StorageError, match="there is no such bucket"):
        write(missing, range(1))
