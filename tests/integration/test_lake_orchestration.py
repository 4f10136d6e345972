"""The lake in Dagster, on AWS services on loopback: compaction, its sensor and schedules, garbage collection."""

import json
from collections.abc import Iterator
from datetime import date, datetime, timedelta

import dagster as dg
import pytest

from stock_pipeline.aws.object_store import ObjectStore
from stock_pipeline.domain.lake_layout import RAW_PREFIX, partition_path, raw_key
from stock_pipeline.domain.session import trading_days
from stock_pipeline.lake.unpublished_sessions import raw_folders
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.orchestration.lake_assets import lake_definitions
from stock_pipeline.orchestration.lake_schedules import CLOSED_DAY_JOB, COMPACTION_JOB, GARBAGE_COLLECTION_JOB
from stock_pipeline.orchestration.raw_file_sensor import ATTEMPTS, SESSIONS_A_TICK, Position, look
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.raw_files import parquet_bytes
from stock_pipeline.trade_table import table_of_trades
from tests.support.trades import trade

pytestmark = pytest.mark.xdist_group("lake")

DAY_NS = 86_400 * 10**9
FIRST = date(2018, 1, 2)
TODAY = date(2018, 3, 1)


@pytest.fixture
def lake(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> Iterator[LakeResource]:
    for name, value in stack.environ.items():
        monkeypatch.setenv(name, value)
    resource = LakeResource(environ=stack.settings.environ())
    with dg.build_resources({"lake": resource}) as resources:
        yield resources.lake


def add(store: ObjectStore, session_date: date, number: int) -> None:
    row = trade(number, event_time_ns=trade(number).event_time_ns + (session_date - FIRST).days * DAY_NS)
    key = raw_key(session_date, "shardId-000000000000", str(number), str(number), f"{number:016x}")
    store.put(key, parquet_bytes(table_of_trades([row])))


def job(lake: LakeResource, name: str) -> dg.JobDefinition:
    settings = Settings.from_env(lake.environ)
    # the sensor and the schedules name a job that the models' side completes
    session = dg.Definitions(jobs=[dg.define_asset_job("session", selection="trades")])
    return dg.Definitions.merge(lake_definitions(settings), session).resolve_job_def(name)


def test_compaction_reports_what_it_read_wrote_and_took(lake: LakeResource) -> None:
    add(lake.objects, FIRST, 1)
    add(lake.objects, FIRST, 2)
    result = job(lake, COMPACTION_JOB).execute_in_process(partition_key=FIRST.isoformat())
    (event,) = result.asset_materializations_for_node("trades")
    figures = {name: value.value for name, value in event.metadata.items()}
    assert figures["rows_in"] == figures["dagster/partition_row_count"] + figures["duplicates"] == 2
    assert (figures["files_in"], figures["files_out"], figures["published"]) == (2, 1, True)
    assert figures["bytes_in"] > 0 < figures["bytes_out"]
    assert figures["bytes_out_to_in"] == figures["bytes_out"] / figures["bytes_in"]
    assert figures["seconds"] > 0
    assert figures["peak_memory_bytes"] > 10_000_000


def test_a_backfill_compacts_its_sessions_in_one_run_with_figures_of_their_own(lake: LakeResource) -> None:
    days = list(trading_days(FIRST, date(2018, 1, 4)))
    for number, day in enumerate(days):
        for file in range(number + 1):
            add(lake.objects, day, file)
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


def test_a_broken_file_fails_the_run_without_retries_unless_it_may_be_missing(lake: LakeResource) -> None:
    add(lake.objects, FIRST, 1)
    lake.objects.put(raw_key(FIRST, "shardId-000000000000", "9", "9", "0" * 16), b"broken")
    failed = job(lake, COMPACTION_JOB).execute_in_process(partition_key=FIRST.isoformat(), raise_on_error=False)
    assert not failed.success
    assert not [event for event in failed.all_events if event.is_step_up_for_retry]
    assert lake.catalog.published_locations() == {}
    allowed = job(lake, COMPACTION_JOB).execute_in_process(
        partition_key=FIRST.isoformat(), run_config={"ops": {"trades": {"config": {"allow_missing": True}}}}
    )
    (event,) = allowed.asset_materializations_for_node("trades")
    assert len(json.loads(json.dumps(event.metadata["unreadable"].value))) == 1


def tick(lake: LakeResource, cursor: str | None = None) -> dg.SensorResult:
    return look(lake, raw_folders(lake.objects), Position.from_json(cursor), TODAY)


def requests(result: dg.SensorResult) -> list[tuple[str | None, str]]:
    return [(request.partition_key, request.tags["reason"]) for request in result.run_requests or []]


def test_new_and_late_files_ask_for_a_run_of_exactly_their_session_once(lake: LakeResource) -> None:
    for day in (FIRST, date(2018, 1, 3), date(2018, 1, 6), TODAY):  # the 6th is a Saturday
        add(lake.objects, day, 1)
    first = tick(lake)
    assert requests(first) == [("2018-01-02", "new files"), ("2018-01-03", "new files")]
    assert [event.partition for event in first.asset_events] == ["2018-01-02", "2018-01-03"]
    assert requests(tick(lake, first.cursor)) == []

    for day in (FIRST, date(2018, 1, 3)):
        lake.compactor().compact(day)
    assert requests(tick(lake, first.cursor)) == []
    add(lake.objects, FIRST, 2)
    late = tick(lake, first.cursor)
    assert requests(late) == [("2018-01-02", "late files")]
    again = tick(lake, first.cursor)  # the tick's cursor was lost
    assert [request.run_key for request in again.run_requests or []] == [
        request.run_key for request in late.run_requests or []
    ]
    add(lake.objects, FIRST, 3)
    (more,) = tick(lake, late.cursor).run_requests or []
    assert more.run_key not in [request.run_key for request in late.run_requests or []]


def test_thousands_of_files_are_one_run_a_listing_and_a_short_cursor(lake: LakeResource) -> None:
    for number in range(2_500):
        key = raw_key(FIRST, "shardId-000000000000", str(number), str(number), f"{number:016x}")
        lake.objects.put(key, b"a tick opens no file")
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
    add(lake.objects, FIRST, 2_500)
    (more,) = tick(lake, first.cursor).run_requests or []
    assert more.run_key != request.run_key


def test_files_that_stay_uncompacted_are_asked_for_again_the_next_day_and_not_for_ever(lake: LakeResource) -> None:
    add(lake.objects, FIRST, 1)
    cursor, keys = None, []
    for days in (0, 0, 1, 1, 2, 3, 4):
        result = look(lake, raw_folders(lake.objects), Position.from_json(cursor), TODAY + timedelta(days=days))
        keys += [request.run_key for request in result.run_requests or []]
        cursor = result.cursor
    assert [str(key).rpartition(":")[2] for key in keys] == ["1", "2", "3"]
    assert len(set(keys)) == ATTEMPTS
    add(lake.objects, FIRST, 2)
    result = look(lake, raw_folders(lake.objects), Position.from_json(cursor), TODAY + timedelta(days=4))
    assert len(result.run_requests or []) == 1


def test_trades_of_a_date_without_trading_are_seen_and_compacted_by_a_job_of_their_own(lake: LakeResource) -> None:
    saturday = date(2018, 1, 6)
    for day in (FIRST, saturday):
        add(lake.objects, day, 1)
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


def test_many_sessions_are_looked_at_a_few_a_tick_and_all_of_them_in_turn(lake: LakeResource) -> None:
    days = list(trading_days(FIRST, TODAY - timedelta(days=1)))[: SESSIONS_A_TICK * 2 + 3]
    for day in days:
        add(lake.objects, day, 1)
    cursor, found = None, []
    for _ in range(4):
        result = tick(lake, cursor)
        assert len(result.run_requests or []) <= SESSIONS_A_TICK
        found += [request.partition_key for request in result.run_requests or []]
        cursor = result.cursor
    assert sorted(found) == [day.isoformat() for day in days]


def test_the_sensor_runs_as_dagster_runs_it(lake: LakeResource) -> None:
    add(lake.objects, FIRST, 1)
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
        add(lake.objects, day, 1)
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
    add(lake.objects, FIRST, 1)
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
def test_schedules_ask_for_the_session_that_is_on_and_for_none_on_holidays(
    name: str, at: str, expected: str | None
) -> None:
    session = dg.Definitions(jobs=[dg.define_asset_job("session", selection="trades")])
    definitions = dg.Definitions.merge(lake_definitions(Settings.from_env({})), session)
    schedule = definitions.resolve_schedule_def(name)
    context = dg.build_schedule_context(
        scheduled_execution_time=datetime.fromisoformat(at), repository_def=definitions.get_repository_def()
    )
    result = schedule.evaluate_tick(context)
    assert [request.partition_key for request in result.run_requests or []] == ([expected] if expected else [])


def test_garbage_collection_is_a_job_that_says_what_it_deleted(lake: LakeResource) -> None:
    add(lake.objects, FIRST, 1)
    lake.compactor().compact(FIRST)
    for dry_run in (True, False):
        config = {"ops": {"collect": {"config": {"grace_days": 0.0, "dry_run": dry_run}}}}
        result = job(lake, GARBAGE_COLLECTION_JOB).execute_in_process(run_config=config)
        (output,) = [event for event in result.all_events if event.is_successful_output]
        assert output.step_output_data.metadata["raw_files"].value == 1
        assert len(list(lake.objects.list(RAW_PREFIX))) == int(dry_run)
