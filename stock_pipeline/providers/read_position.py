"""Until when a provider's source was read, by what its checkpoints say."""

import msgspec

from stock_pipeline.providers.alpaca.pages import CapturePosition, CheckpointError
from stock_pipeline.providers.alpaca.position import StreamPosition


def alpaca_read_to_ns(polled: str | None, streamed: str | None) -> int | None:
    """Return until when Alpaca's trades were polled, in nanoseconds; None if the checkpoints do not say so.

    A poll follows the clock. The stream's position follows its trades, which end before the extended hours do: where
    it is ahead it tells nothing.

    polled, streamed: the checkpoints of REST and of the websocket.
    """
    if polled is None:
        return None
    try:
        position = msgspec.json.decode(polled, type=CapturePosition)
        read_to_ns = position.start_ns if position.page_token else position.end_ns
        is_polling = streamed is None or StreamPosition.of(streamed).complete_to_ns < read_to_ns
    except (msgspec.DecodeError, CheckpointError):
        return None  # the producer says so, and alarms
    return read_to_ns if is_polling else None
