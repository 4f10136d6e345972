"""The reconciliation in Dagster, on AWS services on loopback: it passes for a session that adds up, and names the
symbols of one that does not."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import dagster as dg
import pyarrow.parquet as pq
import pytest

from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.domain.trade import Trade
from stock_pipeline.lake.session_counts import data_files
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.orchestration.lake_assets import lake_definitions
from stock_pipeline.orchestration.reconciliation import JUST_ARRIVED, reconcile
from stock_pipeline.orchestration.resources import LakeResource, RealtimeResource
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.trade_table import table_of_trades
from stock_pipeline.wiring import utc_now
from tests.support.alarms import firing
from tests.support.broken_sessions import tear_manifest
from tests.support.raw_files import put_raw_file, raw_file_key
from tests.support.trades import SESSION, trade

pytestmark = pytest.mark.xdist_group("lake")

SYMBOLS = ("ABC", "XYZ", "ZZZ")
BATCHES = [
    [trade(n, symbol=symbol, event_id=f"sim:{symbol}:20180102:X:{n}") for symbol in SYMBOLS for n in range(30)],
    [trade(n, symbol="ABC", event_id=f"sim:ABC:20180102:X:{n}") for n in range(25, 35)],
]


class Stage:
    """The stack's lake and table, and the definitions of the code location over them."""

    def __init__(self, stack: LocalStack, resources: Any) -> None:
        self.definitions = lake_definitions(stack.settings)
        self.lake: LakeResource = resources.lake
        self.table: StateTable = resources.realtime.table
        self._clients = stack.clients
        self._name = stack.settings.state_table_name

    def arrive(self, rows: Sequence[Trade], number: int) -> None:
        """A batch as the processor leaves it: a raw file, and the state merged."""
        put_raw_file(self.lake.objects, SESSION, number, rows)
        for symbol in {row.symbol for row in rows}:
            key = SymbolKey(symbol, "sim")
            held = self.table.read([key]).get(key)
            base = held.state if held else SymbolState(key, ())
            merged = base.merged_with([row for row in rows if row.symbol == symbol], self.table.average_windows)
            self.table.write(merged, held.revision if held else None)

    def forget(self, symbol: str) -> None:
        self._clients.dynamodb.delete_item(TableName=self._name, Key={"symbol": {"S": symbol}, "feed": {"S": "sim"}})

    def published_key(self) -> str:
        (key,) = data_files(self.lake.objects, str(self.lake.catalog.published_location(SESSION)))
        return key

    def check(self) -> tuple[dg.AssetCheckEvaluation, dict[str, Any]]:
        """Run the asset as Dagster does; return the check, and the session's figures."""
        result = dg.materialize(
            [asset for asset in self.definitions.assets or () if isinstance(asset, dg.AssetsDefinition)],
            selection="reconciliation",
            partition_key=SESSION.isoformat(),
            resources=self.definitions.resources,
        )
        assert result.success
        (evaluation,) = result.get_asset_check_evaluations()
        (event,) = result.asset_materializations_for_node("reconciliation")
        return evaluation, {name: value.value for name, value in event.metadata.items()}


@pytest.fixture
def stage(stack: LocalStack) -> Iterator[Stage]:
    definitions = lake_definitions(stack.settings)
    resources: dict[str, Any] = dict(definitions.resources or {})
    with dg.build_resources(resources) as running:
        stage = Stage(stack, running)
        for number, rows in enumerate(BATCHES):
            stage.arrive(rows, number)
        stage.lake.compactor().compact(SESSION)
        yield stage


def symbols_of(evaluation: dg.AssetCheckEvaluation) -> Any:
    return evaluation.metadata["symbols"].value


def printed_metrics(out: str) -> list[str]:
    return [line for line in out.splitlines() if '"_aws"' in line]


