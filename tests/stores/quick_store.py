"""A store with conditional writes in memory, reached as ``s3fs`` reaches S3: for thousands of runs in a test.

What it imitates is what ``tests/stores/test_s3_dataset.py`` sees of a real server.
"""

from __future__ import annotations

import asyncio
import io
import itertools
from collections.abc import Callable
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

import fsspec.asyn


class Refused(Exception):
    """As botocore's: its answer is a dictionary."""

    def __init__(self, status: int, code: str) -> None:
        self.response = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}


class QuickStore:
    """A filesystem of ``fsspec``'s kind, with one bucket; ``before_request`` is called before each request."""

    protocol = ("s3", "s3a")

    def __init__(self) -> None:
        self.loop = fsspec.asyn.get_loop()
        self.before_request: Callable[[], None] | None = None
        self._objects: dict[str, tuple[bytes, str]] = {}
        self._etags = itertools.count(1)
        request = SimpleNamespace(members={"IfMatch": None, "IfNoneMatch": None})
        model = SimpleNamespace(operation_model=lambda _: SimpleNamespace(input_shape=request))
        self.s3 = SimpleNamespace(meta=SimpleNamespace(service_model=model))

    def root(self, name: str) -> QuickPath:
        return QuickPath(self, f"bucket/{name}")

    def split_path(self, path: str) -> tuple[str, str, None]:
        bucket, _, key = path.partition("/")
        return bucket, key, None

    def call_s3(self, method: str, *, Key: str = "", Body: bytes = b"", **asked: Any) -> dict[str, Any]:
        self._request()
        there = self._objects.get(Key)
        if method == "list_objects_v2":
            return {}
        if (asked.get("IfNoneMatch") and there) or ("IfMatch" in asked and there and there[1] != asked["IfMatch"]):
            raise OSError("At least one of the pre-conditions you specified did not hold") from Refused(
                412, "PreconditionFailed"
            )
        if "IfMatch" in asked and there is None:
            raise FileNotFoundError(Key)
        if method == "put_object":
            self._objects[Key] = (Body, f'"{next(self._etags)}"')
        elif method == "delete_object":
            self._objects.pop(Key, None)
        return {}

    async def _call_s3(self, method: str, *, Key: str, **_: Any) -> dict[str, Any]:
        # In a thread of its own, for whoever comes in between makes requests that need this loop.
        await asyncio.to_thread(self._request)
        content, etag = self._found(Key)
        return {"Body": _Body(content), "ETag": etag}

    def ls(self, path: str, detail: bool) -> list[dict[str, Any]]:
        self._request()
        prefix = self.split_path(path)[1] + "/"
        below = {key.removeprefix(prefix): key for key in self._objects if key.startswith(prefix)}
        if not below:
            raise FileNotFoundError(path)
        folders = {rest.partition("/")[0] for rest in below if "/" in rest}
        files = [self._info(key) for rest, key in below.items() if "/" not in rest]
        return [*files, *({"name": f"{path}/{one}", "type": "directory", "size": 0} for one in folders)]

    def info(self, path: str) -> dict[str, Any]:
        self._request()
        self._found(self.split_path(path)[1])
        return self._info(self.split_path(path)[1])

    def cat_file(self, path: str, start: int = 0) -> bytes:
        self._request()
        return self._found(self.split_path(path)[1])[0][start:]

    def get_file(self, path: str, target: str) -> None:
        content = self.cat_file(path)
        with open(target, "wb") as file:
            file.write(content)

    def put_file(self, source: str, path: str, mode: str = "overwrite") -> None:
        with open(source, "rb") as file:
            condition = {"IfNoneMatch": "*"} if mode == "create" else {}
            self.call_s3("put_object", Key=self.split_path(path)[1], Body=file.read(), **condition)

    def rm_file(self, path: str) -> None:
        self.call_s3("delete_object", Key=self.split_path(path)[1])

    def invalidate_cache(self, path: str | None = None) -> None:
        pass

    def _found(self, key: str) -> tuple[bytes, str]:
        if key not in self._objects:
            raise FileNotFoundError(key)
        return self._objects[key]

    def _info(self, key: str) -> dict[str, Any]:
        content, etag = self._objects[key]
        return {"name": f"bucket/{key}", "type": "file", "size": len(content), "ETag": etag}

    def _request(self) -> None:
        if self.before_request:
            self.before_request()


class QuickPath:
    """A path of the ``universal_pathlib`` kind."""

    protocol = "s3"

    def __init__(self, fs: QuickStore, path: str) -> None:
        self.fs = fs
        self.path = path

    def __truediv__(self, name: str) -> QuickPath:
        return QuickPath(self.fs, f"{self.path}/{name}")

    def __str__(self) -> str:
        return f"s3://{self.path}"

    @property
    def name(self) -> str:
        return PurePosixPath(self.path).name

    @property
    def parent(self) -> QuickPath:
        return QuickPath(self.fs, str(PurePosixPath(self.path).parent))

    def open(self, mode: str) -> Any:
        return io.BytesIO(self.fs.cat_file(self.path))

    def glob(self, pattern: str) -> list[QuickPath]:
        names = [PurePosixPath(one["name"]).name for one in self.fs.ls(self.path, detail=True)]
        return [self / name for name in names if PurePosixPath(name).match(pattern)]


class _Body:
    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aenter__(self) -> _Body:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def read(self) -> bytes:
        return self._content
