"""The sensors of raw files: recent and reopened sessions, broken ones, closed days, on AWS services on loopback."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from botocore.exceptions import ClientError

from stock_pipeline.domain.lake_layout import (
    head_key,
    partition_path,
    reopened_key,
)
from stock_pipeline.domain.session import trading_days
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.orchestration import raw_file_sensor
from stock_pipeline.orchestration.lake_schedules import (
    CLOSED_DAY_JOB,
    GARBAGE_COLLECTION_JOB,
    SWEEP_JOB,
)
from stock_pipeline.orchestration.raw_file_sensor import ATTEMPTS, RECENT_DAYS, SESSIONS_A_TICK
from stock_pipeline.orchestration.resources import LakeResource
from tests.support.broken_sessions import tear_head
from tests.support.dagster_lake import (
    BROKEN,
    FIRST,
    TODAY,
    break_session,
    evaluated,
    every_trouble,
    job,
    opened_lake,
    reopen,
    requests,
    sweep,
    tick,
)
from tests.support.raw_files import put_raw_file, raw_file_key

pytestmark = pytest.mark.xdist_group("lake")


@pytest.fixture
def lake(stack: LocalStack) -> Iterator[LakeResource]:
    with opened_lake(stack) as lake:
        yield lake


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


def test_the_sensor_runs_as_dagster_runs_it(lake: LakeResource) -> None:
    put_raw_file(lake.objects, FIRST, 1)
    reopen(lake, [FIRST])
    result = evaluated(lake, "raw_files")
    assert [request.partition_key for request in result.run_requests or []] == ["2018-01-02"]
    assert evaluated(lake, "raw_files_of_closed_days").run_requests == []


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
