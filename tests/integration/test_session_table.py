"""What a session_table does in Athena's catalog, and its MERGE into Iceberg tables, as SQL without their engine."""

import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import agate
import duckdb
import jinja2
import pytest
import sqlglot

MACROS = Path(__file__).parents[2] / "dbt_project/macros"
MONTH = {"year": 2018, "month": 1, "first_day": 1, "last_day": 31}


class Relation(str):
    def render_hive(self) -> str:
        return f"`{self}`"


def macro(name: str, **of_dbt: Any) -> Callable[..., Any]:
    """A macro that needs nothing of dbt but `return` and these; its value is what it returns, or else its text."""
    returned: list[Any] = []
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    environment.globals["return"] = lambda value: returned.append(value) or ""
    environment.globals.update(of_dbt)
    files = ("window.sql", "session_table/athena.sql", "session_table/hive.sql", "session_table/iceberg.sql")
    text = "".join((MACROS / path).read_text() for path in files)
    # a tag of dbt's own
    text = re.sub("{% materialization .*{% endmaterialization %}", "", text, flags=re.DOTALL)
    module: Any = environment.from_string(text).module

    def call(*arguments: Any) -> Any:
        returned.clear()
        output = getattr(module, name)(*arguments)
        return returned[-1] if returned else output

    return call


def test_a_build_of_everything_goes_through_all_months_in_their_order() -> None:
    found = agate.Table([(2019, 1), (2018, 2), (2018, 1)], ["year", "month"])
    months = macro(
        "lake_months",
        run_query=lambda sql: found,
        source=lambda *names: ".".join(names),
        published_partitions=str,
        partitions_of=str,
    )
    assert [(month["year"], month["month"]) for month in months(Relation("bars"))] == [(2018, 1), (2018, 2), (2019, 1)]


def changes(days: list[int], held: list[int]) -> list[str]:
    statements: list[str] = macro("partition_changes")(Relation("bars"), MONTH, days, held, "s3://b/new/")
    return [" ".join(statement.split()) for statement in statements]


def place(day: int) -> str:
    return f"location 's3://b/new/year=2018/month=1/day={day}'"


def part(day: int) -> str:
    return f"partition (year = 2018, month = 1, day = {day})"


def test_a_session_moves_by_one_statement_and_is_never_missing() -> None:
    assert changes([2], [2]) == [f"alter table `bars` {part(2)} set {place(2)}"]


def test_new_sessions_of_a_month_are_added_by_one_statement() -> None:
    assert changes([2, 3], []) == [f"alter table `bars` add if not exists {part(2)} {place(2)} {part(3)} {place(3)}"]


def test_only_sessions_without_rows_are_dropped() -> None:
    assert changes([], [2, 3]) == [f"alter table `bars` drop if exists {part(2)}, {part(3)}"]
    assert changes([], []) == []


def test_new_sessions_show_before_stale_ones_go() -> None:
    assert [statement.split()[3] for statement in changes([2, 4], [2, 3])] == ["partition", "add", "drop"]


COLUMNS = ["symbol", "session_date", "close", "year", "month", "day"]


def merge(source: str) -> str:
    text: str = macro("merge_sql")("bars", source, MONTH, COLUMNS, ["symbol", "session_date"])
    return text


def bars(*rows: tuple[str, date, int | None]) -> str:
    values = ", ".join(
        f"('{symbol}', date '{day}', cast({'null' if close is None else close} as integer), "
        f"{day.year}, {day.month}, {day.day})"
        for symbol, day, close in rows
    )
    return f"select * from (values {values}) as bars ({', '.join(COLUMNS)})"


JANUARY_2, JANUARY_3, FEBRUARY_1 = date(2018, 1, 2), date(2018, 1, 3), date(2018, 2, 1)


@pytest.mark.parametrize("times", [1, 2])
def test_a_merge_replaces_the_months_rows_and_no_others(times: int) -> None:
    with duckdb.connect() as connection:
        old = (("A", JANUARY_2, 1), ("B", JANUARY_2, 2), ("A", JANUARY_3, 3), ("A", FEBRUARY_1, 4))
        new = (("A", JANUARY_2, 10), ("C", JANUARY_3, 30), ("A", FEBRUARY_1, 99))
        connection.execute(f"create table bars as {bars(*old)}")
        for _ in range(times):
            connection.execute(merge(bars(*new)))
        found = connection.execute("select symbol, session_date, close from bars order by 2, 1").fetchall()
    assert found == [("A", JANUARY_2, 10), ("C", JANUARY_3, 30), ("A", FEBRUARY_1, 4)]


def test_a_merge_touches_only_rows_that_differ_and_a_null_is_a_value_like_others() -> None:
    old = (("A", JANUARY_2, 1), ("B", JANUARY_2, None), ("C", JANUARY_2, 3), ("D", JANUARY_2, None))
    new = (("A", JANUARY_2, 1), ("B", JANUARY_2, None), ("C", JANUARY_2, None), ("D", JANUARY_2, 4))
    with duckdb.connect() as connection:
        connection.execute(f"create table bars as {bars(*old)}")
        touched = [connection.execute(merge(bars(*new))).fetchall() for _ in range(2)]
        found = connection.execute("select symbol, session_date, close from bars order by 1").fetchall()
    assert touched == [[(2,)], [(0,)]]
    assert found == list(new)


def test_the_merge_is_sql_that_athena_takes_and_reads_one_month_of_the_table() -> None:
    (statement,) = sqlglot.parse(merge(bars(("A", JANUARY_2, 1))), dialect="athena")
    assert isinstance(statement, sqlglot.exp.Merge)
    found = statement.args["on"].sql("athena").lower()
    assert "held.year = 2018 and held.month = 1 and held.day between 1 and 31" in found
