"""A range of a shard is read again at a pace that leaves the processor its own reads."""

from typing import Any

from stock_pipeline.aws.stream_history import KinesisHistory
from stock_pipeline.domain.redrive_plan import StreamRange
from tests.fakes.kinesis import STREAM_ARN, FakeKinesis

READS_A_SECOND = 5
"""The limit of a shard, which the processor's mapping shares (Kinesis API reference, GetRecords)."""


class SparseKinesis(FakeKinesis):
    """Answers with a record a read, and with empty pages between them, as a shard with few records does."""

    pages = 0

    def get_records(self, *, ShardIterator: str, Limit: int = 10_000, **options: Any) -> dict[str, Any]:
        self.pages += 1
        if self.pages % 4:
            self.calls.append("get_records")
            return {"Records": [], "MillisBehindLatest": 1_000, "NextShardIterator": ShardIterator}
        return super().get_records(ShardIterator=ShardIterator, Limit=1, **options)


def test_reads_of_a_shard_leave_room_for_the_processors() -> None:
    kinesis = SparseKinesis()
    placed = [kinesis.put("bucket-0001", b"%d" % number) for number in range(12)]
    place = StreamRange(STREAM_ARN, placed[0][0], placed[1][1], placed[9][1], 9)
    paused: list[float] = []
    client: Any = kinesis
    payloads = KinesisHistory(client, paused.append).read(place)
    assert payloads == [b"%d" % number for number in range(1, 10)]
    reads = kinesis.calls.count("get_records")
    assert reads == 36
    assert len(paused) == reads - 1
    assert all(pause > 2 / READS_A_SECOND for pause in paused)


def test_a_range_that_one_read_answers_waits_for_nothing() -> None:
    kinesis: Any = FakeKinesis()
    placed = [kinesis.put("bucket-0001", b"%d" % number) for number in range(3)]
    paused: list[float] = []
    place = StreamRange(STREAM_ARN, placed[0][0], placed[0][1], placed[2][1], 3)
    assert KinesisHistory(kinesis, paused.append).read(place) == [b"0", b"1", b"2"]
    assert paused == []
