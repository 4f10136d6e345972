"""The upkeep of Iceberg tables in Dagster. Glue is moto's; Athena's answers are scripted, because moto runs no SQL.

`tests.check_iceberg` runs the same job on a real Trino.
"""

from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

import pytest

from stock_pipeline.aws.athena import Answer
from stock_pipeline.aws.clients import Clients
from stock_pipeline.aws.iceberg_tables import ROUNDS, IcebergTables, figures_query, partitions_query
from stock_pipeline.errors import PermanentError
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.orchestration.iceberg_upkeep import iceberg_upkeep
from stock_pipeline.orchestration.resources import LakeResource
from tests.support.emulated_services import local_clients

pytestmark = pytest.mark.xdist_group("lake")

MORE = "ICEBERG_VACUUM_MORE_RUNS_NEEDED: Removed 1000 files in this round of vacuum"


@dataclass
class ScriptedAthena:
    """Athena with tables that have these partitions.

    errors: of statements that begin so, one each time.
    """

    partitions: Mapping[str, list[tuple[int, int, int, int, int]]]
    errors: dict[str, list[str]] = field(default_factory=dict)
    database: str = "upkeep"
    ran: list[str] = field(default_factory=list)

    def query(self, sql: str) -> Answer:
        for table, rows in self.partitions.items():
            if sql == partitions_query(table):
                return Answer((), list(rows), 0)
            if sql == figures_query(table):
                return Answer((), [(9, 3, 200, 4_000, 5 + len(self.ran))], 0)
        raise AssertionError(sql)

    def run(self, sql: str) -> int:
        self.ran.append(sql)
        for start, errors in self.errors.items():
            if sql.startswith(start) and errors:
                raise PermanentError(errors.pop(0))
        return 0


@dataclass
class ScriptedLake:
    """A lake with these Iceberg tables."""

    tables: IcebergTables

    def iceberg_tables(self) -> IcebergTables:
        return self.tables


@pytest.fixture
def clients(aws_endpoint: str) -> Iterator[Clients]:
    with closing(local_clients(aws_endpoint)) as opened:
        yield opened


def tables(clients: Clients, athena: Any, *, database: str) -> IcebergTables:
    """Glue with these tables, beside one of Hive and an Iceberg table that is not dbt's."""
    clients.glue.create_database(DatabaseInput={"Name": database})
    athena.database = database
    places = {name: f"s3://lake/marts/{database}/{name}/" for name in athena.partitions}
    for name, place in {**places, "of_hive": "s3://lake/marts/of_hive/", "a_users": "s3://lake/mine/"}.items():
        clients.glue.create_table(
            DatabaseName=database,
            TableInput={
                "Name": name,
                "StorageDescriptor": {"Location": place},
                "Parameters": {} if name == "of_hive" else {"table_type": "ICEBERG"},
            },
        )
    return IcebergTables(athena, clients.glue, "lake")


def run_upkeep(lake: Any, **config: Any) -> tuple[Any, dict[str, Any]]:
    """The job's result, and what it says of each table."""
    result = iceberg_upkeep().execute_in_process(
        resources={"lake": lake}, run_config={"ops": {"keep_tables_up": {"config": config}}}, raise_on_error=False
    )
    metadata: dict[str, Any] = {}
    for event in result.all_events:
        if event.is_successful_output:
            metadata = event.step_output_data.metadata
        elif event.is_step_failure:
            metadata = event.step_failure_data.user_failure_data.metadata
    return result, {name: value.value for name, value in metadata.items()}


def test_each_iceberg_table_of_dbt_is_rewritten_where_it_is_worth_it_and_vacuumed(clients: Clients) -> None:
    athena = ScriptedAthena({"bars": [(2018, 1, 2, 1, 1), (2018, 1, 3, 1, 0)], "days": [(2018, 1, 3, 1, 0)]})
    lake = ScriptedLake(tables(clients, athena, database="upkeep_all"))
    result, said = run_upkeep(lake)
    assert result.success
    assert athena.ran == [
        "OPTIMIZE bars REWRITE DATA USING BIN_PACK WHERE year = 2018 AND month = 1 AND day IN (2)",
        "VACUUM bars",
        "VACUUM days",
    ]
    assert said["bars"] == {
        **{f"data_files_{when}": 9 for when in ("before", "after")},
        **{f"delete_files_{when}": 3 for when in ("before", "after")},
        **{f"deleted_rows_{when}": 200 for when in ("before", "after")},
        **{f"bytes_{when}": 4_000 for when in ("before", "after")},
        "snapshots_before": 5,
        "snapshots_after": 7,
        "sessions_rewritten": 1,
        "sessions_waiting": 0,
    }


def test_a_run_rewrites_the_newest_sessions_only_and_says_how_many_wait(clients: Clients) -> None:
    days = [date(2018, 1, 2) + timedelta(days=number) for number in range(40)]
    athena = ScriptedAthena({"bars": [(day.year, day.month, day.day, 2, 1) for day in days]})
    lake = ScriptedLake(tables(clients, athena, database="upkeep_most"))
    _, said = run_upkeep(lake, most_sessions=12)
    assert (said["bars"]["sessions_rewritten"], said["bars"]["sessions_waiting"]) == (12, 28)
    assert [statement.partition("WHERE ")[2] for statement in athena.ran] == [
        "year = 2018 AND month = 2 AND day IN (1, 2, 3, 4, 5, 6, 7, 8, 9, 10)",
        "year = 2018 AND month = 1 AND day IN (30, 31)",
        "",
    ]


def test_a_table_that_fails_does_not_keep_others_from_their_upkeep_and_all_such_are_named(clients: Clients) -> None:
    athena = ScriptedAthena(
        {name: [(2018, 1, 2, 1, 1)] for name in ("a", "b", "c")},
        errors={"OPTIMIZE a ": ["ICEBERG_COMMIT_ERROR: another commit"], "VACUUM c": ["no right to delete"]},
    )
    lake = ScriptedLake(tables(clients, athena, database="upkeep_fails"))
    result, said = run_upkeep(lake)
    assert not result.success
    assert list(said) == ["b"]
    assert "VACUUM b" in athena.ran
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    message = failure.step_failure_data.error.message
    assert "no upkeep of a, c (a: ICEBERG_COMMIT_ERROR: another commit; c: no right to delete)" in message


def test_a_statement_that_asks_for_more_rounds_gets_them(clients: Clients) -> None:
    athena = ScriptedAthena({"bars": []}, errors={"VACUUM": [MORE, MORE]})
    lake = ScriptedLake(tables(clients, athena, database="upkeep_more"))
    assert run_upkeep(lake)[0].success
    assert athena.ran == ["VACUUM bars"] * 3


def test_rounds_end_and_the_failure_says_to_run_again(clients: Clients) -> None:
    athena = ScriptedAthena({"bars": []}, errors={"VACUUM": [MORE] * (ROUNDS + 1)})
    lake = ScriptedLake(tables(clients, athena, database="upkeep_endless"))
    result, _ = run_upkeep(lake)
    assert athena.ran == ["VACUUM bars"] * ROUNDS
    (failure,) = [event for event in result.all_events if event.is_step_failure]
    assert "run the upkeep again" in failure.step_failure_data.error.message


def test_where_no_table_is_of_iceberg_athena_is_not_asked(stack: LocalStack, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in stack.environ.items():
        monkeypatch.setenv(name, value)
    result, said = run_upkeep(LakeResource(environ=stack.settings.environ()))
    assert result.success
    assert said == {}
