"""Same trades, same answer: the recorded session in five orders and batchings, with repeats, through the real parts.

The processor writes to AWS services on loopback, the lake is compacted and published, and dbt builds the bars.
"""

import os
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from stock_pipeline.domain.trade import Trade
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.lake.session_counts import data_files
from stock_pipeline.local.stack import LocalStack, local_stack
from stock_pipeline.streaming.processor import Processor
from stock_pipeline.streaming.trade_json import encode_trade
from tests.support.built_lake import run_dbt
from tests.support.kinesis_events import kinesis_event
from tests.support.sample_session import SAMPLE_DATE, sample_trades

ONLY_DAILY_BARS = (
    "--select",
    "+daily_bars",
    "--indirect-selection",
    "cautious",
    "--exclude-resource-type",
    "unit_test",
)
AFTER_THE_SESSION = 1_515_000_000.0
"""2018-01-03 17:20 UTC, in seconds since 1970."""

REPEATED = 0.05
ORDERS = 5

pytestmark = [pytest.mark.xdist_group("orders"), pytest.mark.system]


@dataclass(frozen=True)
class Outcome:
    """All that readers see: every item, the published file byte by byte, every bar."""

    items: list[dict[str, Any]]
    curated_version_bytes: bytes
    bars: list[tuple[Any, ...]]
    raw_rows: int


def batches(trades: Sequence[Trade], seed: int) -> Iterator[list[bytes]]:
    """Pack the trades in random order into random records and batches, and deliver 5 % of the records twice."""
    chance = random.Random(seed)
    lines = [encode_trade(trade) for trade in trades]
    chance.shuffle(lines)
    records: list[bytes] = []
    while lines:
        size = chance.randrange(1, 180)
        records.append(b"\n".join(lines[:size]))
        del lines[:size]
    records += chance.sample(records, int(len(records) * REPEATED) + 1)
    chance.shuffle(records)
    while records:
        size = chance.randrange(1, 120)
        yield records[:size]
        del records[:size]


def outcome(stack: LocalStack, seed: int) -> Outcome:
    settings, wiring = stack.settings, stack.wiring
    processor = Processor(
        dead_letters=wiring.dead_letters,
        raw_store=wiring.objects,
        state_store=wiring.state_table,
        average_windows=settings.moving_average_windows,
        wait=lambda _attempt: None,
    )
    sequence = 1
    for records in batches(sample_trades(), seed):
        assert processor.handle(kinesis_event(records, first=sequence, arrived_at=AFTER_THE_SESSION)) == {
            "batchItemFailures": []
        }
        sequence += len(records)
    report = Compactor(wiring.objects, wiring.catalog, lambda: datetime.now(UTC)).compact(SAMPLE_DATE)
    (data_file,) = data_files(wiring.objects, wiring.catalog.published_locations()[SAMPLE_DATE])
    run_dbt(stack.environ, "build", *ONLY_DAILY_BARS)
    with duckdb.connect(settings.duckdb_path, read_only=True) as connection:
        bars = connection.execute("select * from daily_bars order by all").fetchall()
    return Outcome(
        items=stack.clients.dynamodb.scan(TableName=settings.state_table_name)["Items"],
        curated_version_bytes=wiring.objects.get(data_file),
        bars=bars,
        raw_rows=report.rows_in,
    )


def test_five_orders_of_arrival_give_the_same_bytes(tmp_path: Path) -> None:
    outcomes = []
    for seed in range(ORDERS):
        database = tmp_path / "stock_market.duckdb"
        database.unlink(missing_ok=True)
        with local_stack({**os.environ, "DUCKDB_PATH": str(database), "DO_NOT_TRACK": "1"}) as stack:
            outcomes.append(outcome(stack, seed))
    first = outcomes[0]
    assert all(one.raw_rows > len(sample_trades()) for one in outcomes)
    for other in outcomes[1:]:
        assert other.items == first.items
        assert other.curated_version_bytes == first.curated_version_bytes
        assert other.bars == first.bars
    assert len(first.items) == len(first.bars) == 1
