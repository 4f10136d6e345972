"""`make bench-session`: CPU seconds of the job `session`, part by part, on what `make demo` publishes.

Each round is a process of its own, as a run is. The first one parses the dbt project, the others find its saved parse.
Wall time is not judged, and the stream's part of the demo not measured.
"""

import argparse
import io
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any
from unittest import mock

from rich.console import Console

from stock_pipeline.commands.environment import take_over
from stock_pipeline.local.demo.demo import Demo
from stock_pipeline.local.demo.sources import recorded_session, simulated_session
from stock_pipeline.local.stack import LocalStack, local_stack, loopback_environment
from stock_pipeline.local.step_display import ConsoleDisplay
from stock_pipeline.providers.files.sample_session import SAMPLE_TRADES

TARGET = 12
COMPACTION = "trades: compaction"
PARSE = "dbt: parse of the project"
NODES = "dbt:"
JOB = "job"
OTHER_PROCESSES = "the local services meanwhile"


@dataclass
class Parts:
    """CPU seconds by part.

    counts: how often each part was there.
    """

    seconds: dict[str, float] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    @contextmanager
    def measured(self, part: str, clock: Callable[[], float] = time.process_time) -> Iterator[None]:
        before = clock()
        try:
            yield
        finally:
            self.add(part, clock() - before)

    def add(self, part: str, seconds: float) -> None:
        self.seconds[part] = self.seconds.get(part, 0.0) + seconds
        self.counts[part] += 1

    @contextmanager
    def of_calls(
        self, owner: Any, name: str, part_of: Callable[..., str], clock: Callable[[], float]
    ) -> Iterator[None]:
        """Measure each call of a function."""
        original = getattr(owner, name)

        def measured(*args: Any, **kwargs: Any) -> Any:
            with self.measured(part_of(*args), clock):
                return original(*args, **kwargs)

        with mock.patch.object(owner, name, measured):
            yield


@dataclass(frozen=True)
class MeasuredJob:
    """The session's job as the demo runs it, measured."""

    stack: LocalStack
    parts: Parts

    def run(self, session_date: date, on_step: Callable[[str], None]) -> Any:
        parts = self.parts
        with parts.measured("imports"):
            import dbt.cli.main  # noqa: F401
            from dbt.task.runnable import GraphRunnableTask

            from stock_pipeline.definitions import build_definitions
            from stock_pipeline.lake.compaction import Compactor
            from stock_pipeline.orchestration import dbt_process
            from stock_pipeline.orchestration.lake_schedules import SESSION_JOB
            from stock_pipeline.orchestration.session_run import run_session
        with parts.measured("definitions"):
            definitions = build_definitions(self.stack.settings)
        all_threads, main_thread, nodes = Parts(), Parts(), Parts()
        process, thread = time.process_time, time.thread_time
        with (
            redirect_stdout(io.StringIO()),
            all_threads.measured(JOB, process),
            main_thread.measured(JOB, thread),
            all_threads.of_calls(Compactor, "compact", lambda *_: COMPACTION, process),
            main_thread.of_calls(Compactor, "compact", lambda *_: COMPACTION, thread),
            all_threads.of_calls(dbt_process, "parse", lambda *_: PARSE, process),
            main_thread.of_calls(dbt_process, "parse", lambda *_: PARSE, thread),
            nodes.of_calls(GraphRunnableTask, "call_runner", _kind_of_node, thread),
        ):
            result = run_session(definitions, SESSION_JOB, session_date, lambda _: None)
        inner = (COMPACTION, PARSE)
        of_main = main_thread.seconds[JOB] - sum(main_thread.seconds[part] for part in inner)
        of_all = all_threads.seconds[JOB] - sum(all_threads.seconds[part] for part in inner)
        parts.add("Dagster's own, checks of trades, reconciliation", of_main)
        for part in inner:
            parts.add(part, all_threads.seconds[part])
        parts.seconds |= nodes.seconds
        parts.counts |= nodes.counts
        parts.add("dbt: selection and graph; threads of DuckDB", of_all - of_main - sum(nodes.seconds.values()))
        return result


def _kind_of_node(_task: Any, runner: Any) -> str:
    return f"{NODES} {runner.node.resource_type}s"


def one_round(folder: Path) -> Parts:
    """Publish, process and run the job over a new local stack."""
    parts = Parts()
    recorded = recorded_session(SAMPLE_TRADES)
    take_over(loopback_environment(os.environ))
    models = folder / "models.duckdb"
    models.unlink(missing_ok=True)
    environ = {"DUCKDB_PATH": os.fspath(models), "FEED": recorded.feed, "DBT_TARGET_PATH": os.fspath(folder)}
    with local_stack({**os.environ, **environ}) as stack:
        take_over(stack.environ)
        silent = ConsoleDisplay(Console(file=io.StringIO()))
        sources = [recorded.source, simulated_session(recorded.sessions[0])]
        Demo(stack, sources, recorded.first_symbol, MeasuredJob(stack, parts).run, silent).run()
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    parts.add(OTHER_PROCESSES, children.ru_utime + children.ru_stime)
    return parts


def rounds(count: int) -> list[Parts]:
    with tempfile.TemporaryDirectory() as folder:
        return [_apart(folder) for _ in range(count + 1)]


def _apart(folder: str) -> Parts:
    command = [sys.executable, "-W", "ignore", "-m", "bench.session", "--folder", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        sys.exit(done.stderr)
    document = json.loads(done.stdout.splitlines()[-1])
    return Parts(document["seconds"], Counter(document["counts"]))


def report(measured: Sequence[Parts]) -> Iterator[str]:
    first, *later = measured
    yield f"CPU seconds of the job `session`, medians of {len(later)} rounds"
    medians = {part: statistics.median(one.seconds[part] for one in later) for part in first.seconds}
    for part, seconds in medians.items():
        note = f"   {first.counts[part]} nodes" if first.counts[part] > 1 else ""
        if part == PARSE:
            note = f"   saved; {first.seconds[PARSE]:.2f} in the first run of an environment"
        yield f"  {part:54} {seconds:6.2f}{note}"
    beside = sum(seconds for part, seconds in medians.items() if part not in (COMPACTION, OTHER_PROCESSES))
    yield f"  {'all beside compaction and services':54} {beside:6.2f}   to reach: {TARGET}"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.folder:
        parts = one_round(options.folder)
        print(json.dumps({"seconds": parts.seconds, "counts": parts.counts}))
        return 0
    for line in report(rounds(options.rounds)):
        print(line)
    return 0


if __name__ == "__main__":
    sys.exit(main())
