"""What of the tape is published: by a subscription from its start on, by REST before that. Pure.

A position is an instant: REST, asked from the overlap before it on, shows whatever is not published yet. It follows
what was published, never the clock.

The overlap covers that REST lags behind the tape, and that trades are reported late. So a subscription takes over only
once REST was read to the overlap after its start. Before that, the last trades before it may still be missing.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from stock_pipeline.domain.trade import Trade

NANOSECONDS = 10**9

SKEW_NS = 10 * NANOSECONDS
"""Most that this clock and the venue's may differ before a quiet symbol is taken for a missing one."""


@dataclass(eq=False, slots=True)
class Subscription:
    """What one connection delivers from `since_ns` on.

    whole: every symbol was confirmed
    joined: nothing before it is missing, so that the position follows it
    """

    since_ns: int
    published_to_ns: int
    whole: bool
    joined: bool = False


class Coverage:
    """The position, and for each symbol until when the stream or REST has spoken for it."""

    def __init__(self, symbols: Iterable[str], overlap_seconds: float, position_ns: int) -> None:
        self._overlap_ns = int(overlap_seconds * NANOSECONDS)
        self._position_ns = position_ns
        self._heard_ns = dict.fromkeys(symbols, position_ns)
        self._checked_ns = dict(self._heard_ns)
        self._newest_ns = dict.fromkeys(self._heard_ns, 0)
        self.subscription: Subscription | None = None
        self._latest: Subscription | None = None

    @property
    def position_ns(self) -> int:
        """Return the position in nanoseconds.

        A symbol that nobody has spoken for holds it back: its silence may be the stream's fault.
        """
        return min(self._position_ns, *map(self._spoken_for_ns, self._heard_ns))

    def subscribe(self, now_ns: int, confirmed: Iterable[str]) -> Subscription:
        """Begin a subscription.

        The one before it is followed no longer: it may have left a symbol out that this one speaks for, and its frames
        may still be published.
        """
        self.doubt()
        whole = self._heard_ns.keys() <= set(confirmed)
        self._heard_ns = {symbol: max(heard_ns, now_ns) for symbol, heard_ns in self._heard_ns.items()}
        self.subscription = self._latest = Subscription(now_ns, now_ns, whole)
        return self.subscription

    def end(self) -> None:
        """Note that the connection ended. Its frames may still be published."""
        self.subscription = None

    def published(self, subscription: Subscription, arrived_ns: int, trades: Iterable[Trade] = ()) -> None:
        """Note that all that arrived until then is published, the trades of that moment with it."""
        subscription.published_to_ns = max(subscription.published_to_ns, arrived_ns)
        if subscription.joined:
            self._position_ns = max(self._position_ns, arrived_ns)
        for trade in trades:
            if trade.symbol in self._heard_ns:
                self._heard_ns[trade.symbol] = max(self._heard_ns[trade.symbol], arrived_ns)
                self._newest_ns[trade.symbol] = max(self._newest_ns[trade.symbol], trade.event_time_ns)

    def read_to(self, end_ns: int) -> None:
        """Note that REST was read from the overlap before the position to `end_ns`, and published."""
        self.checked(self._heard_ns, end_ns)
        self._position_ns = max(self._position_ns, end_ns)
        subscription = self.subscription
        if subscription is None or not subscription.whole or end_ns < subscription.since_ns + self._overlap_ns:
            return
        subscription.joined = True
        self._position_ns = max(self._position_ns, subscription.published_to_ns)

    def silent(self, before_ns: int) -> list[str]:
        """Return the symbols that nobody has spoken for since `before_ns`."""
        return [symbol for symbol in self._heard_ns if self._spoken_for_ns(symbol) <= before_ns]

    def check_from_ns(self, symbols: Sequence[str]) -> int:
        """Return from when on REST must be asked about silent symbols."""
        return min(max(self._heard_ns[s] - SKEW_NS, self._checked_ns[s] - self._overlap_ns) for s in symbols)

    def missed(self, trades: Iterable[Trade]) -> set[str]:
        """Return the symbols that trade although their subscription does not say so."""
        subscription = self.subscription
        if subscription is None:
            return set()
        latest_ns = subscription.published_to_ns - SKEW_NS
        return {
            trade.symbol
            for trade in trades
            if trade.symbol in self._heard_ns
            and self._known_ns(trade.symbol, subscription) + SKEW_NS < trade.event_time_ns <= latest_ns
        }

    def checked(self, symbols: Iterable[str], end_ns: int) -> None:
        """Note that REST spoke for the symbols until `end_ns`."""
        for symbol in symbols:
            self._checked_ns[symbol] = max(self._checked_ns[symbol], end_ns)

    def doubt(self) -> None:
        """Follow the latest subscription no longer, because it may have left trades out."""
        self._position_ns = self.position_ns
        if self._latest is not None:
            self._latest.joined = False

    def _spoken_for_ns(self, symbol: str) -> int:
        return max(self._heard_ns[symbol], self._checked_ns[symbol])

    def _known_ns(self, symbol: str, subscription: Subscription) -> int:
        return max(self._newest_ns[symbol], self._checked_ns[symbol], subscription.since_ns)
