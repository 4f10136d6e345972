"""Price alerts of the followed session: what the rules find in its live bars is written down in the lake, then told.

`domain.price_alert` finds, `domain.told_alerts` knows what was told. Here they meet the lake and whoever is told.
"""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Protocol

from stock_pipeline.domain.feed_session import feed_session_hours
from stock_pipeline.domain.lake_layout import alerts_key
from stock_pipeline.domain.price_alert import Crossing, Minute, Rule, Seen, Silence
from stock_pipeline.domain.session import NANOSECONDS, session_date_of
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.told_alerts import Series, ToldAlert, ToldAlerts
from stock_pipeline.domain.trade import price_units
from stock_pipeline.errors import DamagedItemError, RetryableError
from stock_pipeline.serving.live_session import LiveSession

SEND_SECONDS = 10.0
"""Between two messages: what is found meanwhile goes together."""

LINES_SENT = 50
_TRIES = 5


class AlertObjects(Protocol):
    def read(self, key: str) -> tuple[bytes, str] | None: ...
    def put_if_absent(self, key: str, body: bytes) -> bool: ...
    def replace(self, key: str, body: bytes, etag: str) -> bool: ...


Send = Callable[[str, str], None]
"""Takes a subject and a message."""


@dataclass
class PriceAlerts:
    """Used on the service's thread; `told` and `found` are replaced as a whole, so that requests may read them.

    send: None where log lines are all that is wanted. log: takes a line. now: the clock, UTC.
    """

    rules: tuple[Rule, ...]
    objects: AlertObjects
    send: Send | None
    log: Callable[[str], None]
    now: Callable[[], datetime]
    session_date: date | None = None
    told: ToldAlerts = field(default_factory=ToldAlerts)
    found: Mapping[Series, Sequence[Crossing]] = field(default_factory=dict)
    _etag: str | None = None
    _minutes: dict[SymbolKey, list[Minute]] = field(default_factory=dict)
    _closes: dict[SymbolKey, Decimal | None] = field(default_factory=dict)
    _shown: set[tuple[Series, int]] = field(default_factory=set)
    _mine: dict[tuple[Series, int], datetime] = field(default_factory=dict)
    _sent_here: dict[tuple[Series, int], ToldAlert] = field(default_factory=dict)
    """Sent, and not written down as such: the write failed."""
    _sent_at: float = float("-inf")

    def look(
        self,
        session: LiveSession | None,
        changed: Collection[SymbolKey],
        known: Iterable[SymbolKey],
        closes: Mapping[SymbolKey, Decimal],
        seconds: float,
    ) -> list[ToldAlert]:
        """Tell what is new; return what was not shown here yet, of other servers too.

        changed: symbols whose bars may have changed since the look before. known: symbols of the board, for those
        without a trade yet. closes: the previous session's. seconds: of a clock that only goes forward.
        """
        if session is None or not self.rules:
            return []
        if session.session_date != self.session_date:
            self._begin(session.session_date)
        self._find(session, changed, {*session.series, *known}, closes)
        self._write_down()
        if self.send is not None:
            self._tell(self.send, seconds)
        fresh = [alert for alert in self.told.alerts if alert.place not in self._shown]
        self._shown.update(alert.place for alert in fresh)
        return fresh

    def stands(self, alert: ToldAlert) -> bool:
        """Tell if the bars still say so: a correction may have taken the crossing away."""
        crossings = self.found.get(alert.series)
        return crossings is None or any(crossing.covers(alert.at_ns) for crossing in crossings)

    def _begin(self, session_date: date) -> None:
        self.session_date = None
        self._etag, self.told, self.found = None, ToldAlerts(), {}
        self._minutes, self._closes, self._mine, self._sent_here = {}, {}, {}, {}
        self._load(session_date)
        self._shown = {alert.place for alert in self.told.alerts}
        self.session_date = session_date

    def _load(self, session_date: date) -> None:
        key = alerts_key(session_date)
        stored = self.objects.read(key)
        if stored is None:
            self.told, self._etag = ToldAlerts(), None
            return
        try:
            self.told, self._etag = ToldAlerts.parse(stored[0]), stored[1]
        except ValueError as error:
            raise DamagedItemError(
                f"{key} can't be read as told alerts ({error}): delete it, and the session's are told again"
            ) from error

    def _find(
        self,
        session: LiveSession,
        changed: Collection[SymbolKey],
        keys: Collection[SymbolKey],
        closes: Mapping[SymbolKey, Decimal],
    ) -> None:
        now_ns = int(self.now().timestamp()) * NANOSECONDS
        found = dict(self.found)
        looked: set[SymbolKey] = set()
        for rule, key in watched(self.rules, session.session_date, keys):
            series = Series(rule.name, rule.says, key)
            is_news = key in changed or key not in self._minutes or self._closes.get(key) != closes.get(key)
            if is_news and key not in looked:
                self._minutes[key] = session.minutes(key)
            looked |= {key} if is_news else set()
            if not is_news and key not in looked and series in found and not isinstance(rule.condition, Silence):
                continue
            found[series] = crossings_of(rule, key, session.session_date, self._minutes[key], closes.get(key), now_ns)
        self._closes.update((key, closes.get(key)) for key in looked)
        # the same object while nothing changed
        self.found = found if found != self.found else self.found

    def _write_down(self) -> None:
        assert self.session_date is not None
        now = self.now()
        # of a session that is over nobody needs to be called
        sends = self.send is not None and self.session_date >= session_date_of(int(now.timestamp()) * NANOSECONDS)
        before = {alert.place for alert in self.told.alerts}
        self._change(lambda told: told.with_news(self.found, now, sends))
        for alert in self.told.alerts:
            if alert.place not in before and alert.found_at == now:
                self.log(f"alert: {alert.sentence}")

    def _tell(self, send: Send, seconds: float) -> None:
        if self._sent_here:
            self._note(self._sent_here.values())
        now = self.now()
        self._change(lambda told: told.claimed(self._mine, now))
        due = [
            alert
            for alert in self.told.alerts
            if alert.sent_at is None and self._mine.get(alert.place) == alert.claimed_at
        ]
        if not due or seconds - self._sent_at < SEND_SECONDS:
            return
        # also if it fails: the next try has its time, too
        self._sent_at = seconds
        send(*message_of(due))
        self._sent_here = {alert.place: alert for alert in due}
        self._note(due)

    def _note(self, sent: Iterable[ToldAlert]) -> None:
        some, now = list(sent), self.now()
        self._change(lambda told: told.sent(some, now))
        self._sent_here = {}

    def _change(self, change: Callable[[ToldAlerts], ToldAlerts]) -> None:
        """Write a changed log, on top of what others wrote. What is claimed by this write is this server's."""
        assert self.session_date is not None
        key = alerts_key(self.session_date)
        for _ in range(_TRIES):
            changed = change(self.told)
            if changed == self.told:
                return
            body = changed.to_bytes()
            before = {alert.place: alert.claimed_at for alert in self.told.alerts}
            if self._etag is None:
                is_written = self.objects.put_if_absent(key, body)
            else:
                is_written = self.objects.replace(key, body, self._etag)
            if is_written:
                self._mine.update(
                    (alert.place, alert.claimed_at)
                    for alert in changed.alerts
                    if before.get(alert.place) != alert.claimed_at
                )
            self._load(self.session_date)
            if is_written:
                return
        raise RetryableError(f"{key} is being written by others all the time; the next look tries again")


