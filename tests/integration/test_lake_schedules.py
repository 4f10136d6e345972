"""The lake's schedules: which session, and when it is worth a rewrite."""

from collections.abc import Iterator
from datetime import date

import pytest

from bench.rewriting import DAY, TARGET, run_times, schedule_of_the_day, simulate
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.settings import Settings
from tests.support.dagster_lake import FIRST, opened_lake, scheduled
from tests.support.raw_files import put_raw_file

pytestmark = pytest.mark.xdist_group("lake")


@pytest.fixture
def lake(stack: LocalStack) -> Iterator[LakeResource]:
    with opened_lake(stack) as lake:
        yield lake


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
