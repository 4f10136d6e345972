"""Every command's help fits a terminal and holds a line to copy."""

import argparse
import shlex
from collections.abc import Iterator

import pytest

from stock_pipeline.cli import parser


def commands(of: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Yield every command's parser, and those of its actions."""
    for action in of._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                yield command
                yield from commands(command)


@pytest.mark.parametrize("command", commands(parser()), ids=lambda command: command.prog)
def test_every_commands_help_has_an_example_that_it_accepts(
    command: argparse.ArgumentParser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    lines = command.format_help().splitlines()
    assert max(map(len, lines)) <= 80
    example = lines[lines.index("example:") + 1].strip()
    assert example.startswith(command.prog)
    options = parser().parse_args(shlex.split(example)[1:])
    assert callable(options.run)
