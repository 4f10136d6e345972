"""The lake in Dagster, on AWS services on loopback: compaction, its sensor and schedules, garbage collection."""

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import dagster as dg
import pytest

from stock_pipeline.domain.lake_layout import RAW_PREFIX, partition_path
from stock_pipeline.domain.session import trading_days
from stock_pipeline.lake.unpublished_sessions import raw_folders
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.orchestration.lake_assets import lake_definitions
from stock_pipeline.orchestration.lake_schedules import CLOSED_DAY_JOB, COMPACTION_JOB, GARBAGE_COLLECTION_JOB
from stock_pipeline.orchestration.raw_file_sensor import ATTEMPTS, SESSIONS_A_TICK, Position, look
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.settings import Settings
from tests.support.raw_files import put_raw_file, raw_file_key

pytestmark = pytest.mark.xdist_group("lake")

FIRST = date(2018, 1, 2)
TODAY = date(2018, 3, 1)


@pytest.fixture
def lake(stack: LocalStack) -> Iterator[LakeResource]:
    resource = LakeResource(environ=stack.settings.environ())
    with dg.build_resources({"lake": resource}) as resources:
        yield resources.lake


def job(lake: LakeResource, name: str) -> dg.JobDefinition:
    settings = Settings.from_env(lake.environ)
    # the sensor and the schedules name a job that the models' side completes
    session = dg.Definitions(jobs=[dg.define_asset_job("session", selection="trades")])
    return dg.Definitions.merge(lake_definitions(settings), session).resolve_job_def(name)


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


def test_a_backfill_goes_on_past_a_broken_session_and_names_it(lake: LakeResource) -> None:
    last = date(2018, 1, 4)
    bad = [raw_file_key(day, 9) for day in (FIRST, date(2018, 1, 3))]
    for key in bad:
        lake.objects.put(key, b"broken")
    put_raw_file(lake.objects, last, 1)
    failed = job(lake, COMPACTION_JOB).execute_in_process(
        tags={
            "dagster/asset_partition_range_start": FIRST.isoformat(),
            "dagster/asset_partition_range_end": last.isoformat(),
        },
        raise_on_error=False,
    )
    (failure,) = [event for event in failed.all_events if event.is_step_failure]
    assert all(key in str(failure.step_failure_data.user_failure_data) for key in bad)
    assert set(lake.catalog.published_locations()) == {last}


def tick(lake: LakeResource, cursor: str | None = None) -> dg.SensorResult:
    return look(lake, raw_folders(lake.objects), Position.from_json(cursor), TODAY)


def requests(result: dg.SensorResult) -> list[tuple[str | None, str]]:
    return [(request.partition_key, request.tags["reason"]) for request in result.run_requests or []]


def test_new_and_late_files_ask_once_for_their_session(lake: LakeResource) -> None:
    for day in (FIRST, date(2018, 1, 3), date(2018, 1, 6), TODAY):  # the 6th is a Saturday
        put_raw_file(lake.objects, day, 1)
    first = tick(lake)
    assert requests(first) == [("2018-01-02", "new files"), ("2018-01-03", "new files")]
    assert [event.partition for event in first.asset_events] == ["2018-01-02", "2018-01-03"]
    assert requests(tick(lake, first.cursor)) == []

    for day in (FIRST, date(2018, 1, 3)):
        lake.compactor().compact(day)
    assert requests(tick(lake, first.cursor)) == []
    put_raw_file(lake.objects, FIRST, 2)
    late = tick(lake, first.cursor)
    assert requests(late) == [("2018-01-02", "late files")]
    again = tick(lake, first.cursor)  # the tick's cursor was lost
    assert [request.run_key for request in again.run_requests or []] == [
        request.run_key for request in late.run_requests or []
    ]
    put_raw_file(lake.objects, FIRST, 3)
    (more,) = tick(lake, late.cursor).run_requests or []
    assert more.run_key not in [request.run_key for request in late.run_requests or []]


