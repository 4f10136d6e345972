"""What nearly every test of the lake begins with."""

from dataclasses import replace

import pytest

from stock_pipeline.lake.compaction import Compactor
from tests.fakes.sql_engine import FakeSqlQueries
from tests.support.damage import FIRST, LATE
from tests.support.lake import SESSION, Lake


@pytest.fixture
def lake() -> Lake:
    return Lake()


@pytest.fixture(params=["local", "athena"])
def compactor(request: pytest.FixtureRequest, lake: Lake) -> Compactor:
    if request.param == "local":
        return lake.compactor
    return replace(lake.compactor, sql_queries=FakeSqlQueries(lake.store))


@pytest.fixture
def published(lake: Lake, compactor: Compactor) -> Lake:
    """Compacted, while its raw files are there."""
    lake.add(FIRST, 1)
    lake.add(LATE, 2)
    compactor.compact(SESSION)
    return lake
