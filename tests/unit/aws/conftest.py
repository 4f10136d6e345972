"""What tests of queries and of their formats share."""

from pathlib import Path

import duckdb
import pytest

from tests.support.query_models import without_a_lake


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "models.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table daily_bars as select 'XXX' as symbol")
    without_a_lake(monkeypatch, path)
    return path
