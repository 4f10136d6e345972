"""What was told of a session: an object in the lake that servers and restarts share, changed only by conditional puts.

A crossing was told if something told lies in its stretch, so bars that move a little tell nothing twice. What is found
is written down before it is sent, with the time of the claim; who crashes between leaves a claim that grows old, and
another takes it over. So a message is sent once, and again only after a crash between sending and writing that down.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import NamedTuple

from stock_pipeline.domain.document import Document
from stock_pipeline.domain.price_alert import Crossing
from stock_pipeline.domain.session import NANOSECONDS, exchange_time_zone
from stock_pipeline.domain.symbol_state import SymbolKey

MOST_OF_A_SERIES = 20
"""Told of a rule, symbol and feed in a session."""

MOST_OF_A_SESSION = 1_000

CLAIM_AGE = timedelta(minutes=2)
"""After which another server takes what is not sent."""

RENEWED_AGE = timedelta(minutes=1)
"""After which the claim's own server renews it, while it can't send."""

_LAST_OF_SERIES = "the last that this rule tells of the symbol in this session"
_LAST_OF_SESSION = "the last that is told in this session"


class Series(NamedTuple):
    """A rule over a symbol. says: the rule in words, so that a rule that was changed is another one."""

    rule: str
    says: str
    key: SymbolKey


@dataclass(frozen=True, slots=True)
class ToldAlert:
    """A crossing that was found. claimed_at: by the server that sends it. sent_at: None until it has."""

    series: Series
    at_ns: int
    what: str
    found_at: datetime
    claimed_at: datetime
    sent_at: datetime | None = None

    @property
    def sentence(self) -> str:
        at = datetime.fromtimestamp(self.at_ns // NANOSECONDS, exchange_time_zone())
        symbol, feed = self.series.key
        return f"{symbol} ({feed}) {self.what}, {at:%Y-%m-%d %H:%M} in New York ({self.series.rule})"

    @property
    def place(self) -> tuple[Series, int]:
        return self.series, self.at_ns


@dataclass(frozen=True, slots=True)
class ToldAlerts:
    """In the order in which they were found."""

    alerts: tuple[ToldAlert, ...] = ()

    def with_news(self, found: Mapping[Series, Sequence[Crossing]], now: datetime, sends: bool) -> "ToldAlerts":
        """Add the crossings that were not told, as far as the limits go. sends: whether they are to be sent."""
        told: dict[Series, list[int]] = {}
        for alert in self.alerts:
            told.setdefault(alert.series, []).append(alert.at_ns)
        news = [
            (crossing.at_ns, series, crossing.what)
            for series, crossings in found.items()
            for crossing in crossings
            if not any(crossing.covers(at_ns) for at_ns in told.get(series, ()))
        ]
        alerts = list(self.alerts)
        for at_ns, series, what in sorted(news):
            of_series = told.setdefault(series, [])
            if len(of_series) >= MOST_OF_A_SERIES or len(alerts) >= MOST_OF_A_SESSION:
                continue
            of_series.append(at_ns)
            last = _LAST_OF_SERIES if len(of_series) == MOST_OF_A_SERIES else ""
            last = _LAST_OF_SESSION if len(alerts) + 1 == MOST_OF_A_SESSION else last
            what = f"{what}; {last}" if last else what
            alerts.append(ToldAlert(series, at_ns, what, now, now, None if sends else now))
        return ToldAlerts(tuple(alerts))

    def claimed(self, mine: Mapping[tuple[Series, int], datetime], now: datetime) -> "ToldAlerts":
        """Take over old claims, and renew one's own. mine: alerts that this server claimed, and when."""

        def renewed(alert: ToldAlert) -> ToldAlert:
            age = RENEWED_AGE if mine.get(alert.place) == alert.claimed_at else CLAIM_AGE
            is_due = alert.sent_at is None and now - alert.claimed_at >= age
            return replace(alert, claimed_at=now) if is_due else alert

        return ToldAlerts(tuple(renewed(alert) for alert in self.alerts))

    def sent(self, some: Iterable[ToldAlert], now: datetime) -> "ToldAlerts":
        places = {alert.place for alert in some}
        return ToldAlerts(
            tuple(replace(alert, sent_at=now) if alert.place in places else alert for alert in self.alerts)
        )

    def to_bytes(self) -> bytes:
        return json.dumps({"alerts": [_fields(alert) for alert in self.alerts]}, indent=1).encode()

    @classmethod
    def parse(cls, body: bytes) -> "ToldAlerts":
        """Read `to_bytes`; raises `ValueError`, which names the field, for anything else."""
        return cls(tuple(_alert(each) for each in Document.parse(body).objects("alerts")))


def _fields(alert: ToldAlert) -> dict[str, object]:
    return {
        "rule": alert.series.rule,
        "says": alert.series.says,
        "symbol": alert.series.key.symbol,
        "feed": alert.series.key.feed,
        "at_ns": alert.at_ns,
        "what": alert.what,
        "found_at": alert.found_at.isoformat(),
        "claimed_at": alert.claimed_at.isoformat(),
        "sent_at": alert.sent_at and alert.sent_at.isoformat(),
    }


def _alert(fields: Document) -> ToldAlert:
    found_at, claimed_at = fields.time_or_none("found_at"), fields.time_or_none("claimed_at")
    if found_at is None or claimed_at is None:
        raise ValueError("found_at or claimed_at is null")
    series = Series(fields.text("rule"), fields.text("says"), SymbolKey(fields.text("symbol"), fields.text("feed")))
    return ToldAlert(
        series, fields.whole("at_ns"), fields.text("what"), found_at, claimed_at, fields.time_or_none("sent_at")
    )
