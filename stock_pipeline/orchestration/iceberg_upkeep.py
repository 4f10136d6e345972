"""The job and the schedule of the Iceberg tables' upkeep. What it does to a table belongs to `aws.iceberg_tables`."""

import dagster as dg
from botocore.exceptions import ClientError

from stock_pipeline.aws.iceberg_tables import UpkeepReport
from stock_pipeline.domain.table_upkeep import PARTITIONS_A_RUN
from stock_pipeline.errors import StockPipelineError
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.orchestration.switches import schedule_status
from stock_pipeline.settings import Settings

ICEBERG_UPKEEP_JOB = "iceberg_upkeep"
UPKEEP_SCHEDULE = "nightly_iceberg_upkeep"

_AFTER_GARBAGE_COLLECTION = "0 4 * * *"
"""No session is built then: a MERGE and an OPTIMIZE of one partition at once would fail one of the two."""

_DESCRIPTION = "Rewrite sessions of Iceberg tables that have deleted rows or many files, and forget old snapshots."


class UpkeepConfig(dg.Config):
    """Options of an upkeep.

    most_sessions: of each table that are rewritten; the newest first.
    """

    most_sessions: int = PARTITIONS_A_RUN


def upkeep_definitions(settings: Settings) -> dg.Definitions:
    """Return the upkeep; where all tables are Hive's, as on a laptop, it finds nothing to do."""
    schedule = dg.ScheduleDefinition(
        name=UPKEEP_SCHEDULE,
        job_name=ICEBERG_UPKEEP_JOB,
        cron_schedule=_AFTER_GARBAGE_COLLECTION,
        execution_timezone="America/New_York",
        default_status=schedule_status(settings),
        description=_DESCRIPTION,
    )
    return dg.Definitions(jobs=[iceberg_upkeep()], schedules=[schedule])


def iceberg_upkeep() -> dg.JobDefinition:
    @dg.op(description=_DESCRIPTION, pool="athena")
    def keep_tables_up(context: dg.OpExecutionContext, config: UpkeepConfig, lake: LakeResource) -> None:
        tables = lake.iceberg_tables()
        reports: dict[str, UpkeepReport] = {}
        failures: dict[str, str] = {}
        for name in tables.names():
            try:
                reports[name] = tables.keep_up(name, config.most_sessions)
            except (StockPipelineError, ClientError) as error:
                failures[name] = str(error)
        metadata = {name: dg.MetadataValue.json(report.figures()) for name, report in reports.items()}
        if failures:
            reasons = "; ".join(f"{name}: {reason}" for name, reason in failures.items())
            raise dg.Failure(f"no upkeep of {', '.join(failures)} ({reasons})", metadata=metadata)
        context.add_output_metadata(metadata)

    @dg.job(name=ICEBERG_UPKEEP_JOB, description="Compact the marts that are Iceberg tables, and expire old snapshots.")
    def job() -> None:
        keep_tables_up()

    return job
