"""The simulator: the same seed, the same arrivals, and a ledger that is right about all of them."""

import os
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from decimal import ROUND_HALF_EVEN, Decimal
from itertools import islice
from types import GeneratorType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stock_pipeline.domain.session import session_hours
from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.domain.trade import Trade, check_trade, order_key, provider_event_id
from stock_pipeline.errors import InvalidTradeError
from stock_pipeline.providers.simulator.broken_line import KINDS, BrokenLine, break_line
from stock_pipeline.providers.simulator.ledger import LakeDigest, Ledger, hashed_values, row_hash
from stock_pipeline.providers.simulator.simulator import (
    FEED,
    LATE_PLACES,
    Arrival,
    Simulation,
    SimulationError,
    SimulatorProvider,
    arrivals,
)
from stock_pipeline.streaming.trade_json import decode_trade
from tests.support.simulations import DAY, MISBEHAVING, fingerprint, simulate
from tests.support.trades import NOON, trade

HALF_DAY = date(2018, 11, 23)
WINDOWS = (5, 20)

shares = st.sampled_from([0.0, 0.05, 0.5])
simulations = st.builds(
    Simulation,
    symbols=st.sampled_from([("AAA",), ("AAA", "BBB"), ("BRK.B", "AAA", "CCC", "DDD", "EEE")]),
    session_date=st.sampled_from([DAY, HALF_DAY]),
    trades=st.integers(10, 150),
    seed=st.integers(0, 2**32),
    repeated=shares,
    late=shares,
    reordered=shares,
    corrected=shares,
    cancelled=shares,
    broken=shares,
)


def trades_of(delivered: Iterable[Arrival]) -> list[Trade]:
    return [arrival for arrival in delivered if isinstance(arrival, Trade)]


@pytest.mark.parametrize("hash_seed", ["0", "1", "4711"])
def test_a_seed_gives_the_same_arrivals_in_another_process(hash_seed: str) -> None:
    script = "from tests.support.simulations import fingerprint; print(fingerprint())"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == fingerprint()


def test_another_seed_gives_other_trades() -> None:
    assert simulate(MISBEHAVING)[0] != simulate(replace(MISBEHAVING, seed=8))[0]


@given(simulations)
def test_the_ledger_is_what_looking_at_every_arrival_says(simulation: Simulation) -> None:
    delivered, ledger = simulate(simulation)
    rows = Counter(trades_of(delivered))
    assert ledger.lines == len(delivered)
    assert ledger.trades == simulation.trades == len({row.event_id for row in rows})
    assert ledger.repeats == sum(rows.values()) - len(rows)
    assert ledger.lake == LakeDigest(
        len(rows),
        sum(row.volume or 0 for row in rows),
        sum(row_hash(*hashed_values(row)) for row in rows) % 2**64,
    )
    assert ledger.rejected == Counter(line.reason for line in delivered if isinstance(line, BrokenLine))
    assert ledger.cancelled == sum(row.status == "cancelled" for row in rows)
    assert ledger.corrected == sum(row.status == "corrected" for row in rows)


@given(simulations)
def test_the_expected_state_is_of_the_newest_last_versions(simulation: Simulation) -> None:
    delivered, ledger = simulate(simulation)
    last_versions: dict[str, dict[str, Trade]] = defaultdict(dict)
    for row in trades_of(delivered):
        held = last_versions[row.symbol].get(row.event_id)
        if held is None or row.version > held.version:
            last_versions[row.symbol][row.event_id] = row
    assert set(last_versions) == set(simulation.symbols)
    for symbol, versions in last_versions.items():
        newest = sorted(versions.values(), key=order_key)[-30:]
        effective = [row for row in newest if row.status != "cancelled"]
        expected = ledger.expected_state(symbol, WINDOWS)
        assert expected.newest_event_ids == tuple(row.event_id for row in newest)
        assert expected.latest == (effective[-1] if effective else None)
        for window in WINDOWS:
            prices = [row.price for row in effective[-window:]]
            if prices:
                mean = sum(prices) / Decimal(len(prices))
                assert expected.averages[window] == mean.quantize(Decimal("0.000001"), ROUND_HALF_EVEN)


@given(simulations)
def test_the_pipelines_own_state_agrees_with_the_ledger(simulation: Simulation) -> None:
    """The processor's code merges row by row in the order of arrival."""
    delivered, ledger = simulate(simulation)
    for symbol in simulation.symbols:
        state = SymbolState(SymbolKey(symbol, FEED), ())
        for row in trades_of(delivered):
            if row.symbol == symbol:
                state = state.merged_with([replace(row, ingest_time_ns=0)], WINDOWS)
        expected = ledger.expected_state(symbol, WINDOWS)
        assert tuple(row.event_id for row in state.window) == expected.newest_event_ids
        latest = expected.latest
        assert state.latest == (replace(latest, ingest_time_ns=0) if latest else None)
        assert {average.window: average.price for average in state.averages(WINDOWS)} == expected.averages


@given(simulations)
def test_every_trade_is_valid_in_session_and_known_by_its_id(simulation: Simulation) -> None:
    delivered, _ = simulate(simulation)
    hours = session_hours(simulation.session_date)
    assert hours is not None
    for row in trades_of(delivered):
        check_trade(row)
        assert hours.open_ns < row.event_time_ns <= hours.close_ns + 5 * 10**9
        day = simulation.session_date
        assert row.event_id == provider_event_id(FEED, row.symbol, day, row.exchange, row.sequence)


