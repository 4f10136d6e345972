"""Records as zstd frames: the same trades as from lines, and what can't be opened stays whole."""

import pytest
from backports import zstd
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.arrival import ArrivalLimits
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.streaming.batch_decoder import decode_batch
from stock_pipeline.streaming.kinesis_event import parse_kinesis_event
from stock_pipeline.streaming.record_encoding import ENCODINGS, MOST_OPENED_BYTES, UnopenedError, opened
from stock_pipeline.streaming.record_lines import lines_of, other_form
from stock_pipeline.streaming.record_packing import RECORD_LINES, pack
from stock_pipeline.streaming.trade_json import encode_trade
from tests.support.kinesis_events import kinesis_event
from tests.support.trades import trade

LIMITS = ArrivalLimits(900, 36_500)
LINES = [encode_trade(trade(number)) for number in range(50)]


def decoded(payloads: list[bytes]) -> tuple[object, list[int], list[tuple[str, int | None, bytes]]]:
    batch = decode_batch(parse_kinesis_event(kinesis_event(payloads)), LIMITS)
    rejections = [(each.reason, each.line, each.payload) for each in batch.rejections]
    return batch.trades.to_pylist(), batch.record_of_row.tolist(), rejections


@given(st.lists(st.tuples(st.booleans(), st.lists(st.sampled_from([*LINES, b"", b"broken", b"{}"]), max_size=8))))
def test_frames_and_lines_are_decoded_alike(records: list[tuple[bool, list[bytes]]]) -> None:
    lines = [b"\n".join(some) for _, some in records]
    mixed = [zstd.compress(text) if framed else text for (framed, _), text in zip(records, lines, strict=True)]
    if records:
        assert decoded(mixed) == decoded(lines)


def test_a_frame_is_smaller_by_ten_times() -> None:
    text = b"\n".join(encode_trade(trade(number, conditions="FI"[number % 2])) for number in range(900))
    assert len(ENCODINGS["zstd"].encode(text)) * 10 < len(text)


@given(st.data())
def test_whatever_is_not_a_whole_frame_is_refused_or_the_same_lines(data: st.DataObject) -> None:
    frame = bytearray(zstd.compress(b"\n".join(LINES)))
    place = data.draw(st.integers(4, len(frame) - 1))
    damage = data.draw(st.sampled_from(("bit", "cut", "more")))
    if damage == "bit":
        frame[place] ^= 1 << data.draw(st.integers(0, 7))
    elif damage == "cut":
        del frame[place:]
    else:
        frame += b"x"
    try:
        text = opened(bytes(frame))
    except UnopenedError:
        assert lines_of(bytes(frame)) == [bytes(frame)]
        assert other_form(bytes(frame))
    else:
        # without a checksum a bit may change a letter: its line is judged like any other
        assert len(text) <= MOST_OPENED_BYTES


def test_a_bomb_is_refused_at_the_length_it_announces() -> None:
    bomb = zstd.compress(b"\0" * (64 * 2**20))
    assert len(bomb) < 10_000
    with pytest.raises(UnopenedError, match="announces 67,108,864 bytes"):
        opened(bomb)


def test_a_frame_without_a_length_is_refused() -> None:
    compressor = zstd.ZstdCompressor()
    frame = compressor.compress(LINES[0]) + compressor.flush()
    with pytest.raises(UnopenedError, match="does not announce its length"):
        opened(frame)


def test_a_frame_that_cannot_be_opened_is_one_rejection_with_its_bytes() -> None:
    broken = zstd.compress(LINES[0])[:-3]
    _, records, rejections = decoded([LINES[1], broken, LINES[2]])
    assert records == [0, 2]
    assert rejections == [(Reason.NOT_JSON, None, broken)]


def test_a_line_of_a_frame_is_rejected_with_its_number() -> None:
    _, records, rejections = decoded([zstd.compress(b"\n".join([LINES[0], b"broken", LINES[1]]))])
    assert records == [0, 0]
    assert rejections == [(Reason.NOT_JSON, 1, b"broken")]


def test_a_packed_frame_has_a_bounded_number_of_lines_and_bytes() -> None:
    small = [("key", b"{}")] * (2 * RECORD_LINES + 1)
    encoding = ENCODINGS["zstd"]
    assert [record.lines for record in pack(small, encoding.record_bytes)] == [RECORD_LINES, RECORD_LINES, 1]
    large = [("key", line) for line in LINES * 100]
    assert all(
        len(record.data) <= encoding.record_bytes < MOST_OPENED_BYTES for record in pack(large, encoding.record_bytes)
    )
