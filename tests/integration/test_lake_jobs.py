"""The lake's jobs in Dagster, on AWS services on loopback: compaction, backfills, garbage collection."""

import json
from collections.abc import Iterator
from datetime import date, timedelta

import dagster as dg
import pytest

from stock_pipeline.domain.lake_layout import (
    RAW_PREFIX,
    raw_partition_prefix,
)
from stock_pipeline.domain.session import trading_days
from stock_pipeline.lake.session_partition import SessionPartition, StoredHead
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.orchestration import lake_assets
from stock_pipeline.orchestration.lake_assets import RETRIES
from stock_pipeline.orchestration.lake_schedules import (
    COMPACTION_JOB,
    GARBAGE_COLLECTION_JOB,
)
from stock_pipeline.orchestration.resources import LakeResource
from tests.support.dagster_lake import (
    BROKEN,
    FIRST,
    break_session,
    every_trouble,
    job,
    opened_lake,
)
from tests.support.raw_files import put_raw_file, raw_file_key

pytestmark = pytest.mark.xdist_group("lake")


@pytest.fixture
def lake(stack: LocalStack) -> Iterator[LakeResource]:
    with opened_lake(stack) as lake:
        yield lake


def test_compaction_reports_what_it_read_wrote_and_took(lake: LakeResource) -> None:
    put_raw_file(lake.objects, FIRST, 1)
    put_raw_file(lake.objects, FIRST, 2)
    result = job(lake, COMPACTION_JOB).execute_in_process(partition_key=FIRST.isoformat())
    (event,) = result.asset_materializations_for_node("trades")
    figures = {name: value.value for name, value in event.metadata.items()}
    assert figures["rows_in"] == figures["dagster/partition_row_count"] + figures["duplicates"] == 2
    assert (figures["files_in"], figures["files_out"], figures["published"]) == (2, 1, True)
    assert figures["bytes_in"] > 0 < figures["bytes_out"]
    assert figures["bytes_out_to_in"] == figures["bytes_out"] / figures["bytes_in"]
    assert figures["seconds"] > 0
    assert figures["peak_memory_bytes"] > 10_000_000


def test_a_backfill_is_one_run_with_figures_for_each_session(lake: LakeResource) -> None:
    days = list(trading_days(FIRST, date(2018, 1, 4)))
    for number, day in enumerate(days):
        for file in range(number + 1):
            put_raw_file(lake.objects, day, file)
    result = job(lake, COMPACTION_JOB).execute_in_process(
        tags={
            "dagster/asset_partition_range_start": days[0].isoformat(),
            "dagster/asset_partition_range_end": days[-1].isoformat(),
        }
    )
    counted = {
        event.partition: event.metadata["rows_in"].value for event in result.asset_materializations_for_node("trades")
    }
    assert counted == {day.isoformat(): number + 1 for number, day in enumerate(days)}
    assert set(lake.catalog.published_locations()) == set(days)


def test_a_broken_file_fails_the_run_without_retries(lake: LakeResource) -> None:
    put_raw_file(lake.objects, FIRST, 1)
    lake.objects.put(raw_file_key(FIRST, 9), b"broken")
    failed = job(lake, COMPACTION_JOB).execute_in_process(partition_key=FIRST.isoformat(), raise_on_error=False)
    assert not failed.success
    assert not [event for event in failed.all_events if event.is_step_up_for_retry]
    assert lake.catalog.published_locations() == {}
    allowed = job(lake, COMPACTION_JOB).execute_in_process(
        partition_key=FIRST.isoformat(), run_config={"ops": {"trades": {"config": {"allow_missing": True}}}}
    )
    (event,) = allowed.asset_materializations_for_node("trades")
    assert len(json.loads(json.dumps(event.metadata["unreadable"].value))) == 1


