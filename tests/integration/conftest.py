"""One set of built models for all tests of the dbt project."""

import pytest

from tests.support.built_lake import RAW_ROWS, BuiltLake, new_lake, run_dbt
from tests.support.sample_session import SAMPLE_DATE, sample_trades


@pytest.fixture(scope="session")
def lake(aws_endpoint: str, tmp_path_factory: pytest.TempPathFactory) -> BuiltLake:
    """The recorded session published twice, its raw files still there; another day in raw only; then `dbt build`."""
    lake = new_lake(aws_endpoint, tmp_path_factory.mktemp("dbt"), "stock_market")
    lake.catalog.create()
    lake.put_raw(sample_trades(), "1")
    lake.publish(SAMPLE_DATE, sample_trades()[:100], "00000000000000aa")
    lake.publish(SAMPLE_DATE, sample_trades(), "00000000000000ab")
    lake.put_raw(RAW_ROWS, "2")
    lake.put_raw(RAW_ROWS[::-2], "3")
    lake.statuses.update(run_dbt(lake.environment, "build"))
    return lake
