"""A Kinesis stream in memory that does what moto does not: resharding as on AWS, throttling, expired iterators.

Takes the calls of boto3's client that the project makes, with their keyword arguments, answers and errors.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

STREAM_ARN = "arn:aws:kinesis:us-east-1:123456789012:stream/stock-stream"
EXPIRED_ITERATOR = "ExpiredIteratorException"
LARGEST_HASH_KEY = 2**128 - 1
FIRST_SEQUENCE_NUMBER = 49590338271490256608559692538361571095921575989136588898

Throttle = Callable[[int, int], bool]
"""Called with the number of the PutRecords call and of the entry in it, both from 0: whether it is throttled."""


@dataclass
class FakeShard:
    shard_id: str
    first_hash_key: int
    last_hash_key: int
    parents: tuple[str, ...] = ()
    children: list[str] = field(default_factory=list)
    records: list[dict[str, Any]] = field(default_factory=list)
    is_closed: bool = False

    def listed(self) -> dict[str, Any]:
        entry: dict[str, Any] = {
            "ShardId": self.shard_id,
            "HashKeyRange": {
                "StartingHashKey": str(self.first_hash_key),
                "EndingHashKey": str(self.last_hash_key),
            },
            "SequenceNumberRange": {"StartingSequenceNumber": str(FIRST_SEQUENCE_NUMBER)},
        }
        for name, parent in zip(("ParentShardId", "AdjacentParentShardId"), self.parents, strict=False):
            entry[name] = parent
        return entry


class FakeKinesis:
    """One stream. `now` stamps records; `calls` lists the operations in order."""

    def __init__(
        self,
        shards: int = 1,
        now: Callable[[], datetime] = lambda: datetime(2026, 11, 20, 15, tzinfo=UTC),
        throttle: Throttle = lambda call, entry: False,
        shards_a_page: int = 100,
    ) -> None:
        self._now = now
        self._throttle = throttle
        self.shards_a_page = shards_a_page
        self._put_calls = 0
        self._shards_made = 0
        self._sequence = FIRST_SEQUENCE_NUMBER
        self._iterators: dict[str, tuple[str, int]] = {}
        self._failing_reads: list[str] = []
        self.calls: list[str] = []
        self.shards: dict[str, FakeShard] = {}
        width = 2**128 // shards
        for number in range(shards):
            last = LARGEST_HASH_KEY if number == shards - 1 else (number + 1) * width - 1
            self._add_shard(number * width, last)

    # What a test does to the stream

    def put(self, partition_key: str, data: bytes = b"{}") -> tuple[str, str]:
        """Put one record; its shard and sequence number."""
        shard = self._shard_of(partition_key)
        self._sequence += 1
        sequence_number = str(self._sequence)
        record = {
            "SequenceNumber": sequence_number,
            "ApproximateArrivalTimestamp": self._now(),
            "Data": data,
            "PartitionKey": partition_key,
        }
        shard.records.append(record)
        return shard.shard_id, sequence_number

    def split_shard(self, shard_id: str) -> tuple[str, str]:
        parent = self.shards[shard_id]
        middle = (parent.first_hash_key + parent.last_hash_key) // 2
        low = self._add_shard(parent.first_hash_key, middle, (shard_id,))
        high = self._add_shard(middle + 1, parent.last_hash_key, (shard_id,))
        self._close(parent, low, high)
        return low, high

    def merge_shards(self, shard_id: str, adjacent_shard_id: str) -> str:
        low, high = sorted(
            (self.shards[shard_id], self.shards[adjacent_shard_id]), key=lambda shard: shard.first_hash_key
        )
        assert low.last_hash_key + 1 == high.first_hash_key, "only neighbours can be merged"
        child = self._add_shard(low.first_hash_key, high.last_hash_key, (shard_id, adjacent_shard_id))
        self._close(low, child)
        self._close(high, child)
        return child

    def fail_next_reads(self, *codes: str) -> None:
        """The next GetRecords calls fail with these error codes, one each."""
        self._failing_reads += codes

    def forget_shard(self, shard_id: str) -> None:
        """The shard is closed and older than the retention: it is no longer listed."""
        del self.shards[shard_id]

    # What boto3's client does

    def put_records(self, *, Records: list[dict[str, Any]], **_: Any) -> dict[str, Any]:
        self.calls.append("put_records")
        call, self._put_calls = self._put_calls, self._put_calls + 1
        answers: list[dict[str, Any]] = []
        for number, record in enumerate(Records):
            if self._throttle(call, number):
                code = "ProvisionedThroughputExceededException"
                answers.append({"ErrorCode": code, "ErrorMessage": "Rate exceeded for shard"})
            else:
                shard_id, sequence_number = self.put(record["PartitionKey"], record["Data"])
                answers.append({"SequenceNumber": sequence_number, "ShardId": shard_id})
        failed = sum("ErrorCode" in answer for answer in answers)
        return {"FailedRecordCount": failed, "Records": answers}

    def list_shards(self, *, NextToken: str | None = None, **stream: Any) -> dict[str, Any]:
        self.calls.append("list_shards")
        if (NextToken is None) == (not stream):
            raise _error("InvalidArgumentException", "ListShards")
        start = int(NextToken or 0)
        end = start + self.shards_a_page
        shards = list(self.shards.values())
        answer: dict[str, Any] = {"Shards": [shard.listed() for shard in shards[start:end]]}
        return answer | ({"NextToken": str(end)} if end < len(shards) else {})

    def get_shard_iterator(
        self,
        *,
        ShardId: str,
        ShardIteratorType: str,
        StartingSequenceNumber: str = "",
        Timestamp: datetime | None = None,
        **_: Any,
    ) -> dict[str, Any]:
        self.calls.append("get_shard_iterator")
        records = self.shards[ShardId].records
        match ShardIteratorType:
            case "TRIM_HORIZON":
                position = 0
            case "LATEST":
                position = len(records)
            case "AT_TIMESTAMP" if Timestamp is not None:
                position = sum(record["ApproximateArrivalTimestamp"] < Timestamp for record in records)
            case "AFTER_SEQUENCE_NUMBER":
                after = int(StartingSequenceNumber)
                position = sum(int(record["SequenceNumber"]) <= after for record in records)
            case "AT_SEQUENCE_NUMBER":
                at = int(StartingSequenceNumber)
                position = sum(int(record["SequenceNumber"]) < at for record in records)
            case _:
                raise _error("InvalidArgumentException", "GetShardIterator")
        return {"ShardIterator": self._new_iterator(ShardId, position)}

    def get_records(self, *, ShardIterator: str, Limit: int = 10_000, **_: Any) -> dict[str, Any]:
        self.calls.append("get_records")
        if self._failing_reads:
            code = self._failing_reads.pop(0)
            if code == EXPIRED_ITERATOR:
                del self._iterators[ShardIterator]
            raise _error(code, "GetRecords")
        if ShardIterator not in self._iterators:
            raise _error(EXPIRED_ITERATOR, "GetRecords")
        shard_id, start = self._iterators[ShardIterator]
        shard = self.shards[shard_id]
        records = shard.records[start : start + Limit]
        end = start + len(records)
        answer: dict[str, Any] = {"Records": records, "MillisBehindLatest": self._millis_behind(shard, end)}
        if shard.is_closed and end == len(shard.records):
            return answer | {"ChildShards": [{"ShardId": child} for child in shard.children]}
        return answer | {"NextShardIterator": self._new_iterator(shard_id, end)}

    def _millis_behind(self, shard: FakeShard, position: int) -> int:
        """Rounded down, as emulators do: 0 does not mean that nothing is left."""
        if position == len(shard.records):
            return 0
        waiting: datetime = shard.records[position]["ApproximateArrivalTimestamp"]
        return int((self._now() - waiting).total_seconds() * 1000)

    def _new_iterator(self, shard_id: str, position: int) -> str:
        token = f"iterator-{len(self.calls):06}-{shard_id}-{position}"
        self._iterators[token] = (shard_id, position)
        return token

    def _shard_of(self, partition_key: str) -> FakeShard:
        key = int.from_bytes(hashlib.md5(partition_key.encode(), usedforsecurity=False).digest(), "big")
        opened = (shard for shard in self.shards.values() if not shard.is_closed)
        return next(shard for shard in opened if shard.first_hash_key <= key <= shard.last_hash_key)

    def _add_shard(self, first: int, last: int, parents: tuple[str, ...] = ()) -> str:
        shard = FakeShard(f"shardId-{self._shards_made:012}", first, last, parents)
        self._shards_made += 1
        self.shards[shard.shard_id] = shard
        return shard.shard_id

    def _close(self, shard: FakeShard, *children: str) -> None:
        shard.is_closed = True
        shard.children += children


def _error(code: str, operation: str) -> ClientError:
    return ClientError({"Error": {"Code": code, "Message": f"{code} by the test"}}, operation)
