"""The DDL for people without dbt is the catalog's, and is committed as it is generated."""

import re
from pathlib import Path

import pytest

from stock_pipeline.aws.athena_ddl import BEST_ROW_FIRST
from stock_pipeline.cli import main
from stock_pipeline.domain.trade import COLUMNS, EFFECTIVE_STATUSES, PARTITION_COLUMNS, STATUSES, OrderKey

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "athena/stock_market_table.sql"


def test_the_committed_file_is_what_the_command_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("BUCKET_NAME", "DATABASE_NAME", "AWS_REGION"):
        monkeypatch.delenv(variable, raising=False)
    assert main(["ddl", "--output", str(tmp_path / "ddl.sql")]) == 0
    assert (tmp_path / "ddl.sql").read_bytes() == COMMITTED.read_bytes()


def test_both_tables_have_every_column_and_raw_projection() -> None:
    raw, curated = re.findall(r"CREATE EXTERNAL TABLE .*?;\n", COMMITTED.read_text(), re.DOTALL)
    for table in (raw, curated):
        for column in (*COLUMNS, *PARTITION_COLUMNS):
            assert f"  `{column.name}` {column.sql_type} COMMENT" in table
    assert "'projection.enabled' = 'true'" in raw
    assert "projection" not in curated


def test_the_view_ranks_the_rows_of_one_trade_as_the_models_do() -> None:
    macros = (ROOT / "dbt_project/macros/trades.sql").read_text()
    body = re.search(r"macro by_precedence\(\) -%}(.*?)\{%- endmacro", macros, re.DOTALL)
    assert body is not None
    assert tuple(line.strip().rstrip(",") for line in body[1].strip().splitlines()) == BEST_ROW_FIRST


def test_the_models_order_trades_as_the_domain_does() -> None:
    macros = (ROOT / "dbt_project/macros/trades.sql").read_text()
    body = re.search(r"macro trade_order\(\) -%}(.*?)\{%- endmacro", macros, re.DOTALL)
    assert body is not None
    assert body[1].strip() == f"row({', '.join(OrderKey._fields)})"


def test_the_models_know_the_domains_statuses() -> None:
    marked = (ROOT / "dbt_project/models/intermediate/int_marked_trades.sql").read_text()
    bars = (ROOT / "dbt_project/models/marts/_marts.yml").read_text()
    staged = (ROOT / "dbt_project/models/staging/_staging.yml").read_text()
    assert statuses(marked) == statuses(bars) == [EFFECTIVE_STATUSES]
    assert statuses(staged) == [frozenset(STATUSES)]


def statuses(text: str) -> list[frozenset[str]]:
    """Each list that a status is looked up in."""
    return [frozenset(re.findall(r"'(\w+)'", listed)) for listed in re.findall(r"status in \((.*?)\)", text)]