def watched(rules: Iterable[Rule], session_date: date, keys: Iterable[SymbolKey]) -> Iterator[tuple[Rule, SymbolKey]]:
    """Yield what rules watch on a day: each symbol in the rule's feed, or in each of its own that `keys` has."""
    by_symbol: dict[str, list[SymbolKey]] = {}
    for key in keys:
        by_symbol.setdefault(key.symbol, []).append(key)
    for rule in rules:
        for symbol in rule.symbols if rule.is_of(session_date) else ():
            its_own = by_symbol.get(symbol, ()) if rule.feed is None else (SymbolKey(symbol, rule.feed),)
            yield from ((rule, key) for key in its_own)


def crossings_of(
    rule: Rule, key: SymbolKey, session_date: date, minutes: Sequence[Minute], close: Decimal | None, now_ns: int
) -> list[Crossing]:
    """Return a session's crossings. close: of the session before."""
    hours = feed_session_hours(session_date, key.feed)
    if hours is None:
        return []
    return rule.crossings(Seen(minutes, hours, now_ns, None if close is None else price_units(close)))


def message_of(alerts: Sequence[ToldAlert]) -> tuple[str, str]:
    """Return the subject and text that tell of some alerts."""
    first, more = alerts[0], len(alerts) - 1
    subject = f"Price alert: {first.series.key.symbol} {first.what}"
    if more:
        subject = f"{len(alerts)} price alerts: {first.series.key.symbol} {first.what}, and {more} more"
    lines = [alert.sentence for alert in alerts[:LINES_SENT]]
    if len(alerts) > LINES_SENT:
        lines.append(f"and {len(alerts) - LINES_SENT} more, which the page shows")
    return subject, "\n".join(lines)
