"""`stock-pipeline latest`: show the newest price and averages of symbols."""

import argparse
import time
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from stock_pipeline.commands.environment import TABLE, add_env, settings_of
from stock_pipeline.commands.parsers import Commands, add_command, number

if TYPE_CHECKING:
    from stock_pipeline.aws.athena import Answer

CLEAR = "\x1b[H\x1b[2J"
SHORT_NAMES = {"age_seconds": "age", "last_eligible": "eligible"}


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "latest",
        summary="show the newest price and averages of some or all symbols",
        description="Reads the realtime table: a line a symbol and feed, with the newest execution, the tape's last "
        "price (last_eligible), averages by trades and the age in seconds. After a demo: what it kept.",
        example="stock-pipeline latest AAPL MSFT --watch",
    )
    parser.add_argument("symbols", nargs="*", metavar="SYMBOL", help="only these (default: all)")
    parser.add_argument("--watch", action="store_true", help="show it again and again until Ctrl-C")
    parser.add_argument(
        "--every", type=number(0.2, 3600), default=2.0, metavar="SECONDS", help="pause of --watch (default: 2)"
    )
    parser.add_argument("--format", choices=("table", "json"), default="table", help="default: table")
    add_env(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    import sys

    from stock_pipeline.aws.answer_format import formatted

    settings_of(options, TABLE, only_reads=True)
    clear = CLEAR if options.watch and options.format == "table" and sys.stdout.isatty() else ""
    while True:
        answer = _latest(options)
        shown = _for_people(answer) if options.format == "table" else answer
        sys.stdout.write(clear + formatted(shown, options.format).decode())
        sys.stdout.flush()
        missing = sorted({*options.symbols} - {row[0] for row in answer.rows})
        if missing:
            print(f"stock-pipeline: no trade of {', '.join(missing)} is in the realtime table", file=sys.stderr)
        if not options.watch:
            return 1 if missing else 0
        time.sleep(options.every)


def _for_people(answer: "Answer") -> "Answer":
    """Return the answer so that it fits a terminal: short names and values, and no session."""
    names = [name for name in answer.columns if name != "session_date"]
    rows = [tuple(_short(name, row[answer.columns.index(name)]) for name in names) for row in answer.rows]
    return answer._replace(columns=tuple(SHORT_NAMES.get(name, name) for name in names), rows=rows)


def _short(name: str, value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value:%m-%d %H:%M:%S}"
    if isinstance(value, float):
        return age_text(value)
    if isinstance(value, Decimal) and name == "volume" and value == value.to_integral_value():
        return int(value)
    if isinstance(value, Decimal):
        whole, _, places = f"{value:f}".partition(".")
        places = places.rstrip("0")
        return Decimal(f"{whole}.{places}" if len(places) > 2 else f"{value:.2f}")
    return value


def age_text(seconds: float) -> str:
    """Return an age in the largest unit of which there are two."""
    units = ((365 * 86_400, "y"), (86_400, "d"), (3_600, "h"), (60, "m"))
    size, unit = next((each for each in units if abs(seconds) >= 2 * each[0]), (1, "s"))
    return f"{seconds / size:.0f}{unit}"


def _latest(options: argparse.Namespace) -> "Answer":
    from stock_pipeline import read
    from stock_pipeline.aws.athena import Answer

    table = read.latest(*options.symbols, env=options.env)
    rows = list(zip(*(column.to_pylist() for column in table.columns), strict=True))
    return Answer(tuple(table.column_names), rows, None, tuple(table.schema.types))
