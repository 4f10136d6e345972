"""`stock-pipeline load`: push simulated trades through the local stack, with faults."""

import argparse
import os
import sys
from pathlib import Path

from stock_pipeline.commands.parsers import Commands, add_command, whole

TRADES, SYMBOLS, SEED = 2_000_000, 200, 1
REDIRECTED_WIDTH = 118


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "load",
        summary="push millions of simulated trades through the pipeline, with faults, on this machine",
        description="Publishes simulated trades into the local stack while the processor works on them, with faults "
        "injected around every adapter. Compares lake, queue and state with what the simulator knows is "
        "right, and exits with 1 if anything disagrees. The local services keep the stream and the lake in "
        "memory.",
        example="stock-pipeline load --trades 200000 --seed 7",
    )
    parser.add_argument("--trades", type=whole(1), default=TRADES, metavar="N", help=f"default: {TRADES:,}")
    parser.add_argument("--symbols", type=whole(1), default=SYMBOLS, metavar="N", help=f"default: {SYMBOLS}")
    parser.add_argument(
        "--seed", type=whole(0), default=SEED, metavar="N", help="of trades and faults; default: %(default)s"
    )
    parser.add_argument("--no-faults", action="store_true", help="let nothing fail and every trade come in order")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the figures to FILE as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    import msgspec
    from rich.console import Console

    from stock_pipeline.local.load.display import print_load_report
    from stock_pipeline.local.load.faults import RATES, Faults
    from stock_pipeline.local.load.load import LoadRun, simulation
    from stock_pipeline.local.load.machine_usage import machine_usage
    from stock_pipeline.local.load.report import disagreements, report_json
    from stock_pipeline.local.stack import local_stack
    from stock_pipeline.local.step_display import ConsoleDisplay

    with_faults = not options.no_faults
    session = simulation(options.trades, options.symbols, options.seed, with_faults=with_faults)
    faults = Faults(RATES if with_faults else {}, options.seed)
    console = Console(width=None if sys.stdout.isatty() else REDIRECTED_WIDTH)
    console.print(
        f"{session.trades:,} simulated trades of {len(session.symbols):,} symbols through the pipeline on this machine",
        style="bold",
        highlight=False,
    )
    with ConsoleDisplay(console) as display:
        display.started("Start the local stack")
        with local_stack(os.environ) as stack:
            display.finished(f"Kinesis, S3, DynamoDB and SQS on {stack.endpoint}")
            report = LoadRun(stack, session, faults, display).run()
    # last, because the services' share is known once they have ended
    measures = machine_usage()

    print_load_report(console, report, measures)
    if options.json is not None:
        document = msgspec.json.encode(report_json(report, measures))
        options.json.write_bytes(msgspec.json.format(document, indent=2) + b"\n")
    failures = disagreements(report)
    for failure in failures:
        print(f"stock-pipeline: {failure}", file=sys.stderr)
    if not failures:
        console.print("\nEverything agrees: lake, queue and state are what the simulator says.", style="bold")
    return 1 if failures else 0
