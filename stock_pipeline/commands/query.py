"""`stock-pipeline query`: run SQL on the configured engine."""

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from stock_pipeline.commands.environment import BUCKET, add_env, settings_of
from stock_pipeline.commands.parsers import Commands, add_command

if TYPE_CHECKING:
    from stock_pipeline.aws.athena import Answer
    from stock_pipeline.settings import Settings

FORMATS = ("table", "csv", "json", "parquet")


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "query",
        summary="run SQL on the lake and the models",
        description="Runs one SQL statement that reads, on Athena or on a copy of the local DuckDB file. Rows go to "
        "stdout, what Athena scanned and its list price to stderr.",
        example='stock-pipeline query "SELECT * FROM daily_bars LIMIT 5" --format csv',
    )
    parser.add_argument("sql", metavar="SQL", help="for example: SELECT * FROM daily_bars LIMIT 5")
    parser.add_argument("--format", choices=FORMATS, help="default: by the ending of --output, else table")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write there instead of to stdout")
    add_env(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from stock_pipeline.aws.answer_format import formatted
    from stock_pipeline.errors import InputFileError

    name = options.format or format_of(options.output)
    if name == "parquet" and options.output is None and sys.stdout.isatty():
        raise InputFileError("Parquet is not for a terminal: add --output FILE")
    answer = ask(settings_of(options, BUCKET, only_reads=True), options.sql)
    content = formatted(answer, name)
    if options.output is not None:
        try:
            options.output.write_bytes(content)
        except OSError as error:
            raise InputFileError(
                f"{options.output} can't be written ({error.strerror}): choose another file"
            ) from error
    else:
        sys.stdout.buffer.write(content)
        sys.stdout.flush()
    _report(answer)
    return 0


def format_of(output: Path | None) -> str:
    """Return the format that a file's name asks for; a table for people without one."""
    ending = output.suffix.lower().removeprefix(".") if output else ""
    return ending if ending in FORMATS else "table"


def _to_stderr(text: str) -> None:
    print(f"stock-pipeline: {text}", file=sys.stderr)


def ask(settings: "Settings", sql: str, note: Callable[[str], None] = _to_stderr) -> "Answer":
    """Return the rows of one statement that reads; `note` hears what they may lack."""
    from stock_pipeline import read

    return read.ask(settings, sql, note)


def _report(answer: "Answer") -> None:
    from stock_pipeline.aws.athena import cost_dollars

    text = f"{len(answer.rows):,} rows"
    if answer.bytes_scanned is not None:
        text += f", {answer.bytes_scanned:,} bytes scanned, {cost_dollars(answer.bytes_scanned):.6f} USD at list price"
    print(text, file=sys.stderr)
