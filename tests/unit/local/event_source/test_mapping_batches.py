"""Which records an event source mapping puts into one batch, and into which lane."""

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.local.event_source.mapping import MAX_EVENT_BYTES, first_batch, is_full, lane_number
from stock_pipeline.local.event_source.shard_record import event_bytes
from tests.support.stream_batches import MAPPING, record


def test_a_batch_ends_at_the_batch_size() -> None:
    records = tuple(record(n) for n in range(150))
    assert first_batch(MAPPING, records) == records[:100]
    assert is_full(MAPPING, records[:100])
    assert not is_full(MAPPING, records[:99])


def test_a_batch_ends_before_its_event_outgrows_lambdas_limit() -> None:
    # 5 x 1 MiB is 6.67 MiB in base64
    records = tuple(record(n, data=b"x" * 2**20) for n in range(5))
    batch = first_batch(MAPPING, records)
    assert len(batch) == 4
    assert event_bytes(batch) <= MAX_EVENT_BYTES < event_bytes(records[:5])
    assert is_full(MAPPING, records)


def test_the_size_limit_is_exact() -> None:
    small = record(1)
    room = MAX_EVENT_BYTES - event_bytes([small]) - 1
    fits = replace(record(2), event_bytes=room)
    assert first_batch(MAPPING, (small, fits)) == (small, fits)
    assert first_batch(MAPPING, (small, replace(fits, event_bytes=room + 1))) == (small,)


def test_a_record_that_is_too_large_is_a_batch_of_its_own() -> None:
    giant = replace(record(1), event_bytes=MAX_EVENT_BYTES)
    assert first_batch(MAPPING, (giant, record(2))) == (giant,)


@given(st.text(min_size=1, max_size=256), st.integers(1, 10))
def test_a_partition_key_has_a_lane_of_those_there_are(key: str, factor: int) -> None:
    assert 0 <= lane_number(replace(MAPPING, parallelization_factor=factor), key) < factor


def test_a_partition_key_has_the_same_lane_in_every_process() -> None:
    mapping = replace(MAPPING, parallelization_factor=10)
    assert [lane_number(mapping, key) for key in ("bucket-0001", "bucket-0002", "AAPL")] == [5, 1, 2]


def test_every_lane_gets_keys() -> None:
    mapping = replace(MAPPING, parallelization_factor=10)
    assert {lane_number(mapping, str(bucket)) for bucket in range(64)} == set(range(10))
