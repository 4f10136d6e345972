"""The command line: `stock-pipeline`. What each command does is in `commands`."""

import argparse
import io
import sys
from collections.abc import Sequence

from stock_pipeline.commands import (
    catalog,
    compact,
    cost,
    dbt_parse,
    ddl,
    demo,
    gc,
    import_files,
    load,
    query,
    redrive,
    seeds,
    smoke,
    state,
    status,
    stream,
    up,
)
from stock_pipeline.errors import StockPipelineError
from stock_pipeline.extras import line_to_type

COMMANDS = (
    demo,
    up,
    status,
    load,
    stream,
    import_files,
    redrive,
    compact,
    gc,
    catalog,
    state,
    query,
    ddl,
    seeds,
    dbt_parse,
    smoke,
    cost,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; an expected error is one sentence on stderr."""
    options = parser().parse_args(arguments)
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):
            # a terminal that is not UTF-8 lacks ✓, which must not end the command
            output.reconfigure(errors="replace")
    try:
        code: int = options.run(options)
        return code
    except StockPipelineError as error:
        print(f"stock-pipeline: {error}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        missing = line_to_type(error.name or "")
        if missing is None:
            raise
        print(f"stock-pipeline: {missing}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="stock-pipeline", description="A real-time stock market pipeline on AWS, and on this machine."
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for command in COMMANDS:
        command.add_to(commands)
    return top
