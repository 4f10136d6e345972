"""What a process has already handed over, so that re-reading an overlap does not publish it again.

An economy, not a promise: forgetting everything costs duplicates, which are harmless downstream. So it remembers a
trade only once the caller has come back with the checkpoint that was handed over with it.
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
        """Learn from the checkpoint that a caller comes back with how much of what it got is in the stream."""
        reached = next((n for n, (at, _) in enumerate(self._pending, 1) if at == checkpoint), None)
        if reached is not None:
            for _, trades in self._pending[:reached]:
                self._confirmed.update((trade.event_id, _mark(trade)) for trade in trades)
            self._confirmed_at = checkpoint
        elif checkpoint != self._confirmed_at:
            # Somebody else polled in between, or nothing was ever confirmed: what we know proves nothing.
            self._confirmed.clear()
            self._confirmed_at = checkpoint
        self._pending.clear()

    def unseen(self, trades: Iterable[Trade]) -> list[Trade]:
        """The trades that are new or differ from what was confirmed."""
        return [trade for trade in trades if self._confirmed.get(trade.event_id) != _mark(trade)]

    def hand_over(self, checkpoint: str, trades: list[Trade]) -> None:
        """Note what goes out together with `checkpoint`."""
        self._pending.append((checkpoint, trades))

    def forget_before(self, event_time_ns: int) -> None:
        """Drop what no poll will read again."""
        old = [event_id for event_id, (time_ns, _) in self._confirmed.items() if time_ns < event_time_ns]
        for event_id in old:
            del self._confirmed[event_id]


def _mark(trade: Trade) -> tuple[int, int]:
    # Without the ingest time, the last element: it differs at every reading.
    return trade.event_time_ns, hash(precedence(trade)[:-1])
