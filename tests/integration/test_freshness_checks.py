"""Freshness checks in Dagster, on AWS services on loopback: the due session decides, not the latest run."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import dagster as dg
import msgspec
import pytest

from stock_pipeline.aws.state_table import StateTable
from stock_pipeline.definitions import build_definitions
from stock_pipeline.domain.freshness import Finding
from stock_pipeline.domain.symbol_state import SymbolKey, SymbolState
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.orchestration.freshness import BUILT, CHECKS, CURRENT, PUBLISHED, look
from stock_pipeline.orchestration.lake_assets import lake_definitions
from stock_pipeline.orchestration.lake_schedules import SESSION_JOB
from stock_pipeline.orchestration.resources import LakeResource, RealtimeResource
from stock_pipeline.orchestration.trade_checks import sessions_of_run
from stock_pipeline.providers.alpaca.pages import CapturePosition
from stock_pipeline.providers.selection import feed_delay_seconds
from stock_pipeline.streaming.telemetry import Telemetry
from tests.support.alarms import firing
from tests.support.broken_sessions import tear_head
from tests.support.raw_files import put_raw_file
from tests.support.trades import trade

pytestmark = pytest.mark.xdist_group("lake")

EXPECTED = date(2018, 11, 2)
"""Friday; the clocks went back on Sunday."""

MONDAY_MORNING = datetime(2018, 11, 5, 13, tzinfo=UTC)
OLD = date(2018, 1, 2)


class FreshnessWorld(NamedTuple):
    stack: LocalStack
    lake: LakeResource
    realtime: RealtimeResource
    instance: dg.DagsterInstance
    told: list[str]

    def tick(
        self, now: datetime, cursor: str | None = None, delay_seconds: int = 0, printed: list[str] | None = None
    ) -> dg.SensorResult:
        def tell(key: dg.AssetCheckKey, finding: Finding) -> None:
            self.told.append(key.name)

        telemetry = None if printed is None else Telemetry("dagster", "prod", printed.append, lambda: 0)
        return look(self.instance, self.lake, self.realtime, cursor, now, tell, delay_seconds, telemetry)

    def publish(self, session_date: date, at: datetime) -> None:
        put_raw_file(self.lake.objects, session_date, at.hour + 100 * at.day)
        Compactor(self.lake.objects, self.lake.catalog, now=lambda: at).compact(session_date)

    def build(self, session_date: date) -> None:
        """Report the session's models as built, as a run of dbt does."""
        event = dg.AssetMaterialization(BUILT.asset_key, partition=session_date.isoformat())
        self.instance.report_runless_asset_event(event)

    def trade_at(self, moment: datetime, symbol: str = "ABC", feed: str = "sim") -> None:
        settings = self.stack.settings
        table = StateTable(self.stack.clients.dynamodb, settings.state_table_name, settings.moving_average_windows)
        row = trade(1, symbol=symbol, feed=feed, event_time_ns=int(moment.timestamp() * 1e9))
        table.write(SymbolState(SymbolKey(symbol, feed), (row,)), None)


@pytest.fixture
def world(stack: LocalStack) -> Iterator[FreshnessWorld]:
    settings = stack.settings
    parts = {
        "lake": LakeResource(environ=settings.environ()),
        "realtime": (lake_definitions(settings).resources or {})["realtime"],
    }
    with dg.build_resources(parts) as resources, dg.DagsterInstance.ephemeral() as instance:
        yield FreshnessWorld(stack, resources.lake, resources.realtime, instance, [])


def verdicts(result: dg.SensorResult) -> dict[dg.AssetCheckKey, bool]:
    return {
        event.asset_check_key: event.passed
        for event in result.asset_events
        if isinstance(event, dg.AssetCheckEvaluation)
    }