def test_shares_hold_roughly_and_trades_misbehave_as_asked() -> None:
    delivered, ledger = simulate(MISBEHAVING)
    for name, share in [
        ("repeats", 0.05),
        ("late", 0.05),
        ("reordered", 0.2),
        ("corrected", 0.05),
        ("cancelled", 0.05),
    ]:
        assert share * 0.8 < getattr(ledger, name) / MISBEHAVING.trades < share * 1.2, name
    assert 0.8 < ledger.rejected.total() / (0.05 * MISBEHAVING.trades) < 1.2
    assert {line.kind for line in delivered if isinstance(line, BrokenLine)} == set(KINDS)
    times = [row.event_time_ns for row in trades_of(delivered)]
    assert times != sorted(times)
    per_symbol = Counter(row.symbol for row in trades_of(delivered) if not row.version)
    assert per_symbol["AAA"] > per_symbol["DDD"]


def test_without_faults_everything_arrives_once_and_in_order() -> None:
    delivered, ledger = simulate(Simulation(("AAA", "BBB"), DAY, trades=500, seed=1))
    assert len(delivered) == ledger.lines == 500
    times = [row.event_time_ns for row in trades_of(delivered)]
    assert times == sorted(times)
    assert [row.conditions for row in trades_of(delivered)].count("O") == 2
    assert [row.conditions for row in trades_of(delivered)][-2:] == ["6", "6"]


def test_nothing_comes_before_its_turn_and_late_trades_come() -> None:
    simulation = Simulation(("AAA",), DAY, trades=LATE_PLACES * 2, seed=3, late=0.01)
    delivered, ledger = simulate(simulation)
    delays = [place - row.sequence for place, row in enumerate(trades_of(delivered))]
    assert ledger.late > 0
    # a late trade lets those behind it come earlier, by one place each
    assert max(delays) > LATE_PLACES // 2
    assert min(delays) >= -ledger.late


def test_arrivals_are_made_as_they_are_taken() -> None:
    """Ten thousand million trades can't be made ahead: the first ones come at once."""
    endless = arrivals(Simulation(("AAA", "BBB"), DAY, trades=10**10, seed=1, late=0.1), NOON, Ledger())
    assert isinstance(endless, GeneratorType)
    assert len(list(islice(endless, 1_000))) == 1_000


@pytest.mark.parametrize(
    ("symbols", "day", "trades"),
    [(("AAA",), date(2018, 1, 1), 100), (("AAA", "BBB"), DAY, 3), ((), DAY, 3)],
)
def test_an_impossible_simulation_is_refused(symbols: tuple[str, ...], day: date, trades: int) -> None:
    with pytest.raises(SimulationError):
        Simulation(symbols, day, trades, seed=1)


@pytest.mark.parametrize("kind", KINDS)
def test_a_broken_line_is_rejected_for_the_promised_reason(kind: str) -> None:
    for number in range(20):
        broken = break_line(trade(number), kind)
        assert b"\n" not in broken.line
        with pytest.raises(InvalidTradeError) as rejected:
            decode_trade(broken.line)
        assert rejected.value.reason == broken.reason == KINDS[kind][0]


@given(st.integers(1, 250), st.integers(0, 300))
def test_polling_from_a_checkpoint_goes_on_where_it_stopped(page: int, stop_after: int) -> None:
    simulation = replace(MISBEHAVING, trades=200)
    provider = SimulatorProvider(simulation, lambda: NOON, page)
    delivered, _ = simulate(simulation)

    def handed_over(captures: Iterable[object]) -> list[tuple[Trade | bytes, ...]]:
        return [
            (*capture.trades, *(unreadable.payload for unreadable in capture.unreadable))  # type: ignore[attr-defined]
            for capture in captures
        ]

    whole = list(provider.poll(None, NOON + 1))
    assert [row for capture in whole for row in capture.trades] == trades_of(delivered)
    assert [bad.payload for capture in whole for bad in capture.unreadable] == [
        line.line for line in delivered if isinstance(line, BrokenLine)
    ]
    taken = whole[: max(1, stop_after // page)]
    rest = provider.poll(taken[-1].checkpoint, NOON + 1)
    assert handed_over(taken) + handed_over(rest) == handed_over(whole)


def test_polling_ends_at_the_deadline() -> None:
    clock = iter(range(NOON, NOON + 1_000))
    provider = SimulatorProvider(MISBEHAVING, lambda: next(clock), page_arrivals=10)
    assert len(list(provider.poll(None, NOON + 5))) == 4


def test_some_odd_lots_are_parts_of_a_share() -> None:
    ledger = Ledger()
    volumes = [trade.volume for trade in trades_of(arrivals(Simulation(("AAA", "BBB"), DAY, 3_000, 7), 0, ledger))]
    parts = [volume for volume in volumes if isinstance(volume, Decimal)]
    assert 0.02 < len(parts) / len(volumes) < 0.1
    assert all(0 < volume < 1 and volume == volume.quantize(Decimal("0.000001")) for volume in parts)
    assert ledger.volume == sum(volume or 0 for volume in volumes)
