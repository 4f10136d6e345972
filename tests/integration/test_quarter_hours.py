"""The laptop's sensor: bars soon after the first trades of the running session, then every quarter of an hour."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from stock_pipeline.definitions import build_definitions
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.orchestration.quarter_hours import EVERY, look
from stock_pipeline.orchestration.resources import LakeResource
from stock_pipeline.settings import Settings
from tests.support.dagster_lake import opened_lake
from tests.support.raw_files import put_raw_file

pytestmark = pytest.mark.xdist_group("lake")

NOON = datetime(2018, 1, 10, 17, tzinfo=UTC)


@pytest.fixture
def lake(stack: LocalStack) -> Iterator[LakeResource]:
    with opened_lake(stack) as lake:
        yield lake


def test_a_session_is_asked_for_at_its_first_trades_and_every_quarter_of_an_hour(lake: LakeResource) -> None:
    nothing = look(lake, None, NOON)
    assert (nothing.run_requests or [], nothing.cursor) == ([], None)
    for day in (date(2018, 1, 9), date(2018, 1, 10), date(2018, 1, 13)):
        put_raw_file(lake.objects, day, 1)
    first = look(lake, None, NOON)
    (run,) = first.run_requests or ()
    assert run.partition_key == "2018-01-10"
    put_raw_file(lake.objects, date(2018, 1, 10), 2)
    soon = look(lake, first.cursor, NOON + EVERY - timedelta(seconds=1))
    assert (soon.run_requests or [], soon.cursor) == ([], first.cursor)
    second = look(lake, first.cursor, NOON + EVERY)
    (again,) = second.run_requests or ()
    assert again.partition_key == "2018-01-10"
    assert again.run_key != run.run_key
    lake.compactor().compact(date(2018, 1, 10))
    assert not look(lake, second.cursor, NOON + 2 * EVERY).run_requests
    holiday = look(lake, None, datetime(2018, 1, 13, 17, tzinfo=UTC))
    assert not holiday.run_requests


def test_an_account_has_no_such_sensor() -> None:
    settings = Settings.from_env({})
    local, account = (
        {sensor.name for sensor in build_definitions(each).sensors or ()}
        for each in (settings, replace(settings, dbt_target="athena"))
    )
    assert local - account == {"quarter_hours"}
