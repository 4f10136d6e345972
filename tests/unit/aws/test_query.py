"""`stock-pipeline query`, its formats, and Athena's answers as a service stub gives them."""

import csv
import io
import json
import signal
import subprocess
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import duckdb
import pyarrow.parquet as pq
import pytest
from botocore.stub import Stubber

from stock_pipeline.aws.answer_format import formatted
from stock_pipeline.aws.athena import Answer, Athena, cost_dollars
from stock_pipeline.cli import main
from stock_pipeline.errors import PermanentError

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


def test_the_ending_of_the_output_chooses_the_format(models: Path) -> None:
    for ending, start in ((".csv", b"symbol\n"), (".JSON", b"["), (".parquet", b"PAR1"), (".txt", b"symbol\nXXX\n")):
        file = models.with_suffix(ending)
        assert main(["query", "SELECT * FROM daily_bars", "--output", str(file)]) == 0
        assert file.read_bytes().startswith(start)
    assert main(["query", "SELECT * FROM daily_bars", "--output", str(file), "--format", "json"]) == 0
    assert json.loads(file.read_bytes()) == [{"symbol": "XXX"}]


def test_ctrl_c_ends_a_long_query_as_it_ends_any_command(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    try:
        # any moment will do: the query takes hours
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        assert main(["query", "SELECT sum(a.range * b.range) FROM range(10000000) a, range(100000000) b"]) == 130
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert "Traceback" not in capsys.readouterr().err


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


def test_athenas_types_are_those_of_its_metadata() -> None:
    infos = [
        {"Name": "close", "Type": "decimal", "Precision": 18, "Scale": 6},
        {"Name": "n", "Type": "bigint"},
        {"Name": "at", "Type": "timestamp"},
        {"Name": "parts", "Type": "array"},
    ]
    client = boto3.client("athena", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x")
    with Stubber(client) as stub:
        stub.add_response("start_query_execution", {"QueryExecutionId": "q" * 8})
        done = {"QueryExecution": {"Status": {"State": "SUCCEEDED"}}}
        stub.add_response("get_query_execution", done)
        header: Any = [{"VarCharValue": info["Name"]} for info in infos]
        stub.add_response(
            "get_query_results",
            {"ResultSet": {"Rows": [{"Data": header}], "ResultSetMetadata": {"ColumnInfo": infos}}},
        )
        answer = Athena(client, "primary", "stock_market", wait=lambda _: None).query("SELECT")
    assert [str(kind) for kind in answer.table().schema.types] == [
        "decimal128(18, 6)",
        "int64",
        "timestamp[us]",
        "string",
    ]


def test_the_command_asks_the_duckdb_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    path = tmp_path / "models.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table daily_bars as select 'XXX' as symbol, 157.04::decimal(18, 6) as close")
    without_a_lake(monkeypatch, path)
    assert main(["query", "SELECT * FROM daily_bars", "--format", "csv"]) == 0
    printed = capfdbinary.readouterr()
    assert printed.out == b"symbol,close\nXXX,157.040000\n"
    assert b"1 rows" in printed.err
    assert b"the lake can't be reached" in printed.err


def test_wrong_sql_and_a_missing_file_are_one_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    without_a_lake(monkeypatch, tmp_path / "none.duckdb")
    assert main(["query", "SELECT 1"]) == 1
    assert "build the models first" in capsys.readouterr().err
    duckdb.connect(str(tmp_path / "none.duckdb")).close()
    assert main(["query", "SELECT * FROM nothing_of_that_name"]) == 1
    assert "nothing_of_that_name" in capsys.readouterr().err


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "models.duckdb"
    with duckdb.connect(str(path)) as connection:
        connection.execute("create table daily_bars as select 'XXX' as symbol")
    without_a_lake(monkeypatch, path)
    return path


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM daily_bars",
        "SELECT 1; DROP TABLE daily_bars; SELECT 2",
        "COPY daily_bars TO 'FOLDER/evil.parquet'",
        "/* SELECT */ COPY daily_bars TO 'FOLDER/evil.parquet'",
        "EXPLAIN ANALYZE COPY daily_bars TO 'FOLDER/evil.parquet'",
        "explain (format json) insert into daily_bars values ('evil')",
        "WITH a AS (SELECT 'evil') INSERT INTO daily_bars SELECT * FROM a",
        "ATTACH 'FOLDER/evil.db'",
        "EXPORT DATABASE 'FOLDER/evil'",
        "CREATE TABLE evil AS SELECT 1",
        "SET threads = 1",
        "",
        "  -- nothing\n",
        "SELEC 1",
        "SELECT FROM WHERE",
    ],
)
def test_a_query_that_does_more_than_read_is_refused(
    models: Path, capsys: pytest.CaptureFixture[str], sql: str
) -> None:
    assert main(["query", sql.replace("FOLDER", str(models.parent))]) == 1
    assert "Traceback" not in capsys.readouterr().err
    assert [path.name for path in models.parent.iterdir() if "evil" in path.name] == []
    with duckdb.connect(str(models)) as connection:
        assert connection.execute("select * from daily_bars").fetchall() == [("XXX",)]


