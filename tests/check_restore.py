"""`python -m tests.check_restore`: the restore drill, and a table of what it compared and could not try."""

import argparse
import json
import os
import sys
import tempfile
from pathlib import Path

from stock_pipeline.commands.environment import take_over
from stock_pipeline.local.stack import local_stack
from tests.support.database_drill import dagsters_database
from tests.support.restore_drill import STEPS, Drilled, World, drill


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument(
        "--trades-a-batch", type=int, default=1_000, metavar="N", help="for each of 50 symbols (default: %(default)s)"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "DUCKDB_PATH": f"{folder}/stock_market.duckdb"}
        with local_stack(environment) as stack:
            take_over(stack.environ)
            world = World(stack, options.trades_a_batch)
            print(f"a stack with {world.trades:,} trades is being made", flush=True)
            world.fill()
            found = []
            for done in drill(world, (*STEPS, dagsters_database)):
                print(f"  {'✗' if done.failure else '✓'} lost and restored: {done.lost}", flush=True)
                found.append(done)
    print()
    for done in found:
        print(_row(done))
    if options.json:
        options.json.write_text(json.dumps([done._asdict() for done in found], indent=2) + "\n")
    failed = [done.lost for done in found if done.failure]
    print(f"\nnot as before: {', '.join(failed)}" if failed else "\nall as before")
    return 1 if failed else 0


def _row(done: Drilled) -> str:
    row = f"{done.lost:<24}{done.seconds:7.1f} s  {done.failure or done.compared}"
    if done.trades and done.seconds:
        row += f" ({done.trades / done.seconds:,.0f} trades/s)"
    return row + (f"; not tried here: {done.not_tried}" if done.not_tried else "")


if __name__ == "__main__":
    sys.exit(main())
