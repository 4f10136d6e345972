"""Tells if a SQL statement only reads, by its first words."""

import re

from stock_pipeline.errors import PermanentError

_READS = ("SELECT", "WITH", "VALUES", "TABLE", "FROM", "SHOW", "DESCRIBE", "DESC", "SUMMARIZE")

_SPACE = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
_FIRST_WORD = re.compile(rf"{_SPACE}[\s(]*{_SPACE}([A-Za-z]+)", re.DOTALL)
_EXPLAIN = re.compile(
    rf"{_SPACE}EXPLAIN\b{_SPACE}(?:\([^)]*\){_SPACE})?(?:ANALYZE\b{_SPACE})?(?:VERBOSE\b{_SPACE})?",
    re.DOTALL | re.IGNORECASE,
)


def check_reads(sql: str) -> str:
    """Return the statement, or what `EXPLAIN` explains, because `EXPLAIN ANALYZE` runs it.

    Raises `PermanentError` unless it begins as one that reads.
    """
    explained = _EXPLAIN.match(sql)
    statement = sql[explained.end() :] if explained else sql
    word = _FIRST_WORD.match(statement)
    if word is None:
        raise PermanentError("the query is empty: give a statement, such as SELECT * FROM daily_bars LIMIT 5")
    if word.group(1).upper() not in _READS:
        raise PermanentError(
            f"query only reads, and this begins with {word.group(1).upper()}: give one SELECT, WITH, SHOW, DESCRIBE or "
            "EXPLAIN"
        )
    return statement