def test_an_old_backfill_does_not_make_the_due_session_fresh(
    world: FreshnessWorld,
) -> None:
    world.publish(OLD, MONDAY_MORNING)
    world.build(OLD)
    assert verdicts(world.tick(MONDAY_MORNING)) == {PUBLISHED: False, BUILT: False, CURRENT: True}
    world.publish(EXPECTED, MONDAY_MORNING)
    world.build(EXPECTED)
    assert verdicts(world.tick(MONDAY_MORNING)) == {PUBLISHED: True, BUILT: True, CURRENT: True}


def test_a_session_compacted_while_open_is_not_published_whole(world: FreshnessWorld) -> None:
    world.publish(EXPECTED, datetime(2018, 11, 2, 15, tzinfo=UTC))
    put_raw_file(world.lake.objects, EXPECTED, 1)
    assert not verdicts(world.tick(MONDAY_MORNING))[PUBLISHED]
    world.publish(EXPECTED, datetime(2018, 11, 3, 0, 35, tzinfo=UTC))
    assert verdicts(world.tick(MONDAY_MORNING))[PUBLISHED]


def test_a_lake_without_a_session_that_is_due_is_green(world: FreshnessWorld) -> None:
    green = {PUBLISHED: True, BUILT: True, CURRENT: True}
    assert verdicts(world.tick(MONDAY_MORNING)) == green
    put_raw_file(world.lake.objects, date(2018, 11, 5), 1)
    assert verdicts(world.tick(MONDAY_MORNING)) == green
    assert world.told == []


def test_a_lake_that_began_after_the_deadline_is_green_until_the_next_one(world: FreshnessWorld) -> None:
    put_raw_file(world.lake.objects, EXPECTED, 1)
    assert verdicts(world.tick(MONDAY_MORNING)) == {PUBLISHED: True, BUILT: True, CURRENT: True}
    world.publish(EXPECTED, MONDAY_MORNING)
    assert verdicts(world.tick(MONDAY_MORNING)) == {PUBLISHED: True, BUILT: True, CURRENT: True}
    monday_night = datetime(2018, 11, 6, 3, 30, tzinfo=UTC)
    assert verdicts(world.tick(monday_night)) == {PUBLISHED: False, BUILT: False, CURRENT: True}


def test_a_broken_session_is_stale_and_stops_no_other_check(world: FreshnessWorld) -> None:
    world.publish(OLD, MONDAY_MORNING)
    world.publish(EXPECTED, MONDAY_MORNING)
    tear_head(world.lake.objects, EXPECTED)
    first = world.tick(MONDAY_MORNING)
    assert verdicts(first) == {PUBLISHED: False, BUILT: False, CURRENT: True}
    world.tick(MONDAY_MORNING, first.cursor)
    assert world.told == ["latest_session_is_published", "latest_session_is_built"]


def polled_to(world: FreshnessWorld, moment: datetime) -> None:
    position = CapturePosition(0, int(moment.timestamp()) * 10**9, None, "query")
    world.lake.wiring.checkpoints("alpaca").save(msgspec.json.encode(position).decode())


def test_a_session_is_not_published_whole_before_the_checkpoint_passed_its_extended_hours(
    world: FreshnessWorld,
) -> None:
    world.publish(EXPECTED, datetime(2018, 11, 3, 0, 35, tzinfo=UTC))
    polled_to(world, datetime(2018, 11, 2, 22, tzinfo=UTC))
    assert not verdicts(world.tick(MONDAY_MORNING))[PUBLISHED]
    world.lake.objects.put("checkpoints/alpaca-iex.json", b'{"checkpo')
    assert verdicts(world.tick(MONDAY_MORNING))[PUBLISHED]
    polled_to(world, datetime(2018, 11, 3, 0, tzinfo=UTC))
    assert verdicts(world.tick(MONDAY_MORNING))[PUBLISHED]


def test_a_session_published_early_is_whole_while_no_raw_file_came_since(world: FreshnessWorld) -> None:
    """A feed may end before the extended hours do."""
    world.publish(EXPECTED, datetime(2018, 11, 2, 22, tzinfo=UTC))
    assert verdicts(world.tick(MONDAY_MORNING))[PUBLISHED]
    put_raw_file(world.lake.objects, EXPECTED, 9)
    assert not verdicts(world.tick(MONDAY_MORNING))[PUBLISHED]


