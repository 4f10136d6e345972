"""A command's parser, whose help ends with a line to copy."""

import argparse
import textwrap
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
    return commands.add_parser(
        name,
        help=summary,
        description=f"{textwrap.fill(description, HELP_COLUMNS, break_on_hyphens=False)}\n\nexample:\n  {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
