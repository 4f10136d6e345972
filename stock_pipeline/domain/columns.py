"""A column of a table of the lake, as the catalog describes it."""

from typing import NamedTuple


class Column(NamedTuple):
    """`sql_type` is the Hive and Athena name of the type."""

    name: str
    sql_type: str
    description: str
