"""Parts of a share stay exact from the stream's lines through raw files and compaction to every mart."""

import random
from collections import defaultdict
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.domain.session import session_date_of
from stock_pipeline.domain.trade import Trade, exact_shares
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.streaming.processor import Processor
from stock_pipeline.streaming.trade_json import encode_trade
from tests.fakes.stores import FakeQueue, FakeStateTable
from tests.support.built_lake import BuiltLake, new_lake, run_dbt
from tests.support.kinesis_events import NOON, kinesis_event
from tests.support.trades import DAY_NS, SESSION, trade

pytestmark = pytest.mark.xdist_group("dbt")

MARTS = ("stock_market_data", "minute_bars", "session_part_bars", "daily_bars")
TRADES, A_BATCH, HOUR_NS = 3_000, 500, 3_600 * 10**9
MILLIONTHS = (1, 10, 250_000, 333_333, 999_999, 1_000_000, 1_000_001, 100_000_000, 12_345_678_901, 10**13 + 1)
"""Of a share. A sum of doubles is wrong in its sixth place long before the largest of them."""


def traded() -> list[Trade]:
    chance = random.Random(26)
    return [
        replace(
            trade(number, symbol=f"S{number % 4}", price=Decimal(chance.randrange(10**6, 10**7)).scaleb(-4)),
            event_time_ns=trade(0).event_time_ns
            + chance.randrange(-4 * HOUR_NS, 4 * HOUR_NS)
            + chance.choice((0, DAY_NS)),
            volume=exact_shares(Decimal(chance.choice(MILLIONTHS)).scaleb(-6)),
            conditions=chance.choice(("", "F", "I", "T")),
        )
        for number in range(TRADES)
    ]


def process(lake: BuiltLake, trades: list[Trade]) -> None:
    """Hand the trades to the processor in batches, a third of them again in a later one."""
    chance = random.Random(27)
    lines = [encode_trade(row) for row in trades]
    lines += chance.sample(lines, len(lines) // 3)
    chance.shuffle(lines)
    queue = FakeQueue()
    store = ObjectStore(lake.client("s3"), lake.bucket)
    processor = Processor(queue, store, FakeStateTable(), (20,), wait=lambda _attempt: None)
    for first in range(0, len(lines), A_BATCH):
        event = kinesis_event(lines[first : first + A_BATCH], first=first + 1, arrived_at=NOON + 30 * 3_600)
        assert processor.handle(event) == {"batchItemFailures": []}
    assert queue.documents == []


def sums(lake: BuiltLake, relation: str) -> dict[str, Decimal]:
    return dict(lake.query(f"SELECT symbol, SUM(volume) FROM {relation} GROUP BY symbol ORDER BY symbol"))  # type: ignore[arg-type]


def test_volumes_add_up_exactly_in_every_mart(aws_endpoint: str, tmp_path: Path) -> None:
    """One session is compacted and published, the next lies in raw files only."""
    lake = new_lake(aws_endpoint, tmp_path, "parts_of_a_share")
    lake.catalog.create()
    trades = traded()
    expected: dict[str, Decimal] = defaultdict(Decimal)
    for row in trades:
        expected[row.symbol] += Decimal(row.volume or 0)
    assert all(volume % 1 for volume in expected.values())
    process(lake, trades)
    Compactor(ObjectStore(lake.client("s3"), lake.bucket), lake.catalog, lambda: datetime.now(UTC)).compact(SESSION)
    lake.refresh()
    run_dbt(lake.environment, "build")
    (published,) = lake.query("SELECT COUNT(*), SUM(volume) + SUM(volume_fraction) * 0.000001 FROM trades")
    of_session = [Decimal(row.volume or 0) for row in trades if session_date_of(row.event_time_ns) == SESSION]
    assert published == (len(of_session), sum(of_session))
    assert 0 < len(of_session) < TRADES
    assert {mart: sums(lake, mart) for mart in MARTS} == dict.fromkeys(MARTS, expected)
    month = "SELECT symbol, total_volume FROM top_volume WHERE period = 'month'"
    assert dict(lake.query(month)) == expected  # type: ignore[arg-type]
