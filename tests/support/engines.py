"""Athena and DuckDB over one lake: dbt on both, one question to both, and what may differ in the answers."""

import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

import boto3
import duckdb
from dbt.adapters.athena.connections import AthenaCursor
from dbt.cli.main import dbtRunner

from stock_pipeline.aws.athena import RESULTS_PREFIX, Athena
from stock_pipeline.domain.trade import PRICE_UNIT
from stock_pipeline.local.duckdb.catalog import connect_lake
from stock_pipeline.settings import Settings
from tests.support.judge import is_judged

PROJECT = Path(__file__).parents[2] / "dbt_project"
TARGETS = ("athena", "local")


class TypedAnswer(NamedTuple):
    """Rows, and each column with the type that the engine declares."""

    columns: Sequence[tuple[str, str]]
    rows: Sequence[tuple[Any, ...]]


class TypedAthena(Athena):
    """Athena that tells its columns' types."""

    def typed(self, sql: str) -> TypedAnswer:
        query_id, bytes_scanned = self._finished(sql)
        found = self.client.get_query_results(QueryExecutionId=query_id, MaxResults=1)
        columns = found["ResultSet"]["ResultSetMetadata"]["ColumnInfo"]
        return TypedAnswer(
            [(each["Name"], _type(each)) for each in columns], self._answer(query_id, bytes_scanned).rows
        )


def _type(column: Mapping[str, Any]) -> str:
    """Return the type with what tells two of its kind apart; Athena's texts may have a length, DuckDB's never."""
    if column["Type"] == "decimal":
        return f"decimal({column['Precision']},{column['Scale']})"
    return f"timestamp({column['Precision']})" if column["Type"] == "timestamp" else str(column["Type"])


