"""What the first release wrote is read by this one: lines, items, messages, checkpoint, raw files and versions."""

import base64
import json
import zlib
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.domain.arrival import ArrivalLimits
from stock_pipeline.domain.moving_average import window_capacity
from stock_pipeline.domain.rejection import Reason
from stock_pipeline.domain.symbol_state import SymbolKey
from stock_pipeline.domain.trade import Trade
from stock_pipeline.lake.catalog_rebuild import CatalogRebuild
from stock_pipeline.providers.read_position import alpaca_read_to_ns
from stock_pipeline.restore.lake_states import LakeStates, newest_sessions
from stock_pipeline.restore.state_rebuild import StateRebuild
from stock_pipeline.streaming.batch_decoder import decode_batch
from stock_pipeline.streaming.kinesis_event import parse_kinesis_event
from stock_pipeline.streaming.processor import Processor
from stock_pipeline.streaming.rejection_message import parse_rejection_message
from stock_pipeline.trade_table import trades_of_table
from tests.fakes.clients import FakeDynamoDbClient
from tests.fakes.sql_engine import FakeSqlQueries
from tests.fakes.stores import FakeObjectStore, FakeQueue
from tests.support.kinesis_events import kinesis_event
from tests.support.lake import SESSION, Lake
from tests.support.oracle import windows, winning_trades
from tests.support.trades import trade

FOLDER = Path(__file__).parents[1] / "data" / "releases" / "2026-11-23"
WINDOWS = (5, 20)
KEY = SymbolKey("ABC", "sim")


def lines() -> bytes:
    return (FOLDER / "lines.ndjson").read_bytes()


def rows() -> list[Trade]:
    """The trades that the release was given."""
    good = [trade(n) for n in range(40)]
    return [*good, trade(39, version=1, status="cancelled"), trade(40, volume=None, capture_mode="quote")]


@pytest.fixture
def table() -> StateTable:
    """The release's items."""
    client = FakeDynamoDbClient()
    for item in json.loads((FOLDER / "items.json").read_text()):
        item["trade_window"]["B"] = base64.b64decode(item["trade_window"]["B"])
        client.items[item["symbol"]["S"], item["feed"]["S"]] = item
    return StateTable(client, "table", WINDOWS, 7)  # type: ignore[arg-type]


@pytest.fixture
def lake() -> Lake:
    """The release's bucket, and a catalog that was made anew."""
    lake = Lake()
    for path in sorted((FOLDER / "bucket").rglob("*.*")):
        lake.store.put(path.relative_to(FOLDER / "bucket").as_posix(), path.read_bytes())
    CatalogRebuild(lake.store, lake.catalog, lambda: lake.now, lake.unpublished).run()
    return lake


def test_its_lines_are_trades() -> None:
    decoded = decode_batch(parse_kinesis_event(kinesis_event([lines()])), ArrivalLimits())
    assert decoded.rejections == ()
    assert [one.event_id for one in trades_of_table(decoded.trades)] == [one.event_id for one in rows()]


def test_its_items_are_read_and_written_on(table: StateTable) -> None:
    expected = windows(rows(), window_capacity(WINDOWS))[KEY]
    assert table.read([KEY])[KEY].state.window == expected
    processor = Processor(FakeQueue(), FakeObjectStore(), table, WINDOWS, lambda _: None)
    assert processor.handle(kinesis_event([lines()])) == {"batchItemFailures": []}
    assert table.read([KEY])[KEY].state.window == expected


def without_what_came_later(item: dict[str, Any]) -> dict[str, Any]:
    """Attributes that follow from the others; an item gets them with its next trade. A revision is any writer's own."""
    return {name: value for name, value in item.items() if name not in ("last_eligible", "revision")}


def test_its_items_are_as_this_release_would_write_them(table: StateTable) -> None:
    """Else each upgrade would write every item anew, and a rollback again."""
    client: Any = table.client
    stored = table.read([KEY])[KEY]
    item = table.item(stored.state)
    for each in (client.items[KEY], item):
        each["trade_window"] = {"B": zlib.decompress(each["trade_window"]["B"])}
    assert without_what_came_later(client.items[KEY]) == without_what_came_later(item)
    assert stored.state.merged_with(rows(), WINDOWS) == stored.state


def test_its_version_and_raw_files_are_compacted(lake: Lake) -> None:
    base = lake.manifest()
    report = lake.compactor.compact(SESSION)
    assert report.published
    assert report.notes == ()
    assert lake.manifest().replaces == base.version
    ids = [one.event_id for one in winning_trades(rows())]
    assert [one.event_id for one in lake.read()] == ids


@pytest.mark.parametrize("engine", ["local", "athena"])
def test_its_whole_volumes_and_new_parts_of_a_share_are_merged(lake: Lake, engine: str) -> None:
    lake.add([trade(50, volume=Decimal("0.25")), trade(51, volume=Decimal("204.000001")), trade(52)], 3)
    queries = FakeSqlQueries(lake.store) if engine == "athena" else None
    report = replace(lake.compactor, sql_queries=queries).compact(SESSION)
    old = sum(one.volume or 0 for one in winning_trades(rows()))
    assert lake.manifest().engine == engine
    assert report.volume == old + 304 + Decimal("0.250001")
    volumes = {one.event_id: one.volume for one in lake.read()}
    assert volumes[trade(50).event_id] == Decimal("0.25")
    assert volumes[trade(51).event_id] == Decimal("204.000001")
    assert sum(volume or 0 for volume in volumes.values()) == report.volume


def test_its_table_is_rebuilt_from_its_lake(lake: Lake, table: StateTable) -> None:
    client: Any = table.client
    before = dict(client.items)
    client.items.clear()
    states = LakeStates(lake.store, lake.compactor.partition, WINDOWS)
    list(states.read(newest_sessions(lake.store, 10)))
    states.failures.raise_all()
    StateRebuild(table, WINDOWS, lambda _: None).merge(list(states.states.values()))
    assert {key: without_what_came_later(item) for key, item in client.items.items()} == {
        key: without_what_came_later(item) for key, item in before.items()
    }


def test_its_messages_are_rejections() -> None:
    found = [
        parse_rejection_message(json.loads(line)) for line in (FOLDER / "messages.ndjson").read_bytes().splitlines()
    ]
    assert [one.reason for one in found] == [Reason.SCHEMA, Reason.NOT_JSON]
    assert [one.payload for one in found] == [b'{"event_id": "no trade"}', b"no JSON"]


def test_its_checkpoint_says_how_far_the_source_was_read() -> None:
    assert alpaca_read_to_ns((FOLDER / "checkpoint.json").read_text(), None) == 1_514_912_400_000_000_000
