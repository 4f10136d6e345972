"""Freshness: policies, checks on the exchange's calendar, and the sensor that makes them.

A backfill of an old session satisfies a policy, so policies only notice a standstill of days. The checks judge the
session that is due, by `domain.freshness`.
"""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import dagster as dg

from stock_pipeline.aws.shown_state import ShownState
from stock_pipeline.domain.feed_session import feed_session_date, is_feed_session
from stock_pipeline.domain.freshness import (
    DueSession,
    Finding,
    judge_session,
    judge_stream,
    newest_event,
)
from stock_pipeline.lake.session_freshness import judge_published, session_due
from stock_pipeline.orchestration.alerts import AlertResource
from stock_pipeline.orchestration.owners import OWNERS
from stock_pipeline.orchestration.resources import LakeResource, RealtimeResource
from stock_pipeline.orchestration.shown_rows import latest_prices
from stock_pipeline.orchestration.switches import sensor_status
from stock_pipeline.orchestration.table_metadata import state_metadata
from stock_pipeline.orchestration.watch_report import freshness_events, watch_telemetry
from stock_pipeline.providers.selection import feed_delay_seconds
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.telemetry import Telemetry
from stock_pipeline.wiring import utc_now

INTERVAL_SECONDS = 300

POLICY = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=5), warn_window=timedelta(days=4, hours=6))
"""Four days lie between two sessions over a long weekend."""

LIVE_POLICY = dg.FreshnessPolicy.time_window(fail_window=timedelta(days=4))

PUBLISHED = dg.AssetCheckKey(dg.AssetKey("trades"), "latest_session_is_published")
BUILT = dg.AssetCheckKey(dg.AssetKey("daily_bars"), "latest_session_is_built")
CURRENT = dg.AssetCheckKey(dg.AssetKey("realtime_state"), "stream_is_current_while_the_market_is_open")
CHECKS = (PUBLISHED, BUILT, CURRENT)


def freshness_definitions(settings: Settings) -> dg.Definitions:
    return dg.Definitions(
        assets=[realtime_state(settings.state_table_name)],
        asset_checks=[
            latest_session_is_published(settings),
            latest_session_is_built(settings),
            stream_is_current(settings),
        ],
        sensors=[freshness_sensor(settings)],
    )


def realtime_state(table: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        "realtime_state",
        deps=["raw_trades"],
        group_name="realtime",
        kinds={"dynamodb"},
        owners=OWNERS,
        code_version="1",
        freshness_policy=LIVE_POLICY,
        metadata=state_metadata(table),
        description="Latest trade and moving averages of each symbol and feed. The processor writes it beside "
        "`raw_trades`; the sensor `freshness` observes it.",
    )


def latest_session_is_published(settings: Settings) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=PUBLISHED.asset_key,
        name=PUBLISHED.name,
        description="The latest session whose deadline (22:00 New York) has passed is published as a whole: after its "
        "extended hours ended, and the source was read to their end.",
    )
    def check(lake: LakeResource) -> dg.AssetCheckResult:
        due = session_due(lake.objects, utc_now(), settings.feed)
        return _result(published_finding(lake, due, feed_delay_seconds(settings.feed)))

    return check


def latest_session_is_built(settings: Settings) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=BUILT.asset_key,
        name=BUILT.name,
        description="The bars of the latest session whose deadline (22:00 New York) has passed were built after "
        "its last trades were captured.",
    )
    def check(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> dg.AssetCheckResult:
        due = session_due(lake.objects, utc_now(), settings.feed)
        return _result(built_finding(context.instance, due, feed_delay_seconds(settings.feed)))

    return check


def stream_is_current(settings: Settings) -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset=CURRENT.asset_key,
        name=CURRENT.name,
        description="While the market is open the newest trade is a few minutes old at most; with a delayed feed, "
        "that much later.",
    )
    def check(realtime: RealtimeResource) -> dg.AssetCheckResult:
        now = utc_now()
        newest = newest_event(realtime.event_times_ns(), _nanoseconds(now))
        return _result(judge_stream(newest, now, feed_delay_seconds(settings.feed), settings.feed))

    return check


def published_finding(lake: LakeResource, due: DueSession | None, delay_seconds: int) -> Finding:
    return judge_published(lake.compactor(), due, lake.source_read_to_ns(), delay_seconds)


