"""A real daemon on a bad day: a run killed between manifest and head, a backfill cancelled half-way, and the daemon
killed and started again during both. `make check-daemon` runs it, since it takes minutes.

What a run is doing is known from a proxy that holds its request, so every kill meets the same moment.
"""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg
import pytest

from stock_pipeline.domain.lake_layout import MANIFEST_FILE, curated_partition_prefix, head_key
from stock_pipeline.domain.session import session_date_of, trading_days
from stock_pipeline.local.dagster_dev import new_home
from stock_pipeline.local.stack import LocalStack, local_stack, loopback_environment
from tests.support.dagster_processes import DagsterProcesses, end_of
from tests.support.holding_proxy import HoldingProxy, holding_proxy
from tests.support.raw_files import put_raw_file, read_trades
from tests.support.trades import trade_on

pytestmark = pytest.mark.xdist_group("dagster dev")

SENSOR = "raw_files"
OTHERS = ("raw_files_of_closed_days", "dead_letters", "freshness", "run_failures", "tick_failures")

LAUNCH = """
mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}"""

CANCEL = """
mutation Cancel($id: String!) {
  cancelPartitionBackfill(backfillId: $id) { __typename ... on PythonError { message } }
}"""


class Scene:
    def __init__(self, stack: LocalStack, proxy: HoldingProxy, dagster: DagsterProcesses) -> None:
        self.stack, self.proxy, self.dagster = stack, proxy, dagster
        today = session_date_of(int(datetime.now(UTC).timestamp()) * 10**9)
        self.days = list(trading_days(today - timedelta(days=10), today - timedelta(days=1)))[-2:]

    def arrive(self, day: date) -> None:
        for number in range(2):
            put_raw_file(self.stack.wiring.objects, day, number)

    def versions(self, day: date) -> int:
        keys = [each.key for each in self.stack.wiring.objects.list(curated_partition_prefix(day))]
        return sum(key.endswith("/" + MANIFEST_FILE) for key in keys)

    def is_published(self, day: date) -> bool:
        return self.stack.wiring.catalog.published_location(day) is not None

    def assert_right(self, day: date) -> None:
        """Readers see exactly the trades that arrived, in one version."""
        objects = self.stack.wiring.objects
        location = str(self.stack.wiring.catalog.published_location(day))
        keys = [each.key for each in objects.list(location.removeprefix(objects.uri("")))]
        rows = [row for key in keys if key.endswith(".parquet") for row in read_trades(objects.get(key))]
        assert rows == [trade_on(day, 0), trade_on(day, 1)]
        assert self.versions(day) == 1

    def next_tick(self) -> None:
        """Restart the daemon five minutes later, and let the sensor make one tick."""
        self.dagster.kill_daemon()
        self.dagster.let_the_interval_pass(SENSOR)
        before = self.dagster.ticks_done(SENSOR)
        self.dagster.start_daemon()
        self.dagster.until(lambda: self.dagster.ticks_done(SENSOR) > before)

    def finished(self, day: date) -> bool:
        runs = self.dagster.runs_of(day.isoformat())
        return bool(runs) and all(run.is_finished for run in runs)


@contextmanager
def scene(folder: Path) -> Iterator[Scene]:
    environ = loopback_environment({**os.environ, "DUCKDB_PATH": str(folder / "lake.duckdb")})
    with local_stack(environ) as stack, holding_proxy(stack.endpoint) as proxy:
        environ = {**stack.environ, "AWS_ENDPOINT_URL": proxy.address}
        dagster = DagsterProcesses(environ, new_home(folder / "dagster"), folder / "dagster.log")
        with dagster.running():
            for name in OTHERS:
                dagster.sensor("stop", name)
            yield Scene(stack, proxy, dagster)


def statuses(runs: list[dg.DagsterRun]) -> list[str]:
    return [run.status.value for run in runs]


def test_a_run_killed_between_manifest_and_head_is_made_good_once(tmp_path: Path) -> None:
    with scene(tmp_path) as on:
        (day,) = on.days[-1:]
        on.arrive(day)
        publishing = on.proxy.stop("PUT", head_key(day))
        on.dagster.start_daemon()
        run = publishing.wait()
        assert on.versions(day) == 1
        assert not on.is_published(day)

        on.dagster.kill_daemon()
        os.kill(run, signal.SIGKILL)
        end_of(run)
        publishing.drop()
        # the code server saw its run end, and the daemon will hear of it
        on.dagster.until(lambda: on.finished(day))
        assert statuses(on.dagster.runs_of(day.isoformat())) == ["FAILURE"]
        assert not on.is_published(day)

        again = on.proxy.stop("PUT", head_key(day))
        on.next_tick()
        run = again.wait()
        again.pass_on()
        end_of(run)
        on.assert_right(day)
        on.next_tick()
        on.dagster.until(lambda: on.finished(day))
        # the run that was killed, and its one retry; ticks before and after asked for none
        assert statuses(on.dagster.runs_of(day.isoformat())) == ["FAILURE", "SUCCESS"]


def test_a_backfill_cancelled_half_way_is_made_good_by_the_next_tick(tmp_path: Path) -> None:
    with scene(tmp_path) as on:
        on.dagster.sensor("stop", SENSOR)
        first, second = on.days
        for day in on.days:
            on.arrive(day)
        publishing = on.proxy.stop("PUT", head_key(second))
        params = {
            "assetSelection": [{"path": ["trades"]}],
            "partitionNames": [day.isoformat() for day in on.days],
            "title": "two sessions",
        }
        launched = on.dagster.ask(LAUNCH, params=params)["launchPartitionBackfill"]
        assert launched["__typename"] == "LaunchBackfillSuccess", launched
        backfill_id = launched["backfillId"]
        on.dagster.start_daemon()
        run = publishing.wait()
        on.assert_right(first)

        on.dagster.kill_daemon()
        cancelled = on.dagster.ask(CANCEL, id=backfill_id)["cancelPartitionBackfill"]
        assert cancelled["__typename"] == "CancelBackfillSuccess", cancelled
        on.dagster.start_daemon()
        end_of(run)
        publishing.drop()

        def is_over() -> bool:
            backfill = on.dagster.instance.get_backfill(backfill_id)
            return backfill is not None and backfill.status.value in ("CANCELED", "FAILED", "COMPLETED")

        on.dagster.until(is_over)
        assert [on.is_published(day) for day in on.days] == [True, False]

        on.dagster.sensor("start", SENSOR)
        on.next_tick()
        on.dagster.until(lambda: all(on.finished(day) and on.is_published(day) for day in on.days))
        for day in on.days:
            on.assert_right(day)
        on.next_tick()
        on.dagster.until(lambda: all(on.finished(day) for day in on.days))
        assert {day: statuses(on.dagster.runs_of(day.isoformat())) for day in on.days} == {
            first: ["CANCELED"],
            second: ["CANCELED", "SUCCESS"],
        }
