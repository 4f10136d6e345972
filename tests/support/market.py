"""A market in memory to serve: lake, realtime table and models, followed step by step."""

from collections.abc import Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from stock_pipeline.aws.shown_state import ShownState
from stock_pipeline.domain.price_alert import Rule
from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.domain.trade import Trade
from stock_pipeline.serving.facts import Facts, Kept
from stock_pipeline.serving.follower import Follower
from stock_pipeline.serving.history import History
from stock_pipeline.serving.price_alerts import PriceAlerts
from stock_pipeline.serving.service import CLOSES_SECONDS, Service
from stock_pipeline.serving.shapes import Action, DeadLetters, Finding, Pipeline
from tests.support.lake import Lake


class Market:
    """past: rows of the models, by a beginning of the SQL that asks for them."""

    def __init__(self) -> None:
        self.lake = Lake()
        self.seconds = 0.0
        self.messages: list[tuple[str, str]] = []
        self.log: list[str] = []
        self.windows: dict[SymbolKey, list[Trade]] = {}
        self.states: dict[SymbolKey, ShownState] = {}
        self.past: dict[str, Sequence[Sequence[Any]]] = {}
        self.asked: list[str] = []
        self.actions: dict[str, list[Action]] = {}
        self.pipeline = Pipeline(
            "local", self.lake.now, Finding(True, "a trade came"), None, DeadLetters(0, 0, {}, []), None, [], "", {}
        )
        self.service = Service(
            follower=self.follower(),
            states=self,  # type: ignore[arg-type]
            windows=self,  # type: ignore[arg-type]
            history=History(self._ask, lambda: self.seconds, seconds=30.0),
            facts=Facts(Kept(lambda: self.pipeline, 0, lambda: 0), Kept(lambda: self.actions, 0, lambda: 0)),
            now=lambda: self.lake.now,
            alerts=self.alerts(),
        )

    def follower(self) -> Follower:
        return Follower(self.lake.store, self.lake.compactor.partition, lambda: self.lake.now)

    def alerts(self, *rules: Rule) -> PriceAlerts:
        return PriceAlerts(rules, self.lake.store, self._send, self.log.append, lambda: self.lake.now)

    def _send(self, subject: str, message: str) -> None:
        self.messages.append((subject, message))

    def step(self) -> None:
        self.seconds += CLOSES_SECONDS
        self.service.step(self.seconds)

    def read(self, keys: Sequence[SymbolKey] | None = None) -> Any:
        """Answer as the realtime table: of some symbols with windows, or what it shows of all."""
        if keys is None:
            return list(self.states.values())
        return {key: _Stored(SymbolState(key, tuple(self.windows[key]))) for key in keys if key in self.windows}

    def _ask(self, sql: str) -> Sequence[Sequence[Any]]:
        self.asked.append(sql)
        return next((rows for beginning, rows in self.past.items() if sql.startswith(beginning)), ())


class _Stored:
    def __init__(self, state: SymbolState) -> None:
        self.state = state


def shown_state(symbol: str, price: str, event_time_ns: int, session_date: date) -> ShownState:
    averages = {5: Decimal(price)}
    return ShownState(SymbolKey(symbol, "sim"), session_date, event_time_ns, Decimal(price), None, averages, Decimal(1))
