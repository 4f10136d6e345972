"""How the lines of a record are written into the stream, told apart by their first bytes.

`ndjson` is the lines themselves. `zstd` is a zstd frame (RFC 8878) around them, which has a tenth of the bytes, so a
shard carries ten times the trades. Readers take both, whatever the setting is.
"""

from collections.abc import Callable
from typing import NamedTuple

from backports import zstd

from stock_pipeline.streaming.record_packing import RECORD_BYTES

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"

MOST_OPENED_BYTES = 2**20
"""Of a record. A frame that announces more is refused before a byte of it is opened."""

_LEVEL = 3


class Encoding(NamedTuple):
    """record_bytes: up to which lines are packed together. encode: makes a record's bytes of its lines."""

    record_bytes: int
    encode: Callable[[bytes], bytes]


def _compressed(data: bytes) -> bytes:
    return zstd.compress(data, _LEVEL)


ENCODINGS = {
    "ndjson": Encoding(RECORD_BYTES, lambda data: data),
    # some 900 trades, which come to a billing unit of 25 KB
    "zstd": Encoding(10 * RECORD_BYTES, _compressed),
}


class UnopenedError(ValueError):
    """A frame that can't be opened; the text says why."""


def opened(data: bytes) -> bytes:
    """Return a record's lines. Raises `UnopenedError` for a zstd frame that is broken, too large or not alone."""
    if not data.startswith(ZSTD_MAGIC):
        return data
    try:
        size = zstd.get_frame_info(data).decompressed_size
        if size is None:
            raise UnopenedError("it does not announce its length")
        if size > MOST_OPENED_BYTES:
            raise UnopenedError(f"it announces {size:,} bytes, more than the {MOST_OPENED_BYTES:,} of a record")
        decompressor = zstd.ZstdDecompressor()
        text = decompressor.decompress(data, max_length=size + 1)
    except zstd.ZstdError as error:
        raise UnopenedError(str(error)) from None
    if not decompressor.eof or len(text) != size or decompressor.unused_data:
        raise UnopenedError("it is cut off, longer than it announces, or followed by something else")
    return text
