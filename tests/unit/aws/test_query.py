"""`stock-pipeline query` on a laptop: what it takes, what it refuses, and beside a writer."""

import json
import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from stock_pipeline.cli import main
from tests.support.query_models import without_a_lake


def test_the_ending_of_the_output_chooses_the_format(models: Path) -> None:
    for ending, start in ((".csv", b"symbol\n"), (".JSON", b"["), (".parquet", b"PAR1"), (".txt", b"symbol\nXXX\n")):
        file = models.with_suffix(ending)
        assert main(["query", "SELECT * FROM daily_bars", "--output", str(file)]) == 0
        assert file.read_bytes().startswith(start)
    assert main(["query", "SELECT * FROM daily_bars", "--output", str(file), "--format", "json"]) == 0
    assert json.loads(file.read_bytes()) == [{"symbol": "XXX"}]


INTERRUPTED = """
import signal
from stock_pipeline.cli import main
assert main(["query", "SELECT 1"]) == 0
signal.signal(signal.SIGALRM, signal.default_int_handler)
for hundredths in range(5, 45, 4):
    signal.setitimer(signal.ITIMER_REAL, hundredths / 100, 10)
    assert main(["query", "SELECT sum(a.range * b.range) FROM range(10000000) a, range(100000000) b"]) == 130
    signal.setitimer(signal.ITIMER_REAL, 0)
"""
"""A query of hours, interrupted at ten moments once all is imported, in a process of its own.

Python loses an interrupt that comes during a finalizer, so each comes again.
"""


@pytest.mark.usefixtures("models")
def test_ctrl_c_ends_a_long_query_at_any_moment() -> None:
    """By chance one of DuckDB's own threads holds the long task, which a closed connection alone would wait for."""
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr


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
