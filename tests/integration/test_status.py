"""One screen that says how the pipeline is doing, from services on loopback."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

from stock_pipeline import wiring
from stock_pipeline.cli import main
from stock_pipeline.commands.page_facts import actions_of, pipeline_of
from stock_pipeline.commands.status import Status, read_status, screen
from stock_pipeline.domain.corporate_action import ActionKind, CorporateAction, News
from stock_pipeline.domain.lake_layout import QUARANTINE_PREFIX, partition_path
from stock_pipeline.lake.compaction import Compactor
from stock_pipeline.lake.corporate_actions import CorporateActionLog
from stock_pipeline.local.dagster_dev import free_port
from stock_pipeline.local.event_source.observer import SilentObserver
from stock_pipeline.local.lambda_functions import processor_poller
from stock_pipeline.local.stack import LocalStack
from stock_pipeline.settings import Settings
from stock_pipeline.streaming.trade_json import encode_trade
from stock_pipeline.wiring import Wiring
from tests.support.broken_sessions import TROUBLES, tear_manifest
from tests.support.processes import read_line
from tests.support.raw_files import put_raw_file
from tests.support.trades import trade

pytestmark = pytest.mark.xdist_group("lake")

THURSDAY, FRIDAY = date(2018, 1, 4), date(2018, 1, 5)
SATURDAY = datetime(2018, 1, 6, 15, tzinfo=UTC)


def process(stack: LocalStack, lines: Sequence[bytes]) -> None:
    for line in lines:
        stack.clients.kinesis.put_record(StreamName=stack.settings.stream_name, PartitionKey="bucket-0001", Data=line)
    processor_poller(stack, SilentObserver()).run_until_idle(timeout_seconds=60)


def publish_friday(stack: LocalStack) -> None:
    put_raw_file(stack.wiring.objects, FRIDAY, 1)
    Compactor(stack.wiring.objects, stack.wiring.catalog, now=lambda: SATURDAY).compact(FRIDAY)


def status(stack: LocalStack, now: datetime = SATURDAY) -> Status:
    return read_status(stack.wiring, now)


def test_a_new_pipeline_is_well(stack: LocalStack) -> None:
    for files in range(2):
        found = status(stack)
        assert found.published is None
        assert (found.waiting, found.rejected, len(found.backlog), found.newest) == (0, {}, files, None)
        assert (found.stale, found.broken) == ({}, "")
        assert "  last published  none" in screen("local", found)
        # the session is over, but nobody can say that this lake was there by its deadline
        put_raw_file(stack.wiring.objects, FRIDAY, 1)


def test_a_pipeline_of_some_days_says_what_is_missing(stack: LocalStack) -> None:
    put_raw_file(stack.wiring.objects, THURSDAY, 1)
    assert set(status(stack).stale) == {"trades", "daily_bars"}


@pytest.mark.parametrize("trouble", TROUBLES)
def test_a_broken_session_is_named_and_hides_no_other(stack: LocalStack, trouble: str) -> None:
    publish_friday(stack)
    for day in (THURSDAY, SATURDAY.date()):
        put_raw_file(stack.wiring.objects, day, 1)
    TROUBLES[trouble](stack.wiring.objects, FRIDAY)
    found = status(stack)
    assert [backlog.session_date for backlog in found.backlog] == [THURSDAY, SATURDAY.date()]
    assert found.broken.startswith("2018-01-05: ")
    assert any(line.startswith("  broken          2018-01-05: ") for line in screen("local", found))


def test_status_shows_what_is_published_waiting_and_rejected(stack: LocalStack) -> None:
    put_raw_file(stack.wiring.objects, THURSDAY, 1)
    publish_friday(stack)
    process(stack, [encode_trade(trade(1)), b"not json", b"[]", b"neither"])
    found = status(stack, datetime.now(UTC))
    assert sum(found.rejected.values()) == 3
    assert found.waiting + found.hidden == 3
    assert found.newest is not None
    assert found.published == FRIDAY
    assert [(backlog.session_date, backlog.files) for backlog in found.backlog] == [
        (date(2018, 1, 2), 1),
        (THURSDAY, 1),
    ]
    shown = "\n".join(screen("local", found))
    assert "3 waiting, 0 in hand" in shown
    assert "last published  2018-01-05" in shown
    assert "2018-01-04: 1 files" in shown


def test_the_page_shows_what_status_says_and_the_bytes_of_rejected_lines(stack: LocalStack) -> None:
    publish_friday(stack)
    process(stack, [b"not json"])
    found = pipeline_of(stack.wiring)
    assert (found.environment, found.published, found.runs) == ("local", FRIDAY, None)
    (line,) = found.dead_letters.lines
    assert (line.reason, line.payload, found.dead_letters.rejected) == ("not_json", "not json", {"not_json": 1})
    # nobody measures on a laptop
    assert (found.processor, found.alarms) == (None, None)
    assert found.shards == len(stack.clients.kinesis.list_shards(StreamName=stack.settings.stream_name)["Shards"])


def test_a_torn_file_of_rejected_lines_is_named_and_hides_no_other(stack: LocalStack) -> None:
    publish_friday(stack)
    process(stack, [b"not json"])
    today = datetime.now(UTC).date()
    stack.wiring.objects.put(f"{QUARANTINE_PREFIX}{partition_path(today)}torn.parquet", b"PAR1")
    found = status(stack, datetime.now(UTC))
    assert found.rejected == {"not_json": 1}
    assert "torn.parquet" in found.broken
    assert [line.payload for line in pipeline_of(stack.wiring).dead_letters.lines] == ["not json"]


def test_the_page_knows_actions_of_the_log_that_nobody_withdrew(stack: LocalStack) -> None:
    split = CorporateAction(ActionKind.SPLIT, "ABC", FRIDAY, FRIDAY, shares_before=Decimal(1), shares_after=Decimal(4))
    dividend = CorporateAction(ActionKind.CASH_DIVIDEND, "ABC", THURSDAY, THURSDAY, cash_amount=Decimal("0.25"))
    news = [News(action, "alpaca", SATURDAY, False) for action in (split, dividend)]
    log = CorporateActionLog(stack.wiring.objects)
    log.append(news)
    assert [(action.kind, action.ex_date) for action in actions_of(stack.wiring)["ABC"]] == [
        ("cash_dividend", THURSDAY),
        ("split", FRIDAY),
    ]
    log.append([News(split, "alpaca", SATURDAY + timedelta(hours=1), True)])
    assert [action.kind for action in actions_of(stack.wiring)["ABC"]] == ["cash_dividend"]


def test_a_sources_clock_hides_no_backlog(stack: LocalStack) -> None:
    """Folders of years that are far ahead or long past, as a source's clock made them, and one of no date."""
    for day in (THURSDAY, FRIDAY, date(1969, 12, 31), *(date(2090 + n, 1, 2) for n in range(6))):
        put_raw_file(stack.wiring.objects, day, 1)
    stack.wiring.objects.put("raw/trades/year=2018/month=13/day=1/file.parquet", b"")
    assert [backlog.session_date for backlog in status(stack).backlog] == [date(1969, 12, 31), THURSDAY, FRIDAY]


