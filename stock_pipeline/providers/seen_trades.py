"""Trades that a process has handed over, so that an overlap is not published again.

Forgetting them only costs duplicates, which are harmless downstream. So a trade is remembered only once the caller
comes back with its checkpoint.
"""

from collections.abc import Iterable

from stock_pipeline.domain.trade import Trade, precedence


class SeenTrades:
    """Trades of confirmed captures, by `event_id`. Not safe to share between threads."""

    def __init__(self) -> None:
        self._confirmed: dict[str, tuple[int, int]] = {}
        self._confirmed_at: str | None = None
        self._pending: list[tuple[str, list[Trade]]] = []

    def resume(self, checkpoint: str | None) -> None:
        """Confirm the trades that the caller has put into the stream, as its checkpoint tells."""
        reached = next((n for n, (at, _) in enumerate(self._pending, 1) if at == checkpoint), None)
        if reached is not None:
            for _, trades in self._pending[:reached]:
                self._confirmed.update((trade.event_id, _mark(trade)) for trade in trades)
            self._confirmed_at = checkpoint
        elif checkpoint != self._confirmed_at:
            # Another process polled in between, or nothing was ever confirmed: this memory proves nothing.
            self._confirmed.clear()
            self._confirmed_at = checkpoint
        self._pending.clear()

    def unseen(self, trades: Iterable[Trade]) -> list[Trade]:
        """Return the trades that are new or differ from the confirmed ones."""
        return [trade for trade in trades if self._confirmed.get(trade.event_id) != _mark(trade)]

    def hand_over(self, checkpoint: str, trades: list[Trade]) -> None:
        """Note the trades that go out with `checkpoint`."""
        self._pending.append((checkpoint, trades))

    def forget_before(self, event_time_ns: int) -> None:
        """Drop trades too old to be read again."""
        old = [event_id for event_id, (time_ns, _) in self._confirmed.items() if time_ns < event_time_ns]
        for event_id in old:
            del self._confirmed[event_id]


def _mark(trade: Trade) -> tuple[int, int]:
    # Without the ingest time, the last element: it differs at every reading.
    return trade.event_time_ns, hash(precedence(trade)[:-1])
