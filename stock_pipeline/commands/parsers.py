"""A command's parser, whose help ends with a line to copy; and what arguments take, in our words."""

import argparse
import math
import textwrap
from collections.abc import Callable
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # argparse has no public name for its collection of commands
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Commands = argparse._SubParsersAction

HELP_COLUMNS = 79


def add_command(
    commands: Commands, name: str, *, summary: str, description: str, example: str
) -> argparse.ArgumentParser:
    """Add a command and return its parser.

    summary: its line in the list of commands.
    example: a command line of it that works.
    """
    parser = commands.add_parser(
        name,
        help=summary,
        description=f"{textwrap.fill(description, HELP_COLUMNS, break_on_hyphens=False)}\n\nexample:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(parser=parser)
    add_debug(parser, argparse.SUPPRESS)
    return parser


def add_debug(parser: argparse.ArgumentParser, default: object) -> None:
    parser.add_argument("--debug", action="store_true", default=default, help="show the traceback of an error")


def day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no date: it takes one such as 2018-01-02") from None


def whole(low: int, high: int = 10**9) -> Callable[[str], int]:
    """Return a type that takes whole numbers from `low` to `high`."""

    def parse(text: str) -> int:
        if not text.isascii() or not text.isdigit() or not low <= int(text) <= high:
            upper = f" to {high:,}" if high < 10**9 else ""
            raise argparse.ArgumentTypeError(f"{text!r} can't be used: it takes a whole number from {low}{upper}")
        return int(text)

    return parse


def number(low: float, high: float = float("inf")) -> Callable[[str], float]:
    """Return a type that takes numbers from `low` to `high`."""

    def parse(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = float("nan")
        if not low <= value <= high or not math.isfinite(value):
            upper = f" to {high:,g}" if high < float("inf") else ""
            raise argparse.ArgumentTypeError(f"{text!r} can't be used: it takes a number from {low:g}{upper}")
        return value

    return parse
