"""Objects of the lake's bucket."""

import shutil
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from stock_pipeline.aws.passing_errors import passing_as_retryable
from stock_pipeline.domain.listed_object import ListedObject
from stock_pipeline.errors import RetryableError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef, TaggingTypeDef


_PIECE_BYTES = 64 * 1024 * 1024
"""A larger object is sent in parts: at most 10,000, which is 640 GB."""

_KEYS_A_CALL = 1000

_TAGGERS = 16
"""Objects that are tagged at once, each by a call. The clients keep so many connections."""


@dataclass(frozen=True)
class ObjectStore:
    client: "S3Client"
    bucket: str

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write the object unless its key is taken; return True if it was written.

        Raises `RetryableError` if another write of the key is under way (S3 answers 409): neither may be assumed; and
        while S3 is away.
        """
        try:
            with passing_as_retryable(f"the bucket {self.bucket}"):
                self.client.put_object(Bucket=self.bucket, Key=key, Body=body, IfNoneMatch="*")
        except ClientError as error:
            return _condition_failed(error, key)
        return True

    def replace(self, key: str, body: bytes, etag: str) -> bool:
        """Write the object if it still has this etag; return True if it was written."""
        try:
            self.client.put_object(Bucket=self.bucket, Key=key, Body=body, IfMatch=etag)
        except ClientError as error:
            return _condition_failed(error, key)
        return True

    def upload_if_absent(self, key: str, path: Path) -> bool:
        """Do `put_if_absent` with a file of any size, which is not read into memory."""
        if path.stat().st_size <= _PIECE_BYTES:
            with path.open("rb") as file:
                try:
                    self.client.put_object(Bucket=self.bucket, Key=key, Body=file, IfNoneMatch="*")
                except ClientError as error:
                    return _condition_failed(error, key)
                return True
        return self._upload_in_parts(key, path)

    def put(self, key: str, body: bytes) -> None:
        """Write the object. Raises `RetryableError` while S3 is away, as `get` does."""
        with passing_as_retryable(f"the bucket {self.bucket}"):
            self.client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def get(self, key: str) -> bytes:
        with passing_as_retryable(f"the bucket {self.bucket}"):
            return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def get_if_there(self, key: str) -> bytes | None:
        try:
            return self.get(key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise

    def tail(self, key: str, size: int, etag: str | None = None) -> bytes:
        """Return the object's last bytes, or all of a smaller one.

        Raises `RetryableError` if it is gone or has another etag.
        """
        condition: dict[str, Any] = {} if etag is None else {"IfMatch": etag}
        try:
            answer = self.client.get_object(Bucket=self.bucket, Key=key, Range=f"bytes=-{size}", **condition)
        except ClientError as error:
            if error.response["Error"]["Code"] == "InvalidRange":
                return b""  # an empty object has no range
            raise _gone_as_retryable(error, key) from error
        return answer["Body"].read()

    def read(self, key: str) -> tuple[bytes, str] | None:
        """Return the object and its etag, or None."""
        try:
            answer = self.client.get_object(Bucket=self.bucket, Key=key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise
        return answer["Body"].read(), answer["ETag"].strip('"')

    def download(self, key: str, path: Path, etag: str | None = None) -> None:
        """Write the object to a file. Raises `RetryableError` if it is gone or has another etag."""
        try:
            if etag is None:
                body = self.client.get_object(Bucket=self.bucket, Key=key)["Body"]
            else:
                body = self.client.get_object(Bucket=self.bucket, Key=key, IfMatch=etag)["Body"]
        except ClientError as error:
            raise _gone_as_retryable(error, key) from error
        with path.open("wb") as file:
            shutil.copyfileobj(body, file, 1024 * 1024)

    def tag(self, keys: Iterable[str], name: str, value: str) -> None:
        """Give each object this tag, in place of all others; a missing one is no error."""
        tags: TaggingTypeDef = {"TagSet": [{"Key": name, "Value": value}]}

        def tag_one(key: str) -> None:
            try:
                self.client.put_object_tagging(Bucket=self.bucket, Key=key, Tagging=tags)
            except ClientError as error:
                if error.response["Error"]["Code"] not in ("NoSuchKey", "404"):
                    raise

        with ThreadPoolExecutor(_TAGGERS) as pool:
            for _ in pool.map(tag_one, keys):
                pass

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects; a missing one is no error."""
        remaining = iter(keys)
        while page := list(islice(remaining, _KEYS_A_CALL)):
            answer = self.client.delete_objects(
                Bucket=self.bucket, Delete={"Objects": [{"Key": key} for key in page], "Quiet": True}
            )
            for failed in answer.get("Errors", ()):
                raise RetryableError(f"{failed.get('Key')} could not be deleted ({failed.get('Code')}); try again")

    def list(self, prefix: str, start_after: str = "") -> Iterator[ListedObject]:
        """Yield the objects under a prefix, in key order. start_after: only those with greater keys."""
        place: Any = {"Prefix": prefix} | ({"StartAfter": start_after} if start_after else {})
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, **place):
            for entry in page.get("Contents", ()):
                yield ListedObject(entry["Key"], entry["Size"], entry["ETag"].strip('"'), entry["LastModified"])

    def folders(self, prefix: str, depth: int) -> Iterator[str]:
        """Yield the prefixes that end `depth` slashes below this one, without their objects."""
        if depth == 0:
            yield prefix
            return
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix, Delimiter="/")
        for page in pages:
            for entry in page.get("CommonPrefixes", ()):
                yield from self.folders(entry["Prefix"], depth - 1)

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"

    def _upload_in_parts(self, key: str, path: Path) -> bool:
        upload = self.client.create_multipart_upload(Bucket=self.bucket, Key=key)["UploadId"]
        parts: list[CompletedPartTypeDef] = []
        try:
            with path.open("rb") as file:
                while piece := file.read(_PIECE_BYTES):
                    number = len(parts) + 1
                    answer = self.client.upload_part(
                        Bucket=self.bucket, Key=key, UploadId=upload, PartNumber=number, Body=piece
                    )
                    parts.append({"PartNumber": number, "ETag": answer["ETag"]})
            self.client.complete_multipart_upload(
                Bucket=self.bucket, Key=key, UploadId=upload, MultipartUpload={"Parts": parts}, IfNoneMatch="*"
            )
        except BaseException as error:
            # parts of an upload that is never completed are billed for ever
            self.client.abort_multipart_upload(Bucket=self.bucket, Key=key, UploadId=upload)
            if isinstance(error, ClientError):
                return _condition_failed(error, key)
            raise
        return True


@dataclass(frozen=True)
class BucketObjects:
    """Objects of any bucket to read, and of the pipeline's own to write."""

    store: ObjectStore

    def get(self, bucket: str, key: str) -> bytes | None:
        return ObjectStore(self.store.client, bucket).get_if_there(key)

    def put(self, key: str, body: bytes) -> None:
        self.store.put(key, body)


def _gone_as_retryable(error: ClientError, key: str) -> Exception:
    if error.response["Error"]["Code"] in ("NoSuchKey", "404", "PreconditionFailed", "412"):
        return RetryableError(f"{key} was removed or replaced meanwhile; try again")
    return error


def _condition_failed(error: ClientError, key: str) -> bool:
    """Return False if the write's condition did not hold; raise any other error."""
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    if status == 412 or error.response["Error"]["Code"] == "NoSuchKey":
        return False
    if status == 409:
        raise RetryableError(f"{key} is being written by another process; try again") from error
    raise error
