"""The lake in Dagster, on AWS services on loopback: compaction, its sensor and schedules, garbage collection."""

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from botocore.exceptions import ClientError

from bench.rewriting import DAY, TARGET, run_times, schedule_of_the_day, simulate
from stock_pipeline.domain.lake_layout import (
    RAW_PREFIX,
    REOPENED_PREFIX,
    head_key,
    partition_path,
    raw_partition_prefix,
    reopened_key,
    session_date_of_reopened_key,
)
from stock_pipeline.domain.session import trading_days
from stock_pipeline.lake.session_partition import SessionPartition, StoredHead
from stock_pipeline.lake.unpublished_sessions import raw_folders
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.orchestration import lake_assets, raw_file_sensor
from stock_pipeline.orchestration.alerts import alert_definitions
from stock_pipeline.orchestration.lake_assets import RETRIES, lake_definitions
from stock_pipeline.orchestration.lake_schedules import (
    CLOSED_DAY_JOB,
    COMPACTION_JOB,
    GARBAGE_COLLECTION_JOB,
    SWEEP_JOB,
)
from stock_pipeline.orchestration.raw_file_sensor import ATTEMPTS, RECENT_DAYS, SESSIONS_A_TICK, Position, look
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.settings import Settings
from tests.support.broken_sessions import TROUBLES, lose_head, tear_head, tear_manifest
from tests.support.raw_files import put_raw_file, raw_file_key

pytestmark = pytest.mark.xdist_group("lake")

FIRST = date(2018, 1, 2)
TODAY = date(2018, 1, 9)


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


def noon(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, 17, tzinfo=UTC)


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


def tick(
    lake: LakeResource,
    cursor: str | None = None,
    today: date = TODAY,
    told: list[str] | None = None,
    closed: bool = False,
) -> dg.SensorResult:
    heard = [] if told is None else told
    return look(lake, Position.from_json(cursor), noon(today), heard.append, closed)


def reopen(lake: LakeResource, days: Iterable[date]) -> None:
    for day in days:
        lake.objects.put(reopened_key(day), b"")


def sweep(lake: LakeResource, today: date = TODAY) -> list[date]:
    return list(lake.sweep().run(raw_folders(lake.objects), today))


def requests(result: dg.SensorResult) -> list[tuple[str | None, str]]:
    return [(request.partition_key, request.tags["reason"]) for request in result.run_requests or []]


def test_new_and_late_files_ask_once_for_their_session(lake: LakeResource) -> None:
    for day in (FIRST, date(2018, 1, 3), date(2018, 1, 6), TODAY):  # the 6th is a Saturday
        put_raw_file(lake.objects, day, 1)
    first = tick(lake)
    assert requests(first) == [("2018-01-03", "new files"), ("2018-01-02", "new files")]
    assert [event.partition for event in first.asset_events] == ["2018-01-03", "2018-01-02"]
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
    day = FIRST + timedelta(days=1)
    for days in (0, 0, 1, 1, 2, 3, 4):
        result = tick(lake, cursor, day + timedelta(days=days))
        keys += [request.run_key for request in result.run_requests or []]
        cursor = result.cursor
    assert [str(key).rpartition(":")[2] for key in keys] == ["1", "2", "3"]
    assert len(set(keys)) == ATTEMPTS
    put_raw_file(lake.objects, FIRST, 2)
    result = tick(lake, cursor, day + timedelta(days=4))
    assert len(result.run_requests or []) == 1


def test_trades_of_a_closed_day_are_compacted_by_their_own_job(lake: LakeResource) -> None:
    saturday = date(2018, 1, 6)
    for day in (FIRST, saturday):
        put_raw_file(lake.objects, day, 1)
    result = tick(lake, closed=True)
    (request,) = result.run_requests or []
    (observation,) = result.asset_events
    assert observation.metadata["date"].value == "2018-01-06"
    assert request.partition_key is None
    done = job(lake, CLOSED_DAY_JOB).execute_in_process(run_config=request.run_config)
    (output,) = [event for event in done.all_events if event.is_successful_output]
    assert output.step_output_data.metadata["rows"].value == 1
    assert list(lake.catalog.published_locations()) == [saturday]
    again = tick(lake, result.cursor, closed=True)
    assert again.run_requests == []


