"""How many write units the item of a symbol takes: a unit is 1,024 bytes of names and values."""

import base64
import math
from datetime import date
from typing import Any

from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.domain import cost
from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.domain.trade import Trade
from stock_pipeline.providers.simulator.ledger import Ledger
from stock_pipeline.providers.simulator.simulator import Simulation, arrivals
from tests.fakes.clients import FakeDynamoDbClient

WINDOWS = (5, 20)
SYMBOLS = tuple(f"S{number:04}" for number in range(50))


def size(value: dict[str, Any]) -> int:
    """By the rule of DynamoDB's developer guide, "item sizes and formats": a number has at most a byte for two digits
    and two more, an entry of a map one more, and the map three.
    """
    [(kind, content)] = value.items()
    match kind:
        case "M":
            return 3 + sum(1 + len(name) + size(inner) for name, inner in content.items())
        case "N":
            return 2 + math.ceil(len(content) / 2)
        case "B":
            return len(content if isinstance(content, bytes) else base64.b64decode(content))
        case "S":
            return len(content.encode())
    raise AssertionError(f"no rule for {kind}")


def test_an_average_item_takes_the_units_that_the_bill_counts() -> None:
    simulation = Simulation(SYMBOLS, date(2026, 1, 16), 60 * len(SYMBOLS), seed=7)
    by_symbol: dict[str, list[Trade]] = {symbol: [] for symbol in SYMBOLS}
    for row in arrivals(simulation, 0, Ledger()):
        if isinstance(row, Trade):
            by_symbol[row.symbol].append(row)
    table = StateTable(FakeDynamoDbClient(), "table", WINDOWS)  # type: ignore[arg-type]
    states = [
        SymbolState(SymbolKey(symbol, rows[0].feed), ()).merged_with(rows, WINDOWS)
        for symbol, rows in by_symbol.items()
    ]
    assert sum(len(state.window) for state in states) >= 20 * len(states), "windows are full"
    sizes = [sum(len(name) + size(value) for name, value in table.item(state).items()) for state in states]
    units = sum(math.ceil(size / 1024) for size in sizes) / len(sizes)
    assert round(units) == cost.STATE_WRITE_UNITS
