"""The stream's stored position: an instant, and what is under way: a gap's window, amendments that wait.

What the instant means: `coverage`.
"""

import msgspec

from stock_pipeline.providers.alpaca.pages import CapturePosition, CheckpointError


class StreamPosition(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where a later process goes on. Unless something is under way, it is stored as its instant alone, an integer.

    complete_to_ns: nanoseconds since 1970 UTC
    gap: the window that REST is read in, and its next page
    amendments: messages that are not settled, which REST would not show again
    """

    complete_to_ns: int
    gap: CapturePosition | None = None
    amendments: tuple[str, ...] = ()

    def text(self) -> str:
        begun = self.gap is not None and self.gap.page_token is not None
        return msgspec.json.encode(self if begun or self.amendments else self.complete_to_ns).decode()

    @classmethod
    def of(cls, text: str) -> "StreamPosition":
        """Return what `text` says, or raise `CheckpointError`."""
        try:
            stored = msgspec.json.decode(text, type=int | StreamPosition)
        except msgspec.DecodeError:
            raise CheckpointError(
                "the checkpoint is not the stream's: restore it, or delete it to begin now, without the trades since"
            ) from None
        return stored if isinstance(stored, StreamPosition) else cls(stored)