def test_folders_of_a_wrong_clock_take_no_sessions_turn(lake: LakeResource) -> None:
    """What is ahead waits for its day; what is before the calendar is compacted as a closed day."""
    ancient = date(1969, 12, 31)
    for day in (FIRST, ancient, *(date(2090 + n, 1, 2) for n in range(SESSIONS_A_TICK + 1))):
        put_raw_file(lake.objects, day, 1)
    lake.objects.put("raw/trades/year=2018/month=13/day=1/file.parquet", b"")
    assert requests(tick(lake)) == [("2018-01-02", "new files")]
    lake.objects.delete(["raw/trades/year=2018/month=13/day=1/file.parquet"])
    assert ancient in sweep(lake)
    (request,) = tick(lake, today=datetime.now(UTC).date(), closed=True).run_requests or []
    assert job(lake, CLOSED_DAY_JOB).execute_in_process(run_config=request.run_config).success
    assert list(lake.catalog.published_locations()) == [ancient]


def test_sessions_before_the_first_one_have_no_partition_and_are_compacted_by_the_other_job(
    stack: LocalStack,
) -> None:
    resource = LakeResource(environ={**stack.settings.environ(), "FIRST_SESSION": "2018-01-04"})
    with dg.build_resources({"lake": resource}) as resources:
        lake: LakeResource = resources.lake
        for day in trading_days(FIRST, date(2018, 1, 5)):
            put_raw_file(lake.objects, day, 1)
        asked = [request.partition_key for request in tick(lake).run_requests or []]
        assert asked == ["2018-01-05", "2018-01-04"]
        others = tick(lake, closed=True)
        assert [event.metadata["date"].value for event in others.asset_events] == ["2018-01-03", "2018-01-02"]


def test_each_tick_looks_at_every_recent_session_and_at_the_next_reopened_ones(lake: LakeResource) -> None:
    today = date(2018, 6, 1)
    old = list(trading_days(FIRST, date(2018, 5, 1)))[: SESSIONS_A_TICK * 2 + 3]
    recent = list(trading_days(today - timedelta(days=RECENT_DAYS), today - timedelta(days=1)))
    for day in (*old, *recent):
        put_raw_file(lake.objects, day, 1)
    reopen(lake, old)
    cursor, found = None, []
    for number in range(4):
        result = tick(lake, cursor, today)
        asked = [request.partition_key for request in result.run_requests or []]
        assert asked == sorted(asked, reverse=True)
        assert len(asked) <= SESSIONS_A_TICK + (len(recent) if number == 0 else 0)
        found += asked
        cursor = result.cursor
    assert found[: len(recent)] == [day.isoformat() for day in reversed(recent)]
    assert sorted(found) == [day.isoformat() for day in (*old, *recent)]
    for day in recent[:2]:
        put_raw_file(lake.objects, day, 2)
    again = tick(lake, cursor, today)
    assert [request.partition_key for request in again.run_requests or []] == [
        day.isoformat() for day in reversed(recent[:2])
    ]


def test_an_old_session_is_looked_at_once_it_is_reopened_and_for_ten_days(lake: LakeResource) -> None:
    put_raw_file(lake.objects, FIRST, 1)
    today = datetime.now(UTC).date()  # the store's clock says when it was reopened
    assert requests(tick(lake, today=today)) == []
    reopen(lake, [FIRST])
    lake.objects.put(reopened_key(FIRST) + ".txt", b"no session")
    assert requests(tick(lake, today=today)) == [("2018-01-02", "new files")]
    assert requests(tick(lake, today=today + timedelta(days=RECENT_DAYS - 1))) == [("2018-01-02", "new files")]
    assert requests(tick(lake, today=today + timedelta(days=RECENT_DAYS + 1))) == []


def test_the_sweep_reopens_exactly_the_sessions_with_late_files_the_newest_first(lake: LakeResource) -> None:
    days = list(trading_days(FIRST, TODAY))
    saturday = date(2018, 1, 6)
    for day in (*days, saturday):
        put_raw_file(lake.objects, day, 1)
        lake.compactor().compact(day)
    assert sweep(lake) == []
    for day in (FIRST, saturday, TODAY):
        put_raw_file(lake.objects, day, 2)
    assert sweep(lake) == [saturday, FIRST]  # today is not over
    today = datetime.now(UTC).date()
    assert requests(tick(lake, today=today)) == [("2018-01-02", "late files")]
    assert len(tick(lake, today=today, closed=True).run_requests or []) == 1


