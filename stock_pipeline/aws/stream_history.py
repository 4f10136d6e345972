"""A range of a Kinesis shard read again, for failed batches of which only the place is known."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from stock_pipeline.aws.passing_errors import passing_as_retryable
from stock_pipeline.domain.redrive_plan import StreamRange

if TYPE_CHECKING:
    from mypy_boto3_kinesis.client import KinesisClient

READ_PAUSE_SECONDS = 0.5
"""A shard allows five reads a second, and the processor needs one of them."""


@dataclass(frozen=True)
class KinesisHistory:
    """History of the stream, by shard and sequence number.

    sleep: pauses for seconds.
    """

    client: "KinesisClient"
    sleep: Callable[[float], None] = time.sleep

    def read(self, place: StreamRange) -> Sequence[bytes] | None:
        """Return the payloads from the first to the last sequence number, both included, or None if they expired.

        The first record read must be the one asked for: if that is gone, Kinesis starts at the next one.
        """
        try:
            with passing_as_retryable(f"the shard {place.shard_id}"):
                iterator: str | None = self.client.get_shard_iterator(
                    StreamARN=place.stream_arn,
                    ShardId=place.shard_id,
                    ShardIteratorType="AT_SEQUENCE_NUMBER",
                    StartingSequenceNumber=place.first_sequence,
                )["ShardIterator"]
        except ClientError as error:
            if error.response["Error"]["Code"] in ("ResourceNotFoundException", "InvalidArgumentException"):
                return None
            raise
        payloads: list[bytes] = []
        first: str | None = None
        while iterator is not None:
            with passing_as_retryable(f"the shard {place.shard_id}"):
                answer = self.client.get_records(ShardIterator=iterator, StreamARN=place.stream_arn)
            for record in answer["Records"]:
                first = first or record["SequenceNumber"]
                if int(record["SequenceNumber"]) > int(place.last_sequence):
                    return payloads if first == place.first_sequence else None
                payloads.append(record["Data"])
            last_read = answer["Records"][-1]["SequenceNumber"] if answer["Records"] else None
            if last_read == place.last_sequence or (not answer["Records"] and answer["MillisBehindLatest"] == 0):
                break
            iterator = answer.get("NextShardIterator")
            self.sleep(READ_PAUSE_SECONDS)
        return payloads if first == place.first_sequence else None
