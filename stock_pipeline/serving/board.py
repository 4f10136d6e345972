"""The market at a glance: each symbol's latest state with the figures of its day.

State comes from the realtime table, the day from the follower, the previous close from the models. Each quote is
encoded once for each change.
"""

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Decimal
from functools import lru_cache
from itertools import repeat

import msgspec

from stock_pipeline.aws.shown_state import ShownState
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.serving.bodies import Body
from stock_pipeline.serving.live_session import LiveDay, LiveSession
from stock_pipeline.serving.shapes import Quote
from stock_pipeline.serving.units import price_of, shares_of_units, vwap_of_units

encode = msgspec.json.Encoder(decimal_format="string").encode

_PERCENT = Decimal("0.01")


class Board:
    """Quotes by symbol and feed, each as JSON."""

    def __init__(self) -> None:
        self.number = 0
        self.session_date: date | None = None
        self.quotes: dict[SymbolKey, bytes] = {}
        self._feeds: dict[str, list[str]] = {}
        self.states: Mapping[SymbolKey, ShownState] = {}
        self.previous_closes: Mapping[SymbolKey, Decimal] = {}
        self._bodies: dict[tuple[str, ...], Body] = {}

    def update(self, session: LiveSession | None, keys: Iterable[SymbolKey]) -> dict[SymbolKey, bytes]:
        """Make the quotes of these symbols anew; return those that changed."""
        changed = {}
        wanted = list(keys)
        days = session.days(wanted) if session else repeat(None)
        for key, day in zip(wanted, days, strict=False):
            quote = self._quote(session, key, day)
            if quote is not None and (encoded := encode(quote)) != self.quotes.get(key):
                changed[key] = encoded
        date_changed = session is not None and session.session_date != self.session_date
        if changed or date_changed:
            self.session_date = session.session_date if session else self.session_date
            # a new dict, because requests may be reading the old one
            merged = self.quotes | changed
            # a key that is there keeps its place
            self.quotes = merged if len(merged) == len(self.quotes) else dict(sorted(merged.items()))
            if len(self.quotes) != sum(map(len, self._feeds.values())):
                feeds: dict[str, list[str]] = {}
                for key in self.quotes:
                    feeds.setdefault(key.symbol, []).append(key.feed)
                self._feeds = feeds
            self.number += 1
            self._bodies = {}
        return changed

    def next_number(self) -> int:
        """Return the number of an event that changes no quote."""
        self.number += 1
        self._bodies = {}
        return self.number

    def body(self, symbols: tuple[str, ...] = ()) -> Body:
        """Return the answer for some symbols, or for all."""
        bodies = self._bodies
        body = bodies.get(symbols)
        if body is None:
            wanted = frozenset(symbols)
            quotes = [quote for key, quote in self.quotes.items() if not wanted or key.symbol in wanted]
            head = encode({"event": self.number, "sessionDate": self.session_date})[:-1]
            body = Body(head + b',"quotes":[' + b",".join(quotes) + b"]}")
            if len(bodies) < len(self.quotes) + 100:
                bodies[symbols] = body
        return body

    def feeds_of(self, symbol: str) -> list[str]:
        return self._feeds.get(symbol, [])

    def _quote(self, session: LiveSession | None, key: SymbolKey, live: LiveDay | None) -> Quote | None:
        state = self.states.get(key)
        if live is not None and (state is None or live.latest_ns >= state.event_time_ns):
            event_time_ns, price = live.latest_ns, price_of(live.latest_price)
        elif state is not None:
            event_time_ns, price = state.event_time_ns, state.price
        else:
            return None
        assert price is not None
        day = live.bar if live else None
        close = price_of(day.close) if day else None
        eligible = price_of(live.eligible_price) if live else state.last_eligible if state else None
        previous = self.previous_closes.get(key)
        last = close or eligible or price
        return Quote(
            symbol=key.symbol,
            feed=key.feed,
            session_date=session.session_date if session and live else state.session_date if state else date.min,
            event_time=iso_ns(event_time_ns),
            price=price,
            last_eligible=eligible,
            previous_close=previous,
            change=None if previous is None else last - previous,
            change_percent=_percent(last, previous),
            open=price_of(day.open) if day else None,
            high=price_of(day.high) if day else None,
            low=price_of(day.low) if day else None,
            close=close,
            volume=shares_of_units(day.volume) if day else None,
            vwap=vwap_of_units(day.turnover, day.priced_volume) if day else None,
            trade_count=day.trade_count if day else None,
            averages={f"{window}": average for window, average in state.averages.items()} if state else {},
        )


def iso_ns(event_time_ns: int) -> str:
    """Return an instant as ISO 8601, UTC, with nine digits."""
    seconds, nanoseconds = divmod(event_time_ns, 10**9)
    return f"{_second(seconds)}.{nanoseconds:09}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    # most quotes of a look are of a few seconds
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"


def _percent(price: Decimal, previous: Decimal | None) -> Decimal | None:
    if not previous:
        return None
    return ((price - previous) * 100 / previous).quantize(_PERCENT, ROUND_HALF_EVEN)
