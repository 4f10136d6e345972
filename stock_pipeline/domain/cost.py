"""Computes a month's bill from a workload and the deployment's settings. Prices and settings come as values.

LINE_BYTES was counted; replace the other estimates below by your dashboard's figures.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

HOURS_A_MONTH = 730
TRADING_DAYS_A_MONTH = 21

LINE_BYTES = 280
"""A trade as a line of JSON: the sample session's 39,470 trades make 435 records of up to 25 KB."""

ZSTD_BYTES, ZSTD_FIRST_BYTES = 28, 170
"""A trade as a compressed line, and what a frame's first line costs more: simulated trades of 50 symbols, level 3."""

RECORD_TRADES = {"ndjson": 25 * 1024 / LINE_BYTES, "zstd": 10 * 25 * 1024 / LINE_BYTES}
"""Trades of a full record, by `stream_encoding`."""

RAW_BYTES_A_TRADE = 30
CURATED_BYTES_A_TRADE = 12
"""A trade in Parquet: small raw files, and compacted ones."""

BATCH_SECONDS = 0.05
TRADE_SECONDS = 0.00001
STATE_WRITE_SECONDS = 0.0015
"""Estimates of the processor's time: a batch, each trade in it, and each symbol's write (several at once)."""

STATE_WRITE_UNITS = 1
"""A unit holds 1,024 bytes: simulated items with a window of 20 trades have 724 to 1,017. Where older trades are kept
beside the window, count two."""
LOG_BYTES_AN_INVOCATION = 2_000
ALARM_METRICS = 48
DAGSTER_ALARM_METRICS = 11
CUSTOM_METRICS = 31
DAGSTER_CUSTOM_METRICS = 6
DAGSTER_VCPUS = 1.5
DAGSTER_GB = 4.0
RUN_VCPU_HOURS_A_DAY = 2.0
RUN_GB_HOURS_A_DAY = 8.0


@dataclass(frozen=True, slots=True)
class Workload:
    """What comes in.

    trades_per_second: during trading hours.
    """

    trades_per_second: float
    symbols: int
    hours_per_day: float

    @property
    def seconds_a_month(self) -> float:
        return self.hours_per_day * 3600 * TRADING_DAYS_A_MONTH

    @property
    def trades_a_month(self) -> float:
        return self.trades_per_second * self.seconds_a_month


@dataclass(frozen=True, slots=True)
class Deployment:
    """The settings of an environment that decide its price, under Terraform's names."""

    stream_mode: str
    stream_encoding: str
    shard_count: int
    stream_retention_hours: int
    shard_level_metrics: bool
    protected: bool
    dagster_enabled: bool
    raw_expire_days: int
    processor_memory_mb: int
    producer_memory_mb: int
    producer_timeout_seconds: int
    partition_buckets: int
    poll_interval_seconds: int
    batch_size: int
    batching_window_seconds: int
    parallelization_factor: int
    look_back_seconds: int
    table_max_request_units: int | None
    athena_compaction_megabytes: int
    athena_scan_cutoff_bytes: int
    run_disk_gb: int


class Line(NamedTuple):
    """A line of the bill."""

    service: str
    what: str
    usd: float


class Flow(NamedTuple):
    """The workload behind the producer's packing and Lambda's batching."""

    records_per_second: float
    bytes_per_second: float
    batches_per_second: float
    symbols_a_batch: float

    @property
    def shards_needed(self) -> int:
        return max(1, math.ceil(self.bytes_per_second / 2**20), math.ceil(self.records_per_second / 1000))


