"""A column of a table of the lake, as the catalog describes it."""

from typing import NamedTuple


class Column(NamedTuple):
    """`sql_type` is the Hive and Athena name of the type.

    since: the schema version that brought the column.
    default: its value in files of older versions; None where every version has it.
    """

    name: str
    sql_type: str
    description: str
    since: int = 1
    default: str | int | None = None
