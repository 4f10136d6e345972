"""The command line: `stock-pipeline`. What each command does is in `commands`."""

import argparse
import io
import os
import sys
from collections.abc import Sequence
from typing import Any

from stock_pipeline.commands import (
    alerts,
    catalog,
    compact,
    cost,
    dbt_parse,
    ddl,
    demo,
    gc,
    import_files,
    latest,
    load,
    query,
    redrive,
    seeds,
    serve,
    show_record,
    smoke,
    state,
    status,
    stream,
    up,
)
from stock_pipeline.commands.parsers import add_debug
from stock_pipeline.errors import StockPipelineError
from stock_pipeline.extras import line_to_type

COMMANDS = (
    demo,
    up,
    status,
    serve,
    alerts,
    show_record,
    load,
    stream,
    import_files,
    redrive,
    compact,
    gc,
    catalog,
    state,
    query,
    latest,
    ddl,
    seeds,
    dbt_parse,
    smoke,
    cost,
)


COMPLETED = ("bash", "zsh", "fish")
"""Shells that `--completion` knows."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code; what a user can cause is one sentence on stderr."""
    if "_ARGCOMPLETE" in os.environ:
        # the shell asks what may come next
        import argcomplete

        argcomplete.autocomplete(parser())
    try:
        options, unknown = parser().parse_known_args(arguments)
        if unknown:
            # argparse shows the usage of stock-pipeline, which does not have the command's options
            options.parser.error(f"unrecognized arguments: {' '.join(unknown)}")
    except BrokenPipeError:
        return _reader_left()
    for output in (sys.stdout, sys.stderr):
        if isinstance(output, io.TextIOWrapper):
            # a terminal that is not UTF-8 lacks ✓, which must not end the command
            output.reconfigure(errors="replace")
    try:
        code: int = options.run(options)
        return code
    except BrokenPipeError:
        return _reader_left()
    except Exception as error:
        said = sentence(error)
        if said is None or options.debug:
            raise
        print(f"stock-pipeline: {said}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nstopped", file=sys.stderr)
        return 130


def _reader_left() -> int:
    """End where the reader, such as `head`, has enough: the interpreter must not try to write the rest."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return 1


def sentence(error: Exception) -> str | None:
    """Return what a user can cause as a sentence that says what to do; None for a defect."""
    if isinstance(error, StockPipelineError):
        return str(error)
    if isinstance(error, ModuleNotFoundError):
        return line_to_type(error.name or "")
    if isinstance(error, OSError):
        return f"{error.filename or 'this machine'}: {error.strerror or error}"
    if "botocore" in sys.modules:
        from botocore.exceptions import BotoCoreError, ClientError, EndpointConnectionError, NoCredentialsError

        if isinstance(error, NoCredentialsError):
            return "no AWS credentials found: set AWS_PROFILE, or sign in to the account"
        if isinstance(error, EndpointConnectionError):
            return f"{error}; if stock-pipeline up was killed, start it again"
        if isinstance(error, BotoCoreError | ClientError):
            return " ".join(str(error).split())
    return None


class _PrintAndExit(argparse.Action):
    """An option that prints and ends, whatever else is missing."""

    def __call__(self, parser: argparse.ArgumentParser, *given: Any) -> None:
        _, value, option = given
        print(_version() if option == "--version" else _completion(value))
        parser.exit()


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f"stock-pipeline {version('stock-pipeline')}"
    except PackageNotFoundError:
        return "stock-pipeline of a folder, which is not installed"


def _completion(shell: str) -> str:
    from argcomplete.shell_integration import shellcode

    return shellcode(["stock-pipeline"], shell=shell)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(
        prog="stock-pipeline", description="A real-time stock market pipeline on AWS, and on this machine."
    )
    add_debug(top, default=False)
    top.add_argument("--version", nargs=0, action=_PrintAndExit, help="print the version")
    top.add_argument(
        "--completion",
        choices=COMPLETED,
        action=_PrintAndExit,
        help='print what completes commands in a shell: eval "$(stock-pipeline --completion bash)"',
    )
    commands = top.add_subparsers(required=True, metavar="COMMAND", title="commands")
    for command in COMMANDS:
        command.add_to(commands)
    return top
