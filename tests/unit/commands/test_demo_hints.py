"""The lines that a demo ends with can be typed in the shell that it was started from."""

import sys

import pytest

from stock_pipeline.commands.demo import _own_command


def test_a_command_of_uvs_cache_is_called_by_uvx(monkeypatch: pytest.MonkeyPatch) -> None:
    place = "/home/u/.cache/uv/archive-v0/YvfsArAO"
    monkeypatch.setattr(sys, "prefix", place)
    monkeypatch.setattr(sys, "argv", [f"{place}/bin/stock-pipeline", "demo"])
    monkeypatch.setenv("PATH", f"{place}/bin")
    assert _own_command() == "uvx --from '.[local]' stock-pipeline"
