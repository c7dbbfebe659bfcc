"""Datasets on a real S3 server: several writers, a server that fails, and a manifest that is damaged."""

from __future__ import annotations

import errno
import logging
from contextlib import suppress
from typing import Any

import pytest

from altegio_provider.tables.dataset.dataset import DatasetError, ParquetDataset, read_manifest
from altegio_provider.tables.dataset.storage_errors import StorageError
from tests.stores.days import days_of_all_files, runs_by_day, window, write
from tests.stores.s3_server import (
    ACCESS_DENIED,
    EXPIRED_TOKEN,
    NOT_IMPLEMENTED,
    SLOW_DOWN,
    Answer,
    Request,
    S3Server,
)

MANIFEST = "_manifest.json"


class Sleeps(list[float]):
    """Notes how long it was to sleep, and does not."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)


def opened(root: Any) -> Any:
    """A run that has begun, and whose rows would be read next."""
    return ParquetDataset(root, 1).writer(*window(range(1)))


WRITES = ("PUT", "DELETE", "POST")


def in_between(server: S3Server, place: int, act: Any) -> Any:
    """Let somebody act before the writing request of this number; return how many of them there have been."""
    count = 0

    def on_request(request: Request) -> None:
        nonlocal count
        count += request.method in WRITES
        if count == place and request.method in WRITES:
            server.on_request = None
            act()
            server.on_request = on_request

    server.on_request = on_request
    return lambda: count


def at_every_write(server: S3Server, run: Any) -> None:
    """Call ``run(place)`` for the number of each writing request of a run, and once for more than there are."""
    for place in range(1, 20):
        writes = run(place)
        server.on_request = None
        if writes() < place:
            return
    raise AssertionError("a run writes more often than it should")


def test_each_run_replaces_its_window(bucket):
    root = bucket / "activities"
    write(root, range(2), run=1)
    write(root, range(2, 4), run=2)
    write(root, range(1, 3), run=3)
    assert runs_by_day(root) == {0: 1, 1: 3, 2: 3, 3: 2}
    assert days_of_all_files(root) == [0, 1, 2, 3]


def test_a_neighbour_that_comes_in_between_costs_neither_a_row_nor_an_error(bucket, s3):
    def run(place: int) -> Any:
        root = bucket / f"at-{place}"
        write(root, range(6), run=0)
        writes = in_between(s3, place, lambda: write(root, range(2, 4), run=2))
        write(root, range(2), run=1, sleep=Sleeps())
        s3.on_request = None
        if writes() >= place:
            assert runs_by_day(root) == {0: 1, 1: 1, 2: 2, 3: 2, 4: 0, 5: 0}
            assert days_of_all_files(root) == [0, 1, 2, 3, 4, 5]
        return writes

    at_every_write(s3, run)


def test_a_run_that_dies_at_any_moment_happened_or_did_not_and_the_next_one_tidies_up(bucket, s3):
    def run(place: int) -> Any:
        root = bucket / f"at-{place}"
        write(root, range(4), run=0)
        count = 0

        def on_request(request: Request) -> Answer | None:
            nonlocal count
            count += request.method in WRITES
            return ACCESS_DENIED if count >= place else None

        s3.on_request = on_request
        with suppress(StorageError):
            write(root, range(1, 3), run=1, sleep=Sleeps())
        s3.on_request = None
        before, after = dict.fromkeys(range(4), 0), {0: 0, 1: 1, 2: 1, 3: 0}
        assert runs_by_day(root) in (before, after)
        assert set(days_of_all_files(root)) == {0, 1, 2, 3}
        write(root, range(8, 9), run=2)
        assert runs_by_day(root) in (before | {8: 2}, after | {8: 2})
        assert days_of_all_files(root) == [0, 1, 2, 3, 8]
        return lambda: count

    at_every_write(s3, run)


@pytest.mark.parametrize("says", ["ignores", "refuses"])
def test_a_store_without_conditional_writes_is_noticed_and_looked_at_again(bucket, s3, caplog, says):
    neighbour: list[Any] = [lambda: write(bucket, range(2, 4), run=2)]

    def on_request(request: Request) -> Answer | None:
        conditions = [name for name in request.environ if name in ("HTTP_IF_MATCH", "HTTP_IF_NONE_MATCH")]
        if conditions and request.method in ("PUT", "DELETE"):
            if says == "refuses":
                return NOT_IMPLEMENTED
            for name in conditions:
                del request.environ[name]
        if request.method == "PUT" and request.name == MANIFEST and neighbour:
            neighbour.pop()()
        return None

    s3.on_request = on_request
    with caplog.at_level(logging.WARNING):
        write(bucket, range(2), run=1, sleep=Sleeps())
    assert runs_by_day(bucket) == {0: 1, 1: 1, 2: 2, 3: 2}
    assert "no conditional writes" in caplog.text


def test_a_bucket_that_is_not_there_is_told_before_anything_is_read_and_never_made(s3):
    root = s3.path("s3://mistyped-bucket/activities")
    for path in (root, root / "one.parquet"):
        with pytest.raises(StorageError, match=r"'mistyped-bucket'.*there is no such bucket") as raised, opened(path):
            raise AssertionError("the rows would be read now")
        assert raised.value.errno == errno.ENOENT
    with pytest.raises(StorageError, match="no such bucket"):
        read_manifest(root)
    assert "mistyped-bucket" not in s3.buckets()


@pytest.mark.parametrize(
    ("answer", "sentence"),
    [
        (ACCESS_DENIED, "access is denied (AccessDenied, HTTP 403). Allow the credentials of the worker"),
        (EXPIRED_TOKEN, "the credentials have expired (ExpiredToken, HTTP 400). Renew the credentials of the worker"),
        (Answer.error(403, "InvalidAccessKeyId"), "the store does not accept the credentials (InvalidAccessKeyId"),
    ],
)
def test_who_may_not_write_is_told_so_before_anything_is_read(bucket, s3, answer, sentence):
    s3.on_request = lambda request: answer if request.method == "PUT" else None
    with pytest.raises(StorageError) as raised, opened(bucket):
        raise AssertionError("the rows would be read now")
    assert sentence in str(raised.value)
    assert f"the bucket {bucket.path.strip('/')!r}" in str(raised.value)
    assert raised.value.__cause__ is None
    assert raised.value.__suppress_context__


def test_who_may_not_read_gets_no_half_of_it(bucket, s3):
    write(bucket, range(2))
    s3.on_request = lambda request: ACCESS_DENIED if request.name == MANIFEST else None
    with pytest.raises(StorageError, match=r"cannot read .*_manifest.json.*access is denied"):
        read_manifest(bucket)


def test_a_store_that_asks_to_slow_down_is_asked_again(bucket, s3):
    refusals = [SLOW_DOWN] * 4

    def on_request(request: Request) -> Answer | None:
        return refusals.pop() if request.method == "PUT" and request.name.endswith(".parquet") and refusals else None

    s3.on_request = on_request
    sleeps = Sleeps()
    write(bucket, range(2), sleep=sleeps)
    assert len(sleeps) == 4
    assert runs_by_day(bucket) == {0: 1, 1: 1}


def test_a_store_that_is_busy_for_too_long_is_named_and_the_next_run_heals(bucket, s3):
    write(bucket, range(3), run=0)
    s3.on_request = lambda request: SLOW_DOWN if request.method == "PUT" and request.name == MANIFEST else None
    sleeps = Sleeps()
    with pytest.raises(StorageError, match=r"cannot write .*_manifest.json.*the store is busy.*It was tried 9 times"):
        write(bucket, range(1, 2), run=1, sleep=sleeps)
    assert sum(sleeps) < 9 * 30
    s3.on_request = None
    write(bucket, range(1, 2), run=2)
    assert runs_by_day(bucket) == {0: 0, 1: 2, 2: 0}


def test_a_name_that_is_too_long_is_told_before_anything_is_read(bucket, s3):
    s3.on_request = lambda request: Answer.error(400, "KeyTooLongError") if len(request.path) > 1024 else None
    with pytest.raises(StorageError, match="the name is too long"), opened(bucket / ("x" * 1100)):
        raise AssertionError("the rows would be read now")


def test_a_manifest_that_was_cut_on_its_way_is_read_again(bucket, s3):
    write(bucket, range(2))
    cut = [Answer(200, b'{"format": 1, "locat'), Answer(200, b"")]
    s3.on_request = lambda request: cut.pop() if request.name == MANIFEST and request.method == "GET" and cut else None
    with_no_sleep = ParquetDataset(bucket, 1, sleep=Sleeps())
    assert [file.rows for file in with_no_sleep.files()] == [2]
    assert not cut


def test_one_file_is_never_shared_by_two_locations(bucket, s3):
    one = bucket / "one.parquet"
    write(one, range(2), location_id=1)
    with pytest.raises(DatasetError, match=r"has rows of location 1, and a run for location 2 would replace them"):
        write(one, range(2), location_id=2)
    write(one, range(3), run=2, location_id=1)
    assert [(file.location_id, file.rows) for file in read_manifest(one)] == [(1, 3)]


def test_of_two_locations_that_write_one_file_at_the_same_moment_one_is_refused(bucket, s3):
    def run(place: int) -> Any:
        one = bucket / f"at-{place}.parquet"
        refused = 0
        writes = in_between(s3, place, lambda: write(one, range(2), location_id=2))
        try:
            write(one, range(2), location_id=1, sleep=Sleeps())
        except DatasetError:
            refused = 1
        s3.on_request = None
        assert [file.location_id for file in read_manifest(one)] == [2 if refused else 1]
        assert refused == (writes() >= place)
        return writes

    at_every_write(s3, run)
