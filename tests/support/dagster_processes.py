"""Dagster's processes as an account has them: a code server, whose children runs are, and a daemon that may die."""

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import yaml
from dagster._core.scheduler.instigation import SensorInstigatorData
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import GrpcServerTarget
from dagster_graphql.schema import create_schema

from stock_pipeline.domain.session import trading_days
from stock_pipeline.local.dagster_dev import LOOPBACK, ROOT, free_port

PATIENCE_SECONDS = 900
DAGSTER = Path(sys.executable).with_name("dagster")
_READY = "Started Dagster code server"


class DagsterProcesses:
    """instance: what the daemon works on, as a person's UI sees it."""

    def __init__(self, environ: Mapping[str, str], home: Path, log: Path) -> None:
        self.environ = {**environ, "DAGSTER_HOME": str(home)}
        self.log = log
        self.port = free_port(0)
        self.workspace = home / "workspace.yaml"
        server = {"host": LOOPBACK, "port": self.port, "location_name": "stock_pipeline"}
        self.workspace.write_text(yaml.safe_dump({"load_from": [{"grpc_server": server}]}))
        self.instance = dg.DagsterInstance.from_config(str(home))
        self._daemon: subprocess.Popen[bytes] | None = None

    @contextmanager
    def running(self) -> Iterator["DagsterProcesses"]:
        """Run the code server, without a daemon; end everything at the end."""
        module = ["-m", "stock_pipeline.definitions", "--location-name", "stock_pipeline"]
        command = [str(DAGSTER), "api", "grpc", "-h", LOOPBACK, "-p", str(self.port), *module]
        with ExitStack() as ends:
            ends.enter_context(self.instance)
            server = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environ,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            ends.callback(_kill_group, server)
            ready = threading.Event()
            reader = threading.Thread(target=self._copy, args=(server, ready), daemon=True)
            reader.start()
            ends.callback(reader.join)
            ends.callback(_kill_group, server)
            assert ready.wait(PATIENCE_SECONDS), self.log.read_text()[-4000:]
            ends.callback(self.kill_daemon)
            yield self

    def start_daemon(self) -> None:
        command = [str(DAGSTER.with_name("dagster-daemon")), "run", "-w", str(self.workspace)]
        with self.log.open("a") as log:
            self._daemon = subprocess.Popen(
                command, cwd=ROOT, env=self.environ, stdout=log, stderr=log, start_new_session=True
            )

    def kill_daemon(self) -> None:
        if self._daemon is not None:
            _kill_group(self._daemon)
            self._daemon = None

    def sensor(self, action: str, name: str) -> None:
        """Start or stop a sensor, as the UI does."""
        command = [str(DAGSTER), "sensor", action, name, "-w", str(self.workspace)]
        subprocess.run(command, cwd=ROOT, env=self.environ, check=True, capture_output=True)

    def let_the_interval_pass(self, sensor: str) -> None:
        """Let the sensor tick again as soon as the daemon runs; it must not run now."""
        assert self._daemon is None
        for state in self.instance.all_instigator_state():
            if state.instigator_name == sensor:
                assert isinstance(state.instigator_data, SensorInstigatorData)
                data = state.instigator_data._replace(last_tick_timestamp=0.0, last_tick_start_timestamp=0.0)
                self.instance.update_instigator_state(state.with_data(data))

    def ask(self, query: str, **variables: Any) -> Any:
        target = GrpcServerTarget(host=LOOPBACK, port=self.port, socket=None, location_name="stock_pipeline")
        with WorkspaceProcessContext(self.instance, target) as process:
            result = create_schema().execute(
                query, variable_values=variables, context_value=process.create_request_context()
            )
        assert not result.errors, result.errors
        return result.data

    def runs_of(self, partition: str) -> list[dg.DagsterRun]:
        """Every run that was asked to make this partition, the first one first."""
        runs = self.instance.get_runs()
        return [run for run in reversed(runs) if partition in _partitions(run.tags)]

    def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for what Dagster only writes into its database."""
        give_up_at = time.monotonic() + PATIENCE_SECONDS
        while not is_so():
            assert time.monotonic() < give_up_at, self.log.read_text()[-4000:]
            time.sleep(0.2)  # the daemon, another process, does not say when it is done

    def ticks_done(self, sensor: str) -> int:
        return sum(
            tick.is_completed or tick.is_failure
            for state in self.instance.all_instigator_state()
            if state.instigator_name == sensor
            for tick in self.instance.get_ticks(state.instigator_origin_id, state.selector_id)
        )

    def _copy(self, process: "subprocess.Popen[str]", ready: threading.Event) -> None:
        assert process.stdout is not None
        with process.stdout, self.log.open("a", buffering=1) as file:
            for line in process.stdout:
                file.write(line)
                if _READY in line:
                    ready.set()


def end_of(pid: int) -> None:
    """Wait until a process of anybody has ended."""
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(descriptor, selectors.EVENT_READ)
            assert selector.select(PATIENCE_SECONDS), f"process {pid} does not end"
    finally:
        os.close(descriptor)


def _partitions(tags: Mapping[str, str]) -> set[str]:
    start, end = tags.get("dagster/asset_partition_range_start"), tags.get("dagster/asset_partition_range_end")
    found = {tags.get("dagster/partition", "")}
    if start and end:
        found |= {day.isoformat() for day in trading_days(date.fromisoformat(start), date.fromisoformat(end))}
    return found


def _kill_group(process: "subprocess.Popen[Any]") -> None:
    """Let the process and all that it started be gone, as if the machine were."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
