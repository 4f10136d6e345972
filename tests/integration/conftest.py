"""One server and one set of built models for all tests of the dbt project."""

from collections.abc import Iterator

import pytest

from stock_pipeline.local.stack import aws_services
from tests.support.built_lake import BuiltLake, new_lake, run_dbt
from tests.support.random_trades import random_trades
from tests.support.sample_session import SAMPLE_DATE, sample_trades

RAW_ROWS = random_trades(600, seed=11)


@pytest.fixture(scope="session")
def endpoint() -> Iterator[str]:
    with aws_services() as address:
        yield address


@pytest.fixture(scope="session")
def lake(endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> BuiltLake:
    """The recorded session published twice, its raw files still there; another day in raw only; then `dbt build`."""
    lake = new_lake(endpoint, tmp_path_factory.mktemp("dbt"), "stock_market")
    lake.catalog.create()
    lake.put_raw(sample_trades(), "1")
    lake.publish(SAMPLE_DATE, sample_trades()[:100], "00000000000000aa")
    lake.publish(SAMPLE_DATE, sample_trades(), "00000000000000ab")
    lake.put_raw(RAW_ROWS, "2")
    lake.put_raw(RAW_ROWS[::-2], "3")
    lake.statuses.update(run_dbt(lake, "build"))
    return lake
