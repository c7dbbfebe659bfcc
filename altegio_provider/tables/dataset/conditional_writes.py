"""Conditional writes of object stores: a write that succeeds only if nobody else has changed the file meanwhile.

S3 has ``If-Match`` and ``If-None-Match``, Google Cloud Storage has generations, Azure has ETags. The filesystems of
``fsspec`` have no interface for them, so this module uses their lower-level calls: ``s3fs.call_s3``, ``gcsfs.call``,
and the arguments that ``adlfs`` passes on.
"""

from __future__ import annotations

import json
import uuid
from importlib import import_module
from typing import Any, Protocol

from fsspec.asyn import sync

from altegio_provider.tables.dataset.storage_errors import WriteConflictError, is_conflict, status_of

__all__ = ["ConditionalWrites", "conditional_writes"]


class ConditionalWrites(Protocol):
    """Conditional operations on one file. Their errors are those of the store's library.

    A version is the store's identifier of a file's state. Listings have it as a file's ``stamp``.
    """

    def read(self, path: str) -> tuple[bytes, str]:
        """Return a file's content and the version of this content.

        :param path: the file.
        :raises FileNotFoundError: the file does not exist.
        """

    def write(self, path: str, content: bytes, version: str) -> None:
        """Write a file if it has a given version.

        :param path: the file.
        :param content: its new content.
        :param version: the version to replace; empty: the file must not exist.
        :raises WriteConflictError: the file has another version, or exists although it must not.
        """

    def delete(self, path: str, version: str) -> None:
        """Delete a file if it has a given version. A file that does not exist causes no error.

        :param path: the file.
        :param version: its expected version.
        :raises WriteConflictError: the file has another version.
        """

    def is_missing(self, bucket: str) -> bool:
        """Return whether it is certain that a bucket or container does not exist.

        :param bucket: its name.
        """


def conditional_writes(fs: Any) -> ConditionalWrites | None:
    """Return the conditional writes of a filesystem, ``None`` if this module knows none for it.

    :param fs: a filesystem of ``fsspec``.
    """
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    if protocols & {"s3", "s3a"} and hasattr(fs, "call_s3"):
        return _S3(fs) if _S3.knows_conditions(fs) else None
    if protocols & {"gs", "gcs"} and hasattr(fs, "call"):
        return _Gcs(fs)
    if protocols & {"abfs", "az", "abfss"} and hasattr(fs, "service_client"):
        return _Azure(fs)
    return None


class _S3:
    def __init__(self, fs: Any) -> None:
        self._fs = fs

    @staticmethod
    def knows_conditions(fs: Any) -> bool:
        """Return whether the library supports conditions. An older one omits them without an error."""
        request = fs.s3.meta.service_model.operation_model("PutObject").input_shape
        return {"IfMatch", "IfNoneMatch"} <= set(request.members)

    def read(self, path: str) -> tuple[bytes, str]:
        content: tuple[bytes, str] = sync(self._fs.loop, self._read, path)
        return content

    async def _read(self, path: str) -> tuple[bytes, str]:
        answer = await self._fs._call_s3("get_object", **self._where(path))
        async with answer["Body"] as body:
            return await body.read(), answer["ETag"]

    def write(self, path: str, content: bytes, version: str) -> None:
        condition = {"IfMatch": version} if version else {"IfNoneMatch": "*"}
        try:
            self._fs.call_s3("put_object", **self._where(path), Body=content, **condition)
        except OSError as error:
            # If the file to replace was deleted, S3 reports a missing key.
            if is_conflict(error) or (version and isinstance(error, FileNotFoundError)):
                raise WriteConflictError from None
            raise

    def delete(self, path: str, version: str) -> None:
        try:
            self._fs.call_s3("delete_object", **self._where(path), IfMatch=version)
        except FileNotFoundError:
            return
        except OSError as error:
            if is_conflict(error):
                raise WriteConflictError from None
            raise

    def is_missing(self, bucket: str) -> bool:
        try:
            self._fs.call_s3("list_objects_v2", Bucket=bucket, MaxKeys=1)
        except FileNotFoundError:
            return True
        except OSError:
            return False  # who may not ask finds out when it writes
        return False

    def _where(self, path: str) -> dict[str, str]:
        bucket, key, _ = self._fs.split_path(path)
        return {"Bucket": bucket, "Key": key}