def built_finding(instance: dg.DagsterInstance, due: DueSession | None, delay_seconds: int) -> Finding:
    """Judge the session by the latest materialization of its partition."""
    if due is None:
        return judge_session(due, None)
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=BUILT.asset_key, asset_partitions=[due.session_date.isoformat()]), limit=1
    ).records
    made_at = datetime.fromtimestamp(records[0].timestamp, UTC) if records else None
    return judge_session(due, made_at, delay_seconds)


def freshness_sensor(settings: Settings) -> dg.SensorDefinition:
    @dg.sensor(
        name="freshness",
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=sensor_status(settings),
        description="Makes the freshness checks, observes the realtime table, and sends alerts of what became stale.",
    )
    def sensor(
        context: dg.SensorEvaluationContext, lake: LakeResource, realtime: RealtimeResource, alerts: AlertResource
    ) -> dg.SensorResult:
        def tell(key: dg.AssetCheckKey, finding: Finding) -> None:
            name = key.asset_key.to_user_string()
            alerts.send(context.log, f"{settings.environment}: {name} is stale", f"{key.name}: {finding.why}", key.name)

        return look(
            context.instance,
            lake,
            realtime,
            context.cursor,
            utc_now(),
            tell,
            feed_delay_seconds(settings.feed),
            watch_telemetry(settings),
        )

    return sensor


def look(
    instance: dg.DagsterInstance,
    lake: LakeResource,
    realtime: RealtimeResource,
    cursor: str | None,
    now: datetime,
    tell: Callable[[dg.AssetCheckKey, Finding], None],
    delay_seconds: int = 0,
    telemetry: Telemetry | None = None,
) -> dg.SensorResult:
    """Make one tick.

    cursor: the failed checks and the newest trade of the last tick.
    tell: called for each check that did not fail in the last tick.
    delay_seconds: how far the feed is behind the clock.
    telemetry: takes the verdicts as metrics, for alarms outside of Dagster.
    """
    before = json.loads(cursor) if cursor else {"stale": [], "newest": 0}
    states = list(realtime.shown())
    times = [state.event_time_ns for state in states]
    newest = newest_event(times, _nanoseconds(now))
    due = session_due(lake.objects, now, lake.settings.feed)
    findings = {
        PUBLISHED: published_finding(lake, due, delay_seconds),
        BUILT: built_finding(instance, due, delay_seconds),
        CURRENT: judge_stream(newest, now, delay_seconds, lake.settings.feed),
    }
    if telemetry is not None:
        telemetry.record(
            freshness_events({key.asset_key.to_user_string(): finding for key, finding in findings.items()})
        )
    for key, finding in findings.items():
        if not finding.fresh and key.to_user_string() not in before["stale"]:
            tell(key, finding)
    events: list[dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation]
    events = [_observation(states, newest, now), *_heartbeats(newest, before["newest"], lake.settings)]
    events += [_evaluation(key, finding) for key, finding in findings.items()]
    stale = [key.to_user_string() for key, finding in findings.items() if not finding.fresh]
    return dg.SensorResult(
        asset_events=events, cursor=json.dumps({"stale": stale, "newest": max(newest or 0, before["newest"])})
    )


def _observation(states: list[ShownState], newest: int | None, now: datetime) -> dg.AssetObservation:
    metadata: dict[str, dg.MetadataValue] = {
        "items": dg.MetadataValue.int(len(states)),
        "dagster/row_count": dg.MetadataValue.int(len(states)),
    }
    if newest is not None:
        metadata["newest_trade"] = dg.MetadataValue.timestamp(newest / 1e9)
        metadata["seconds_since_newest_trade"] = dg.MetadataValue.float(round(now.timestamp() - newest / 1e9, 3))
        metadata["latest_prices"] = latest_prices(states)
    return dg.AssetObservation("realtime_state", metadata=metadata)


def _heartbeats(newest: int | None, before: int, settings: Settings) -> list[dg.AssetMaterialization]:
    """Return the processor's signs of life; a newer trade went into the raw files first."""
    if newest is None or newest <= before:
        return []
    beats = [dg.AssetMaterialization("realtime_state")]
    session_date = feed_session_date(newest, settings.feed)
    if session_date >= settings.first_session and is_feed_session(session_date, settings.feed):
        beats.append(dg.AssetMaterialization("raw_trades", partition=session_date.isoformat()))
    return beats


def _evaluation(key: dg.AssetCheckKey, finding: Finding) -> dg.AssetCheckEvaluation:
    return dg.AssetCheckEvaluation(
        asset_key=key.asset_key, check_name=key.name, passed=finding.fresh, description=finding.why, metadata={}
    )


def _result(finding: Finding) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(passed=finding.fresh, description=finding.why)


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp() * 1_000_000) * 1_000
