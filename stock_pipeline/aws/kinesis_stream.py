"""A Kinesis stream to put records into."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from stock_pipeline.aws.passing_errors import passing_code

if TYPE_CHECKING:
    from mypy_boto3_kinesis.client import KinesisClient


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
        """Put the records by one call; return each one's error code, None where it was taken.

        A call that fails as a whole for a passing reason gives every record its code. A permanent error (no such
        stream, no credentials, access denied) is raised. After a time-out records may be put twice; their event ids
        make that harmless.
        """
        try:
            response = self.client.put_records(
                StreamName=self.name,
                Records=[{"Data": record.data, "PartitionKey": record.partition_key} for record in records],
            )
        except Exception as error:
            code = passing_code(error)
            if code is None:
                raise
            return [code] * len(records)
        return [entry.get("ErrorCode") for entry in response["Records"]]

    def open_shards(self) -> int:
        """Return the number of shards that take records."""
        summary = self.client.describe_stream_summary(StreamName=self.name)
        return summary["StreamDescriptionSummary"]["OpenShardCount"]
