"""Retries' rows count once, and lines are given up only if they are nowhere else."""

import base64
import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.lake_layout import raw_key, sequence_range_of_key, unpublished_key
from stock_pipeline.local.load.findings import (
    GivenUpRecord,
    LakeFindings,
    OverlapError,
    QueueFindings,
    SequenceRange,
    given_up_lines,
    given_up_records,
    maximal_ranges,
    read_lake,
)
from stock_pipeline.providers.simulator.ledger import HASH_MODULUS, LakeDigest, hashed_values, row_hash
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.streaming.trade_json import encode_trade
from stock_pipeline.trade_table import table_of_trades
from tests.fakes.stores import FakeObjectStore
from tests.support.sample_session import SAMPLE_DATE
from tests.support.trades import trade

SHARD = "shardId-000000000000"
HASH = "0123456789abcdef"


def split_at_random(first: int, last: int, chance: random.Random) -> list[SequenceRange]:
    """Return a batch as the event source mapping tries it: whole, then in halves, or from some record on."""
    tries = [SequenceRange(SHARD, first, last)]
    if first < last and chance.random() < 0.7:
        middle = chance.randrange(first, last)
        tries += split_at_random(first, middle, chance) + split_at_random(middle + 1, last, chance)
    elif first < last and chance.random() < 0.5:
        tries += split_at_random(chance.randrange(first + 1, last + 1), last, chance)
    return tries


@given(st.integers(0, 2**32), st.lists(st.integers(1, 40), max_size=6))
def test_of_a_batch_and_its_parts_the_batch_counts(seed: int, sizes: list[int]) -> None:
    chance = random.Random(seed)
    batches, tries, first = [], [], 0
    for size in sizes:
        batches.append(SequenceRange(SHARD, first, first + size - 1))
        tries += split_at_random(first, first + size - 1, chance)
        first += size
    chance.shuffle(tries)
    assert maximal_ranges(tries) == batches
    elsewhere = [found._replace(shard_id="shardId-000000000001") for found in tries]
    assert len(maximal_ranges(tries + elsewhere)) == 2 * len(batches)


def test_files_that_overlap_otherwise_can_not_be_counted() -> None:
    with pytest.raises(OverlapError):
        maximal_ranges([SequenceRange(SHARD, 1, 10), SequenceRange(SHARD, 5, 11)])


def test_a_raw_key_says_what_it_covers() -> None:
    assert sequence_range_of_key(raw_key(SAMPLE_DATE, SHARD, "007", "49590338271490256608", HASH)) == (
        SHARD,
        7,
        49590338271490256608,
    )
    with pytest.raises(ValueError, match="not the key of a raw object"):
        sequence_range_of_key("raw/trades/year=2018/month=1/day=2/something.parquet")


def test_rows_written_again_by_a_retry_count_once() -> None:
    """Records 1 to 2 hold five rows, one of them twice; the second half was tried again, and written again."""
    store = FakeObjectStore()
    rows = [trade(number) for number in (1, 2, 3, 3, 4)]
    store.put(raw_key(SAMPLE_DATE, SHARD, "1", "2", HASH), parquet_bytes(table_of_trades(rows)))
    store.put(raw_key(SAMPLE_DATE, SHARD, "2", "2", HASH), parquet_bytes(table_of_trades(rows[3:])))
    found = read_lake(store)  # type: ignore[arg-type]
    assert (found.files, found.rows_written, found.rows_of_stream) == (2, 7, 5)
    assert found.digest == LakeDigest(
        4, 400, sum(row_hash(*hashed_values(trade(number))) for number in (1, 2, 3, 4)) % HASH_MODULUS
    )


def test_two_files_of_the_same_records_can_not_be_counted() -> None:
    store = FakeObjectStore()
    for number in (1, 2):
        body = parquet_bytes(table_of_trades([trade(number)]))
        store.put(raw_key(SAMPLE_DATE, SHARD, "1", "2", f"{number:016}"), body)
    with pytest.raises(OverlapError):
        read_lake(store)  # type: ignore[arg-type]


def test_a_lake_without_files_is_counted_too() -> None:
    assert read_lake(FakeObjectStore()).digest == LakeDigest(0, 0, 0)  # type: ignore[arg-type]


def findings(*ranges: SequenceRange) -> LakeFindings:
    return LakeFindings(len(ranges), 0, 0, LakeDigest(0, 0, 0), tuple(maximal_ranges(ranges)))


def test_lines_are_given_up_only_if_they_are_nowhere_else() -> None:
    lake = findings(SequenceRange(SHARD, 10, 19), SequenceRange("shardId-000000000001", 1, 5))
    queue = QueueFindings(1, frozenset({f"{SHARD}:20:1"}), {})
    records = [
        GivenUpRecord("key", b"never\nin the\nstream"),
        GivenUpRecord("key", encode_trade(trade()) + b"\nrejected, and not in the queue", SHARD, 19),
        GivenUpRecord("key", b"given up\nrejected\ngiven up", SHARD, 20),
        GivenUpRecord("key", b"before the first file", SHARD, 9),
        GivenUpRecord("key", b"of another shard", "shardId-000000000002", 3),
    ]
    assert given_up_lines(iter(records), lake, queue) == 3 + 1 + 2 + 1 + 1


def test_failed_documents_of_both_kinds_are_read() -> None:
    store = FakeObjectStore()
    data = base64.b64encode(b"a\nb").decode()
    kept = {"kind": "unpublished_records", "records": [{"partition_key": "k1", "data_base64": data}]}
    event = {
        "Records": [{"kinesis": {"partitionKey": "k2", "data": data, "sequenceNumber": "17"}, "eventID": f"{SHARD}:17"}]
    }
    store.put(unpublished_key("0" * 64), json.dumps(kept).encode())
    store.put("failed/aws/lambda/uuid/shard/2026/11/22/x", json.dumps({"payload": json.dumps(event)}).encode())
    assert sorted(given_up_records(store), key=lambda each: each.partition_key) == [  # type: ignore[arg-type]
        GivenUpRecord("k1", b"a\nb"),
        GivenUpRecord("k2", b"a\nb", SHARD, 17),
    ]