def test_people_hear_of_what_becomes_stale_once(world: FreshnessWorld) -> None:
    world.publish(OLD, MONDAY_MORNING)
    first = world.tick(MONDAY_MORNING)
    assert world.told == ["latest_session_is_published", "latest_session_is_built"]
    again = world.tick(MONDAY_MORNING + timedelta(minutes=5), first.cursor)
    assert len(world.told) == 2
    world.publish(EXPECTED, MONDAY_MORNING)
    healed = world.tick(MONDAY_MORNING + timedelta(minutes=10), again.cursor)
    assert len(world.told) == 2
    # the next session is missing at its deadline
    world.tick(datetime(2018, 11, 6, 3, tzinfo=UTC), healed.cursor)
    assert world.told[2:] == ["latest_session_is_published"]


def test_alarms_outside_of_dagster_tell_of_what_is_overdue(world: FreshnessWorld) -> None:
    heartbeat = {"dagster-silent"}
    world.publish(OLD, MONDAY_MORNING)
    printed: list[str] = []
    world.tick(MONDAY_MORNING, printed=printed)
    assert firing([printed] * 3, "prod") - heartbeat == {"session-overdue", "bars-overdue"}
    world.publish(EXPECTED, MONDAY_MORNING)
    world.build(EXPECTED)
    printed.clear()
    world.tick(MONDAY_MORNING, printed=printed)
    assert firing([printed] * 3, "prod") - heartbeat == set()


def test_a_newest_trade_from_before_the_calendar_is_a_heartbeat_of_the_table_alone(world: FreshnessWorld) -> None:
    long_ago = datetime(1999, 1, 4, 16, tzinfo=UTC)
    world.trade_at(long_ago)
    beats = [event for event in world.tick(MONDAY_MORNING).asset_events if isinstance(event, dg.AssetMaterialization)]
    assert [event.asset_key.to_user_string() for event in beats] == ["realtime_state"]


def test_the_newest_trade_judges_the_stream_of_an_open_market(world: FreshnessWorld) -> None:
    noon = datetime(2018, 11, 2, 16, tzinfo=UTC)
    world.trade_at(noon - timedelta(minutes=20), "OLD")
    world.trade_at(noon, "SMOKE", feed="smoke")
    world.trade_at(noon + timedelta(days=400), "WRONG")
    assert not verdicts(world.tick(noon))[CURRENT]
    world.trade_at(noon - timedelta(minutes=2), "NEW")
    assert verdicts(world.tick(noon))[CURRENT]
    assert not verdicts(world.tick(noon + timedelta(minutes=4)))[CURRENT]
    assert verdicts(world.tick(noon + timedelta(hours=4)))[CURRENT]  # closed


def test_the_stream_of_a_delayed_feed_may_be_that_much_older(world: FreshnessWorld) -> None:
    noon, delay = datetime(2018, 11, 2, 16, tzinfo=UTC), feed_delay_seconds("sip")
    world.trade_at(noon - timedelta(minutes=17))
    assert not verdicts(world.tick(noon))[CURRENT]
    assert verdicts(world.tick(noon, delay_seconds=delay))[CURRENT]
    assert not verdicts(world.tick(noon + timedelta(minutes=5), delay_seconds=delay))[CURRENT]


def test_the_table_is_observed_and_a_newer_trade_is_a_heartbeat(world: FreshnessWorld) -> None:
    noon = datetime(2018, 11, 2, 16, tzinfo=UTC)
    world.trade_at(noon - timedelta(seconds=30))
    first = world.tick(noon)
    (observation,) = [event for event in first.asset_events if isinstance(event, dg.AssetObservation)]
    assert observation.asset_key == dg.AssetKey("realtime_state")
    assert observation.metadata["items"].value == 1
    assert observation.metadata["seconds_since_newest_trade"].value == 30.0

    def beats(result: dg.SensorResult) -> list[tuple[str, str | None]]:
        return [
            (event.asset_key.to_user_string(), event.partition)
            for event in result.asset_events
            if isinstance(event, dg.AssetMaterialization)
        ]

    assert beats(first) == [("realtime_state", None), ("raw_trades", "2018-11-02")]
    assert beats(world.tick(noon, first.cursor)) == []
    world.trade_at(noon, "NEW")
    assert len(beats(world.tick(noon, first.cursor))) == 2
    world.trade_at(datetime(2018, 11, 3, 16, tzinfo=UTC), "SATURDAY")
    assert beats(world.tick(datetime(2018, 11, 3, 16, tzinfo=UTC), first.cursor)) == [("realtime_state", None)]


