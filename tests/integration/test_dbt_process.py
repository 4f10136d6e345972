"""dbt in this process, over the lake of the dbt tests: parsed once, told of as it goes, stopped when nobody listens."""

import signal
import threading
import weakref
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from stock_pipeline.errors import PermanentError
from stock_pipeline.orchestration import dbt_process
from stock_pipeline.orchestration.dbt_assets import DATA_ONLY, window_options
from stock_pipeline.orchestration.dbt_process import DbtProcess, parse, run_output
from tests.support.built_lake import BuiltLake
from tests.support.sample_session import SAMPLE_DATE

pytestmark = pytest.mark.xdist_group("dbt")

SESSION = window_options((SAMPLE_DATE, SAMPLE_DATE))
ONE_MODEL = ("build", *DATA_ONLY, "--select", "stg_trading_sessions")


@pytest.fixture
def dbt(lake: BuiltLake, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> DbtProcess:
    for name, value in {**lake.environment, "DBT_TARGET_PATH": str(tmp_path / "dbt")}.items():
        monkeypatch.setenv(name, value)
    return DbtProcess(target="local")


def ended(results: Sequence[dict[str, Any]]) -> dict[str, str]:
    """Each node's status by its name."""
    nodes = [one["data"]["node_info"] for one in results if one["info"]["name"] == "NodeFinished"]
    return {node["node_name"]: node["node_status"] for node in nodes}


def test_the_commands_of_a_run_share_one_parse_and_leave_the_file_to_others(
    dbt: DbtProcess, lake: BuiltLake, tmp_path: Path
) -> None:
    saved = run_output() / "local" / "partial_parse.msgpack"
    first = ended(list(dbt.results(ONE_MODEL, tmp_path / "first")))
    assert first["stg_trading_sessions"] == "success"
    assert set(first.values()) == {"success", "pass"}
    saved.unlink()
    assert ended(list(dbt.results(ONE_MODEL, tmp_path / "second"))) == first
    assert not saved.exists()
    assert lake.query("select count(*) > 0 from stg_trading_sessions") == [(True,)]


def test_what_has_not_changed_is_not_parsed_again(dbt: DbtProcess) -> None:
    folder = run_output() / "local"
    parse("local", folder, write_json=True)
    assert (folder / "manifest.json").exists()
    before = (folder / "partial_parse.msgpack").stat().st_mtime_ns
    manifest = parse("local", folder, write_json=False)
    assert "model.stock_pipeline.daily_bars" in manifest.nodes
    assert (folder / "partial_parse.msgpack").stat().st_mtime_ns == before


def test_each_command_has_its_own_window(dbt: DbtProcess, tmp_path: Path) -> None:
    for day in (SAMPLE_DATE, SAMPLE_DATE.replace(day=3)):
        folder = tmp_path / str(day)
        window = window_options((day, day))
        assert ended(list(dbt.results(["build", "--select", "stg_trades_rows_hold", *window], folder)))
        (compiled,) = (folder / "compiled").rglob("stg_trades_rows_hold*.sql")
        assert f"day = {day.day})" in compiled.read_text()


def test_unit_tests_of_sql_are_left_to_ci(dbt: DbtProcess, tmp_path: Path) -> None:
    command = ["build", *DATA_ONLY, "--select", "top_volume", *SESSION]
    assert not [name for name in ended(list(dbt.results(command, tmp_path))) if "equal_volumes" in name]
    assert parse("local", run_output() / "local", write_json=False).unit_tests


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (["build", "--full-refresh", "--select", "daily_bars", *SESSION], "a full refresh of .* would keep"),
        (["build", "--no-such-option"], "No such option"),
    ],
)
def test_a_failure_says_why(dbt: DbtProcess, tmp_path: Path, command: list[str], reason: str) -> None:
    with pytest.raises(PermanentError, match=rf"dbt build failed: (.|\n)*{reason}"):
        list(dbt.results(command, tmp_path))


def test_dbt_stops_when_nobody_listens_any_more(dbt: DbtProcess, tmp_path: Path) -> None:
    results = dbt.results(["build", *DATA_ONLY, *SESSION], tmp_path / "stopped")
    next(results)
    results.close()
    assert not [thread for thread in threading.enumerate() if thread.name == "dbt"]
    log = (tmp_path / "stopped" / "dbt.log").read_text()
    assert 0 < log.count("Finished running node") < 20
    assert ended(list(dbt.results(ONE_MODEL, tmp_path / "next")))["stg_trading_sessions"] == "success"


def test_an_interrupt_that_is_swallowed_comes_again(
    dbt: DbtProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def working(never: threading.Event) -> None:
        while not never.wait(0.01):
            pass

    def deaf(*_arguments: object) -> None:
        signal.pthread_kill(main_thread, signal.SIGINT)  # Ctrl-C
        with suppress(KeyboardInterrupt):  # as a finalizer does
            working(threading.Event())
        swallowed.set()
        working(threading.Event())

    swallowed, main_thread = threading.Event(), threading.get_ident()
    monkeypatch.setattr(DbtProcess, "_invoke", deaf)
    monkeypatch.setattr(dbt_process, "STOP_SECONDS", 20)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(dbt.results(["ls"], tmp_path))
    finally:
        signal.signal(signal.SIGINT, before)
    assert swallowed.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name == "dbt"]


def test_an_interrupt_while_dbt_is_parsed_is_not_lost(
    dbt: DbtProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Python drops what is raised in a weak reference's callback, and parsing runs many."""
    parse = dbt_process.parse

    class Held:
        """What something holds weakly."""

    def interrupted(target: str, folder: Path, write_json: bool) -> Any:
        held = Held()
        weak = weakref.ref(held, lambda _: signal.raise_signal(signal.SIGINT))
        del held
        assert weak() is None
        return parse(target, folder, write_json)

    monkeypatch.setattr(dbt_process, "parse", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            list(dbt.results(["ls"], tmp_path))
    finally:
        signal.signal(signal.SIGINT, before)
