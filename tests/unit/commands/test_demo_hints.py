"""The lines that a demo ends with can be typed in the shell that it was started from."""

import io
import sys
from pathlib import Path

import pytest
from rich.console import Console

from stock_pipeline.commands.demo import _own_command
from stock_pipeline.local.demo.display import print_next_steps


def test_a_command_of_uvs_cache_is_called_by_uvx(monkeypatch: pytest.MonkeyPatch) -> None:
    place = "/home/u/.cache/uv/archive-v0/YvfsArAO"
    monkeypatch.setattr(sys, "prefix", place)
    monkeypatch.setattr(sys, "argv", [f"{place}/bin/stock-pipeline", "demo"])
    monkeypatch.setenv("PATH", f"{place}/bin")
    assert _own_command() == "uvx --from '.[local]' stock-pipeline"


def test_the_lines_are_printed_as_they_are_typed() -> None:
    said = io.StringIO()
    print_next_steps(Console(file=said), "uvx --from '.[local]' stock-pipeline", "Kept.", Path("a[local].json"))
    assert "  uvx --from '.[local]' stock-pipeline latest\n" in said.getvalue()
    assert "a[local].json" in said.getvalue()
