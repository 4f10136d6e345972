"""A processor, its lake and its table, and a rebuild of the table beside it."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import date

from stock_pipeline.domain.arrival import ArrivalLimits
from stock_pipeline.domain.moving_average import window_capacity
from stock_pipeline.domain.symbol_state import SymbolState
from stock_pipeline.domain.trade import Trade
from stock_pipeline.restore.lake_states import LakeStates, newest_sessions
from stock_pipeline.restore.state_rebuild import Rebuilt, StateRebuild, remembered
from stock_pipeline.streaming.processor import Processor
from stock_pipeline.streaming.trade_json import encode_trade
from tests.fakes.crashes import Crashed
from tests.fakes.stores import FakeQueue, FakeStateTable
from tests.support.kinesis_events import NOON, kinesis_event
from tests.support.lake import Lake
from tests.support.oracle import windows
from tests.support.trades import DAY_NS

WINDOWS = (2, 3)
FAR_FUTURE = ArrivalLimits(ahead_seconds=86_400 * 30)


class InterleavedTable(FakeStateTable):
    """`before_write`: called before each write that is not made by it.

    crash_at: the number of the write at which the process dies.
    """

    def __init__(self) -> None:
        super().__init__()
        self.before_write = lambda: None
        self.crash_at: int | None = None
        self._inside = False

    def interfere(self, state: SymbolState) -> None:
        if self._inside:
            return
        if self.crash_at is not None:
            self.crash_at -= 1
            if self.crash_at < 0:
                self.crash_at = None
                raise Crashed(f"before the write of {state.key}")
        self._inside = True
        try:
            self.before_write()
        finally:
            self._inside = False


class RebuildWorld:
    def __init__(self) -> None:
        self.lake, self.table, self.rows = Lake(), InterleavedTable(), list[Trade]()
        self.batches = 0
        self.waiting: list[Sequence[Trade]] = []

    def process(self, batch: Sequence[Trade]) -> None:
        """Let the processor have a batch: first the lake, then the table."""
        self.batches += 1
        processor = Processor(
            FakeQueue(), self.lake.store, self.table, WINDOWS, lambda _: None, FAR_FUTURE, parallel_calls=1
        )
        first = 1 + self.batches * 1_000
        answer = processor.handle(kinesis_event([encode_trade(row) for row in batch], first=first, arrived_at=NOON))
        assert answer == {"batchItemFailures": []}
        self.rows += batch

    def process_one(self) -> None:
        if self.waiting:
            self.process(self.waiting.pop(0))

    def compact(self) -> None:
        for day in self.sessions():
            self.lake.compactor.compact(day)

    def sessions(self) -> list[date]:
        return newest_sessions(self.lake.store, 1_000)

    def expected(self) -> dict[object, SymbolState]:
        """The states that follow from all trades, whoever wrote them."""
        return {key: SymbolState(key, held) for key, held in windows(self.rows, window_capacity(WINDOWS)).items()}

    def states(self) -> dict[object, SymbolState]:
        return {key: stored.state for key, stored in self.table.held.items()}

    def lake_states(self, symbols: Sequence[str] = ()) -> LakeStates:
        return LakeStates(self.lake.store, self.lake.compactor.partition, WINDOWS, symbols)

    def rebuilding(self) -> StateRebuild:
        return StateRebuild(self.table, WINDOWS, lambda _: None, threads=1)

    def rebuild(self, replace: bool = False, symbols: Sequence[str] = ()) -> Rebuilt:
        """Rebuild as the command does; the processor has a batch between any two steps."""
        lake, rebuild = self.lake_states(symbols), self.rebuilding()

        def read() -> list[SymbolState]:
            for _ in lake.read(self.sessions()):
                self.process_one()
            lake.failures.raise_all()
            return remembered(lake.states.values(), None, 0)

        return rebuild.run(read, replace)

    def rebuild_until_killed(self, at: int, replace: bool) -> None:
        self.table.crash_at = at
        with suppress(Crashed):
            self.rebuild(replace)
        self.table.crash_at = None


def over_two_sessions(row: Trade, number: int) -> Trade:
    """Move every other trade to the next session."""
    return replace(row, event_time_ns=row.event_time_ns + number % 2 * DAY_NS)