def test_the_sweep_runs_as_dagster_runs_it_and_fails_with_all_names(lake: LakeResource) -> None:
    days = list(trading_days(FIRST, TODAY))
    for day in days:
        put_raw_file(lake.objects, day, 1)
    for day in days[1:3]:
        lake.compactor().compact(day)
        tear_manifest(lake.objects, day)
    result = job(lake, SWEEP_JOB).execute_in_process(raise_on_error=False)
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert all(str(day) in str(failure.step_failure_data.error) for day in days[1:3])
    assert not any(str(day) in str(failure.step_failure_data.error) for day in (days[0], *days[3:]))
    reopened = {session_date_of_reopened_key(each.key) for each in lake.objects.list(REOPENED_PREFIX)}
    assert reopened == {days[0], *days[3:]}


BROKEN = date(2018, 1, 4)


def refuse(lake: LakeResource, session_date: date) -> None:
    """Let S3 refuse whatever concerns the session's folders."""

    def answer(model: Any, params: Any, **_: Any) -> None:
        if partition_path(session_date) in f"{params['url_path']} {params['query_string'].get('prefix')}":
            raise ClientError({"Error": {"Code": "AccessDenied", "Message": "Access Denied"}}, model.name)

    lake.objects.client.meta.events.register("before-call.s3", answer)


def lose_head_of_collected_session(lake: LakeResource) -> None:
    list(lake.garbage_collector(timedelta(0)).collect())
    lose_head(lake.objects, BROKEN)
    put_raw_file(lake.objects, BROKEN, 2)


def break_session(lake: LakeResource, trouble: str) -> None:
    if trouble == "refused folder":
        refuse(lake, BROKEN)
    elif trouble == "lost head":
        lose_head_of_collected_session(lake)
    else:
        TROUBLES[trouble](lake.objects, BROKEN)


every_trouble = pytest.mark.parametrize("trouble", ["lost head", "refused folder", *TROUBLES])


@every_trouble
def test_a_tick_goes_on_past_a_broken_session_and_tells_of_it_once(lake: LakeResource, trouble: str) -> None:
    put_raw_file(lake.objects, BROKEN, 1)
    lake.compactor().compact(BROKEN)
    break_session(lake, trouble)
    around = [BROKEN - timedelta(days=1), BROKEN + timedelta(days=1)]
    for day in around:
        put_raw_file(lake.objects, day, 1)
    told: list[str] = []
    first = tick(lake, told=told)
    assert [request.partition_key for request in first.run_requests or []] == [
        day.isoformat() for day in reversed(around)
    ]
    (message,) = told
    assert message.startswith("2018-01-04: ")
    second = tick(lake, first.cursor, told=told)
    assert requests(second) == []
    assert len(told) == 1

    put_raw_file(lake.objects, around[0], 2)
    third = tick(lake, second.cursor, told=told)
    assert [request.partition_key for request in third.run_requests or []] == ["2018-01-03"]
    # another one breaks: people hear of it, and of the first one with it
    lake.compactor().compact(around[1])
    tear_head(lake.objects, around[1])
    tick(lake, third.cursor, told=told)
    assert len(told) == 2
    assert "2018-01-05: " in told[1]


def test_a_session_that_healed_and_breaks_again_is_told_again(lake: LakeResource) -> None:
    put_raw_file(lake.objects, BROKEN, 1)
    lake.compactor().compact(BROKEN)
    head = lake.objects.get(head_key(BROKEN))
    told: list[str] = []
    cursor = None
    for broken in (True, True, False, False, True):
        lake.objects.put(head_key(BROKEN), b"torn" if broken else head)
        cursor = tick(lake, cursor, told=told).cursor
    assert len(told) == 2


