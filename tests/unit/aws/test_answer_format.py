"""An answer as a table, CSV, JSON and Parquet: names, nulls, types, and what a format can't hold."""

import csv
import io
import json
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import pyarrow.parquet as pq
import pytest

from stock_pipeline.aws.answer_format import formatted
from stock_pipeline.aws.athena import Answer
from stock_pipeline.cli import main

ANSWER = Answer(
    ("symbol", "close", "volume", "day", "at", "half_day"),
    [
        ("XXX", Decimal("157.040000"), 5108362, date(2018, 1, 2), datetime.fromisoformat("2018-01-02 21:00:07"), False),
        ("A,B", None, 0, None, None, True),
    ],
    None,
)


def test_a_table_aligns_numbers_right_and_leaves_nulls_blank() -> None:
    assert formatted(ANSWER, "table").decode().splitlines() == [
        "symbol       close   volume  day         at                   half_day",
        "XXX     157.040000  5108362  2018-01-02  2018-01-02 21:00:07     false",
        "A,B                       0                                       true",
    ]


def test_csv_quotes_what_needs_it() -> None:
    assert formatted(ANSWER, "csv").decode().splitlines() == [
        "symbol,close,volume,day,at,half_day",
        "XXX,157.040000,5108362,2018-01-02,2018-01-02 21:00:07,false",
        '"A,B",,0,,,true',
    ]


def test_json_keeps_decimals_exact_and_nulls_null() -> None:
    first, second = json.loads(formatted(ANSWER, "json"))
    assert first["close"] == "157.040000"
    assert second["close"] is None
    assert first["half_day"] is False


def test_parquet_has_the_rows_and_types() -> None:
    table = pq.read_table(io.BytesIO(formatted(ANSWER, "parquet")))
    assert [tuple(row.values()) for row in table.to_pylist()] == ANSWER.rows


def test_json_has_no_number_that_is_none(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "SELECT 'NaN'::DOUBLE AS a, [1e308 * -10] AS b", "--format", "json"]) == 0
    found = json.loads(capsys.readouterr().out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))
    assert found == [{"a": "NaN", "b": ["-Infinity"]}]


@pytest.mark.parametrize("name", ["json", "parquet"])
def test_two_columns_of_one_name_are_not_made_one(models: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert main(["query", "SELECT 1 AS close, 2 AS close", "--format", name, "--output", str(models) + ".out"]) == 1
    assert "two columns are called close: give one of them another name with AS" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["table", "csv"])
def test_lists_and_structs_are_shown_as_json(models: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    sql = "SELECT [1.5::DECIMAL(4, 2)] AS l, {'day': DATE '2018-01-02'} AS s"
    assert main(["query", sql, "--format", name]) == 0
    rows = capsys.readouterr().out.splitlines()[1:]
    if name == "csv":
        assert next(csv.reader(rows)) == ['["1.50"]', '{"day": "2018-01-02"}']
    else:
        assert rows == ['["1.50"]  {"day": "2018-01-02"}']


@pytest.mark.parametrize(
    ("interval", "text"),
    [
        ("TIMESTAMP '2018-01-03 00:58:30.5' - TIMESTAMP '2018-01-02 10:01:21'", "0 14:57:09.500"),
        ("TIMESTAMP '2018-01-02 10:01:21' - TIMESTAMP '2018-01-03 00:58:30.5'", "-0 14:57:09.500"),
        ("INTERVAL 3 DAY", "3 00:00:00.000"),
        ("INTERVAL 18 MONTH", "1-6"),
        ("INTERVAL 1 MONTH + INTERVAL 2 HOUR", "0-1 0 02:00:00.000"),
        ("NULL::INTERVAL", None),
    ],
)
def test_an_interval_reads_as_on_athena_in_every_format(models: Path, interval: str, text: str | None) -> None:
    for name in ("csv", "json", "parquet"):
        file = models.with_suffix(f".{name}")
        assert main(["query", f"SELECT {interval} AS span", "--output", str(file)]) == 0
    assert json.loads(models.with_suffix(".json").read_text()) == [{"span": text}]
    assert pq.read_table(models.with_suffix(".parquet")).to_pylist() == [{"span": text}]
    assert models.with_suffix(".csv").read_text() == f"span\n{text or chr(34) * 2}\n"


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("union_value(k := 1)", "Parquet can't hold a column of this answer"),
        ("170141183460469231731687303715884105727::HUGEINT", "Parquet can't hold a column of this answer"),
        ("DATE 'infinity'", "not in the years 1 to 9999"),
        ("TIMESTAMP 'infinity'", "not in the years 1 to 9999"),
    ],
)
def test_a_value_that_no_format_holds_is_one_sentence(
    models: Path, capsys: pytest.CaptureFixture[str], value: str, said: str
) -> None:
    assert main(["query", f"SELECT {value} AS x", "--output", str(models.with_suffix(".parquet"))]) == 1
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("name", ["table", "csv", "json", "parquet"])
def test_no_rows_are_an_answer_too(name: str) -> None:
    assert formatted(Answer(("symbol",), [], None), name)


TYPED = "SELECT symbol, close, NULL::BIGINT AS nothing, volume, day, bar_time FROM typed"


@pytest.mark.parametrize("rows", ["", "LIMIT 0"])
def test_parquet_has_the_engines_types_whatever_the_values(models: Path, tmp_path: Path, rows: str) -> None:
    with duckdb.connect(str(models)) as connection:
        connection.execute(
            "create table typed as select 'XXX' as symbol, 1::decimal(18, 6) as close, 5::bigint as volume, "
            "date '2018-01-02' as day, timestamp '2018-01-02 10:00:00' as bar_time"
        )
    file = tmp_path / "typed.parquet"
    assert main(["query", f"{TYPED} {rows}", "--format", "parquet", "--output", str(file)]) == 0
    assert [str(kind) for kind in pq.read_schema(file).types] == [
        "string",
        "decimal128(18, 6)",
        "int64",
        "int64",
        "date32[day]",
        "timestamp[us]",
    ]


def test_a_sum_of_integers_is_one_in_json(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "SELECT sum(n) AS total FROM (VALUES (1), (2)) AS t (n)", "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == [{"total": 3}]