def test_a_cancelled_run_stops_and_is_not_tried_again(lake: LakeResource) -> None:
    days = [FIRST, FIRST + timedelta(days=1)]
    for day in days:
        put_raw_file(lake.objects, day, 1)
    published: list[date] = []

    def cancel(self: SessionPartition, stored: StoredHead, version: str, generation: int) -> None:
        published.append(self.session_date)
        raise dg.DagsterExecutionInterruptedError

    with pytest.MonkeyPatch.context() as patch, dg.DagsterInstance.ephemeral() as instance:
        patch.setattr(SessionPartition, "publish", cancel)
        tags = {
            "dagster/asset_partition_range_start": days[0].isoformat(),
            "dagster/asset_partition_range_end": days[-1].isoformat(),
        }
        with pytest.raises(dg.DagsterExecutionInterruptedError):
            job(lake, COMPACTION_JOB).execute_in_process(instance=instance, tags=tags)
        (run,) = instance.get_runs()
        events = [entry.dagster_event for entry in instance.all_logs(run.run_id)]
        assert not [event for event in events if event and event.is_step_up_for_retry]
    assert published == [FIRST]


def test_a_failure_that_may_pass_is_tried_again(lake: LakeResource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lake_assets, "RETRY_SECONDS", 0)
    put_raw_file(lake.objects, FIRST, 1)
    publish, tries = SessionPartition.publish, []

    def unlucky(self: SessionPartition, stored: StoredHead, version: str, generation: int) -> None:
        tries.append(version)
        if len(tries) < RETRIES + 1:
            raise OSError("the disk is full for now")
        publish(self, stored, version, generation)

    monkeypatch.setattr(SessionPartition, "publish", unlucky)
    result = job(lake, COMPACTION_JOB).execute_in_process(partition_key=FIRST.isoformat())
    assert len([event for event in result.all_events if event.is_step_up_for_retry]) == RETRIES
    assert set(lake.catalog.published_locations()) == {FIRST}


def test_a_backfill_does_all_other_sessions_and_names_the_broken_ones(lake: LakeResource) -> None:
    days = list(trading_days(FIRST, date(2018, 1, 5)))
    for day in days:
        put_raw_file(lake.objects, day, 1)
    for day in days[:2]:
        lake.objects.put(raw_file_key(day, 9), b"broken")
    failed = job(lake, COMPACTION_JOB).execute_in_process(
        tags={
            "dagster/asset_partition_range_start": days[0].isoformat(),
            "dagster/asset_partition_range_end": days[-1].isoformat(),
        },
        raise_on_error=False,
    )
    (failure,) = [event for event in failed.all_events if event.is_step_failure]
    assert not [event for event in failed.all_events if event.is_step_up_for_retry]
    assert all(str(day) in str(failure.step_failure_data.error) for day in days[:2])
    assert set(lake.catalog.published_locations()) == set(days[2:])


@every_trouble
def test_garbage_collection_names_a_broken_session_and_does_all_others(lake: LakeResource, trouble: str) -> None:
    well = [BROKEN - timedelta(days=1), BROKEN + timedelta(days=1)]
    for day in (BROKEN, *well):
        put_raw_file(lake.objects, day, 1)
        lake.compactor().compact(day)
    break_session(lake, trouble)
    config = {"ops": {"collect": {"config": {"grace_days": 0.0}}}}
    with dg.build_op_context(resources={"lake": lake}):
        collected = job(lake, GARBAGE_COLLECTION_JOB).execute_in_process(run_config=config, raise_on_error=False)
    failures = [event for event in collected.all_events if event.is_step_failure]
    if trouble in ("lost head", "refused folder"):
        assert failures == []
    else:
        assert "2018-01-04: " in str(failures[0].step_failure_data.error)
        assert not any(str(day) in str(failures[0].step_failure_data.error) for day in well)
    assert not any(list(lake.objects.list(raw_partition_prefix(day))) for day in well)


def test_garbage_collection_is_a_job_that_says_what_it_deleted(lake: LakeResource) -> None:
    put_raw_file(lake.objects, FIRST, 1)
    lake.compactor().compact(FIRST)
    for dry_run in (True, False):
        config = {"ops": {"collect": {"config": {"grace_days": 0.0, "dry_run": dry_run}}}}
        result = job(lake, GARBAGE_COLLECTION_JOB).execute_in_process(run_config=config)
        (output,) = [event for event in result.all_events if event.is_successful_output]
        assert output.step_output_data.metadata["raw_files"].value == 1
        assert len(list(lake.objects.list(RAW_PREFIX))) == int(dry_run)
