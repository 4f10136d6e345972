"""The nightly sweep reopens sessions with late files, on AWS services on loopback."""

from collections.abc import Iterator
from datetime import UTC, date, datetime

import pytest

from stock_pipeline.domain.lake_layout import (
    REOPENED_PREFIX,
    session_date_of_reopened_key,
)
from stock_pipeline.domain.session import trading_days
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.orchestration.lake_schedules import (
    SWEEP_JOB,
)
from stock_pipeline.orchestration.resources import LakeResource
from tests.support.broken_sessions import tear_manifest
from tests.support.dagster_lake import (
    FIRST,
    TODAY,
    job,
    opened_lake,
    requests,
    sweep,
    tick,
)
from tests.support.raw_files import put_raw_file

pytestmark = pytest.mark.xdist_group("lake")


@pytest.fixture
def lake(stack: LocalStack) -> Iterator[LakeResource]:
    with opened_lake(stack) as lake:
        yield lake


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
