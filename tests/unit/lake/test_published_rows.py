"""The check of published rows reads every data file of the version, whichever engine wrote it."""

from dataclasses import replace

import pytest

from stock_pipeline.lake.published_rows import published_findings
from tests.fakes.sql_engine import FakeSqlQueries
from tests.support.lake import SESSION, Lake
from tests.support.trades import trade


@pytest.mark.parametrize("engine", ["local", "athena"])
def test_rows_are_judged_whichever_engine_wrote_the_version(engine: str) -> None:
    lake = Lake()
    lake.add([trade(number) for number in range(4)] + [trade(number, volume=None) for number in (4, 5)], 1)
    sql_engine = FakeSqlQueries(lake.store) if engine == "athena" else None
    version = replace(lake.compactor, sql_queries=sql_engine).compact(SESSION).version

    findings = published_findings(lake.partition)

    manifest = lake.manifest()
    assert manifest is not None
    assert (manifest.engine, len(manifest.data_files)) == (engine, 1 if engine == "local" else 2)
    assert findings is not None
    assert (findings.version, findings.rows, findings.bad) == (version, 6, {"volume is missing in a trade": 2})


def test_a_session_without_a_published_version_has_no_findings() -> None:
    assert published_findings(Lake().partition) is None
