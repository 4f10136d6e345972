"""The bill follows from load, settings and prices, and the settings are those that Terraform plans."""

import json
import re
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest

from stock_pipeline.cli import main
from stock_pipeline.commands.cost import INFRA, PRICES, age_warning, deployment
from stock_pipeline.domain.cost import Deployment, Workload, flow_of, monthly_bill
from stock_pipeline.domain.cost_limits import limits
from tests.support.plans import load_plan

PRICE_LIST = json.loads(PRICES.read_text())
LOAD = Workload(1000, 500, 6.5)


def total(load: Workload, settings: Deployment) -> float:
    return sum(line.usd for line in monthly_bill(load, settings, PRICE_LIST))


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_the_costs_are_those_of_what_terraform_plans(environment: str) -> None:
    plan = load_plan(environment)
    planned = {resource["address"]: resource["values"] for resource in plan["resources"]}
    settings = deployment(INFRA, environment)
    stream = planned["module.stream.aws_kinesis_stream.this"]
    assert settings.stream_mode == stream["stream_mode_details"][0]["stream_mode"]
    assert settings.shard_count == stream["shard_count"]
    assert settings.stream_retention_hours == stream["retention_period"]
    assert settings.processor_memory_mb == planned["module.processor.aws_lambda_function.this"]["memory_size"]
    assert settings.producer_timeout_seconds == planned["module.producer.aws_lambda_function.this"]["timeout"]
    assert settings.protected == planned["module.state.aws_dynamodb_table.this"]["deletion_protection_enabled"]
    assert settings.dagster_enabled == any(address.startswith("module.dagster") for address in planned)
    assert str(settings.partition_buckets) == plan["settings"]["PARTITION_BUCKETS"]
    assert str(settings.poll_interval_seconds) == plan["settings"]["POLL_INTERVAL_SECONDS"]


def test_the_stream_is_billed_by_shards_and_records() -> None:
    settings = deployment(INFRA, "dev")
    shards = next(line for line in monthly_bill(LOAD, settings, PRICE_LIST) if "shard" in line.what)
    assert shards.usd == pytest.approx(730 * 0.015)


def test_packing_fits_a_thousand_trades_a_second_into_a_shard() -> None:
    flow = flow_of(LOAD, deployment(INFRA, "dev"))
    assert flow.shards_needed == 1
    assert flow.records_per_second < LOAD.trades_per_second / 50
    assert flow_of(replace(LOAD, trades_per_second=10_000), deployment(INFRA, "dev")).shards_needed == 3


@pytest.mark.parametrize("more", [{"trades_per_second": 2000.0}, {"symbols": 1000}, {"hours_per_day": 16.0}])
def test_more_load_costs_more(more: dict[str, float]) -> None:
    settings = deployment(INFRA, "dev")
    assert total(replace(LOAD, **more), settings) > total(LOAD, settings)  # type: ignore[arg-type]


def test_every_price_is_used() -> None:
    used = set(re.findall(r'prices\["(\w+)"\]', (INFRA.parent / "stock_pipeline/domain/cost.py").read_text()))
    assert used == set(PRICE_LIST) - {"currency", "region", "as_of", "note"}
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", PRICE_LIST["as_of"])


def test_the_command_prints_every_line_and_their_sum(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--trades-per-second", "1000", "--symbols", "500", "--env", "prod"]) == 0
    printed = capsys.readouterr().out.splitlines()
    lines, last = printed[:-1], printed[-1]
    if not last.startswith("total"):
        place = next(place for place, line in enumerate(printed) if line.startswith("total"))
        lines, last = printed[:place], printed[place]
    amounts = [float(line.split()[-1].replace(",", "")) for line in lines]
    assert float(last.split()[-1].replace(",", "")) == pytest.approx(sum(amounts), abs=0.1)
    assert PRICE_LIST["as_of"] in last


def test_a_stream_that_is_too_small_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--trades-per-second", "10000", "--symbols", "500"]) == 0
    assert "needs 3 shards, and dev has 1" in capsys.readouterr().out


@pytest.mark.parametrize(
    "load",
    [["--symbols", "0"], ["--trades-per-second", "inf"], ["--trades-per-second", "0"], ["--hours-per-day", "25"]],
)
def test_a_load_that_is_none_is_an_error_of_usage(capsys: pytest.CaptureFixture[str], load: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["cost", *load])
    assert "can't be used: it takes" in capsys.readouterr().err


def test_without_a_checkout_the_missing_file_is_named(tmp_path: Path) -> None:
    from stock_pipeline.errors import InputFileError

    with pytest.raises(InputFileError, match=r"variables\.tf"):
        deployment(tmp_path, "dev")


def test_the_documented_table_is_what_the_command_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--trades-per-second", "1000", "--symbols", "500", "--markdown"]) == 0
    document = (INFRA.parent / "docs" / "deploy.md").read_text()
    assert f"<!-- cost -->\n{capsys.readouterr().out}\n" in document


def test_a_batch_has_only_its_shards_symbols() -> None:
    settings = deployment(INFRA, "dev")
    one, two = (flow_of(LOAD, replace(settings, shard_count=shards)) for shards in (1, 2))
    writes = [flow.batches_per_second * flow.symbols_a_batch for flow in (one, two)]
    assert writes[1] == pytest.approx(writes[0], rel=0.01)


@pytest.mark.parametrize("environment", ["dev", "prod"])
def test_every_limit_is_moved_by_its_setting(environment: str) -> None:
    settings = deployment(INFRA, environment)
    before = {limit.part: limit.trades_per_second for limit in limits(LOAD, settings)}
    larger = replace(
        settings,
        producer_memory_mb=2 * settings.producer_memory_mb,
        shard_count=2 * settings.shard_count,
        parallelization_factor=2 * settings.parallelization_factor,
        table_max_request_units=settings.table_max_request_units and 2 * settings.table_max_request_units,
        athena_scan_cutoff_bytes=2 * settings.athena_scan_cutoff_bytes,
    )
    after = {limit.part: limit.trades_per_second for limit in limits(LOAD, larger)}
    moved = {part for part in before if after[part] > before[part]}
    assert moved >= {
        "the producer's CPU",
        "the stream's shards",
        "the processor's time",
        "Athena's scan of a compaction",
    }
    assert ("the table's request units" in moved) is (settings.table_max_request_units is not None)
    assert list(before.values()) == sorted(before.values())


def test_the_first_limit_is_the_producers_processor_share(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["cost", "--trades-per-second", "9000", "--symbols", "600"]) == 0
    out = capsys.readouterr().out
    # 512 of 1,769 MB, 20 µs a row, six rows a trade
    assert "First limit: the producer's CPU, at 2,412 trades/s. Moved by functions.producer.memory_mb." in out
    assert "beyond the stream's shards (3,745 trades/s): shard_count" in out
    assert "room for about 560 symbols" in out


def test_prices_older_than_90_days_are_told() -> None:
    as_of = date.fromisoformat(PRICE_LIST["as_of"])
    assert age_warning(PRICE_LIST["as_of"], as_of + timedelta(days=90)) == ""
    assert "91 days old" in age_warning(PRICE_LIST["as_of"], as_of + timedelta(days=91))