def flow_of(workload: Workload, deployment: Deployment) -> Flow:
    """Return the flow. Each poll packs by bucket: quiet buckets make small records, busy ones fill several."""
    trades_a_poll = workload.trades_per_second * deployment.poll_interval_seconds
    buckets = _touched(deployment.partition_buckets, min(workload.symbols, trades_a_poll))
    records_a_poll = max(buckets, trades_a_poll / RECORD_TRADES[deployment.stream_encoding])
    records = records_a_poll / deployment.poll_interval_seconds
    by_window = deployment.shard_count / max(1, deployment.batching_window_seconds)
    batches = max(min(by_window, records), records / deployment.batch_size)
    trades_a_batch = workload.trades_per_second / batches if batches else 0.0
    return Flow(
        records_per_second=records,
        bytes_per_second=workload.trades_per_second
        * bytes_a_trade(deployment.stream_encoding, trades_a_poll / records_a_poll),
        batches_per_second=batches,
        # a batch is of one shard, and a shard has only its symbols
        symbols_a_batch=_touched(max(1.0, workload.symbols / deployment.shard_count), trades_a_batch),
    )


def bytes_a_trade(stream_encoding: str, trades_a_record: float) -> float:
    """Return a trade's share of its record."""
    if stream_encoding == "ndjson":
        return LINE_BYTES
    return ZSTD_BYTES + ZSTD_FIRST_BYTES / max(1.0, trades_a_record)


def _touched(places: float, throws: float) -> float:
    """Return how many of `places` so many random throws hit."""
    return places * (1 - (1 - 1 / places) ** throws) if places > 1 else float(min(places, throws))


def monthly_bill(workload: Workload, deployment: Deployment, prices: Mapping[str, float]) -> list[Line]:
    """Return every line of a month, without free tiers."""
    flow = flow_of(workload, deployment)
    lines = [
        *_stream(workload, deployment, flow, prices),
        *_functions(workload, deployment, flow, prices),
        *_storage(workload, deployment, flow, prices),
        *_watching(workload, deployment, flow, prices),
    ]
    return lines + (_dagster(deployment, prices) if deployment.dagster_enabled else [])


def _stream(workload: Workload, deployment: Deployment, flow: Flow, prices: Mapping[str, float]) -> list[Line]:
    gigabytes = flow.bytes_per_second * workload.seconds_a_month / 1e9
    if deployment.stream_mode == "ON_DEMAND":
        moved = gigabytes * (prices["kinesis_on_demand_in_gb"] + prices["kinesis_on_demand_out_gb"])
        hours = HOURS_A_MONTH * prices["kinesis_on_demand_stream_hour"]
        return [Line("Kinesis", "stream hours, on demand", hours), Line("Kinesis", f"{gigabytes:,.0f} GB", moved)]
    shard_hours = deployment.shard_count * HOURS_A_MONTH
    units = flow.records_per_second * workload.seconds_a_month / 1e6
    lines = [
        Line(
            "Kinesis",
            f"{deployment.shard_count} shard{'s' * (deployment.shard_count != 1)}",
            shard_hours * prices["kinesis_shard_hour"],
        ),
        Line("Kinesis", f"{units:,.1f} million records", units * prices["kinesis_put_unit_million"]),
    ]
    if deployment.stream_retention_hours > 24:
        kept = shard_hours * prices["kinesis_extended_retention_shard_hour"]
        lines.append(Line("Kinesis", f"retention of {deployment.stream_retention_hours} h", kept))
    if deployment.shard_level_metrics:
        lines.append(
            Line("Kinesis", "metrics a shard", 3 * deployment.shard_count * prices["kinesis_shard_metric_month"])
        )
    return lines


def _functions(workload: Workload, deployment: Deployment, flow: Flow, prices: Mapping[str, float]) -> list[Line]:
    batches = flow.batches_per_second * workload.seconds_a_month
    seconds = (
        batches * (BATCH_SECONDS + flow.symbols_a_batch * STATE_WRITE_SECONDS) + workload.trades_a_month * TRADE_SECONDS
    )
    ticks = 17 * 60 * TRADING_DAYS_A_MONTH
    processed = seconds * deployment.processor_memory_mb / 1024 * prices["lambda_arm64_gb_second"]
    polled = (
        ticks
        * deployment.producer_timeout_seconds
        * deployment.producer_memory_mb
        / 1024
        * prices["lambda_arm64_gb_second"]
    )
    requests = prices["lambda_request_million"] / 1e6
    return [
        Line("Lambda", f"processor, {batches:,.0f} batches", processed + batches * requests),
        Line("Lambda", f"producer, {ticks:,} runs", polled + ticks * requests),
        Line("Scheduler", f"{ticks:,} ticks", ticks * prices["scheduler_million"] / 1e6),
    ]