def test_lost_credentials_end_a_tick_at_once(lake: LakeResource) -> None:
    for day in trading_days(FIRST, TODAY):
        put_raw_file(lake.objects, day, 1)
    made: list[str] = []

    def expired(model: Any, **_: Any) -> None:
        made.append(model.name)
        raise ClientError({"Error": {"Code": "ExpiredToken", "Message": "expired"}}, model.name)

    lake.objects.client.meta.events.register("before-call.s3", expired)
    told: list[str] = []
    with pytest.raises(ClientError, match="ExpiredToken"):
        tick(lake, told=told)
    assert (len(made), told) == (1, [])


def test_sessions_of_very_many_files_share_the_ticks(lake: LakeResource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(raw_file_sensor, "FILES_A_TICK", 3)
    days = [date(2018, 1, day) for day in (8, 5, 4, 3)]
    for day in days:
        for number in range(3):
            put_raw_file(lake.objects, day, number)
    cursor, found = None, []
    for _ in range(2 * len(days)):
        result = tick(lake, cursor)
        found.append([request.partition_key for request in result.run_requests or []])
        cursor = result.cursor
        put_raw_file(lake.objects, days[0], 10 + len(found))
    assert found[: len(days)] == [[day.isoformat()] for day in days]
    assert sum(asked == [days[0].isoformat()] for asked in found) == 2  # it has its turn, and no more


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


def test_the_sensor_runs_as_dagster_runs_it(lake: LakeResource) -> None:
    put_raw_file(lake.objects, FIRST, 1)
    reopen(lake, [FIRST])
    result = evaluated(lake, "raw_files")
    assert [request.partition_key for request in result.run_requests or []] == ["2018-01-02"]
    assert evaluated(lake, "raw_files_of_closed_days").run_requests == []


def evaluated(lake: LakeResource, name: str) -> dg.SensorResult:
    session = dg.Definitions(jobs=[dg.define_asset_job("session", selection="trades")])
    settings = Settings.from_env(lake.environ)
    definitions = dg.Definitions.merge(lake_definitions(settings), alert_definitions(settings), session)
    with (
        dg.build_resources({"alerts": (definitions.resources or {})["alerts"]}) as resources,
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(
            instance=instance, definitions=definitions, resources={"lake": lake, "alerts": resources.alerts}
        ) as context,
    ):
        result: dg.SensorResult = definitions.resolve_sensor_def(name).evaluate_tick(context)
    return result


def test_a_tick_registers_unpublished_sessions(lake: LakeResource) -> None:
    days = list(trading_days(FIRST, TODAY))[:4]
    saturday = date(2018, 1, 6)
    for day in (*days, saturday, TODAY):
        put_raw_file(lake.objects, day, 1)
    lake.compactor().compact(days[0])
    tick(lake)
    assert lake.catalog.unpublished_sessions() == {*days[1:], saturday, TODAY}


def test_a_refresh_without_a_change_is_four_calls_for_any_number_of_sessions(lake: LakeResource) -> None:
    folders = [f"raw/trades/{partition_path(day)}" for day in trading_days(FIRST, TODAY)]
    made: list[str] = []
    lake.catalog.client.meta.events.register("before-call.glue", lambda model, **_: made.append(model.name))
    lake.unpublished_sessions().refresh(folders)
    assert len(lake.catalog.unpublished_sessions()) == len(folders)
    made.clear()
    lake.unpublished_sessions().refresh(folders)
    assert made == ["GetPartitions", "BatchGetPartition", "GetTable", "GetTable"]


def test_a_folder_of_no_session_stops_no_tick_and_fails_the_nightly_jobs(lake: LakeResource) -> None:
    put_raw_file(lake.objects, FIRST, 1)
    lake.objects.put("raw/trades/year=2018/month=1/day=32/x.parquet", b"")
    told: list[str] = []
    assert requests(tick(lake, told=told)) == [("2018-01-02", "new files")]
    assert lake.catalog.unpublished_sessions() == {FIRST}
    assert requests(tick(lake, told=told, closed=True)) == []
    assert told == []
    for name in (GARBAGE_COLLECTION_JOB, SWEEP_JOB):
        done = job(lake, name).execute_in_process(raise_on_error=False)
        (failure,) = [event for event in done.all_events if event.is_step_failure]
        assert "day=32/" in str(failure.step_failure_data.error)


def test_a_tick_costs_the_same_with_twenty_years_of_sessions_as_with_one(lake: LakeResource) -> None:
    """Its calls say so on any machine."""
    made: list[str] = []

    def calls() -> list[str]:
        made.clear()
        tick(lake)
        return sorted(made)

    for client in (lake.objects.client, lake.catalog.client):
        client.meta.events.register("before-call", lambda model, **_: made.append(model.name))
    put_raw_file(lake.objects, FIRST, 1)
    tick(lake)
    young = calls()
    for year in range(2007, 2018):
        for day in list(trading_days(date(year, 1, 1), date(year, 12, 31)))[::9]:
            lake.objects.put(raw_file_key(day, 1), b"")
    assert calls() == young
    assert len(young) < 20


def scheduled(lake: LakeResource, name: str, at: str, **changed: str) -> dg.SensorResult | Any:
    session = dg.Definitions(jobs=[dg.define_asset_job("session", selection="trades")])
    settings = Settings.from_env({**lake.environ, **changed})
    definitions = dg.Definitions.merge(lake_definitions(settings), session)
    with dg.build_schedule_context(
        scheduled_execution_time=datetime.fromisoformat(at),
        repository_def=definitions.get_repository_def(),
        resources={"lake": lake},
    ) as context:
        return definitions.resolve_schedule_def(name).evaluate_tick(context)


@pytest.mark.parametrize(
    ("name", "at", "expected"),
    [
        ("hourly_compaction", "2018-01-02T10:05:00-05:00", "2018-01-02"),
        ("after_the_close", "2018-01-02T20:30:00-05:00", "2018-01-02"),
        ("after_the_close", "2018-01-01T20:30:00-05:00", None),
        ("hourly_compaction", "2018-07-04T10:05:00-04:00", None),
    ],
)
def test_schedules_ask_for_todays_session_and_rest_on_holidays(
    lake: LakeResource, name: str, at: str, expected: str | None
) -> None:
    for day in (FIRST, date(2018, 1, 1), date(2018, 7, 4)):
        put_raw_file(lake.objects, day, 1)
    result = scheduled(lake, name, at)
    assert [request.partition_key for request in result.run_requests or []] == ([expected] if expected else [])


def test_the_hourly_schedule_waits_until_a_quarter_is_new_and_the_close_does_not(lake: LakeResource) -> None:
    hour, close = "2018-01-02T10:05:00-05:00", "2018-01-02T20:30:00-05:00"
    assert not scheduled(lake, "hourly_compaction", hour).run_requests
    for number in range(8):
        put_raw_file(lake.objects, FIRST, number)
    lake.compactor().compact(FIRST)
    for number in range(8, 10):
        put_raw_file(lake.objects, FIRST, number)
        waiting = scheduled(lake, "hourly_compaction", hour)
        assert not waiting.run_requests
        assert "of the session is new" in str(waiting.skip_message)
        assert len(scheduled(lake, "after_the_close", close).run_requests) == 1
        assert len(scheduled(lake, "hourly_compaction", hour, COMPACT_AFTER_SHARE="0").run_requests) == 1
    put_raw_file(lake.objects, FIRST, 10)  # 3 of 11
    assert len(scheduled(lake, "hourly_compaction", hour).run_requests) == 1


def test_the_schedule_processes_each_row_of_the_assumed_day_seldom_enough() -> None:
    hourly, close = schedule_of_the_day()
    default = Settings.from_env({}).compact_after_share
    assert simulate(hourly, close, default).rows_processed <= TARGET
    assert simulate(hourly, close, 0).rows_processed == pytest.approx(7.9, abs=0.1)
    assert len(run_times(hourly)) == 15
    assert sum(DAY.values()) == pytest.approx(1)


def test_garbage_collection_is_a_job_that_says_what_it_deleted(lake: LakeResource) -> None:
    put_raw_file(lake.objects, FIRST, 1)
    lake.compactor().compact(FIRST)
    for dry_run in (True, False):
        config = {"ops": {"collect": {"config": {"grace_days": 0.0, "dry_run": dry_run}}}}
        result = job(lake, GARBAGE_COLLECTION_JOB).execute_in_process(run_config=config)
        (output,) = [event for event in result.all_events if event.is_successful_output]
        assert output.step_output_data.metadata["raw_files"].value == 1
        assert len(list(lake.objects.list(RAW_PREFIX))) == int(dry_run)
