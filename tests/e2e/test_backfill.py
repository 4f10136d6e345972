"""A backfill over ten sessions, launched as by the UI: by GraphQL, through a real daemon."""

import json
import os
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from stock_pipeline.domain.session import trading_days
from stock_pipeline.local.dagster_dev import dagster_dev, free_port, new_home
from stock_pipeline.local.stack import LocalStack, local_stack, loopback_environment
from stock_pipeline.project_files import PROJECT
from tests.support.raw_files import put_raw_file

pytestmark = [pytest.mark.xdist_group("dagster dev"), pytest.mark.system]

SESSIONS = list(trading_days(date(2018, 1, 2), date(2018, 1, 16)))
PATIENCE_SECONDS = 300

LAUNCH = """
mutation Launch($params: LaunchBackfillParams!) {
  launchPartitionBackfill(backfillParams: $params) {
    __typename ... on LaunchBackfillSuccess { backfillId } ... on PythonError { message }
  }
}"""

STATUS = """
query Backfill($id: String!) {
  partitionBackfillOrError(backfillId: $id) {
    ... on PartitionBackfill { status error { message } runs: unfinishedRuns { id } numPartitions }
  }
}"""


def ask(address: str, query: str, **variables: Any) -> Any:
    body = json.dumps({"query": query, "variables": variables}).encode()
    request = urllib.request.Request(f"{address}/graphql", body, {"content-type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        document = json.load(answer)
    assert "errors" not in document, document
    return document["data"]


def stop_the_sensor_of_raw_files(environ: Mapping[str, str], home: Path) -> None:
    """Before the daemon starts, or a tick would ask for runs of the same sessions, with their models."""
    command = [str(Path(sys.executable).with_name("dagster")), "sensor", "stop", "raw_files", "-w", "workspace.yaml"]
    subprocess.run(command, cwd=PROJECT, env={**environ, "DAGSTER_HOME": str(home)}, check=True, capture_output=True)


def backfill(address: str, stack: LocalStack) -> dict[str, Any]:
    """The finished backfill."""
    params = {
        "assetSelection": [{"path": ["trades"]}],
        "partitionNames": [day.isoformat() for day in SESSIONS],
        "title": "ten sessions",
    }
    launched = ask(address, LAUNCH, params=params)["launchPartitionBackfill"]
    assert launched["__typename"] == "LaunchBackfillSuccess", launched
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < give_up_at:
        state: dict[str, Any] = ask(address, STATUS, id=launched["backfillId"])["partitionBackfillOrError"]
        if state["status"] not in ("REQUESTED", "COMPLETING"):
            return state
        time.sleep(1)  # the daemon, another process, does not say when it is done
    raise AssertionError(f"not done after {PATIENCE_SECONDS} s: {state}")


def test_ten_sessions_are_published_by_one_backfill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len(SESSIONS) == 10
    environ = loopback_environment({**os.environ, "DUCKDB_PATH": str(tmp_path / "lake.duckdb")})
    with local_stack(environ) as stack:
        home = new_home(tmp_path / "dagster")
        for day in SESSIONS:
            put_raw_file(stack.wiring.objects, day, 1)
            put_raw_file(stack.wiring.objects, day, 2)
        stop_the_sensor_of_raw_files(stack.environ, home)
        with dagster_dev(stack.environ, home, free_port(0), tmp_path / "dagster.log") as address:
            state = backfill(address, stack)
            assert state["status"] == "COMPLETED_SUCCESS", (tmp_path / "dagster.log").read_text()[-4000:]
            assert state["numPartitions"] == 10
        assert set(stack.wiring.catalog.published_locations()) == set(SESSIONS)
