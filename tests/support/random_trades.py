"""Random trades of one evening, with everything that may happen to a trade."""

import random
from dataclasses import replace
from decimal import Decimal

from stock_pipeline.domain.trade import Trade, exact_shares
from tests.support.trades import DAY_NS, NOON, trade

MINUTE_NS = 60 * 10**9

_OF_MINUTE_NS = (0, 59_999_600_000, MINUTE_NS - 1)
"""The last two round to the next minute where times are rounded to milliseconds."""

CONDITIONS = ("", "", "F", "I", "FTI", "M", "6", "6X", "O", "OI", "4B", "Q", "?", "B", "9")


def random_trades(count: int, seed: int) -> tuple[Trade, ...]:
    """Trades of session 2018-01-03 with redeliveries, corrections, cancellations and quotes, in no order."""
    chance = random.Random(seed)
    rows = []
    for _ in range(count):
        number = chance.randrange(count // 2)
        row = trade(number, symbol=f"S{number % 3}", price=Decimal(100 + number % 7) + Decimal("0.0001") * number)
        row = replace(
            row,
            event_time_ns=NOON + DAY_NS + (number - 180) * MINUTE_NS + _OF_MINUTE_NS[number // 3 % 3],
            conditions=chance.choice(CONDITIONS),
            tape=chance.choice(("", "A", "C")),
            ingest_time_ns=row.ingest_time_ns + DAY_NS + chance.randrange(10**9),
        )
        version = chance.choice((0, 0, 0, 1, 2))
        if version:
            status = chance.choice(("corrected", "cancelled"))
            row = replace(row, version=version, status=status, volume=chance.randrange(1000))
        if number % 4 == 0:
            # parts of a share, as the tape has them since 2026-02-23
            row = replace(row, volume=exact_shares(Decimal(chance.randrange(10**8)).scaleb(-6)))
        if number % 17 == 0:
            row = replace(row, capture_mode="quote", volume=None)
        rows.append(row)
    return tuple(rows)
