"""A stream's records as the event that AWS sends, and the length of that event."""

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.local.event_source.shard_record import (
    EventSource,
    event_bytes,
    event_json,
    kinesis_event,
    read_record,
)
from tests.support.clock import START
from tests.support.stream_batches import SOURCE, record

RECORDED = Path(__file__).parents[3] / "data/aws_events"


def test_the_event_has_the_form_that_aws_sends() -> None:
    expected = json.loads((RECORDED / "kinesis_stream_event.json").read_text())
    source = EventSource(
        "arn:aws:kinesis:us-east-2:123456789012:stream/lambda-stream",
        "arn:aws:iam::123456789012:role/lambda-role",
    )
    records = [
        read_record(source, "shardId-000000000006", answer)
        for answer in (
            {
                "SequenceNumber": "49590338271490256608559692538361571095921575989136588898",
                "PartitionKey": "1",
                "Data": b"Hello, this is a test.",
                "ApproximateArrivalTimestamp": START.fromisoformat("2018-12-17T22:10:50.987+00:00"),
            },
            {
                "SequenceNumber": "49590338271490256608559692540925702759324208523137515618",
                "PartitionKey": "1",
                "Data": b"This is only a test.",
                "ApproximateArrivalTimestamp": START.fromisoformat("2018-12-18T00:11:51.166+02:00"),
            },
        )
    ]
    assert kinesis_event(source, "shardId-000000000006", records) == expected


@given(st.lists(st.tuples(st.text(min_size=1, max_size=9), st.binary(max_size=40)), max_size=5))
def test_the_length_of_an_event_is_known_without_making_it(contents: list[tuple[str, bytes]]) -> None:
    records = [record(n, key, data) for n, (key, data) in enumerate(contents)]
    event = event_json(kinesis_event(SOURCE, "shardId-000000000000", records))
    assert event_bytes(records) == len(event.encode())