def bars_of(session_date: date, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Return settings of a database with one bar, of that session."""
    path = folder / "lake.duckdb"
    with duckdb.connect(str(path)) as connection:
        year, month, day = session_date.year, session_date.month, session_date.day
        connection.execute(f"CREATE TABLE daily_bars AS SELECT {year} AS year, {month} AS month, {day} AS day")
    monkeypatch.setenv("DUCKDB_PATH", str(path))
    return Settings.from_env(os.environ)


def test_stale_is_judged_on_the_exchanges_calendar(
    stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_raw_file(stack.wiring.objects, THURSDAY, 1)
    clients, settings = stack.clients, bars_of(FRIDAY, tmp_path, monkeypatch)
    publish_friday(stack)
    assert read_status(Wiring(settings, clients), SATURDAY).stale == {}
    open_market = datetime(2018, 1, 8, 15, tzinfo=UTC)
    assert set(read_status(Wiring(settings, clients), open_market).stale) == {"realtime_state"}
    after_the_opening = datetime(2018, 1, 8, 14, 50, tzinfo=UTC)
    assert set(read_status(Wiring(settings, clients), after_the_opening).stale) == {"realtime_state"}
    assert read_status(Wiring(replace(settings, feed="sip"), clients), after_the_opening).stale == {}
    a_day_later = open_market + timedelta(days=1, hours=12)
    assert set(read_status(Wiring(settings, clients), a_day_later).stale) == {"trades", "daily_bars"}


def test_bars_that_are_being_built_are_not_stale(
    stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_raw_file(stack.wiring.objects, THURSDAY, 1)
    settings = bars_of(THURSDAY, tmp_path, monkeypatch)
    stale = read_status(Wiring(settings, stack.clients), SATURDAY).stale
    assert "bars of 2018-01-05 were due by 22:00" in stale["daily_bars"]
    hold = f"import duckdb; held = duckdb.connect({settings.duckdb_path!r}); print(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as dbt:
        read_line(dbt)
        assert "daily_bars" not in read_status(Wiring(settings, stack.clients), SATURDAY).stale
        dbt.communicate(b"\n")


def test_a_database_that_is_none_is_not_taken_for_one_in_use(
    stack: LocalStack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_raw_file(stack.wiring.objects, THURSDAY, 1)
    (tmp_path / "lake.duckdb").write_bytes(b"no database" * 1_000)
    monkeypatch.setenv("DUCKDB_PATH", str(tmp_path / "lake.duckdb"))
    stale = read_status(Wiring(Settings.from_env(os.environ), stack.clients), SATURDAY).stale
    assert "not a valid DuckDB database" in stale["daily_bars"]


def run_at(moment: datetime, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    """Let commands run in a folder at a moment: whether something is stale depends on the market's hours."""
    monkeypatch.chdir(folder)
    monkeypatch.setattr(wiring, "utc_now", lambda: moment)


def test_the_command_ends_with_an_error_if_something_is_stale(
    stack: LocalStack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_at(SATURDAY + timedelta(weeks=1), monkeypatch, tmp_path)
    assert main(["status"]) == 0
    put_raw_file(stack.wiring.objects, FRIDAY, 1)
    assert main(["status"]) == 1
    assert "trades: session" in capsys.readouterr().out


def test_the_command_ends_with_an_error_if_a_session_is_broken(
    stack: LocalStack, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    run_at(datetime(2018, 1, 5, 9, tzinfo=UTC), monkeypatch, tmp_path)  # not due yet, and before the market opens
    for number in range(2):
        put_raw_file(stack.wiring.objects, FRIDAY, number)
        stack.wiring.compactor().compact(FRIDAY)
    assert main(["status"]) == 0
    tear_manifest(stack.wiring.objects, FRIDAY)
    assert main(["status"]) == 1
    assert f"broken          {FRIDAY}: " in capsys.readouterr().out


def test_what_a_killed_stack_left_is_told_in_one_sentence(tmp_path: Path) -> None:
    file = tmp_path / ".stock-pipeline" / "deployed" / "local.json"
    file.parent.mkdir(parents=True)
    nobody = {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{free_port(0)}",
        "AWS_ACCESS_KEY_ID": "local",
        "AWS_SECRET_ACCESS_KEY": "local",
        "DEAD_LETTER_QUEUE_URL": "http://127.0.0.1/queue",
    }
    file.write_text(json.dumps(nobody))
    command = [str(Path(sys.executable).with_name("stock-pipeline")), "status"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("stock-pipeline: Could not connect")
    assert "start it again" in done.stderr
    assert done.stderr.count("\n") == 1