@dataclass(frozen=True)
class Engines:
    """Both engines over one lake.

    folder: dbt's targets.
    translated: Athena's SQL is translated for DuckDB, by the stand-in for machines without Java.
    """

    settings: Settings
    folder: Path
    translated: bool

    @classmethod
    def of(cls, environ: Mapping[str, str], folder: Path) -> "Engines":
        return cls(Settings.from_env(environ), folder, translated=not is_judged("rounding of times", environ))

    def dbt(self, *arguments: str) -> None:
        """Run one dbt command on both targets at once; exit with its output if it fails."""
        with ThreadPoolExecutor(len(TARGETS)) as pool:
            list(pool.map(lambda target: self.dbt_on(target, *arguments), TARGETS))

    def dbt_on(self, target: str, *arguments: str) -> None:
        """Run one dbt command on one target; exit with its output if it fails."""
        done = subprocess.run(
            [Path(sys.executable).with_name("dbt"), *self.command(target, *arguments)],
            env={**os.environ, "DUCKDB_PATH": self.settings.duckdb_path},
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            sys.exit(f"dbt {' '.join(arguments)} --target {target} failed:\n{done.stdout[-8000:]}{done.stderr[-2000:]}")

    def command(self, target: str, *arguments: str) -> list[str]:
        """Return the arguments of dbt for one command on one target."""
        project, folder = str(PROJECT), str(self.folder / target)
        places = ["--project-dir", project, "--profiles-dir", project, "--target-path", folder, "--log-path", folder]
        return [*arguments, "--target", target, *places]

    def dbt_overtaken(self, statement: str, meanwhile: Callable[[], None], *arguments: str) -> None:
        """Run one dbt command on Athena in this process, and do `meanwhile` before its first statement of this form."""
        run_query, waiting = AthenaCursor._run_query, [meanwhile]

        def overtaken(cursor: AthenaCursor) -> None:
            if waiting and re.search(rf"^\s*{statement}", cursor.query, re.MULTILINE):
                waiting.pop()()
            run_query(cursor)

        with mock.patch.object(AthenaCursor, "_run_query", overtaken):
            done = dbtRunner().invoke(["--quiet", *self.command("athena", *arguments)])
        if not done.success:
            sys.exit(f"dbt {' '.join(arguments)} failed: {done.exception or done.result}")
        if waiting:
            sys.exit(f"dbt ran no statement of the form {statement}, so nothing overtook it")

    def columns_of(self, mart: str) -> list[str]:
        manifest = json.loads((self.folder / "athena" / "manifest.json").read_text())
        return list(manifest["nodes"][f"model.stock_pipeline.{mart}"]["columns"])

    @cached_property
    def athena(self) -> TypedAthena:
        return TypedAthena(
            boto3.client("athena", region_name=self.settings.aws_region),
            self.settings.athena_workgroup,
            self.settings.database_name,
            time.sleep,
            f"s3://{self.settings.bucket_name}/{RESULTS_PREFIX}",
        )

    @contextmanager
    def asking_duckdb(self) -> Iterator[Callable[[str], TypedAnswer]]:
        """Yield a function that asks DuckDB, which has its file open as long."""
        with duckdb.connect(self.settings.duckdb_path) as connection:
            session = boto3.Session(region_name=self.settings.aws_region)
            connect_lake(connection, session, self.settings.bucket_name, self.settings.database_name)

            def ask(sql: str) -> TypedAnswer:
                columns = [(name, kind) for name, kind, *_ in connection.execute(f"describe {sql}").fetchall()]
                return TypedAnswer(columns, connection.execute(sql).fetchall())

            yield ask

    def same(self, questions: Mapping[str, tuple[str, str]], allowed: "Alike | None" = None) -> None:
        """Ask each question in Athena's and in DuckDB's words; exit unless types and values are the same.

        allowed: what may differ beside what may in a mart.
        """
        may_differ = {**alike(self.translated), **(allowed or {})}
        lines = []
        with ThreadPoolExecutor(3) as pool, self.asking_duckdb() as ask_duckdb:
            asked = {name: pool.submit(self.athena.typed, sql) for name, (sql, _) in questions.items()}
            for name, (_, sql) in questions.items():
                local = ask_duckdb(sql)
                lines += [f"{name}: {line}" for line in differences(asked[name].result(), local, may_differ)]
        if lines:
            sys.exit("the engines disagree\n" + "\n".join(lines))


class Allowed(NamedTuple):
    """A pair of types that may stand for each other, and DuckDB's value as Athena has it."""

    reason: str
    as_on_athena: Callable[[Any], Any]


Alike = Mapping[tuple[str, str], Allowed]
"""Athena's and DuckDB's type, where they are not the same by name."""


def alike(translated: bool) -> Alike:
    """Return what may differ in a mart. translated: by the stand-in, which cuts times where Athena rounds them."""
    return {
        ("timestamp(3)", "TIMESTAMP"): Allowed(
            "Athena reads a file's microseconds as milliseconds, rounded half up; DuckDB keeps them",
            cut_to_milliseconds if translated else to_milliseconds,
        )
    }


ALIKE_IN_QUERIES: Alike = {
    ("decimal(18,6)", "DOUBLE"): Allowed(
        "an average of prices is a price on Athena, rounded half up, and a double on DuckDB",
        lambda value: to_price(Decimal(value)),
    ),
    ("bigint", "HUGEINT"): Allowed("a sum of bigint stays one on Athena; DuckDB widens it", lambda value: value),
}
"""What may differ in queries, beside that."""


def to_price(value: Decimal) -> Decimal:
    """Round half up to a price's places."""
    return value.quantize(PRICE_UNIT, ROUND_HALF_UP)


def to_milliseconds(value: datetime) -> datetime:
    """Round half up to milliseconds."""
    return cut_to_milliseconds(value + timedelta(microseconds=500))


def cut_to_milliseconds(value: datetime) -> datetime:
    return value.replace(microsecond=value.microsecond // 1000 * 1000)


def differences(athena: TypedAnswer, local: TypedAnswer, may_differ: Alike) -> list[str]:
    """Return what is not the same: names, types, and values, in which 1 and 1.0 differ."""
    if not athena.rows:
        return ["no rows on Athena, so nothing would be compared"]
    if [name for name, _ in athena.columns] != [name for name, _ in local.columns]:
        return [f"columns {athena.columns} on Athena, {local.columns} on DuckDB"]
    converters: list[Callable[[Any], Any]] = []
    lines = []
    for (name, kind), (_, local_kind) in zip(athena.columns, local.columns, strict=True):
        allowed = may_differ.get((kind, local_kind))
        if allowed is None and kind.upper() != local_kind:
            lines.append(f"{name} is {kind} on Athena, {local_kind} on DuckDB")
        converters.append(allowed.as_on_athena if allowed else lambda value: value)
    if lines:
        return lines
    expected = (
        tuple(None if value is None else convert(value) for convert, value in zip(converters, row, strict=True))
        for row in local.rows
    )
    on_athena, on_duckdb = Counter(map(_typed_text, athena.rows)), Counter(map(_typed_text, expected))
    only_athena, only_duckdb = on_athena - on_duckdb, on_duckdb - on_athena
    if not only_athena and not only_duckdb:
        return []
    lines.append(f"{only_athena.total()} rows only on Athena, {only_duckdb.total()} only on DuckDB")
    for one, other in zip(sorted(only_athena)[:5], sorted(only_duckdb)[:5], strict=False):
        lines += [
            f"  {name}: {a} on Athena, {b} on DuckDB"
            for (name, _), a, b in zip(athena.columns, one, other, strict=True)
            if a != b
        ]
    return lines


def _typed_text(row: tuple[Any, ...]) -> tuple[str, ...]:
    """Return the row so that values of two types differ, and decimals of two scales."""
    return tuple(map(repr, row))