@pytest.mark.parametrize(
    "sql",
    [
        "-- newest first\nSELECT * FROM daily_bars",
        "(SELECT * FROM daily_bars)",
        "WITH a AS (SELECT * FROM daily_bars) SELECT * FROM a;",
        "SHOW TABLES",
        "DESCRIBE daily_bars",
        "EXPLAIN SELECT * FROM daily_bars",
        "EXPLAIN ANALYZE SELECT * FROM daily_bars",
    ],
)
def test_every_way_to_read_is_taken(models: Path, sql: str) -> None:
    assert main(["query", sql]) == 0


def test_an_output_that_cannot_be_written_is_one_sentence(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["query", "SELECT 1", "--output", str(models / "x")]) == 1
    assert "choose another file" in capsys.readouterr().err


def test_a_query_beside_a_writer_answers_from_before_and_keeps_nobody_out(
    models: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    writer = "import duckdb, sys; c = duckdb.connect(sys.argv[1]); c.execute(sys.argv[2]); print(1, flush=1); input()"
    command = [sys.executable, "-c", writer, str(models)]

    def writing(sql: str) -> subprocess.Popen[str]:
        process = subprocess.Popen([*command, sql], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout
        assert process.stdout.readline() == "1\n"
        return process

    with writing("select 1") as first:
        assert main(["query", "SELECT * FROM daily_bars"]) == 1
        assert "in use, perhaps by dbt" in capsys.readouterr().err
        first.communicate("\n")
    assert main(["query", "SELECT * FROM daily_bars"]) == 0
    with writing("insert into daily_bars values ('YYY')") as second:
        assert main(["query", "SELECT * FROM daily_bars", "--format", "csv"]) == 0
        said = capsys.readouterr()
        assert said.out.endswith("symbol\nXXX\n")
        assert "dbt is writing" in said.err
        second.communicate("\n")
    assert main(["query", "SELECT * FROM daily_bars", "--format", "csv"]) == 0
    assert capsys.readouterr().out == "symbol\nXXX\nYYY\n"


def test_rows_of_a_writer_that_was_killed_are_read(models: Path, capsys: pytest.CaptureFixture[str]) -> None:
    killed = "import duckdb, os, sys; c = duckdb.connect(sys.argv[1]); c.execute(sys.argv[2]); os._exit(9)"
    insert = "insert into daily_bars values ('YYY')"
    assert subprocess.run([sys.executable, "-c", killed, str(models), insert], check=False).returncode == 9
    assert models.with_name(f"{models.name}.wal").exists()
    assert main(["query", "SELECT * FROM daily_bars", "--format", "csv"]) == 0
    assert capsys.readouterr().out == "symbol\nXXX\nYYY\n"


def without_a_lake(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    # a closed port on loopback: the lake answers at once that it is not there
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    monkeypatch.setenv("DUCKDB_PATH", str(path))
    monkeypatch.delenv("DBT_TARGET", raising=False)


def column(name: str, kind: str) -> dict[str, str]:
    return {"Name": name, "Type": kind}


def row(*cells: str | None) -> dict[str, Any]:
    return {"Data": [{} if cell is None else {"VarCharValue": cell} for cell in cells]}


def stubbed(state: str) -> tuple[Athena, Stubber, list[float]]:
    client = boto3.client("athena", "us-east-1", aws_access_key_id="testing", aws_secret_access_key="testing")
    stub = Stubber(client)
    stub.add_response("start_query_execution", {"QueryExecutionId": "q-1"})
    for each in ("QUEUED", "RUNNING", state):
        execution = {
            "Status": {"State": each, "StateChangeReason": "line 1:8: mismatched input"},
            "Statistics": {"DataScannedInBytes": 2 * 1024**4},
        }
        stub.add_response("get_query_execution", {"QueryExecution": execution})
    waits: list[float] = []
    return Athena(client, "primary", "stock_market", waits.append, "s3://bucket/athena-results/"), stub, waits


def test_athena_answers_with_typed_values_over_several_pages() -> None:
    athena, stub, waits = stubbed("SUCCEEDED")
    columns = [column("symbol", "varchar"), column("close", "decimal"), column("volume", "bigint")]
    metadata = {"ColumnInfo": columns}
    header = row("symbol", "close", "volume")
    first = {"ResultSet": {"Rows": [header, row("XXX", "157.040000", "5108362")], "ResultSetMetadata": metadata}}
    # a row that looks like the header is one on every page but the first
    second = {"ResultSet": {"Rows": [row("YYY", None, "0")], "ResultSetMetadata": metadata}}
    stub.add_response("get_query_results", {**first, "NextToken": "more"})
    stub.add_response("get_query_results", second)
    with stub:
        answer = athena.query("SELECT 1")
    assert answer.columns == ("symbol", "close", "volume")
    assert answer.rows == [("XXX", Decimal("157.040000"), 5108362), ("YYY", None, 0)]
    assert answer.bytes_scanned == 2 * 1024**4
    assert waits == [0.1, 0.2]


@pytest.mark.parametrize("state", ["FAILED", "CANCELLED"])
def test_a_failed_athena_query_says_why(state: str) -> None:
    athena, stub, _ = stubbed(state)
    with stub, pytest.raises(PermanentError, match="mismatched input"):
        athena.query("SELEC 1")


def test_a_query_costs_five_dollars_a_terabyte_from_ten_mb_on() -> None:
    assert cost_dollars(2 * 1024**4) == 10
    assert cost_dollars(0) == cost_dollars(10 * 1024**2) == Decimal(50) / 1024**2
