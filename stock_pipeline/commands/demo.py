"""`stock-pipeline demo`: run the whole pipeline on this machine."""

import argparse
import os
import sys
from collections.abc import Callable
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from stock_pipeline.commands.environment import take_over
from stock_pipeline.commands.parsers import Commands, add_command
from stock_pipeline.project_files import MODELS_FILE, STATE_FOLDER

if TYPE_CHECKING:
    from stock_pipeline.local.demo.demo import RunSession
    from stock_pipeline.orchestration.session_run import SessionRun
    from stock_pipeline.settings import Settings

_NEW = STATE_FOLDER / "demo.new"

REDIRECTED_WIDTH = 118
"""Columns of output into a file or pipe."""

LOG_CHARACTERS = 6_000


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "demo",
        summary="run the whole pipeline on a recorded session, on this machine",
        description="Runs the pipeline on loopback: no account, no Docker, no network. Publishes a recorded session "
        "(and simulated symbols beside the sample), processes the stream, compacts and publishes the "
        "partition, builds the models, and checks that every figure agrees. Exits with 1 if one does not.",
        example="stock-pipeline demo --json figures.json",
    )
    parser.add_argument(
        "--trades",
        type=Path,
        metavar="FILE",
        help="a session of your own: a file of any format of docs/files.md whose columns say which it is; "
        "default: the sample and nine simulated symbols",
    )
    parser.add_argument(
        "--feed",
        default="",
        metavar="NAME",
        help="mark of your session's rows, which also says when its sessions begin: boats and overnight_… the evening "
        "before, crypto_… at midnight UTC (default: the format's, taq for the sample's)",
    )
    parser.add_argument(
        "--json", type=Path, metavar="FILE", help="also write accounting, state and daily bars to FILE as JSON"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    import time

    import msgspec
    from rich.console import Console

    from stock_pipeline.errors import InputFileError
    from stock_pipeline.local.demo.demo import Demo
    from stock_pipeline.local.demo.display import print_next_steps, print_report
    from stock_pipeline.local.demo.kept_lake import keep_lake
    from stock_pipeline.local.demo.report import disagreements, report_json
    from stock_pipeline.local.demo.sources import recorded_session, simulated_session
    from stock_pipeline.local.only_one import only_one
    from stock_pipeline.local.stack import local_stack, loopback_environment
    from stock_pipeline.local.step_display import ConsoleDisplay
    from stock_pipeline.place import DEMO_FOLDER
    from stock_pipeline.providers.files.sample_session import SAMPLE_TRADES, published_bar
    from stock_pipeline.read import latest_of

    if options.json is not None and not options.json.expanduser().absolute().parent.is_dir():
        raise InputFileError(f"{options.json} can't be written: its folder does not exist; make it first")
    is_sample = options.trades is None
    published = published_bar() if is_sample else None
    recorded = recorded_session(SAMPLE_TRADES if is_sample else options.trades.expanduser(), options.feed)
    sources = [recorded.source]
    if is_sample:
        sources.append(simulated_session(recorded.sessions[0]))

    console = Console(width=None if sys.stdout.isatty() else REDIRECTED_WIDTH)
    sessions = ", ".join(map(str, recorded.sessions))
    console.print(f"The whole pipeline on this machine: session {sessions}", style="bold", highlight=False)
    take_over(loopback_environment(os.environ))
    with ExitStack() as running:
        running.enter_context(only_one("demo", STATE_FOLDER))
        display = running.enter_context(ConsoleDisplay(console))
        display.started("Start the local stack")
        stack = running.enter_context(
            local_stack({**os.environ, "DUCKDB_PATH": os.fspath(_new_folder() / MODELS_FILE), "FEED": recorded.feed})
        )
        take_over(stack.environ)
        display.finished(f"Kinesis, S3, DynamoDB, SQS and Glue on {stack.endpoint}")
        report = Demo(stack, sources, recorded.first_symbol, _session_job(stack.settings), display).run()
        kept = keep_lake(stack, _NEW.absolute(), DEMO_FOLDER.absolute(), latest_of(stack.settings, time.time_ns()))

    print_report(console, report, published)
    if options.json is not None:
        document = msgspec.json.Encoder(decimal_format="number").encode(report_json(report))
        options.json.expanduser().write_bytes(msgspec.json.format(document, indent=2) + b"\n")
    failures = disagreements(report, published)
    for failure in failures:
        print(f"stock-pipeline: {failure}", file=sys.stderr)
    if not failures:
        what = "lake is" if kept is not None else "models, without their large lake, are"
        where = DEMO_FOLDER if kept is not None else _NEW
        print_next_steps(console, _own_command(), f"The {what} kept in {where}.", options.json)
    return 1 if failures else 0


def _new_folder() -> Path:
    """Return an empty folder for this run's models, so that an earlier demo's stay until its end."""
    import shutil

    shutil.rmtree(_NEW, ignore_errors=True)
    _NEW.mkdir(parents=True)
    return _NEW.absolute()


def _own_command() -> str:
    """Return how this command is called: by its name if a shell finds it, else by its path."""
    import shutil

    called = Path(sys.argv[0])
    if Path(sys.prefix).parent.name.startswith("archive-v"):
        return "uvx --from '.[local]' stock-pipeline"  # uv's cache: gone from PATH with this process
    if shutil.which(called.name) == os.fspath(called.absolute()):
        return called.name
    here = Path.cwd()
    return os.fspath(called.absolute().relative_to(here) if called.absolute().is_relative_to(here) else called)


def _session_job(settings: "Settings") -> "RunSession":
    """Return the session's Dagster job, whose output is shown only if it fails."""
    import io

    def run(session_date: date, on_step: Callable[[str], None]) -> "SessionRun":
        from stock_pipeline.definitions import build_definitions
        from stock_pipeline.orchestration.lake_schedules import SESSION_JOB
        from stock_pipeline.orchestration.session_run import run_session

        log = io.StringIO()
        try:
            with redirect_stdout(log), redirect_stderr(log):
                return run_session(build_definitions(settings), SESSION_JOB, session_date, on_step)
        except Exception:
            print(log.getvalue()[-LOG_CHARACTERS:], file=sys.stderr)
            raise

    return run
