"""The check between published trades and models: rows that can't be true stop dbt."""

from collections.abc import Mapping
from datetime import date

import dagster as dg

from stock_pipeline.domain.feed_session import feed_sessions
from stock_pipeline.domain.freshness import expected_session
from stock_pipeline.lake.published_rows import RowFindings, published_findings
from stock_pipeline.lake.session_failures import SessionFailures
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.wiring import utc_now

_PARTITION = "dagster/partition"
_RANGE_START, _RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"


def rows_can_be_true() -> dg.AssetChecksDefinition:
    @dg.asset_check(
        asset="trades",
        name="rows_can_be_true",
        blocking=True,
        description="Prices above zero, volumes not below it, times within the session's day, known statuses. A "
        "run with another row builds nothing on its sessions.",
    )
    def check(context: dg.AssetCheckExecutionContext, lake: LakeResource) -> dg.AssetCheckResult:
        failures = SessionFailures()
        found: list[RowFindings] = []
        for day in sessions_of_run(context.run.tags, lake.settings.feed):
            with failures.of(day):
                findings = published_findings(lake.partition(day))
                found += [findings] if findings else []
        return check_result(found, str(failures))

    return check


def sessions_of_run(tags: Mapping[str, str], feed: str = "") -> list[date]:
    """Return a run's sessions; for a run without partitions the session that is due."""
    if _PARTITION in tags:
        return [date.fromisoformat(tags[_PARTITION])]
    if _RANGE_START in tags:
        return list(feed_sessions(date.fromisoformat(tags[_RANGE_START]), date.fromisoformat(tags[_RANGE_END]), feed))
    return [expected_session(utc_now(), feed)]


def check_result(found: list[RowFindings], failures: str) -> dg.AssetCheckResult:
    bad = {findings.session_date.isoformat(): dict(findings.bad) for findings in found if findings.bad}
    damaged = {str(findings.session_date): findings.damage for findings in found if findings.damage}
    sentences = [failures] if failures else []
    sentences += [f"{day}: {count} rows whose {rule}" for day, rules in bad.items() for rule, count in rules.items()]
    sentences += [f"{day}: the published version is damaged, {damage}" for day, damage in damaged.items()]
    return dg.AssetCheckResult(
        passed=not sentences,
        description="; ".join(sentences) or f"{sum(findings.rows for findings in found)} rows can be true",
        metadata={
            "rows": sum(findings.rows for findings in found),
            "bad_rows": dg.MetadataValue.json(bad),
            "damaged": dg.MetadataValue.json(damaged),
            "versions": dg.MetadataValue.json({str(findings.session_date): findings.version for findings in found}),
        },
    )