class _Gcs:
    def __init__(self, fs: Any) -> None:
        self._fs = fs

    def read(self, path: str) -> tuple[bytes, str]:
        headers, content = self._fs.call("GET", self._fs.url(path))
        return content, headers["X-Goog-Generation"]

    def write(self, path: str, content: bytes, version: str) -> None:
        bucket, key, _ = self._fs.split_path(path)
        boundary = uuid.uuid4().hex
        head = json.dumps({"name": key, "contentType": "application/octet-stream"})
        parts = (
            f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n{head}\r\n",
            f"--{boundary}\r\nContent-Type: application/octet-stream\r\n\r\n",
            f"\r\n--{boundary}--\r\n",
        )
        first, second, last = (part.encode() for part in parts)
        try:
            self._fs.call(
                "POST",
                self._fs.base.replace("/storage/v1/", "/upload/storage/v1/") + "b/{}/o",
                bucket,
                headers={"Content-Type": f"multipart/related; boundary={boundary}"},
                data=first + second + content + last,
                uploadType="multipart",
                ifGenerationMatch=version or "0",
            )
        except Exception as error:
            if is_conflict(error):
                raise WriteConflictError from None
            raise

    def delete(self, path: str, version: str) -> None:
        bucket, key, _ = self._fs.split_path(path)
        try:
            self._fs.call("DELETE", "b/{}/o/{}", bucket, key, ifGenerationMatch=version)
        except FileNotFoundError:
            return
        except Exception as error:
            if is_conflict(error):
                raise WriteConflictError from None
            raise

    def is_missing(self, bucket: str) -> bool:
        try:
            self._fs.call("GET", "b/{}/o", bucket, maxResults=1)
        except FileNotFoundError:
            return True
        except Exception:
            return False  # who may not ask finds out when it writes
        return False


class _Azure:
    def __init__(self, fs: Any) -> None:
        self._fs = fs

    def read(self, path: str) -> tuple[bytes, str]:
        content: tuple[bytes, str] = sync(self._fs.loop, self._read, path)
        return content

    async def _read(self, path: str) -> tuple[bytes, str]:
        async with self._blob(path) as blob:
            try:
                stream = await blob.download_blob()
            except Exception as error:
                if status_of(error)[0] == 404:
                    raise FileNotFoundError(path) from None
                raise
            return await stream.readall(), stream.properties.etag

    def write(self, path: str, content: bytes, version: str) -> None:
        condition = {"overwrite": True, **_if_unchanged(version)} if version else {"overwrite": False}
        try:
            self._fs.pipe_file(path, content, **condition)
        except Exception as error:
            if is_conflict(error):
                raise WriteConflictError from None
            raise

    def delete(self, path: str, version: str) -> None:
        sync(self._fs.loop, self._delete, path, version)

    async def _delete(self, path: str, version: str) -> None:
        async with self._blob(path) as blob:
            try:
                await blob.delete_blob(**_if_unchanged(version))
            except Exception as error:
                if status_of(error)[0] == 404:
                    return
                if is_conflict(error):
                    raise WriteConflictError from None
                raise

    def is_missing(self, bucket: str) -> bool:
        try:
            return not sync(self._fs.loop, self._exists, bucket)
        except Exception:
            return False  # who may not ask finds out when it writes

    async def _exists(self, bucket: str) -> bool:
        async with self._fs.service_client.get_container_client(bucket) as container:
            found: bool = await container.exists()
            return found

    def _blob(self, path: str) -> Any:
        container, blob, _ = self._fs.split_path(path)
        return self._fs.service_client.get_blob_client(container=container, blob=blob)


def _if_unchanged(version: str) -> dict[str, Any]:
    """Return the condition in the form of Azure's library, which ``adlfs`` depends on."""
    return {"etag": version, "match_condition": import_module("azure.core").MatchConditions.IfNotModified}
