"""`stock-pipeline up`: run the whole pipeline on this machine until Ctrl-C."""

import argparse
import json
import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stock_pipeline.commands.alert_rules import USUAL_FILE, add_rules, rules_of
from stock_pipeline.commands.environment import take_over
from stock_pipeline.commands.market_feeds import KEY, SECRET, Feed, market_feed
from stock_pipeline.commands.parsers import Commands, add_command, whole
from stock_pipeline.errors import StockPipelineError
from stock_pipeline.project_files import STATE_FOLDER as FOLDER

if TYPE_CHECKING:
    from stock_pipeline.local.event_source.poller import EventSourcePoller
    from stock_pipeline.local.only_one import Held
    from stock_pipeline.local.stack import LocalStack

TELL_SECONDS = 10.0


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "up",
        summary="run the pipeline on this machine until Ctrl-C, with a simulated market, a live page and Dagster's UI",
        description="Starts the AWS services on loopback, feeds the stream with simulated trades, processes it as the "
        "Lambda would, serves prices as a page, and runs Dagster with its schedules and sensors switched on. One "
        f"Ctrl-C ends all of it; the next start begins anew. In another terminal: stock-pipeline status. If {KEY} and "
        f"{SECRET} are set, Alpaca's trades of SYMBOLS and FEED replace the simulated ones.",
        example="stock-pipeline up --trades-per-second 50",
    )
    parser.add_argument(
        "--port", type=whole(0, 65_535), default=3000, help="of Dagster's UI, if it is free (default: 3000)"
    )
    parser.add_argument(
        "--page-port", type=whole(0, 65_535), default=8080, help="of the page, if it is free (default: 8080)"
    )
    parser.add_argument(
        "--trades-per-second", type=whole(1), default=20, metavar="N", help="simulated trades (default: 20)"
    )
    add_rules(parser, usual=f"{USUAL_FILE}, if this folder has it")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    try:
        raise _run_until_interrupted(options)
    except KeyboardInterrupt:
        # the usual end
        print("\nstopped, and nothing is left running", flush=True)
        return 0


def _run_until_interrupted(options: argparse.Namespace) -> StockPipelineError:
    """Run all parts, and return the error that ended them."""
    import signal

    from stock_pipeline.local.only_one import only_one
    from stock_pipeline.local.stack import loopback_environment

    if options.alerts is None and USUAL_FILE.is_file():
        options.alerts = USUAL_FILE
    rules_of(options.alerts)
    # a background job of a shell ignores Ctrl-C, and SIGTERM must end it in the same order
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    take_over(loopback_environment(os.environ))
    with only_one("up", FOLDER) as held:
        return _run_all(options, held)


def _run_all(options: argparse.Namespace, held: "Held") -> StockPipelineError:
    from stock_pipeline.domain.session import exchange_time_zone
    from stock_pipeline.local.dagster_dev import dagster_dev, free_port, new_home
    from stock_pipeline.local.event_source.observer import SilentObserver
    from stock_pipeline.local.lambda_functions import processor_poller
    from stock_pipeline.local.live_feed import last_session
    from stock_pipeline.local.page import live_page
    from stock_pipeline.local.stack import LOOPBACK, local_stack

    folder = (FOLDER / "up").absolute()
    # of a lake that is gone
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    database = folder / "stock_market.duckdb"
    now = datetime.now(UTC)
    first = last_session(now.astimezone(exchange_time_zone()).date(), now).session_date.isoformat()
    with local_stack({"FIRST_SESSION": first, **os.environ, "DUCKDB_PATH": os.fspath(database)}) as stack:
        take_over(stack.environ)
        home, log = new_home((FOLDER / "dagster").absolute()), folder / "logs" / "dagster.log"
        poller = processor_poller(stack, SilentObserver())
        ui = free_port(options.port)
        feed = market_feed(stack, options.trades_per_second, log.parent)
        with (
            _threads(poller, feed) as stop,
            _announced(stack),
            live_page(
                {**stack.environ, "DAGSTER_URL": f"http://{LOOPBACK}:{ui}"},
                free_port(options.page_port),
                log.with_name("page.log"),
                options.alerts,
            ) as page,
        ):
            print(f"Prices         {page}")
            if options.alerts:
                print(f"Price alerts   by {options.alerts}, on the page and in {log.with_name('page.log')}")
            print(f"AWS services   {stack.endpoint}")
            print(f"Trades         {feed.source}", flush=True)
            print("Dagster        starting (half a minute)", flush=True)
            with dagster_dev(stack.environ, home, ui, log) as address:
                held.tell(address)
                print(f"Dagster        {address}")
                print(f"Logs           {log.parent}")
                print("Bars           in two minutes, then every 15")
                print("Ctrl-C ends it. In another terminal: stock-pipeline status", flush=True)
                _tell_until(stop, poller, feed)
    return feed.failure or StockPipelineError("the processor stopped; run stock-pipeline up again")


@contextmanager
def _threads(poller: "EventSourcePoller", feed: Feed) -> Iterator[threading.Event]:
    """Run poller and feed; yield the event that stops both, also set when one ends."""
    stop = threading.Event()

    def run_until_stopped(part: Any) -> None:
        try:
            part.run(stop)
        finally:
            stop.set()

    threads = [threading.Thread(target=run_until_stopped, args=(part,)) for part in (poller, feed)]
    try:
        # inside, because Ctrl-C may come while they start, and a running thread keeps the process alive
        for thread in threads:
            thread.start()
        yield stop
    finally:
        stop.set()
        for thread in threads:
            if thread.is_alive():
                thread.join()


@contextmanager
def _announced(stack: "LocalStack") -> Iterator[None]:
    """Let commands in this folder find the stack."""
    from stock_pipeline.place import LOCAL, settings_file

    settings = {name: value for name, value in stack.environ.items() if name in stack.settings.environ()}
    addresses = {name: value for name, value in stack.environ.items() if name.startswith("AWS_")}
    file = settings_file(LOCAL)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(settings | addresses, indent=1))
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def _tell_until(stop: threading.Event, poller: "EventSourcePoller", feed: Feed) -> None:
    while not stop.wait(TELL_SECONDS):
        counts = poller.counts
        print(
            f"{feed.lines:>9,} lines published, {counts.records_delivered:,} records processed in "
            f"{counts.invocations:,} calls",
            flush=True,
        )