def test_thousands_of_files_are_one_run_and_a_short_cursor(lake: LakeResource) -> None:
    for number in range(2_500):
        lake.objects.put(raw_file_key(FIRST, number), b"a tick opens no file")
    made: list[str] = []
    lake.objects.client.meta.events.register("before-call.s3", lambda model, **_: made.append(model.name))
    first = tick(lake)
    (request,) = first.run_requests or []
    assert request.tags["reason"] == "new files"
    assert made.count("ListObjectsV2") <= 10  # pages of a thousand keys, and the folders above them
    assert set(made) <= {"ListObjectsV2", "GetObject"}
    assert made.count("GetObject") <= 2  # what the partition's head and manifest say, not the files
    assert len(first.cursor or "") < 200
    assert [again.run_key for again in tick(lake).run_requests or []] == [request.run_key]
    put_raw_file(lake.objects, FIRST, 2_500)
    (more,) = tick(lake, first.cursor).run_requests or []
    assert more.run_key != request.run_key


def test_uncompacted_files_are_asked_for_on_three_days_at_most(lake: LakeResource) -> None:
    put_raw_file(lake.objects, FIRST, 1)
    cursor, keys = None, []
    for days in (0, 0, 1, 1, 2, 3, 4):
        result = look(lake, raw_folders(lake.objects), Position.from_json(cursor), TODAY + timedelta(days=days))
        keys += [request.run_key for request in result.run_requests or []]
        cursor = result.cursor
    assert [str(key).rpartition(":")[2] for key in keys] == ["1", "2", "3"]
    assert len(set(keys)) == ATTEMPTS
    put_raw_file(lake.objects, FIRST, 2)
    result = look(lake, raw_folders(lake.objects), Position.from_json(cursor), TODAY + timedelta(days=4))
    assert len(result.run_requests or []) == 1


def test_trades_of_a_closed_day_are_compacted_by_their_own_job(lake: LakeResource) -> None:
    saturday = date(2018, 1, 6)
    for day in (FIRST, saturday):
        put_raw_file(lake.objects, day, 1)
    result = look(lake, raw_folders(lake.objects), Position(), TODAY, closed=True)
    (request,) = result.run_requests or []
    (observation,) = result.asset_events
    assert observation.metadata["date"].value == "2018-01-06"
    assert request.partition_key is None
    done = job(lake, CLOSED_DAY_JOB).execute_in_process(run_config=request.run_config)
    (output,) = [event for event in done.all_events if event.is_successful_output]
    assert output.step_output_data.metadata["rows"].value == 1
    assert list(lake.catalog.published_locations()) == [saturday]
    again = look(lake, raw_folders(lake.objects), Position.from_json(result.cursor), TODAY, closed=True)
    assert again.run_requests == []


def test_folders_of_a_wrong_clock_take_no_sessions_turn(lake: LakeResource) -> None:
    """What is ahead waits for its day; what is before the calendar is compacted as a closed day."""
    ancient = date(1969, 12, 31)
    for day in (FIRST, ancient, *(date(2090 + n, 1, 2) for n in range(SESSIONS_A_TICK + 1))):
        put_raw_file(lake.objects, day, 1)
    lake.objects.put("raw/trades/year=2018/month=13/day=1/file.parquet", b"")
    assert requests(tick(lake)) == [("2018-01-02", "new files")]
    (request,) = look(lake, raw_folders(lake.objects), Position(), TODAY, closed=True).run_requests or []
    assert job(lake, CLOSED_DAY_JOB).execute_in_process(run_config=request.run_config).success
    assert list(lake.catalog.published_locations()) == [ancient]


def test_each_tick_looks_at_a_few_sessions_and_all_get_a_turn(lake: LakeResource) -> None:
    days = list(trading_days(FIRST, TODAY - timedelta(days=1)))[: SESSIONS_A_TICK * 2 + 3]
    for day in days:
        put_raw_file(lake.objects, day, 1)
    cursor, found = None, []
    for _ in range(4):
        result = tick(lake, cursor)
        assert len(result.run_requests or []) <= SESSIONS_A_TICK
        found += [request.partition_key for request in result.run_requests or []]
        cursor = result.cursor
    assert sorted(found) == [day.isoformat() for day in days]


def test_the_sensor_runs_as_dagster_runs_it(lake: LakeResource) -> None:
    put_raw_file(lake.objects, FIRST, 1)
    result = evaluated(lake, "raw_files")
    assert [request.partition_key for request in result.run_requests or []] == ["2018-01-02"]


