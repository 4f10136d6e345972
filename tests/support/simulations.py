"""Simulated sessions with their ledgers."""

import hashlib
from dataclasses import astuple
from datetime import date
from functools import lru_cache

from stock_pipeline.providers.simulator.ledger import Ledger
from stock_pipeline.providers.simulator.simulator import Arrival, Simulation, arrivals
from tests.support.trades import NOON

DAY = date(2018, 1, 2)
MISBEHAVING = Simulation(
    ("AAA", "BBB", "CCC", "DDD"),
    DAY,
    trades=6_000,
    seed=7,
    repeated=0.05,
    late=0.05,
    reordered=0.2,
    corrected=0.05,
    cancelled=0.05,
    broken=0.05,
)


def simulate(simulation: Simulation) -> tuple[list[Arrival], Ledger]:
    ledger = Ledger()
    return list(arrivals(simulation, NOON, ledger)), ledger


@lru_cache
def fingerprint() -> str:
    """Run in other processes too; what it prints must not depend on the process."""
    delivered, ledger = simulate(MISBEHAVING)
    text = repr([astuple(arrival) for arrival in delivered]) + repr(ledger.lake)
    return hashlib.sha256(text.encode()).hexdigest()
