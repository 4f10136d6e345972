"""What a session_table does in Athena's catalog, and on Iceberg, which the stand-in for Athena does not have."""

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import jinja2
import pytest
import sqlglot

MACROS = Path(__file__).parents[2] / "dbt_project/macros"
MONTH = {"year": 2018, "month": 1, "first_day": 1, "last_day": 31}


class Relation(str):
    def render_hive(self) -> str:
        return f"`{self}`"


def macro(name: str) -> Callable[..., Any]:
    """A macro that needs nothing of dbt but `return`; its value is what it returns, or else its text."""
    returned: list[Any] = []
    environment = jinja2.Environment(extensions=["jinja2.ext.do"])
    environment.globals["return"] = lambda value: returned.append(value) or ""
    text = "".join((MACROS / path).read_text() for path in ("window.sql", "session_table/plan.sql"))
    module: Any = environment.from_string(text).module

    def call(*arguments: Any) -> Any:
        returned.clear()
        output = getattr(module, name)(*arguments)
        return returned[-1] if returned else output

    return call


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


def bars(*rows: tuple[str, date, int]) -> str:
    values = ", ".join(
        f"('{symbol}', date '{day}', {close}, {day.year}, {day.month}, {day.day})" for symbol, day, close in rows
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


def test_the_merge_is_sql_that_athena_takes() -> None:
    (statement,) = sqlglot.parse(merge(bars(("A", JANUARY_2, 1))), dialect="athena")
    assert isinstance(statement, sqlglot.exp.Merge)