def test_a_trade_before_the_calendar_fails_no_tick(world: FreshnessWorld) -> None:
    world.trade_at(datetime(1970, 1, 1, 1, tzinfo=UTC), "OLD")
    world.trade_at(datetime(2099, 12, 31, tzinfo=UTC), "AHEAD")
    result = world.tick(MONDAY_MORNING)
    beats = [event.asset_key for event in result.asset_events if isinstance(event, dg.AssetMaterialization)]
    assert beats == [dg.AssetKey("realtime_state")]


def test_the_checks_run_as_dagster_runs_them_and_the_sensor_too(world: FreshnessWorld) -> None:
    world.publish(OLD, MONDAY_MORNING)
    definitions = build_definitions(world.stack.settings)
    checks = dg.define_asset_job("checks", selection=dg.AssetSelection.checks(*CHECKS))
    job = dg.Definitions.merge(definitions, dg.Definitions(jobs=[checks])).resolve_job_def("checks")
    result = job.execute_in_process(instance=world.instance)
    evaluated = {one.asset_check_key: one.passed for one in result.get_asset_check_evaluations()}
    assert set(evaluated) == set(CHECKS)
    assert not evaluated[PUBLISHED]
    sensor = definitions.resolve_sensor_def("freshness")
    parts = {name: getattr(world, name) for name in ("lake", "realtime")}
    with (
        dg.build_resources({"alerts": definitions.resources["alerts"]}) as resources,  # type: ignore[index]
        dg.build_sensor_context(
            instance=world.instance, definitions=definitions, resources={**parts, "alerts": resources.alerts}
        ) as context,
    ):
        data = sensor.evaluate_tick(context)
    assert len(json.loads(data.cursor or "")["stale"]) >= 2
    assert data.asset_events


def test_a_row_that_cannot_be_true_stops_dbt_before_it_begins(world: FreshnessWorld) -> None:
    """Its file is written as nothing of the pipeline would: what is not foreseen is what the check is for."""
    put_raw_file(world.lake.objects, OLD, 1)
    bad = replace(trade(7), price=Decimal("-1.5"))
    put_raw_file(world.lake.objects, OLD, 7, [bad])
    job = build_definitions(world.stack.settings).resolve_job_def(SESSION_JOB)
    result = job.execute_in_process(instance=world.instance, partition_key=OLD.isoformat(), raise_on_error=False)
    assert not result.success
    checks = {one.check_name: one for one in result.get_asset_check_evaluations()}
    assert {name: one.passed for name, one in checks.items()} == {
        "rows_can_be_true": False,
        "bars_agree_with_alpaca": True,
    }
    check = checks["rows_can_be_true"]
    assert check.description == "2018-01-02: 1 rows whose price is missing or not above zero"
    started = {event.step_key for event in result.all_events if event.is_step_start}
    assert started == {"trades", "trades_rows_can_be_true", "trades_bars_agree_with_alpaca"}


def test_a_backfills_check_looks_at_each_of_its_sessions() -> None:
    tags = {
        "dagster/asset_partition_range_start": "2018-11-02",
        "dagster/asset_partition_range_end": "2018-11-06",
    }
    assert sessions_of_run(tags) == [date(2018, 11, 2), date(2018, 11, 5), date(2018, 11, 6)]
    assert sessions_of_run({"dagster/partition": "2018-11-02"}) == [date(2018, 11, 2)]
