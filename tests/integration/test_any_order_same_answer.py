"""Same trades, same answer: the recorded session in five orders and batchings, with repeats, through the real parts.

The processor writes to AWS services on loopback, the lake is compacted and published, and dbt builds the bars.
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import pytest

from stock_pipeline.aws.catalog import GlueCatalog
from stock_pipeline.aws.dead_letter_queue import SqsQueue
from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.domain.trade import Trade
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.local.stack import LocalStack, local_stack
from stock_pipeline.streaming.processor import Processor
from stock_pipeline.streaming.trade_json import encode_trade
from tests.support.kinesis_events import kinesis_event
from tests.support.sample_session import SAMPLE_DATE, sample_trades

PROJECT = Path(__file__).parents[2] / "dbt_project"
REPEATED = 0.05
ORDERS = 5

pytestmark = pytest.mark.xdist_group("orders")


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
    settings, clients = stack.settings, stack.clients
    lake = ObjectStore(clients.s3, settings.bucket_name)
    windows = settings.moving_average_windows
    processor = Processor(
        dead_letters=SqsQueue(clients.sqs, settings.require_dead_letter_queue_url(), lake),
        raw_store=lake,
        state_store=StateTable(clients.dynamodb, settings.state_table_name, windows),
        average_windows=windows,
        wait=lambda _attempt: None,
    )
    sequence = 1
    for records in batches(sample_trades(), seed):
        assert processor.handle(kinesis_event(records, first=sequence)) == {"batchItemFailures": []}
        sequence += len(records)
    catalog = GlueCatalog(clients.glue, settings.database_name, settings.bucket_name)
    report = Compactor(lake, catalog, lambda: datetime.now(UTC)).compact(SAMPLE_DATE)
    location = catalog.published_location(SAMPLE_DATE)
    assert location is not None
    build_daily_bars(stack)
    with duckdb.connect(settings.duckdb_path, read_only=True) as connection:
        bars = connection.execute("select * from daily_bars order by all").fetchall()
    return Outcome(
        items=clients.dynamodb.scan(TableName=settings.state_table_name)["Items"],
        curated_version_bytes=lake.get(location.removeprefix(f"s3://{settings.bucket_name}/") + "trades.parquet"),
        bars=bars,
        raw_rows=report.rows_in,
    )


def build_daily_bars(stack: LocalStack) -> None:
    target = Path(stack.settings.duckdb_path).parent / "target"
    command = [
        Path(sys.executable).with_name("dbt"),
        "build",
        "--select",
        "+daily_bars",
        "--indirect-selection",
        "cautious",
        "--exclude-resource-type",
        "unit_test",
    ]
    places = ["--project-dir", PROJECT, "--profiles-dir", PROJECT, "--target-path", target, "--log-path", target]
    done = subprocess.run([*command, *places], env=dict(stack.environ), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_five_orders_of_arrival_give_the_same_bytes(tmp_path: Path) -> None:
    """Orders, batches and repeats change no item, no byte of the lake's version and no bar."""
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
