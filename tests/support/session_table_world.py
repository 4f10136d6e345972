"""Athena as the macros of a session_table see it: their own text runs, over a lake and a catalog in memory.

Each statement is a step, so that runs can take turns and die anywhere.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import CodeType, SimpleNamespace
from typing import Any

import agate
import jinja2

MACROS = Path(__file__).parents[2] / "dbt_project/macros"
FILES = (
    "window.sql",
    "trades.sql",
    "session_table/athena.sql",
    "session_table/hive.sql",
    "session_table/iceberg.sql",
    "session_table/checks.sql",
)
MONTH = {"year": 2018, "month": 1, "first_day": 1, "last_day": 31}
TABLE, TRADES = "bars", "trades"

Days = Mapping[int, str]
"""What each day of the month has; nothing of the others."""


class Relation(str):
    """A relation, which is its identifier."""

    database, schema = "awsdatacatalog", "stock_market"

    @classmethod
    def create(cls, identifier: str, **_other: str) -> "Relation":
        return cls(identifier)

    @property
    def identifier(self) -> str:
        return str(self)

    def render_hive(self) -> str:
        return f"`{self}`"


class NoPartitionError(Exception):
    """A partition is to move that another run dropped meanwhile, which Athena refuses."""


class _ReturnedError(Exception):
    value: Any


def macro(name: str, **of_dbt: Any) -> Callable[..., Any]:
    """Return a macro, with `of_dbt` in dbt's place. Its value is what it returns, or else its text."""

    def give(value: Any) -> None:
        error = _ReturnedError()
        error.value = value
        raise error

    def calling(called: str) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            try:
                return macros[called](*arguments, **named)
            except _ReturnedError as error:
                return error.value

        return call

    names = _ENVIRONMENT.globals | {each: calling(each) for each in _compiled()} | {"return": give} | of_dbt
    macros = {
        each: getattr(jinja2.Template.from_code(_ENVIRONMENT, code, names).module, each)
        for each, code in _compiled().items()
    }
    return calling(name)


_ENVIRONMENT = jinja2.Environment(extensions=["jinja2.ext.do"])


@cache
def _compiled() -> Mapping[str, CodeType]:
    """Return each macro by itself, as dbt has them: what one returns is the value of a call in another."""
    text = "".join((MACROS / path).read_text() for path in FILES)
    found = re.finditer(r"{% macro (\w+)\(.*?endmacro %}", text, flags=re.DOTALL)
    return {each.group(1): _ENVIRONMENT.compile(each.group()) for each in found}


@dataclass
class SessionTableWorld:
    """A session table and what it is made of.

    published: the trades of the published versions.
    shown: where the table's partitions are.
    files: what lies at each place.
    merged: the table's rows if it is of Iceberg.
    """

    published: dict[int, str] = field(default_factory=dict)
    shown: dict[int, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    merged: dict[int, str] = field(default_factory=dict)

    def rows(self, iceberg: bool) -> Days:
        """Return what readers of the table see."""
        return self.merged if iceberg else {day: self.files[place] for day, place in self.shown.items()}


@dataclass
class Run:
    """One run of dbt. step: does what a statement does, when it is its turn."""

    world: SessionTableWorld
    name: str
    step: Callable[[Callable[[], Any]], Any]
    statements: list[str] = field(default_factory=list)
    written: dict[str, dict[int, str]] = field(default_factory=dict)

    def build(self, iceberg: bool = False) -> Any:
        """Build the month."""
        build = macro(
            "build_month",
            run_query=self.run_query,
            statement=lambda _name, caller: self.run_query(caller()),
            load_result=lambda _name: SimpleNamespace(response=SimpleNamespace(data_scanned_in_bytes=1)),
            source=lambda _source, table: Relation(table),
            api=SimpleNamespace(Relation=Relation),
            target=SimpleNamespace(s3_data_dir="s3://lake/marts/"),
            invocation_id=self.name,
            config={"meta": {"grain": ["symbol"]}},
            adapter=SimpleNamespace(
                is_work_group_output_location_enforced=lambda: False,
                get_glue_table_location=lambda relation: _place(relation),
                get_columns_in_relation=lambda _relation: [SimpleNamespace(name=name) for name in ("symbol", "close")],
                delete_from_glue_catalog=self.written.pop,
            ),
            exceptions=SimpleNamespace(raise_compiler_error=_refuse),
        )
        return build(Relation(TABLE), "select from trades", MONTH, iceberg)

    def run_query(self, sql: str) -> agate.Table:
        sql = " ".join(sql.split())
        self.statements.append(sql)
        if sql.startswith("merge into"):
            # Iceberg refuses a commit on top of another: what it compares with is what it changes
            made = self.step(lambda: dict(self.world.published))
            self.step(lambda: self._merge(made))
            return _answer([])
        return _answer(self.step(lambda: self._answer(sql)))

    def _merge(self, made: Days) -> None:
        self.world.merged = dict(made)

    def _answer(self, sql: str) -> list[Any]:
        world = self.world
        days = [int(day) for day in re.findall(r"\bday = (\d+)\)", sql)]
        match sql.split():
            case ["create", "table", name, *_]:
                self.written[name] = dict(world.published)
                world.files |= {_day_place(name, day): rows for day, rows in world.published.items()}
            case ["select", "day", "from", name, *_]:
                table = name.removesuffix("$partitions")
                return sorted(world.shown if table == TABLE else self.written[table])
            case ["select", "distinct", '"$path"', "from", "trades", *_]:
                return [f"s3://lake/{day}/v={rows}/trades.parquet" for day, rows in world.published.items()]
            case ["select", "distinct", '"$path"', "from", _, *_]:
                return [f"{place}/one.parquet" for place in world.shown.values()]
            case ["select", "count(*)", *_]:
                return [1]
            case ["alter", "table", _, "partition", *_]:
                (day,), (place,) = days, re.findall("location '(.*?)'", sql)
                if day not in world.shown:
                    raise NoPartitionError
                world.shown[day] = place
            case ["alter", "table", _, "add", "if", "not", "exists", *_]:
                for day, place in zip(days, re.findall("location '(.*?)'", sql), strict=True):
                    world.shown.setdefault(day, place)
            case ["alter", "table", _, "drop", "if", "exists", *_]:
                for day in days:
                    world.shown.pop(day, None)
            case _:
                raise AssertionError(f"unknown statement {sql}")
        return []


def _answer(values: list[Any]) -> agate.Table:
    return agate.Table([[value] for value in values], ["value"])


def _place(name: str) -> str:
    return f"s3://lake/marts/{name}/"


def _day_place(name: str, day: int) -> str:
    return f"{_place(name)}year=2018/month=1/day={day}"


def _refuse(message: str) -> None:
    raise AssertionError(message)
