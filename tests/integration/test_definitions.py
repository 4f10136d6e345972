"""The Dagster code location, as the webserver would load it."""

import json
import re
import subprocess
import sys
from datetime import date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import dagster as dg
import pytest
from dagster._core.definitions.freshness import TimeWindowFreshnessPolicy

from stock_pipeline.definitions import build_definitions
from stock_pipeline.domain.session import trading_days, use_unplanned
from stock_pipeline.errors import PermanentError
from stock_pipeline.orchestration.dbt_assets import (
    figures_of,
    window_options,
    with_figures,
)
from stock_pipeline.orchestration.freshness import CHECKS
from stock_pipeline.orchestration.lake_schedules import SESSION_JOB
from stock_pipeline.orchestration.partitions import session_partitions
from stock_pipeline.orchestration.session_run import run_session
from stock_pipeline.settings import Settings

ROOT = Path(__file__).parents[2]

pytestmark = pytest.mark.xdist_group("definitions")


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return build_definitions(Settings.from_env({}))


def test_these_are_the_assets_and_no_others(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    assert {key.to_user_string() for key in graph.get_all_asset_keys()} == {
        "history",
        "raw_trades",
        "realtime_state",
        "trades",
        "reconciliation",
        "sale_conditions",
        "trading_sessions",
        "corporate_actions",
        "corporate_action_overrides",
        "stg_print_rules",
        "stg_trading_sessions",
        "stg_corporate_actions",
        "stg_symbol_spans",
        "stg_trades",
        "int_marked_trades",
        "int_effective_trades",
        "int_bars_by_company",
        "int_price_adjustments",
        "stock_market_data",
        "unknown_conditions",
        "minute_bars",
        "session_part_bars",
        "hourly_bars",
        "five_minute_bars",
        "daily_bars",
        "daily_bars_adjusted",
        "daily_moving_averages",
        "top_volume",
    }


def test_the_lineage_has_no_gap_from_raw_trades_to_marts(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    parents = {
        key.to_user_string(): {parent.to_user_string() for parent in graph.get(key).parent_keys}
        for key in graph.get_all_asset_keys()
    }
    assert parents["raw_trades"] == {"history"}
    assert parents["trades"] == {"raw_trades"}
    assert parents["reconciliation"] == {"trades"}
    assert parents["stg_trades"] == {"trades", "raw_trades"}
    assert parents["int_marked_trades"] == {"stg_trades", "stg_print_rules", "stg_trading_sessions"}
    assert parents["stock_market_data"] == parents["unknown_conditions"] == {"int_marked_trades"}
    for table in ("minute_bars", "session_part_bars", "daily_bars"):
        assert parents[table] == {"int_effective_trades"}
    assert parents["hourly_bars"] == parents["five_minute_bars"] == {"minute_bars", "stg_trading_sessions"}
    assert parents["int_effective_trades"] == {"int_marked_trades"}
    assert parents["daily_bars_adjusted"] == {"int_bars_by_company", "int_price_adjustments"}
    assert parents["int_bars_by_company"] == {"daily_bars", "stg_symbol_spans"}
    assert parents["stg_corporate_actions"] == {"corporate_actions", "corporate_action_overrides"}
    assert parents["daily_moving_averages"] == {"daily_bars_adjusted"}
    assert parents["top_volume"] == {"daily_bars"}


def test_exactly_what_is_replaced_by_session_is_partitioned(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    partitioned = {key.to_user_string() for key in graph.get_all_asset_keys() if graph.get(key).partitions_def}
    assert partitioned == {
        "history",
        "raw_trades",
        "trades",
        "reconciliation",
        "minute_bars",
        "session_part_bars",
        "daily_bars",
    }


def test_data_tests_of_the_models_are_checks_of_the_assets(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    checked = {key.asset_key.to_user_string() for key in graph.asset_check_keys}
    assert {"stg_trades", "stock_market_data", "minute_bars", "daily_bars", "top_volume", "reconciliation"} <= checked


def message(name: str, unique_id: str, **data: object) -> SimpleNamespace:
    return SimpleNamespace(
        raw_event={
            "info": {"name": name},
            "data": {"node_info": {"unique_id": unique_id, "materialized": "session_table"}, **data},
        }
    )


def test_an_output_waits_for_the_figures_of_its_node() -> None:
    built = {"bars": "LogModelResult", "averages": "LogModelResult"}
    response = {"adapter_response": {"rows_affected": 7, "data_scanned_in_bytes": 20 * 1024**2}}
    messages = [message(name, node) for node, name in built.items()]
    messages.append(message("NodeFinished", "bars", run_result=response))
    outputs = list(
        with_figures(
            messages,
            lambda one: (
                [dg.Output(None, output_name=one.raw_event["data"]["node_info"]["unique_id"])]
                if one.raw_event["info"]["name"] == "LogModelResult"
                else []
            ),
            one_session=True,
        )
    )
    assert [output.output_name for output in outputs] == ["bars", "averages"]
    assert outputs[0].metadata["dagster/partition_row_count"].value == 7
    assert outputs[0].metadata["athena_bytes_scanned"].value == 20 * 1024**2
    assert outputs[0].metadata["athena_cost_usd"].value == pytest.approx(20 * 5 / 1024**2)
    assert outputs[1].metadata == {}


def test_rows_of_a_backfill_are_not_those_of_one_partition() -> None:
    node = {"materialized": "session_table"}
    assert list(figures_of({"rows_affected": 7}, node, one_session=False)) == ["rows_of_all_sessions_of_the_run"]
    assert figures_of({"rows_affected": -1}, node, one_session=True) == {}


@pytest.mark.parametrize(
    ("sessions", "options"),
    [
        ((), []),
        ((date(2018, 1, 2), date(2018, 1, 2)), ["2018-01-02", "2018-01-03"]),
        ((date(2018, 12, 28), date(2018, 12, 31)), ["2018-12-28", "2019-01-01"]),
    ],
)
def test_a_run_of_sessions_is_a_half_open_window_of_dbt(sessions: tuple[date, ...], options: list[str]) -> None:
    assert window_options(sessions)[1::2] == options


def test_every_asset_says_what_it_is_and_who_owns_it(definitions: dg.Definitions) -> None:
    graph = definitions.resolve_asset_graph()
    for key in graph.get_all_asset_keys():
        node = graph.get(key)
        assert node.description, key
        assert node.group_name in ("lake", "realtime", "staging", "marts", "seeds"), key
        assert node.owners, key
        assert node.kinds, key
        assert node.code_version, key


def test_a_freshness_policy_outlasts_four_days_without_session(
    definitions: dg.Definitions,
) -> None:
    graph = definitions.resolve_asset_graph()
    # what happened years ago is fetched once
    for key in graph.get_all_asset_keys() - {dg.AssetKey("history")}:
        policy = graph.get(key).freshness_policy
        assert isinstance(policy, TimeWindowFreshnessPolicy), key
        assert policy.fail_window.to_timedelta() >= timedelta(days=4), key


def test_one_writer_at_a_time_is_what_the_models_ask_for(definitions: dg.Definitions) -> None:
    for target, pool in (("local", "duckdb"), ("athena", "athena")):
        graph = build_definitions(Settings.from_env({"DBT_TARGET": target})).resolve_asset_graph()
        for key in graph.materializable_asset_keys:
            ours = {
                "trades": set(),
                "reconciliation": set(),
                "corporate_actions": {"price_api"},
                "history": {"price_api"},
            }
            expected = ours.get(key.to_user_string(), {pool})
            assert graph.get(key).pools == expected, key


def test_the_sessions_job_makes_the_blocking_check_of_trades(
    definitions: dg.Definitions,
) -> None:
    """Checks of freshness are the sensor's, and no part of the job."""
    graph = definitions.resolve_asset_graph()
    trades = dg.AssetKey("trades")
    blocking = {key for key in graph.asset_check_keys if key.asset_key == trades and graph.get_check_spec(key).blocking}
    assert blocking == {dg.AssetCheckKey(trades, "rows_can_be_true")}
    made = definitions.resolve_job_def(SESSION_JOB).asset_layer.asset_graph.asset_check_keys
    assert blocking <= set(made)
    assert not set(made) & set(CHECKS)


def test_partitions_are_the_exchanges_trading_days_up_to_today() -> None:
    partitions = session_partitions(Settings.from_env({}).first_session)
    keys = partitions.get_partition_keys(current_time=datetime.fromisoformat("2026-11-20T15:00:00-05:00"))
    assert list(keys) == [day.isoformat() for day in trading_days(date(2007, 1, 3), date(2026, 11, 20))]


def test_a_day_that_the_exchange_closed_unplanned_has_no_partition() -> None:
    closed = {"FIRST_SESSION": "2026-11-13", "UNPLANNED_DAYS": "2026-11-16=closed,2026-11-17=09:30-13:00"}
    try:
        graph = build_definitions(Settings.from_env(closed)).resolve_asset_graph()
        partitions = graph.get(dg.AssetKey("trades")).partitions_def
        assert isinstance(partitions, dg.DailyPartitionsDefinition)
        now = datetime.fromisoformat("2026-11-18T15:00:00-05:00")
        assert list(partitions.get_partition_keys(current_time=now)) == ["2026-11-13", "2026-11-17", "2026-11-18"]
    finally:
        use_unplanned(())


def test_partitions_begin_with_the_lakes_first_session() -> None:
    settings = Settings.from_env({"FIRST_SESSION": "2026-11-13"})
    graph = build_definitions(settings).resolve_asset_graph()
    now = datetime.fromisoformat("2026-11-17T15:00:00-05:00")
    partitioned = [node.partitions_def for node in graph.asset_nodes if node.is_partitioned]
    assert len(partitioned) > 3
    for partitions in partitioned:
        assert isinstance(partitions, dg.DailyPartitionsDefinition)
        assert list(partitions.get_partition_keys(current_time=now)) == ["2026-11-13", "2026-11-16", "2026-11-17"]


def test_a_session_on_a_closed_day_is_refused_in_one_sentence(definitions: dg.Definitions) -> None:
    with pytest.raises(PermanentError, match="2018-01-01 is not a trading day"):
        run_session(definitions, SESSION_JOB, date(2018, 1, 1), lambda _step: None)


def test_workspace_yaml_loads_as_the_webserver_would_load_it(tmp_path: Path) -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("dagster"), "definitions", "validate", "-w", "workspace.yaml"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Validation successful for code location stock_pipeline" in done.stdout


def test_the_dbt_models_parse_for_athena_without_credentials(tmp_path: Path) -> None:
    project = ROOT / "dbt_project"
    done = subprocess.run(
        [Path(sys.executable).with_name("dbt"), "parse", "--target", "athena", "--project-dir", project,
         "--profiles-dir", project, "--target-path", tmp_path, "--log-path", tmp_path],
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "DO_NOT_TRACK": "1"},
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    nodes = json.loads((tmp_path / "manifest.json").read_text())["nodes"]
    assert "model.stock_pipeline.daily_bars" in nodes


def test_partitions_of_a_market_that_never_closes_are_the_days_of_utc() -> None:
    settings = Settings.from_env({"FIRST_SESSION": "2026-11-27", "FEED": "crypto"})
    partitions = session_partitions(settings.first_session, settings.feed)
    now = datetime.fromisoformat("2026-11-29T19:00:00-05:00")
    assert list(partitions.get_partition_keys(current_time=now)) == [f"2026-11-{day}" for day in (27, 28, 29, 30)]


def test_every_check_says_what_it_means_and_what_to_do() -> None:
    settings = Settings.from_env({"RUNBOOK_URL": "https://example.com/runbook.md"})
    checks = [
        check
        for one in build_definitions(settings).assets or ()
        if isinstance(one, dg.AssetsDefinition)
        for check in one.check_specs
    ]
    of_dbt = [check for check in checks if "dagster_dbt/unique_id" in check.metadata]
    assert len(of_dbt) > 30
    headings = re.findall(r"^### (.+)$", (ROOT / "docs" / "runbook.md").read_text(), re.MULTILINE)
    anchors = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
    for check in of_dbt:
        found = re.fullmatch(
            r"(.{15,}\.) \[What to do if not\]\(https://example\.com/runbook\.md#([^)]+)\)\.",
            str(check.description),
            re.DOTALL,
        )
        assert found is not None, check.description
        assert found[2] in anchors, check.name
    assert max(len(check.name) for check in checks) <= 80


def test_every_table_of_the_lake_has_its_name_and_columns(definitions: dg.Definitions) -> None:
    specs = {spec.key.to_user_string(): spec.metadata for spec in definitions.resolve_all_asset_specs()}
    names = {name: specs[name].get("dagster/table_name") for name in ("raw_trades", "trades", "realtime_state")}
    assert names == {
        "raw_trades": "stock_market.raw_trades",
        "trades": "stock_market.trades",
        "realtime_state": "stock-realtime",
    }
    for name in (*names, "reconciliation"):
        schema = specs[name]["dagster/column_schema"]
        assert all(column.description for column in schema.columns), name
    assert [column.name for column in specs["trades"]["dagster/column_schema"].columns][-3:] == ["year", "month", "day"]


def test_every_job_has_a_description(definitions: dg.Definitions) -> None:
    jobs = definitions.get_repository_def().get_all_jobs()
    assert [job.name for job in jobs if not job.description and not job.name.startswith("__")] == []
