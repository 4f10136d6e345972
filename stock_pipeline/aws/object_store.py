"""Objects of the lake's bucket."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

from botocore.exceptions import ClientError

from stock_pipeline.errors import RetryableError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


class ObjectInfo(NamedTuple):
    """One listed object. `etag` changes with the content."""

    key: str
    size: int
    etag: str


@dataclass(frozen=True)
class ObjectStore:
    client: "S3Client"
    bucket: str

    def put_if_absent(self, key: str, body: bytes) -> bool:
        """Write the object unless its key is taken; whether it was written.

        `RetryableError` if another write of the same key is under way (S3 answers 409): neither may be assumed.
        """
        try:
            self.client.put_object(Bucket=self.bucket, Key=key, Body=body, IfNoneMatch="*")
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status == 412:
                return False
            if status == 409:
                raise RetryableError(f"{key} is being written by somebody else; try again") from error
            raise
        return True

    def put(self, key: str, body: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body)

    def get(self, key: str) -> bytes:
        return self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()

    def get_if_there(self, key: str) -> bytes | None:
        try:
            return self.get(key)
        except ClientError as error:
            if error.response["Error"]["Code"] in ("NoSuchKey", "404"):
                return None
            raise

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        """Every object under a prefix, in key order."""
        for page in self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket, Prefix=prefix):
            for entry in page.get("Contents", ()):
                yield ObjectInfo(entry["Key"], entry["Size"], entry["ETag"].strip('"'))

    def uri(self, key: str) -> str:
        return f"s3://{self.bucket}/{key}"


@dataclass(frozen=True)
class BucketObjects:
    """Objects of any bucket to read, and of the pipeline's own to write."""

    store: ObjectStore

    def get(self, bucket: str, key: str) -> bytes | None:
        return ObjectStore(self.store.client, bucket).get_if_there(key)

    def put(self, key: str, body: bytes) -> None:
        self.store.put(key, body)