def evaluated(lake: LakeResource, name: str) -> dg.SensorResult:
    session = dg.Definitions(jobs=[dg.define_asset_job("session", selection="trades")])
    definitions = dg.Definitions.merge(lake_definitions(Settings.from_env(lake.environ)), session)
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(instance=instance, definitions=definitions, resources={"lake": lake}) as context,
    ):
        result: dg.SensorResult = definitions.resolve_sensor_def(name).evaluate_tick(context)
    return result


def test_a_tick_registers_unpublished_sessions(lake: LakeResource) -> None:
    days = list(trading_days(FIRST, TODAY))[:4]
    for day in days:
        put_raw_file(lake.objects, day, 1)
    lake.compactor().compact(days[0])
    evaluated(lake, "raw_files")
    assert lake.catalog.unpublished_sessions() == frozenset(days[1:])


def test_a_refresh_without_a_change_is_four_calls_for_any_number_of_sessions(lake: LakeResource) -> None:
    folders = [f"raw/trades/{partition_path(day)}" for day in trading_days(FIRST, TODAY)]
    made: list[str] = []
    lake.catalog.client.meta.events.register("before-call.glue", lambda model, **_: made.append(model.name))
    lake.unpublished_sessions().refresh(folders)
    assert len(lake.catalog.unpublished_sessions()) == len(folders)
    made.clear()
    lake.unpublished_sessions().refresh(folders)
    assert made == ["GetPartitions", "GetPartitions", "GetTable", "GetTable"]


def test_a_folder_of_no_session_stops_neither_registration_nor_compaction_and_fails_garbage_collection(
    lake: LakeResource,
) -> None:
    put_raw_file(lake.objects, FIRST, 1)
    lake.objects.put("raw/trades/year=2018/month=2/day=31/x.parquet", b"")
    result = evaluated(lake, "raw_files")
    assert [request.partition_key for request in result.run_requests or []] == ["2018-01-02"]
    assert lake.catalog.unpublished_sessions() == {FIRST}
    assert evaluated(lake, "raw_files_of_closed_days").run_requests == []
    collected = job(lake, GARBAGE_COLLECTION_JOB).execute_in_process(raise_on_error=False)
    (failure,) = [event for event in collected.all_events if event.is_step_failure]
    assert "day=31/ is no folder of a session" in str(failure.step_failure_data.error)


@pytest.mark.parametrize(
    ("name", "at", "expected"),
    [
        ("hourly_compaction", "2018-01-02T10:05:00-05:00", "2018-01-02"),
        ("after_the_close", "2018-01-02T20:30:00-05:00", "2018-01-02"),
        ("after_the_close", "2018-01-01T20:30:00-05:00", None),
        ("hourly_compaction", "2018-07-04T10:05:00-04:00", None),
    ],
)
def test_schedules_ask_for_todays_session_and_rest_on_holidays(name: str, at: str, expected: str | None) -> None:
    session = dg.Definitions(jobs=[dg.define_asset_job("session", selection="trades")])
    definitions = dg.Definitions.merge(lake_definitions(Settings.from_env({})), session)
    schedule = definitions.resolve_schedule_def(name)
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime.fromisoformat(at), repository_def=definitions.get_repository_def()
    )
    result = schedule.evaluate_tick(context)
    assert [request.partition_key for request in result.run_requests or []] == ([expected] if expected else [])


def test_garbage_collection_is_a_job_that_says_what_it_deleted(lake: LakeResource) -> None:
    put_raw_file(lake.objects, FIRST, 1)
    lake.compactor().compact(FIRST)
    for dry_run in (True, False):
        config = {"ops": {"collect": {"config": {"grace_days": 0.0, "dry_run": dry_run}}}}
        result = job(lake, GARBAGE_COLLECTION_JOB).execute_in_process(run_config=config)
        (output,) = [event for event in result.all_events if event.is_successful_output]
        assert output.step_output_data.metadata["raw_files"].value == 1
        assert len(list(lake.objects.list(RAW_PREFIX))) == int(dry_run)