def _storage(workload: Workload, deployment: Deployment, flow: Flow, prices: Mapping[str, float]) -> list[Line]:
    batches = flow.batches_per_second * workload.seconds_a_month
    states = batches * flow.symbols_a_batch / 1e6
    # a function that has a shard to itself remembers its items
    reads = states if deployment.parallelization_factor > 1 else 0.0
    raw = workload.trades_a_month * RAW_BYTES_A_TRADE / 1e9
    raw_months = min(12.0, deployment.raw_expire_days / 30)
    curated = workload.trades_a_month * CURATED_BYTES_A_TRADE / 1e9
    return [
        Line(
            "DynamoDB",
            f"{states:,.1f} million state writes",
            states * STATE_WRITE_UNITS * prices["dynamodb_write_unit_million"]
            + reads * prices["dynamodb_read_unit_million"],
        ),
        Line(
            "S3",
            f"{batches:,.0f} raw files, each written, tagged and read",
            batches / 1000 * (2 * prices["s3_put_thousand"] + prices["s3_get_thousand"]),
        ),
        Line("S3", f"{raw * raw_months:,.1f} GB raw, after a year", raw * raw_months * prices["s3_gb_month"]),
        Line("S3", f"{curated * 12:,.1f} GB curated, after a year", curated * 12 * prices["s3_gb_month"]),
        Line(
            "Athena", "a full scan of a month, once a day", curated / 1000 * prices["athena_tb"] * TRADING_DAYS_A_MONTH
        ),
    ]


def _watching(workload: Workload, deployment: Deployment, flow: Flow, prices: Mapping[str, float]) -> list[Line]:
    logged = flow.batches_per_second * workload.seconds_a_month * LOG_BYTES_AN_INVOCATION / 1e9
    alarms, metrics = ALARM_METRICS, CUSTOM_METRICS
    if deployment.dagster_enabled:
        alarms, metrics = alarms + DAGSTER_ALARM_METRICS, metrics + DAGSTER_CUSTOM_METRICS
    lines = [
        Line("CloudWatch", f"{logged:,.1f} GB of logs", logged * prices["logs_gb"]),
        Line("CloudWatch", "metrics of our own", metrics * prices["custom_metric_month"]),
        Line("CloudWatch", "alarms and dashboard", alarms * prices["alarm_metric_month"] + prices["dashboard_month"]),
        Line("Secrets Manager", "the price API's key", prices["secret_month"]),
    ]
    return [*lines, Line("KMS", "a key", prices["kms_key_month"])] if deployment.protected else lines


def _dagster(deployment: Deployment, prices: Mapping[str, float]) -> list[Line]:
    services = DAGSTER_VCPUS * prices["fargate_vcpu_hour"] + DAGSTER_GB * prices["fargate_gb_hour"]
    runs = RUN_VCPU_HOURS_A_DAY * prices["fargate_vcpu_hour"] + RUN_GB_HOURS_A_DAY * prices["fargate_gb_hour"]
    copies = 2 if deployment.protected else 1
    database = copies * (HOURS_A_MONTH * prices["rds_t4g_micro_hour"] + 20 * prices["rds_gp3_gb_month"])
    gateway = HOURS_A_MONTH * (prices["nat_gateway_hour"] + prices["public_ipv4_hour"])
    return [
        Line("Fargate", "Dagster's three services", HOURS_A_MONTH * services),
        Line("Fargate", "an hour of runs a trading day", TRADING_DAYS_A_MONTH * runs),
        Line("RDS", "Dagster's database", database),
        Line("VPC", "NAT gateway", gateway),
    ]