def test_a_session_that_went_through_the_pipeline_agrees(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    evaluation, figures = stage.check()
    assert [json.loads(line)["UnexplainedDifferences"] for line in printed_metrics(capfd.readouterr().out)] == [0]
    assert (evaluation.passed, symbols_of(evaluation)) == (True, [])
    assert figures["delivered"] == 100 == figures["trades_in_raw_files"] + figures["repeats"]
    assert figures["published"] == figures["trades_in_raw_files"] == 95
    assert (figures["symbols"], figures["in_realtime_table"], figures["raw_files_collected"]) == (3, 3, False)


def test_a_tampered_partition_fails_the_check_and_is_named(stage: Stage, capfd: pytest.CaptureFixture[str]) -> None:
    key = stage.published_key()
    rows = pq.read_table(io.BytesIO(stage.lake.objects.get(key)))
    kept = [n for n, (symbol, sequence) in enumerate(zip(rows["symbol"].to_pylist(), rows["sequence"].to_pylist(),
                                                         strict=True)) if (symbol, sequence) != ("XYZ", 3)]  # fmt: skip
    sink = io.BytesIO()
    pq.write_table(rows.take(kept), sink)
    stage.lake.objects.put(key, sink.getvalue())
    evaluation, _ = stage.check()
    assert (evaluation.passed, symbols_of(evaluation)) == (False, ["XYZ"])
    assert "30 trades in raw files, 29 published" in str(evaluation.description)
    lines = [line.replace('"dev"', '"prod"') for line in printed_metrics(capfd.readouterr().out)]
    assert firing([lines], "prod") == {"unexplained-differences"}


def test_the_realtime_table_finds_another_price_in_the_lake(stage: Stage) -> None:
    key = stage.published_key()
    rows = [row for row in BATCHES[0] if row.symbol != "ABC"]
    changed = [replace(row, price=row.price + 1) if (row.symbol, row.sequence) == ("ZZZ", 29) else row for row in rows]
    abc = [trade(n, symbol="ABC", event_id=f"sim:ABC:20180102:X:{n}") for n in range(35)]
    stage.lake.objects.put(key, parquet_bytes(table_of_trades([*abc, *changed])))
    evaluation, _ = stage.check()
    assert (evaluation.passed, symbols_of(evaluation)) == (False, ["ZZZ"])


def test_a_symbol_missing_in_the_table_is_named_until_it_expires(stage: Stage) -> None:
    stage.forget("ABC")
    end_of_session = datetime(2018, 1, 3, 3, tzinfo=UTC)
    table = replace(stage.table, time_to_live_days=7)
    soon = reconcile(stage.lake, table, SESSION, end_of_session)
    assert [found.key.symbol for found in soon.found] == ["ABC"]
    assert reconcile(stage.lake, table, SESSION, end_of_session + timedelta(days=30)).agrees


def test_a_symbol_that_only_the_realtime_table_has_is_named(stage: Stage) -> None:
    key = SymbolKey("NEW", "sim")
    state = SymbolState(key, ()).merged_with([trade(1, symbol="NEW")], stage.table.average_windows)
    stage.table.write(state, None)
    evaluation, _ = stage.check()
    assert (evaluation.passed, symbols_of(evaluation)) == (False, ["NEW"])


def test_a_late_file_disagrees_until_it_is_compacted(stage: Stage) -> None:
    stage.arrive([trade(50, symbol="XYZ", event_id="sim:XYZ:20180102:X:50")], 7)
    # it came this minute, and the sensor asks for its compaction
    assert stage.check()[0].passed
    late = reconcile(stage.lake, stage.table, SESSION, utc_now() + JUST_ARRIVED)
    assert {found.key.symbol for found in late.found} == {"XYZ"}
    stage.lake.compactor().compact(SESSION)
    assert stage.check()[0].passed


NOON_OF_SESSION = datetime(2018, 1, 2, 17, tzinfo=UTC)
DEADLINE = datetime(2018, 1, 3, 3, tzinfo=UTC)


def test_a_session_under_way_is_compared_up_to_the_files_of_its_version(stage: Stage) -> None:
    """What a click on the running session finds: trades came after the compaction."""
    corrected = replace(trade(29, symbol="ZZZ", event_id="sim:ZZZ:20180102:X:29"), version=1, price=Decimal(1))
    new = [trade(n, symbol="XYZ", event_id=f"sim:XYZ:20180102:X:{n}") for n in range(28, 40)]
    stage.arrive([*new, corrected, trade(1, symbol="NEW", event_id="sim:NEW:20180102:X:1")], 7)
    assert reconcile(stage.lake, stage.table, SESSION, NOON_OF_SESSION).agrees
    over = reconcile(stage.lake, stage.table, SESSION, DEADLINE)
    assert {found.key.symbol for found in over.found} == {"NEW", "XYZ", "ZZZ"}
    stage.lake.compactor().compact(SESSION)
    for now in (NOON_OF_SESSION, DEADLINE):
        assert reconcile(stage.lake, stage.table, SESSION, now).agrees


def test_a_session_under_way_without_a_version_agrees(stage: Stage) -> None:
    day = date(2018, 1, 3)
    put_raw_file(stage.lake.objects, day, 1)
    assert reconcile(stage.lake, stage.table, day, NOON_OF_SESSION + timedelta(days=1)).agrees
    assert not reconcile(stage.lake, stage.table, day, DEADLINE + timedelta(days=1)).agrees


def test_a_session_under_way_is_compared_all_the_same(stage: Stage) -> None:
    stage.arrive([trade(50, symbol="XYZ", event_id="sim:XYZ:20180102:X:50")], 7)
    stage.forget("ABC")
    broken = put_raw_file(stage.lake.objects, SESSION, 8)
    stage.lake.objects.put(broken, b"broken")
    found = reconcile(stage.lake, stage.table, SESSION, NOON_OF_SESSION)
    assert [each.key.symbol for each in found.found] == ["ABC"]
    assert found.unreadable == (broken,)


@pytest.mark.parametrize("what", ["manifest", "data"])
def test_a_broken_session_fails_the_run_and_the_others_are_compared(stage: Stage, what: str) -> None:
    good = date(2018, 1, 3)
    put_raw_file(stage.lake.objects, good, 1)
    stage.lake.compactor().compact(good)
    if what == "manifest":
        tear_manifest(stage.lake.objects, SESSION)
    else:
        stage.lake.objects.put(stage.published_key(), b"{" * len(stage.lake.objects.get(stage.published_key())))
    result = dg.materialize(
        [asset for asset in stage.definitions.assets or () if isinstance(asset, dg.AssetsDefinition)],
        selection="reconciliation",
        tags={
            "dagster/asset_partition_range_start": SESSION.isoformat(),
            "dagster/asset_partition_range_end": good.isoformat(),
        },
        resources=stage.definitions.resources,
        raise_on_error=False,
    )
    assert not result.success
    (evaluation,) = result.get_asset_check_evaluations()
    assert not evaluation.passed
    assert str(evaluation.description).startswith("2018-01-02: ")
    assert "can't be read" in str(evaluation.description)
    figures = {event.partition: event.metadata for event in result.asset_materializations_for_node("reconciliation")}
    assert figures["2018-01-03"]["published"].value == 1


def test_an_unreadable_file_fails_the_check_and_is_named(stage: Stage) -> None:
    stage.lake.objects.put(raw_file_key(SESSION, 9), b"broken")
    evaluation, figures = stage.check()
    assert not evaluation.passed
    assert len(figures["unreadable"]) == 1
    assert figures["unreadable"][0] in str(evaluation.description)


def test_what_garbage_collection_left_is_compared(stage: Stage) -> None:
    list(stage.lake.garbage_collector(timedelta(0)).collect())
    evaluation, figures = stage.check()
    assert (evaluation.passed, figures["raw_files_collected"]) == (True, True)


def test_a_session_without_any_trade_agrees(stage: Stage) -> None:
    done = reconcile(stage.lake, stage.table, date(2018, 1, 3), datetime(2018, 1, 4, tzinfo=UTC))
    assert (done.agrees, done.books.symbols) == (True, [])


def test_the_realtime_resource_reads_what_the_settings_name(stack: LocalStack) -> None:
    realtime = (lake_definitions(stack.settings).resources or {})["realtime"]
    assert isinstance(realtime, RealtimeResource)
    with dg.build_resources({"realtime": realtime}) as resources:
        assert resources.realtime.table.average_windows == stack.settings.moving_average_windows
