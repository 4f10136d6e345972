"""The work behind the answers: a thread that follows the raw zone and keeps the board up to date."""

import contextlib
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from stock_pipeline.aws.shown_state import ShownStates
from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Trade
from stock_pipeline.errors import StockPipelineError
from stock_pipeline.serving.board import Board, encode
from stock_pipeline.serving.bodies import Body
from stock_pipeline.serving.events import Frame
from stock_pipeline.serving.facts import Facts
from stock_pipeline.serving.follower import LAKE_ERRORS, Follower
from stock_pipeline.serving.history import History
from stock_pipeline.serving.live_bar import LiveBar
from stock_pipeline.serving.live_session import LiveSession
from stock_pipeline.serving.price_alerts import PriceAlerts
from stock_pipeline.serving.shapes import Health
from stock_pipeline.serving.shown_alerts import shown_alert

LOOK_SECONDS = 0.5
STATE_SECONDS = 5.0
CLOSES_SECONDS = 60.0

PASSING = (*LAKE_ERRORS, StockPipelineError, ClientError, BotoCoreError)


@dataclass
class Service:
    """publish: takes each change, on the service's thread. now: the clock, UTC.

    Only that thread changes bars and board, so it reads them freely; others read bars under the follower's lock.
    """

    follower: Follower
    states: ShownStates
    windows: StateTable
    history: History
    facts: Facts
    now: Callable[[], datetime]
    alerts: PriceAlerts
    publish: Callable[[Frame], None] = lambda _frame: None
    board: Board = field(default_factory=Board)
    live_bodies: dict[Any, Body] = field(default_factory=dict)
    """Answers of the running session only, by what was asked: another dict at each change."""
    failure: str | None = None
    looked_at: datetime | None = None
    _changed: set[SymbolKey] = field(default_factory=set)
    _unjudged: set[SymbolKey] = field(default_factory=set)
    _is_new: bool = False
    """What looks found that is not shown yet: the table or the models may fail after a look."""
    _state_at: float = float("-inf")
    _closes_at: float = float("-inf")

    def run(self, stop: threading.Event) -> None:
        """Look again and again until told to stop. What fails is tried again, whatever it was: prices have to go on."""
        while not stop.is_set():
            started = time.monotonic()
            try:
                self.step(started)
                self.failure = None
            except PASSING as error:
                self.failure = str(error).partition("\n")[0][:500]
            except Exception as error:
                # a fault of this program: the log says where
                self.failure = f"{type(error).__name__}: {error}".partition("\n")[0][:500]
                traceback.print_exc()
            self.looked_at = self.now()
            stop.wait(max(0.05, LOOK_SECONDS - (time.monotonic() - started)))
        self.follower.close()

    def step(self, seconds: float) -> None:
        """Look once. seconds: of a clock that only goes forward."""
        found = self.follower.look()
        self._changed |= found.changed
        if found.changed or found.is_new:
            self.live_bodies = {}
        if found.is_new:
            self._is_new, self._closes_at = True, float("-inf")
        # the table and the models may take seconds to answer, in which bars are asked for
        self._changed |= self._new_states(seconds)
        self._changed |= self._new_closes(seconds)
        quotes = self.board.update(self.follower.session, self._changed)
        changed, is_new, self._changed, self._is_new = self._changed, self._is_new, set(), False
        if is_new:
            # made while the board had the session before
            self.live_bodies = {}
        if quotes or is_new:
            self.publish(Frame(self.board.number, quotes, everything=is_new))
        self._unjudged |= changed
        self._tell(seconds)

    def _tell(self, seconds: float) -> None:
        """Look for price alerts, whose lake and topic may be away while prices go on."""
        board, judged = self.board, frozenset(self._unjudged)
        told = self.alerts.look(self.follower.session, judged, board.quotes, board.previous_closes, seconds)
        self._unjudged -= judged
        if told:
            rows = [(alert.series.key, encode(shown_alert(alert, stands=True))) for alert in told]
            self.publish(Frame(board.next_number(), {}, alerts=tuple(rows)))

    def _new_states(self, seconds: float) -> set[SymbolKey]:
        if seconds - self._state_at < STATE_SECONDS:
            return set()
        states = {state.key: state for state in self.states.read()}
        self._state_at = seconds
        changed = {key for key, state in states.items() if self.board.states.get(key) != state}
        self.board.states = states
        return changed

    def _new_closes(self, seconds: float) -> set[SymbolKey]:
        session = self.follower.session
        if session is None or seconds - self._closes_at < CLOSES_SECONDS:
            return set()
        self._closes_at = seconds
        closes = {}
        # no models yet, or dbt at work: the board goes without
        with contextlib.suppress(StockPipelineError):
            closes = self.history.previous_closes(session.session_date)
        changed = {key for key, close in closes.items() if self.board.previous_closes.get(key) != close}
        self.board.previous_closes = {**self.board.previous_closes, **closes}
        return changed

    def live_bars(self, key: SymbolKey) -> list[LiveBar]:
        with self.follower.lock:
            session = self._shown_session()
            return session.minute_bars(key) if session else []

    def live_day(self, key: SymbolKey) -> LiveBar | None:
        with self.follower.lock:
            session = self._shown_session()
            return session.day_bar(key) if session else None

    def closes(self, keys: list[SymbolKey], count: int) -> dict[SymbolKey, list[int]]:
        with self.follower.lock:
            session = self._shown_session()
            return {key: session.closes(key, count) if session else [] for key in keys}

    def _shown_session(self) -> LiveSession | None:
        """Return the session of the board: a newer one is shown once the board has it."""
        session = self.follower.session
        return session if session is not None and session.session_date == self.board.session_date else None

    def newest_trades(self, key: SymbolKey) -> tuple[Trade, ...]:
        """Return the realtime table's window, oldest first."""
        stored = self.windows.read([key]).get(key)
        return stored.state.window if stored else ()

    def health(self) -> Health:
        follower = self.follower
        delays = sorted(follower.delays)
        session = follower.session
        return Health(
            status="failing" if self.failure else "starting" if self.looked_at is None else "ok",
            session_date=session.session_date if session else None,
            files=follower.files,
            symbols=len(self.board.quotes),
            newest_file=follower.newest_file,
            behind_p50=_share(delays, 0.5),
            behind_p99=_share(delays, 0.99),
            unreadable=dict(follower.unreadable),
            failure=self.failure,
            looked_at=self.looked_at,
        )


def _share(ordered: list[float], share: float) -> float | None:
    return round(ordered[min(len(ordered) - 1, int(share * len(ordered)))], 3) if ordered else None
