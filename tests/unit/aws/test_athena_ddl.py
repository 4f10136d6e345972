"""The DDL for people without dbt is the catalog's, and is committed as it is generated."""

import re
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from stock_pipeline.aws.athena_ddl import BEST_ROW_FIRST, create_table
from stock_pipeline.aws.catalog import GlueCatalog
from stock_pipeline.cli import main
from stock_pipeline.domain.trade import COLUMNS, EFFECTIVE_STATUSES, PARTITION_COLUMNS, STATUSES, OrderKey

ROOT = Path(__file__).parents[3]
COMMITTED = ROOT / "athena/stock_market_table.sql"


def test_the_committed_file_is_what_the_command_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("BUCKET_NAME", "DATABASE_NAME", "AWS_REGION"):
        monkeypatch.delenv(variable, raising=False)
    assert main(["ddl", "--output", str(tmp_path / "ddl.sql")]) == 0
    assert (tmp_path / "ddl.sql").read_bytes() == COMMITTED.read_bytes()


def test_every_table_has_every_column_and_only_raw_trades_has_projection() -> None:
    raw, unpublished, curated = re.findall(r"CREATE EXTERNAL TABLE .*?;\n", COMMITTED.read_text(), re.DOTALL)
    for table in (raw, unpublished, curated):
        for column in (*COLUMNS, *PARTITION_COLUMNS):
            assert f"  `{column.name}` {column.sql_type} COMMENT" in table
    assert "'projection.enabled' = 'true'" in raw
    assert "projection" not in curated + unpublished


def test_the_view_reads_no_projected_table() -> None:
    (view,) = re.findall(r"CREATE OR REPLACE VIEW .*?;\n", COMMITTED.read_text(), re.DOTALL)
    assert "unpublished_trades" in view
    assert "raw_trades" not in view


@given(st.text())
@example('it\'s C:\\no\\u0041\\101\\Z, 50\\% of "it", and\nnext; --line\\')
def test_hive_reads_a_comment_as_it_was_written_whatever_it_says(text: str) -> None:
    table = GlueCatalog(None, "stock_market", "bucket").curated_table_input()  # type: ignore[arg-type]
    table["Description"] = text
    table["StorageDescriptor"]["Columns"] = [{"Name": "n", "Type": "int", "Comment": text}]
    table["PartitionKeys"] = [{"Name": "year", "Type": "int", "Comment": text}]
    ddl = create_table("stock_market", table)
    assert hive_literals(ddl)[:3] == [text] * 3
    assert hive_literals(ddl)[3] == "s3://bucket/curated/trades/"


def test_the_texts_of_the_committed_tables_are_the_domains() -> None:
    for statement in re.findall(r"CREATE EXTERNAL TABLE .*?;\n", COMMITTED.read_text(), re.DOTALL):
        comments = dict(re.findall(r"  `(\w+)` \S+ COMMENT (.*?),?\n", statement))
        assert {name: hive_literals(comment) for name, comment in comments.items()} == {
            column.name: [column.description] for column in (*COLUMNS, *PARTITION_COLUMNS)
        }


def hive_literals(statement: str) -> list[str]:
    """Read the strings of a statement by the rules of Hive's lexer and of its `unescapeSQLString`.

    Adjacent literals are one string there, so that a doubled quote disappears.
    """
    literals = re.findall(r"(?:'(?:[^'\\]|\\.)*')+", statement, re.DOTALL)
    return ["".join(map(unescaped, re.findall(r"'((?:[^'\\]|\\.)*)'", literal, re.DOTALL))) for literal in literals]


def unescaped(body: str) -> str:
    named = {"0": "\0", "b": "\b", "n": "\n", "r": "\r", "t": "\t", "Z": "\x1a", "%": "\\%", "_": "\\_"}

    def value(match: re.Match[str]) -> str:
        code, octal, letter = match.groups()
        if code or octal:
            return chr(int(code, 16) if code else int(octal, 8))
        return named.get(letter, letter)

    return re.sub(r"\\(?:u([0-9a-fA-F]{4})|([01][0-7]{2})|(.))", value, body, flags=re.DOTALL)


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
    """Return each list in which a status is looked up."""
    return [frozenset(re.findall(r"'(\w+)'", listed)) for listed in re.findall(r"status in \((.*?)\)", text)]
