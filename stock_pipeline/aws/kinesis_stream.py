"""Putting records into a Kinesis stream."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from botocore.exceptions import ClientError, ConnectionError, HTTPClientError

if TYPE_CHECKING:
    from mypy_boto3_kinesis.client import KinesisClient

RETRYABLE_CODES = frozenset(
    {
        "ProvisionedThroughputExceededException",
        "LimitExceededException",
        "InternalFailure",
        "ServiceUnavailable",
        "KMSThrottlingException",
    }
)


class _Record(Protocol):
    @property
    def partition_key(self) -> str: ...
    @property
    def data(self) -> bytes: ...


@dataclass(frozen=True)
class KinesisStream:
    client: "KinesisClient"
    name: str

    def put(self, records: Sequence[_Record]) -> list[str | None]:
        """One PutRecords call. A call that failed as a whole for a passing reason refuses every record with that
        code; a permanent error (no such stream, no credentials, access denied) is raised.

        A time-out may have put the records all the same: they are put again, and their event ids make that harmless.
        """
        try:
            response = self.client.put_records(
                StreamName=self.name,
                Records=[{"Data": record.data, "PartitionKey": record.partition_key} for record in records],
            )
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code in RETRYABLE_CODES:
                return [code] * len(records)
            raise
        except (ConnectionError, HTTPClientError) as error:
            return [type(error).__name__] * len(records)
        return [entry.get("ErrorCode") for entry in response["Records"]]
