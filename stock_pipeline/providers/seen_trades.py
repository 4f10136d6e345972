"""What a process has handed over, so that an overlap is not published again: trades, and pieces that are none.

Forgetting it only costs repeats, which are harmless downstream. So it is remembered only once the caller comes back
with its checkpoint, and a new process remembers nothing.
"""

from collections.abc import Iterable, Sequence
from hashlib import blake2b

from stock_pipeline.domain.capture import UnreadablePayload
from stock_pipeline.domain.trade import Trade, precedence

_Entry = tuple[int, int]
"""Hash of an identity; and a time that its own does not exceed, above 64 bits of its content's hash.

Two integers are all that is kept, because an overlap of a busy feed has millions of trades.
"""

_CONTENT_BITS = 64


class SeenPieces:
    """Unreadable pieces that were handed over, one overlap's worth."""

    def __init__(self) -> None:
        self._until_ns: dict[bytes, int] = {}

    def unseen(self, pieces: Iterable[UnreadablePayload]) -> tuple[UnreadablePayload, ...]:
        """Return the pieces that are new."""
        return tuple(piece for piece in pieces if _digest(piece) not in self._until_ns)

    def handed_over(self, pieces: Iterable[UnreadablePayload], until_ns: int) -> None:
        """Remember the pieces. until_ns: none is later, whatever its time is."""
        self._until_ns.update((_digest(piece), until_ns) for piece in pieces)

    def forget_before(self, time_ns: int) -> None:
        """Drop what is too old to be read again."""
        self._until_ns = {digest: until_ns for digest, until_ns in self._until_ns.items() if until_ns >= time_ns}


class SeenTrades:
    """Content of confirmed captures: trades by `event_id`, unreadable pieces by digest. One overlap's worth.

    Not safe to share between threads.
    """

    def __init__(self) -> None:
        self._confirmed: dict[int, int] = {}
        self._confirmed_at: str | None = None
        self._pending: list[tuple[str, list[_Entry]]] = []

    def resume(self, checkpoint: str | None) -> None:
        """Confirm what the caller has put into the stream, as its checkpoint tells."""
        reached = next((n for n, (at, _) in enumerate(self._pending, 1) if at == checkpoint), None)
        if reached is not None:
            for _, entries in self._pending[:reached]:
                self._confirmed.update(entries)
            self._confirmed_at = checkpoint
        elif checkpoint != self._confirmed_at:
            # Another process polled in between, or nothing was ever confirmed: this memory proves nothing.
            self._confirmed.clear()
            self._confirmed_at = checkpoint
        self._pending.clear()

    def unseen(self, trades: Iterable[Trade]) -> list[Trade]:
        """Return the trades that are new or differ from the confirmed ones."""
        return [trade for trade in trades if self._confirmed.get(hash(trade.event_id)) != _mark(trade)]

    def unseen_unreadable(self, pieces: Iterable[UnreadablePayload]) -> list[UnreadablePayload]:
        """Return the pieces that are new."""
        return [piece for piece in pieces if hash(_digest(piece)) not in self._confirmed]

    def hand_over(
        self, checkpoint: str, trades: Iterable[Trade], unreadable: Sequence[UnreadablePayload], until_ns: int
    ) -> None:
        """Note what goes out with `checkpoint`. until_ns: no piece is later, whatever its time is."""
        entries = [(hash(trade.event_id), _mark(trade)) for trade in trades]
        entries += [(hash(_digest(piece)), until_ns << _CONTENT_BITS) for piece in unreadable]
        self._pending.append((checkpoint, entries))

    def forget_before(self, time_ns: int) -> None:
        """Drop what is too old to be read again."""
        oldest = time_ns << _CONTENT_BITS
        # In place, because a copy would need the memory twice.
        for identity in [identity for identity, mark in self._confirmed.items() if mark < oldest]:
            del self._confirmed[identity]


def _mark(trade: Trade) -> int:
    # Without the ingest time, the last element: it differs at every reading.
    content = hash(precedence(trade)[:-1]) % (1 << _CONTENT_BITS)
    return trade.event_time_ns << _CONTENT_BITS | content


def _digest(piece: UnreadablePayload) -> bytes:
    return blake2b(piece.payload, digest_size=16).digest()
