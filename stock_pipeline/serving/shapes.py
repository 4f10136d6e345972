"""The JSON of the read API, version 1. OpenAPI's schemas are made of these classes.

Money and shares are decimals in strings, exact; times are UTC, ISO 8601, to the nanosecond where a venue gives it.
"""

from datetime import date, datetime
from decimal import Decimal

import msgspec


class Quote(msgspec.Struct, frozen=True, rename="camel"):
    """A symbol's latest state in one feed, and the figures of its day."""

    symbol: str
    feed: str
    session_date: date
    event_time: str
    price: Decimal
    last_eligible: Decimal | None = None
    previous_close: Decimal | None = None
    change: Decimal | None = None
    change_percent: Decimal | None = None
    open: Decimal | None = None
    high: Decimal | None = None
    low: Decimal | None = None
    close: Decimal | None = None
    volume: Decimal | None = None
    vwap: Decimal | None = None
    trade_count: int | None = None
    averages: dict[str, Decimal] = {}


class Latest(msgspec.Struct, frozen=True, rename="camel"):
    """Quotes. event: the number of the last event of the stream that they contain."""

    event: int
    session_date: date | None
    quotes: list[Quote]


class Bar(msgspec.Struct, frozen=True, rename="camel"):
    """A bar. time: its first instant, UTC; of a day, the session's date.

    session_part: overnight, pre, regular or post; null for a day's.
    """

    time: str
    open: Decimal | None
    high: Decimal | None
    low: Decimal | None
    close: Decimal | None
    volume: Decimal
    vwap: Decimal | None
    trade_count: int
    session_part: str | None = None


class Bars(msgspec.Struct, frozen=True, rename="camel"):
    """Bars in the order of time. next: `start` of the page that follows; null at the end."""

    symbol: str
    feed: str
    size: str
    bars: list[Bar]
    next: str | None = None


class TradeRow(msgspec.Struct, frozen=True, rename="camel"):
    """One of a symbol's newest trades. conditions: the codes; condition_names: in words."""

    event_id: str
    event_time: str
    price: Decimal
    volume: Decimal | None
    exchange: str
    conditions: str
    condition_names: list[str]
    status: str
    version: int


class Trades(msgspec.Struct, frozen=True, rename="camel"):
    """A symbol's newest trades, newest first, cancelled ones included."""

    symbol: str
    feed: str
    trades: list[TradeRow]


class Sparkline(msgspec.Struct, frozen=True, rename="camel"):
    """Last prices of the newest minutes, oldest first."""

    symbol: str
    feed: str
    closes: list[Decimal]


class Sparklines(msgspec.Struct, frozen=True, rename="camel"):
    sparklines: list[Sparkline]


class Session(msgspec.Struct, frozen=True, rename="camel"):
    """A trading day and its regular hours."""

    session_date: date
    open: datetime
    close: datetime
    is_half_day: bool


class Sessions(msgspec.Struct, frozen=True, rename="camel"):
    sessions: list[Session]


class Health(msgspec.Struct, frozen=True, rename="camel"):
    """Whether figures follow the lake.

    behind: seconds from a raw file's time, which S3 tells in whole ones, to its place in the figures.
    """

    status: str
    session_date: date | None
    files: int
    symbols: int
    newest_file: datetime | None
    behind_p50: float | None
    behind_p99: float | None
    unreadable: dict[str, str]
    failure: str | None
    looked_at: datetime | None


class Action(msgspec.Struct, frozen=True, rename="camel"):
    """A corporate action. kind: split, stock_dividend, cash_dividend or symbol_change.

    shares_before became shares_after; cash_amount: USD a share. What is not of the kind is null.
    """

    kind: str
    ex_date: date
    shares_before: Decimal | None = None
    shares_after: Decimal | None = None
    cash_amount: Decimal | None = None
    new_symbol: str | None = None


class Actions(msgspec.Struct, frozen=True, rename="camel"):
    """A symbol's corporate actions, oldest first."""

    symbol: str
    actions: list[Action]


class AlertRule(msgspec.Struct, frozen=True, rename="camel"):
    """A price alert rule in words. state: watching, waiting, or over; why: if it is not watching all of its symbols."""

    name: str
    symbols: list[str]
    feed: str | None
    says: str
    state: str
    why: str


class PriceAlert(msgspec.Struct, frozen=True, rename="camel"):
    """A crossing that was told. event_time: its minute. what: in words, without the symbol.

    stands: whether the bars say so still; a correction may have taken it away.
    """

    rule: str
    says: str
    symbol: str
    feed: str
    event_time: str
    what: str
    found_at: datetime
    stands: bool


class PriceAlerts(msgspec.Struct, frozen=True, rename="camel"):
    """Price alerts of the running session, newest first."""

    session_date: date | None
    rules: list[AlertRule]
    alerts: list[PriceAlert]


class Finding(msgspec.Struct, frozen=True, rename="camel"):
    fresh: bool
    why: str


class RejectedLine(msgspec.Struct, frozen=True, rename="camel"):
    """A line that is no trade. payload: its beginning, as text."""

    rejection_id: str
    reason: str
    detail: str
    payload: str
    arrival_time: datetime


class DeadLetters(msgspec.Struct, frozen=True, rename="camel"):
    """waiting, hidden: messages of the queue. rejected: today's lines (UTC) by reason. lines: the newest of them."""

    waiting: int
    hidden: int
    rejected: dict[str, int]
    lines: list[RejectedLine]


class Backlog(msgspec.Struct, frozen=True, rename="camel"):
    """Raw files of a session that its published version lacks."""

    session_date: date
    files: int
    bytes: int


class Run(msgspec.Struct, frozen=True, rename="camel"):
    """A run of Dagster, with its page."""

    job: str
    status: str
    started_at: datetime | None
    ended_at: datetime | None
    url: str


class Processor(msgspec.Struct, frozen=True, rename="camel"):
    """The processor's last hour. unfinished: invocations of which Lambda delivers something again."""

    invocations: int
    unfinished: int
    trades: int
    state_writes: int
    state_conflicts: int


class Alarm(msgspec.Struct, frozen=True, rename="camel"):
    """state: OK, ALARM or INSUFFICIENT_DATA. runbook: what to do about it, an address or a file with its section."""

    name: str
    state: str
    reason: str
    runbook: str


class Pipeline(msgspec.Struct, frozen=True, rename="camel"):
    """What `stock-pipeline status` shows. stale: assets with the reason.

    processor, alarms: null where CloudWatch has none. runs: null where Dagster is not reached.
    """

    environment: str
    looked_at: datetime
    stream: Finding
    newest_trade: datetime | None
    dead_letters: DeadLetters
    published: date | None
    backlog: list[Backlog]
    broken: str
    stale: dict[str, str]
    shards: int | None = None
    processor: Processor | None = None
    alarms: list[Alarm] | None = None
    runs: list[Run] | None = None
    dagster: str | None = None


class Problem(msgspec.Struct, frozen=True):
    """Problem details of RFC 9457."""

    type: str
    title: str
    status: int
    detail: str
