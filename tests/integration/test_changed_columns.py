"""A session_table whose columns changed their kind is refused until it is built anew, whatever engines name types."""

from typing import Any, NamedTuple

import pytest

from tests.support.session_table_world import Relation, macro


class Column(NamedTuple):
    name: str
    dtype: str


class RefusedError(Exception):
    pass


class Dbt:
    """The table has these columns, and the model those."""

    def __init__(self, held: list[Column], made: list[Column]) -> None:
        self.held, self.made = held, made

    def check(self) -> None:
        macro(
            "check_same_columns",
            adapter=self,
            exceptions=self,
            get_column_schema_from_query=lambda _sql: self.made,
        )(Relation("daily_bars"), "select 1")

    def get_columns_in_relation(self, _relation: Any) -> list[Column]:
        return self.held

    def raise_compiler_error(self, text: str) -> None:
        raise RefusedError(text)


HELD = [Column("symbol", "string"), Column("volume", "bigint")]


def test_integers_are_no_decimals() -> None:
    with pytest.raises(RefusedError, match="changed: build all its sessions once, with --full-refresh"):
        Dbt(HELD, [Column("SYMBOL", "VARCHAR"), Column("volume", "DECIMAL")]).check()


@pytest.mark.parametrize("held", ["decimal(38,6)", "DECIMAL(38,6)"])
def test_names_of_one_type_are_alike(held: str) -> None:
    Dbt([HELD[0], Column("volume", held)], [Column("Symbol", "VARCHAR"), Column("volume", "DECIMAL")]).check()


def test_a_new_column_is_a_change() -> None:
    with pytest.raises(RefusedError):
        Dbt(HELD, [*HELD, Column("vwap", "DECIMAL")]).check()
