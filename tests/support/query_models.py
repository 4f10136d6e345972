"""A file of models that `stock-pipeline query` asks, where no lake answers."""

from pathlib import Path

import pytest


def without_a_lake(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    # a closed port on loopback: the lake answers at once that it is not there
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("DUCKDB_PATH", str(path))
    monkeypatch.delenv("DBT_TARGET", raising=False)
