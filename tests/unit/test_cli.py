"""The command line's own business: what a terminal can show, and how an error looks."""

import io
import sys
from pathlib import Path

import pytest

from stock_pipeline.cli import main


def test_a_terminal_without_the_signs_shows_others(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    shown = io.BytesIO()
    monkeypatch.setattr(sys, "stderr", io.TextIOWrapper(shown, encoding="latin-1", write_through=True))
    assert main(["demo", "--json", str(tmp_path / "✓" / "out.json")]) == 1
    assert b"?/out.json can't be written" in shown.getvalue()
