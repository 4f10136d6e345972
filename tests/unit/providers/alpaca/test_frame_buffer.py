"""The buffer keeps order and bound, and frees room only for what is published."""

import asyncio

import pytest

from stock_pipeline.providers.alpaca.coverage import Subscription
from stock_pipeline.providers.alpaca.frame_buffer import FRAME_OVERHEAD_BYTES, BacklogError, Frame, FrameBuffer

SUBSCRIPTION = Subscription(0, 0, whole=True, joined=True)
SIZE = 100 + FRAME_OVERHEAD_BYTES


def frame(number: int, length: int = 100) -> Frame:
    return Frame(b"x" * length, number, SUBSCRIPTION)


def arrivals(frames: list[Frame]) -> list[int]:
    return [one.arrived_ns for one in frames]


def test_frames_are_taken_in_order_and_within_a_batch() -> None:
    buffer = FrameBuffer(10 * SIZE)
    for number in range(5):
        buffer.put(frame(number))
    assert arrivals(buffer.take(2 * SIZE)) == [0, 1]
    assert len(buffer) == 3
    assert not buffer.is_idle
    buffer.settle()
    assert arrivals(buffer.take(10 * SIZE)) == [2, 3, 4]
    assert not buffer.is_idle
    buffer.settle()
    assert buffer.is_idle


def test_a_frame_larger_than_batch_or_buffer_is_taken_alone() -> None:
    buffer = FrameBuffer(SIZE)
    buffer.put(frame(1, 5000))
    assert arrivals(buffer.take(SIZE)) == [1]


def test_what_is_being_published_still_needs_its_room() -> None:
    buffer = FrameBuffer(2 * SIZE)
    buffer.put(frame(1))
    buffer.put(frame(2))
    buffer.take(2 * SIZE)
    with pytest.raises(BacklogError, match="slow or refuses"):
        buffer.put(frame(3))
    buffer.settle()
    buffer.put(frame(3))
    assert arrivals(buffer.take(SIZE)) == [3]


def test_there_is_room_once_half_is_free() -> None:
    async def scenario() -> None:
        buffer = FrameBuffer(4 * SIZE)
        for number in range(4):
            buffer.put(frame(number))
        waiting = asyncio.create_task(buffer.wait_for_room())
        for _ in range(2):
            await asyncio.sleep(0)
            assert not waiting.done()
            buffer.take(SIZE)
            buffer.settle()
        await waiting

    asyncio.run(scenario())
