"""The lake's assets: raw trades of the processor, and compacted trades."""

import resource
import sys
import time
from datetime import date

import dagster as dg

from stock_pipeline.aws.catalog import CURATED_TABLE, RAW_TABLE
from stock_pipeline.domain.feed_session import partition_end_ns, partition_start_ns
from stock_pipeline.errors import PermanentError
from stock_pipeline.lake.compaction import CompactionReport
from stock_pipeline.lake.session_failures import SessionFailures
from stock_pipeline.orchestration.freshness import LIVE_POLICY, POLICY
from stock_pipeline.orchestration.lake_schedules import lake_jobs, lake_schedules
from stock_pipeline.orchestration.owners import OWNERS
from stock_pipeline.orchestration.partitions import SESSIONS_A_RUN, session_partitions
from stock_pipeline.orchestration.raw_file_sensor import closed_day_sensor, raw_file_sensor
from stock_pipeline.orchestration.reconciliation import reconciliation
from stock_pipeline.orchestration.resources import LakeResource, RealtimeResource
from stock_pipeline.orchestration.table_metadata import trades_metadata
from stock_pipeline.orchestration.trade_checks import rows_can_be_true
from stock_pipeline.settings import Settings

RETRIES = 3
RETRY_SECONDS = 30
"""Before the first retry, and twice as long before each further one. Dagster's retry policy would also start a
cancelled run again."""


def lake_definitions(settings: Settings) -> dg.Definitions:
    partitions = session_partitions(settings.first_session, settings.feed)
    return dg.Definitions(
        assets=[
            raw_trades(partitions, settings.database_name),
            trades(partitions, settings.database_name),
            reconciliation(partitions),
        ],
        asset_checks=[rows_can_be_true()],
        jobs=lake_jobs(),
        schedules=lake_schedules(settings),
        sensors=[raw_file_sensor(settings), closed_day_sensor(settings)],
        resources={
            "lake": LakeResource(environ=settings.environ()),
            "realtime": RealtimeResource(environ=settings.environ()),
        },
    )


def raw_trades(partitions: dg.PartitionsDefinition, database: str) -> dg.AssetSpec:
    return dg.AssetSpec(
        "raw_trades",
        deps=["history"],
        partitions_def=partitions,
        group_name="lake",
        kinds={"s3", "parquet"},
        owners=OWNERS,
        code_version="1",
        freshness_policy=LIVE_POLICY,
        metadata=trades_metadata(database, RAW_TABLE),
        description="Trades as they arrived: a small Parquet file per batch, with repeats. The processor and `history` "
        "write them; the sensor `raw_files` observes them.",
    )


class CompactionConfig(dg.Config):
    """Options of a compaction.

    allow_missing: publish without unreadable raw files.
    """

    allow_missing: bool = False


def trades(partitions: dg.PartitionsDefinition, database: str) -> dg.AssetsDefinition:
    @dg.asset(
        name="trades",
        deps=["raw_trades"],
        partitions_def=partitions,
        group_name="lake",
        kinds={"s3", "parquet", "glue", "polars"},
        owners=OWNERS,
        code_version="2",
        freshness_policy=POLICY,
        metadata=trades_metadata(database, CURATED_TABLE),
        backfill_policy=dg.BackfillPolicy.multi_run(max_partitions_per_run=SESSIONS_A_RUN),
    )
    def compacted(context: dg.AssetExecutionContext, config: CompactionConfig, lake: LakeResource) -> None:
        """Each trade of a session once, sorted by symbol and time: compacted, proved and published."""
        try:
            compact_sessions(context, lake, config.allow_missing)
        except PermanentError as error:
            raise dg.Failure(str(error), allow_retries=False) from error
        except Exception as error:
            if context.retry_number >= RETRIES:
                raise
            raise dg.RetryRequested(RETRIES, RETRY_SECONDS * 2**context.retry_number) from error

    return compacted


def compact_sessions(context: dg.AssetExecutionContext, lake: LakeResource, allow_missing: bool) -> None:
    """Compact the run's sessions. Raises at the end, with all names of sessions that failed."""
    failures = SessionFailures()
    for key in context.partition_keys:
        with failures.of(key):
            metadata = compact_session(context, lake, date.fromisoformat(key), allow_missing)
            context.add_asset_metadata(metadata, partition_key=key)
    failures.raise_all()


def compact_session(
    context: dg.AssetExecutionContext, lake: LakeResource, session_date: date, allow_missing: bool
) -> dict[str, dg.MetadataValue]:
    started = time.monotonic()
    report = lake.compactor().compact(session_date, allow_missing)
    if not report.version:
        context.log.warning("session %s has no raw trades; nothing is published", session_date)
        return {"dagster/partition_row_count": dg.MetadataValue.int(0)}
    for key in report.unreadable:
        context.log.warning("session %s is published without %s, which can't be read", session_date, key)
    for key in report.unsorted:
        context.log.warning("%s is not sorted: queries for one symbol read more of it", key)
    if report.ignored:
        context.log.warning("session %s: ignored columns of raw files: %s", session_date, ", ".join(report.ignored))
    if report.repaired:
        context.log.warning("session %s: replaced a damaged version (%s)", session_date, report.repaired)
    for note in report.notes:
        context.log.warning("session %s: %s", session_date, note)
    return compaction_metadata(report) | process_metadata(time.monotonic() - started)


def compaction_metadata(report: CompactionReport) -> dict[str, dg.MetadataValue]:
    """Return a compaction's figures, in which rows in = rows + duplicates."""
    start_ns, end_ns = partition_start_ns(report.session_date), partition_end_ns(report.session_date)
    numbers = {
        "dagster/partition_row_count": report.rows_out,
        "rows_in": report.rows_in,
        "duplicates": report.duplicates,
        "files_in": report.files_in,
        "files_out": report.files_out,
        "bytes_in": report.bytes_in,
        "bytes_out": report.bytes_out,
    }
    return {
        **{name: dg.MetadataValue.int(value) for name, value in numbers.items()},
        "volume": dg.MetadataValue.float(float(report.volume)),
        "bytes_out_to_in": dg.MetadataValue.float(report.bytes_out / report.bytes_in if report.bytes_in else 1.0),
        "unreadable": dg.MetadataValue.json(list(report.unreadable)),
        "unsorted": dg.MetadataValue.json(list(report.unsorted)),
        "ignored_columns": dg.MetadataValue.json(list(report.ignored)),
        "repaired": dg.MetadataValue.text(report.repaired),
        "published": dg.MetadataValue.bool(report.published),
        "version": dg.MetadataValue.text(report.version),
        "window_start": dg.MetadataValue.timestamp(start_ns / 1e9),
        "window_end": dg.MetadataValue.timestamp(end_ns / 1e9),
    }


def process_metadata(seconds: float) -> dict[str, dg.MetadataValue]:
    """Return the step's time, and its process's peak memory since the start."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "seconds": dg.MetadataValue.float(round(seconds, 3)),
        "peak_memory_bytes": dg.MetadataValue.int(peak if sys.platform == "darwin" else peak * 1024),
    }
