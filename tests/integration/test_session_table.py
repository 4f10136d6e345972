"""What a session_table does in Athena's catalog, and its MERGE into Iceberg tables, as SQL without their engine."""

from collections.abc import Callable
from datetime import date
from typing import Any

import agate
import duckdb
import pytest
import sqlglot
from hypothesis import given
from hypothesis import strategies as st

from tests.fakes.turns import Turns
from tests.support.session_table_world import MONTH, Days, NoPartitionError, Relation, Run, SessionTableWorld, macro


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
    """What a run of these days changes in the catalog, where the table has those that are held."""
    world = SessionTableWorld(
        published={day: f"{day}" for day in days},
        shown=dict.fromkeys(held, "s3://b/old"),
        files={"s3://b/old": "old"},
    )
    run = Run(world, "run", lambda work: work())
    run.build()
    assert world.rows(iceberg=False) == world.published
    return [statement for statement in run.statements if statement.startswith("alter")]


def place(day: int) -> str:
    return f"location 's3://lake/marts/bars__new_2018_1_0_run/year=2018/month=1/day={day}'"


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
    assert [statement.split()[3] for statement in changes([2, 4], [2, 3])] == ["add", "partition", "drop"]


class DeadError(BaseException):
    """A run that was killed."""


def play(
    world: SessionTableWorld,
    publications: list[Days],
    schedule: list[int],
    iceberg: bool,
    dies_after: int | None = None,
) -> list[int]:
    """Publish each of these, and build the month after it, with all of them at once. Return the runs that died.

    dies_after: how many statements the first run lives for.
    """
    newest = 0
    died: list[int] = []

    def look() -> None:
        for day, rows in world.rows(iceberg).items():
            assert rows in [each.get(day) for each in publications], "a session was shown in parts"

    turns = Turns(len(publications), schedule, look)

    def session_job(number: int) -> Callable[[], None]:
        left = dies_after if number == 0 else None

        def publish() -> None:
            nonlocal newest
            # what another published meanwhile has these trades too
            if number >= newest:
                newest = number
                world.published = dict(publications[number])

        def step(work: Callable[[], Any]) -> Any:
            nonlocal left
            if left is not None:
                if left == 0:
                    raise DeadError
                left -= 1
            return turns.step(number, work)

        def run() -> None:
            turns.step(number, publish)
            try:
                Run(world, f"run{number}", step).build(iceberg)
            except (DeadError, NoPartitionError):
                died.append(number)

        return run

    turns.play(*(session_job(number) for number in range(len(publications))))
    return died


JANUARY = st.dictionaries(st.sampled_from([2, 3]), st.sampled_from("abcd"))


@pytest.mark.parametrize("iceberg", [False, True])
def test_of_two_runs_of_a_new_session_the_one_with_older_trades_does_not_win(iceberg: bool) -> None:
    for early in range(12):
        for late in range(12):
            world = SessionTableWorld()
            play(world, [{2: "old"}, {2: "new"}], [0] * early + [1] * late + [0] * 30, iceberg)
            assert world.rows(iceberg) == {2: "new"}, (early, late)


@pytest.mark.parametrize("iceberg", [False, True])
def test_of_two_runs_of_a_held_session_the_one_with_older_trades_does_not_win(iceberg: bool) -> None:
    for early in range(12):
        for late in range(12):
            world = SessionTableWorld(
                published={2: "first"}, shown={2: "s3://b"}, files={"s3://b": "first"}, merged={2: "first"}
            )
            play(world, [{2: "first"}, {2: "new"}], [0] * early + [1] * late + [0] * 30, iceberg)
            assert world.rows(iceberg) == {2: "new"}, (early, late)


@pytest.mark.parametrize("iceberg", [False, True])
@given(
    publications=st.lists(JANUARY, min_size=2, max_size=3),
    schedule=st.lists(st.integers(0, 2), max_size=60),
    dies_after=st.none() | st.integers(0, 12),
)
def test_the_newest_trades_are_shown_after_any_interleaving_and_after_a_crash_by_the_next_run(
    iceberg: bool, publications: list[Days], schedule: list[int], dies_after: int | None
) -> None:
    world = SessionTableWorld()
    if play(world, publications, schedule, iceberg, dies_after):
        Run(world, "next", lambda work: work()).build(iceberg)
    assert world.rows(iceberg) == world.published


def test_a_month_that_is_published_all_the_time_ends_with_what_to_do() -> None:
    world = SessionTableWorld({2: "0"})

    def publishing(work: Callable[[], Any]) -> Any:
        world.published = {2: world.published[2] + "+"}
        return work()

    with pytest.raises(AssertionError, match="published all the time, so bars may have older rows of them: run again"):
        Run(world, "run", publishing).build()


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
