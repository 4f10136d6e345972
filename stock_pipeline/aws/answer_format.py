"""Rows of an answer as bytes: an aligned table, CSV, JSON, or Parquet."""

import csv
import io
import json
import math
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from stock_pipeline.aws.athena import Answer
from stock_pipeline.errors import PermanentError


def formatted(answer: Answer, name: str) -> bytes:
    return FORMATS[name](answer)


def as_table(answer: Answer) -> bytes:
    """Align columns at their widest cell, numbers to the right."""
    cells = [[_text(value, null="") for value in row] for row in answer.rows]
    widths = [max(map(len, column)) for column in zip(answer.columns, *cells, strict=True)]
    to_the_right = [
        any(isinstance(row[index], int | float | Decimal) for row in answer.rows) for index in range(len(widths))
    ]
    lines = (
        "  ".join(
            cell.rjust(width) if right else cell.ljust(width)
            for cell, width, right in zip(row, widths, to_the_right, strict=True)
        ).rstrip()
        for row in [list(answer.columns), *cells]
    )
    return ("\n".join(lines) + "\n").encode()


def as_csv(answer: Answer) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(answer.columns)
    writer.writerows([_text(value, null="") for value in row] for row in answer.rows)
    return text.getvalue().encode()


def as_json(answer: Answer) -> bytes:
    """Write an array of objects. Decimals are strings, because readers of JSON do not keep them exact otherwise.

    NaN and the infinities are strings, too: JSON has no numbers for them.
    """
    _check_names(answer.columns)
    rows = [dict(zip(answer.columns, map(_in_json, row), strict=True)) for row in answer.rows]
    return (json.dumps(rows, default=_text, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def as_parquet(answer: Answer) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    _check_names(answer.columns)
    sink = pa.BufferOutputStream()
    try:
        pq.write_table(answer.table(), sink)
    except pa.ArrowException as error:
        raise PermanentError(
            f"Parquet can't hold a column of this answer ({error}): cast it, for example to VARCHAR"
        ) from None
    return bytes(sink.getvalue().to_pybytes())


FORMATS: Mapping[str, Callable[[Answer], bytes]] = {
    "table": as_table,
    "csv": as_csv,
    "json": as_json,
    "parquet": as_parquet,
}


def _check_names(columns: tuple[str, ...]) -> None:
    """Refuse names that stand for two columns, of which readers would see one."""
    twice = [name for name, times in Counter(columns).items() if times > 1]
    if twice:
        raise PermanentError(f"two columns are called {twice[0]}: give one of them another name with AS")


def _in_json(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return json.dumps(value)
    if isinstance(value, list | tuple):
        return [_in_json(each) for each in value]
    return {name: _in_json(each) for name, each in value.items()} if isinstance(value, dict) else value


def _text(value: Any, null: str = "null") -> str:
    if value is None:
        return null
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, datetime):
        return value.isoformat(sep=" ")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple | dict):
        return json.dumps(_in_json(value), default=_text, ensure_ascii=False)
    return str(value)
