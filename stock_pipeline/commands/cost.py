"""`stock-pipeline cost`: compute a month's bill from Terraform's settings."""

import argparse
import json
import re
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stock_pipeline.commands.parsers import Commands, add_command, number, whole
from stock_pipeline.errors import InputFileError
from stock_pipeline.project_files import PROJECT

if TYPE_CHECKING:
    from stock_pipeline.domain.cost import Deployment

PRICES = Path(__file__).with_name("prices.json")
INFRA = PROJECT / "infra"
STALE_DAYS = 90

_ASSIGNMENT = re.compile(r"^(\w+)\s*=\s*([^#\n]+)", re.MULTILINE)
_VARIABLE = re.compile(r'^variable "(\w+)" \{\n(.*?)^\}', re.MULTILINE | re.DOTALL)
_DEFAULT = re.compile(r"^  default\s*= ([^\n{\[]+)$", re.MULTILINE)
_DISK = re.compile(r"run_disk_gb\s*= optional\(number, (\d+)\)")
_FUNCTION = re.compile(r"^    (\w+)\s*= \{ memory_mb = (\d+), timeout_seconds = (\d+) \}", re.MULTILINE)


def add_to(commands: Commands) -> None:
    parser = add_command(
        commands,
        "cost",
        summary="compute what a month in an account costs, and what breaks first",
        description="Computes a month's bill for a load from the settings that Terraform deploys (infra/envs, "
        "infra/variables.tf, infra/event_source_mapping.json) and the list prices in "
        "stock_pipeline/commands/prices.json. Needs no account.",
        example="stock-pipeline cost --trades-per-second 5000 --symbols 2000 --env prod",
    )
    parser.add_argument("--trades-per-second", type=number(0.001), default=1000, metavar="N", help="default: 1000")
    parser.add_argument("--symbols", type=whole(1), default=500, metavar="N", help="default: 500")
    parser.add_argument(
        "--hours-per-day", type=number(0.01, 24), default=6.5, metavar="N", help="of such trading; default: 6.5"
    )
    parser.add_argument("--env", choices=("dev", "prod"), default="dev", help="default: dev")
    parser.add_argument("--markdown", action="store_true", help="as a table for a document")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    from stock_pipeline.domain.cost import Workload, flow_of, monthly_bill
    from stock_pipeline.domain.cost_limits import limits, most_symbols

    workload = Workload(options.trades_per_second, options.symbols, options.hours_per_day)
    settings = deployment(INFRA, options.env)
    prices = json.loads(PRICES.read_text())
    bill = monthly_bill(workload, settings, prices)
    row = "| {} | {} | {:,.2f} |" if options.markdown else "{:<16} {:<48} {:>10,.2f}"
    if options.markdown:
        print("| service | what | USD a month |\n|---|---|---:|")
    for line in bill:
        print(row.format(line.service, line.what, line.usd))
    print(row.format("total", f"{options.env}, prices of {prices['as_of']}", sum(line.usd for line in bill)))
    found = limits(workload, settings)
    first = found[0]
    if options.markdown:
        print("\n| limit | trades a second | moved by |\n|---|---:|---|")
        for limit in found:
            print(f"| {limit.part} | {limit.trades_per_second:,.0f} | {limit.setting} |")
        return 0
    print(f"First limit: {first.part}, at {first.trades_per_second:,.0f} trades/s. Moved by {first.setting}.")
    for limit in found:
        if limit.trades_per_second < workload.trades_per_second:
            print(f"This load is beyond {limit.part} ({limit.trades_per_second:,.0f} trades/s): {limit.setting}.")
    needed = flow_of(workload, settings).shards_needed
    if settings.stream_mode == "PROVISIONED" and needed > settings.shard_count:
        print(f"This load needs {needed} shards, and {options.env} has {settings.shard_count}: raise shard_count.")
    if workload.symbols > most_symbols():
        print(f"A function's environment has room for about {most_symbols()} symbols: shorten `symbols`.")
    print(age_warning(prices["as_of"], datetime.now(UTC).date()), end="")
    return 0


def age_warning(as_of: str, today: date) -> str:
    """Return a line about prices that are too old to decide by, or nothing."""
    age = (today - date.fromisoformat(as_of)).days
    if age <= STALE_DAYS:
        return ""
    return f"These prices are {age} days old: compare stock_pipeline/commands/prices.json with AWS's pages.\n"


def deployment(infra: Path, environment: str) -> "Deployment":
    """Return an environment's settings as Terraform takes them: its file over the defaults."""
    from stock_pipeline.domain.cost import Deployment

    try:
        variables = (infra / "variables.tf").read_text()
        assigned = (infra / "envs" / f"{environment}.tfvars").read_text()
        mapping = json.loads((infra / "event_source_mapping.json").read_text())
    except OSError as error:
        raise InputFileError(
            f"{error.filename} is missing: install stock-pipeline again, or run this in a whole checkout"
        ) from None
    values: dict[str, Any] = {}
    for name, body in _VARIABLE.findall(variables):
        default = _DEFAULT.search(body)
        if default:
            values[name] = _value(default.group(1))
    values |= {name: _value(text) for name, text in _ASSIGNMENT.findall(assigned)}
    functions = {name: (int(memory), int(timeout)) for name, memory, timeout in _FUNCTION.findall(variables)}
    named = (
        "stream_mode",
        "stream_encoding",
        "shard_count",
        "stream_retention_hours",
        "shard_level_metrics",
        "protected",
    )
    also = (
        "dagster_enabled",
        "raw_expire_days",
        "partition_buckets",
        "poll_interval_seconds",
        "look_back_seconds",
        "table_max_request_units",
        "athena_compaction_megabytes",
        "athena_scan_cutoff_bytes",
    )
    (run_disk_gb,) = _DISK.findall(variables)
    return Deployment(
        **{name: values[name] for name in named + also},
        processor_memory_mb=functions["processor"][0],
        producer_memory_mb=functions["producer"][0],
        producer_timeout_seconds=functions["producer"][1],
        batch_size=mapping["batch_size"],
        batching_window_seconds=mapping["maximum_batching_window_in_seconds"],
        parallelization_factor=mapping["parallelization_factor"],
        run_disk_gb=int(run_disk_gb),
    )


def _value(text: str) -> Any:
    """Return a Terraform literal's value, which is JSON, too."""
    return json.loads(text.strip())
